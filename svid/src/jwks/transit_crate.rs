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

#[cfg(test)]
mod tests {
    use keyward_keys::{KeyType, PrivateKey};
    use keyward_transit::{FirstActivation, Material, Ring};
    use time::{Duration, OffsetDateTime};

    use super::*;
    use crate::jwks::{JwkSet, KeyUse};
    use crate::jwt::{JwtBundle, MintError, MintRequest, Verifier, VerifyOptions, mint};

    fn ring(cipher: &str, key_type: KeyType, now: OffsetDateTime) -> Ring {
        let config = serde_json::from_value(serde_json::json!({"name": "spiffe-jwt", "cipher": cipher})).unwrap();
        let mut ring = Ring::new(config, FirstActivation::AtOnce, now).unwrap();
        ring.install(1, Material::from_private_key(PrivateKey::generate(key_type).unwrap()), now).unwrap();
        ring
    }

    fn request() -> MintRequest {
        MintRequest::new("spiffe://td.example/w".parse().unwrap(), ["a"], Duration::MINUTE).unwrap()
    }

    #[test]
    fn a_ring_signs_and_what_it_publishes_verifies() {
        let now = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
        for (cipher, key_type) in [("rsa-2048", KeyType::Rsa2048), ("ecdsa-p521", KeyType::EcdsaP521)] {
            let ring = ring(cipher, key_type, now);
            let token = mint(&ring.signer(now).unwrap(), &request(), now).unwrap();
            let keys = ring.published(now).iter().map(VerificationKey::try_from).collect::<Result<Vec<_>, _>>();
            let document = JwkSet::new(KeyUse::Signature, keys.unwrap()).to_json();
            let keys = JwkSet::from_json(document.as_bytes(), KeyUse::Signature).unwrap();
            let bundle = JwtBundle::new("td.example".parse().unwrap(), keys);
            let verifier = Verifier::new(["a"], VerifyOptions::default()).unwrap();
            let svid = verifier.verify(token.as_str(), &bundle, now).unwrap();
            assert_eq!(svid.kid(), Some(ring.published(now)[0].kid.as_str()));
        }
    }

    #[test]
    fn a_ring_of_ed25519_neither_mints_nor_publishes() {
        let now = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
        let ring = ring("ed25519", KeyType::Ed25519, now);
        let error = mint(&ring.signer(now).unwrap(), &request(), now).unwrap_err();
        assert!(matches!(error, MintError::Algorithm { .. }));
        let error = VerificationKey::try_from(&ring.published(now)[0]).unwrap_err();
        assert_eq!(error.to_string(), "a key of type `OKP` with algorithm `EdDSA` cannot verify JWT-SVIDs");
    }
}
