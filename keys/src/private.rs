//! Private keys.

use std::fmt;

use zeroize::Zeroizing;

use crate::encoding::ecdsa::Form;
use crate::encoding::pkcs8::{self, Content};
use crate::{Algorithm, Error, HashFunction, KeyType, PublicKey, backend};

/// A private key: parsed once, kept ready for signing, its public key beside it.
///
/// It cannot be cloned or serialized by accident, and `Debug` shows nothing. RSA keys have 2048, 3072 or 4096 bits.
///
/// ```
/// use keyward_keys::{Algorithm, KeyType, PrivateKey};
///
/// let key = PrivateKey::generate(KeyType::EcdsaP256)?;
/// let signature = key.sign(Algorithm::Es256, b"message")?;
/// assert_eq!(signature.len(), 64);
/// key.public_key().verify(Algorithm::Es256, b"message", &signature)?;
/// # Ok::<(), keyward_keys::Error>(())
/// ```
pub struct PrivateKey {
    key: backend::SigningKey,
    key_type: KeyType,
    public: PublicKey,
}

impl PrivateKey {
    /// Generates a key pair with the backend's own randomness. RSA exponents are 65537. RSA takes tens to hundreds of
    /// milliseconds, and pure Rust several times as long: not for a thread that must answer.
    ///
    /// # Errors
    /// [`Error::Backend`] when the system has no randomness.
    pub fn generate(key_type: KeyType) -> Result<Self, Error> {
        Self::new(backend::SigningKey::generate(key_type)?)
    }

    /// Reads an unencrypted PKCS#8 document (RFC 5208; for Ed25519 also version 2, RFC 5958).
    ///
    /// # Errors
    /// When the bytes are not exactly that, type, curve or size is not supported, or public and private values do not
    /// belong together.
    pub fn from_pkcs8_der(document: &[u8]) -> Result<Self, Error> {
        Self::new(backend::SigningKey::from_pkcs8(&pkcs8::inspect(document)?, document)?)
    }

    /// Reads a PEM text labelled `PRIVATE KEY` (RFC 7468 §10).
    ///
    /// # Errors
    /// As [`from_pkcs8_der`](Self::from_pkcs8_der), and when it is no such text.
    pub fn from_pkcs8_pem(pem: &str) -> Result<Self, Error> {
        Self::from_pkcs8_der(&pkcs8::from_pem(pem)?)
    }

    /// The Ed25519 key with this seed (RFC 8032 §5.1.5). The seed stays the caller's to clear.
    ///
    /// # Errors
    /// [`Error::InvalidPrivateKey`] when the backend refuses it.
    pub fn ed25519_from_seed(seed: &[u8; 32]) -> Result<Self, Error> {
        Self::new(backend::SigningKey::from_pkcs8(&Content::Ed25519 { seed, public: None }, &[])?)
    }

    /// The seed of an Ed25519 key, in memory that is cleared when dropped; `None` for another type.
    ///
    /// # Errors
    /// [`Error::Backend`] when the backend cannot encode its key.
    pub fn ed25519_seed(&self) -> Result<Option<Zeroizing<[u8; 32]>>, Error> {
        if self.key_type != KeyType::Ed25519 {
            return Ok(None);
        }
        match pkcs8::inspect(&self.to_pkcs8_der()?)? {
            Content::Ed25519 { seed, .. } => Ok(Some(Zeroizing::new(*seed))),
            _ => Ok(None),
        }
    }

    fn new(key: backend::SigningKey) -> Result<Self, Error> {
        let parts = key.parts()?;
        let key_type = parts.key_pair_type()?;
        Ok(Self { key, key_type, public: PublicKey::new(parts)? })
    }

    /// Writes the PKCS#8 document, version 1, in memory that is cleared when dropped.
    ///
    /// # Errors
    /// [`Error::Backend`] when the backend cannot encode its key.
    pub fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.key.to_pkcs8()
    }

    /// Writes the document as PEM, in memory that is cleared when dropped.
    ///
    /// # Errors
    /// As [`to_pkcs8_der`](Self::to_pkcs8_der).
    pub fn to_pkcs8_pem(&self) -> Result<Zeroizing<String>, Error> {
        pkcs8::to_pem(&self.to_pkcs8_der()?)
    }

    /// Writes the key in the form that its algorithm had before PKCS#8, as PEM in memory that is cleared when dropped:
    /// `RSA PRIVATE KEY` (RFC 8017 appendix A.1.2) or `EC PRIVATE KEY` (RFC 5915 §3, the curve named). Ed25519 never had
    /// another form.
    ///
    /// # Errors
    /// [`Error::CannotDo`] for Ed25519, [`Error::Backend`] when the backend cannot encode its key.
    pub fn to_traditional_pem(&self) -> Result<Zeroizing<String>, Error> {
        pkcs8::to_traditional_pem(&self.to_pkcs8_der()?)
    }

    /// The type of the key.
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// The public half.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Signs in the form of JWS: an ECDSA signature is the two numbers, fixed width, r then s (RFC 7518 §3.4).
    ///
    /// # Errors
    /// [`Error::AlgorithmMismatch`] when the algorithm does not fit the key, [`Error::Backend`] when the backend fails.
    pub fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.public.demand_fit(algorithm)?;
        self.key.sign(algorithm, Form::Fixed, message)
    }

    /// Signs in the form of X.509: an ECDSA signature is a DER `SEQUENCE` (RFC 3279 §2.2.3). For RSA and Ed25519 the
    /// same as [`sign`](Self::sign).
    ///
    /// # Errors
    /// As [`sign`](Self::sign).
    pub fn sign_asn1(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.public.demand_fit(algorithm)?;
        self.key.sign(algorithm, Form::Asn1, message)
    }

    /// Signs a digest that was made elsewhere, in the form of JWS. RSA wants a digest of the algorithm's own hash
    /// function; ECDSA takes one of 28 to 64 bytes, of which it uses as many bits as the curve has (FIPS 186-5 §6.4.1).
    /// Ed25519 signs messages only.
    ///
    /// # Errors
    /// [`Error::AlgorithmMismatch`] when the algorithm does not fit the key, [`Error::Length`] when the digest does not
    /// fit the algorithm, [`Error::CannotDo`] for Ed25519, [`Error::Backend`] when the backend fails.
    pub fn sign_digest(&self, algorithm: Algorithm, digest: &[u8]) -> Result<Vec<u8>, Error> {
        self.sign_digest_as(algorithm, Form::Fixed, digest)
    }

    /// Signs a digest that was made elsewhere, in the form of X.509: see [`sign_digest`](Self::sign_digest) and
    /// [`sign_asn1`](Self::sign_asn1).
    ///
    /// # Errors
    /// As [`sign_digest`](Self::sign_digest).
    pub fn sign_digest_asn1(&self, algorithm: Algorithm, digest: &[u8]) -> Result<Vec<u8>, Error> {
        self.sign_digest_as(algorithm, Form::Asn1, digest)
    }

    fn sign_digest_as(&self, algorithm: Algorithm, form: Form, digest: &[u8]) -> Result<Vec<u8>, Error> {
        self.public.demand_fit(algorithm)?;
        self.key.sign_digest(algorithm, form, &algorithm.fit_digest(digest)?)
    }

    /// Decrypts RSA-OAEP (RFC 8017 §7.1) without a label, `hash` serving for both of its hash functions.
    ///
    /// # Errors
    /// [`Error::DecryptionFailed`], whatever was wrong with the ciphertext; [`Error::CannotDo`] when the key is not RSA,
    /// [`Error::HashMismatch`] for hash functions other than SHA-256, SHA-384 and SHA-512.
    pub fn decrypt_oaep(&self, hash: HashFunction, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let bytes = self.public.demand_oaep("decrypt", hash)?;
        // RFC 8017 §7.1.2, step 1b.
        if ciphertext.len() != bytes {
            return Err(Error::DecryptionFailed);
        }
        self.key.decrypt_oaep(hash, ciphertext).ok_or(Error::DecryptionFailed)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
        assert_eq!(format!("{key:?}"), "PrivateKey(..)");
        assert_eq!(format!("{key:#?}"), "PrivateKey(..)");
    }
}
