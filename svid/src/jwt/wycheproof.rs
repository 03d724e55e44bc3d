//! The JOSE vectors of Wycheproof: framing, header, key set and signature as a JWT-SVID's are checked, the payload left
//! aside, because in these vectors it is no set of claims.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::error::VerifyError;
use super::frame::Frame;
use super::header::{Header, JWT_SVID_ALGORITHMS, Kind};
use super::signature::authentic;
use super::unverified::MAX_TOKEN_BYTES;
use crate::jwks::{JwkSet, KeyUse};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    number_of_tests: usize,
    test_groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    /// Present where keys have two halves; the other is then not read.
    public: Option<serde_json::Value>,
    private: serde_json::Value,
    tests: Vec<Test>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Test {
    tc_id: usize,
    /// A string, but for one object: JSON serialization.
    jws: serde_json::Value,
    result: String,
}

fn verify(keys: &JwkSet, jws: &str) -> Result<(), VerifyError> {
    let frame = Frame::cut(jws, MAX_TOKEN_BYTES)?;
    let header = Header::read(&frame.header()?, Kind::JwtSvid, &JWT_SVID_ALGORITHMS)?;
    frame.claims()?;
    authentic(&frame, &header, keys)
}

/// Runs a file.
fn run(json: &str) -> (usize, BTreeMap<String, usize>, Vec<(usize, String)>) {
    let file: File = serde_json::from_str(json).unwrap();
    let (mut outcomes, mut differing, mut cases) = (BTreeMap::new(), Vec::new(), 0);
    for group in file.test_groups {
        let mut keys = group.public.unwrap_or(group.private);
        if keys.get("keys").is_none() {
            keys = serde_json::json!({ "keys": [keys] });
        }
        let keys = JwkSet::from_json(keys.to_string().as_bytes(), KeyUse::Signature).unwrap();
        for test in group.tests {
            let jws = test.jws.as_str().map_or_else(|| test.jws.to_string(), str::to_owned);
            let found = verify(&keys, &jws);
            let text = found.as_ref().map_or_else(ToString::to_string, |()| "accepted".to_owned());
            let name = found.as_ref().map_or_else(|error| format!("{error:?}"), |()| "Accepted".to_owned());
            let name = name.split([' ', '{', '(']).next().unwrap_or_default().to_owned();
            *outcomes.entry(name).or_default() += 1;
            assert!(matches!(test.result.as_str(), "valid" | "invalid"));
            if found.is_ok() != (test.result == "valid") {
                differing.push((test.tc_id, text));
            }
            cases += 1;
        }
    }
    assert_eq!(cases, file.number_of_tests);
    (cases, outcomes, differing)
}

/// Cases, how many of them ended how, and those that end otherwise than the vector says.
type Expected<'e> = (usize, &'e [(&'e str, usize)], &'e [(usize, &'e str)]);

/// The exceptions are part of what is compared: one that is no longer needed fails the test as a new one does.
fn compare(json: &str, (cases, outcomes, exceptions): Expected<'_>) {
    let (found_cases, found_outcomes, found_exceptions) = run(json);
    let found_outcomes: Vec<_> = found_outcomes.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    let found_exceptions: Vec<_> = found_exceptions.iter().map(|(id, text)| (*id, text.as_str())).collect();
    assert_eq!((found_cases, found_outcomes.as_slice()), (cases, outcomes));
    assert_eq!(found_exceptions, exceptions);
}

// Valid by the vectors, and refused here for these reasons. Nothing that is invalid by the vectors is accepted.
const NO_MAC: &str = "signature algorithm `HS256` is not accepted";
/// An empty payload is no set of claims.
const NO_PAYLOAD: &str = "the claims part of the token is not base64url without padding";
/// The header says PS384, the `alg` of the key PS256 (RFC 7517 §4.4).
const BOUND_TO_PS256: &str = "no key fits key ID `bilbo.baggins@hobbiton.example` and algorithm `PS384`";
/// The `alg` of the key is `ES521`, which no algorithm is called (RFC 7518 §3.1).
const BOUND_TO_ES521: &str = "no key fits key ID `bilbo.baggins@hobbiton.example` and algorithm `ES512`";

#[test]
fn signatures() {
    compare(
        include_str!("../../tests/data/wycheproof/json_web_signature_test.json"),
        (
            401,
            &[
                ("Accepted", 26),
                ("Algorithm", 32),
                ("Encoding", 19),
                ("Header", 1),
                ("NoKey", 15),
                ("NotCompact", 18),
                ("Signature", 290),
            ],
            &[
                (1, NO_MAC),
                (259, NO_PAYLOAD),
                (264, NO_PAYLOAD),
                (268, NO_PAYLOAD),
                (272, NO_PAYLOAD),
                (320, NO_PAYLOAD),
                (325, NO_PAYLOAD),
                (346, BOUND_TO_PS256),
                (347, BOUND_TO_ES521),
                (348, NO_MAC),
                (350, BOUND_TO_PS256),
                (351, BOUND_TO_ES521),
                (352, NO_MAC),
                (357, NO_MAC),
                (358, NO_MAC),
                (359, NO_MAC),
                // Besides, a character that is not base64url stands in its header.
                (372, "the header part of the token is not base64url without padding"),
                (373, NO_MAC),
                (376, NO_MAC),
                (377, NO_MAC),
            ],
        ),
    );
}

#[test]
fn key_sets() {
    compare(
        include_str!("../../tests/data/wycheproof/json_web_key_test.json"),
        (
            26,
            &[("Accepted", 1), ("Algorithm", 15), ("Encoding", 2), ("NoKey", 8)],
            &[
                (2, NO_MAC),
                (13, NO_MAC),
                (14, "signature algorithm `HS384` is not accepted"),
                (15, "signature algorithm `HS512` is not accepted"),
            ],
        ),
    );
}
