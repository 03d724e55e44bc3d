//! AES-256-GCM.

use std::fmt;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::{Error, backend};

/// A key for AES-256-GCM (NIST SP 800-38D) with nonces of 96 bits and tags of 128, expanded once and kept.
///
/// **A nonce must never serve twice under one key**: whoever sees two such ciphertexts reads both and forges more.
/// The caller sees to that, with random nonces for at most 2³² messages per key (SP 800-38D §8.3) or with a counter.
///
/// ```
/// # use keyward_keys::AeadKey;
/// let key = AeadKey::from_bytes(&[7; 32])?;
/// let sealed = key.seal(&[1; 12], b"where it is kept", b"secret")?;
/// assert_eq!(sealed.len(), 6 + 16);
/// assert_eq!(key.open(&[1; 12], b"where it is kept", &sealed)?.as_slice(), b"secret");
/// assert!(key.open(&[1; 12], b"somewhere else", &sealed).is_err());
/// # Ok::<(), keyward_keys::Error>(())
/// ```
pub struct AeadKey {
    bytes: Zeroizing<[u8; 32]>,
    cipher: backend::Aead,
}

impl AeadKey {
    /// The key with these bytes. They stay the caller's to clear.
    ///
    /// # Errors
    /// [`Error::Backend`] when the backend cannot expand the key.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, Error> {
        Ok(Self { bytes: Zeroizing::new(*bytes), cipher: backend::Aead::new(bytes)? })
    }

    /// A fresh key.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes).
    pub fn generate(rng: &mut impl CryptoRng) -> Result<Self, Error> {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(bytes.as_mut_slice());
        Self::from_bytes(&bytes)
    }

    /// The key's bytes: for sealing them under another key.
    pub fn as_bytes(&self) -> &[u8; 32] {
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
