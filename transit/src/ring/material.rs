//! The key material of one version.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use keyward_keys::{AeadKey, Algorithm, HashFunction, HmacKey, Jwk, PrivateKey, PublicKey, hkdf_sha256, unwrap_key};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::{Cipher, Error};

/// Bytes of an HMAC key from elsewhere.
const HMAC_LENGTHS: RangeInclusive<usize> = 32..=512;

/// The key material of one version: parsed once, kept by the ring, neither cloned nor printed.
pub struct Material(pub(crate) Key);

/// A key, shared: cloning copies no secret.
#[derive(Clone)]
pub(crate) enum Key {
    Signing(Arc<SigningKey>),
    Aead(Arc<AeadKey>),
    Hmac(Arc<HmacKey>),
    /// From elsewhere, where the private half stayed.
    Public(Arc<Public>),
}

impl Key {
    /// The secret as it is stored: a PKCS#8 document or the bytes of a symmetric key; `None` of a public key alone.
    pub(crate) fn secret(&self) -> Result<Option<Zeroizing<Vec<u8>>>, keyward_keys::Error> {
        Ok(match self {
            Key::Signing(key) => Some(key.private.to_pkcs8_der()?),
            Key::Aead(key) => Some(Zeroizing::new(key.as_bytes().to_vec())),
            Key::Hmac(key) => Some(Zeroizing::new(key.as_bytes().to_vec())),
            Key::Public(_) => None,
        })
    }

    /// The key that a version makes its HMACs with: in a ring of that cipher its own, elsewhere one made of its secret
    /// when it is installed, and stored beside it. `None` where there is no secret.
    pub(crate) fn hmac(&self) -> Result<Option<Arc<HmacKey>>, keyward_keys::Error> {
        match self {
            Key::Hmac(key) => Ok(Some(Arc::clone(key))),
            _ => self.secret()?.map(|secret| hmac_from_secret(&secret).map(Arc::new)).transpose(),
        }
    }
}

/// The salt keeps it apart from every key that a `derived` ring derives, which is done without one.
pub(crate) fn hmac_from_secret(secret: &[u8]) -> Result<HmacKey, keyward_keys::Error> {
    let mut bytes = Zeroizing::new([0; 32]);
    hkdf_sha256(b"keyward transit hmac", secret, b"", bytes.as_mut_slice())?;
    Ok(HmacKey::from_bytes(bytes.as_slice()))
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
        Ok(match (cipher.key_type(), cipher.aead()) {
            (Some(key_type), _) => Self::from_private_key(PrivateKey::generate(key_type)?),
            (None, Some(algorithm)) => Self::from_aead_key(AeadKey::generate_for(algorithm, rng)?),
            (None, None) => Self::from_hmac_key(HmacKey::generate(rng)),
        })
    }

    /// Material from elsewhere: an unencrypted PKCS#8 document (RFC 5208) for a ring that signs, the bytes of the key
    /// for one with a symmetric cipher; an HMAC key has 32 to 512 bytes. They stay the caller's to clear.
    ///
    /// ```
    /// use keyward_transit::{Cipher, Material};
    ///
    /// assert!(Material::from_bytes(Cipher::ChaCha20Poly1305, &[7; 32]).is_ok());
    /// let error = Material::from_bytes(Cipher::Aes128Gcm96, &[7; 32]).unwrap_err();
    /// assert_eq!(error.to_string(), "a symmetric key of 32 bytes is not accepted, only 16");
    /// ```
    ///
    /// # Errors
    /// [`Error::WrongMaterial`] when the document holds a key of another type, [`Error::Keys`] when the bytes are no
    /// key.
    pub fn from_bytes(cipher: Cipher, bytes: &[u8]) -> Result<Self, Error> {
        let material = match (cipher.key_type(), cipher.aead()) {
            (Some(_), _) => Self::from_private_key(PrivateKey::from_pkcs8_der(bytes)?),
            (None, Some(algorithm)) => Self::from_aead_key(AeadKey::new(algorithm, bytes)?),
            (None, None) if HMAC_LENGTHS.contains(&bytes.len()) => Self::from_hmac_key(HmacKey::from_bytes(bytes)),
            (None, None) => {
                let (what, accepted) = ("key for HMACs", "32 to 512");
                return Err(keyward_keys::Error::Length { what, found: bytes.len(), accepted }.into());
            }
        };
        if material.fits(cipher) { Ok(material) } else { Err(Error::WrongMaterial { cipher }) }
    }

    /// Material from elsewhere, wrapped for the way: an ephemeral AES-256 key under RSA-OAEP (`hash` for both of its
    /// hash functions, no label) for the wrapping key, as long as its modulus, and behind it what
    /// [`from_bytes`](Self::from_bytes) takes under AES-KWP (RFC 5649) with the ephemeral key. PKCS #11 knows this form
    /// as `CKM_RSA_AES_KEY_WRAP`.
    ///
    /// # Errors
    /// [`Error::ImportRefused`], whatever was wrong with it; [`Error::Keys`] when the wrapping key is not RSA or the hash
    /// function none of SHA-256, SHA-384 and SHA-512.
    pub fn from_wrapped(
        cipher: Cipher,
        wrapping: &PrivateKey,
        hash: HashFunction,
        wrapped: &[u8],
    ) -> Result<Self, Error> {
        let refused = Error::ImportRefused { cipher };
        let bytes = wrapping.public_key().rsa_bits().unwrap_or_default().div_ceil(8);
        let Some((ephemeral, material)) = wrapped.split_at_checked(bytes) else { return Err(refused) };
        let ephemeral = match wrapping.decrypt_oaep(hash, ephemeral) {
            Ok(key) if key.len() == 32 => key,
            Ok(_) | Err(keyward_keys::Error::DecryptionFailed) => return Err(refused),
            Err(error) => return Err(error.into()),
        };
        let material = unwrap_key(&ephemeral, material).map_err(|_| refused.clone())?;
        Self::from_bytes(cipher, &material).map_err(|_| refused)
    }

    /// The same key, shared: no secret is copied. For a change that may have to be tried again.
    #[must_use]
    pub fn share(&self) -> Self {
        Self(self.0.clone())
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

    /// Material for a ring with the cipher `hmac`.
    pub fn from_hmac_key(key: HmacKey) -> Self {
        Self(Key::Hmac(Arc::new(key)))
    }

    /// A public key whose private half stays elsewhere: its version verifies and, with RSA, encrypts.
    ///
    /// # Errors
    /// [`Error::WrongMaterial`] when it is no key of this cipher.
    pub fn from_public_key(cipher: Cipher, key: PublicKey) -> Result<Self, Error> {
        let public = Public::new(key).filter(|public| public.key.key_type() == cipher.key_type());
        Ok(Self(Key::Public(Arc::new(public.ok_or(Error::WrongMaterial { cipher })?))))
    }

    pub(crate) fn fits(&self, cipher: Cipher) -> bool {
        match &self.0 {
            Key::Public(public) => cipher.key_type().is_some() && public.key.key_type() == cipher.key_type(),
            Key::Signing(key) => cipher.key_type() == Some(key.private.key_type()),
            Key::Aead(key) => cipher.aead() == Some(key.algorithm()),
            Key::Hmac(_) => cipher == Cipher::Hmac,
        }
    }

    pub(crate) fn public(&self) -> Option<Public> {
        match &self.0 {
            Key::Signing(key) => {
                Some(Public { key: key.private.public_key().clone(), algorithm: key.algorithm, kid: key.kid.clone() })
            }
            Key::Public(public) => Some(Public::clone(public)),
            Key::Aead(_) | Key::Hmac(_) => None,
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
        for cipher in Cipher::ALL.into_iter().filter(|cipher| !matches!(cipher, Cipher::Rsa3072 | Cipher::Rsa4096)) {
            let material = Material::generate(cipher, &mut rng(1)).unwrap();
            for other in Cipher::ALL {
                assert_eq!(material.fits(other), cipher == other, "{cipher} in {other}");
            }
            assert_eq!(material.public().is_some(), cipher.signs());
            assert_eq!(format!("{material:?}"), "Material(..)");
        }
    }
}
