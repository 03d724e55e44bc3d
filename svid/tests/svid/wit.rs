//! WIT-SVIDs and workload proof tokens: a table of tokens that each keep or break one rule, rightly signed, so that only
//! the rule can be the reason; then what is minted, and what both ends of a request see.

use keyward_keys::{Algorithm, ErrorKind, KeySigner, KeyType, PrivateKey, sha256};
use keyward_svid::wit::{
    self, MAX_PROOF_LIFETIME, MintError, ProofContext, Prover, UnverifiedWitSvid, VerifierError, VerifyError,
    WitBundle, WitRequest, WitSvid, WitVerifier, WitVerifyOptions,
};
use keyward_svid::{JwkSet, KeyUse, VerifyOptions, jwt};
use serde_json::{Value, json};
use time::Duration;

use crate::support::*;

/// What a workload's key is called nowhere: it is known by the WIT-SVID alone.
const WORKLOAD: Algorithm = Algorithm::Es384;

fn wit_bundle() -> WitBundle {
    let keys = NINE.map(|(algorithm, _)| verification_key(algorithm));
    WitBundle::new(TRUST_DOMAIN.parse().unwrap(), JwkSet::new(KeyUse::WitSvid, keys)).unwrap()
}

fn wit_verifier() -> WitVerifier {
    WitVerifier::new(WitVerifyOptions::default()).unwrap()
}

fn verify(token: &str) -> Result<WitSvid, VerifyError> {
    wit_verifier().verify(token, &wit_bundle(), at(NOW))
}

fn workload_jwk() -> Value {
    serde_json::to_value(signer(WORKLOAD).public_key().to_jwk().with_alg(WORKLOAD)).unwrap()
}

fn wit_header() -> Value {
    json!({"alg": "ES256", "kid": "ES256", "typ": "wit+jwt"})
}

fn wit_claims() -> Value {
    json!({"sub": "spiffe://td.example/w", "exp": NOW + 60, "cnf": {"jwk": workload_jwk()}})
}

/// A value with one member set, or taken away by `null`. The name may be a path.
fn with(mut value: Value, path: &str, member: Value) -> Value {
    let (parents, name) = path.rsplit_once('.').unwrap_or(("", path));
    let pointer = if parents.is_empty() { String::new() } else { format!("/{}", parents.replace('.', "/")) };
    let object = value.pointer_mut(&pointer).unwrap().as_object_mut().unwrap();
    if member.is_null() {
        object.remove(name)
    } else {
        object.insert(name.to_owned(), member)
    };
    value
}

fn wit_token(header: &Value, claims: &Value) -> String {
    es256(&header.to_string(), &claims.to_string())
}

const OK: &str = "accepted";

#[track_caller]
fn outcome(what: &str, found: Result<(), VerifyError>, expected: &str) {
    let text = found.as_ref().map_or_else(ToString::to_string, |()| OK.to_owned());
    assert_eq!(text, expected, "{what}");
    if let Err(error) = found {
        assert!(matches!(error.kind(), ErrorKind::Malformed | ErrorKind::Refused), "{what}");
    }
}

#[test]
fn headers() {
    for (member, value, expected) in [
        ("alg", json!("ES256"), OK),
        // §2.1: required, and the name of a key of the bundle.
        ("kid", Value::Null, "header member `kid` is missing"),
        ("kid", json!("ES384"), "no key fits key ID `ES384` and algorithm `ES256`"),
        ("kid", json!("es256"), "no key fits key ID `es256` and algorithm `ES256`"),
        ("kid", json!(1), "header member `kid` is not a string"),
        // §2.2: required, and exactly this.
        ("typ", Value::Null, "header member `typ` is missing"),
        ("typ", json!("JWT"), "header member `typ` has a value that is not allowed"),
        ("typ", json!("wpt+jwt"), "header member `typ` has a value that is not allowed"),
        ("typ", json!("WIT+JWT"), "header member `typ` has a value that is not allowed"),
        ("typ", json!("application/wit+jwt"), "header member `typ` has a value that is not allowed"),
        // §2.3.
        ("alg", Value::Null, "header member `alg` is missing"),
        ("alg", json!("none"), "signature algorithm `none` is not accepted"),
        ("alg", json!("HS256"), "signature algorithm `HS256` is not accepted"),
        ("alg", json!("EdDSA"), "signature algorithm `EdDSA` is not accepted"),
        ("alg", json!("ES384"), "no key fits key ID `ES256` and algorithm `ES384`"),
        // §2.4: ignored, unless they must be understood.
        ("x-unknown", json!(1), OK),
        ("jwk", workload_jwk(), OK),
        ("crit", json!(["exp"]), "header member `crit` demands extensions that are not understood"),
    ] {
        let token = wit_token(&with(wit_header(), member, value.clone()), &wit_claims());
        outcome(&format!("{member} {value}"), verify(&token).map(drop), expected);
    }
}

#[test]
fn claims() {
    for (member, value, expected) in [
        ("x-unknown", json!({"a": [1]}), OK),
        // §3.1.
        ("sub", Value::Null, "claim `sub` is missing"),
        ("sub", json!("wimse://td.example/w"), "claim `sub` is not a SPIFFE ID"),
        ("sub", json!(["spiffe://td.example/w"]), "claim `sub` has the wrong type"),
        (
            "sub",
            json!("spiffe://other.example/w"),
            "the subject belongs to trust domain `other.example`, the keys to `td.example`",
        ),
        // §3.3, §3.6, §3.7.
        ("jti", json!("1"), OK),
        ("jti", json!(1), "claim `jti` has the wrong type"),
        ("iat", json!(NOW + 1_000_000), OK),
        ("iss", json!("https://issuer.example"), OK),
        // §3.4.
        ("exp", Value::Null, "claim `exp` is missing"),
        ("exp", json!(NOW + 1), OK),
        ("exp", json!(NOW), "the token expired at 2027-01-15T08:00:00Z, it is 2027-01-15T08:00:00Z"),
        ("exp", json!(NOW as f64 + 60.5), "claim `exp` has the wrong type"),
        // §3.5.
        ("nbf", json!(NOW), OK),
        ("nbf", json!(NOW + 1), "the token is not valid before 2027-01-15T08:00:01Z, it is 2027-01-15T08:00:00Z"),
        // §3.8.
        ("aud", json!("reports"), "claim `aud` is not allowed"),
        ("aud", json!([]), "claim `aud` is not allowed"),
    ] {
        let token = wit_token(&wit_header(), &with(wit_claims(), member, value.clone()));
        outcome(&format!("{member} {value}"), verify(&token).map(drop), expected);
    }
}

#[test]
fn confirmations() {
    let ed25519 = private_key(KeyType::Ed25519).public_key().to_jwk();
    let unusable = |reason: &str| format!("claim `cnf` holds a key that is not usable: {reason}");
    for (member, value, expected) in [
        ("cnf", Value::Null, "claim `cnf` is missing".to_owned()),
        ("cnf", json!("key"), "claim `cnf` has no `jwk`".to_owned()),
        ("cnf", json!({"kid": "1"}), "claim `cnf` has no `jwk`".to_owned()),
        ("cnf.kid", json!("1"), OK.to_owned()),
        ("cnf.jku", json!("https://keys.example"), "claim `cnf` names more than one key".to_owned()),
        ("cnf.jwe", json!("x"), "claim `cnf` names more than one key".to_owned()),
        ("cnf.jwk.alg", Value::Null, "claim `cnf` holds a key without `alg`".to_owned()),
        (
            "cnf.jwk.alg",
            json!("ES256"),
            unusable("its algorithm `ES256` is not one for JWT-SVIDs or not one for the key"),
        ),
        (
            "cnf.jwk.alg",
            json!("HS256"),
            unusable("its algorithm `HS256` is not one for JWT-SVIDs or not one for the key"),
        ),
        (
            "cnf.jwk.alg",
            json!("none"),
            unusable("its algorithm `none` is not one for JWT-SVIDs or not one for the key"),
        ),
        ("cnf.jwk", json!({"kty": "oct", "k": "AAAA", "alg": "HS256"}), unusable("its key type `oct` is unknown")),
        (
            "cnf.jwk",
            serde_json::to_value(ed25519.with_alg(Algorithm::EdDsa)).unwrap(),
            unusable("a key of type `OKP` cannot verify JWT-SVIDs"),
        ),
        ("cnf.jwk.d", json!("AAAA"), unusable("it is not a well-formed key")),
        ("cnf.jwk.x", json!("AAAA"), unusable("JWK member `x` does not have the width of the curve")),
        ("cnf.jwk.use", json!("sig"), OK.to_owned()),
        ("cnf.jwk.use", json!("enc"), unusable("its use is `enc`, not `sig`")),
        ("cnf.jwk.key_ops", json!(["verify"]), OK.to_owned()),
        ("cnf.jwk.key_ops", json!(["encrypt"]), unusable("its operations do not hold `verify`")),
    ] {
        let token = wit_token(&wit_header(), &with(wit_claims(), member, value.clone()));
        outcome(&format!("{member} {value}"), verify(&token).map(drop), &expected);
    }
}

#[test]
fn no_member_twice() {
    let claims = wit_claims().to_string();
    for (claims, name) in [
        (claims.replacen('{', r#"{"cnf":{},"#, 1), "cnf"),
        (claims.replacen('{', r#"{"sub":"x","#, 1), "sub"),
        (claims.replace(r#""cnf":{"#, r#""cnf":{"x":{"y":1,"y":2},"#), "y"),
        (claims.replace(r#""jwk":{"#, r#""jwk":{"alg":"ES256","#), "alg"),
    ] {
        let token = es256(&wit_header().to_string(), &claims);
        let expected = format!("member `{name}` occurs twice in the claims part of the token");
        outcome(&claims, verify(&token).map(drop), &expected);
    }
}

#[test]
fn a_token_of_one_kind_is_none_of_another() {
    // A JWT-SVID's verifier refuses a WIT-SVID, whose key would fit, and the other way about.
    let token = wit_token(&wit_header(), &with(wit_claims(), "aud", json!(AUDIENCE)));
    let error = verifier().verify(&token, &bundle(), at(NOW)).unwrap_err();
    assert_eq!(error.to_string(), "header member `typ` has a value that is not allowed");
    let error = verify(&es256(HEADER, &crate::support::claims())).unwrap_err();
    assert_eq!(error.to_string(), "header member `typ` has a value that is not allowed");

    // Keys are taken for what they are there for.
    let keys = JwkSet::new(KeyUse::JwtSvid, [verification_key(Algorithm::Es256)]);
    let read = |key_use| JwkSet::from_json(keys.to_json().as_bytes(), key_use).unwrap();
    assert_eq!(read(KeyUse::WitSvid).skipped()[0].reason.to_string(), "its use is `jwt-svid`, not `wit-svid`");
    let error = WitBundle::new(TRUST_DOMAIN.parse().unwrap(), read(KeyUse::JwtSvid)).unwrap_err();
    assert_eq!(error, VerifierError::KeyUse { found: KeyUse::JwtSvid });
    assert_eq!(error.to_string(), "keys for `jwt-svid` do not verify WIT-SVIDs, keys for `wit-svid` do");
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    // WIT-SVID §6.1: a `kid` is required.
    let mut unnamed: Value = serde_json::from_str(&keys.to_json().replace("jwt-svid", "wit-svid")).unwrap();
    unnamed["keys"][0].as_object_mut().unwrap().remove("kid");
    let unnamed = JwkSet::from_json(unnamed.to_string().as_bytes(), KeyUse::WitSvid).unwrap();
    assert_eq!(unnamed.skipped()[0].to_string(), "entry 0 skipped: it has no key ID");
}

#[test]
fn the_example_of_the_standard_is_read() {
    // WIT-SVID, appendix A. Its issuer's key is not given.
    let token = concat!(
        "eyJhbGciOiJFUzI1NiIsImtpZCI6ImxRU2kzaFpGbmRhMkQtWEprajF6bDdmb0pvdWl3STRuckF5aHk0alppSmciLCJ0eXAiOiJ3aXQrand0In0.",
        "eyJjbmYiOnsiandrIjp7ImFsZyI6IkVTMjU2IiwiY3J2IjoiUC0yNTYiLCJrdHkiOiJFQyIsIngiOiJyelA3bUxDS0FIV21zTTZYMEV3VklTQ19o",
        "STN1amN1OTVmZlVreWVER0dvIiwieSI6InVPcmZEbGp0WDltM2pZLWhzeWhMSllheHRHa3pEdjVlNWttQ2U1OFo5N2cifX0sImV4cCI6MTc2NTQ1",
        "NjUwMywiaWF0IjoxNzY1NDUyOTAzLCJqdGkiOiIxeWoxOVY0TWNPQXpNY0ZpN3F2c2dfQWdDeGxyWTVFX3g1MDl3bEtLUXRjIiwic3ViIjoic3Bp",
        "ZmZlOi8vZXhhbXBsZS5jb20vbXktd29ya2xvYWQifQ.",
        "sfhEvZNdY_kWrICF08lX0u__rn39YnTavnW-VPBS20zgowDh6-X43v5eOUKZbjZf06yLBQM-Mry5w1g1QFsCkg",
    );
    let read = UnverifiedWitSvid::parse(token).unwrap();
    let claims = read.unverified_claims();
    assert_eq!(read.algorithm(), Algorithm::Es256);
    assert_eq!(claims.subject().as_str(), "spiffe://example.com/my-workload");
    assert_eq!((claims.expires(), claims.issued_at()), (at(1_765_456_503), Some(at(1_765_452_903))));
    assert_eq!(claims.jwt_id(), Some("1yj19V4McOAzMcFi7qvsg_AgCxlrY5E_x509wlKKQtc"));
    assert_eq!((claims.issuer(), claims.not_before()), (None, None));
    assert_eq!(claims.confirmation().algorithm(), Algorithm::Es256);
    assert_eq!(claims.confirmation().public_key().crv(), Some("P-256"));
    assert!(!format!("{read:?}").contains("sfhEvZNd"));
}

#[test]
fn what_is_minted() {
    let key = signer(WORKLOAD);
    let id = "spiffe://td.example/w";
    let request = WitRequest::new(id.parse().unwrap(), key.public_key(), WORKLOAD, Duration::HOUR).unwrap();
    let token = wit::mint(&signer(Algorithm::Es256), &request, at(NOW)).unwrap();
    assert_eq!((token.issued_at(), token.expires()), (at(NOW), at(NOW + 3600)));
    let wit = verify(token.as_str()).unwrap();
    assert_eq!((wit.holder().as_str(), wit.kid()), (id, Some("ES256")));
    assert_eq!(wit.confirmation().public_key(), key.public_key());
    let payload: Value = serde_json::from_slice(wit.payload()).unwrap();
    let expected = json!({
        "sub": id, "exp": NOW + 3600, "iat": NOW, "nbf": NOW - 10, "cnf": {"jwk": workload_jwk()},
    });
    assert_eq!(payload, expected);
    let header = token.as_str().split('.').next().unwrap();
    assert_eq!(header, encode(r#"{"alg":"ES256","kid":"ES256","typ":"wit+jwt"}"#));
    assert!(!format!("{token:?} {wit:?}").contains(token.as_str().rsplit('.').next().unwrap()));

    let request = request.with_jwt_id("7").with_issuer("spiffe://td.example").unwrap();
    let request = request.with_backdate(Duration::ZERO).with_not_after(at(NOW + 30));
    let wit = verify(wit::mint(&signer(Algorithm::Ps256), &request, at(NOW)).unwrap().as_str()).unwrap();
    let claims = wit.claims();
    assert_eq!((claims.jwt_id(), claims.issuer()), (Some("7"), Some("spiffe://td.example")));
    assert_eq!((claims.not_before(), claims.expires()), (Some(at(NOW)), at(NOW + 30)));
    let error = wit::mint(&signer(Algorithm::Es256), &request, at(NOW + 30)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    // WIT-SVID §3.7.
    for issuer in ["https://issuer.example", "HTTPS://issuer.example"] {
        assert_eq!(request.clone().with_issuer(issuer).unwrap_err(), MintError::Issuer);
    }
}

#[test]
fn what_is_not_minted() {
    let key = signer(WORKLOAD);
    let new = |algorithm, lifetime| {
        WitRequest::new("spiffe://td.example/w".parse().unwrap(), key.public_key(), algorithm, lifetime)
    };
    let error = new(WORKLOAD, Duration::milliseconds(999)).unwrap_err();
    assert!(matches!(error, MintError::Token(jwt::MintError::Lifetime { .. })), "{error}");
    let error = new(Algorithm::Rs256, Duration::HOUR).unwrap_err();
    assert_eq!(error.to_string(), "a key of type `EC` cannot be confirmed for `RS256`");
    let error = new(Algorithm::EdDsa, Duration::HOUR).unwrap_err();
    assert_eq!(error.to_string(), "a key for `EdDSA` can neither sign WIT-SVIDs nor be confirmed by them");
    let ed25519 = KeySigner::new(private_key(KeyType::Ed25519), Algorithm::EdDsa, None).unwrap();
    let request = new(WORKLOAD, Duration::HOUR).unwrap();
    let error = wit::mint(&ed25519, &request, at(NOW)).unwrap_err();
    assert_eq!((error.kind(), error), (ErrorKind::Misconfigured, MintError::Algorithm { algorithm: Algorithm::EdDsa }));
}

// Proofs

fn context() -> ProofContext {
    ProofContext::new("https://reports.example/monthly")
}

fn good_wit() -> (String, WitSvid) {
    let token = wit_token(&wit_header(), &wit_claims());
    let wit = verify(&token).unwrap();
    (token, wit)
}

fn hash(text: &str) -> String {
    encode(sha256(text.as_bytes()))
}

fn proof_claims(wit: &str) -> Value {
    json!({"aud": "https://reports.example/monthly", "exp": NOW + 30, "jti": "a", "wth": hash(wit)})
}

fn check(proof: &str, wit: &WitSvid, context: &ProofContext) -> Result<wit::WorkloadProof, VerifyError> {
    wit_verifier().verify_proof(proof, wit, context, at(NOW))
}

#[test]
fn the_draft_hashes_as_we_do() {
    // draft-ietf-wimse-wpt-02 §2: the example proof and its WIT, which is no WIT-SVID: its key is for EdDSA, its subject
    // no SPIFFE ID.
    let wit = concat!(
        "eyJhbGciOiJFUzI1NiIsImtpZCI6Ikp1bmUgNSIsInR5cCI6IndpdCtqd3QifQ.eyJjbmYiOnsiandrIjp7ImFsZyI6IkVkRFNBIiwiY3J2IjoiRWQ",
        "yNTUxOSIsImt0eSI6Ik9LUCIsIngiOiIxQ1hYdmZsTl9MVlZzSXNZWHNVdkIwM0ptbEdXZUNIcVFWdW91Q0Y5MmJnIn19LCJleHAiOjE3NDU1MTI1",
        "MTAsImlhdCI6MTc0NTUwODkxMCwianRpIjoieC1fMUNUTDJjY2EzQ1NFNGN3Yl9sIiwic3ViIjoid2ltc2U6Ly9leGFtcGxlLmNvbS9zcGVjaWZpY",
        "y13b3JrbG9hZCJ9.6KraSQUxWdl9dxFQ3Fj6dPY0Vi88OkwFwZpAIOhLeq6AbXAnLLQgOp8U9UDGcBuYF3KiNv6oKQD1ZWAzrMZOJw",
    );
    assert_eq!(hash(wit), "AaYUfC34D1di2FxQLpiIJJ7Sg8VZ6o8OCdwSf9IToLg");
    let error = UnverifiedWitSvid::parse(wit).unwrap_err();
    assert_eq!(error.to_string(), "claim `sub` is not a SPIFFE ID");
}

#[test]
fn proofs() {
    let (token, wit) = good_wit();
    let header = json!({"alg": "ES384", "typ": "wpt+jwt"});
    let sign = |header: &Value, claims: &Value| sign(&header.to_string(), &claims.to_string(), WORKLOAD);
    let audience = |found: &str| format!("the token is not meant for this audience, but for `{found}`");
    for (member, value, expected) in [
        ("x-unknown", json!(1), OK.to_owned()),
        ("iat", json!(NOW), OK.to_owned()),
        ("nbf", json!(NOW), OK.to_owned()),
        (
            "nbf",
            json!(NOW + 1),
            "the token is not valid before 2027-01-15T08:00:01Z, it is 2027-01-15T08:00:00Z".to_owned(),
        ),
        ("aud", Value::Null, "claim `aud` is missing".to_owned()),
        ("aud", json!([]), "claim `aud` is empty".to_owned()),
        ("aud", json!(["a", "https://reports.example/monthly"]), OK.to_owned()),
        ("aud", json!("https://reports.example/monthly?year=2027#top"), OK.to_owned()),
        ("aud", json!("https://reports.example/"), audience("https://reports.example/")),
        ("aud", json!("https://reports.example/monthly/x"), audience("https://reports.example/monthly/x")),
        ("aud", json!("http://reports.example/monthly"), audience("http://reports.example/monthly")),
        ("aud", json!(""), audience("")),
        ("exp", Value::Null, "claim `exp` is missing".to_owned()),
        ("exp", json!(NOW + 300), OK.to_owned()),
        (
            "exp",
            json!(NOW + 301),
            "the proof ends at 2027-01-15T08:05:01Z, none may end after 2027-01-15T08:05:00Z".to_owned(),
        ),
        ("exp", json!(NOW), "the token expired at 2027-01-15T08:00:00Z, it is 2027-01-15T08:00:00Z".to_owned()),
        ("jti", Value::Null, "claim `jti` is missing".to_owned()),
        ("jti", json!(""), "claim `jti` is empty".to_owned()),
        ("jti", json!(7), "claim `jti` has the wrong type".to_owned()),
        ("wth", Value::Null, "claim `wth` is missing".to_owned()),
        ("wth", json!(hash("another")), "the proof belongs to another WIT-SVID".to_owned()),
        ("wth", json!(""), "the proof belongs to another WIT-SVID".to_owned()),
        ("ath", json!(hash("a")), "claim `ath` covers a token that the request does not have".to_owned()),
        ("tth", json!(hash("a")), "claim `tth` covers a token that the request does not have".to_owned()),
        ("oth", json!({}), OK.to_owned()),
        ("oth", json!({"x-a": hash("a")}), "claim `oth.x-a` covers a token that the request does not have".to_owned()),
        ("oth", json!({"x-a": 1}), "claim `oth` has the wrong type".to_owned()),
        ("oth", json!("x"), "claim `oth` has the wrong type".to_owned()),
    ] {
        let proof = sign(&header, &with(proof_claims(&token), member, value.clone()));
        outcome(&format!("{member} {value}"), check(&proof, &wit, &context()).map(drop), &expected);
    }
    // A recipient without a name is nobody.
    let proof = sign(&header, &with(proof_claims(&token), "aud", json!("")));
    outcome("nameless", check(&proof, &wit, &ProofContext::new("?x")).map(drop), &audience(""));
    for (member, value, expected) in [
        ("kid", json!("whatever"), OK),
        ("jwk", workload_jwk(), OK),
        ("typ", Value::Null, "header member `typ` is missing"),
        ("typ", json!("wit+jwt"), "header member `typ` has a value that is not allowed"),
        ("typ", json!("JWT"), "header member `typ` has a value that is not allowed"),
        ("alg", json!("none"), "signature algorithm `none` is not accepted"),
        ("alg", json!("ES256"), "the proof is signed with `ES256`, the WIT-SVID confirms a key for `ES384`"),
        ("crit", json!(["x"]), "header member `crit` demands extensions that are not understood"),
    ] {
        let proof = sign(&with(header.clone(), member, value.clone()), &proof_claims(&token));
        outcome(&format!("{member} {value}"), check(&proof, &wit, &context()).map(drop), expected);
    }
    // Another key of the same type, the issuer's key, a changed claim.
    let stranger = KeySigner::new(PrivateKey::generate(KeyType::EcdsaP384).unwrap(), WORKLOAD, None).unwrap();
    let signed = format!("{}.{}", encode(header.to_string()), encode(proof_claims(&token).to_string()));
    let foreign = keyward_keys::Signer::sign(&stranger, signed.as_bytes()).unwrap();
    let own = sign(&header, &proof_claims(&token));
    let (_, own) = own.rsplit_once('.').unwrap();
    let other = encode(with(proof_claims(&token), "jti", json!("b")).to_string());
    for proof in [format!("{signed}.{}", encode(foreign)), format!("{}.{other}.{own}", encode(header.to_string()))] {
        outcome("signature", check(&proof, &wit, &context()).map(drop), "the signature does not verify");
    }
    for member in [r#""oth":{"a":"1","a":"2"}"#, r#""a":1,"oth":{},"a":1"#] {
        let claims = proof_claims(&token).to_string().replacen('{', &format!("{{{member},"), 1);
        let proof = crate::support::sign(&header.to_string(), &claims, WORKLOAD);
        let expected = "member `a` occurs twice in the claims part of the token";
        outcome(member, check(&proof, &wit, &context()).map(drop), expected);
    }
}

#[test]
fn other_tokens_of_the_request_are_covered() {
    let (token, wit) = good_wit();
    let full = || {
        context()
            .with_access_token("access")
            .with_transaction_token("transaction")
            .with_other_token("X-Session", " s1 ")
            .with_other_token("x-b", "2")
    };
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let prover = Prover::new(signer(WORKLOAD), &token).unwrap();
    let mut prove = |context: &ProofContext| prover.prove(context, Duration::SECOND, &mut rng, at(NOW)).unwrap();
    let proof = prove(&full());
    let payload = proof.as_str().split('.').nth(1).unwrap();
    let payload: Value = serde_json::from_slice(&decode(payload)).unwrap();
    let expected = json!({
        "aud": "https://reports.example/monthly", "exp": NOW + 1, "jti": payload["jti"], "wth": hash(&token),
        "ath": hash("access"), "tth": hash("transaction"), "oth": {"x-session": hash("s1"), "x-b": hash("2")},
    });
    assert_eq!(payload, expected);
    assert_eq!(decode(payload["jti"].as_str().unwrap()).len(), 16);

    let say = |proof: &wit::EncodedProof, context: &ProofContext| {
        check(proof.as_str(), &wit, context).map_or_else(|error| error.to_string(), |_| OK.to_owned())
    };
    assert_eq!(say(&proof, &full()), OK);
    // The same header field in another case, and with other spaces around its value.
    let spelled = context()
        .with_access_token("access")
        .with_transaction_token("transaction")
        .with_other_token("X-SESSION", "s1")
        .with_other_token("X-B", "2");
    assert_eq!(say(&proof, &spelled), OK);
    for (changed, expected) in [
        (full().with_access_token("stolen"), "claim `ath` is not the hash of the token of the request"),
        (full().with_transaction_token("stolen"), "claim `tth` is not the hash of the token of the request"),
        (full().with_other_token("x-b", "3"), "claim `oth.x-b` is not the hash of the token of the request"),
        (full().with_other_token("x-c", "3"), "claim `oth.x-c` is missing for a token of the request"),
        (context(), "claim `ath` covers a token that the request does not have"),
    ] {
        assert_eq!(say(&proof, &changed), expected);
    }
    assert_eq!(say(&prove(&context()), &full()), "claim `ath` is missing for a token of the request");
    // A recipient behind another name.
    let aliased = ProofContext::new("https://internal/monthly").with_alias("https://reports.example/monthly?x");
    assert_eq!(say(&prove(&context()), &aliased), OK);
    assert!(!format!("{:?} {proof:?}", full()).contains(&hash("access")));
}

#[test]
fn each_proof_has_its_own_name() {
    let (token, wit) = good_wit();
    let prover = Prover::new(signer(WORKLOAD), &token).unwrap();
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let mut prove = || prover.prove(&context(), Duration::seconds(20), &mut rng, at(NOW)).unwrap();
    let (first, second) = (prove(), prove());
    let checked = |proof: &wit::EncodedProof| check(proof.as_str(), &wit, &context()).unwrap();
    // The same proof has the same name, so that it can be known again, and no other has it.
    assert_eq!(checked(&first).replay_id(), checked(&first).replay_id());
    assert_ne!(checked(&first).replay_id(), checked(&second).replay_id());
    assert_eq!(checked(&first).replay_id().to_string().len(), 43);

    // The name may be forgotten once the proof is refused anyway, leeway included.
    let mut options = WitVerifyOptions::default();
    options.token.leeway = Duration::seconds(30);
    let lenient = WitVerifier::new(options).unwrap();
    let proven = lenient.verify_proof(first.as_str(), &wit, &context(), at(NOW)).unwrap();
    assert_eq!((proven.id().as_str(), proven.expires()), ("spiffe://td.example/w", at(NOW + 20)));
    assert_eq!(proven.forget_after(), at(NOW + 50));
    let verify = |now| lenient.verify_proof(first.as_str(), &wit, &context(), now).is_ok();
    assert_eq!((verify(at(NOW + 49)), verify(at(NOW + 50))), (true, false));

    // The same `jti` of two keys is two names.
    let other = PrivateKey::generate(KeyType::EcdsaP384).unwrap();
    let jwk = serde_json::to_value(other.public_key().to_jwk().with_alg(WORKLOAD)).unwrap();
    let theirs = wit_token(&wit_header(), &with(wit_claims(), "cnf.jwk", jwk));
    let signed = |wit: &str| {
        format!("{}.{}", encode(r#"{"alg":"ES384","typ":"wpt+jwt"}"#), encode(proof_claims(wit).to_string()))
    };
    let ours = format!(
        "{}.{}",
        signed(&token),
        encode(keyward_keys::Signer::sign(&signer(WORKLOAD), signed(&token).as_bytes()).unwrap())
    );
    let their_proof =
        format!("{}.{}", signed(&theirs), encode(other.sign(WORKLOAD, signed(&theirs).as_bytes()).unwrap()));
    let ours = check(&ours, &wit, &context()).unwrap();
    let theirs = check(&their_proof, &verify_wit(&theirs), &context()).unwrap();
    assert_ne!(ours.replay_id(), theirs.replay_id());
}

fn verify_wit(token: &str) -> WitSvid {
    verify(token).unwrap()
}

#[test]
fn a_kept_wit_svid_ends_when_it_ends() {
    let token = wit_token(&wit_header(), &wit_claims());
    let wit = verify_wit(&token);
    let claims = with(proof_claims(&token), "exp", json!(NOW + 90));
    let proof = sign(r#"{"alg":"ES384","typ":"wpt+jwt"}"#, &claims.to_string(), WORKLOAD);
    let check = |now| wit_verifier().verify_proof(&proof, &wit, &context(), at(now));
    assert!(check(NOW + 59).is_ok());
    let expected = jwt::VerifyError::Expired { now: at(NOW + 60), not_after: at(NOW + 60) };
    assert_eq!(check(NOW + 60).unwrap_err(), VerifyError::Token(expected));
}

#[test]
fn a_prover_has_the_confirmed_key_and_makes_short_proofs() {
    let (token, _) = good_wit();
    let stranger = KeySigner::new(PrivateKey::generate(KeyType::EcdsaP384).unwrap(), WORKLOAD, None).unwrap();
    assert_eq!(Prover::new(stranger, &token).unwrap_err(), MintError::OtherKey);
    assert_eq!(Prover::new(signer(Algorithm::Es256), &token).unwrap_err(), MintError::OtherKey);
    let jwt = es256(HEADER, &crate::support::claims());
    let error = Prover::new(signer(WORKLOAD), &jwt).unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Malformed, "not a WIT-SVID"));

    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let prover = Prover::new(signer(WORKLOAD), &token).unwrap();
    let mut prove = |lifetime, now| prover.prove(&context(), lifetime, &mut rng, now).map(|proof| proof.expires());
    for lifetime in [Duration::ZERO, Duration::milliseconds(999), MAX_PROOF_LIFETIME + Duration::SECOND] {
        let expected = MintError::ProofLifetime { lifetime, limit: MAX_PROOF_LIFETIME };
        assert_eq!(prove(lifetime, at(NOW)), Err(expected));
    }
    assert_eq!(prove(Duration::seconds(5), at(NOW)), Ok(at(NOW + 5)));
    // Never longer than the WIT-SVID, and not at all after it.
    assert_eq!(prove(MAX_PROOF_LIFETIME, at(NOW)), Ok(at(NOW + 60)));
    let expired = MintError::Expired { now: at(NOW + 60), not_after: at(NOW + 60) };
    assert_eq!(prove(Duration::SECOND, at(NOW + 60)), Err(expired));
    let error = prover.prove(&ProofContext::new("?a"), Duration::SECOND, &mut rng, at(NOW)).unwrap_err();
    assert_eq!(error, MintError::Token(jwt::MintError::Audience { count: 1, limit: 1 }));
}

#[test]
fn a_verifier_has_bounds() {
    let new = |change: &dyn Fn(&mut WitVerifyOptions)| {
        let mut options = WitVerifyOptions::default();
        change(&mut options);
        WitVerifier::new(options)
    };
    for lifetime in [Duration::ZERO, MAX_PROOF_LIFETIME + Duration::SECOND] {
        let error = new(&|options| options.max_proof_lifetime = lifetime).unwrap_err();
        assert_eq!(error, VerifierError::ProofLifetime { lifetime, limit: MAX_PROOF_LIFETIME });
    }
    assert!(new(&|options| options.token.algorithms.clear()).is_err());
    assert!(new(&|options| options.token.leeway = Duration::minutes(2)).is_err());

    let short = new(&|options| options.token.max_token_bytes = 100).unwrap();
    let strict = new(&|options| {
        options.token = VerifyOptions::default();
        options.token.algorithms = vec![Algorithm::Rs256];
    })
    .unwrap();
    let (token, wit) = good_wit();
    let parsed = || UnverifiedWitSvid::parse(&token).unwrap();
    for (verifier, expected) in [
        (&short, format!("a token of {} bytes is longer than the limit of 100", token.len())),
        (&strict, "signature algorithm `ES256` is not accepted".to_owned()),
    ] {
        let error = verifier.verify(&token, &wit_bundle(), at(NOW)).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(verifier.verify_parsed(parsed(), &wit_bundle(), at(NOW)).unwrap_err(), error);
    }
    assert_eq!(wit_verifier().verify_parsed(parsed(), &wit_bundle(), at(NOW)).unwrap(), wit);
}

#[test]
fn every_algorithm_works_at_both_ends() {
    let pairs = NINE.iter().flat_map(|(algorithm, _)| [(*algorithm, WORKLOAD), (Algorithm::Es256, *algorithm)]);
    for (issuer, workload) in pairs {
        let id = "spiffe://td.example/w".parse().unwrap();
        let request = WitRequest::new(id, signer(workload).public_key(), workload, Duration::MINUTE).unwrap();
        let token = wit::mint(&signer(issuer), &request, at(NOW)).unwrap();
        let prover = Prover::new(signer(workload), token.as_str()).unwrap();
        let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
        let proof = prover.prove(&context(), Duration::SECOND, &mut rng, at(NOW)).unwrap();
        assert!(check(proof.as_str(), &verify_wit(token.as_str()), &context()).is_ok(), "{issuer} {workload}");
    }
}
