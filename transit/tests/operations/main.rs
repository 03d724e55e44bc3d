//! What rings do for their users: every operation, with every cipher, one by one and in batches.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod coming_and_going;
mod encrypting;
mod signing;
mod versions;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyward_keys::{Algorithm, HashFunction};
use keyward_transit::operation::{
    DataKey, Decrypt, Encrypt, Hmac, Input, Rewrap, RsaPadding, SaltLength, Sign, Verify, VerifyHmac, random,
    version_of,
};
use keyward_transit::{
    AutoRotate, Cipher, Command, Compromised, Error, ErrorKind, Export, ExportedKey, FirstActivation, Kek, KekSet,
    Marshaling, Material, Phase, RecordError, Ring, RingConfig, SignOptions,
};
use proptest::prelude::*;
use rand_core::UnwrapErr;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const START: OffsetDateTime = datetime!(2026-03-01 00:00 UTC);
const SHA: HashFunction = HashFunction::Sha2_256;
/// The ciphers whose keys are made in no time.
const QUICK: [Cipher; 9] = [
    Cipher::Aes128Gcm96,
    Cipher::Aes192Gcm96,
    Cipher::Aes256Gcm96,
    Cipher::ChaCha20Poly1305,
    Cipher::EcdsaP256,
    Cipher::EcdsaP384,
    Cipher::EcdsaP521,
    Cipher::Ed25519,
    Cipher::Hmac,
];

#[allow(clippy::disallowed_types, reason = "nothing in a test depends on what is drawn")]
fn rng() -> UnwrapErr<getrandom::SysRng> {
    UnwrapErr(getrandom::SysRng)
}

fn config(cipher: Cipher) -> RingConfig {
    let mut config = RingConfig::new("test".parse().unwrap());
    config.cipher = cipher;
    config
}

fn made(config: RingConfig) -> Ring {
    let mut ring = Ring::new(config, FirstActivation::AtOnce, START).unwrap();
    rotate(&mut ring, START);
    ring
}

fn ring(cipher: Cipher) -> Ring {
    made(config(cipher))
}

fn derived(cipher: Cipher, convergent: bool) -> Ring {
    let mut config = config(cipher);
    config.derived = true;
    config.convergent_encryption = convergent;
    made(config)
}

fn usual() -> Option<AutoRotate> {
    let text = r#"{"rotate-after": "30d", "activate-after": "1d", "deprecate-after": "2d", "invalidate-after": "2d"}"#;
    Some(serde_json::from_str(text).unwrap())
}

fn material(cipher: Cipher) -> Material {
    Material::generate(cipher, &mut rng()).unwrap()
}

fn rotate(ring: &mut Ring, now: OffsetDateTime) {
    let Command::Generate { cipher, version } = ring.rotate(now).unwrap() else { panic!() };
    ring.install(version, material(cipher), now).unwrap();
}

fn rsa() -> Material {
    let key = keyward_keys::PrivateKey::from_pkcs8_pem(include_str!("../../../keys/tests/data/rfc7515-a2-rs256.pem"));
    Material::from_private_key(key.unwrap())
}

/// A ring whose one key is that of RFC 7515 appendix A.2.
fn rsa_ring() -> Ring {
    let mut ring = Ring::new(config(Cipher::Rsa2048), FirstActivation::AtOnce, START).unwrap();
    ring.install(1, rsa(), START).unwrap();
    ring
}
