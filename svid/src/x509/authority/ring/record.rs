//! The stored form of an authority: JSON around the ring's own sealed record, all of it sealed.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyward_keys::Algorithm;
use keyward_transit::{Kek, KekSet, RecordError, Ring, check_format, open, seal};
use rand_core::CryptoRng;
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use super::AuthorityRing;
use crate::x509::authority::CaConfig;
use crate::x509::authority::issuer::Issuer;
use crate::x509::purpose::Purpose;

/// The format written.
const FORMAT: u32 = 1;
const EXPECTED: &str = "certificate authority";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Record {
    format: u32,
    config: CaConfig,
    trust_domain: String,
    #[serde(default)]
    purpose: Purpose,
    /// The sealed record of the ring, base64.
    ring: String,
    /// The certificate of each version, base64.
    certificates: Vec<String>,
}

impl AuthorityRing {
    /// The authority as a sealed record: what the caller stores at `path`, guarded by a revision of its own.
    ///
    /// # Errors
    /// As [`Ring::to_sealed`].
    pub fn to_sealed(&self, kek: &Kek, path: &str, rng: &mut impl CryptoRng) -> Result<Vec<u8>, RecordError> {
        let record = Record {
            format: FORMAT,
            config: self.config.clone(),
            trust_domain: self.trust_domain.to_string(),
            purpose: self.purpose,
            ring: STANDARD.encode(self.ring.to_sealed(kek, path, rng)?),
            certificates: self.issuers.iter().map(|issuer| STANDARD.encode(issuer.certificate())).collect(),
        };
        // The keys in it are sealed already.
        let json = serde_json::to_vec(&record).map_err(|_| malformed("it cannot be written"))?;
        seal(kek, path, &json, rng)
    }

    /// The authority in the record at `path`. A version that is not in it does not exist.
    ///
    /// # Errors
    /// [`RecordError::Refused`] when the record does not open, [`RecordError::UnknownFormat`] when a newer release wrote
    /// it, [`RecordError::Malformed`] and [`RecordError::Keys`] when it holds no authority.
    pub fn from_sealed(keks: &KekSet, path: &str, record: &[u8]) -> Result<Self, RecordError> {
        let json = open(keks, path, record)?;
        check_format(&json, FORMAT, EXPECTED)?;
        let record: Record = serde_json::from_slice(&json).map_err(|_| malformed("it has other members"))?;
        let subject = record.config.validate().map_err(|_| malformed("its configuration is refused"))?;
        let trust_domain = record.trust_domain.parse().map_err(|_| malformed("its trust domain is none"))?;
        let ring = STANDARD.decode(&record.ring).map_err(|_| malformed("its ring is not base64"))?;
        let ring = Ring::from_sealed(keks, path, &ring)?;
        let algorithm = Algorithm::default_for(record.config.key_type);
        let issuers = record.certificates.iter().map(|text| {
            let der = STANDARD.decode(text).map_err(|_| malformed("a certificate is not base64"))?;
            let issuer = Issuer::new(algorithm, [CertificateDer::from(der)]);
            issuer.map(Arc::new).map_err(|_| malformed("a certificate is no authority's"))
        });
        let issuers = issuers.collect::<Result<Vec<_>, _>>()?;
        let Record { config, purpose, .. } = record;
        let read = Self { config, subject, trust_domain, purpose, ring, issuers };
        read.check()?;
        Ok(read)
    }

    /// Certificates and keys belong together.
    fn check(&self) -> Result<(), RecordError> {
        if usize::try_from(self.ring.newest_version()).ok() != Some(self.issuers.len()) {
            return Err(malformed("it has not one certificate for each version"));
        }
        for (number, issuer) in (1..).zip(&self.issuers) {
            let kid = issuer.public_key().thumbprint();
            if self.ring.kid(number) != Some(kid.as_str())
                || issuer.trust_domain().as_str() != self.trust_domain.as_str()
                || issuer.purpose() != self.purpose
            {
                return Err(malformed("a certificate is not that of its version"));
            }
        }
        Ok(())
    }
}

fn malformed(reason: &'static str) -> RecordError {
    RecordError::Malformed { expected: EXPECTED, reason }
}
