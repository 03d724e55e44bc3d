#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]
//! Signature algorithms, private and public keys, JSON Web Keys, encryption and hashing, over one of two backends.
//!
//! A key is checked and parsed once and then kept ready: signing and verifying cost what the primitive costs.
//!
//! ```
//! use keyward_keys::{Algorithm, KeyType, PrivateKey, PublicKey};
//!
//! let private = PrivateKey::generate(KeyType::EcdsaP256)?;
//! let signature = private.sign(Algorithm::Es256, b"message")?;
//!
//! // What is published, and what a stranger does with it.
//! let jwk = private.public_key().to_jwk().with_kid("2026-03").with_alg(Algorithm::Es256).with_use("sig");
//! let public = PublicKey::from_jwk(&jwk)?;
//! public.verify(Algorithm::Es256, b"message", &signature)?;
//!
//! // What is kept, in memory that is cleared when dropped.
//! let document = private.to_pkcs8_der()?;
//! assert_eq!(PrivateKey::from_pkcs8_der(&document)?.public_key(), &public);
//! # Ok::<(), keyward_keys::Error>(())
//! ```
//!
//! # Backends
//!
//! - `aws-lc-rs` (default): constant time and fast; needs a C compiler to build.
//! - `rust-crypto`: pure Rust (`rsa`, `p256`, `p384`, `p521`, `ed25519-dalek`, `aes-gcm`, …), for builds without a C
//!   compiler. **RSA private-key operations are not constant time there**
//!   ([RUSTSEC-2023-0071](https://rustsec.org/advisories/RUSTSEC-2023-0071)): whoever can time many of them over a
//!   network may learn the key. Verify with it, sign with ECDSA or Ed25519, and leave RSA signing and decryption to
//!   the default.
//!
//! Features only add: with both on, `aws-lc-rs` serves; with neither, the crate does not compile. Both accept the same
//! keys and signatures, which the tests hold them to.
//!
//! # Randomness
//!
//! The backend draws its own for generating keys and for randomised signatures (PSS salts, ECDSA nonces, RSA
//! blinding and padding), because aws-lc-rs takes none from outside. Symmetric keys take the caller's.
//!
//! # What it does not do
//!
//! No JWS or JWT framing, no certificates beyond [their signatures](X509Algorithm), no key sets, no encrypted
//! PKCS#8, no symmetric JOSE algorithms (`HS*`), no `none`, no RSA below 2048 bits, no RSA encryption but OAEP, no PSS signing with a salt of another length than
//! the hash's, no secp256k1, no key agreement. It reads no clock, no file and no environment.

/// The examples of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod aead;
mod algorithm;
mod backend;
mod encoding;
mod error;
mod hash;
mod hmac;
mod jwk;
mod key_type;
mod key_wrap;
mod parts;
mod private;
mod pss;
mod public;
mod signer;
mod x509;

pub use aead::{AeadAlgorithm, AeadKey};
pub use algorithm::Algorithm;
pub use error::{Error, ErrorKind};
pub use hash::{HashFunction, sha256};
pub use hmac::{HmacKey, hkdf_sha256};
pub use jwk::Jwk;
pub use key_type::KeyType;
pub use key_wrap::{unwrap_key, wrap_key};
pub use private::PrivateKey;
pub use public::PublicKey;
/// The source of randomness that generating symmetric keys takes.
pub use rand_core::CryptoRng;
pub use signer::{KeySigner, Signer};
pub use x509::X509Algorithm;
/// Memory that is cleared when dropped, as exported keys and plaintexts come in.
pub use zeroize::Zeroizing;
