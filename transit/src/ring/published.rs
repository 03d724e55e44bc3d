//! What verifiers see of a ring.

use keyward_config_values::Duration;
use keyward_keys::{Algorithm, Jwk, PublicKey};
use time::OffsetDateTime;

use super::{Ring, Version};
use crate::Error;

/// One published version.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// The number of the version.
    pub version: u32,
    /// The key ID: the RFC 7638 thumbprint of the key, the same as in `jwk`.
    pub kid: String,
    /// The public key with `kid`, `alg` and `use=sig`, fit for a key set (RFC 7517).
    pub jwk: Jwk,
}

impl Ring {
    /// The versions that belong into a key set: pending ones, so that verifiers know them before they sign, and all
    /// others until they are invalid. Empty for a ring that does not sign.
    ///
    /// In a ring that signs JWTs, versions that were superseded before it did are left out: no JWT is theirs.
    pub fn published(&self, now: OffsetDateTime) -> Vec<Published> {
        let at = self.effective(now);
        let published = self.versions.iter().filter(|version| self.is_published(version, at));
        published
            .filter_map(|version| {
                let public = version.public.as_ref()?;
                Some(Published { version: version.number, kid: public.kid.clone(), jwk: public.to_jwk() })
            })
            .collect()
    }

    /// The latest time by `now` at which a version of this ring appeared or became invalid; `None` while there is no version.
    /// What [`published`](Self::published) answers changes at such times, and when the ring is stored anew.
    pub fn published_changed_at(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let at = self.effective(now);
        let changes = self.versions.iter().flat_map(|v| [Some(v.times.created), v.times.invalid]).flatten();
        changes.filter(|change| *change <= at).max()
    }

    /// The `max-age` with which a key set holding this ring may be served: see
    /// [`Overlap::jwks_max_age`](crate::Overlap::jwks_max_age). It is the same at all times.
    pub fn max_age(&self) -> Duration {
        self.overlap().unwrap_or_default().jwks_max_age()
    }

    /// The published public key with this key ID.
    pub fn verifying_key(&self, kid: &str, now: OffsetDateTime) -> Option<&PublicKey> {
        self.published_by_kid(kid, now).map(|(key, _)| key)
    }

    /// Verifies a signature in the form of JWS (RFC 7518 §3.4) by the published version with this key ID.
    ///
    /// # Errors
    /// [`Error::SignatureRefused`], whatever the reason.
    pub fn verify_by_kid(&self, kid: &str, message: &[u8], signature: &[u8], now: OffsetDateTime) -> Result<(), Error> {
        let (key, algorithm) = self.published_by_kid(kid, now).ok_or(Error::SignatureRefused)?;
        key.verify(algorithm, message, signature).map_err(|_| Error::SignatureRefused)
    }

    fn published_by_kid(&self, kid: &str, now: OffsetDateTime) -> Option<(&PublicKey, Algorithm)> {
        let version = self.by_kid(kid)?;
        let public = version.public.as_ref()?;
        self.is_published(version, self.effective(now)).then_some((&public.key, public.algorithm))
    }

    pub(crate) fn is_published(&self, version: &Version, at: OffsetDateTime) -> bool {
        let before_jwts = self.signs_jwts_since.zip(version.times.superseded).is_some_and(|(since, end)| end <= since);
        // The keys of a ring that derives them are not those that sign.
        version.public.is_some() && !self.config.derived && version.times.phase(at).is_published() && !before_jwts
    }
}
