//! Every rule with a token that keeps it and a token that breaks it and nothing else: each is rightly signed, so that
//! only the rule can be the reason.

use keyward_keys::{Algorithm, ErrorKind, KeyType, PublicKey, Signer as _};
use keyward_svid::jwt::{ClaimProblem, HeaderProblem, MAX_TOKEN_BYTES, Part, VerifierError, VerifyError};
use keyward_svid::{JwkSet, JwtBundle, JwtSvid, KeyUse, UnverifiedJwtSvid, Verifier, VerifyOptions};
use serde_json::json;
use time::Duration;

use crate::support::*;

fn verify(token: &str) -> Result<JwtSvid, VerifyError> {
    verifier().verify(token, &bundle(), at(NOW))
}

#[track_caller]
fn accepted(token: &str) -> JwtSvid {
    let svid = verify(token).unwrap();
    // Parsing first and verifying then is the same thing.
    let parsed = UnverifiedJwtSvid::parse(token).unwrap();
    assert_eq!(verifier().verify_parsed(parsed, &bundle(), at(NOW)).unwrap(), svid);
    svid
}

#[track_caller]
fn refused(token: &str, expected: VerifyError) {
    let error = verify(token).unwrap_err();
    assert_eq!(error, expected, "{token}");
    assert!(matches!(error.kind(), ErrorKind::Malformed | ErrorKind::Refused));
}

#[test]
fn jwt_svid_5_1_compact_serialization_only() {
    accepted(&es256(HEADER, &claims()));
    let token = es256(HEADER, &claims());
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let json = format!(r#"{{"payload":"{payload}","protected":"{header}","signature":"{signature}"}}"#);
    refused(&json, VerifyError::NotCompact { parts: 1 });
    refused(&format!("{token}."), VerifyError::NotCompact { parts: 4 });
    refused(&format!("{header}.a.b.c.{signature}"), VerifyError::NotCompact { parts: 5 });
    // Detached content (RFC 7515 appendix F) and no signature at all.
    refused(&format!("{header}..{signature}"), VerifyError::Encoding { part: Part::Claims });
    refused(&format!("{header}.{payload}."), VerifyError::Encoding { part: Part::Signature });
    refused("", VerifyError::NotCompact { parts: 1 });
}

#[test]
fn rfc_7515_2_base64url_has_one_spelling() {
    let token = es256(HEADER, &claims());
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!() };
    for spelling in [
        format!("{header}=.{payload}.{signature}"),
        format!("{header}.{payload}==.{signature}"),
        format!("{header}.{payload}.{signature}=="),
        format!(" {token}"),
        format!("{token}\n"),
        format!("{header}.{payload}.\r\n{signature}"),
        format!("{header}.{payload}.{}", signature.replace(['-', '_'], "+")) + "+",
    ] {
        assert!(matches!(verify(&spelling), Err(VerifyError::Encoding { .. })), "{spelling}");
    }
    // 64 bytes leave four bits in the last character: fifteen other characters would decode to the same bytes.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = token.chars().last().unwrap();
    let twins = alphabet.chars().filter(|other| {
        let bits = |c| alphabet.find(c).unwrap() >> 4;
        bits(*other) == bits(last) && *other != last
    });
    let mut count = 0;
    for twin in twins {
        let spelling = format!("{}{twin}", &token[..token.len() - 1]);
        refused(&spelling, VerifyError::Encoding { part: Part::Signature });
        count += 1;
    }
    assert_eq!(count, 15);
}

#[test]
fn jwt_svid_2_only_three_header_members() {
    accepted(&es256(r#"{"typ":"JOSE","kid":"ES256","alg":"ES256"}"#, &claims()));
    accepted(&es256(r#"{"alg":"ES256"}"#, &claims()));
    for (member, value) in [
        ("crit", r#"["exp"]"#),
        ("jku", r#""https://evil.example/jwks""#),
        ("jwk", r#"{"kty":"EC"}"#),
        ("x5u", r#""https://evil.example/cert""#),
        ("x5c", r#"["MII"]"#),
        ("x5t", r#""AA""#),
        ("cty", r#""JWT""#),
        ("zip", r#""DEF""#),
        ("b64", "false"),
        ("mine", "1"),
    ] {
        let header = format!(r#"{{"alg":"ES256","kid":"ES256","{member}":{value}}}"#);
        let problem = HeaderProblem::NotAllowed;
        refused(&es256(&header, &claims()), VerifyError::Header { member: member.to_owned(), problem });
    }
}

#[test]
fn jwt_svid_2_3_type() {
    for header in [r#"{"alg":"ES256","typ":"JWT"}"#, r#"{"alg":"ES256","typ":"JOSE"}"#, r#"{"alg":"ES256"}"#] {
        accepted(&es256(header, &claims()));
    }
    for typ in ["jwt", "at+jwt", "JWS", ""] {
        let header = format!(r#"{{"alg":"ES256","typ":"{typ}"}}"#);
        let problem = HeaderProblem::Value;
        refused(&es256(&header, &claims()), VerifyError::Header { member: "typ".to_owned(), problem });
    }
    let problem = HeaderProblem::NotAString;
    let token = es256(r#"{"alg":"ES256","typ":null}"#, &claims());
    refused(&token, VerifyError::Header { member: "typ".to_owned(), problem });
}

#[test]
fn jwt_svid_2_1_nine_algorithms() {
    for (algorithm, _) in NINE {
        let svid = accepted(&sign(&format!(r#"{{"alg":"{algorithm}","kid":"{algorithm}"}}"#), &claims(), algorithm));
        assert_eq!((svid.algorithm(), svid.kid()), (algorithm, Some(algorithm.as_str())));
    }
    for name in ["none", "NONE", "HS256", "HS384", "HS512", "EdDSA", "Ed25519", "ES256K", "RSA-OAEP", "A128KW", ""] {
        let token = es256(&format!(r#"{{"alg":"{name}","kid":"ES256"}}"#), &claims());
        refused(&token, VerifyError::Algorithm { algorithm: name.to_owned() });
    }
}

#[test]
fn jwt_svid_4_the_algorithm_is_decided_before_anything_else() {
    let none = |header: &str, claims: &str| format!("{}.{claims}.{}", encode(header), encode("x"));
    // Neither the claims nor the other header members are looked at.
    for token in [none(r#"{"alg":"none"}"#, "!!"), none(r#"{"alg":"none","crit":["x"],"typ":"x"}"#, "e30")] {
        refused(&token, VerifyError::Algorithm { algorithm: "none".to_owned() });
    }
}

#[test]
fn an_ed25519_token_is_refused_even_where_its_key_is_published() {
    let key = private_key(KeyType::Ed25519);
    let signed = format!("{}.{}", encode(r#"{"alg":"EdDSA","kid":"e"}"#), encode(claims()));
    let token = format!("{signed}.{}", encode(key.sign(Algorithm::EdDsa, signed.as_bytes()).unwrap()));
    let jwk = serde_json::to_string(&key.public_key().to_jwk().with_kid("e")).unwrap();
    let bundle = bundle_of(&format!(r#"{{"keys":[{jwk}]}}"#));
    let error = verifier().verify(&token, &bundle, at(NOW)).unwrap_err();
    assert_eq!(error, VerifyError::Algorithm { algorithm: "EdDSA".to_owned() });
    assert!(bundle.keys().keys().is_empty());
}

#[test]
fn an_hmac_over_the_public_key_is_no_signature() {
    // The classic confusion: the RSA public key taken as an HMAC secret. HS256 is refused by name, and a MAC in the place
    // of an RS256 signature does not verify.
    let header = r#"{"alg":"RS256","kid":"RS256"}"#;
    let token = format!("{}.{}.{}", encode(header), encode(claims()), encode([7; 32]));
    refused(&token, VerifyError::Signature);
}

#[test]
fn the_verifier_may_accept_fewer_algorithms() {
    let mut options = VerifyOptions::default();
    options.algorithms = vec![Algorithm::Rs256];
    let strict = Verifier::new([AUDIENCE], options).unwrap();
    let rs256 = sign(r#"{"alg":"RS256","kid":"RS256"}"#, &claims(), Algorithm::Rs256);
    assert!(strict.verify(&rs256, &bundle(), at(NOW)).is_ok());
    let es256 = es256(HEADER, &claims());
    let expected = Err(VerifyError::Algorithm { algorithm: "ES256".to_owned() });
    assert_eq!(strict.verify(&es256, &bundle(), at(NOW)), expected);
    let parsed = UnverifiedJwtSvid::parse(&es256).unwrap();
    assert_eq!(strict.verify_parsed(parsed, &bundle(), at(NOW)), expected);
}

#[test]
fn key_and_algorithm_agree() {
    // kty, crv and `alg`: the key is found by its name, and does not fit.
    for (token_algorithm, kid) in [
        (Algorithm::Rs256, "ES256"), // kty
        (Algorithm::Es256, "RS256"), // kty
        (Algorithm::Es384, "ES256"), // crv
        (Algorithm::Es256, "ES512"), // crv
        (Algorithm::Ps256, "RS256"), // alg of the JWK, the same key
        (Algorithm::Rs512, "RS256"), // alg of the JWK, the same key
    ] {
        let token = sign(&format!(r#"{{"alg":"{token_algorithm}","kid":"{kid}"}}"#), &claims(), token_algorithm);
        refused(&token, VerifyError::NoKey { kid: Some(kid.to_owned()), algorithm: token_algorithm });
    }
    // A JWK without `alg` serves every algorithm of its key type.
    let jwk = serde_json::to_string(&signer(Algorithm::Rs256).public_key().to_jwk().with_kid("r")).unwrap();
    let bundle = bundle_of(&format!(r#"{{"keys":[{jwk}]}}"#));
    for algorithm in [Algorithm::Rs256, Algorithm::Rs384, Algorithm::Ps512] {
        let token = sign(&format!(r#"{{"alg":"{algorithm}","kid":"r"}}"#), &claims(), algorithm);
        assert!(verifier().verify(&token, &bundle, at(NOW)).is_ok(), "{algorithm}");
    }
}

#[test]
fn key_use_and_operations_agree() {
    let key = signer(Algorithm::Es256).public_key().to_jwk().with_kid("ES256");
    let token = es256(HEADER, &claims());
    let verify = |jwk: &keyward_keys::Jwk| {
        let bundle = bundle_of(&format!(r#"{{"keys":[{}]}}"#, serde_json::to_string(jwk).unwrap()));
        verifier().verify(&token, &bundle, at(NOW))
    };
    assert!(verify(&key).is_ok());
    assert!(verify(&key.clone().with_use("sig")).is_ok());
    assert!(verify(&key.clone().with_key_ops(["sign", "verify"])).is_ok());
    let none = Err(VerifyError::NoKey { kid: Some("ES256".to_owned()), algorithm: Algorithm::Es256 });
    assert_eq!(verify(&key.clone().with_use("enc")), none);
    assert_eq!(verify(&key.clone().with_use("x509-svid")), none);
    assert_eq!(verify(&key.clone().with_key_ops(["sign"])), none);
    assert_eq!(verify(&key.with_alg(Algorithm::Es384)), none);
}

#[test]
fn jwt_svid_2_2_the_key_id_is_optional_and_exact() {
    accepted(&es256(r#"{"alg":"ES256"}"#, &claims()));
    for kid in ["es256", "ES256 ", "", "RS2560"] {
        let token = es256(&format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#), &claims());
        refused(&token, VerifyError::NoKey { kid: Some(kid.to_owned()), algorithm: Algorithm::Es256 });
    }
    // Without a name, keys that fit are tried, and not without end.
    let stranger = |n: usize| {
        let key = keyward_keys::PrivateKey::generate(KeyType::EcdsaP256).unwrap();
        keyward_svid::VerificationKey::new(key.public_key().clone(), Algorithm::Es256, n.to_string()).unwrap()
    };
    let token = es256(r#"{"alg":"ES256"}"#, &claims());
    for (strangers, expected) in [(7, Ok(())), (8, Err(VerifyError::Signature))] {
        let keys = (0..strangers).map(stranger).chain([verification_key(Algorithm::Es256)]);
        let bundle = JwtBundle::new(TRUST_DOMAIN.parse().unwrap(), JwkSet::new(KeyUse::Signature, keys));
        assert_eq!(verifier().verify(&token, &bundle, at(NOW)).map(|_| ()), expected);
    }
    // An empty set refuses everything: all keys are revoked.
    let empty = JwtBundle::new(TRUST_DOMAIN.parse().unwrap(), JwkSet::new(KeyUse::JwtSvid, []));
    let error = verifier().verify(&token, &empty, at(NOW)).unwrap_err();
    assert_eq!(error, VerifyError::NoKey { kid: None, algorithm: Algorithm::Es256 });
}

#[test]
fn two_keys_of_one_name_are_both_tried() {
    let other = keyward_keys::PrivateKey::generate(KeyType::EcdsaP256).unwrap();
    let other = keyward_svid::VerificationKey::new(other.public_key().clone(), Algorithm::Es256, "ES256").unwrap();
    let keys = JwkSet::new(KeyUse::Signature, [other, verification_key(Algorithm::Es256)]);
    let bundle = JwtBundle::new(TRUST_DOMAIN.parse().unwrap(), keys);
    assert!(verifier().verify(&es256(HEADER, &claims()), &bundle, at(NOW)).is_ok());
}

#[test]
fn rfc_7518_3_4_an_ecdsa_signature_is_r_then_s() {
    let signed = format!("{}.{}", encode(HEADER), encode(claims()));
    let key = private_key(KeyType::EcdsaP256);
    let der = key.sign_asn1(Algorithm::Es256, signed.as_bytes()).unwrap();
    refused(&format!("{signed}.{}", encode(&der)), VerifyError::Signature);
    let mut fixed = key.sign(Algorithm::Es256, signed.as_bytes()).unwrap();
    assert_eq!(fixed.len(), 64);
    accepted(&format!("{signed}.{}", encode(&fixed)));
    fixed.push(0);
    refused(&format!("{signed}.{}", encode(&fixed)), VerifyError::Signature);
    refused(&format!("{signed}.{}", encode([0; 64])), VerifyError::Signature);
}

#[test]
fn jwt_svid_3_1_the_subject_is_a_spiffe_id() {
    let with = |sub: &str| es256(HEADER, &claims().replace("spiffe://td.example/w", sub));
    // A root path is legal in a JWT-SVID.
    assert_eq!(accepted(&with("spiffe://td.example")).id().path(), "");
    assert_eq!(accepted(&with("spiffe://td.example/a/b.c")).id().path(), "/a/b.c");
    let longest = format!("spiffe://td.example/{}", "a".repeat(2048 - 20));
    assert_eq!(accepted(&with(&longest)).id().as_str().len(), 2048);
    let long = format!("spiffe://td.example/{}", "a".repeat(3000));
    for sub in ["", "alice", "https://td.example/w", "spiffe://TD.example/w", "spiffe://td.example/../w", &long] {
        let error = verify(&with(sub)).unwrap_err();
        assert!(matches!(error, VerifyError::Subject(_)), "{error}");
        assert_eq!(error.to_string(), "claim `sub` is not a SPIFFE ID");
    }
    let missing = es256(HEADER, &claims().replace("\"sub\"", "\"s\""));
    refused(&missing, VerifyError::Claim { claim: "sub", problem: ClaimProblem::Missing });
}

#[test]
fn the_subject_belongs_to_the_trust_domain_of_the_keys() {
    for other in ["td.exampl", "td.example.org", "xtd.example", "other"] {
        let token = es256(HEADER, &claims().replace("spiffe://td.example/", &format!("spiffe://{other}/")));
        let expected =
            VerifyError::TrustDomain { expected: TRUST_DOMAIN.parse().unwrap(), found: other.parse().unwrap() };
        refused(&token, expected);
    }
    // Whoever has several trust domains chooses the bundle by the unverified token.
    let token = es256(HEADER, &claims());
    let parsed = UnverifiedJwtSvid::parse(&token).unwrap();
    assert_eq!(parsed.unverified_claims().subject().trust_domain().as_str(), TRUST_DOMAIN);
    assert_eq!((parsed.algorithm(), parsed.kid()), (Algorithm::Es256, Some("ES256")));
}

#[test]
fn jwt_svid_3_2_audience() {
    let with = |aud: &str| es256(HEADER, &claims().replace(&format!("\"{AUDIENCE}\""), aud));
    for aud in [r#""sts.amazonaws.com""#, r#"["sts.amazonaws.com"]"#, r#"["other","sts.amazonaws.com"]"#] {
        accepted(&with(aud));
    }
    for (aud, found) in [
        (r#""reports""#, vec!["reports"]),
        (r#"["a","b"]"#, vec!["a", "b"]),
        (r#""STS.amazonaws.com""#, vec!["STS.amazonaws.com"]),
        (r#""sts.amazonaws.com ""#, vec!["sts.amazonaws.com "]),
        (r#""""#, vec![""]),
    ] {
        let found = found.into_iter().map(str::to_owned).collect();
        refused(&with(aud), VerifyError::Audience { found });
    }
    for (aud, problem) in [
        ("[]", ClaimProblem::Empty),
        ("null", ClaimProblem::Type),
        ("1", ClaimProblem::Type),
        (r#"["sts.amazonaws.com",1]"#, ClaimProblem::Type),
    ] {
        refused(&with(aud), VerifyError::Claim { claim: "aud", problem });
    }
    let missing = es256(HEADER, &claims().replace("\"aud\"", "\"a\""));
    refused(&missing, VerifyError::Claim { claim: "aud", problem: ClaimProblem::Missing });
    let two = Verifier::new(["reports", AUDIENCE], VerifyOptions::default()).unwrap();
    assert!(two.verify(&with(r#""reports""#), &bundle(), at(NOW)).is_ok());
    assert!(two.verify(&with(r#""sts.amazonaws.com""#), &bundle(), at(NOW)).is_ok());
}

#[test]
fn bounds_hold_and_one_more_does_not() {
    let list = |n: usize| format!("[{}\"{AUDIENCE}\"]", "\"x\",".repeat(n - 1));
    let with = |n| es256(HEADER, &claims().replace(&format!("\"{AUDIENCE}\""), &list(n)));
    assert_eq!(accepted(&with(32)).claims().audiences().len(), 32);
    refused(&with(33), VerifyError::Claim { claim: "aud", problem: ClaimProblem::TooMany(32) });

    let padded = |n: usize| es256(HEADER, &claims().replacen('{', &format!("{{\"x\":\"{}\",", "x".repeat(n)), 1));
    let fits = (0..).map(|less| padded(49_000 - less)).find(|token| token.len() <= MAX_TOKEN_BYTES).unwrap();
    assert!(fits.len() > MAX_TOKEN_BYTES - 4);
    accepted(&fits);
    let token = padded(50_000);
    assert_eq!(token.len().div_euclid(1024), 65);
    refused(&token, VerifyError::TooLong { length: token.len(), limit: 65_536 });
    let noise = "a".repeat(10_000_000);
    refused(&noise, VerifyError::TooLong { length: 10_000_000, limit: 65_536 });

    let mut options = VerifyOptions::default();
    options.max_token_bytes = 100;
    let small = Verifier::new([AUDIENCE], options).unwrap();
    let token = es256(HEADER, &claims());
    let expected = VerifyError::TooLong { length: token.len(), limit: 100 };
    assert_eq!(small.verify(&token, &bundle(), at(NOW)).unwrap_err(), expected);
    let parsed = UnverifiedJwtSvid::parse(&token).unwrap();
    assert_eq!(small.verify_parsed(parsed, &bundle(), at(NOW)).unwrap_err(), expected);
}

#[test]
fn jwt_svid_3_3_expiry() {
    let with = |exp: &str| es256(HEADER, &claims().replace(&format!("\"exp\":{}", NOW + 1), exp));
    accepted(&with(&format!("\"exp\":{}", NOW + 1)));
    // RFC 7519 §4.1.4: "on or after".
    let token = with(&format!("\"exp\":{NOW}"));
    refused(&token, VerifyError::Expired { now: at(NOW), not_after: at(NOW) });
    let just_before = at(NOW) - Duration::NANOSECOND;
    // This token's `nbf` is the same second: only the parts of a second decide.
    let error = verifier().verify(&token, &bundle(), just_before).unwrap_err();
    assert_eq!(error, VerifyError::NotYetValid { now: just_before, not_before: at(NOW) });
    refused(&with("\"e\":1"), VerifyError::Claim { claim: "exp", problem: ClaimProblem::Missing });
    for exp in ["1.8e9", "1800000001.0", "\"1800000001\"", "null", "[1800000001]", "9223372036854775808"] {
        let token = with(&format!("\"exp\":{exp}"));
        refused(&token, VerifyError::Claim { claim: "exp", problem: ClaimProblem::Type });
    }
    for exp in ["253402300800", "9223372036854775807", "-9223372036854775808"] {
        let token = with(&format!("\"exp\":{exp}"));
        refused(&token, VerifyError::Claim { claim: "exp", problem: ClaimProblem::OutOfRange });
    }
}

#[test]
fn rfc_7519_4_1_5_not_before() {
    let with = |nbf: i64| es256(HEADER, &claims().replace(&format!("\"nbf\":{NOW}"), &format!("\"nbf\":{nbf}")));
    accepted(&with(NOW));
    refused(&with(NOW + 1), VerifyError::NotYetValid { now: at(NOW), not_before: at(NOW + 1) });
    accepted(&es256(HEADER, &claims().replace("\"nbf\"", "\"n\"")));
}

#[test]
fn leeway_is_small_and_counts_at_both_ends() {
    let with = |leeway| {
        let mut options = VerifyOptions::default();
        options.leeway = leeway;
        Verifier::new([AUDIENCE], options)
    };
    let verifier = with(Duration::seconds(30)).unwrap();
    let token = es256(HEADER, &claims());
    for (now, ok) in [(NOW - 31, false), (NOW - 30, true), (NOW, true), (NOW + 30, true), (NOW + 31, false)] {
        assert_eq!(verifier.verify(&token, &bundle(), at(now)).is_ok(), ok, "{now}");
    }
    assert!(with(Duration::MINUTE).is_ok());
    for leeway in [Duration::seconds(61), Duration::seconds(-1), Duration::MAX, Duration::MIN] {
        assert!(matches!(with(leeway), Err(VerifierError::Leeway { .. })));
    }
}

#[test]
fn a_token_is_parsed_whoever_it_is_for_and_whenever() {
    // To find the bundle, a token of any time, audience and trust domain must be readable; verifying it comes after.
    let foreign = json!({"sub": "spiffe://other.example/w", "aud": "somebody else", "exp": 1, "nbf": NOW + 1000});
    let token = es256(HEADER, &foreign.to_string());
    let parsed = UnverifiedJwtSvid::parse(&token).unwrap();
    assert_eq!(parsed.unverified_claims().subject().trust_domain().as_str(), "other.example");
    assert_eq!(parsed.unverified_claims().audiences(), ["somebody else"]);
    assert!(matches!(verify(&token), Err(VerifyError::TrustDomain { .. })));
}

#[test]
fn a_verifier_may_have_many_names() {
    // The bound on audiences is one on tokens.
    let names = (0..100).map(|n| format!("name {n}")).chain([AUDIENCE.to_owned()]);
    let verifier = Verifier::new(names, VerifyOptions::default()).unwrap();
    assert!(verifier.verify(&es256(HEADER, &claims()), &bundle(), at(NOW)).is_ok());
}

#[test]
fn a_verifier_that_accepts_nothing_is_not_made() {
    let new = |audiences: Vec<&str>, algorithms: Vec<Algorithm>| {
        let mut options = VerifyOptions::default();
        options.algorithms = algorithms;
        Verifier::new(audiences, options).map(|_| ())
    };
    assert_eq!(new(vec![], vec![Algorithm::Es256]), Err(VerifierError::Audience));
    assert_eq!(new(vec![""], vec![Algorithm::Es256]), Err(VerifierError::Audience));
    assert_eq!(new(vec!["a"], vec![]), Err(VerifierError::Algorithm));
    assert_eq!(new(vec!["a"], vec![Algorithm::Es256, Algorithm::EdDsa]), Err(VerifierError::Algorithm));
    assert_eq!(new(vec!["a"], vec![Algorithm::Es256]), Ok(()));
}

#[test]
fn rfc_7519_4_no_member_twice() {
    for (claims, name) in [
        (claims().replacen('{', r#"{"sub":"spiffe://td.example/admin","#, 1), "sub"),
        (claims().replacen('{', r#"{"\u0061ud":"reports","#, 1), "aud"),
        (claims().replacen('{', r#"{"exp":1,"#, 1), "exp"),
        (claims().replacen('{', r#"{"x":{"role":1,"role":2},"#, 1), "role"),
        (claims().replacen('{', r#"{"x":[[{"role":1,"role":1}]],"#, 1), "role"),
        (claims().replacen('{', r#"{"x":1,"x":1,"#, 1), "x"),
    ] {
        refused(&es256(HEADER, &claims), VerifyError::Duplicate { part: Part::Claims, name: name.to_owned() });
    }
    let header = r#"{"alg":"ES256","kid":"RS256","kid":"ES256"}"#;
    refused(&es256(header, &claims()), VerifyError::Duplicate { part: Part::Header, name: "kid".to_owned() });
    // The same name at different depths is no duplicate.
    accepted(&es256(HEADER, &claims().replacen('{', r#"{"x":{"sub":1,"x":{"sub":2}},"#, 1)));
}

#[test]
fn what_is_no_json_object_is_refused() {
    for claims in ["", "[]", "null", "\"x\"", "{", "{}{}", "{\"a\":1,}", "{a:1}", "\u{feff}{}", "{\"a\":01}"] {
        let error = verify(&es256(HEADER, claims)).unwrap_err();
        let no_claims = claims.is_empty() && error == VerifyError::Encoding { part: Part::Claims };
        assert!(no_claims || matches!(error, VerifyError::Json { part: Part::Claims, .. }), "{claims}: {error}");
    }
    let not_utf8 = {
        let signed = format!("{}.{}", encode(HEADER), encode(b"{\"iss\":\"\xff\"}"));
        format!("{signed}.{}", encode(signer(Algorithm::Es256).sign(signed.as_bytes()).unwrap()))
    };
    assert!(matches!(verify(&not_utf8), Err(VerifyError::Json { part: Part::Claims, .. })));
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(20_000), "]".repeat(20_000));
    assert!(matches!(verify(&es256(HEADER, &deep)), Err(VerifyError::Json { part: Part::Claims, .. })));
}

#[test]
fn every_flipped_bit_is_noticed() {
    let token = es256(HEADER, &claims());
    let (bundle, verifier) = (bundle(), verifier());
    for index in 0..token.len() {
        for bit in 0..7 {
            let mut bytes = token.clone().into_bytes();
            bytes[index] ^= 1 << bit;
            let flipped = String::from_utf8(bytes).unwrap();
            assert!(verifier.verify(&flipped, &bundle, at(NOW)).is_err(), "{index} {bit}");
        }
    }
}

#[test]
fn errors_of_foreign_text_stay_short() {
    let kid = "k".repeat(20_000);
    let error = verify(&es256(&format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#), &claims())).unwrap_err();
    assert!(error.to_string().len() < 200, "{error}");
    let error = verify(&es256(&format!(r#"{{"alg":"{kid}"}}"#), &claims())).unwrap_err();
    assert!(error.to_string().len() < 200, "{error}");
    let error = verify(&es256(&format!(r#"{{"alg":"ES256","{kid}":1}}"#), &claims())).unwrap_err();
    assert!(error.to_string().len() < 200, "{error}");
}

#[test]
fn neither_type_shows_the_token() {
    let token = es256(HEADER, &claims());
    let signature = token.rsplit('.').next().unwrap();
    assert!(!format!("{:?}", UnverifiedJwtSvid::parse(&token).unwrap()).contains(signature));
    let svid = verify(&token).unwrap();
    assert!(!format!("{svid:?}").contains(signature));
    assert_eq!(svid.payload(), claims().as_bytes());
    assert_eq!(svid.expires(), at(NOW + 1));
    assert_eq!(svid.claims().issued_at(), Some(at(NOW - 1)));
}

#[test]
fn a_weak_or_bent_key_verifies_nothing() {
    let ec = signer(Algorithm::Es256).public_key().to_jwk().with_kid("ES256");
    let ec = serde_json::to_value(&ec).unwrap();
    let token = es256(HEADER, &claims());
    let bent = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut jwk = ec.clone();
        change(&mut jwk);
        let bundle = bundle_of(&serde_json::json!({ "keys": [jwk] }).to_string());
        (verifier().verify(&token, &bundle, at(NOW)).is_ok(), bundle.keys().skipped().len())
    };
    assert_eq!(bent(&|_| {}), (true, 0));
    let x = ec["x"].as_str().unwrap().to_owned();
    // Coordinates have the curve's width (RFC 7518 §6.2.1.2) and are canonical.
    assert_eq!(bent(&|jwk| jwk["x"] = format!("AA{x}").into()), (false, 1));
    assert_eq!(bent(&|jwk| jwk["x"] = x[..40].into()), (false, 1));
    assert_eq!(bent(&|jwk| jwk["x"] = format!("{x}=").into()), (false, 1));
    assert_eq!(bent(&|jwk| jwk["y"] = x.clone().into()), (false, 1));
    assert_eq!(bent(&|jwk| jwk["crv"] = "P-384".into()), (false, 1));
    assert_eq!(bent(&|jwk| jwk["d"] = x.clone().into()), (false, 1));
    let error = PublicKey::from_jwk(
        &serde_json::from_value(serde_json::json!({"kty": "RSA", "e": "AQAB", "n": encode([0xff; 128])})).unwrap(),
    )
    .unwrap_err();
    assert!(error.to_string().contains("1024 bits"), "{error}");
}
