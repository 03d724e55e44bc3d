//! What is done with a key, alone or in batches: read once for both surfaces, done in one place.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use keyward_keys::PublicKey;
use keyward_transit::{
    Error, HashFunction, Marshaling, Ring, SignOptions,
    operation::{
        DataKey, Decrypt, Encrypt, Hmac, Input, Rewrap, RsaPadding, SaltLength, Sign, Verify, VerifyHmac, version_of,
    },
};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::super::error::{Answer, ApiError};
use crate::{app::App, random};

/// The most items of a batch.
pub const MOST_ITEMS: usize = 1000;

/// Of a batch with more items, and of what takes the private half of an RSA key, a processor is busy for so long that others would
/// wait.
const QUICK_ITEMS: usize = 16;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `plaintext` → ciphertext.
    Encrypt,
    /// `ciphertext` → plaintext.
    Decrypt,
    /// `ciphertext` → ciphertext under the active version.
    Rewrap,
    /// `input` → signature.
    Sign,
    /// `input` and `signature`, or `hmac` → whether it is valid.
    Verify,
    /// `input` → HMAC.
    Hmac,
    /// A fresh key and its ciphertext.
    DataKey,
}

/// By which names and defaults a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// Ours: the defaults of the key's cipher.
    Own,
    /// Vault's: RSA signs with PSS, everything with SHA-256.
    Vault,
}

impl Speech {
    /// Bytes in a text. Vault's own clients wrap lines, as MIME does, and nobody there minds.
    ///
    /// # Errors
    /// 400 for what is no base64.
    pub fn base64(self, field: &str, text: &str) -> Answer<Zeroizing<Vec<u8>>> {
        let is_break = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let bytes = STANDARD.decode(text).or_else(|error| match self {
            Self::Vault if text.bytes().any(|byte| is_break(&byte)) => {
                let joined: Zeroizing<Vec<u8>> = text.bytes().filter(|byte| !is_break(byte)).collect::<Vec<_>>().into();
                STANDARD.decode(joined.as_slice())
            }
            _ => Err(error),
        });
        let bytes = bytes.map_err(|_| ApiError::invalid(format!("`{field}` is not base64 (RFC 4648 §4)")))?;
        Ok(Zeroizing::new(bytes))
    }
}

/// A secret in a body, cleared when dropped, and read only when it is its turn.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct Text(Zeroizing<String>);

/// A number or a name, as clients send lengths of salts.
enum Salt {
    Bytes(usize),
    Name(String),
}

impl<'de> Deserialize<'de> for Salt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wanted = || de::Error::custom("no length of a salt; write a number of bytes, or `auto` or `hash`");
        match Value::deserialize(deserializer)? {
            Value::Number(bytes) => {
                bytes.as_u64().and_then(|bytes| bytes.try_into().ok()).map(Self::Bytes).ok_or_else(wanted)
            }
            Value::String(name) => Ok(Self::Name(name)),
            _ => Err(wanted()),
        }
    }
}

/// What is done something with, and how; in a batch the options of the whole.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Item {
    plaintext: Option<Text>,
    ciphertext: Option<Text>,
    input: Option<Text>,
    signature: Option<Text>,
    hmac: Option<Text>,
    #[serde(alias = "associated_data")]
    associated_data: Option<Text>,
    context: Option<Text>,
    #[serde(alias = "key_version")]
    key_version: Option<u32>,
    #[serde(alias = "hash_algorithm", alias = "algorithm")]
    hash_algorithm: Option<String>,
    #[serde(alias = "signature_algorithm")]
    signature_algorithm: Option<String>,
    #[serde(alias = "marshaling_algorithm")]
    marshaling_algorithm: Option<String>,
    prehashed: Option<bool>,
    #[serde(alias = "salt_length")]
    salt_length: Option<Salt>,
    bits: Option<usize>,
    /// The caller's own name of an item, which its result repeats.
    reference: Option<String>,
    #[serde(alias = "batch_input")]
    batch_input: Option<Vec<Item>>,
    /// The status of a batch of which items failed, for clients of Vault.
    #[serde(alias = "partial_failure_response_code")]
    pub partial_failure_response_code: Option<u16>,
    // What clients of Vault send along: the key's name, what it is to be if it has to be made, and nonces, which are never the caller's.
    #[serde(rename = "type")]
    _kind: Option<String>,
    #[serde(rename = "name")]
    _name: Option<serde::de::IgnoredAny>,
    #[serde(rename = "convergent_encryption")]
    _convergent: Option<serde::de::IgnoredAny>,
    nonce: Option<String>,
}

/// What came of one.
pub enum Output {
    /// Of encrypt and rewrap.
    Ciphertext(String),
    /// Of decrypt.
    Plaintext(Zeroizing<Vec<u8>>),
    /// Of sign.
    Signature {
        /// The signature.
        text: String,
        /// For clients of Vault: what verifies it elsewhere, where it is a key of the context alone.
        public_key: Option<PublicKey>,
    },
    /// Of verify.
    Valid(bool),
    /// Of hmac.
    Hmac(String),
    /// Of datakey.
    DataKey {
        /// The key.
        plaintext: Zeroizing<Vec<u8>>,
        /// The key, encrypted.
        ciphertext: String,
    },
}

/// What came of a body.
pub enum Outcome {
    /// Of one item.
    One(Output),
    /// Of each item of a batch, with its reference.
    Batch {
        /// In the order of the items.
        results: Vec<(Result<Output, ApiError>, Option<String>)>,
    },
}

impl Call {
    /// For counters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Encrypt => "encrypt",
            Self::Decrypt => "decrypt",
            Self::Rewrap => "rewrap",
            Self::Sign => "sign",
            Self::Verify => "verify",
            Self::Hmac => "hmac",
            Self::DataKey => "datakey",
        }
    }

    /// Does it with a body.
    ///
    /// # Errors
    /// What the ring refuses; of a batch only what is wrong with the whole.
    pub async fn perform(self, app: &App, ring: Arc<Ring>, body: Item, speech: Speech) -> Answer<Outcome> {
        let now = app.clock.now();
        let items = body.batch_input.as_ref().map_or(1, Vec::len);
        if items > MOST_ITEMS {
            let message = format!("`batch-input` has {items} items, but {MOST_ITEMS} are the most");
            return Err(ApiError::invalid(message));
        }
        let private_rsa = ring.cipher().signs()
            && ring.cipher().encrypts()
            && matches!(self, Self::Sign | Self::Decrypt | Self::Rewrap);
        let outcome = if private_rsa || items > QUICK_ITEMS {
            app.compute(move || self.all(&ring, body, speech, now)).await??
        } else {
            self.all(&ring, body, speech, now)?
        };
        app.metrics.transit(self.name());
        Ok(outcome)
    }

    fn all(self, ring: &Ring, mut body: Item, speech: Speech, now: OffsetDateTime) -> Answer<Outcome> {
        let Some(items) = body.batch_input.take() else {
            // There no input at all is the empty one, unless it stands in a batch.
            let empty = matches!(self, Self::Sign | Self::Verify) && speech == Speech::Vault && body.input.is_none();
            if empty {
                body.input = Some(Text(Zeroizing::default()));
            }
            return self.one(ring, &body, &body, speech, now).map(Outcome::One);
        };
        if items.is_empty() {
            return Err(ApiError::invalid("`batch-input` has no items"));
        }
        // There such a batch is refused as a whole.
        let has = |field: fn(&Item) -> &Option<Text>| move |item: &Item| field(item).is_some();
        let (signature, hmac) = (has(|item| &item.signature), has(|item| &item.hmac));
        if self == Self::Verify && speech == Speech::Vault && !items.iter().all(signature) && !items.iter().all(hmac) {
            return Err(ApiError::invalid("every item of `batch_input` needs a `signature`, or every one an `hmac`"));
        }
        if speech == Speech::Vault {
            self.check_whole(ring, &body, items.iter().all(signature))?;
        }
        let one = |item: Item| {
            let result = match item.batch_input {
                Some(_) => Err(ApiError::invalid("an item of a batch is no batch")),
                None => self.one(ring, &item, &body, speech, now),
            };
            (result, item.reference)
        };
        let results = items.into_iter().map(one).collect();
        Ok(Outcome::Batch { results })
    }

    /// What is wrong with all items alike is said of the whole there, and not of each of them in an answer of 200.
    fn check_whole(self, ring: &Ring, whole: &Item, signatures: bool) -> Answer<()> {
        match self {
            Self::Sign => {}
            Self::Verify if signatures => {}
            Self::Verify | Self::Hmac => return whole.hash(whole).map(drop),
            _ => return Ok(()),
        }
        if !ring.cipher().signs() {
            let error = Error::Unsupported { operation: self.name(), cipher: ring.cipher() };
            return Err(error.into());
        }
        whole.sign_options(whole, ring, Speech::Vault).map(drop)
    }

    fn one(self, ring: &Ring, item: &Item, whole: &Item, speech: Speech, now: OffsetDateTime) -> Answer<Output> {
        if item.nonce.as_ref().is_some_and(|nonce| !nonce.is_empty()) {
            return Err(ApiError::invalid("`nonce` is not taken: nonces are made here"));
        }
        let rng = &mut random::rng();
        let associated = bytes("associated-data", item.associated_data.as_ref(), speech)?;
        let mut context = bytes("context", item.context.as_ref(), speech)?;
        if speech == Speech::Vault && !ring.config().derived {
            // There it is read over, and many clients send one along, whatever the key is.
            context = Zeroizing::default();
        }
        let version = item.key_version.filter(|version| *version > 0);
        Ok(match self {
            Self::Encrypt => {
                let plaintext = needed("plaintext", item.plaintext.as_ref(), speech)?;
                let encrypt = Encrypt::new(&plaintext).with_associated_data(&associated).with_context(&context);
                let encrypt = version.map_or(encrypt, |version| encrypt.with_version(version));
                Output::Ciphertext(ring.perform(&encrypt, rng, now)?)
            }
            Self::Decrypt => {
                let ciphertext = text("ciphertext", item.ciphertext.as_ref())?;
                let decrypt = Decrypt::new(ciphertext).with_associated_data(&associated).with_context(&context);
                Output::Plaintext(ring.perform(&decrypt, rng, now)?)
            }
            Self::Rewrap => {
                let ciphertext = text("ciphertext", item.ciphertext.as_ref())?;
                let decrypt = Decrypt::new(ciphertext).with_associated_data(&associated).with_context(&context);
                let rewrap = Rewrap::new(decrypt);
                let rewrap = version.map_or(rewrap, |version| rewrap.with_version(version));
                Output::Ciphertext(ring.perform(&rewrap, rng, now)?)
            }
            Self::Sign => {
                let input = needed("input", item.input.as_ref(), speech)?;
                let options = item.sign_options(whole, ring, speech)?;
                let sign = Sign::new(item.input(whole, &input), options).with_context(&context);
                let sign = version.map_or(sign, |version| sign.with_version(version));
                let text = ring.perform(&sign, rng, now)?;
                let public_key = match version_of(&text) {
                    Some(version) if ring.config().derived && speech == Speech::Vault => {
                        Some(ring.derived_public_key(version, &context)?)
                    }
                    _ => None,
                };
                Output::Signature { text, public_key }
            }
            Self::Verify => {
                let input = needed("input", item.input.as_ref(), speech)?;
                // There a signature goes before an HMAC.
                let hmac = item.hmac.as_ref().filter(|_| speech == Speech::Own || item.signature.is_none());
                Output::Valid(match (&item.signature, hmac) {
                    (Some(signature), None) => {
                        let options = item.sign_options(whole, ring, speech)?;
                        let verify = Verify::new(item.input(whole, &input), &signature.0, options);
                        let result = ring.perform(&verify.with_context(&context), rng, now);
                        is_valid(result, speech, || verify.check_form(ring))?
                    }
                    (None, Some(hmac)) => {
                        let verify = VerifyHmac::new(&input, &hmac.0, item.hash(whole)?.unwrap_or(HMAC));
                        is_valid(ring.perform(&verify, rng, now), speech, || verify.check_form(ring))?
                    }
                    _ => return Err(ApiError::invalid("one of `signature` and `hmac` is needed")),
                })
            }
            Self::Hmac => {
                let input = needed("input", item.input.as_ref(), speech)?;
                let hmac = Hmac::new(&input, item.hash(whole)?.unwrap_or(HMAC));
                let hmac = version.map_or(hmac, |version| hmac.with_version(version));
                Output::Hmac(ring.perform(&hmac, rng, now)?)
            }
            Self::DataKey => {
                let key =
                    DataKey::new(item.bits.unwrap_or(256)).with_associated_data(&associated).with_context(&context);
                let key = version.map_or(key, |version| key.with_version(version));
                let pair = ring.perform(&key, rng, now)?;
                Output::DataKey { plaintext: pair.plaintext, ciphertext: pair.ciphertext }
            }
        })
    }
}

/// What a verification came to. For clients of Vault what cannot be a signature is a mistake, and no forgery.
fn is_valid(
    result: Result<(), Error>,
    speech: Speech,
    form: impl FnOnce() -> Result<(), Error>,
) -> Result<bool, Error> {
    match (result, speech) {
        (Ok(()), _) => Ok(true),
        (Err(Error::SignatureRefused), Speech::Own) => Ok(false),
        (Err(Error::SignatureRefused), Speech::Vault) => form().map(|()| false),
        (Err(error), _) => Err(error),
    }
}

/// The hash function of HMACs where none is named.
const HMAC: HashFunction = HashFunction::Sha2_256;

impl Item {
    /// One item without options, of what clients say in the path.
    #[must_use]
    pub fn with_hash(mut self, hash: Option<String>) -> Self {
        self.hash_algorithm = hash.or(self.hash_algorithm);
        self
    }

    fn hash(&self, whole: &Self) -> Answer<Option<HashFunction>> {
        let name = self.hash_algorithm.as_ref().or(whole.hash_algorithm.as_ref()).filter(|name| !name.is_empty());
        Ok(name.map(|name| name.parse()).transpose().map_err(Error::Keys)?)
    }

    fn input<'a>(&self, whole: &Self, input: &'a [u8]) -> Input<'a> {
        let prehashed = self.prehashed.or(whole.prehashed).unwrap_or(false);
        if prehashed { Input::Digest(input) } else { Input::Message(input) }
    }

    fn sign_options(&self, whole: &Self, ring: &Ring, speech: Speech) -> Answer<SignOptions> {
        let named = |own: &Option<String>, whole: &Option<String>| {
            own.as_ref().or(whole.as_ref()).filter(|name| !name.is_empty()).cloned()
        };
        let marshaling = named(&self.marshaling_algorithm, &whole.marshaling_algorithm);
        let marshaling = marshaling.map(|name| name.parse::<Marshaling>()).transpose()?.unwrap_or_default();
        let padding = named(&self.signature_algorithm, &whole.signature_algorithm);
        let padding = padding.map(|name| name.parse::<RsaPadding>()).transpose()?;
        let salt = match self.salt_length.as_ref().or(whole.salt_length.as_ref()) {
            Some(Salt::Bytes(bytes)) => SaltLength::Bytes(*bytes),
            Some(Salt::Name(name)) => name.parse()?,
            // Vault makes and takes any unless told otherwise.
            None if speech == Speech::Vault => SaltLength::Any,
            None => SaltLength::Digest,
        };
        let hash = self.hash(whole)?;
        let options = match (hash, padding, speech) {
            (None, None, Speech::Own) => SignOptions::new(None, marshaling),
            _ => {
                let hash = hash.unwrap_or(HashFunction::Sha2_256);
                SignOptions::with_hash(ring.cipher(), hash, padding.unwrap_or_default(), marshaling)?
            }
        };
        Ok(options.with_salt(salt))
    }
}

fn text<'a>(field: &str, text: Option<&'a Text>) -> Answer<&'a str> {
    let text = text.ok_or_else(|| ApiError::invalid(format!("`{field}` is needed")))?;
    Ok(text.0.as_str())
}

fn bytes(field: &str, text: Option<&Text>, speech: Speech) -> Answer<Zeroizing<Vec<u8>>> {
    text.map_or_else(|| Ok(Zeroizing::default()), |text| speech.base64(field, &text.0))
}

fn needed(field: &str, value: Option<&Text>, speech: Speech) -> Answer<Zeroizing<Vec<u8>>> {
    speech.base64(field, text(field, value)?)
}
