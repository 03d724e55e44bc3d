//! Signatures, HMACs and randomness.

use super::*;

#[test]
fn a_digest_made_elsewhere_gives_a_signature_of_the_message() {
    for (cipher, ring) in QUICK.map(|cipher| (cipher, ring(cipher))).into_iter().chain([(Cipher::Rsa2048, rsa_ring())])
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
    for version in [None, Some(1), Some(9)] {
        assert_eq!(
            ring.export(Export::PublicKey, version).unwrap_err().to_string(),
            "a ring with `derived: true` cannot export one public key: each context has its own"
        );
    }
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

#[test]
fn options_are_read_by_the_names_that_clients_know() {
    assert_eq!("hash".parse(), Ok(SaltLength::Digest));
    assert_eq!("auto".parse(), Ok(SaltLength::Any));
    assert_eq!("20".parse(), Ok(SaltLength::Bytes(20)));
    assert_eq!("pkcs1v15".parse(), Ok(RsaPadding::Pkcs1v15));
    assert_eq!("jws".parse(), Ok(Marshaling::Jws));
    let texts = [
        "+1".parse::<SaltLength>().unwrap_err(),
        "PSS".parse::<RsaPadding>().unwrap_err(),
        "".parse::<Marshaling>().unwrap_err(),
    ]
    .map(|error| error.to_string());
    assert_eq!(
        texts,
        [
            "`+1` is no length of a salt, only `auto`, `hash` and numbers of bytes",
            "`PSS` is no padding of RSA, only `pss` and `pkcs1v15`",
            "`` is no marshaling, only `asn1` and `jws`",
        ]
    );
}

/// Whoever is to hear of a mistake otherwise than of a forgery asks for it; verifying alone never tells.
#[test]
fn what_cannot_be_a_signature_is_told_by_its_form_alone() {
    let (mut ec, mut ed) = (ring(Cipher::EcdsaP256), ring(Cipher::Ed25519));
    let problem = |ring: &Ring, text: &str, marshaling| {
        let options = SignOptions::new(None, marshaling);
        let verify = Verify::new(Input::Message(b"message"), text, options);
        assert_eq!(ring.perform(&verify, &mut rng(), START), Err(Error::SignatureRefused), "{text}");
        match verify.check_form(ring) {
            Ok(()) => "",
            Err(Error::SignatureForm { problem }) => problem,
            Err(error) => panic!("{error}"),
        }
    };
    let (no_prefix, no_version) = ("it does not begin with `vault:v`, a version and `:`", "its version is not there");
    let (no_base64, no_asn1) =
        ("behind the version it is not base64", "it is no ASN.1 sequence of the two numbers of an ECDSA signature");
    for (text, asn1, jws) in [
        ("", no_prefix, no_prefix),
        ("hello", no_prefix, no_prefix),
        ("vault:v1", no_prefix, no_prefix),
        ("vault:vx:AAAA", no_prefix, no_prefix),
        ("vault:v2:AAAA", no_version, no_version),
        ("vault:v1:!", no_base64, no_base64),
        ("vault:v1:AA==", no_asn1, no_base64),
        ("vault:v1:AAAA", no_asn1, ""),
        ("vault:v1:MAYCAQECAQE=", "", no_base64),
        ("vault:v1:MAYCAQECAQEA", no_asn1, ""),
    ] {
        assert_eq!(problem(&ec, text, Marshaling::Asn1), asn1, "{text}");
        assert_eq!(problem(&ec, text, Marshaling::Jws), jws, "{text}");
    }
    assert_eq!(problem(&ed, "vault:v1:AAAA", Marshaling::Asn1), "");
    for ring in [&mut ec, &mut ed] {
        rotate(ring, START);
        ring.set_lowest_versions(2, None, START).unwrap();
        assert_eq!(
            problem(ring, "vault:v1:MAYCAQECAQE=", Marshaling::Asn1),
            "its version is older than `min-decryption-version`"
        );
        let hmac = |text| VerifyHmac::new(b"message", text, SHA).check_form(ring);
        assert_eq!(hmac("vault:v2:AAAA"), Ok(()));
        assert_eq!(hmac("vault:v2:!"), Err(Error::SignatureForm { problem: no_base64 }));
        assert_eq!(hmac("vault:v3:AAAA"), Err(Error::SignatureForm { problem: no_version }));
    }
}

/// What a ring signs in a context verifies elsewhere by the public key of that context.
#[test]
fn the_public_key_of_a_context_verifies_elsewhere() {
    let ring = derived(Cipher::Ed25519, false);
    let sign = Sign::new(Input::Message(b"1"), SignOptions::default()).with_context(b"a");
    let text = ring.perform(&sign, &mut rng(), START).unwrap();
    let signature = STANDARD.decode(text.rsplit(':').next().unwrap()).unwrap();
    let verify = |context| ring.derived_public_key(1, context).unwrap().verify(Algorithm::EdDsa, b"1", &signature);
    assert!(verify(b"a").is_ok() && verify(b"b").is_err());
    assert_eq!(ring.derived_public_key(1, b"").unwrap_err(), Error::Context { derived: true });
    assert!(matches!(ring.derived_public_key(2, b"a"), Err(Error::Version { version: 2, .. })));
    let plain = super::ring(Cipher::Ed25519);
    assert_eq!(plain.derived_public_key(1, b"a").unwrap_err(), Error::Context { derived: false });
    assert!(matches!(plain.derived_public_key(1, b""), Err(Error::Version { version: 1, .. })));
}
