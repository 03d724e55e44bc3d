//! The active version as a signer.

use std::fmt;
use std::sync::Arc;

use keyward_keys::{Algorithm, Signer};
use time::OffsetDateTime;

use super::material::SigningKey;
use super::{Ring, Version};
use crate::Error;

/// The version of a ring that signs now, as a [`Signer`]: it holds the parsed key, so a signature costs what the
/// primitive costs. Use it for one signature and ask the ring again; it does not notice a rotation.
pub struct RingSigner {
    key: Arc<SigningKey>,
    version: u32,
    verifies_until: Option<OffsetDateTime>,
}

impl RingSigner {
    fn new(version: &Version) -> Option<Self> {
        Some(Self {
            key: Arc::clone(version.signing()?),
            version: version.number,
            verifies_until: version.times.invalid,
        })
    }

    /// The number of the version.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// When the version becomes invalid; `None` while no successor has been created, when it is later than any
    /// signature of now needs.
    pub fn verifies_until(&self) -> Option<OffsetDateTime> {
        self.verifies_until
    }
}

impl Signer for RingSigner {
    fn algorithm(&self) -> Algorithm {
        self.key.algorithm
    }

    fn kid(&self) -> &str {
        &self.key.kid
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, keyward_keys::Error> {
        self.key.private.sign(self.key.algorithm, message)
    }
}

impl fmt::Debug for RingSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingSigner")
            .field("version", &self.version)
            .field("kid", &self.key.kid)
            .field("algorithm", &self.key.algorithm)
            .finish_non_exhaustive()
    }
}

impl Ring {
    /// The version that signs at a tower.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when the cipher does not sign, [`Error::Derived`] when the ring derives its keys,
    /// [`Error::NotActive`] while no version is active.
    pub fn signer(&self, now: OffsetDateTime) -> Result<RingSigner, Error> {
        if !self.cipher().signs() {
            return Err(self.unsupported("sign"));
        }
        if self.config.derived {
            return Err(Error::Derived { operation: "sign without a context" });
        }
        let active = self.active(self.effective(now));
        active.and_then(RingSigner::new).ok_or_else(|| self.not_active())
    }

    /// Every version that is published and has its key, oldest first. Only the active one signs what is new: the others take back
    /// what they signed, as revocation lists do.
    pub fn published_signers(&self, now: OffsetDateTime) -> Vec<RingSigner> {
        let published = self.published(now).into_iter();
        published.filter_map(|published| self.version(published.version).and_then(RingSigner::new)).collect()
    }

    /// The version that signs at a site which holds a replica of the ring and whose last contact was at
    /// `last_contact`.
    ///
    /// The site signs for `activate-after + deprecate-after` after that contact (1d + 2d where the ring has no
    /// schedule), never by planned dates: even if the ring was rotated a second after the contact, its version signs
    /// at cut-off sites until then, and what it signs verifies for `invalidate-after` longer.
    ///
    /// # Errors
    /// [`Error::CutOff`] from the end of that allowance on, and as [`signer`](Self::signer).
    pub fn signer_cut_off(&self, last_contact: OffsetDateTime, now: OffsetDateTime) -> Result<RingSigner, Error> {
        let allowance = self.overlap().unwrap_or_default().cut_off_allowance();
        let until = last_contact.saturating_add(allowance.to_time());
        if self.effective(now) >= until {
            return Err(Error::CutOff { last_contact, until });
        }
        self.signer(now)
    }
}
