//! Any text as ciphertext, signature and cipher: refused, except what is canonical.
#![no_main]

use keyward_keys::AeadKey;
use keyward_transit::{Cipher, Error, FirstActivation, Material, Ring, RingConfig};
use libfuzzer_sys::fuzz_target;
use time::OffsetDateTime;

fuzz_target!(|text: &str| {
    if let Ok(cipher) = text.parse::<Cipher>() {
        assert_eq!(cipher.to_string(), text);
    }
    let now = OffsetDateTime::UNIX_EPOCH;
    let mut ring = Ring::new(RingConfig::new("fuzz".parse().unwrap()), FirstActivation::AtOnce, now).unwrap();
    ring.install(1, Material::from_aead_key(AeadKey::from_bytes(&[7; 32]).unwrap()), now).unwrap();
    assert_eq!(ring.decrypt(text, b""), Err(Error::DecryptionFailed));
});
