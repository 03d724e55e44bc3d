//! Rings that the first release stored: they open, decrypt and sign as they did, and are stored in the format of today.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyward_keys::{HashFunction, Signer as _};
use keyward_transit::operation::{Hmac, VerifyHmac};
use keyward_transit::{Error, Kek, KekSet, Ring, open};
use rand_core::UnwrapErr;
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::datetime;

const NOW: OffsetDateTime = datetime!(2026-04-01 00:00:00.5 UTC);

#[allow(clippy::disallowed_types, reason = "nothing in a test depends on what is drawn")]
fn rng() -> UnwrapErr<getrandom::SysRng> {
    UnwrapErr(getrandom::SysRng)
}

fn stored(name: &str) -> (Value, KekSet, Vec<u8>) {
    let mut all: Value = serde_json::from_str(include_str!("data/format-1.json")).unwrap();
    let ring = all[name].take();
    let record = STANDARD.decode(ring["record"].as_str().unwrap()).unwrap();
    (ring, KekSet::new(Kek::from_bytes(1, &[9; 32]).unwrap()), record)
}

#[test]
fn a_ring_that_encrypts() {
    let (expected, keks, record) = stored("aes");
    assert_eq!(serde_json::from_slice::<Value>(&open(&keks, "rings/aes", &record).unwrap()).unwrap()["format"], 1);
    let ring = Ring::from_sealed(&keks, "rings/aes", &record).unwrap();
    assert_eq!(serde_json::to_value(ring.view(NOW)).unwrap(), expected["view"]);
    for ciphertext in expected["ciphertexts"].as_array().unwrap() {
        assert_eq!(ring.decrypt(ciphertext.as_str().unwrap(), b"row 7").unwrap().as_slice(), b"secret");
    }

    // Whoever reads it, before and after it is stored again, has the same key for HMACs.
    let (one, sha) = (Hmac::new(b"message", HashFunction::Sha2_256).with_version(1), HashFunction::Sha2_256);
    let hmac = ring.perform(&one, &mut rng(), NOW).unwrap();
    let again = Ring::from_sealed(&keks, "rings/aes", &record).unwrap();
    again.perform(&VerifyHmac::new(b"message", &hmac, sha), &mut rng(), NOW).unwrap();
    let record = ring.to_sealed(keks.current(), "rings/aes", &mut rng()).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&open(&keks, "rings/aes", &record).unwrap()).unwrap()["format"], 2);
    let again = Ring::from_sealed(&keks, "rings/aes", &record).unwrap();
    again.perform(&VerifyHmac::new(b"message", &hmac, sha), &mut rng(), NOW).unwrap();
    assert_eq!(again.view(NOW), ring.view(NOW));
}

#[test]
fn a_ring_that_signs_tokens() {
    let (expected, keks, record) = stored("ed");
    let ring = Ring::from_sealed(&keks, "rings/ed", &record).unwrap();
    assert_eq!(serde_json::to_value(ring.view(NOW)).unwrap(), expected["view"]);
    let signer = ring.signer(NOW).unwrap();
    assert_eq!(signer.kid(), expected["view"]["versions"][0]["kid"]);
    ring.verify_by_kid(signer.kid(), b"message", &signer.sign(b"message").unwrap(), NOW).unwrap();
    let hmac = Hmac::new(b"message", HashFunction::Sha2_256);
    assert_eq!(ring.perform(&hmac, &mut rng(), NOW), Err(Error::SignsJwts));
}
