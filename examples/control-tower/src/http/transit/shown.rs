//! What calls with keys answer, on both surfaces. Written as it is, without a tree of values in between: batches are long.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use keyward_transit::operation;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{
    super::error::Answer,
    call::{Call, Output, Speech},
};

/// What a call answers, alone or as an item of a batch.
#[derive(Default, Serialize)]
pub struct Shown {
    #[serde(skip_serializing_if = "Option::is_none")]
    ciphertext: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plaintext: Option<Zeroizing<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hmac: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid: Option<bool>,
    /// Vault's alone; ours reads it in the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_version: Option<u32>,
    /// Vault's alone: the bytes of an Ed25519 key of one context.
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
    /// What the same is called there in a batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    publickey: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
}

impl Shown {
    /// What a call came to.
    pub fn new(output: Output, speech: Speech) -> Self {
        let mut shown = Self::default();
        match output {
            Output::Ciphertext(text) => shown.ciphertext = Some(text),
            Output::Plaintext(plaintext) => shown.plaintext = Some(base64(&plaintext)),
            Output::Signature { text, public_key } => {
                shown.signature = Some(text);
                shown.public_key = public_key.and_then(|key| Some(STANDARD.encode(key.ed25519_bytes()?)));
            }
            Output::Valid(valid) => shown.valid = Some(valid),
            Output::Hmac(text) => shown.hmac = Some(text),
            Output::DataKey { plaintext, ciphertext } => {
                shown.plaintext = Some(base64(&plaintext));
                shown.ciphertext = Some(ciphertext);
            }
        }
        if speech == Speech::Vault {
            let text = shown.ciphertext.as_deref().or(shown.signature.as_deref());
            shown.key_version = text.and_then(operation::version_of);
        }
        shown
    }

    /// Of an item of a batch: what a call alone would answer, or `error`, and the `reference` that it came with.
    pub fn result((result, reference): (Answer<Output>, Option<String>)) -> Self {
        let shown = match result {
            Ok(output) => Self::new(output, Speech::Own),
            Err(error) => Self { error: Some(error.message().to_owned()), ..Self::default() },
        };
        Self { reference, ..shown }
    }

    /// The same for clients of Vault: every result has a reference, if only an empty one, and what failed has the field of what did
    /// not.
    pub fn vault_result(call: Call, (result, reference): (Answer<Output>, Option<String>)) -> Self {
        let mut shown = match result {
            Ok(output) => Self::new(output, Speech::Vault),
            Err(error) => Self {
                error: Some(error.message().to_owned()),
                plaintext: (call == Call::Decrypt).then(Zeroizing::default),
                key_version: (call == Call::Sign).then_some(0),
                valid: (call == Call::Verify).then_some(false),
                ..Self::default()
            },
        };
        shown.publickey = shown.public_key.take();
        Self { reference: Some(reference.unwrap_or_default()), ..shown }
    }

    /// The same without what is secret.
    #[must_use]
    pub fn without_plaintext(self) -> Self {
        Self { plaintext: None, ..self }
    }
}

fn base64(secret: &[u8]) -> Zeroizing<String> {
    // The exact capacity, so that nothing is left behind by growing.
    let mut text = Zeroizing::new(String::with_capacity(secret.len().div_ceil(3).saturating_mul(4)));
    STANDARD.encode_string(secret, &mut text);
    text
}
