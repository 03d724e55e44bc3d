//! Reading a key set.

use std::fmt;

use keyward_keys::{Algorithm, Jwk, PublicKey};
use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::error::{JwksError, SkipReason, Skipped};
use super::key::VerificationKey;
use super::{JwkSet, KeyUse};
use crate::json::{Fault, Keep, Skip, Text, Unsigned, all_different, duplicate, excerpt};
use crate::jwt::JWT_SVID_ALGORITHMS;

/// The longest key set that is read: 1 MiB.
pub const MAX_JWKS_BYTES: usize = 1024 * 1024;

/// The largest number of entries in a key set that is read.
pub const MAX_KEYS: usize = 1024;

/// A key set whose entries were not judged yet.
#[derive(Default)]
pub(crate) struct Document {
    pub(crate) entries: Vec<Entry>,
    /// `spiffe_sequence` and `spiffe_refresh_hint`, which are for bundles: as read, `None` inside where it is no
    /// integer from 0 to 2⁶⁴ − 1.
    #[cfg_attr(not(feature = "x509"), allow(dead_code))]
    pub(crate) sequence: Option<Option<u64>>,
    #[cfg_attr(not(feature = "x509"), allow(dead_code))]
    pub(crate) refresh_hint: Option<Option<u64>>,
}

/// An entry of a key set.
pub(crate) struct Entry {
    value: Value,
    fault: Option<Fault>,
}

pub(super) fn read(json: &[u8], key_use: KeyUse) -> Result<JwkSet, JwksError> {
    let mut set = JwkSet { key_use, keys: Vec::new(), skipped: Vec::new() };
    set.skipped = Document::read(json)?.judge(|entry| {
        set.keys.push(entry.verification_key(key_use)?);
        Ok(())
    });
    Ok(set)
}

impl Document {
    /// Reads the document without a look into its entries.
    pub(crate) fn read(json: &[u8]) -> Result<Self, JwksError> {
        if json.len() > MAX_JWKS_BYTES {
            return Err(JwksError::TooLong { length: json.len(), limit: MAX_JWKS_BYTES });
        }
        let mut fault = None;
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        DocumentSeed(&mut fault)
            .deserialize(&mut deserializer)
            .and_then(|document| deserializer.end().map(|()| document))
            .map_err(|error| explain(&error, fault))
    }

    /// Hands each entry to the judge and answers those that it did not take.
    pub(crate) fn judge(self, mut judge: impl FnMut(Entry) -> Result<(), SkipReason>) -> Vec<Skipped> {
        let mut skipped = Vec::new();
        for (index, mut entry) in self.entries.into_iter().enumerate() {
            let kid = entry.value.get("kid").and_then(Value::as_str).map(excerpt);
            let verdict = match entry.fault.take() {
                Some(Fault::Duplicate(name)) => Err(SkipReason::Duplicate { name }),
                _ => judge(entry),
            };
            skipped.extend(verdict.err().map(|reason| Skipped { index, kid, reason }));
        }
        skipped
    }
}

impl Entry {
    /// A key that stands by itself, as in a claim.
    #[cfg(feature = "wit")]
    pub(crate) fn new(value: Value) -> Self {
        Self { value, fault: None }
    }

    /// Its `use`.
    pub(crate) fn purpose(&self) -> Result<Option<&str>, SkipReason> {
        match self.value.get("use") {
            Some(Value::String(found)) => Ok(Some(found)),
            None if self.value.is_object() => Ok(None),
            _ => Err(SkipReason::Malformed),
        }
    }

    /// The entry as a JWK of a known type. Its `use` is not looked at.
    pub(crate) fn jwk(self) -> Result<Jwk, SkipReason> {
        match self.value.get("kty").and_then(Value::as_str) {
            Some("RSA" | "EC" | "OKP") => {}
            Some(kty) => return Err(SkipReason::UnknownKeyType { kty: excerpt(kty) }),
            None => return Err(SkipReason::Malformed),
        }
        // What serde says here names members at most, yet as free text; the key's own errors are typed.
        Jwk::deserialize(self.value).map_err(|_| SkipReason::Malformed)
    }

    /// The entry as a key that verifies tokens. The order is from what most likely is simply not meant for us to what
    /// is wrong.
    pub(crate) fn verification_key(self, wanted: KeyUse) -> Result<VerificationKey, SkipReason> {
        match self.purpose()? {
            None if wanted == KeyUse::Signature => {}
            Some(found) if found == wanted.as_str() => {}
            found => return Err(SkipReason::Use { found: found.map(excerpt), wanted }),
        }
        let jwk = self.jwk()?;
        if wanted.needs_key_id() && jwk.kid().is_none_or(str::is_empty) {
            return Err(SkipReason::NoKeyId);
        }
        if jwk.key_ops().is_some_and(|operations| !operations.iter().any(|operation| operation == "verify")) {
            return Err(SkipReason::KeyOps);
        }
        // RFC 7518 §3.3 demands 2048 bits of RSA; the key itself refuses less.
        let key = PublicKey::from_jwk(&jwk).map_err(SkipReason::Key)?;
        if !JWT_SVID_ALGORITHMS.iter().any(|algorithm| algorithm.fits(&key)) {
            return Err(SkipReason::KeyType { kty: key.kty() });
        }
        let algorithm = jwk.alg().map(|found| bound_algorithm(found, &key)).transpose()?;
        Ok(VerificationKey::from_parts(key, jwk.kid().map(str::to_owned), algorithm))
    }
}

/// What serde's error means, with what was noted beside it.
pub(crate) fn explain(error: &serde_json::Error, fault: Option<Fault>) -> JwksError {
    match fault {
        Some(Fault::Duplicate(name)) if error.is_data() => JwksError::Duplicate { name },
        Some(Fault::TooMany(_, limit)) if error.is_data() => JwksError::TooMany { limit },
        Some(Fault::Type(_)) if error.is_data() => JwksError::NoKeys,
        _ => JwksError::Json { line: error.line(), column: error.column() },
    }
}

fn bound_algorithm(found: &str, key: &PublicKey) -> Result<Algorithm, SkipReason> {
    JWT_SVID_ALGORITHMS
        .into_iter()
        .find(|algorithm| algorithm.as_str() == found && algorithm.fits(key))
        .ok_or_else(|| SkipReason::Algorithm { found: excerpt(found) })
}

/// The outer object.
pub(crate) struct DocumentSeed<'f>(pub(crate) &'f mut Option<Fault>);

impl<'de> DeserializeSeed<'de> for DocumentSeed<'_> {
    type Value = Document;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Document, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for DocumentSeed<'_> {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key set")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
        let mut document = Document::default();
        let mut entries = None;
        // RFC 7517 §5: other members are ignored.
        let mut others = Vec::new();
        while let Some(name) = map.next_key::<Text<'de>>()? {
            match &*name.0 {
                "keys" => {
                    if entries.is_some() {
                        return Err(duplicate("keys", self.0));
                    }
                    *self.0 = Some(Fault::Type("keys"));
                    entries = Some(map.next_value_seed(Entries(&mut *self.0))?);
                    *self.0 = None;
                    continue;
                }
                "spiffe_sequence" => document.sequence = Some(map.next_value_seed(Unsigned(&mut *self.0))?),
                "spiffe_refresh_hint" => document.refresh_hint = Some(map.next_value_seed(Unsigned(&mut *self.0))?),
                _ => map.next_value_seed(Skip(&mut *self.0))?,
            }
            others.push(name);
        }
        all_different(&others, self.0)?;
        document.entries = entries.ok_or_else(|| {
            *self.0 = Some(Fault::Type("keys"));
            A::Error::custom("no list of keys")
        })?;
        Ok(document)
    }
}

struct Entries<'f>(&'f mut Option<Fault>);

impl<'de> DeserializeSeed<'de> for Entries<'_> {
    type Value = Vec<Entry>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Entry>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = Vec<Entry>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of keys")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Entry>, A::Error> {
        let mut entries = Vec::new();
        let mut fault = None;
        // A JWK holds texts and lists of texts.
        while let Some(value) = seq.next_element_seed(Keep { fault: &mut fault, depth: 1 })? {
            if entries.len() == MAX_KEYS {
                *self.0 = Some(Fault::TooMany("keys", MAX_KEYS));
                return Err(A::Error::custom("too many keys"));
            }
            entries.push(Entry { value, fault: fault.take() });
        }
        Ok(entries)
    }
}
