//! Keys derived from those of the ring, one per context, and nonces derived from plaintexts.
//!
//! HKDF-SHA256 (RFC 5869) of the version's key, without salt, with the context as `info`. Its output is, in this order:
//!
//! 1. the key that encrypts, as long as the cipher's (or the 32 bytes of an Ed25519 seed; the secret is then the seed and
//!    behind it the public key);
//! 2. 32 bytes for the nonces of convergent encryption: the first 12 bytes of HMAC-SHA256 of the plaintext;
//! 3. 32 bytes for those of plaintexts with associated data: HMAC-SHA256 of its length (64 bits, big-endian), the
//!    associated data and the plaintext. One nonce for two different associated data would give away the key that
//!    authenticates (NIST SP 800-38D appendix A).
//!
//! 1 and 2 are what Vault and OpenBao do. A nonce is part of the ciphertext, so they read 3 as well.

use keyward_keys::{AeadKey, HashFunction, HmacKey, PrivateKey, hkdf_sha256};
use zeroize::Zeroizing;

use super::encrypt::NONCE;
use crate::Error;

/// The key that encrypts in one context.
pub(super) fn aead(root: &AeadKey, context: &[u8]) -> Result<AeadKey, Error> {
    let mut bytes = Zeroizing::new(vec![0; root.algorithm().key_length()]);
    hkdf_sha256(b"", root.as_bytes(), context, &mut bytes)?;
    Ok(AeadKey::new(root.algorithm(), &bytes)?)
}

/// The key that encrypts in one context, and the nonce of convergent encryption.
pub(super) fn convergent(
    root: &AeadKey,
    context: &[u8],
    associated_data: &[u8],
    plaintext: &[u8],
) -> Result<(AeadKey, [u8; NONCE]), Error> {
    const KEY: usize = 32;
    let algorithm = root.algorithm();
    let skipped = if associated_data.is_empty() { 0 } else { KEY };
    let mut bytes = Zeroizing::new(vec![0; algorithm.key_length() + skipped + KEY]);
    hkdf_sha256(b"", root.as_bytes(), context, &mut bytes)?;
    let (key, rest) = bytes.split_at_checked(algorithm.key_length()).unwrap_or_default();
    let nonce_key = HmacKey::from_bytes(rest.get(skipped..).unwrap_or_default());
    let tag = if associated_data.is_empty() {
        nonce_key.sign(HashFunction::Sha2_256, plaintext)
    } else {
        let length = u64::try_from(associated_data.len()).unwrap_or(u64::MAX).to_be_bytes();
        let bound = Zeroizing::new([&length, associated_data, plaintext].concat());
        nonce_key.sign(HashFunction::Sha2_256, &bound)
    };
    let mut nonce = [0; NONCE];
    nonce.iter_mut().zip(tag).for_each(|(to, from)| *to = from);
    Ok((AeadKey::new(algorithm, key)?, nonce))
}

/// The Ed25519 key of one context.
pub(super) fn ed25519(root: &PrivateKey, context: &[u8]) -> Result<PrivateKey, Error> {
    let cannot = || keyward_keys::Error::Backend { operation: "key derivation" };
    let seed = root.ed25519_seed()?.ok_or_else(cannot)?;
    let public = root.public_key().ed25519_bytes().ok_or_else(cannot)?;
    let mut secret = Zeroizing::new([0; 64]);
    secret.iter_mut().zip(seed.iter().chain(public)).for_each(|(to, from)| *to = *from);
    let mut derived = Zeroizing::new([0; 32]);
    hkdf_sha256(b"", secret.as_slice(), context, derived.as_mut_slice())?;
    Ok(PrivateKey::ed25519_from_seed(&derived)?)
}
