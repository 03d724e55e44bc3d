//! HMAC and HKDF.

use std::fmt;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::{Error, HashFunction, backend};

/// A key for HMAC (RFC 2104) with any hash function.
///
/// ```
/// use keyward_keys::{HashFunction, HmacKey};
///
/// let key = HmacKey::from_bytes(&[7; 32]);
/// let tag = key.sign(HashFunction::Sha2_256, b"message");
/// key.verify(HashFunction::Sha2_256, b"message", &tag)?;
/// assert!(key.verify(HashFunction::Sha2_256, b"message", &tag[..31]).is_err());
/// # Ok::<(), keyward_keys::Error>(())
/// ```
pub struct HmacKey(Zeroizing<Vec<u8>>);

impl HmacKey {
    /// The key with these bytes, of any length; below 32 it is weaker than its hash function.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }

    /// A fresh key of 32 bytes.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new(vec![0; 32]);
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The key's bytes: for sealing them under another key.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The tag of a message, as long as a digest.
    pub fn sign(&self, hash: HashFunction, message: &[u8]) -> Vec<u8> {
        hmac(hash, &self.0, message)
    }

    /// Compares a tag with that of the message, in constant time. Cut-off tags are refused.
    ///
    /// # Errors
    /// [`Error::BadSignature`].
    pub fn verify(&self, hash: HashFunction, message: &[u8], tag: &[u8]) -> Result<(), Error> {
        if backend::equal(&self.sign(hash, message), tag) { Ok(()) } else { Err(Error::BadSignature) }
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HmacKey(..)")
    }
}

fn hmac(hash: HashFunction, key: &[u8], message: &[u8]) -> Vec<u8> {
    if let Some(tag) = backend::hmac(hash, key, message) {
        return tag;
    }
    // RFC 2104 §2, for the functions that a backend has no HMAC of.
    let key = if key.len() > hash.block() { Zeroizing::new(hash.digest(key)) } else { Zeroizing::new(key.to_vec()) };
    let keyed = |pad: u8, text: &[u8]| {
        let mut input = Zeroizing::new(Vec::with_capacity(hash.block() + text.len()));
        input.extend(key.iter().copied().chain(std::iter::repeat(0)).take(hash.block()).map(|byte| byte ^ pad));
        input.extend_from_slice(text);
        hash.digest(&input)
    };
    keyed(0x5c, &keyed(0x36, message))
}

/// HKDF with SHA-256 (RFC 5869): fills `out` with key material from `secret`. An empty salt is the RFC's default.
///
/// ```
/// let mut key = [0; 32];
/// keyward_keys::hkdf_sha256(b"", b"secret", b"what for", &mut key)?;
/// # Ok::<(), keyward_keys::Error>(())
/// ```
///
/// # Errors
/// [`Error::Length`] for more than 8160 bytes (RFC 5869 §2.3).
pub fn hkdf_sha256(salt: &[u8], secret: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), Error> {
    const LONGEST: usize = 255 * 32;
    if out.len() > LONGEST {
        return Err(Error::Length { what: "key derived by HKDF", found: out.len(), accepted: "up to 8160" });
    }
    let extracted = Zeroizing::new(hmac(HashFunction::Sha2_256, salt, secret));
    let mut input = Zeroizing::new(Vec::with_capacity(32 + info.len() + 1));
    for (block, number) in out.chunks_mut(32).zip(1..=u8::MAX) {
        input.extend_from_slice(info);
        input.push(number);
        let output = Zeroizing::new(hmac(HashFunction::Sha2_256, &extracted, &input));
        block.iter_mut().zip(output.iter()).for_each(|(to, from)| *to = *from);
        input = Zeroizing::new(Vec::with_capacity(32 + info.len() + 1));
        input.extend_from_slice(&output);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_construction_is_that_of_the_backend() {
        for hash in [HashFunction::Sha2_224, HashFunction::Sha2_256, HashFunction::Sha2_384, HashFunction::Sha2_512] {
            for length in [0, 1, 32, 63, 64, 65, 128, 129, 200] {
                let key = vec![0xaa; length];
                let expected = backend::hmac(hash, &key, b"message").unwrap();
                let pad = |pad: u8, text: &[u8]| {
                    let mut block = if length > hash.block() { hash.digest(&key) } else { key.clone() };
                    block.resize(hash.block(), 0);
                    block.iter_mut().for_each(|byte| *byte ^= pad);
                    hash.digest(&[block.as_slice(), text].concat())
                };
                assert_eq!(pad(0x5c, &pad(0x36, b"message")), expected, "{hash} {length}");
            }
        }
    }

    #[test]
    fn debug_shows_nothing_and_hkdf_has_an_end() {
        assert_eq!(format!("{:?}", HmacKey::from_bytes(&[7; 32])), "HmacKey(..)");
        let error = hkdf_sha256(b"", b"", b"", &mut [0; 8161]).unwrap_err();
        assert_eq!(error.to_string(), "a key derived by HKDF of 8161 bytes is not accepted, only up to 8160");
        hkdf_sha256(b"", b"", b"", &mut [0; 8160]).unwrap();
    }
}
