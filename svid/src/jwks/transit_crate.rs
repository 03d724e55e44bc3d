//! Keys published by the rings of `keyward-transit`. The signing half needs nothing here: a `RingSigner` is a signer.

use keyward_transit::Published;

use super::{JwksError, VerificationKey};

/// A published version of a ring, with its `kid` and the algorithm it signs with.
///
/// ```
/// # use keyward_svid::{JwkSet, KeyUse, VerificationKey};
/// # use keyward_transit::Ring;
/// # fn key_set(ring: &Ring, now: time::OffsetDateTime) -> Result<JwkSet, keyward_svid::jwks::JwksError> {
/// let keys: Vec<VerificationKey> = ring.published(now).iter().map(VerificationKey::try_from).collect::<Result<_, _>>()?;
/// Ok(JwkSet::new(KeyUse::Signature, keys))
/// # }
/// ```
///
/// A ring of Ed25519 keys is refused: JWT-SVID §2.1 does not allow them.
impl TryFrom<&Published> for VerificationKey {
    type Error = JwksError;

    fn try_from(published: &Published) -> Result<Self, JwksError> {
        Self::from_jwk(&published.jwk)
    }
}
