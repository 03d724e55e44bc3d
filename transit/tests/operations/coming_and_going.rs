//! Keys and rings that leave and come: export, import, backup.

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
        "`keys\\n` is no exported key, only `encryption-key`, `signing-key`, `hmac-key` and `public-key`"
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
        assert_eq!(Ring::from_sealed_backup(&keks, "tenant 1", &sealed, None).unwrap().view(START), ring.view(START));
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
    let document = keyward_keys::PrivateKey::generate(keyward_keys::KeyType::Ed25519).unwrap().to_pkcs8_der().unwrap();
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
fn a_backup_of_either_kind_is_told_by_itself() {
    let keks = KekSet::new(Kek::from_bytes(1, &[9; 32]).unwrap());
    let ring = exportable(Cipher::Ed25519);
    let plain = ring.to_plaintext_backup().unwrap();
    let sealed = ring.to_sealed_backup(keks.current(), "tenant 1", &mut rng()).unwrap();
    for text in [plain.as_str(), &sealed] {
        let again = Ring::from_backup(&keks, "tenant 1", text, Some("other".parse().unwrap())).unwrap();
        assert_eq!(again.view(START).versions, ring.view(START).versions);
        assert_eq!(again.name().as_str(), "other");
    }
    assert_eq!(Ring::from_backup(&keks, "tenant 2", &sealed, None).unwrap_err(), RecordError::Refused);
    for text in ["", "AA==", "e30="] {
        assert!(Ring::from_backup(&keks, "tenant 1", text, None).is_err());
    }
}

#[test]
fn a_ring_of_imported_keys_makes_none_of_its_own() {
    let mut options = config(Cipher::Aes256Gcm96);
    options.imported_only = true;
    let mut ring = Ring::new(options.clone(), FirstActivation::AtOnce, START).unwrap();
    assert_eq!((ring.advance(START), ring.next_deadline(START)), (vec![], None));
    let text = "`imported-only` of the ring is true: import the next key instead of rotating";
    assert_eq!(ring.rotate(START).unwrap_err().to_string(), text);
    let key = || Material::from_bytes(Cipher::Aes256Gcm96, &[7; 32]).unwrap();
    ring.import(key(), START).unwrap();
    assert_eq!(ring.rotate(START).unwrap_err(), Error::ImportedOnly);
    assert!(ring.view(START).versions[0].imported && ring.view(START).imported_only);
    let sealed = ring.encrypt(b"text", &[], &mut rng(), START).unwrap();

    // What came from elsewhere stays known as that, also in a record, and a key that became known is replaced even so.
    let keks = KekSet::new(Kek::from_bytes(1, &[9; 32]).unwrap());
    let record = ring.to_sealed(keks.current(), "here", &mut rng()).unwrap();
    let mut ring = Ring::from_sealed(&keks, "here", &record).unwrap();
    assert!(ring.view(START).versions[0].imported);
    ring.install_compromised(2, key_of_another(), Compromised::Active, START).unwrap();
    assert!(!ring.view(START).versions[1].imported);
    assert_eq!(ring.decrypt(&sealed, &[]).unwrap().as_slice(), b"text");

    options.imported_only = false;
    assert!(ring.reconfigure(options.clone(), START).unwrap());
    rotate(&mut ring, START);
    options.imported_only = true;
    options.auto_rotate = usual();
    let error = ring.reconfigure(options, START).unwrap_err();
    assert_eq!(error.to_string(), "`imported-only` takes no `auto-rotate`, which makes keys here");
}

fn key_of_another() -> Material {
    material(Cipher::Aes256Gcm96)
}

#[test]
fn a_public_key_alone_verifies_and_encrypts_until_its_private_half_comes() {
    let key = keyward_keys::PrivateKey::from_pkcs8_pem(include_str!("../../../keys/tests/data/rfc7515-a2-rs256.pem"));
    let public = key.unwrap().public_key().clone();
    let mut options = config(Cipher::Rsa2048);
    (options.imported_only, options.exportable) = (true, true);
    let mut ring = Ring::new(options, FirstActivation::AtOnce, START).unwrap();
    let alone = || Material::from_public_key(Cipher::Rsa2048, public.clone()).unwrap();
    ring.import(alone(), START).unwrap();
    let keks = KekSet::new(Kek::from_bytes(1, &[9; 32]).unwrap());
    let record = ring.to_sealed(keks.current(), "here", &mut rng()).unwrap();
    let mut ring = Ring::from_sealed(&keks, "here", &record).unwrap();
    let view = ring.view(START);
    assert!(view.versions[0].public_alone && view.versions[0].imported && !view.versions[0].destroyed);

    let options = SignOptions::default();
    let whole = rsa_ring();
    let signature = whole.sign(b"message", options, START).unwrap();
    ring.verify(b"message", &signature, options, START).unwrap();
    assert_eq!(ring.verify(b"other", &signature, options, START), Err(Error::SignatureRefused));
    let sealed = ring.encrypt(b"text", &[], &mut rng(), START).unwrap();
    assert_eq!(whole.decrypt(&sealed, &[]).unwrap().as_slice(), b"text");
    assert_eq!(ring.decrypt(&sealed, &[]).unwrap_err(), Error::DecryptionFailed);
    let without = "version 1 has a public key alone";
    assert_eq!(ring.sign(b"message", options, START).unwrap_err().to_string(), without);
    assert_eq!(ring.perform(&Hmac::new(b"m", SHA), &mut rng(), START).unwrap_err().to_string(), without);
    assert!(ring.signer(START).is_err());
    assert_eq!(ring.export(Export::PublicKey, None).unwrap().len(), 1);
    assert_eq!(ring.export(Export::SigningKey, None).unwrap().len(), 0);
    assert!(matches!(ring.import(alone(), START), Err(Error::KidReused { .. })));

    assert_eq!(ring.import(rsa(), START), Ok(Command::Publish { version: 1 }));
    assert!(!ring.view(START).versions[0].public_alone);
    assert_eq!(ring.decrypt(&sealed, &[]).unwrap().as_slice(), b"text");
    ring.perform(&Hmac::new(b"m", SHA), &mut rng(), START).unwrap();
    assert!(matches!(ring.import(rsa(), START), Err(Error::KidReused { .. })));

    let error = Material::from_public_key(Cipher::EcdsaP256, public.clone()).unwrap_err();
    assert_eq!(error, Error::WrongMaterial { cipher: Cipher::EcdsaP256 });
    assert_eq!(
        Material::from_public_key(Cipher::Aes256Gcm96, public).unwrap_err(),
        Error::WrongMaterial { cipher: Cipher::Aes256Gcm96 }
    );
    let ed = keyward_keys::PrivateKey::generate(keyward_keys::KeyType::Ed25519).unwrap();
    let ed = Material::from_public_key(Cipher::Ed25519, ed.public_key().clone()).unwrap();
    let error = derived(Cipher::Ed25519, false).import(ed, START).unwrap_err();
    assert_eq!(error.to_string(), "a ring with `derived: true` cannot import a public key");
}

#[test]
fn a_private_half_completes_the_version_that_is_named_or_none() {
    let key = keyward_keys::PrivateKey::from_pkcs8_pem(include_str!("../../../keys/tests/data/rfc7515-a2-rs256.pem"));
    let public = key.unwrap().public_key().clone();
    let mut options = config(Cipher::Rsa2048);
    options.imported_only = true;
    let mut ring = Ring::new(options, FirstActivation::AtOnce, START).unwrap();
    ring.import(Material::from_public_key(Cipher::Rsa2048, public.clone()).unwrap(), START).unwrap();
    let before = ring.clone();
    let other = keyward_keys::PrivateKey::generate(keyward_keys::KeyType::Rsa2048).unwrap();
    let other = Material::from_private_key(other);
    let half = Material::from_public_key(Cipher::Rsa2048, public).unwrap();
    for (version, material, reason) in [
        (0, rsa(), "version 0 does not exist: without a version the key becomes the next one"),
        (2, rsa(), "version 2 does not exist: without a version the key becomes the next one"),
        (1, other, "version 1 has a public key that is not the one of this private key"),
        (1, half, "version 1 has a public key alone, which only its private key completes"),
        (1, key_of_another(), "version 1 has a public key alone, which only its private key completes"),
    ] {
        assert_eq!(ring.complete(version, material, START).unwrap_err().to_string(), reason);
        assert_eq!(ring.view(START), before.view(START), "{reason}");
    }
    assert_eq!(ring.complete(1, rsa(), START), Ok(Command::Publish { version: 1 }));
    let view = ring.view(START);
    assert_eq!((view.versions.len(), view.versions[0].public_alone), (1, false));
    ring.sign(b"message", SignOptions::default(), START).unwrap();
    let whole = "version 1 is not of a public key alone, which only a private key completes";
    assert_eq!(ring.complete(1, rsa(), START).unwrap_err().to_string(), whole);
}

#[test]
fn what_is_trimmed_is_not_let_in_again() {
    let mut ring = Ring::new(config(Cipher::Aes256Gcm96), FirstActivation::AtOnce, START).unwrap();
    for _ in 0..4 {
        ring.import(material(Cipher::Aes256Gcm96), START).unwrap();
    }
    assert_eq!(ring.first_available(), 1);
    ring.set_lowest_versions(3, Some(3), START).unwrap();
    ring.set_lowest_versions(2, Some(3), START).unwrap();
    ring.set_lowest_versions(3, Some(3), START).unwrap();
    ring.trim(3, START).unwrap();
    assert_eq!(ring.first_available(), 3);
    for below in [1, 2] {
        let error = ring.set_lowest_versions(below, Some(3), START).unwrap_err();
        assert_eq!(error.to_string(), format!("`min-decryption-version` is {below}, but must be from 3 to 4"));
    }
    ring.set_lowest_versions(3, None, START).unwrap();
    ring.set_lowest_versions(4, None, START).unwrap();
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
