//! Authenticated encryption.

use std::fmt;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::{Error, backend};

/// A cipher with associated data (RFC 5116), nonces of 96 bits and tags of 128.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum AeadAlgorithm {
    /// AES-128-GCM (NIST SP 800-38D).
    Aes128Gcm,
    /// AES-192-GCM (NIST SP 800-38D).
    Aes192Gcm,
    /// AES-256-GCM (NIST SP 800-38D).
    #[default]
    Aes256Gcm,
    /// ChaCha20-Poly1305 (RFC 8439).
    ChaCha20Poly1305,
}

impl AeadAlgorithm {
    /// Every cipher.
    pub const ALL: &'static [Self] = &[Self::Aes128Gcm, Self::Aes192Gcm, Self::Aes256Gcm, Self::ChaCha20Poly1305];

    /// Bytes of a key.
    pub const fn key_length(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes192Gcm => 24,
            Self::Aes256Gcm | Self::ChaCha20Poly1305 => 32,
        }
    }

    const fn accepted(self) -> &'static str {
        match self {
            Self::Aes128Gcm => "16",
            Self::Aes192Gcm => "24",
            Self::Aes256Gcm | Self::ChaCha20Poly1305 => "32",
        }
    }
}

/// A key for a cipher with associated data, expanded once and kept.
///
/// **A nonce must never serve twice under one key**: whoever sees two such ciphertexts reads both and forges more.
/// The caller sees to that, with random nonces for at most 2³² messages per key (SP 800-38D §8.3) or with a counter.
///
/// ```
/// # use keyward_keys::{AeadAlgorithm, AeadKey};
/// let key = AeadKey::new(AeadAlgorithm::ChaCha20Poly1305, &[7; 32])?;
/// let sealed = key.seal(&[1; 12], b"where it is kept", b"secret")?;
/// assert_eq!(sealed.len(), 6 + 16);
/// assert_eq!(key.open(&[1; 12], b"where it is kept", &sealed)?.as_slice(), b"secret");
/// assert!(key.open(&[1; 12], b"somewhere else", &sealed).is_err());
/// # Ok::<(), keyward_keys::Error>(())
/// ```
pub struct AeadKey {
    algorithm: AeadAlgorithm,
    bytes: Zeroizing<Vec<u8>>,
    cipher: backend::Aead,
}

impl AeadKey {
    /// The key with these bytes. They stay the caller's to clear.
    ///
    /// # Errors
    /// [`Error::Length`] when they are not [`key_length`](AeadAlgorithm::key_length) bytes, [`Error::Backend`] when the
    /// backend cannot expand the key.
    pub fn new(algorithm: AeadAlgorithm, bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() != algorithm.key_length() {
            return Err(Error::Length { what: "symmetric key", found: bytes.len(), accepted: algorithm.accepted() });
        }
        Ok(Self { algorithm, cipher: backend::Aead::new(algorithm, bytes)?, bytes: Zeroizing::new(bytes.to_vec()) })
    }

    /// The AES-256-GCM key with these bytes. They stay the caller's to clear.
    ///
    /// # Errors
    /// [`Error::Backend`] when the backend cannot expand the key.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, Error> {
        Self::new(AeadAlgorithm::Aes256Gcm, bytes)
    }

    /// A fresh AES-256-GCM key.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes).
    pub fn generate(rng: &mut impl CryptoRng) -> Result<Self, Error> {
        Self::generate_for(AeadAlgorithm::Aes256Gcm, rng)
    }

    /// A fresh key for a cipher.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes).
    pub fn generate_for(algorithm: AeadAlgorithm, rng: &mut impl CryptoRng) -> Result<Self, Error> {
        let mut bytes = Zeroizing::new(vec![0; algorithm.key_length()]);
        rng.fill_bytes(bytes.as_mut_slice());
        Self::new(algorithm, &bytes)
    }

    /// The cipher.
    pub fn algorithm(&self) -> AeadAlgorithm {
        self.algorithm
    }

    /// The key's bytes: for sealing them under another key.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Encrypts; the answer is the ciphertext and behind it the tag of 16 bytes. The associated data is authenticated,
    /// not encrypted, and must be given again to open.
    ///
    /// # Errors
    /// [`Error::Backend`] when the backend fails, as for a plaintext beyond 64 GiB.
    pub fn seal(&self, nonce: &[u8; 12], aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, Error> {
        self.cipher.seal(nonce, aad, plaintext)
    }

    /// Decrypts what [`seal`](Self::seal) made. The plaintext's memory is cleared when dropped.
    ///
    /// # Errors
    /// [`Error::DecryptionFailed`], whatever was wrong.
    pub fn open(&self, nonce: &[u8; 12], aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.cipher.open(nonce, aad, sealed).ok_or(Error::DecryptionFailed)
    }
}

impl fmt::Debug for AeadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AeadKey(..)")
    }
}
