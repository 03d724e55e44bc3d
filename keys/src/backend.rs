//! The cryptography itself. Two modules with one internal shape, of which one serves:
//!
//! - `VerifyingKey`: `new(&Parts)`, `verify(Algorithm, Form, message, signature) -> bool`
//! - `SigningKey`: `generate(KeyType)`, `from_pkcs8(&Content, document)`, `to_pkcs8()`, `parts()`, `sign(Algorithm, Form, message)`
//! - both also with a digest in place of the message (`sign_digest`, `verify_digest`), and RSA-OAEP (`encrypt_oaep`,
//!   `decrypt_oaep`)
//! - `Aead`: `new(AeadAlgorithm, key)`, `seal(nonce, aad, plaintext)`, `open(nonce, aad, ciphertext)`
//! - `sha256(bytes)`, `digest(HashFunction, bytes)`, `hmac(HashFunction, key, message)` where there is one, `wrap_key(kek, material)`,
//!   `unwrap_key(kek, wrapped)`, `equal(a, b)` in constant time
//!
//! Callers have checked that the algorithm fits the key, that keys and digests have a fitting length.

#[cfg(feature = "aws-lc-rs")]
mod aws_lc;
#[cfg(feature = "aws-lc-rs")]
pub(crate) use aws_lc::{Aead, SigningKey, VerifyingKey, digest, equal, hmac, sha256, unwrap_key, wrap_key};

// With both features on it is compiled for the differential tests alone.
#[cfg(all(feature = "rust-crypto", any(test, not(feature = "aws-lc-rs"))))]
mod rust_crypto;
#[cfg(all(feature = "rust-crypto", not(feature = "aws-lc-rs")))]
pub(crate) use rust_crypto::{Aead, SigningKey, VerifyingKey, digest, equal, hmac, sha256, unwrap_key, wrap_key};

#[cfg(not(any(feature = "aws-lc-rs", feature = "rust-crypto")))]
compile_error!("keyward-keys needs a crypto backend: enable its feature `aws-lc-rs` (the default) or `rust-crypto`");

#[cfg(all(test, feature = "aws-lc-rs", feature = "rust-crypto"))]
mod differential;
