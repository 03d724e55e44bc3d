//! What a bundle that was fetched means for the one that is held.

use keyward_keys::Algorithm;

use super::{Bundle, Error};
use crate::jwks::JwkSet;

/// How a bundle differs from the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Change {
    /// Not at all.
    None,
    /// It is another one, and its sequence number says so, or the one before has none.
    Newer,
    /// It has no sequence number, though the one before has. It is taken nevertheless: a number is no duty of the
    /// publisher's (SPIFFE Trust Domain and Bundle §4.1.1), and refusing what was fetched last would keep revoked keys
    /// alive.
    Unnumbered,
    /// Its content is another under the same sequence number, which a publisher must not do (SPIFFE Trust Domain and
    /// Bundle §4.1.1). It is taken nevertheless: which of the two is older cannot be told, and refusing the one fetched
    /// last would keep revoked keys alive. Other implementations take it as well.
    Unannounced,
}

impl Bundle {
    /// What it would mean to hold `newer` instead.
    ///
    /// # Errors
    /// [`Error::TrustDomain`] when it belongs to another trust domain, [`Error::Rollback`] when its sequence number is
    /// lower. A bundle without a number follows any other (SPIFFE Federation §4.2). Of the bundles before this one
    /// it knows nothing: a [`Relationship`](crate::federation::Relationship) remembers their highest number.
    pub fn change_to(&self, newer: &Bundle) -> Result<Change, Error> {
        if self.trust_domain() != newer.trust_domain() {
            let (expected, found) = (self.trust_domain().clone(), newer.trust_domain().clone());
            return Err(Error::TrustDomain { expected, found });
        }
        match (self.sequence, newer.sequence) {
            (Some(held), Some(offered)) if offered < held => {
                Err(Error::Rollback { trust_domain: self.trust_domain().clone(), held, offered })
            }
            _ if self == newer => Ok(Change::None),
            (Some(held), Some(offered)) if held == offered => Ok(Change::Unannounced),
            (Some(_), None) => Ok(Change::Unnumbered),
            _ => Ok(Change::Newer),
        }
    }

    /// The bundle to hold from now on.
    ///
    /// # Errors
    /// As [`change_to`](Self::change_to); then this one stays.
    pub fn accept_newer(&self, newer: Bundle) -> Result<Bundle, Error> {
        self.change_to(&newer).map(|_| newer)
    }
}

impl PartialEq for Bundle {
    fn eq(&self, other: &Self) -> bool {
        let same = self.trust_domain() == other.trust_domain()
            && (self.sequence, self.refresh_hint) == (other.sequence, other.refresh_hint)
            && (self.x509 == other.x509 || authorities(self) == authorities(other))
            && same_keys(self.jwt.keys(), other.jwt.keys());
        #[cfg(feature = "wit")]
        let same = same && same_keys(self.wit.keys(), other.wit.keys());
        same
    }
}

impl Eq for Bundle {}

fn authorities(bundle: &Bundle) -> Vec<&[u8]> {
    let mut authorities: Vec<&[u8]> = bundle.x509.authorities().iter().map(AsRef::as_ref).collect();
    authorities.sort_unstable();
    authorities
}

fn same_keys(ours: &JwkSet, theirs: &JwkSet) -> bool {
    fn keys(set: &JwkSet) -> Vec<(Option<&str>, Option<&'static str>, Vec<u8>)> {
        let mut keys: Vec<_> = set
            .keys()
            .iter()
            .map(|key| (key.kid(), key.algorithm().map(Algorithm::as_str), key.public_key().to_spki_der()))
            .collect();
        keys.sort_unstable();
        keys
    }
    ours == theirs || keys(ours) == keys(theirs)
}
