//! A verified X.509-SVID.

use std::fmt;

use keyward_keys::PublicKey;
use keyward_spiffe_id::SpiffeId;
use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;

/// A verified X.509-SVID: vouched for by its own trust domain, valid at the time of verification.
///
/// Only an [`X509Verifier`](super::X509Verifier) makes it. It says whom the certificate identifies, not that who sent it
/// holds the key: that is for the handshake, or for a signature under [`public_key`](Self::public_key).
///
/// ```compile_fail,E0277
/// let nobody_verified_this: keyward_svid::X509Svid = serde_json::from_str("{}").unwrap();
/// ```
/// ```compile_fail,E0277
/// fn defaulted<T: Default>() -> T { T::default() }
/// let nobody_verified_this: keyward_svid::X509Svid = defaulted();
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct X509Svid {
    pub(super) id: SpiffeId,
    /// Never empty.
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) not_before: OffsetDateTime,
    pub(super) not_after: OffsetDateTime,
    pub(super) serial: String,
    pub(super) public_key: PublicKey,
}

impl X509Svid {
    /// Whom the certificate identifies: always a workload, in the trust domain of the bundle.
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// The path that was verified: the leaf, then the intermediates up to, not including, the authority. What was sent
    /// besides is not in it.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// The certificate itself.
    pub fn leaf(&self) -> &CertificateDer<'static> {
        static NONE: &CertificateDer<'static> = &CertificateDer::from_slice(&[]);
        self.chain.first().unwrap_or(NONE)
    }

    /// The first second of the leaf's validity.
    pub fn not_before(&self) -> OffsetDateTime {
        self.not_before
    }

    /// The last second in which this path is valid: the earliest end of leaf, intermediates and authority.
    pub fn not_after(&self) -> OffsetDateTime {
        self.not_after
    }

    /// The leaf's serial number, in lower-case hexadecimal.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// The leaf's key.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }
}

impl fmt::Debug for X509Svid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("X509Svid")
            .field("id", &self.id)
            .field("serial", &self.serial)
            .field("not_before", &self.not_before)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}
