//! A software authenticator with its browser, made for tests: it answers honestly, or with one thing wrong.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// What is wrong with an answer; nothing by default.
#[derive(Clone, Default)]
pub(crate) struct Wrong {
    pub(crate) origin: Option<&'static str>,
    pub(crate) rp_id: Option<&'static str>,
    pub(crate) kind: Option<&'static str>,
    pub(crate) challenge: Option<String>,
    pub(crate) cross_origin: bool,
    pub(crate) top_origin: Option<&'static str>,
    pub(crate) not_verified: bool,
    pub(crate) not_present: bool,
    pub(crate) user_handle: Option<Option<String>>,
    pub(crate) counter: Option<u32>,
    pub(crate) signature: bool,
    pub(crate) raw_id: Option<Vec<u8>>,
    pub(crate) backed_up_without_being_eligible: bool,
}

/// One passkey.
#[derive(Clone)]
pub(crate) struct Soft {
    key: SigningKey,
    pub(crate) id: Vec<u8>,
    pub(crate) user_handle: Option<String>,
    pub(crate) counter: u32,
    /// Whether it counts; passkeys of today's platforms do not.
    pub(crate) counts: bool,
    pub(crate) eligible: bool,
    pub(crate) backed_up: bool,
}

pub(crate) const ORIGIN: &str = "https://tower.example.com";
pub(crate) const RP_ID: &str = "example.com";

impl Soft {
    /// A key for each seed.
    pub(crate) fn new(seed: u8) -> Self {
        let key = SigningKey::from_slice(&Sha256::digest([seed])).unwrap();
        let id = Sha256::digest([seed, 1])[..20].to_vec();
        Self { key, id, user_handle: None, counter: 0, counts: false, eligible: true, backed_up: false }
    }

    /// As a point (SEC 1 §2.3.3).
    #[allow(dead_code)]
    pub(crate) fn public_key(&self) -> Vec<u8> {
        self.key.verifying_key().to_sec1_point(false).as_bytes().to_vec()
    }

    fn client_data(&self, kind: &str, options: &Value, wrong: &Wrong) -> Vec<u8> {
        let challenge = options["publicKey"]["challenge"].as_str().unwrap();
        let mut data = json!({
            "type": wrong.kind.unwrap_or(kind),
            "challenge": wrong.challenge.as_deref().unwrap_or(challenge),
            "origin": wrong.origin.unwrap_or(ORIGIN),
            "crossOrigin": wrong.cross_origin,
        });
        if let Some(top) = wrong.top_origin {
            data["topOrigin"] = json!(top);
        }
        serde_json::to_vec(&data).unwrap()
    }

    fn authenticator_data(&self, attested: bool, wrong: &Wrong) -> Vec<u8> {
        let mut data = Sha256::digest(wrong.rp_id.unwrap_or(RP_ID)).to_vec();
        let eligible = self.eligible && !wrong.backed_up_without_being_eligible;
        let backed_up = self.backed_up || wrong.backed_up_without_being_eligible;
        data.push(
            u8::from(!wrong.not_present)
                | u8::from(!wrong.not_verified) << 2
                | u8::from(eligible) << 3
                | u8::from(backed_up) << 4
                | u8::from(attested) << 6,
        );
        data.extend(wrong.counter.unwrap_or(self.counter).to_be_bytes());
        if attested {
            data.extend([0; 16]);
            data.extend(u16::try_from(self.id.len()).unwrap().to_be_bytes());
            data.extend(&self.id);
            let point = self.key.verifying_key().to_sec1_point(false);
            data.extend([0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 0x20]);
            data.extend(point.x().unwrap());
            data.extend([0x22, 0x58, 0x20]);
            data.extend(point.y().unwrap());
        }
        data
    }

    fn credential(&self, wrong: &Wrong, response: Value) -> String {
        let id = B64.encode(wrong.raw_id.as_ref().unwrap_or(&self.id));
        json!({
            "id": id, "rawId": id, "type": "public-key", "authenticatorAttachment": "platform",
            "clientExtensionResults": {}, "response": response,
        })
        .to_string()
    }

    /// `navigator.credentials.create()`.
    pub(crate) fn create(&mut self, options: &Value) -> String {
        self.create_wrong(options, &Wrong::default())
    }

    pub(crate) fn create_wrong(&mut self, options: &Value, wrong: &Wrong) -> String {
        self.user_handle = Some(options["publicKey"]["user"]["id"].as_str().unwrap().to_owned());
        let client_data = self.client_data("webauthn.create", options, wrong);
        let data = self.authenticator_data(true, wrong);
        let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59".to_vec();
        object.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        object.extend(data);
        let response = json!({
            "clientDataJSON": B64.encode(client_data), "attestationObject": B64.encode(object),
            "transports": ["internal", "hybrid"],
        });
        self.credential(wrong, response)
    }

    /// `navigator.credentials.get()`.
    pub(crate) fn get(&mut self, options: &Value) -> String {
        self.get_wrong(options, &Wrong::default())
    }

    pub(crate) fn get_wrong(&mut self, options: &Value, wrong: &Wrong) -> String {
        if self.counts {
            self.counter += 1;
        }
        let client_data = self.client_data("webauthn.get", options, wrong);
        let data = self.authenticator_data(false, wrong);
        let mut signed = data.clone();
        // Without the client data it is a good signature over something else.
        if !wrong.signature {
            signed.extend(Sha256::digest(&client_data));
        }
        let signature: Signature = self.key.sign(&signed);
        let signature = signature.to_der().as_bytes().to_vec();
        let handle = wrong.user_handle.clone().unwrap_or_else(|| self.user_handle.clone());
        let response = json!({
            "clientDataJSON": B64.encode(client_data), "authenticatorData": B64.encode(data),
            "signature": B64.encode(signature), "userHandle": handle,
        });
        self.credential(wrong, response)
    }
}
