//! Laws that hold for every key and message.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use std::convert::Infallible;

use keyward_keys::{AeadKey, Algorithm, Jwk, KeyType, PrivateKey, PublicKey};
use proptest::prelude::*;
use rand_core::{TryCryptoRng, TryRng};

const KEYS: [&str; 5] = [
    include_str!("data/rfc7515-a2-rs256.pem"),
    include_str!("data/rfc7515-a3-es256.pem"),
    include_str!("data/rfc6979-a2-6-p384.pem"),
    include_str!("data/rfc7515-a4-es512.pem"),
    include_str!("data/rfc8037-a1-ed25519.pem"),
];

fn key() -> impl Strategy<Value = PrivateKey> {
    prop::sample::select(&KEYS[..]).prop_map(|pem| PrivateKey::from_pkcs8_pem(pem).unwrap())
}

fn name() -> impl Strategy<Value = Option<String>> {
    prop::option::of("[ -~é]{0,12}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_signed_verifies_and_nothing_else(key in key(), message in prop::collection::vec(any::<u8>(), 1..300), bit in any::<prop::sample::Index>()) {
        for algorithm in Algorithm::ALL.iter().copied().filter(|algorithm| algorithm.fits(key.public_key())) {
            let public = key.public_key();
            let signature = key.sign(algorithm, &message).unwrap();
            let asn1 = key.sign_asn1(algorithm, &message).unwrap();
            prop_assert!(public.verify(algorithm, &message, &signature).is_ok());
            prop_assert!(public.verify_asn1(algorithm, &message, &asn1).is_ok());

            let mut other = message.clone();
            let flipped = bit.index(other.len() * 8);
            other[flipped / 8] ^= 1 << (flipped % 8);
            prop_assert!(public.verify(algorithm, &other, &signature).is_err());

            let mut bad = signature;
            let flipped = bit.index(bad.len() * 8);
            bad[flipped / 8] ^= 1 << (flipped % 8);
            prop_assert!(public.verify(algorithm, &message, &bad).is_err());

            let mut bad = asn1;
            let flipped = bit.index(bad.len() * 8);
            bad[flipped / 8] ^= 1 << (flipped % 8);
            prop_assert!(public.verify_asn1(algorithm, &message, &bad).is_err());
        }
    }

    #[test]
    fn jwks_round_trip(key in key(), kid in name(), intended in name(), operations in prop::option::of(prop::collection::btree_set("[a-z]{1,6}", 0..4)), certificates in prop::option::of(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..3))) {
        let mut jwk = key.public_key().to_jwk().with_alg(Algorithm::default_for(key.key_type()));
        if let Some(kid) = &kid { jwk = jwk.with_kid(kid) }
        if let Some(intended) = &intended { jwk = jwk.with_use(intended) }
        if let Some(operations) = &operations { jwk = jwk.with_key_ops(operations) }
        if let Some(certificates) = &certificates { jwk = jwk.with_x5c_der(certificates) }
        let read: Jwk = serde_json::from_str(&serde_json::to_string(&jwk).unwrap()).unwrap();
        prop_assert_eq!(&read, &jwk);
        prop_assert_eq!(read.kid(), kid.as_deref());
        prop_assert_eq!(read.use_(), intended.as_deref());
        prop_assert_eq!(read.x5c_der().unwrap(), certificates.unwrap_or_default());
        prop_assert_eq!(&PublicKey::from_jwk(&read).unwrap(), key.public_key());
    }

    #[test]
    fn damaged_spki_never_panics_nor_changes_unnoticed(key in key(), at in any::<prop::sample::Index>(), to: u8) {
        let mut spki = key.public_key().to_spki_der();
        let at = at.index(spki.len());
        let same = spki[at] == to;
        spki[at] = to;
        if let Ok(read) = PublicKey::from_spki_der(&spki) {
            prop_assert_eq!(read.to_spki_der(), spki);
            prop_assert_eq!(&read == key.public_key(), same);
            prop_assert_eq!(read.thumbprint() == key.public_key().thumbprint(), same);
        }
    }

    #[test]
    fn bytes_that_are_no_key(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(PublicKey::from_spki_der(&bytes).is_err());
        prop_assert!(PrivateKey::from_pkcs8_der(&bytes).is_err());
        prop_assert!(PrivateKey::from_pkcs8_pem(&String::from_utf8_lossy(&bytes)).is_err());
    }

    #[test]
    fn what_is_sealed_opens(key: [u8; 32], nonce: [u8; 12], aad in prop::collection::vec(any::<u8>(), 0..40), plaintext in prop::collection::vec(any::<u8>(), 0..300)) {
        let key = AeadKey::from_bytes(&key).unwrap();
        let sealed = key.seal(&nonce, &aad, &plaintext).unwrap();
        prop_assert_eq!(sealed.len(), plaintext.len() + 16);
        prop_assert!(key.open(&nonce, &aad, &sealed).is_ok_and(|opened| *opened == plaintext));
    }
}

#[test]
fn private_keys_round_trip() {
    for key_type in KeyType::ALL {
        // Larger RSA keys are slow to generate: read instead.
        let key = match key_type {
            KeyType::Rsa3072 => PrivateKey::from_pkcs8_pem(include_str!("data/rsa-3072.pem")).unwrap(),
            KeyType::Rsa4096 => PrivateKey::from_pkcs8_pem(include_str!("data/rsa-4096.pem")).unwrap(),
            other => PrivateKey::generate(*other).unwrap(),
        };
        assert_eq!(key.key_type(), *key_type);
        assert_eq!(key.public_key().key_type(), Some(*key_type));
        let der = PrivateKey::from_pkcs8_der(&key.to_pkcs8_der().unwrap()).unwrap();
        let pem = PrivateKey::from_pkcs8_pem(&key.to_pkcs8_pem().unwrap()).unwrap();
        assert_eq!(der.public_key(), key.public_key());
        assert_eq!(pem.public_key(), key.public_key());
        let algorithm = Algorithm::default_for(*key_type);
        key.public_key().verify(algorithm, b"message", &der.sign(algorithm, b"message").unwrap()).unwrap();
        let spki = PublicKey::from_spki_der(&key.public_key().to_spki_der()).unwrap();
        assert_eq!(&spki, key.public_key());
        assert_eq!(&PublicKey::from_jwk(&spki.to_jwk()).unwrap(), key.public_key());
    }
}

#[test]
fn fresh_keys_differ() {
    let thumbprint = |_| PrivateKey::generate(KeyType::EcdsaP256).unwrap().public_key().thumbprint();
    let thumbprints: std::collections::HashSet<_> = (0..16).map(thumbprint).collect();
    assert_eq!(thumbprints.len(), 16);
}

/// Counts: for tests alone.
struct Counter(u8);

impl TryRng for Counter {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        rand_core::utils::next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        rand_core::utils::next_word_via_fill(self)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for byte in bytes {
            *byte = self.0;
            self.0 += 1;
        }
        Ok(())
    }
}

impl TryCryptoRng for Counter {}

#[test]
fn aead_keys_come_from_the_callers_randomness() {
    let mut rng = Counter(0);
    let first = AeadKey::generate(&mut rng).unwrap();
    let second = AeadKey::generate(&mut rng).unwrap();
    let counted: Vec<u8> = (0..64).collect();
    assert_eq!(first.as_bytes(), &counted[..32]);
    assert_eq!(second.as_bytes(), &counted[32..]);
}

#[test]
fn keys_may_be_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<PrivateKey>();
    shared::<PublicKey>();
    shared::<AeadKey>();
    shared::<Jwk>();
    shared::<keyward_keys::KeySigner>();

    let key = PrivateKey::from_pkcs8_pem(KEYS[0]).unwrap();
    std::thread::scope(|scope| {
        for algorithm in Algorithm::ALL.iter().copied().filter(|algorithm| algorithm.fits(key.public_key())) {
            let key = &key;
            scope.spawn(move || {
                let signature = key.sign(algorithm, b"message").unwrap();
                key.public_key().verify(algorithm, b"message", &signature).unwrap();
            });
        }
    });
}
