//! The state of an authority as data.

use keyward_keys::sha256;
use keyward_transit::Phase;
use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;

use super::AuthorityRing;
use crate::x509::authority::Subject;
use crate::x509::certificate::hex;
use crate::x509::encoding::chain_to_pem;

/// One version of an authority, without its key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthorityVersion {
    /// Its number, from 1.
    pub version: u32,
    /// Where in its life it stands: pending is prepared, superseded and deprecated are retired.
    pub phase: Phase,
    /// The subject of its certificate, without the serial number.
    pub subject: Subject,
    /// The `serialNumber` of the subject, which no other authority has.
    pub serial_number: String,
    /// Its certificate.
    pub certificate: CertificateDer<'static>,
    /// SHA-256 over the certificate, in lower-case hexadecimal.
    pub fingerprint: String,
    /// When it was made and published.
    pub created: OffsetDateTime,
    /// From when it signs.
    pub activates: OffsetDateTime,
    /// From when its successor signs; `None` until that is made.
    pub retires: Option<OffsetDateTime>,
    /// From when it is not published; `None` until its successor is made.
    pub leaves: Option<OffsetDateTime>,
    /// The last second of its certificate.
    pub not_after: OffsetDateTime,
    /// Whether its key is no more.
    pub destroyed: bool,
}

impl AuthorityVersion {
    /// Its certificate as PEM (RFC 7468 §5).
    pub fn to_pem(&self) -> String {
        chain_to_pem([&self.certificate])
    }
}

impl AuthorityRing {
    /// All versions, oldest first.
    pub fn versions(&self, now: OffsetDateTime) -> Vec<AuthorityVersion> {
        let numbered = (1..).zip(&self.issuers);
        let versions = numbered.filter_map(|(version, issuer)| {
            let times = self.ring.transitions(version)?;
            let (subject, serial_number) = Subject::decode(issuer.subject_der()).ok()?;
            Some(AuthorityVersion {
                version,
                subject,
                serial_number: serial_number.unwrap_or_default(),
                phase: self.ring.phase(version, now)?,
                certificate: issuer.certificate().clone(),
                fingerprint: hex(&sha256(issuer.certificate())),
                created: times.created,
                activates: times.activates,
                retires: times.superseded,
                leaves: times.invalid,
                not_after: issuer.not_after(),
                destroyed: self.ring.is_destroyed(version),
            })
        });
        versions.collect()
    }
}
