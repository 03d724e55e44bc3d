//! Verification: the one way to a [`CallHomeCertificate`].

use keyward_svid::pki_types::CertificateDer;
use keyward_svid::x509::{self, Purpose, X509Bundle, X509Mode, X509Svid, X509Verifier, X509VerifyOptions};
use time::{Duration, OffsetDateTime};

use crate::{ClientCertificates, Granularity, Refusal, Scope};

/// By how much the clock of another tower, which issued the certificate, may be ahead. Ends are not tolerated.
pub const CLOCK_SKEW: Duration = Duration::MINUTE;

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
#[derive(Debug, Clone, Copy)]
pub struct CallHomeVerifier<'b> {
    bundle: &'b X509Bundle,
}

impl<'b> CallHomeVerifier<'b> {
    /// A verifier with the authorities in this bundle, which are for nothing else.
    pub fn new(bundle: &'b X509Bundle) -> Self {
        Self { bundle }
    }

    /// Verifies what was presented, at one moment: the path to the call-home authority (RFC 5280 §6), all that X.509-SVIDs
    /// have to be (one URI, critical KeyUsage with digitalSignature, no CA), `clientAuth` alone in ExtendedKeyUsage, both key
    /// identifiers, and an ID for calling home.
    ///
    /// # Errors
    /// The reason of the refusal.
    pub fn verify(&self, chain: &[CertificateDer<'_>], now: OffsetDateTime) -> Result<CallHomeCertificate, Refusal> {
        let mut options = X509VerifyOptions::default();
        (options.mode, options.purpose) = (X509Mode::Strict, Purpose::Client);
        let verifier = X509Verifier::new(options);
        let svid = match verifier.verify(chain, self.bundle, now) {
            Err(x509::Error::NotYetValid { not_before, .. }) if not_before <= now + CLOCK_SKEW => {
                verifier.verify(chain, self.bundle, not_before)?
            }
            result => result?,
        };
        let scope = Scope::from_id(svid.id()).ok_or(Refusal::NoScope)?;
        Ok(CallHomeCertificate { scope, svid })
    }
}

/// Verifies what [`presented`](crate::presented) answers: with the published certificates of the call-home authority, if there is
/// one already. Where no certificates are taken none is looked at.
///
/// # Errors
/// The reason of the refusal.
pub fn verify_presented(
    settings: &ClientCertificates,
    bundle: Option<&X509Bundle>,
    chain: Option<&[CertificateDer<'_>]>,
    now: OffsetDateTime,
) -> Result<Option<CallHomeCertificate>, Refusal> {
    let Some(chain) = chain else { return Ok(None) };
    if settings.verify == Granularity::Never {
        return Err(Refusal::Unwanted);
    }
    let bundle = bundle.ok_or(Refusal::UnknownAuthority)?;
    CallHomeVerifier::new(bundle).verify(chain, now).map(Some)
}
