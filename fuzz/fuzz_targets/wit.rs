//! A line of header, then claims: a WIT-SVID that is read says what a plain JSON reader says, and a rightly signed proof
//! that is accepted keeps the rules as a plain JSON reader sees them.
#![no_main]

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use keyward_keys::{Algorithm, KeySigner, PrivateKey, Signer as _, sha256};
use keyward_svid::wit::{self, ProofContext, UnverifiedWitSvid, WitBundle, WitRequest, WitSvid, WitVerifier};
use keyward_svid::{JwkSet, KeyUse, VerificationKey};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use time::{Duration, OffsetDateTime};

const NOW: i64 = 1_800_000_000;
/// The key of RFC 7515 appendix A.3, as issuer and as workload.
const KEY: &str = include_str!("../../keys/tests/data/rfc7515-a3-es256.pem");

struct Scene {
    signer: KeySigner,
    token: String,
    wit: WitSvid,
    verifier: WitVerifier,
}

static SCENE: LazyLock<Scene> = LazyLock::new(|| {
    let now = OffsetDateTime::from_unix_timestamp(NOW).unwrap();
    let signer = KeySigner::new(PrivateKey::from_pkcs8_pem(KEY).unwrap(), Algorithm::Es256, Some("k".into())).unwrap();
    let id = "spiffe://td.example/w".parse().unwrap();
    let request = WitRequest::new(id, signer.public_key(), Algorithm::Es256, Duration::HOUR).unwrap();
    let token = wit::mint(&signer, &request, now).unwrap().as_str().to_owned();
    let key = VerificationKey::new(signer.public_key().clone(), Algorithm::Es256, "k").unwrap();
    let bundle = WitBundle::new("td.example".parse().unwrap(), JwkSet::new(KeyUse::WitSvid, [key])).unwrap();
    let verifier = WitVerifier::new(Default::default()).unwrap();
    let wit = verifier.verify(&token, &bundle, now).unwrap();
    Scene { signer, token, wit, verifier }
});

fuzz_target!(|text: &str| {
    let _ = UnverifiedWitSvid::parse(text);
    let (header, claims) = text.split_once('\n').unwrap_or((text, text));
    let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");

    if let Ok(read) = UnverifiedWitSvid::parse(&format!("{signed}.AA")) {
        let claims: Value = serde_json::from_str(claims).unwrap();
        let found = read.unverified_claims();
        assert_eq!(claims["sub"], found.subject().as_str());
        assert_eq!(claims["exp"], found.expires().unix_timestamp());
        assert_eq!(claims["cnf"]["jwk"]["alg"], found.confirmation().algorithm().as_str());
        assert_eq!(claims["cnf"]["jwk"]["kty"], found.confirmation().public_key().kty());
        assert!(claims.get("aud").is_none());
        let header: Value = serde_json::from_str(header).unwrap();
        assert_eq!((&header["typ"], header["kid"].is_string()), (&Value::from("wit+jwt"), true));
    }

    let Scene { signer, token, wit, verifier } = &*SCENE;
    let hash = URL_SAFE_NO_PAD.encode(sha256(token.as_bytes()));
    // A fuzzer cannot guess the hash.
    let claims = claims.replace("WTH", &hash);
    let signed = [header, &claims].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let proof = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signer.sign(signed.as_bytes()).unwrap()));
    let (context, now) = (ProofContext::new("https://r"), OffsetDateTime::from_unix_timestamp(NOW).unwrap());
    if let Ok(proven) = verifier.verify_proof(&proof, wit, &context, now) {
        let claims: Value = serde_json::from_str(&claims).unwrap();
        let audiences = claims["aud"].as_array().cloned().unwrap_or_else(|| vec![claims["aud"].clone()]);
        assert!(audiences.iter().any(|aud| aud.as_str().unwrap().split(['?', '#']).next() == Some("https://r")));
        assert_eq!(claims["wth"], hash.as_str());
        assert!((NOW + 1..=NOW + 300).contains(&claims["exp"].as_i64().unwrap()));
        assert!(!claims["jti"].as_str().unwrap().is_empty() && claims.get("ath").is_none());
        assert_eq!(proven.id(), wit.holder());
    }
});
