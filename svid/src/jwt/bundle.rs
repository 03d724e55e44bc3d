//! The keys of one trust domain.

use keyward_spiffe_id::TrustDomain;

use crate::jwks::JwkSet;

/// The keys that sign JWT-SVIDs of one trust domain.
///
/// A key set does not say whose it is (SPIFFE Trust Domain and Bundle §4), so it is kept together with the
/// trust domain here, and a key of one trust domain never verifies an identity of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtBundle {
    trust_domain: TrustDomain,
    keys: JwkSet,
}

impl JwtBundle {
    /// Binds keys to a trust domain. An empty set is a bundle too: it refuses every token.
    pub fn new(trust_domain: TrustDomain, keys: JwkSet) -> Self {
        Self { trust_domain, keys }
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
