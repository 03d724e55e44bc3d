//! One ring, step by step: rotation on request, settings, operations, what is stored and what is shown.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use keyward_keys::{Algorithm, Signer};
use keyward_transit::{
    AutoRotate, Cipher, Command, Error, ErrorKind, FirstActivation, Kek, KekSet, Marshaling, Material, Phase,
    RecordError, Ring, RingConfig, Schedule, SignOptions, open, seal,
};
use rand_core::UnwrapErr;
use serde_json::json;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const START: OffsetDateTime = datetime!(2026-03-01 00:00 UTC);
const PATH: &str = "tenants/default/transit-keys/test";

#[allow(clippy::disallowed_types, reason = "nothing in a test depends on what is drawn")]
fn rng() -> UnwrapErr<getrandom::SysRng> {
    UnwrapErr(getrandom::SysRng)
}

fn schedule(rotate: &str, activate: &str, deprecate: &str, invalidate: &str) -> AutoRotate {
    let d = |text: &str| text.parse().unwrap();
    Schedule::new(d(rotate), d(activate), d(deprecate), d(invalidate)).unwrap().into()
}

fn usual() -> Option<AutoRotate> {
    Some(schedule("30d", "1d", "2d", "2d"))
}

fn config(cipher: Cipher, auto_rotate: Option<AutoRotate>) -> RingConfig {
    let mut config = RingConfig::new("test".parse().unwrap());
    config.cipher = cipher;
    config.auto_rotate = auto_rotate;
    config
}

fn material(cipher: Cipher) -> Material {
    Material::generate(cipher, &mut rng()).unwrap()
}

fn ring(cipher: Cipher, auto_rotate: Option<AutoRotate>) -> Ring {
    let mut ring = Ring::new(config(cipher, auto_rotate), FirstActivation::AtOnce, START).unwrap();
    assert_eq!(ring.advance(START), [Command::Generate { cipher, version: 1 }]);
    assert_eq!(ring.next_deadline(START), Some(START));
    ring.install(1, material(cipher), START).unwrap();
    ring
}

fn rotate(ring: &mut Ring, now: OffsetDateTime) {
    let Command::Generate { cipher, version } = ring.rotate(now).unwrap() else { panic!() };
    ring.install(version, material(cipher), now).unwrap();
}

fn phases(ring: &Ring, now: OffsetDateTime) -> Vec<Phase> {
    (1..=ring.newest_version()).map(|version| ring.phase(version, now).unwrap()).collect()
}

mod rotation {
    use super::*;

    #[test]
    fn without_a_schedule_a_rotation_activates_at_once_and_older_versions_verify_until_trimmed() {
        let mut ring = ring(Cipher::EcdsaP256, None);
        let old = ring.sign(b"message", SignOptions::default(), START).unwrap();
        let later = START + Duration::days(4000);
        rotate(&mut ring, later);
        rotate(&mut ring, later);
        assert_eq!(phases(&ring, later), [Phase::Superseded, Phase::Superseded, Phase::Active]);
        assert_eq!(ring.advance(later), []);
        assert_eq!(ring.next_deadline(later), None);

        let years_later = later + Duration::days(4000);
        ring.verify(b"message", &old, SignOptions::default(), years_later).unwrap();
        ring.trim(2, years_later).unwrap();
        assert_eq!(phases(&ring, years_later), [Phase::Invalid, Phase::Superseded, Phase::Active]);
        assert_eq!(ring.verify(b"message", &old, SignOptions::default(), later), Err(Error::SignatureRefused));
        assert_eq!(ring.trim(4, years_later), Err(Error::StillNeeded { version: 3 }));
    }

    #[test]
    fn with_a_schedule_a_rotation_on_request_is_pending_first_and_a_second_one_is_a_conflict() {
        let mut ring = ring(Cipher::EcdsaP256, usual());
        let now = START + Duration::days(3);
        rotate(&mut ring, now);
        assert_eq!(phases(&ring, now), [Phase::Active, Phase::Pending]);
        let error = ring.rotate(now + Duration::HOUR).unwrap_err();
        assert_eq!(error.to_string(), "version 2 is pending until 2026-03-05T00:00:00Z: rotate again after that");
        assert_eq!(error, ring.install(3, material(Cipher::EcdsaP256), now).unwrap_err());
        assert!(error.is_conflict());
        assert_eq!(error.kind(), ErrorKind::Refused);
        // The next one comes 30 days after this one.
        assert_eq!(ring.view(now).next_rotation, Some(now + Duration::days(30)));
        assert!(ring.rotate(now + Duration::DAY).is_ok());
    }

    #[test]
    fn a_ring_that_signs_jwts_overlaps_even_without_a_schedule() {
        let mut ring = ring(Cipher::EcdsaP256, None);
        ring.sign_jwts(START).unwrap();
        rotate(&mut ring, START);
        let times = ring.transitions(1).unwrap();
        assert_eq!(times.superseded, Some(START + Duration::days(1)));
        assert_eq!(times.deprecated, Some(START + Duration::days(3)));
        assert_eq!(times.invalid, Some(START + Duration::days(5)));
        assert!(matches!(ring.rotate(START), Err(Error::Pending { version: 2, .. })));
        assert_eq!(ring.trim(2, START), Err(Error::StillNeeded { version: 1 }));
        assert_eq!(ring.advance(START + Duration::days(5)), [Command::Destroy { version: 1 }]);
        assert_eq!(ring.max_age().to_string(), "1h");
    }

    #[test]
    fn versions_superseded_before_the_ring_signed_jwts_are_not_in_the_key_set() {
        let mut ring = ring(Cipher::Ed25519, None);
        rotate(&mut ring, START);
        assert_eq!(ring.published(START).len(), 2);
        ring.sign_jwts(START).unwrap();
        let published = ring.published(START);
        assert_eq!(published.iter().map(|p| p.version).collect::<Vec<_>>(), [2]);
        assert!(ring.trim(2, START).is_ok());
    }

    #[test]
    fn the_first_version_signs_at_once_only_if_nothing_was_published_before() {
        let first = |cipher, auto_rotate, first| {
            let mut ring = Ring::new(config(cipher, auto_rotate), first, START).unwrap();
            ring.install(1, material(cipher), START).unwrap();
            ring.first_activation().unwrap() - START
        };
        use FirstActivation::{AfterPublication, AtOnce};
        assert_eq!(first(Cipher::EcdsaP256, usual(), AtOnce), Duration::ZERO);
        assert_eq!(first(Cipher::EcdsaP256, usual(), AfterPublication), Duration::DAY);
        // Nobody verifies with a symmetric key, and on request a rotation activates at once.
        assert_eq!(first(Cipher::Aes256Gcm96, usual(), AfterPublication), Duration::ZERO);
        assert_eq!(first(Cipher::EcdsaP256, None, AfterPublication), Duration::ZERO);
    }

    #[test]
    fn before_the_first_activation_nothing_signs() {
        let mut ring = Ring::new(config(Cipher::EcdsaP256, usual()), FirstActivation::AfterPublication, START).unwrap();
        assert_eq!(ring.signer(START).unwrap_err().to_string(), "no version of ring `test` is active");
        ring.install(1, material(Cipher::EcdsaP256), START).unwrap();
        let error = ring.signer(START).unwrap_err();
        assert_eq!(error.to_string(), "no version of ring `test` is active before 2026-03-02T00:00:00Z");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(ring.published(START).len(), 1);
    }

    #[test]
    fn a_key_is_installed_once_under_its_number_and_only_if_it_fits() {
        let mut ring = ring(Cipher::EcdsaP256, None);
        let error = ring.install(3, material(Cipher::EcdsaP256), START).unwrap_err();
        assert_eq!(error, Error::UnexpectedVersion { given: 3, expected: 2 });
        let error = ring.install(2, material(Cipher::EcdsaP384), START).unwrap_err();
        assert_eq!(error, Error::WrongMaterial { cipher: Cipher::EcdsaP256 });

        let key = keyward_keys::PrivateKey::generate(keyward_keys::KeyType::EcdsaP256).unwrap();
        let copy = keyward_keys::PrivateKey::from_pkcs8_der(&key.to_pkcs8_der().unwrap()).unwrap();
        ring.install(2, Material::from_private_key(key), START).unwrap();
        rotate(&mut ring, START);
        ring.trim(3, START).unwrap();
        let kid = copy.public_key().thumbprint();
        assert_eq!(ring.install(4, Material::from_private_key(copy), START), Err(Error::KidReused { kid }));
    }

    #[test]
    fn a_destroyed_key_is_gone_and_its_number_stays() {
        let mut ring = ring(Cipher::EcdsaP256, usual());
        let due = START + Duration::days(30);
        assert_eq!(ring.destroy(1, due), Err(Error::StillNeeded { version: 1 }));
        assert_eq!(ring.next_deadline(START), Some(due));
        ring.install(2, material(Cipher::EcdsaP256), due).unwrap();
        let end = START + Duration::days(35);
        assert_eq!(ring.advance(end), [Command::Destroy { version: 1 }]);
        ring.destroy(1, end).unwrap();
        assert_eq!(ring.advance(end), []);
        // The clock goes back: the version is no less invalid.
        assert_eq!(phases(&ring, START), [Phase::Invalid, Phase::Active]);
        assert!(ring.view(end).versions[0].destroyed);
        assert_eq!(ring.newest_version(), 2);
    }

    #[test]
    fn an_aes_ring_never_destroys_by_itself() {
        let mut ring = ring(Cipher::Aes256Gcm96, usual());
        ring.install(2, material(Cipher::Aes256Gcm96), START + Duration::days(30)).unwrap();
        let end = START + Duration::days(36);
        assert_eq!(phases(&ring, end), [Phase::Invalid, Phase::Active]);
        assert_eq!(ring.advance(end), []);
        assert_eq!(ring.destroy(1, end), Err(Error::StillNeeded { version: 1 }));
        assert!(ring.published(end).is_empty());
    }
}

mod settings {
    use super::*;

    #[test]
    fn what_cannot_change_is_refused_and_changes_nothing() {
        let mut exportable = config(Cipher::EcdsaP256, usual());
        exportable.exportable = true;
        let mut ring = ring(Cipher::EcdsaP256, usual());
        assert!(ring.reconfigure(exportable.clone(), START).unwrap());
        assert!(!ring.reconfigure(exportable.clone(), START).unwrap(), "nothing differs");

        let refused = |ring: &mut Ring, config: RingConfig| ring.reconfigure(config, START).unwrap_err().to_string();
        let mut edited = exportable.clone();
        edited.exportable = false;
        assert_eq!(refused(&mut ring, edited), "`exportable` of a ring cannot change from `true` to `false`");
        let mut edited = exportable.clone();
        edited.cipher = Cipher::Ed25519;
        assert_eq!(refused(&mut ring, edited), "`cipher` of a ring cannot change from `ecdsa-p256` to `ed25519`");
        let mut edited = exportable.clone();
        edited.name = "other".parse().unwrap();
        assert_eq!(refused(&mut ring, edited), "`name` of a ring cannot change from `test` to `other`");
        let mut edited = exportable.clone();
        edited.auto_rotate = Some(
            serde_json::from_value(json!({
                "rotate-after": "1d", "activate-after": "1d", "deprecate-after": "2d", "invalidate-after": "2d"
            }))
            .unwrap(),
        );
        let text = refused(&mut ring, edited);
        assert!(text.starts_with("`rotate-after` is 1d, but must be longer than 5d"), "{text}");
        assert!(text.ends_with("6d  invalid     not published, does not verify"), "{text}");
        assert_eq!(ring.config(), &exportable);
    }

    #[test]
    fn an_edited_schedule_changes_later_versions_alone() {
        let mut ring = ring(Cipher::EcdsaP256, usual());
        let due = START + Duration::days(30);
        ring.install(2, material(Cipher::EcdsaP256), due).unwrap();
        let fixed = (ring.transitions(1), ring.transitions(2));
        ring.reconfigure(config(Cipher::EcdsaP256, Some(schedule("60d", "2d", "3d", "4d"))), due).unwrap();
        assert_eq!((ring.transitions(1), ring.transitions(2)), fixed);

        let next = ring.view(due).next_rotation.unwrap();
        assert_eq!(next, due + Duration::days(60));
        ring.install(3, material(Cipher::EcdsaP256), next).unwrap();
        assert_eq!(ring.transitions(3).unwrap().activates, next + Duration::days(2));
        assert_eq!(ring.transitions(2).unwrap().invalid, Some(next + Duration::days(9)));
    }

    #[test]
    fn a_shorter_schedule_keeps_what_the_longer_one_promised() {
        let mut ring = ring(Cipher::EcdsaP256, usual());
        let edited = START + Duration::days(3);
        ring.reconfigure(config(Cipher::EcdsaP256, Some(schedule("1d", "5m", "1h", "1h"))), edited).unwrap();
        // Due at once; key sets without it are cached for an hour, and sites sign with version 1 for three days.
        assert_eq!(ring.next_deadline(edited), Some(edited));
        ring.install(2, material(Cipher::EcdsaP256), edited).unwrap();
        assert_eq!(ring.transitions(2).unwrap().activates, edited + Duration::minutes(62));
        let times = ring.transitions(1).unwrap();
        assert_eq!(times.deprecated, Some(edited + Duration::days(3)));
        assert_eq!(times.invalid, Some(edited + Duration::days(5)));
        // No third version while the first is published.
        assert_eq!(ring.view(edited).next_rotation, times.invalid);
    }

    #[test]
    fn longer_tokens_wait_for_versions_whose_end_is_fixed() {
        let mut ring = ring(Cipher::EcdsaP256, Some(schedule("30d", "1d", "1d", "2h")));
        ring.install(2, material(Cipher::EcdsaP256), START + Duration::days(30)).unwrap();
        let now = START + Duration::days(30);
        let day = "1d".parse().unwrap();
        let error = ring.check_tokens(day, now).unwrap_err();
        assert!(error.to_string().starts_with("`invalidate-after` is 2h, but must be at least 1d1m"));
        ring.reconfigure(config(Cipher::EcdsaP256, usual()), now).unwrap();
        assert_eq!(
            ring.check_tokens(day, now).unwrap_err().to_string(),
            "a token that lives 1d could outlive version 1, which verifies for 2h after its last signature, as an \
             earlier schedule fixed it; allow such tokens from 2026-04-02T00:00:00Z on"
        );
        assert_eq!(ring.check_tokens(day, START + Duration::days(32)), Ok(()));
    }

    #[test]
    fn only_rings_that_sign_can_sign_jwts_and_those_never_encrypt() {
        let mut aes = ring(Cipher::Aes256Gcm96, None);
        assert_eq!(aes.sign_jwts(START).unwrap_err().to_string(), "a ring with the cipher `aes256-gcm96` cannot sign");
        assert!(aes.encrypt(b"", b"", &mut rng(), START).is_ok());

        let mut rsa = ring(Cipher::EcdsaP256, None);
        let error = rsa.encrypt(b"", b"", &mut rng(), START).unwrap_err();
        assert_eq!(error.to_string(), "a ring with the cipher `ecdsa-p256` cannot encrypt");
        rsa.sign_jwts(START).unwrap();
        assert_eq!(rsa.encrypt(b"", b"", &mut rng(), START), Err(Error::SignsJwts));
        assert_eq!(rsa.sign(b"eyJhbGciOiJSUzI1NiJ9.e30", SignOptions::default(), START), Err(Error::SignsJwts));
        assert_eq!(rsa.decrypt("vault:v1:", b""), Err(Error::SignsJwts));
    }
}

mod operations {
    use super::*;

    #[test]
    fn every_signing_cipher_signs_verifies_and_publishes() {
        for cipher in Cipher::ALL.into_iter().filter(|cipher| cipher.signs()) {
            let ring = ring(cipher, usual());
            let signer = ring.signer(START).unwrap();
            let published = &ring.published(START)[0];
            assert_eq!(signer.kid(), published.kid);
            assert_eq!(published.jwk.kid(), Some(signer.kid()));
            assert_eq!(published.jwk.alg(), Some(signer.algorithm().as_str()));
            assert_eq!(published.jwk.use_(), Some("sig"));

            let signature = signer.sign(b"message").unwrap();
            ring.verify_by_kid(signer.kid(), b"message", &signature, START).unwrap();
            assert_eq!(ring.verify_by_kid(signer.kid(), b"massage", &signature, START), Err(Error::SignatureRefused));
            assert_eq!(ring.verify_by_kid("other", b"message", &signature, START), Err(Error::SignatureRefused));
            let foreign = keyward_keys::PublicKey::from_jwk(&published.jwk).unwrap();
            foreign.verify(signer.algorithm(), b"message", &signature).unwrap();

            for marshaling in [Marshaling::Asn1, Marshaling::Jws] {
                let options = SignOptions::new(None, marshaling);
                let text = ring.sign(b"message", options, START).unwrap();
                assert!(text.starts_with("vault:v1:"), "{text}");
                ring.verify(b"message", &text, options, START).unwrap();
                assert_eq!(ring.verify(b"massage", &text, options, START), Err(Error::SignatureRefused));
                let other = text.replace("vault:v1:", "vault:v2:");
                assert_eq!(ring.verify(b"message", &other, options, START), Err(Error::SignatureRefused));
            }
        }
    }

    #[test]
    fn the_algorithm_can_be_chosen_where_it_fits() {
        let ring = ring(Cipher::Rsa2048, None);
        let pss = SignOptions::new(Some(Algorithm::Ps256), Marshaling::Asn1);
        let text = ring.sign(b"message", pss, START).unwrap();
        ring.verify(b"message", &text, pss, START).unwrap();
        assert_eq!(ring.verify(b"message", &text, SignOptions::default(), START), Err(Error::SignatureRefused));
        let wrong = SignOptions::new(Some(Algorithm::Es256), Marshaling::Asn1);
        assert!(matches!(ring.sign(b"message", wrong, START), Err(Error::Keys(_))));
        assert_eq!(ring.verify(b"message", &text, wrong, START), Err(Error::SignatureRefused));
    }

    #[test]
    fn decryption_has_one_failure() {
        let mut ring = ring(Cipher::Aes256Gcm96, None);
        let text = ring.encrypt(b"secret", b"context", &mut rng(), START).unwrap();
        rotate(&mut ring, START);
        assert_eq!(ring.decrypt(&text, b"context").unwrap().as_slice(), b"secret");
        let body = text.strip_prefix("vault:v1:").unwrap();
        let mut flipped = text.clone().into_bytes();
        let middle = flipped.len() - 10;
        flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
        let bad = [
            String::new(),
            body.to_owned(),
            format!("vault:v2:{body}"),
            format!("vault:v9:{body}"),
            format!("vault:v01:{body}"),
            "vault:v1:".to_owned(),
            "vault:v1:AAAA".to_owned(),
            format!("{text} "),
            text.replace('=', ""),
            String::from_utf8(flipped).unwrap(),
        ];
        for bad in bad.iter().filter(|bad| **bad != text) {
            assert_eq!(ring.decrypt(bad, b"context"), Err(Error::DecryptionFailed), "{bad}");
        }
        assert_eq!(ring.decrypt(&text, b""), Err(Error::DecryptionFailed));
        assert_eq!(Error::DecryptionFailed.to_string(), "decryption failed");
    }

    #[test]
    fn the_ciphertext_is_what_the_format_says() {
        use base64::Engine as _;
        let key = keyward_keys::AeadKey::from_bytes(&[3; 32]).unwrap();
        let mut ring = Ring::new(config(Cipher::Aes256Gcm96, None), FirstActivation::AtOnce, START).unwrap();
        ring.install(1, Material::from_aead_key(keyward_keys::AeadKey::from_bytes(&[3; 32]).unwrap()), START).unwrap();
        let text = ring.encrypt(b"secret", b"context", &mut rng(), START).unwrap();
        let body = text.strip_prefix("vault:v1:").unwrap();
        let body = base64::engine::general_purpose::STANDARD.decode(body).unwrap();
        let (nonce, sealed) = body.split_first_chunk::<12>().unwrap();
        assert_eq!(key.open(nonce, b"context", sealed).unwrap().as_slice(), b"secret");
        assert_ne!(text, ring.encrypt(b"secret", b"context", &mut rng(), START).unwrap());
    }
}

mod records {
    use super::*;

    fn keks() -> KekSet {
        KekSet::new(Kek::from_bytes(1, &[9; 32]).unwrap())
    }

    fn json_of(ring: &Ring) -> serde_json::Value {
        let record = ring.to_sealed(keks().current(), PATH, &mut rng()).unwrap();
        serde_json::from_slice(&open(&keks(), PATH, &record).unwrap()).unwrap()
    }

    fn load(json: &serde_json::Value) -> Result<Ring, RecordError> {
        let record = seal(keks().current(), PATH, json.to_string().as_bytes(), &mut rng()).unwrap();
        Ring::from_sealed(&keks(), PATH, &record)
    }

    #[test]
    fn a_ring_is_the_same_after_a_restart() {
        for cipher in [Cipher::Aes256Gcm96, Cipher::Rsa2048, Cipher::EcdsaP521, Cipher::Ed25519] {
            let mut ring = ring(cipher, usual());
            if cipher.signs() {
                ring.sign_jwts(START).unwrap();
            }
            let due = START + Duration::days(30) + Duration::nanoseconds(123_456_789);
            ring.install(2, material(cipher), due).unwrap();
            ring.reconfigure(config(cipher, Some(schedule("60d", "2d", "3d", "4d"))), due).unwrap();
            if cipher.signs() {
                ring.destroy(1, START + Duration::days(40)).unwrap();
            }
            let again = load(&json_of(&ring)).unwrap();
            assert_eq!(format!("{again:?}"), format!("{ring:?}"));
            assert_eq!(again.view(due), ring.view(due));
            assert_eq!(again.next_deadline(due), ring.next_deadline(due));
            if cipher.signs() {
                let signer = ring.signer(due).unwrap();
                let signature = signer.sign(b"message").unwrap();
                again.verify_by_kid(signer.kid(), b"message", &signature, due).unwrap();
            } else {
                let text = ring.encrypt(b"secret", b"", &mut rng(), due).unwrap();
                assert_eq!(again.decrypt(&text, b"").unwrap().as_slice(), b"secret");
            }
        }
    }

    #[test]
    fn a_record_opens_only_in_its_place() {
        let record = ring(Cipher::Ed25519, None).to_sealed(keks().current(), PATH, &mut rng()).unwrap();
        assert_eq!(Ring::from_sealed(&keks(), "elsewhere", &record).unwrap_err(), RecordError::Refused);
        assert!(Ring::from_sealed(&keks(), PATH, &record).is_ok());
    }

    #[test]
    fn a_newer_format_and_damaged_content_are_told_apart() {
        let good = json_of(&ring(Cipher::Ed25519, usual()));
        let mut newer = good.clone();
        newer["format"] = 3.into();
        newer["versions"] = "unheard of".into();
        assert_eq!(load(&newer).unwrap_err(), RecordError::UnknownFormat { found: 3, known: 2 });

        type Edit = fn(&mut serde_json::Value);
        let edits: [(&str, Edit); 7] = [
            ("it has no format number", |json| json["format"] = serde_json::Value::Null),
            ("it has other members", |json| json["highest"] = "yesterday".into()),
            ("its schedule is refused", |json| json["config"]["auto-rotate"]["rotate-after"] = "1s".into()),
            ("a key is not base64", |json| json["versions"][0]["secret"] = "?".into()),
            ("a public key is not base64", |json| json["versions"][0]["public"] = "?".into()),
            ("a public key is missing or too many", |json| json["versions"][0]["public"] = serde_json::Value::Null),
            ("a key is not that of its version", |json| {
                json["versions"][0]["secret"] = json_of(&ring(Cipher::Ed25519, None))["versions"][0]["secret"].take();
            }),
        ];
        for (reason, edit) in edits {
            let mut json = good.clone();
            edit(&mut json);
            let error = load(&json).unwrap_err();
            assert_eq!(error.to_string(), format!("the record holds no ring: {reason}"));
            assert_eq!(error.kind(), ErrorKind::Malformed);
        }
        assert!(load(&good).is_ok());
    }

    #[test]
    fn nothing_shown_holds_a_secret() {
        for cipher in [Cipher::Aes256Gcm96, Cipher::EcdsaP256] {
            let ring = ring(cipher, usual());
            let stored = json_of(&ring);
            let secret = stored["versions"][0]["secret"].as_str().unwrap();
            assert!(secret.len() > 40);
            let shown =
                format!("{ring:?} {:?} {}", ring.signer(START), serde_json::to_string(&ring.view(START)).unwrap());
            assert!(!shown.contains(secret));
            assert!(!shown.contains("key: [") && !shown.contains("AeadKey"), "{shown}");
        }
    }
}

#[test]
fn the_view_shows_every_transition_and_says_what_is_only_planned() {
    let key = keyward_keys::PrivateKey::from_pkcs8_pem(
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
         -----END PRIVATE KEY-----\n",
    )
    .unwrap();
    let mut ring = Ring::new(config(Cipher::Ed25519, usual()), FirstActivation::AtOnce, START).unwrap();
    ring.install(1, Material::from_private_key(key), START).unwrap();
    // The key of RFC 8037 appendix A.
    let kid = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    assert_eq!(
        serde_json::to_value(ring.view(START)).unwrap(),
        json!({
            "name": "test",
            "cipher": "ed25519",
            "exportable": false,
            "deletion-allowed": false,
            "signs-jwts": false,
            "active-version": 1,
            "next-rotation": "2026-03-31T00:00:00Z",
            "jwks-max-age": "1h",
            "timeline": {
                "activates": "1d", "rotated": "30d", "superseded": "31d", "deprecated": "33d", "invalid": "35d",
                "jwks-max-age": "1h", "cut-off-allowance": "3d",
            },
            "versions": [{
                "version": 1,
                "phase": "active",
                "kid": kid,
                "public-key": "-----BEGIN PUBLIC KEY-----\n\
                               MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n\
                               -----END PUBLIC KEY-----\n",
                "jwk": {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid, "alg": "EdDSA", "use": "sig"},
                "created": "2026-03-01T00:00:00Z",
                "activates": "2026-03-01T00:00:00Z",
                "superseded": "2026-04-01T00:00:00Z",
                "deprecated": "2026-04-03T00:00:00Z",
                "invalid": "2026-04-05T00:00:00Z",
                "planned": true,
                "destroyed": false,
            }],
        })
    );
    rotate(&mut ring, START + Duration::DAY);
    let view = ring.view(START + Duration::DAY);
    assert!(!view.versions[0].planned && view.versions[1].planned);
    assert_eq!(view.versions[0].superseded, Some(START + Duration::days(2)));
}

#[test]
fn everything_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Ring>();
    shared::<keyward_transit::RingSigner>();
    shared::<keyward_transit::Issuing>();
    shared::<Material>();
    shared::<KekSet>();
}
