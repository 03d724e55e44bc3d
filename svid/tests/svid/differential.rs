//! Other implementations accept what we mint, and we accept what they mint.

use jsonwebtoken::{DecodingKey, EncodingKey, Validation};
use keyward_keys::{Algorithm, KeyType};
use keyward_svid::jwt::{Minter, VerifyError};
use keyward_svid::{JwkSet, JwtBundle, KeyUse, MintRequest, mint};
use p521::ecdsa::signature::Verifier as _;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::support::*;

/// The peers read the real clock.
#[allow(clippy::disallowed_methods, reason = "`spiffe` and `jsonwebtoken` compare with the real clock")]
fn real_now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

fn request() -> MintRequest {
    MintRequest::new("spiffe://td.example/approle/payments".parse().unwrap(), [AUDIENCE], Duration::minutes(5))
        .unwrap()
        .with_issuer("https://tower.example/t")
        .with_jwt_id("1")
}

fn theirs(algorithm: Algorithm) -> Option<jsonwebtoken::Algorithm> {
    // `jsonwebtoken` has no ES512.
    algorithm.as_str().parse().ok()
}

#[test]
fn jsonwebtoken_accepts_ours() {
    let mut accepted = 0;
    for (algorithm, _) in NINE {
        let Some(their_algorithm) = theirs(algorithm) else {
            assert_eq!(algorithm, Algorithm::Es512);
            continue;
        };
        let token = mint(&signer(algorithm), &request(), real_now()).unwrap();
        let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(
            serde_json::to_value(verification_key(algorithm).to_jwk(KeyUse::Signature)).unwrap(),
        )
        .unwrap();
        let mut validation = Validation::new(their_algorithm);
        validation.leeway = 0;
        validation.validate_nbf = true;
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&["https://tower.example/t"]);
        validation.sub = Some("spiffe://td.example/approle/payments".to_owned());
        validation.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
        let key = DecodingKey::from_jwk(&jwk).unwrap();
        let data = jsonwebtoken::decode::<Value>(token.as_str(), &key, &validation).unwrap();
        assert_eq!(data.header.kid.as_deref(), Some(algorithm.as_str()));
        assert_eq!(data.header.typ.as_deref(), Some("JWT"));
        assert_eq!(data.claims["exp"], token.expires().unix_timestamp());
        assert_eq!(data.claims["jti"], "1");
        accepted += 1;
    }
    assert_eq!(accepted, 8);
}

#[test]
fn p521_accepts_our_es512() {
    let token = mint(&signer(Algorithm::Es512), &request(), real_now()).unwrap();
    let (signed, signature) = token.as_str().rsplit_once('.').unwrap();
    let jwk = serde_json::to_value(signer(Algorithm::Es512).public_key().to_jwk()).unwrap();
    let mut point = vec![4];
    for member in ["x", "y"] {
        point.extend(decode(jwk[member].as_str().unwrap()));
    }
    let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(&point).unwrap();
    let signature = p521::ecdsa::Signature::from_slice(&decode(signature)).unwrap();
    key.verify(signed.as_bytes(), &signature).unwrap();
}

#[test]
fn spiffe_accepts_ours() {
    let mut theirs = spiffe::JwtBundle::new(spiffe::TrustDomain::new(TRUST_DOMAIN).unwrap());
    for (algorithm, _) in NINE {
        let jwk = serde_json::to_vec(&verification_key(algorithm).to_jwk(KeyUse::JwtSvid)).unwrap();
        theirs.add_jwk_authority_json(&jwk).unwrap();
    }
    let mut bundles = spiffe::JwtBundleSet::new();
    bundles.add_bundle(theirs);
    for (algorithm, _) in NINE {
        let minter = Minter::new(signer(algorithm)).unwrap();
        let token = minter.mint(&request(), real_now()).unwrap();
        let verdict = spiffe::JwtSvid::parse_and_validate(token.as_str(), &bundles, &[AUDIENCE]);
        if algorithm == Algorithm::Es512 {
            assert!(matches!(verdict, Err(spiffe::JwtSvidError::BackendUnsupportedAlgorithm(_))));
            continue;
        }
        let svid = verdict.unwrap();
        assert_eq!(svid.spiffe_id().to_string(), "spiffe://td.example/approle/payments");
        assert_eq!(svid.expiry(), token.expires());
        assert!(spiffe::JwtSvid::parse_and_validate(token.as_str(), &bundles, &["other"]).is_err());
    }
}

#[test]
fn we_accept_jsonwebtoken() {
    for (algorithm, key_type) in NINE {
        let Some(their_algorithm) = theirs(algorithm) else { continue };
        let mut header = jsonwebtoken::Header::new(their_algorithm);
        header.kid = Some(algorithm.to_string());
        let key = match key_type {
            // After 26 bytes of PKCS#8 comes the PKCS#1 key that their constructor wants.
            KeyType::Rsa2048 => EncodingKey::from_rsa_der(&pkcs8(key_type)[26..]),
            _ => EncodingKey::from_ec_der(pkcs8(key_type)),
        };
        let claims = json!({
            "sub": "spiffe://td.example/w", "aud": [AUDIENCE], "exp": NOW + 300, "iat": NOW, "groups": [{"a": 1.5}]
        });
        let token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
        let svid = verifier().verify(&token, &bundle(), at(NOW)).unwrap();
        assert_eq!(svid.algorithm(), algorithm);
        assert_eq!(serde_json::from_slice::<Value>(svid.payload()).unwrap(), claims);

        header.typ = Some("at+jwt".to_owned());
        let token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
        assert!(matches!(verifier().verify(&token, &bundle(), at(NOW)), Err(VerifyError::Header { .. })));
    }
}

#[test]
fn they_read_our_key_sets_and_we_theirs() {
    let ours = bundle();
    let json = ours.keys().to_json();
    let theirs: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&json).unwrap();
    assert_eq!(theirs.keys.len(), 9);
    assert_eq!(theirs.keys.iter().filter(|jwk| jwk.is_supported()).count(), 8);
    let back = JwkSet::from_json(&serde_json::to_vec(&theirs).unwrap(), KeyUse::Signature).unwrap();
    assert_eq!(back.keys().len(), 8);
    let spiffe =
        spiffe::JwtBundle::from_jwt_authorities(spiffe::TrustDomain::new(TRUST_DOMAIN).unwrap(), json.as_bytes())
            .unwrap();
    assert_eq!(spiffe.jwt_authorities().count(), 9);
}

/// RFC 7515 appendix A.3: an ES256 signature made by somebody else, long ago. Its claims are no JWT-SVID's, so it gets as
/// far as they reach.
#[test]
fn rfc_7515_a_3() {
    let token = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let jwks = br#"{"keys":[{"kty":"EC","crv":"P-256",
        "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
    let keys = JwkSet::from_json(jwks, KeyUse::Signature).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    keys.keys()[0].public_key().verify(Algorithm::Es256, signed.as_bytes(), &decode(signature)).unwrap();
    let bundle = JwtBundle::new(TRUST_DOMAIN.parse().unwrap(), keys);
    let error = verifier().verify(token, &bundle, at(1_300_819_000)).unwrap_err();
    assert_eq!(error.to_string(), "claim `sub` is missing");
}

fn decode(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()
}
