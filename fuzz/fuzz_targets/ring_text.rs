//! Any text as ciphertext, signature and cipher: refused, except what is canonical.
#![no_main]

use keyward_keys::PrivateKey;
use keyward_transit::operation::VerifyHmac;
use keyward_transit::{Cipher, Error, FirstActivation, HashFunction, Material, Ring, RingConfig, SignOptions};
use libfuzzer_sys::fuzz_target;
use time::OffsetDateTime;

fuzz_target!(|text: &str| {
    if let Ok(cipher) = text.parse::<Cipher>() {
        assert_eq!(cipher.to_string(), text);
    }
    let now = OffsetDateTime::UNIX_EPOCH;
    let ring = |cipher, material| {
        let mut config = RingConfig::new("fuzz".parse().unwrap());
        config.cipher = cipher;
        let mut ring = Ring::new(config, FirstActivation::AtOnce, now).unwrap();
        ring.import(material, now).unwrap();
        ring
    };
    let aes = ring(Cipher::Aes256Gcm96, Material::from_bytes(Cipher::Aes256Gcm96, &[7; 32]).unwrap());
    assert_eq!(aes.decrypt(text, b""), Err(Error::DecryptionFailed));
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let hmac = VerifyHmac::new(b"message", text, HashFunction::Sha2_256);
    assert_eq!(aes.perform(&hmac, &mut rng, now), Err(Error::SignatureRefused));
    let key = Material::from_private_key(PrivateKey::ed25519_from_seed(&[7; 32]).unwrap());
    let refused = ring(Cipher::Ed25519, key).verify(b"message", text, SignOptions::default(), now);
    assert_eq!(refused, Err(Error::SignatureRefused));
});
