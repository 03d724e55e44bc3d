//! The key material of one version.

use std::fmt;
use std::sync::Arc;

use keyward_keys::{AeadKey, Algorithm, Jwk, PrivateKey, PublicKey};
use rand_core::CryptoRng;

use crate::{Cipher, Error};

/// The key material of one version: parsed once, kept by the ring, neither cloned nor printed.
pub struct Material(pub(crate) Key);

/// A key, shared: cloning copies no secret.
#[derive(Clone)]
pub(crate) enum Key {
    Signing(Arc<SigningKey>),
    Aead(Arc<AeadKey>),
}

/// A private key with what every signature of it needs.
pub(crate) struct SigningKey {
    pub(crate) private: PrivateKey,
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: String,
}

impl Material {
    /// Fresh material for a version of a ring with this cipher.
    ///
    /// Symmetric keys come from `rng`; key pairs from the randomness of the crypto backend. RSA
    /// takes its time (about 60 ms for 2048 bits): generate where nobody waits.
    ///
    /// # Errors
    /// [`Error::Keys`] when the backend fails.
    pub fn generate(cipher: Cipher, rng: &mut impl CryptoRng) -> Result<Self, Error> {
        match cipher.key_type() {
            Some(key_type) => Ok(Self::from_private_key(PrivateKey::generate(key_type)?)),
            None => Ok(Self::from_aead_key(AeadKey::generate(rng)?)),
        }
    }

    /// Material for a ring that signs.
    pub fn from_private_key(private: PrivateKey) -> Self {
        Self(Key::Signing(Arc::new(SigningKey {
            algorithm: Algorithm::default_for(private.key_type()),
            kid: private.public_key().thumbprint(),
            private,
        })))
    }

    /// Material for a ring that encrypts.
    pub fn from_aead_key(key: AeadKey) -> Self {
        Self(Key::Aead(Arc::new(key)))
    }

    pub(crate) fn fits(&self, cipher: Cipher) -> bool {
        match &self.0 {
            Key::Signing(key) => cipher.key_type() == Some(key.private.key_type()),
            Key::Aead(_) => cipher == Cipher::Aes256Gcm96,
        }
    }

    pub(crate) fn public(&self) -> Option<Public> {
        match &self.0 {
            Key::Signing(key) => {
                Some(Public { key: key.private.public_key().clone(), algorithm: key.algorithm, kid: key.kid.clone() })
            }
            Key::Aead(_) => None,
        }
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Material(..)")
    }
}

/// The public half of a version, which outlives the private one.
#[derive(Debug, Clone)]
pub(crate) struct Public {
    pub(crate) key: PublicKey,
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: String,
}

impl Public {
    /// From a stored public key; `None` where no cipher has such keys.
    pub(crate) fn new(key: PublicKey) -> Option<Self> {
        Some(Self { algorithm: Algorithm::default_for(key.key_type()?), kid: key.thumbprint(), key })
    }

    /// As it stands in a key set.
    pub(crate) fn to_jwk(&self) -> Jwk {
        self.key.to_jwk().with_kid(self.kid.as_str()).with_alg(self.algorithm).with_use("sig")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rng;

    #[test]
    fn material_fits_its_cipher_alone_and_shows_nothing() {
        for cipher in [Cipher::Aes256Gcm96, Cipher::EcdsaP256, Cipher::Ed25519] {
            let material = Material::generate(cipher, &mut rng(1)).unwrap();
            for other in Cipher::ALL {
                assert_eq!(material.fits(other), cipher == other, "{cipher} in {other}");
            }
            assert_eq!(material.public().is_some(), cipher.signs());
            assert_eq!(format!("{material:?}"), "Material(..)");
        }
    }
}
