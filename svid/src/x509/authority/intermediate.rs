//! Authorities below an authority.

use keyward_keys::PublicKey;
use keyward_spiffe_id::Pattern;
use rand_core::CryptoRng;
use time::{Duration, OffsetDateTime};

use super::Error;
use super::issuer::Issuer;
use super::subject::Subject;
use super::tbs::{self, Content};
use super::unsigned::UnsignedCertificate;
use super::validity::{Validity, check_ttl};
use crate::x509::certificate::hex;
use crate::x509::delegation::MAX_PATTERNS;

/// The longest life of a delegated authority: a week.
pub const LONGEST_DELEGATION: Duration = Duration::WEEK;

/// What a delegated authority shall be: a short-lived intermediate, for a site that issues while it is cut off.
///
/// Its certificate allows no further authority below it and names the IDs that it may issue for. It keeps to them by
/// itself, and our verifier refuses whatever else stands below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntermediateRequest {
    public_key: PublicKey,
    ttl: Duration,
    permitted: Vec<Pattern>,
    subject: Subject,
}

impl IntermediateRequest {
    /// An authority with this key that lives for `ttl`, at most [`LONGEST_DELEGATION`], or less, when the one above ends
    /// before, and issues for IDs that match one of the patterns.
    ///
    /// # Errors
    /// [`Error::Count`] without pattern and with more than 64; [`Error::Ttl`].
    pub fn new(
        public_key: &PublicKey,
        ttl: Duration,
        permitted: impl IntoIterator<Item = Pattern>,
    ) -> Result<Self, Error> {
        let permitted: Vec<_> = permitted.into_iter().take(MAX_PATTERNS + 1).collect();
        if permitted.is_empty() || permitted.len() > MAX_PATTERNS {
            return Err(Error::Count {
                what: "patterns of a delegation",
                found: permitted.len(),
                least: 1,
                most: MAX_PATTERNS,
            });
        }
        let ttl = check_ttl(ttl, LONGEST_DELEGATION)?;
        Ok(Self { public_key: public_key.clone(), ttl, permitted, subject: Subject::default() })
    }

    /// Sets the subject; a serial number is added to it.
    #[must_use]
    pub fn with_subject(mut self, subject: Subject) -> Self {
        self.subject = subject;
        self
    }
}

impl Issuer {
    /// The first of two steps: the intermediate's certificate to sign.
    ///
    /// # Errors
    /// Those of [`Authority::delegate`](super::Authority::delegate), save what a signer may do.
    pub fn prepare_delegation(
        &self,
        request: &IntermediateRequest,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<UnsignedCertificate, Error> {
        self.prepare_delegation_within(request, self.validity(), rng, now)
    }

    pub(super) fn prepare_delegation_within(
        &self,
        request: &IntermediateRequest,
        life: Validity,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<UnsignedCertificate, Error> {
        self.check_delegation()?;
        for pattern in &request.permitted {
            self.check_trust_domain(pattern.trust_domain())?;
        }
        let validity = Validity::within(life, request.ttl, now)?;
        let key_identifier = tbs::key_identifier(&request.public_key).map_err(|_| Error::KeyMismatch)?;
        let serial = tbs::random_serial(rng);
        let content = Content { head: self.head(), serial: &serial, validity, public_key: &request.public_key };
        let tbs = content.encode(
            |der| request.subject.encode(der, Some(&hex(&serial))),
            |der| {
                tbs::authority_extensions(der, Some(0));
                tbs::authority_purpose(der, self.purpose());
                tbs::issuer_key(der, self.key_identifier());
                tbs::subject_key(der, &key_identifier);
                let id = self.trust_domain().to_owned().signing_authority_id();
                tbs::alternative_names(der, Some(id.borrowed()), &[], false);
                tbs::delegation(der, &request.permitted);
            },
        )?;
        Ok(UnsignedCertificate::new(tbs, self.algorithm()))
    }
}
