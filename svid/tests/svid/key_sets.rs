//! Reading key sets: one bad entry never costs the others, and a document that two readers could read differently is
//! refused.

use keyward_keys::Algorithm;
use keyward_svid::jwks::{JwksError, MAX_JWKS_BYTES, MAX_KEYS, SkipReason};
use keyward_svid::{JwkSet, KeyUse, VerificationKey};
use serde_json::{Value, json};

use crate::support::*;

fn good(kid: &str, key_use: KeyUse) -> Value {
    let key = signer(Algorithm::Es256).public_key().clone();
    serde_json::to_value(VerificationKey::new(key, Algorithm::Es256, kid).unwrap().to_jwk(key_use)).unwrap()
}

fn without(mut jwk: Value, member: &str) -> Value {
    jwk.as_object_mut().unwrap().remove(member);
    jwk
}

fn with(mut jwk: Value, member: &str, value: impl Into<Value>) -> Value {
    jwk[member] = value.into();
    jwk
}

/// Reads the entry between two good ones, and answers why it was skipped.
#[track_caller]
fn skipped(entry: &str, key_use: KeyUse) -> SkipReason {
    let document = format!(r#"{{"keys":[{},{entry},{}]}}"#, good("first", key_use), good("last", key_use));
    let set = JwkSet::from_json(document.as_bytes(), key_use).unwrap();
    let kids: Vec<_> = set.keys().iter().map(VerificationKey::kid).collect();
    assert_eq!(kids, [Some("first"), Some("last")], "{entry}");
    assert_eq!((set.skipped().len(), set.skipped()[0].index), (1, 1));
    set.skipped()[0].reason.clone()
}

#[test]
fn what_is_unknown_is_skipped() {
    let sig = KeyUse::Signature;
    for (entry, text) in [
        (
            json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA", "kid": "pq", "use": "sig"}),
            "its key type `AKP` is unknown",
        ),
        (json!({"kty": "oct", "k": "c2VjcmV0", "kid": "s"}), "its key type `oct` is unknown"),
        (json!({"kty": "ec"}), "its key type `ec` is unknown"),
        (with(good("e", sig), "use", "enc"), "its use is `enc`, not `sig`"),
        (with(good("e", sig), "use", "wit-svid"), "its use is `wit-svid`, not `sig`"),
        (with(good("e", sig), "key_ops", json!(["sign"])), "its operations do not hold `verify`"),
        (with(good("e", sig), "alg", "ES384"), "its algorithm `ES384` is not one for JWT-SVIDs or not one for the key"),
        (with(good("e", sig), "alg", "HS256"), "its algorithm `HS256` is not one for JWT-SVIDs or not one for the key"),
        (with(good("e", sig), "crv", "secp256k1"), "curve `secp256k1` is not supported"),
        (without(good("e", sig), "y"), "the JWK has no member `y`"),
        (
            json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
            "a key of type `OKP` cannot verify JWT-SVIDs",
        ),
        (
            json!({"kty": "RSA", "e": "AQAB", "n": encode([0xff; 255])}),
            "an RSA modulus of 2040 bits is not accepted, only 2048 to 8192",
        ),
        (with(good("e", sig), "d", "c2VjcmV0"), "it is not a well-formed key"),
        (with(good("e", sig), "kid", 7), "it is not a well-formed key"),
        (with(good("e", sig), "use", 7), "it is not a well-formed key"),
        (json!({}), "it is not a well-formed key"),
        (json!([]), "it is not a well-formed key"),
        (json!(null), "it is not a well-formed key"),
        (json!("x"), "it is not a well-formed key"),
    ] {
        assert_eq!(skipped(&entry.to_string(), sig).to_string(), text, "{entry}");
    }
}

#[test]
fn an_entry_with_a_duplicate_member_is_skipped() {
    let jwk = good("e", KeyUse::Signature).to_string();
    for (entry, name) in [
        (jwk.replacen('{', r#"{"kid":"other","#, 1), "kid"),
        (jwk.replacen('{', r#"{"\u006bty":"EC","#, 1), "kty"),
        (jwk.replacen('{', r#"{"x-mine":{"a":1,"a":1},"#, 1), "a"),
    ] {
        assert_eq!(skipped(&entry, KeyUse::Signature), SkipReason::Duplicate { name: name.to_owned() });
    }
}

#[test]
fn a_bundle_demands_use_and_key_id() {
    let jwt = KeyUse::JwtSvid;
    for (entry, reason) in [
        (without(good("e", jwt), "use"), SkipReason::Use { found: None, wanted: jwt }),
        (with(good("e", jwt), "use", "sig"), SkipReason::Use { found: Some("sig".to_owned()), wanted: jwt }),
        (
            with(good("e", jwt), "use", "x509-svid"),
            SkipReason::Use { found: Some("x509-svid".to_owned()), wanted: jwt },
        ),
        (without(good("e", jwt), "kid"), SkipReason::NoKeyId),
        (with(good("e", jwt), "kid", ""), SkipReason::NoKeyId),
    ] {
        assert_eq!(skipped(&entry.to_string(), jwt), reason, "{entry}");
    }
    // OIDC demands neither.
    let entry = without(without(good("e", KeyUse::Signature), "use"), "kid");
    let set = JwkSet::from_json(json!({ "keys": [entry] }).to_string().as_bytes(), KeyUse::Signature).unwrap();
    assert_eq!((set.keys().len(), set.keys()[0].kid()), (1, None));
}

#[test]
fn a_skipped_entry_is_described() {
    let document = json!({"keys": [{"kty": "AKP", "kid": "pq\n"}]}).to_string();
    let set = JwkSet::from_json(document.as_bytes(), KeyUse::Signature).unwrap();
    assert_eq!(set.skipped()[0].to_string(), "entry 0 `pq\\n` skipped: its key type `AKP` is unknown");
}

#[test]
fn the_document_itself() {
    let read = |json: &str| JwkSet::from_json(json.as_bytes(), KeyUse::Signature);
    // Everything revoked is a legal state, and other members are not ours.
    let set = read(r#"{"spiffe_sequence":7,"keys":[],"x":{"y":[1.5e300]}}"#).unwrap();
    assert!(set.keys().is_empty() && set.skipped().is_empty());
    for (json, text) in [
        ("{}", "the key set has no list `keys`"),
        (r#"{"keys":null}"#, "the key set has no list `keys`"),
        (r#"{"keys":{}}"#, "the key set has no list `keys`"),
        (r#"{"Keys":[]}"#, "the key set has no list `keys`"),
        (r#"{"keys":[],"keys":[]}"#, "member `keys` occurs twice in the key set"),
        (r#"{"a":1,"keys":[],"a":1}"#, "member `a` occurs twice in the key set"),
        (r#"{"a":{"b":1,"b":1},"keys":[]}"#, "member `b` occurs twice in the key set"),
        ("", "the key set is not a JSON object, fault at line 1, column 0"),
        ("[]", "the key set is not a JSON object, fault at line 1, column 0"),
        ("{\"keys\":[]}\n}", "the key set is not a JSON object, fault at line 2, column 1"),
        ("{\"keys\":[{]}", "the key set is not a JSON object, fault at line 1, column 11"),
    ] {
        let error = read(json).unwrap_err();
        assert_eq!(error.to_string(), text, "{json}");
        assert_eq!(error.kind(), keyward_svid::ErrorKind::Malformed);
    }
    assert!(JwkSet::from_json(b"\xff", KeyUse::Signature).is_err());
}

#[test]
fn bounds_hold_and_one_more_does_not() {
    let entries = |n: usize| format!(r#"{{"keys":[{}]}}"#, vec!["{}"; n].join(","));
    let read = |json: &str| JwkSet::from_json(json.as_bytes(), KeyUse::Signature);
    assert_eq!(read(&entries(MAX_KEYS)).unwrap().skipped().len(), MAX_KEYS);
    assert_eq!(read(&entries(MAX_KEYS + 1)), Err(JwksError::TooMany { limit: MAX_KEYS }));
    let padded = |n: usize| format!("{}{}", r#"{"keys":[]}"#, " ".repeat(n - 11));
    assert!(read(&padded(MAX_JWKS_BYTES)).is_ok());
    let length = MAX_JWKS_BYTES + 1;
    assert_eq!(read(&padded(length)), Err(JwksError::TooLong { length, limit: MAX_JWKS_BYTES }));
    let deep = format!(r#"{{"keys":[{}{}]}}"#, "[".repeat(10_000), "]".repeat(10_000));
    assert!(matches!(read(&deep), Err(JwksError::Json { .. })));
}

#[test]
fn what_is_published() {
    let key = signer(Algorithm::Es256).public_key().clone();
    let jwk = key.to_jwk();
    let set = JwkSet::new(KeyUse::Signature, [VerificationKey::new(key.clone(), Algorithm::Es256, "k").unwrap()]);
    let expected = json!({"keys": [{
        "kty": "EC", "use": "sig", "alg": "ES256", "kid": "k", "crv": "P-256", "x": jwk.x(), "y": jwk.y()
    }]});
    assert_eq!(serde_json::from_str::<Value>(&set.to_json()).unwrap(), expected);
    assert_eq!(serde_json::to_value(&set).unwrap(), expected);

    let refused =
        VerificationKey::new(private_key(keyward_keys::KeyType::Ed25519).public_key().clone(), Algorithm::EdDsa, "k");
    assert_eq!(refused.unwrap_err().to_string(), "a key of type `OKP` with algorithm `EdDSA` cannot verify JWT-SVIDs");
    assert!(VerificationKey::new(key.clone(), Algorithm::Es384, "k").is_err());
    assert_eq!(VerificationKey::new(key.clone(), Algorithm::Es256, ""), Err(JwksError::KeyId));
    assert_eq!(VerificationKey::from_jwk(&key.to_jwk()), Err(JwksError::KeyId));
    let unbound = VerificationKey::from_jwk(&key.to_jwk().with_kid("k")).unwrap();
    assert_eq!(unbound.algorithm(), None);
    let ed25519 = private_key(keyward_keys::KeyType::Ed25519).public_key().to_jwk().with_kid("k");
    assert!(matches!(VerificationKey::from_jwk(&ed25519), Err(JwksError::Algorithm { .. })));
}
