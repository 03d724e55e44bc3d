//! Encrypting, with every cipher and in every mode.

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
