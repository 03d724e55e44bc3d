//! The keys of one trust domain that sign WIT-SVIDs.

use keyward_spiffe_id::TrustDomain;

use super::error::VerifierError;
#[cfg(feature = "x509")]
use crate::jwks::VerificationKey;
use crate::jwks::{JwkSet, KeyUse};

/// The keys that sign WIT-SVIDs of one trust domain, and of that one only.
#[derive(Debug, Clone)]
pub struct WitBundle {
    trust_domain: TrustDomain,
    keys: JwkSet,
}

impl WitBundle {
    /// Binds keys to a trust domain. An empty set refuses every token.
    ///
    /// # Errors
    /// [`VerifierError::KeyUse`] for keys that are there for something else (WIT-SVID §6.2).
    pub fn new(trust_domain: TrustDomain, keys: JwkSet) -> Result<Self, VerifierError> {
        if keys.key_use() != KeyUse::WitSvid {
            return Err(VerifierError::KeyUse { found: keys.key_use() });
        }
        Ok(Self { trust_domain, keys })
    }

    /// Keys that were read or made for WIT-SVIDs.
    #[cfg(feature = "x509")]
    pub(crate) fn of(trust_domain: &TrustDomain, keys: impl IntoIterator<Item = VerificationKey>) -> Self {
        Self { trust_domain: trust_domain.clone(), keys: JwkSet::new(KeyUse::WitSvid, keys) }
    }

    /// Whose keys these are.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The keys.
    pub fn keys(&self) -> &JwkSet {
        &self.keys
    }
}
