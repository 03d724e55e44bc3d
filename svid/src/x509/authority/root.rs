//! Self-signed authorities.

use keyward_keys::{Algorithm, PublicKey};
use keyward_spiffe_id::TrustDomain;
use rand_core::CryptoRng;
use time::OffsetDateTime;

use super::Error;
use super::subject::Subject;
use super::tbs::{self, Content};
use super::unsigned::{UnsignedCertificate, identifier};
use super::validity::{BACKDATE, Validity, whole_seconds};
use crate::x509::certificate::hex;
use crate::x509::der::{Writer, tag};
use crate::x509::purpose::Purpose;

/// What a self-signed authority shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthorityRequest {
    /// The trust domain whose IDs it issues; its own ID has no path (X509-SVID §3.1).
    pub trust_domain: TrustDomain,
    /// Its subject, to which a serial number is added.
    pub subject: Subject,
    /// The last second of its life.
    pub not_after: OffsetDateTime,
    /// How many authorities may stand between it and a leaf (RFC 5280 §4.2.1.9); one by default, for delegation.
    pub path_len: Option<u8>,
    /// What it, and all that it issues, is for; X.509-SVIDs by default.
    pub purpose: Purpose,
}

impl AuthorityRequest {
    /// An authority of this trust domain and life, with at most one authority below it.
    pub fn new(trust_domain: TrustDomain, subject: Subject, not_after: OffsetDateTime) -> Self {
        Self { trust_domain, subject, not_after, path_len: Some(1), purpose: Purpose::Svid }
    }

    /// The first of two steps: the certificate to sign, with the key that it names.
    ///
    /// # Errors
    /// [`Error::KeyMismatch`] when the algorithm does not fit the key, [`Error::Ended`] when its life is over before
    /// it begins.
    pub fn prepare(
        &self,
        public_key: &PublicKey,
        algorithm: Algorithm,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<UnsignedCertificate, Error> {
        if !algorithm.fits(public_key) {
            return Err(Error::KeyMismatch);
        }
        let not_before = whole_seconds(now.saturating_sub(BACKDATE));
        let validity = Validity { not_before, not_after: whole_seconds(self.not_after) };
        if validity.not_after <= now {
            return Err(Error::Ended { now, not_after: self.not_after });
        }
        let key_identifier = tbs::key_identifier(public_key).map_err(|_| Error::KeyMismatch)?;
        let serial = tbs::random_serial(rng);

        let mut subject = Writer::default();
        self.subject.encode(&mut subject, Some(&hex(&serial)));
        let subject = subject.into_bytes();
        let mut head = Writer::default();
        head.element(tag::SEQUENCE, identifier(algorithm)?).raw(&subject);

        let content = Content { head: &head.into_bytes(), serial: &serial, validity, public_key };
        let tbs = content.encode(
            |der| {
                der.raw(&subject);
            },
            |der| {
                tbs::authority_extensions(der, self.path_len);
                tbs::authority_purpose(der, self.purpose);
                tbs::subject_key(der, &key_identifier);
                let id = self.trust_domain.signing_authority_id();
                tbs::alternative_names(der, Some(id.borrowed()), &[], false);
            },
        )?;
        Ok(UnsignedCertificate::new(tbs, algorithm))
    }
}
