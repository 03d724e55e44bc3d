//! What holds for every request, every token and every document.

use keyward_keys::{Algorithm, Signer as _};
use keyward_svid::{JwkSet, KeyUse, MintRequest, UnverifiedJwtSvid, Verifier, VerifyOptions, mint};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use time::Duration;

use crate::support::*;

fn path() -> impl Strategy<Value = String> {
    vec("[a-zA-Z0-9_-]{1,12}", 0..4).prop_map(|segments| segments.iter().map(|s| format!("/{s}")).collect())
}

fn nine() -> impl Strategy<Value = Algorithm> {
    (0..9usize).prop_map(|index| NINE[index].0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// What was asked for is what is verified, to the second, and at no other time.
    #[test]
    fn minted_is_verified(
        path in path(),
        audiences in vec(".{1,20}", 1..=32),
        chosen in any::<proptest::sample::Index>(),
        lifetime in 1i64..1_000_000,
        issuer in proptest::option::of(".{0,40}"),
        jwt_id in proptest::option::of(".{0,40}"),
        backdate in 0i64..1000,
        nanoseconds in 0i64..1_000_000_000,
        algorithm in nine(),
    ) {
        let now = at(NOW) + Duration::nanoseconds(nanoseconds);
        let subject = format!("spiffe://{TRUST_DOMAIN}{path}");
        let mut request = MintRequest::new(subject.parse().unwrap(), audiences.clone(), Duration::seconds(lifetime))
            .unwrap()
            .with_backdate(Duration::seconds(backdate));
        if let Some(issuer) = &issuer {
            request = request.with_issuer(issuer);
        }
        if let Some(jwt_id) = &jwt_id {
            request = request.with_jwt_id(jwt_id);
        }
        let token = mint(&signer(algorithm), &request, now).unwrap();

        let verifier = Verifier::new([chosen.get(&audiences)], VerifyOptions::default()).unwrap();
        let svid = verifier.verify(token.as_str(), &bundle(), now).unwrap();
        prop_assert_eq!(svid.id().as_str(), subject.as_str());
        let claims = svid.claims();
        prop_assert_eq!(claims.audiences(), audiences.as_slice());
        prop_assert_eq!(claims.issuer(), issuer.as_deref());
        prop_assert_eq!(claims.jwt_id(), jwt_id.as_deref());
        prop_assert_eq!(claims.expires(), at(NOW + lifetime));
        prop_assert_eq!(claims.issued_at(), Some(at(NOW)));
        prop_assert_eq!(claims.not_before(), Some(at(NOW - backdate)));

        // A reader of plain JSON sees the same.
        let mut expected = json!({"sub": subject, "exp": NOW + lifetime, "iat": NOW, "nbf": NOW - backdate});
        expected["aud"] = if audiences.len() == 1 { json!(audiences[0]) } else { json!(audiences) };
        if let Some(issuer) = issuer {
            expected["iss"] = issuer.into();
        }
        if let Some(jwt_id) = jwt_id {
            expected["jti"] = jwt_id.into();
        }
        prop_assert_eq!(serde_json::from_slice::<Value>(svid.payload()).unwrap(), expected);

        for (moment, valid) in [
            (at(NOW - backdate), true),
            (at(NOW - backdate) - Duration::NANOSECOND, false),
            (at(NOW + lifetime) - Duration::NANOSECOND, true),
            (at(NOW + lifetime), false),
        ] {
            prop_assert_eq!(verifier.verify(token.as_str(), &bundle(), moment).is_ok(), valid);
        }
    }

    /// Two steps make a token that verifies, whatever the algorithm.
    #[test]
    fn two_steps_are_one(algorithm in nine(), path in path(), der in any::<bool>()) {
        let signer = signer(algorithm);
        let subject = format!("spiffe://{TRUST_DOMAIN}{path}").parse().unwrap();
        let request = MintRequest::new(subject, [AUDIENCE], Duration::MINUTE).unwrap();
        let input = request.signing_input(signer.algorithm(), signer.kid(), at(NOW)).unwrap();
        let token = if der {
            let signature = signer.private_key().sign_asn1(algorithm, input.as_bytes()).unwrap();
            input.attach_der(&signature).unwrap()
        } else {
            let signature = signer.sign(input.as_bytes()).unwrap();
            input.attach(&signature).unwrap()
        };
        prop_assert!(verifier().verify(token.as_str(), &bundle(), at(NOW)).is_ok());
    }

    /// No text brings a reader down, and what was not signed is not accepted.
    #[test]
    fn no_text_is_too_strange(text in ".{0,200}", header in ".{0,40}", claims in ".{0,80}") {
        let framed = format!("{}.{}.{}", encode(&header), encode(&claims), encode("x"));
        for token in [&text, &framed] {
            let _ = UnverifiedJwtSvid::parse(token);
            prop_assert!(verifier().verify(token, &bundle(), at(NOW)).is_err());
        }
        for key_use in [KeyUse::Signature, KeyUse::JwtSvid] {
            let _ = JwkSet::from_json(text.as_bytes(), key_use);
            let _ = JwkSet::from_json(format!(r#"{{"keys":[{text}]}}"#).as_bytes(), key_use);
        }
    }

    /// Claims of any shape are read or refused, and agree with a plain reader where they are read.
    #[test]
    fn strange_claims(
        sub in prop_oneof![Just(json!("spiffe://td.example/w")), Just(json!(1)), Just(json!(null))],
        aud in prop_oneof![Just(json!(AUDIENCE)), Just(json!([AUDIENCE, "x"])), Just(json!([])), Just(json!({}))],
        exp in prop_oneof![
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            Just(json!(NOW + 1)),
            Just(json!("1"))
        ],
        extra in proptest::option::of(any::<i32>()),
    ) {
        let mut claims = json!({"sub": sub, "aud": aud, "exp": exp});
        if let Some(extra) = extra {
            claims["extra"] = json!({"n": [extra]});
        }
        if let Ok(svid) = verifier().verify(&es256(HEADER, &claims.to_string()), &bundle(), at(NOW)) {
            prop_assert_eq!(&claims["sub"], "spiffe://td.example/w");
            prop_assert!(claims["exp"].as_i64().unwrap() > NOW);
            prop_assert_eq!(svid.expires().unix_timestamp(), claims["exp"].as_i64().unwrap());
        }
    }

    /// A published set reads as itself.
    #[test]
    fn key_sets_round_trip(kids in vec(".{1,20}", 0..6), jwt_svid in any::<bool>()) {
        let key_use = if jwt_svid { KeyUse::JwtSvid } else { KeyUse::Signature };
        let keys = kids.iter().zip(NINE).map(|(kid, (algorithm, _))| {
            keyward_svid::VerificationKey::new(signer(algorithm).public_key().clone(), algorithm, kid).unwrap()
        });
        let set = JwkSet::new(key_use, keys);
        let read = JwkSet::from_json(set.to_json().as_bytes(), key_use).unwrap();
        prop_assert!(read.skipped().is_empty());
        prop_assert_eq!(read, set);
    }
}
