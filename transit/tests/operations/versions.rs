//! Which versions serve: the lowest ones, and compromised keys.

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

    let refused = |ring: &mut Ring, decryption, encryption| set(ring, decryption, encryption).unwrap_err().to_string();
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

    // Whoever did not hear of a shorter schedule goes by the one before.
    let mut quick = ring.config().clone();
    let text = r#"{"rotate-after": "1d", "activate-after": "1h", "deprecate-after": "1h", "invalidate-after": "1h"}"#;
    quick.auto_rotate = Some(serde_json::from_str(text).unwrap());
    let later = now + Duration::MINUTE;
    ring.reconfigure(quick, later).unwrap();
    let replaced = ring.install_compromised(4, material(), Compromised::All, later).unwrap();
    assert_eq!(replaced.cached_until, Some(later + Duration::minutes(62)));
    assert_eq!(replaced.sites_sign_until, Some(later + Duration::days(3)));
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

#[test]
fn texts_are_read_as_files_and_folding_leave_them() {
    let (aes, ec) = (ring(Cipher::Aes256Gcm96), ring(Cipher::EcdsaP256));
    let message = Input::Message(b"message");
    let jws = SignOptions::with_hash(Cipher::EcdsaP256, SHA, RsaPadding::Pss, Marshaling::Jws).unwrap();
    let ciphertext = aes.encrypt(b"secret", b"", &mut rng(), START).unwrap();
    let signatures = [SignOptions::default(), jws]
        .map(|options| (options, ec.perform(&Sign::new(message, options), &mut rng(), START).unwrap()));
    let mac = ec.perform(&Hmac::new(b"message", SHA), &mut rng(), START).unwrap();
    let reads = |changed: fn(&str) -> String| -> Vec<bool> {
        let mut all = vec![aes.decrypt(&changed(&ciphertext), b"").is_ok()];
        for (options, text) in &signatures {
            let text = changed(text);
            let verify = Verify::new(message, &text, *options);
            all.push(verify.check_form(&ec).is_ok());
            all.push(ec.perform(&verify, &mut rng(), START).is_ok());
        }
        let text = changed(&mac);
        let verify = VerifyHmac::new(b"message", &text, SHA);
        all.extend([verify.check_form(&ec).is_ok(), ec.perform(&verify, &mut rng(), START).is_ok()]);
        all
    };
    let read: [fn(&str) -> String; 2] =
        [|text| format!("{text}\n"), |text| format!("{}\r\n{}\n", &text[..20], &text[20..])];
    for changed in read {
        assert_eq!(reads(changed), [true; 7]);
    }
    let refused: [fn(&str) -> String; 3] =
        [|text| format!("{text} "), |text| format!("\n{text}"), |text| text.replacen(':', "\n:", 1)];
    for changed in refused {
        assert_eq!(reads(changed), [false; 7]);
    }
}
