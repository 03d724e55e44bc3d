//! A line of header, then claims: what is read says what a plain JSON reader says, and what nobody signed is refused.
#![no_main]

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use keyward_svid::{JwkSet, JwtBundle, KeyUse, UnverifiedJwtSvid, Verifier, VerifyOptions};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// The key of RFC 7515 appendix A.3.
const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

fuzz_target!(|text: &str| {
    let _ = UnverifiedJwtSvid::parse(text);
    let (header, claims) = text.split_once('\n').unwrap_or((text, text));
    let token = [header, claims, "nobody's"].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let Ok(read) = UnverifiedJwtSvid::parse(&token) else { return };

    let header: Value = serde_json::from_str(header).unwrap();
    assert_eq!((&header["alg"], header["kid"].as_str()), (&Value::from(read.algorithm().as_str()), read.kid()));
    assert!(header.as_object().unwrap().keys().all(|name| ["alg", "kid", "typ"].contains(&name.as_str())));
    let (claims, read_claims) = (serde_json::from_str::<Value>(claims).unwrap(), read.unverified_claims());
    assert_eq!(claims["sub"], read_claims.subject().as_str());
    assert_eq!(claims["exp"], read_claims.expires().unix_timestamp());
    assert_eq!(claims["nbf"].as_i64(), read_claims.not_before().map(|moment| moment.unix_timestamp()));
    assert!((1..=32).contains(&read_claims.audiences().len()));

    let keys = JwkSet::from_json(KEYS.as_bytes(), KeyUse::Signature).unwrap();
    let bundle = JwtBundle::new(read_claims.subject().trust_domain().to_owned(), keys);
    let (audience, now) = (read_claims.audiences()[0].clone(), read_claims.expires() - time::Duration::SECOND);
    let Ok(verifier) = Verifier::new([audience], VerifyOptions::default()) else { return };
    assert!(verifier.verify_parsed(read, &bundle, now).is_err());
});
