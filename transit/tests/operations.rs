//! What rings do for their users: every operation, with every cipher, one by one and in batches.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyward_keys::{Algorithm, HashFunction};
use keyward_transit::operation::{
    DataKey, Decrypt, Encrypt, Hmac, Input, Rewrap, RsaPadding, Sign, Verify, VerifyHmac, random, version_of,
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
    let key = keyward_keys::PrivateKey::from_pkcs8_pem(include_str!("../../keys/tests/data/rfc7515-a2-rs256.pem"));
    Material::from_private_key(key.unwrap())
}

/// A ring whose one key is that of RFC 7515 appendix A.2.
fn rsa_ring() -> Ring {
    let mut ring = Ring::new(config(Cipher::Rsa2048), FirstActivation::AtOnce, START).unwrap();
    ring.install(1, rsa(), START).unwrap();
    ring
}

mod encrypting {
    use super::*;

    #[test]
    fn every_cipher_does_what_it_can_and_refuses_the_rest() {
        for cipher in QUICK {
            let ring = ring(cipher);
            let encrypted = ring.encrypt(b"secret", b"", &mut rng(), START);
            if cipher.encrypts() {
                assert_eq!(ring.decrypt(&encrypted.unwrap(), b"").unwrap().as_slice(), b"secret");
                ring.encrypt(b"secret", b"row 7", &mut rng(), START).unwrap();
            } else {
                assert_eq!(encrypted, Err(Error::Unsupported { operation: "encrypt", cipher }));
                assert_eq!(ring.decrypt("", b""), Err(Error::Unsupported { operation: "decrypt", cipher }));
            }
            let signed = ring.sign(b"message", SignOptions::default(), START);
            assert_eq!(signed.is_ok(), cipher.signs());
        }
    }

    #[test]
    fn rsa_encrypts_with_oaep_and_without_associated_data() {
        let ring = rsa_ring();
        let text = ring.encrypt(b"secret", b"", &mut rng(), START).unwrap();
        assert_eq!(STANDARD.decode(text.strip_prefix("vault:v1:").unwrap()).unwrap().len(), 256);
        assert_ne!(text, ring.encrypt(b"secret", b"", &mut rng(), START).unwrap());
        assert_eq!(ring.decrypt(&text, b"").unwrap().as_slice(), b"secret");
        assert_eq!(
            ring.encrypt(b"secret", b"row 7", &mut rng(), START),
            Err(Error::NoAssociatedData { cipher: Cipher::Rsa2048 })
        );
        assert_eq!(ring.decrypt(&text, b"row 7"), Err(Error::NoAssociatedData { cipher: Cipher::Rsa2048 }));
        ring.encrypt(&[0; 190], b"", &mut rng(), START).unwrap();
        let error = ring.encrypt(&[0; 191], b"", &mut rng(), START).unwrap_err();
        assert_eq!(error.to_string(), "the plaintext has 191 bytes, but the RSA key encrypts at most 190");
        assert_eq!(error.kind(), ErrorKind::Refused);
    }

    #[test]
    fn what_an_rsa_ring_encrypted_is_not_lost_when_it_signs_tokens() {
        let mut config = config(Cipher::Rsa2048);
        config.auto_rotate = usual();
        let mut ring = Ring::new(config, FirstActivation::AtOnce, START).unwrap();
        ring.install(1, rsa(), START).unwrap();
        let text = ring.encrypt(b"secret", b"", &mut rng(), START).unwrap();
        ring.sign_jwts(START + Duration::HOUR).unwrap();
        assert_eq!(ring.encrypt(b"secret", b"", &mut rng(), START), Err(Error::SignsJwts));
        let due = START + Duration::days(30);
        rotate(&mut ring, due);
        rotate(&mut ring, due + Duration::days(30));

        let later = due + Duration::days(60);
        // The first version may have encrypted, the second never did.
        assert_eq!((ring.phase(1, later), ring.phase(2, later)), (Some(Phase::Invalid), Some(Phase::Invalid)));
        assert_eq!(ring.destroy(1, later), Err(Error::StillNeeded { version: 1 }));
        assert!(ring.advance(later).contains(&Command::Destroy { version: 2 }));
        assert_eq!(ring.decrypt(&text, b"").unwrap().as_slice(), b"secret");
        ring.trim(2, later).unwrap();
        assert_eq!(ring.decrypt(&text, b""), Err(Error::DecryptionFailed));
    }

    #[test]
    fn a_derived_ring_has_a_key_per_context() {
        for cipher in QUICK.into_iter().filter(|cipher| cipher.aead().is_some()) {
            let ring = derived(cipher, false);
            let needed = Error::Context { derived: true };
            assert_eq!(ring.encrypt(b"secret", b"", &mut rng(), START), Err(needed.clone()));
            let encrypt = Encrypt::new(b"secret").with_context(b"user 1").with_associated_data(b"row");
            let text = ring.perform(&encrypt, &mut rng(), START).unwrap();
            assert_ne!(text, ring.perform(&encrypt, &mut rng(), START).unwrap(), "the nonce is random");
            let decrypt = |context| Decrypt::new(&text).with_associated_data(b"row").with_context(context);
            let open = |context| ring.perform(&decrypt(context), &mut rng(), START);
            assert_eq!(open(b"user 1").unwrap().as_slice(), b"secret");
            assert_eq!(open(b"user 2"), Err(Error::DecryptionFailed));
            assert_eq!(open(b""), Err(needed));

            let rewrapped = ring.perform(&Rewrap::new(decrypt(b"user 1")), &mut rng(), START).unwrap();
            let again = Decrypt::new(&rewrapped).with_associated_data(b"row").with_context(b"user 1");
            assert_eq!(ring.perform(&again, &mut rng(), START).unwrap().as_slice(), b"secret");
        }
        let taken = ring(Cipher::Aes256Gcm96).perform(&Encrypt::new(b"").with_context(b"user 1"), &mut rng(), START);
        assert_eq!(taken, Err(Error::Context { derived: false }));
    }

    #[test]
    fn convergent_encryption_has_one_ciphertext_per_plaintext_context_and_associated_data() {
        let ring = derived(Cipher::Aes256Gcm96, true);
        let seal = |plaintext: &[u8], context: &[u8], data: &[u8]| {
            let encrypt = Encrypt::new(plaintext).with_context(context).with_associated_data(data);
            let text = ring.perform(&encrypt, &mut rng(), START).unwrap();
            let decrypt = Decrypt::new(&text).with_context(context).with_associated_data(data);
            assert_eq!(ring.perform(&decrypt, &mut rng(), START).unwrap().as_slice(), plaintext);
            text
        };
        let mut seen = Vec::new();
        for plaintext in [&b"a"[..], b"b", b"", b"rowa"] {
            for context in [&b"1"[..], b"2"] {
                for data in [&b""[..], b"row", b"ro", b"rowr"] {
                    let text = seal(plaintext, context, data);
                    assert_eq!(text, seal(plaintext, context, data));
                    // Nonce included: no two of them share one under one key.
                    seen.push(STANDARD.decode(text.strip_prefix("vault:v1:").unwrap()).unwrap()[..12].to_vec());
                }
            }
        }
        let all = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), all);
    }

    #[test]
    fn data_keys_come_in_three_sizes() {
        let ring = ring(Cipher::ChaCha20Poly1305);
        for bits in [128, 256, 512] {
            let pair = ring.perform(&DataKey::new(bits).with_associated_data(b"disk"), &mut rng(), START).unwrap();
            assert_eq!(pair.plaintext.len() * 8, bits);
            assert_eq!(ring.decrypt(&pair.ciphertext, b"disk").unwrap(), pair.plaintext);
            let shown = format!("{pair:?}");
            assert_eq!(shown, format!("DataKeyPair {{ ciphertext: {:?}, .. }}", pair.ciphertext));
        }
        let error = ring.perform(&DataKey::new(192), &mut rng(), START).unwrap_err();
        assert_eq!(error.to_string(), "`bits` is 192, but must be 128, 256 or 512");
        let hmac = super::ring(Cipher::Hmac).perform(&DataKey::new(256), &mut rng(), START).unwrap_err();
        assert_eq!(hmac, Error::Unsupported { operation: "make a data key", cipher: Cipher::Hmac });
        let pair = derived(Cipher::Aes128Gcm96, false);
        pair.perform(&DataKey::new(256).with_context(b"user"), &mut rng(), START).unwrap();
    }

    #[test]
    fn a_batch_has_a_result_for_every_item_in_its_order() {
        let ring = ring(Cipher::Aes256Gcm96);
        let items = [Encrypt::new(b"a"), Encrypt::new(b"b").with_version(7), Encrypt::new(b"c").with_version(1)];
        let results = ring.batch(items, &mut rng(), START);
        assert_eq!(results.len(), 3);
        assert_eq!(results[1], Err(Error::Version { version: 7, reason: "is not there" }));
        let texts: Vec<_> = [0, 2].map(|index| results[index].clone().unwrap()).into();
        let opened = ring.batch(texts.iter().map(|text| Decrypt::new(text)), &mut rng(), START);
        assert_eq!(opened.iter().map(|o| o.as_ref().unwrap().as_slice()).collect::<Vec<_>>(), [b"a", b"c"]);
        assert!(ring.batch(Vec::<Encrypt<'_>>::new(), &mut rng(), START).is_empty());
    }
}

mod signing {
    use super::*;

    #[test]
    fn a_digest_made_elsewhere_gives_a_signature_of_the_message() {
        for (cipher, ring) in
            QUICK.map(|cipher| (cipher, ring(cipher))).into_iter().chain([(Cipher::Rsa2048, rsa_ring())])
        {
            if !cipher.signs() || cipher == Cipher::Ed25519 {
                continue;
            }
            for hash in HashFunction::ALL.iter().copied() {
                for padding in [RsaPadding::Pss, RsaPadding::Pkcs1v15] {
                    let options = match SignOptions::with_hash(cipher, hash, padding, Marshaling::Jws) {
                        Ok(options) => options,
                        Err(error) => {
                            assert_eq!(error, Error::SignOptions { cipher, hash });
                            continue;
                        }
                    };
                    let digest = hash.digest(b"message");
                    let (message, digest) = (Input::Message(b"message"), Input::Digest(&digest));
                    for (made, checked) in [(message, digest), (digest, message)] {
                        let text = ring.perform(&Sign::new(made, options), &mut rng(), START).unwrap();
                        ring.perform(&Verify::new(checked, &text, options), &mut rng(), START).unwrap();
                        let other = Verify::new(Input::Message(b"massage"), &text, options);
                        assert_eq!(ring.perform(&other, &mut rng(), START), Err(Error::SignatureRefused));
                    }
                }
            }
            let short = Sign::new(Input::Digest(&[1; 27]), SignOptions::default());
            let error = ring.perform(&short, &mut rng(), START).unwrap_err();
            assert!(error.to_string().starts_with("a digest of 27 bytes is not accepted, only "), "{error}");
            assert_eq!(error.kind(), ErrorKind::Malformed);
        }
    }

    #[test]
    fn a_derived_ring_signs_with_a_key_per_context_and_publishes_none() {
        let mut ring = derived(Cipher::Ed25519, false);
        let (message, options) = (Input::Message(b"message"), SignOptions::default());
        let sign = |context| ring.perform(&Sign::new(message, options).with_context(context), &mut rng(), START);
        let (one, two) = (sign(b"1").unwrap(), sign(b"2").unwrap());
        assert_ne!(one, two);
        assert_eq!(sign(b"").unwrap_err(), Error::Context { derived: true });
        let verify =
            |text, context| ring.perform(&Verify::new(message, text, options).with_context(context), &mut rng(), START);
        assert_eq!(verify(&one, b"1"), Ok(()));
        assert_eq!(verify(&one, b"2"), Err(Error::SignatureRefused));
        assert!(ring.published(START).is_empty());
        let view = ring.view(START);
        assert!(view.derived && view.versions[0].kid.is_none() && view.versions[0].public_key.is_none());
        assert_eq!(
            ring.signer(START).unwrap_err().to_string(),
            "a ring with `derived: true` cannot sign without a context"
        );
        assert_eq!(ring.sign_jwts(START), Err(Error::Derived { operation: "sign tokens" }));
        assert!(ring.export(Export::PublicKey, None).is_err());
    }

    #[test]
    fn older_versions_sign_only_where_versions_do_not_overlap() {
        let options = SignOptions::default();
        let mut plain = ring(Cipher::Ed25519);
        rotate(&mut plain, START);
        let by = |ring: &Ring, version, now| {
            let sign = Sign::new(Input::Message(b"message"), options).with_version(version);
            ring.perform(&sign, &mut rng(), now).map(|text| version_of(&text).unwrap())
        };
        assert_eq!((by(&plain, 1, START), by(&plain, 2, START)), (Ok(1), Ok(2)));
        assert_eq!(by(&plain, 3, START), Err(Error::Version { version: 3, reason: "is not there" }));

        let mut config = config(Cipher::Ed25519);
        config.auto_rotate = usual();
        let mut scheduled = made(config);
        rotate(&mut scheduled, START);
        let reason = "is not active";
        assert_eq!(
            (by(&scheduled, 1, START), by(&scheduled, 2, START)),
            (Ok(1), Err(Error::Version { version: 2, reason }))
        );
        let later = START + Duration::DAY;
        assert_eq!(
            (by(&scheduled, 1, later), by(&scheduled, 2, later)),
            (Err(Error::Version { version: 1, reason }), Ok(2))
        );
    }

    #[test]
    fn every_ring_makes_hmacs() {
        for cipher in QUICK {
            let mut ring = ring(cipher);
            for hash in HashFunction::ALL.iter().copied() {
                let text = ring.perform(&Hmac::new(b"message", hash), &mut rng(), START).unwrap();
                let verify = |input, text| ring.perform(&VerifyHmac::new(input, text, hash), &mut rng(), START);
                assert_eq!(verify(b"message", &text), Ok(()));
                assert_eq!(verify(b"massage", &text), Err(Error::SignatureRefused));
                assert_eq!(verify(b"message", &text[..text.len() - 4]), Err(Error::SignatureRefused));
                assert_eq!(verify(b"message", "vault:v2:"), Err(Error::SignatureRefused));
            }
            let old = ring.perform(&Hmac::new(b"message", SHA), &mut rng(), START).unwrap();
            rotate(&mut ring, START);
            let new = ring.perform(&Hmac::new(b"message", SHA), &mut rng(), START).unwrap();
            assert_eq!((version_of(&old), version_of(&new)), (Some(1), Some(2)));
            ring.perform(&VerifyHmac::new(b"message", &old, SHA), &mut rng(), START).unwrap();
            ring.trim(2, START).unwrap();
            let verify = ring.perform(&VerifyHmac::new(b"message", &old, SHA), &mut rng(), START);
            assert_eq!(verify, Err(Error::SignatureRefused));
        }
    }

    #[test]
    fn the_hmac_key_is_not_the_key_of_the_version() {
        let key = [7; 32];
        let mut ring = Ring::new(config(Cipher::Aes256Gcm96), FirstActivation::AtOnce, START).unwrap();
        ring.import(Material::from_bytes(Cipher::Aes256Gcm96, &key).unwrap(), START).unwrap();
        let text = ring.perform(&Hmac::new(b"message", SHA), &mut rng(), START).unwrap();
        let with_the_key = keyward_keys::HmacKey::from_bytes(&key).sign(SHA, b"message");
        assert_ne!(text, format!("vault:v1:{}", STANDARD.encode(with_the_key)));
    }

    #[test]
    fn randomness_has_limits() {
        assert_eq!(random(32, &mut rng()).unwrap().len(), 32);
        assert_eq!(random(131_072, &mut rng()).unwrap().len(), 131_072);
        for bytes in [0, 131_073] {
            let text = random(bytes, &mut rng()).unwrap_err().to_string();
            assert_eq!(text, format!("`bytes` is {bytes}, but must be from 1 to 131072"));
        }
    }
}

mod versions {
    use super::*;

    #[test]
    fn below_the_lowest_versions_nothing_decrypts_and_nothing_encrypts() {
        let mut ring = ring(Cipher::Aes256Gcm96);
        let texts: Vec<_> = (0..3)
            .map(|_| {
                let text = ring.encrypt(b"secret", b"", &mut rng(), START).unwrap();
                rotate(&mut ring, START);
                text
            })
            .collect();
        let set = |ring: &mut Ring, decryption, encryption| ring.set_lowest_versions(decryption, encryption, START);
        assert_eq!(set(&mut ring, 2, Some(3)), Ok(true));
        assert_eq!(set(&mut ring, 2, Some(3)), Ok(false));
        assert_eq!(ring.decrypt(&texts[0], b""), Err(Error::DecryptionFailed));
        assert!(ring.decrypt(&texts[1], b"").is_ok());
        let by = |version| ring.perform(&Encrypt::new(b"").with_version(version), &mut rng(), START);
        assert_eq!(by(2), Err(Error::Version { version: 2, reason: "is older than `min-encryption-version`" }));
        assert!(by(3).is_ok() && by(4).is_ok());
        let view = serde_json::to_value(ring.view(START)).unwrap();
        assert_eq!((&view["min-decryption-version"], &view["min-encryption-version"]), (&2.into(), &3.into()));

        let refused =
            |ring: &mut Ring, decryption, encryption| set(ring, decryption, encryption).unwrap_err().to_string();
        assert_eq!(refused(&mut ring, 5, None), "`min-decryption-version` is 5, but must be from 1 to 4");
        assert_eq!(refused(&mut ring, 0, None), "`min-decryption-version` is 0, but must be from 1 to 4");
        assert_eq!(refused(&mut ring, 3, Some(2)), "`min-encryption-version` is 2, but must be from 3 to 4");

        // It can be undone, and survives a restart.
        let keks = KekSet::new(Kek::from_bytes(1, &[9; 32]).unwrap());
        let record = ring.to_sealed(keks.current(), "a", &mut rng()).unwrap();
        let mut ring = Ring::from_sealed(&keks, "a", &record).unwrap();
        assert_eq!((ring.min_decryption_version(), ring.min_encryption_version()), (2, Some(3)));
        assert_eq!(set(&mut ring, 1, None), Ok(true));
        assert!(ring.decrypt(&texts[0], b"").is_ok());
        ring.trim(3, START).unwrap();
        assert_eq!(ring.min_decryption_version(), 3);
        assert_eq!(ring.decrypt(&texts[1], b""), Err(Error::DecryptionFailed));

        let mut tokens = super::ring(Cipher::Ed25519);
        tokens.sign_jwts(START).unwrap();
        assert_eq!(set(&mut tokens, 1, None), Err(Error::SignsJwts));
    }

    #[test]
    fn a_compromised_key_is_dropped_and_its_successor_signs_in_one_commit() {
        let mut config = config(Cipher::Ed25519);
        config.auto_rotate = usual();
        let mut ring = made(config);
        ring.sign_jwts(START).unwrap();
        let now = START + Duration::days(31) - Duration::HOUR;
        rotate(&mut ring, now);
        assert_eq!((ring.phase(1, now), ring.phase(2, now)), (Some(Phase::Active), Some(Phase::Pending)));

        let command = ring.rotate_compromised();
        assert_eq!(command, Command::Generate { cipher: Cipher::Ed25519, version: 3 });
        let material = || super::material(Cipher::Ed25519);
        let replaced = ring.clone().install_compromised(3, material(), Compromised::Active, now).unwrap();
        assert_eq!(replaced.dropped, [1, 2]);
        assert_eq!(replaced.cached_until, Some(now + Duration::minutes(62)));
        assert_eq!(replaced.sites_sign_until, Some(now + Duration::days(3)));

        let replaced = ring.install_compromised(3, material(), Compromised::Active, now).unwrap();
        assert_eq!(replaced.version, 3);
        assert_eq!(ring.published(now).iter().map(|p| p.version).collect::<Vec<_>>(), [3]);
        assert_eq!(ring.signer(now).unwrap().version(), 3);
        let view = ring.view(now);
        assert!(view.versions[0].destroyed && view.versions[1].destroyed);
        assert_eq!(ring.view(now).next_rotation, Some(now + Duration::days(30)));
        let error = ring.install_compromised(3, material(), Compromised::Active, now).unwrap_err();
        assert_eq!(error, Error::UnexpectedVersion { given: 3, expected: 4 });
    }

    #[test]
    fn older_versions_verify_on_unless_all_are_compromised() {
        let mut config = config(Cipher::EcdsaP256);
        config.auto_rotate = usual();
        let mut ring = made(config);
        let signature = ring.sign(b"message", SignOptions::default(), START).unwrap();
        let now = START + Duration::days(30);
        rotate(&mut ring, now);
        let now = now + Duration::days(2);
        let material = || super::material(Cipher::EcdsaP256);
        let verify = |ring: &Ring| ring.verify(b"message", &signature, SignOptions::default(), now);

        let mut one = ring.clone();
        let replaced = one.install_compromised(3, material(), Compromised::Active, now).unwrap();
        assert_eq!((replaced.dropped, verify(&one)), (vec![2], Ok(())));
        let replaced = ring.install_compromised(3, material(), Compromised::All, now).unwrap();
        assert_eq!((replaced.dropped, verify(&ring)), (vec![1, 2], Err(Error::SignatureRefused)));
    }

    #[test]
    fn a_compromised_key_that_encrypted_decrypts_until_it_is_trimmed() {
        for mut ring in [ring(Cipher::Aes256Gcm96), rsa_ring()] {
            let text = ring.encrypt(b"secret", b"", &mut rng(), START).unwrap();
            let material = match ring.cipher() {
                Cipher::Rsa2048 => material(Cipher::Rsa2048),
                cipher => material(cipher),
            };
            let replaced = ring.install_compromised(2, material, Compromised::All, START).unwrap();
            assert_eq!(replaced.dropped, [1]);
            assert_eq!(replaced.cached_until.is_some(), ring.cipher().signs());
            let by = |version| ring.perform(&Encrypt::new(b"").with_version(version), &mut rng(), START);
            assert_eq!(by(1), Err(Error::Version { version: 1, reason: "is not active" }));
            let rewrapped = ring.rewrap(&text, b"", &mut rng(), START).unwrap();
            assert_eq!(version_of(&rewrapped), Some(2));
            assert_eq!(ring.advance(START), []);
            ring.trim(2, START).unwrap();
            assert_eq!(ring.decrypt(&text, b""), Err(Error::DecryptionFailed));
            assert_eq!(ring.decrypt(&rewrapped, b"").unwrap().as_slice(), b"secret");
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Wait(i64),
        Advance,
        Rotate,
        Compromised(bool),
        Restart,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (1..40_i64).prop_map(|days| Step::Wait(days * 7)),
            4 => Just(Step::Advance),
            1 => Just(Step::Rotate),
            1 => any::<bool>().prop_map(Step::Compromised),
            1 => Just(Step::Restart),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        /// Whatever happens, rotations for compromised keys among it: one version signs, what was dropped never verifies
        /// again, and what was encrypted decrypts.
        #[test]
        fn one_version_signs_and_nothing_is_lost(steps in prop::collection::vec(step(), 1..40), encrypts: bool) {
            let cipher = if encrypts { Cipher::ChaCha20Poly1305 } else { Cipher::Ed25519 };
            let mut config = config(cipher);
            config.auto_rotate = usual();
            let mut ring = made(config);
            let keks = KekSet::new(Kek::from_bytes(1, &[9; 32]).unwrap());
            let (mut now, mut texts, mut dropped) = (START, Vec::new(), Vec::new());
            for step in steps {
                match step {
                    Step::Wait(hours) => now += Duration::hours(hours),
                    Step::Advance => for command in ring.advance(now) {
                        match command {
                            Command::Generate { cipher, version } => drop(ring.install(version, material(cipher), now).unwrap()),
                            Command::Destroy { version } => ring.destroy(version, now).unwrap(),
                            _ => {}
                        }
                    },
                    Step::Rotate => if let Ok(Command::Generate { cipher, version }) = ring.rotate(now) {
                        ring.install(version, material(cipher), now).unwrap();
                    },
                    Step::Compromised(all) => {
                        let which = if all { Compromised::All } else { Compromised::Active };
                        let version = ring.newest_version() + 1;
                        let replaced = ring.install_compromised(version, material(cipher), which, now).unwrap();
                        prop_assert_eq!(ring.active_version(now), Some(version));
                        dropped.extend(replaced.dropped);
                    }
                    Step::Restart => {
                        let record = ring.to_sealed(keks.current(), "a", &mut rng()).unwrap();
                        ring = Ring::from_sealed(&keks, "a", &record).unwrap();
                    }
                }
                let active = (1..=ring.newest_version()).filter(|v| ring.phase(*v, now) == Some(Phase::Active));
                prop_assert_eq!(active.collect::<Vec<_>>(), [ring.active_version(now).unwrap()]);
                prop_assert!(dropped.iter().all(|v| ring.phase(*v, now) == Some(Phase::Invalid)));
                prop_assert!(ring.published(now).iter().all(|p| !dropped.contains(&p.version)));
                if encrypts {
                    texts.push(ring.encrypt(b"secret", b"", &mut rng(), now).unwrap());
                }
            }
            for text in texts {
                prop_assert!(ring.decrypt(&text, b"").is_ok(), "{}", text);
            }
        }

        /// For every symmetric cipher, derived or not, and any text.
        #[test]
        fn what_is_encrypted_decrypts_and_nothing_else(
            cipher in prop::sample::select(&QUICK[..4]),
            plaintext in prop::collection::vec(any::<u8>(), 0..100),
            data in prop::collection::vec(any::<u8>(), 0..20),
            context in prop::collection::vec(any::<u8>(), 1..20),
            mode in 0..3_u8,
            bit in any::<prop::sample::Index>(),
        ) {
            let ring = if mode == 0 { ring(cipher) } else { derived(cipher, mode == 2) };
            let context = if mode == 0 { &[] } else { context.as_slice() };
            let encrypt = Encrypt::new(&plaintext).with_associated_data(&data).with_context(context);
            let text = ring.perform(&encrypt, &mut rng(), START).unwrap();
            let open = |text: &str| {
                let decrypt = Decrypt::new(text).with_associated_data(&data).with_context(context);
                ring.perform(&decrypt, &mut rng(), START)
            };
            prop_assert_eq!(open(&text).unwrap().to_vec(), plaintext);
            let mut bytes = STANDARD.decode(text.strip_prefix("vault:v1:").unwrap()).unwrap();
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(open(&format!("vault:v1:{}", STANDARD.encode(bytes))), Err(Error::DecryptionFailed));
        }
    }
}

mod coming_and_going {
    use super::*;

    fn exportable(cipher: Cipher) -> Ring {
        let mut config = config(cipher);
        config.exportable = true;
        config.allow_plaintext_backup = true;
        made(config)
    }

    #[test]
    fn only_exportable_rings_export_and_public_keys_always() {
        let ring = ring(Cipher::EcdsaP256);
        let text = "`exportable` of the ring is false, so it does not export keys";
        for export in [Export::SigningKey, Export::HmacKey] {
            assert_eq!(ring.export(export, None).unwrap_err().to_string(), text);
        }
        assert!(matches!(&ring.export(Export::PublicKey, None).unwrap()[0].key, ExportedKey::Public(_)));
        let error = ring.export(Export::EncryptionKey, None).unwrap_err();
        assert_eq!(error.to_string(), "a ring with the cipher `ecdsa-p256` cannot export an encryption key");

        let mut ring = exportable(Cipher::EcdsaP256);
        rotate(&mut ring, START);
        assert_eq!(ring.export(Export::SigningKey, None).unwrap().len(), 2);
        assert_eq!(ring.export(Export::SigningKey, Some(2)).unwrap()[0].version, 2);
        let missing = |version| Error::Version { version, reason: "is not there" };
        assert_eq!(ring.export(Export::SigningKey, Some(3)).unwrap_err(), missing(3));
        ring.trim(2, START).unwrap();
        assert_eq!(ring.export(Export::HmacKey, Some(1)).unwrap_err(), missing(1));
        let shown = format!("{:?}", ring.export(Export::SigningKey, None).unwrap());
        assert_eq!(shown, "[Exported { version: 2, key: Private(..) }]");
        ring.sign_jwts(START).unwrap();
        assert_eq!(ring.export(Export::SigningKey, None).unwrap_err(), Error::SignsJwts);
        assert_eq!(ring.export(Export::PublicKey, None).unwrap().len(), 1);
        assert_eq!("hmac-key".parse::<Export>(), Ok(Export::HmacKey));
        assert_eq!(
            "keys\n".parse::<Export>().unwrap_err().to_string(),
            "`keys\\n` cannot be exported, only `encryption-key`, `signing-key`, `hmac-key` and `public-key`"
        );
    }

    #[test]
    fn a_backup_comes_back_under_another_name_with_all_it_had() {
        for cipher in QUICK {
            let mut ring = exportable(cipher);
            rotate(&mut ring, START);
            let hmac = ring.perform(&Hmac::new(b"message", SHA).with_version(1), &mut rng(), START).unwrap();
            let plain = ring.to_plaintext_backup().unwrap();
            let again = Ring::from_plaintext_backup(&plain, Some("other".parse().unwrap())).unwrap();
            assert_eq!(again.name().as_str(), "other");
            assert_eq!(again.view(START).versions, ring.view(START).versions);
            again.perform(&VerifyHmac::new(b"message", &hmac, SHA), &mut rng(), START).unwrap();
            assert!(again.config().exportable);

            let keks = KekSet::new(Kek::from_bytes(1, &[9; 32]).unwrap());
            let sealed = ring.to_sealed_backup(keks.current(), "tenant 1", &mut rng()).unwrap();
            assert_eq!(
                Ring::from_sealed_backup(&keks, "tenant 1", &sealed, None).unwrap().view(START),
                ring.view(START)
            );
            let elsewhere = Ring::from_sealed_backup(&keks, "tenant 2", &sealed, None).unwrap_err();
            assert_eq!(elsewhere, RecordError::Refused);
        }
    }

    #[test]
    fn a_plaintext_backup_needs_two_options_and_a_sealed_one_none() {
        let ring = ring(Cipher::Aes256Gcm96);
        let error = ring.to_plaintext_backup().unwrap_err();
        assert_eq!(error.to_string(), "`exportable` of the ring is false, so it does not go into a plaintext backup");
        let mut config = config(Cipher::Ed25519);
        config.exportable = true;
        let mut ring = made(config.clone());
        let error = ring.to_plaintext_backup().unwrap_err();
        assert!(error.to_string().starts_with("`allow-plaintext-backup` of the ring is false"), "{error}");
        config.allow_plaintext_backup = true;
        assert!(ring.reconfigure(config.clone(), START).unwrap());
        assert!(ring.to_plaintext_backup().is_ok());
        config.allow_plaintext_backup = false;
        let error = ring.reconfigure(config, START).unwrap_err().to_string();
        assert_eq!(error, "`allow-plaintext-backup` of a ring cannot change from `true` to `false`");
        ring.sign_jwts(START).unwrap();
        assert_eq!(ring.to_plaintext_backup().unwrap_err(), Error::SignsJwts);
        let keks = KekSet::new(Kek::from_bytes(1, &[9; 32]).unwrap());
        assert!(ring.to_sealed_backup(keks.current(), "", &mut rng()).is_ok());
    }

    #[test]
    fn a_text_that_is_no_backup_is_refused() {
        let refused = |text: &str| Ring::from_plaintext_backup(text, None).unwrap_err().to_string();
        assert_eq!(refused("?"), "the record holds no backup of a ring: it is not base64");
        assert_eq!(refused(""), "the record holds no ring: it has no format number");
        assert_eq!(refused(&STANDARD.encode(r#"{"format":1}"#)), "the record holds no ring: it has other members");
        let newer = STANDARD.encode(r#"{"format":9}"#);
        assert_eq!(refused(&newer), "the record has format 9, but this release knows formats up to 2");
        let mut ring: serde_json::Value = serde_json::from_slice(
            &STANDARD.decode(exportable(Cipher::Ed25519).to_plaintext_backup().unwrap().as_str()).unwrap(),
        )
        .unwrap();
        ring["config"]["convergent-encryption"] = true.into();
        assert_eq!(refused(&STANDARD.encode(ring.to_string())), "the record holds no ring: its options are refused");
    }

    #[test]
    fn an_import_is_a_rotation_with_a_key_from_elsewhere() {
        let mut config = config(Cipher::Ed25519);
        config.auto_rotate = usual();
        let mut ring = made(config);
        let document =
            keyward_keys::PrivateKey::generate(keyward_keys::KeyType::Ed25519).unwrap().to_pkcs8_der().unwrap();
        let import = || Material::from_bytes(Cipher::Ed25519, &document).unwrap();
        assert_eq!(ring.import(import(), START), Ok(Command::Publish { version: 2 }));
        assert_eq!(ring.phase(2, START), Some(Phase::Pending));
        assert!(matches!(ring.import(import(), START), Err(Error::Pending { version: 2, .. })));
        let later = START + Duration::days(2);
        assert!(matches!(ring.import(import(), later), Err(Error::KidReused { .. })));

        let error = Material::from_bytes(Cipher::EcdsaP256, &document).unwrap_err();
        assert_eq!(error, Error::WrongMaterial { cipher: Cipher::EcdsaP256 });
        for (cipher, length, text) in [
            (Cipher::Aes192Gcm96, 32, "a symmetric key of 32 bytes is not accepted, only 24"),
            (Cipher::Hmac, 31, "a key for HMACs of 31 bytes is not accepted, only 32 to 512"),
            (Cipher::Hmac, 513, "a key for HMACs of 513 bytes is not accepted, only 32 to 512"),
            (Cipher::Rsa2048, 32, "not a valid PKCS#8 private key"),
        ] {
            let error = Material::from_bytes(cipher, &vec![1; length]).unwrap_err();
            assert_eq!((error.to_string().as_str(), error.kind()), (text, ErrorKind::Malformed));
        }
        assert!(Material::from_bytes(Cipher::Hmac, &[1; 512]).is_ok());
    }

    #[test]
    fn options_that_decide_over_ciphertexts_cannot_change() {
        let mut ring = derived(Cipher::Aes256Gcm96, true);
        for (field, edit) in [
            ("derived", (|config| config.derived = false) as fn(&mut RingConfig)),
            ("convergent-encryption", |config| config.convergent_encryption = false),
        ] {
            let mut config = ring.config().clone();
            edit(&mut config);
            let error = ring.reconfigure(config, START).unwrap_err().to_string();
            assert_eq!(error, format!("`{field}` of a ring cannot change from `true` to `false`"));
        }
        let mut config = config(Cipher::Rsa2048);
        config.derived = true;
        let error = Ring::new(config, FirstActivation::AtOnce, START).unwrap_err();
        assert_eq!(error.to_string(), "`derived` needs a symmetric cipher or `ed25519`, not `rsa-2048`");
        let options = SignOptions::new(Some(Algorithm::Ps256), Marshaling::Asn1);
        assert_eq!(options.hash, None);
    }
}
