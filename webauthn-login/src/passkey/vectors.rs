//! The test vectors of W3C WebAuthn Level 3 (§16), with the exceptions by name.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::testing::{at, name, rng};
use crate::{Identity, Reason};

#[derive(Deserialize)]
struct File {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    section: String,
    registration: Registration,
    authentication: Authentication,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Registration {
    challenge: String,
    #[serde(rename = "credential_id")]
    credential_id: String,
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    attestation_object: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authentication {
    challenge: String,
    authenticator_data: String,
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    signature: String,
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn b64(hex: &str) -> String {
    B64.encode(bytes(hex))
}

/// A ceremony with the vector's challenge, which asks for no verified user: half of the vectors have none.
fn with_challenge<T: serde::Serialize + serde::de::DeserializeOwned>(pending: &T, challenge: &str) -> T {
    let mut value = serde_json::to_value(pending).unwrap();
    value["state"]["challenge"] = Value::from(b64(challenge));
    value["state"]["policy"] = Value::from("preferred");
    serde_json::from_value(value).unwrap()
}

fn register(rp: &RelyingParty, vector: &Vector) -> Result<StoredPasskey, Reason> {
    let identity = Identity::new("ann@example.org".parse().unwrap(), name("b2"));
    let handle = UserHandle::generate(&mut rng(1));
    let subject = Subject { identity: &identity, handle: &handle, display_name: "Ann", passkeys: &[] };
    let pending = with_challenge(&PendingRegistration::begin(rp, &subject).unwrap(), &vector.registration.challenge);
    let id = b64(&vector.registration.credential_id);
    let response = json!({
        "id": id, "rawId": id, "type": "public-key", "clientExtensionResults": {},
        "response": {
            "clientDataJSON": b64(&vector.registration.client_data),
            "attestationObject": b64(&vector.registration.attestation_object),
        },
    });
    let response = response.to_string().parse().unwrap();
    pending.finish(rp, &[], &response, PasskeyName::default(), at(0))
}

/// The library's verdict on an assertion; whether the user was verified is left to the last check, which says so.
fn log_in(rp: &RelyingParty, vector: &Vector, passkey: &StoredPasskey) -> Result<StoredPasskey, Reason> {
    let pending = PendingAuthentication::begin(rp, Allowed::Autofill).unwrap();
    let pending = with_challenge(&pending, &vector.authentication.challenge);
    let id = b64(&vector.registration.credential_id);
    let response = json!({
        "id": id, "rawId": id, "type": "public-key", "clientExtensionResults": {},
        "response": {
            "clientDataJSON": b64(&vector.authentication.client_data),
            "authenticatorData": b64(&vector.authentication.authenticator_data),
            "signature": b64(&vector.authentication.signature),
        },
    });
    let response = response.to_string().parse().unwrap();
    pending.finish(rp, passkey, &response, at(1))
}

#[test]
fn each_vector_does_what_is_written_here() {
    let rp = RelyingParty::new("example.org", "Example", &["https://example.org"]).unwrap();
    let file: File = serde_json::from_str(include_str!("../../tests/fixtures/w3c-vectors.json")).unwrap();
    let mut verdicts = Vec::new();
    for vector in &file.vectors {
        let section = vector.section.trim_start_matches("sctn-test-vectors-").to_owned();
        let verdict = match register(&rp, vector) {
            Err(reason) => format!("registration: {}", reason.code()),
            Ok(mut passkey) => {
                passkey.credential.user_verified = false;
                match log_in(&rp, vector, &passkey) {
                    Ok(_) => "good".to_owned(),
                    // Signature and all else are good: the policy of this crate asks for more.
                    Err(Reason::NotVerified) => "good, user not verified".to_owned(),
                    Err(reason) => format!("login: {}", reason.code()),
                }
            }
        };
        verdicts.push(format!("{section}: {verdict}"));
    }
    let expected = [
        "none-es256: good, user not verified",
        "packed-self-es256: good, user not verified",
        // Refused by policy: pages in frames of other sites.
        "none-es256-crossOrigin: registration: cross-origin",
        "none-es256-topOrigin: registration: cross-origin",
        "none-es256-long-credential-id: good",
        "packed-es256: good",
        "packed-es384: good",
        // Gaps of the core: algorithms that are not offered, a key of two Mersenne primes, and two statements.
        "packed-es512: registration: bad-response",
        "packed-rs256: registration: bad-response",
        "packed-eddsa: registration: bad-response",
        "packed-ed448: registration: bad-response",
        "tpm-es256: registration: bad-response",
        "android-key-es256: registration: bad-response",
        "apple-es256: good, user not verified",
        "fido-u2f-es256: good, user not verified",
    ];
    assert_eq!(verdicts, expected);
}
