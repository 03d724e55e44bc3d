//! The two backends against each other: the same keys, the same verdicts.

use proptest::prelude::*;

use super::{aws_lc, rust_crypto};
use crate::encoding::ecdsa::{self, Form};
use crate::encoding::pkcs8;
use crate::parts::{Curve, Parts};
use crate::{AeadAlgorithm, Algorithm, Error, HashFunction, KeyType};

const KEYS: [(KeyType, &str); 6] = [
    (KeyType::Rsa2048, include_str!("../../tests/data/rfc7515-a2-rs256.pem")),
    (KeyType::Rsa3072, include_str!("../../tests/data/rsa-3072.pem")),
    (KeyType::EcdsaP256, include_str!("../../tests/data/rfc7515-a3-es256.pem")),
    (KeyType::EcdsaP384, include_str!("../../tests/data/rfc6979-a2-6-p384.pem")),
    (KeyType::EcdsaP521, include_str!("../../tests/data/rfc7515-a4-es512.pem")),
    (KeyType::Ed25519, include_str!("../../tests/data/rfc8037-a1-ed25519.pem")),
];

/// One key in both backends.
struct Pair {
    parts: Parts,
    aws: aws_lc::SigningKey,
    rust: rust_crypto::SigningKey,
    aws_public: aws_lc::VerifyingKey,
    rust_public: rust_crypto::VerifyingKey,
}

impl Pair {
    fn new(document: &[u8]) -> Self {
        let content = pkcs8::inspect(document).unwrap();
        let aws = aws_lc::SigningKey::from_pkcs8(&content, document).unwrap();
        let rust = rust_crypto::SigningKey::from_pkcs8(&content, document).unwrap();
        let parts = aws.parts().unwrap();
        assert_eq!(rust.parts().unwrap(), parts);
        let aws_public = aws_lc::VerifyingKey::new(&parts).unwrap();
        let rust_public = rust_crypto::VerifyingKey::new(&parts).unwrap();
        Self { parts, aws, rust, aws_public, rust_public }
    }

    fn all() -> Vec<Self> {
        KEYS.iter().map(|(_, pem)| Self::new(&pkcs8::from_pem(pem).unwrap())).collect()
    }

    /// Both verdicts, which must be one.
    fn verify(&self, algorithm: Algorithm, form: Form, message: &[u8], signature: &[u8]) -> bool {
        let aws = self.aws_public.verify(algorithm, form, message, signature);
        let rust = self.rust_public.verify(algorithm, form, message, signature);
        assert_eq!(aws, rust, "{algorithm} {form:?} {signature:x?}");
        aws
    }

    fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        Algorithm::ALL.iter().copied().filter(|algorithm| algorithm.fits_parts(&self.parts))
    }
}

#[test]
fn each_verifies_what_the_other_signs() {
    let mut seen = Vec::new();
    for pair in Pair::all() {
        for algorithm in pair.algorithms() {
            for form in [Form::Fixed, Form::Asn1] {
                let by_aws = pair.aws.sign(algorithm, form, b"message").unwrap();
                let by_rust = pair.rust.sign(algorithm, form, b"message").unwrap();
                for signature in [by_aws, by_rust] {
                    assert!(pair.verify(algorithm, form, b"message", &signature));
                    assert!(!pair.verify(algorithm, form, b"massage", &signature));
                }
            }
            seen.push(algorithm);
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen, Algorithm::ALL);
}

#[test]
fn keys_travel_both_ways() {
    for (key_type, pem) in KEYS {
        let document = pkcs8::from_pem(pem).unwrap();
        let pair = Pair::new(&document);
        let (from_aws, from_rust) = (pair.aws.to_pkcs8().unwrap(), pair.rust.to_pkcs8().unwrap());
        assert_eq!(from_aws, from_rust, "{key_type}");
        assert_eq!(Pair::new(&from_aws).parts, pair.parts);
    }
}

#[test]
fn generated_keys_travel_both_ways() {
    for key_type in KeyType::ALL {
        if matches!(key_type, KeyType::Rsa3072 | KeyType::Rsa4096) {
            continue; // Slow, and the same code as 2048.
        }
        let aws = aws_lc::SigningKey::generate(*key_type).unwrap();
        let rust = rust_crypto::SigningKey::generate(*key_type).unwrap();
        for (document, parts) in [(aws.to_pkcs8(), aws.parts()), (rust.to_pkcs8(), rust.parts())] {
            let pair = Pair::new(&document.unwrap());
            assert_eq!(pair.parts, parts.unwrap());
            assert_eq!(pair.parts.key_type(), Some(*key_type));
            let algorithm = Algorithm::default_for(*key_type);
            let signature = pair.aws.sign(algorithm, Form::Fixed, b"message").unwrap();
            assert!(pair.verify(algorithm, Form::Fixed, b"message", &signature));
        }
    }
}

#[test]
fn deterministic_signatures_are_equal() {
    for pair in Pair::all() {
        for algorithm in [Algorithm::Rs256, Algorithm::Rs384, Algorithm::Rs512, Algorithm::EdDsa] {
            if algorithm.fits_parts(&pair.parts) {
                let sign = |form| pair.aws.sign(algorithm, form, b"message").unwrap();
                assert_eq!(sign(Form::Fixed), pair.rust.sign(algorithm, Form::Fixed, b"message").unwrap());
            }
        }
    }
}

#[test]
fn wrong_lengths_are_refused_by_both() {
    for pair in Pair::all() {
        for algorithm in pair.algorithms() {
            for form in [Form::Fixed, Form::Asn1] {
                let good = pair.aws.sign(algorithm, form, b"message").unwrap();
                let longer = [good.as_slice(), &[0]].concat();
                let padded = [&[0], good.as_slice()].concat();
                for bad in [&good[..good.len() - 1], &good[1..], &longer, &padded, &[], &[0]] {
                    assert!(!pair.verify(algorithm, form, b"message", bad), "{algorithm} {form:?} {bad:x?}");
                }
                assert!(!pair.verify(algorithm, form, b"message", &vec![0; good.len()]));
                assert!(!pair.verify(algorithm, form, b"message", &vec![0xff; good.len()]));
            }
        }
    }
}

/// An RSA signature that starts with a zero byte must keep it (RFC 8017 §8.2.2, step 1).
#[test]
fn rsa_signatures_keep_their_zeros() {
    let pair = Pair::new(&pkcs8::from_pem(KEYS[0].1).unwrap());
    let (message, signature) = (0_u32..)
        .map(|counter| counter.to_be_bytes())
        .map(|message| (message, pair.aws.sign(Algorithm::Rs256, Form::Fixed, &message).unwrap()))
        .find(|(_, signature)| signature[0] == 0)
        .unwrap();
    assert!(pair.verify(Algorithm::Rs256, Form::Fixed, &message, &signature));
    assert!(!pair.verify(Algorithm::Rs256, Form::Fixed, &message, &signature[1..]));
}

/// r and s must lie between 1 and the order − 1.
#[test]
fn ecdsa_numbers_out_of_range_are_refused_by_both() {
    for pair in Pair::all() {
        let Parts::Ec { curve, .. } = pair.parts else { continue };
        let algorithm = pair.algorithms().next().unwrap();
        let width = curve.width();
        let good = pair.aws.sign(algorithm, Form::Fixed, b"message").unwrap();
        for bad_half in [vec![0; width], vec![0xff; width]] {
            for fixed in [[&bad_half, &good[width..]].concat(), [&good[..width], &bad_half].concat()] {
                assert!(!pair.verify(algorithm, Form::Fixed, b"message", &fixed));
                let asn1 = ecdsa::to_asn1(&fixed, width).unwrap();
                assert!(!pair.verify(algorithm, Form::Asn1, b"message", &asn1));
            }
        }
    }
}

#[test]
fn points_off_the_curve_are_refused_by_both() {
    for curve in Curve::ALL {
        let width = curve.width();
        let mut one = vec![0; width];
        one[width - 1] = 1;
        let cases = [(vec![0; width], vec![0; width]), (one.clone(), one), (vec![0xff; width], vec![0xff; width])];
        for (x, y) in cases {
            let parts = Parts::ec(curve, &x, &y).unwrap();
            let error = Error::NotOnCurve { curve: curve.name() };
            assert_eq!(aws_lc::VerifyingKey::new(&parts).err(), Some(error.clone()));
            assert_eq!(rust_crypto::VerifyingKey::new(&parts).err(), Some(error));
        }
    }
}

/// Encodings that are no point: both take the key, and nothing verifies. Of small order or not canonical: refused before.
#[test]
fn odd_ed25519_keys_get_one_verdict() {
    let encodings: Vec<[u8; 32]> = (0..=255)
        .flat_map(|low| [(low, 0), (low, 0xff)])
        .flat_map(|(low, rest)| [(low, rest, 0), (low, rest, 0x7f), (low, rest, 0x80), (low, rest, 0xff)])
        .map(|(low, rest, top)| {
            let mut key = [rest; 32];
            (key[0], key[31]) = (low, top);
            key
        })
        .collect();
    let genuine = Pair::new(&pkcs8::from_pem(KEYS[5].1).unwrap());
    let genuine = genuine.aws.sign(Algorithm::EdDsa, Form::Fixed, b"m").unwrap();
    for key in &encodings {
        let accepted = Parts::ed25519(*key);
        // What the library would have said: canonical when it decodes to what encodes to the same.
        if let Ok(decoded) = ed25519_dalek::VerifyingKey::from_bytes(key) {
            let canonical = decoded.to_edwards().compress().to_bytes() == *key;
            assert_eq!(accepted.is_ok(), canonical && !decoded.is_weak(), "{key:x?}");
        }
        let Ok(parts) = accepted else { continue };
        let aws = aws_lc::VerifyingKey::new(&parts).unwrap();
        let rust = rust_crypto::VerifyingKey::new(&parts).unwrap();
        // R = a point of small order and S = 0 would verify under a key of small order.
        let mut easy = [0; 64];
        easy[0] = 1;
        for signature in [easy.as_slice(), &genuine] {
            assert!(!aws.verify(Algorithm::EdDsa, Form::Fixed, b"m", signature), "{key:x?}");
            assert!(!rust.verify(Algorithm::EdDsa, Form::Fixed, b"m", signature), "{key:x?}");
        }
    }
}

/// The eight points of small order, each with both signs of x.
#[test]
fn the_list_of_small_orders_is_the_librarys() {
    let refused = Error::Unusable { key: "Ed25519", reason: "the point has a small order" };
    let mut weak = 0;
    for mut key in crate::parts::SMALL_ORDER {
        for sign in [0, 0x80] {
            key[31] ^= sign;
            assert_eq!(Parts::ed25519(key), Err(refused.clone()));
            weak += usize::from(ed25519_dalek::VerifyingKey::from_bytes(&key).is_ok_and(|key| key.is_weak()));
        }
    }
    // Of y = 1 and y = −1, x = 0 has no negative: dalek reads their second encodings too.
    assert_eq!(weak, 10);
}

/// Private keys whose parts do not belong together.
#[test]
fn inconsistent_private_keys_are_refused_by_both() {
    for (key_type, pem) in KEYS {
        let document = pkcs8::from_pem(pem).unwrap();
        let mut refused = 0;
        for index in (0..document.len()).step_by(7) {
            let mut bad = document.to_vec();
            bad[index] ^= 0x10;
            let Ok(content) = pkcs8::inspect(&bad) else {
                refused += 1;
                continue;
            };
            let aws = aws_lc::SigningKey::from_pkcs8(&content, &bad);
            let rust = rust_crypto::SigningKey::from_pkcs8(&content, &bad);
            assert_eq!(aws.is_ok(), rust.is_ok(), "{key_type} byte {index}");
            refused += usize::from(aws.is_err());
        }
        // An Ed25519 document of version 1 holds nothing to compare the seed with; all else is redundant.
        if key_type != KeyType::Ed25519 {
            assert_eq!(refused, document.len().div_ceil(7), "{key_type}");
        }
    }
}

#[test]
fn digests_are_equal() {
    for length in [0, 1, 55, 56, 64, 1000] {
        let bytes = vec![7; length];
        assert_eq!(aws_lc::sha256(&bytes), rust_crypto::sha256(&bytes));
        for hash in HashFunction::ALL.iter().copied() {
            assert_eq!(aws_lc::digest(hash, &bytes), rust_crypto::digest(hash, &bytes));
            assert_eq!(aws_lc::hmac(hash, &bytes, b"message"), rust_crypto::hmac(hash, &bytes, b"message"));
        }
    }
}

/// Over digests of every length that ECDSA takes, and of RSA's own.
#[test]
fn each_verifies_what_the_other_signs_of_a_digest() {
    for pair in Pair::all() {
        for algorithm in pair.algorithms().filter(|algorithm| algorithm.hash().is_some()) {
            for hash in HashFunction::ALL {
                let digest = hash.digest(b"message");
                let Ok(digest) = algorithm.fit_digest(&digest) else { continue };
                for form in [Form::Fixed, Form::Asn1] {
                    for signature in [
                        pair.aws.sign_digest(algorithm, form, &digest).unwrap(),
                        pair.rust.sign_digest(algorithm, form, &digest).unwrap(),
                    ] {
                        assert!(pair.aws_public.verify_digest(algorithm, form, &digest, &signature));
                        assert!(pair.rust_public.verify_digest(algorithm, form, &digest, &signature));
                        // Of the algorithm's own hash function it is the signature of the message.
                        let own = algorithm.hash() == Some(*hash);
                        assert_eq!(pair.verify(algorithm, form, b"message", &signature), own, "{algorithm} {hash}");
                    }
                }
            }
        }
    }
}

#[test]
fn each_opens_what_the_other_seals_with_rsa_and_wraps() {
    let document = pkcs8::from_pem(KEYS[0].1).unwrap();
    let pair = Pair::new(&document);
    let spki = crate::encoding::spki::encode(&pair.parts).unwrap();
    for hash in [HashFunction::Sha2_256, HashFunction::Sha2_384, HashFunction::Sha2_512] {
        for plaintext in [&b""[..], b"secret"] {
            let by_aws = pair.aws_public.encrypt_oaep(hash, &spki, plaintext).unwrap();
            let by_rust = pair.rust_public.encrypt_oaep(hash, &spki, plaintext).unwrap();
            for mut ciphertext in [by_aws, by_rust] {
                assert_eq!(pair.aws.decrypt_oaep(hash, &ciphertext).unwrap().as_slice(), plaintext);
                assert_eq!(pair.rust.decrypt_oaep(hash, &ciphertext).unwrap().as_slice(), plaintext);
                ciphertext[100] ^= 1;
                assert!(pair.aws.decrypt_oaep(hash, &ciphertext).is_none());
                assert!(pair.rust.decrypt_oaep(hash, &ciphertext).is_none());
            }
        }
    }
    for kek in [&[7; 16][..], &[7; 32]] {
        for length in [1, 7, 8, 9, 16, 32, 1000] {
            let material = vec![3; length];
            let wrapped = aws_lc::wrap_key(kek, &material).unwrap();
            assert_eq!(wrapped, rust_crypto::wrap_key(kek, &material).unwrap());
            assert_eq!(aws_lc::unwrap_key(kek, &wrapped).unwrap().as_slice(), material);
            assert_eq!(rust_crypto::unwrap_key(kek, &wrapped).unwrap().as_slice(), material);
            for bit in 0..wrapped.len() * 8 {
                let mut bad = wrapped.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert!(aws_lc::unwrap_key(kek, &bad).is_none() && rust_crypto::unwrap_key(kek, &bad).is_none());
                if bit > 300 {
                    break;
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn flipped_bits_get_one_verdict(message in prop::collection::vec(any::<u8>(), 0..100), bit in any::<prop::sample::Index>(), which in 2..KEYS.len()) {
        let pair = Pair::new(&pkcs8::from_pem(KEYS[which].1).unwrap());
        let algorithm = pair.algorithms().next().unwrap();
        for form in [Form::Fixed, Form::Asn1] {
            for mut signature in [pair.aws.sign(algorithm, form, &message).unwrap(), pair.rust.sign(algorithm, form, &message).unwrap()] {
                prop_assert!(pair.verify(algorithm, form, &message, &signature));
                let bit = bit.index(signature.len() * 8);
                signature[bit / 8] ^= 1 << (bit % 8);
                prop_assert!(!pair.verify(algorithm, form, &message, &signature));
            }
        }
    }

    #[test]
    fn ciphertexts_are_equal(algorithm in prop::sample::select(AeadAlgorithm::ALL), key: [u8; 32], nonce: [u8; 12], aad in prop::collection::vec(any::<u8>(), 0..40), plaintext in prop::collection::vec(any::<u8>(), 0..200), bit in any::<prop::sample::Index>()) {
        let key = &key[..algorithm.key_length()];
        let (aws, rust) = (aws_lc::Aead::new(algorithm, key).unwrap(), rust_crypto::Aead::new(algorithm, key).unwrap());
        let sealed = aws.seal(&nonce, &aad, &plaintext).unwrap();
        prop_assert_eq!(&sealed, &rust.seal(&nonce, &aad, &plaintext).unwrap());
        prop_assert!(aws.open(&nonce, &aad, &sealed).is_some_and(|opened| *opened == plaintext));
        prop_assert!(rust.open(&nonce, &aad, &sealed).is_some_and(|opened| *opened == plaintext));
        let mut bad = sealed.clone();
        let bit = bit.index(bad.len() * 8);
        bad[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(aws.open(&nonce, &aad, &bad).is_none() && rust.open(&nonce, &aad, &bad).is_none());
        prop_assert!(aws.open(&nonce, &aad, &sealed[..sealed.len().min(15)]).is_none());
        prop_assert!(rust.open(&nonce, &aad, &sealed[..sealed.len().min(15)]).is_none());
    }
}
