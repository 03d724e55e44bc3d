//! Verification: the one way to a [`CallHomeCertificate`].

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use keyward_svid::pki_types::CertificateDer;
use keyward_svid::x509::{self, Purpose, X509Bundle, X509Mode, X509Svid, X509Verifier, X509VerifyOptions};
use time::{Duration, OffsetDateTime};

use crate::{ClientCertificates, Granularity, Refusal, Scope};

/// By how much the clock of another tower, which issued the certificate, may be ahead. Ends are not tolerated.
pub const CLOCK_SKEW: Duration = Duration::MINUTE;

/// How many chains are remembered as good before a verifier begins anew. They are of the authority's own certificates: strangers add none.
const REMEMBERED: usize = 256;

/// A verified certificate: issued by the tower's call-home authority, for clients alone, valid at the time of verification.
///
/// Only a [`CallHomeVerifier`] makes it. Whether it was revoked or used up is for its [`Entry`](crate::Entry) to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallHomeCertificate {
    scope: Scope,
    svid: X509Svid,
}

impl CallHomeCertificate {
    /// Whom it lets in.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Its serial number, in lower-case hexadecimal.
    pub fn serial(&self) -> &str {
        self.svid.serial()
    }

    /// The last second of its life.
    pub fn not_after(&self) -> OffsetDateTime {
        self.svid.not_after()
    }
}

/// Verifies call-home certificates with the published certificates of the call-home authority.
///
/// Many hosts may present the same certificate, each of them more than once: the signatures in one that was found good are not verified
/// again by the same verifier. Who gives an authority up makes a new one.
#[derive(Debug)]
pub struct CallHomeVerifier {
    bundle: X509Bundle,
    verified: Mutex<HashMap<Vec<CertificateDer<'static>>, Verified>>,
}

/// What was found of a chain.
#[derive(Debug)]
struct Verified {
    since: OffsetDateTime,
    certificate: CallHomeCertificate,
}

impl CallHomeVerifier {
    /// A verifier with the authorities in this bundle, which are for nothing else.
    pub fn new(bundle: X509Bundle) -> Self {
        Self { bundle, verified: Mutex::default() }
    }

    /// The authorities.
    pub fn bundle(&self) -> &X509Bundle {
        &self.bundle
    }

    /// Verifies what was presented, at one moment: the path to the call-home authority (RFC 5280 §6), all that X.509-SVIDs
    /// have to be (one URI, critical KeyUsage with digitalSignature, no CA), `clientAuth` alone in ExtendedKeyUsage, both key
    /// identifiers, and an ID for calling home.
    ///
    /// # Errors
    /// The reason of the refusal.
    pub fn verify(&self, chain: &[CertificateDer<'_>], now: OffsetDateTime) -> Result<CallHomeCertificate, Refusal> {
        if let Some(known) = self.known(chain, now) {
            return Ok(known);
        }
        let mut options = X509VerifyOptions::default();
        (options.mode, options.purpose) = (X509Mode::Strict, Purpose::Client);
        let verifier = X509Verifier::new(options);
        let svid = match verifier.verify(chain, &self.bundle, now) {
            Err(x509::Error::NotYetValid { not_before, .. }) if not_before <= now + CLOCK_SKEW => {
                verifier.verify(chain, &self.bundle, not_before)?
            }
            result => result?,
        };
        let scope = Scope::from_id(svid.id()).ok_or(Refusal::NoScope)?;
        let certificate = CallHomeCertificate { scope, svid };
        // Whoever has one may show anything beside it: what is not needed is not remembered.
        if certificate.svid.chain() != chain {
            return Ok(certificate);
        }
        let mut verified = self.verified();
        if verified.len() >= REMEMBERED {
            verified.clear();
        }
        let chain = chain.iter().map(|one| one.clone().into_owned()).collect();
        verified.insert(chain, Verified { since: now, certificate: certificate.clone() });
        Ok(certificate)
    }

    /// What was found good before stays so until its path ends; nothing is known of the time before.
    fn known(&self, chain: &[CertificateDer<'_>], now: OffsetDateTime) -> Option<CallHomeCertificate> {
        let guard = self.verified();
        let verified: &HashMap<Vec<CertificateDer<'_>>, Verified> = &guard;
        let Verified { since, certificate } = verified.get(chain)?;
        let is_good = *since <= now && now.unix_timestamp() <= certificate.not_after().unix_timestamp();
        is_good.then(|| certificate.clone())
    }

    fn verified(&self) -> MutexGuard<'_, HashMap<Vec<CertificateDer<'static>>, Verified>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Verifies what [`presented`](crate::presented) answers: with the published certificates of the call-home authority, if there is
/// one already. Where no certificates are taken none is looked at.
///
/// # Errors
/// The reason of the refusal.
pub fn verify_presented(
    settings: &ClientCertificates,
    verifier: Option<&CallHomeVerifier>,
    chain: Option<&[CertificateDer<'_>]>,
    now: OffsetDateTime,
) -> Result<Option<CallHomeCertificate>, Refusal> {
    let Some(chain) = chain else { return Ok(None) };
    if settings.verify == Granularity::Never {
        return Err(Refusal::Unwanted);
    }
    verifier.ok_or(Refusal::UnknownAuthority)?.verify(chain, now).map(Some)
}

#[cfg(test)]
mod tests {
    use keyward_keys::{Algorithm, KeySigner, KeyType, PrivateKey};
    use keyward_svid::x509::authority::{Authority, AuthorityRequest, Subject};
    use rand_core::UnwrapErr;
    use time::macros::datetime;

    use super::*;
    use crate::Order;

    #[test]
    #[allow(clippy::disallowed_types, reason = "nothing depends on what is drawn")]
    fn what_is_shown_beside_a_path_is_not_remembered() {
        let (now, mut rng) = (datetime!(2026-03-01 00:00 UTC), UnwrapErr(getrandom::SysRng));
        let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
        let signer = KeySigner::new(key, Algorithm::Es256, None).unwrap();
        let public = signer.public_key().clone();
        let mut request =
            AuthorityRequest::new("td.example".parse().unwrap(), Subject::default(), now + Duration::days(90));
        (request.purpose, request.path_len) = (Purpose::Client, Some(0));
        let authority = Authority::self_signed(signer, &public, &request, &mut rng, now).unwrap();
        let (issued, _) = Order::new(Scope::Any).issue_with_key(&authority, &mut rng, now).unwrap();
        let bundle = X509Bundle::new("td.example".parse().unwrap(), [authority.certificate().clone()]).unwrap();
        let verifier = CallHomeVerifier::new(bundle);
        let mut chain = issued.svid().chain().to_vec();
        chain.push(authority.certificate().clone());
        let found = verifier.verify(&chain, now);
        assert!(found.is_ok() && verifier.verified().is_empty());
        assert_eq!(verifier.verify(&chain[..1], now), found);
        assert_eq!(verifier.verified().len(), 1);
    }
}
