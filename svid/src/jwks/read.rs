//! Reading a key set.

use std::fmt;

use keyward_keys::{Algorithm, Jwk, PublicKey};
use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::error::{JwksError, SkipReason, Skipped};
use super::key::VerificationKey;
use super::{JwkSet, KeyUse};
use crate::json::{Fault, Keep, Skip, Text, all_different, duplicate, excerpt};
use crate::jwt::JWT_SVID_ALGORITHMS;

/// The longest key set that is read: 1 MiB.
pub const MAX_JWKS_BYTES: usize = 1024 * 1024;

/// The largest number of entries in a key set that is read.
pub const MAX_KEYS: usize = 1024;

pub(super) fn read(json: &[u8], key_use: KeyUse) -> Result<JwkSet, JwksError> {
    if json.len() > MAX_JWKS_BYTES {
        return Err(JwksError::TooLong { length: json.len(), limit: MAX_JWKS_BYTES });
    }
    let mut fault = None;
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let entries = Document(&mut fault)
        .deserialize(&mut deserializer)
        .and_then(|entries| deserializer.end().map(|()| entries))
        .map_err(|error| match fault {
            Some(Fault::Duplicate(name)) if error.is_data() => JwksError::Duplicate { name },
            Some(Fault::TooMany(_, limit)) if error.is_data() => JwksError::TooMany { limit },
            Some(Fault::Type(_)) if error.is_data() => JwksError::NoKeys,
            _ => JwksError::Json { line: error.line(), column: error.column() },
        })?
        .ok_or(JwksError::NoKeys)?;

    let mut keys = Vec::with_capacity(entries.len());
    let mut skipped = Vec::new();
    for (index, Entry { value, fault }) in entries.into_iter().enumerate() {
        let kid = value.get("kid").and_then(Value::as_str).map(excerpt);
        match entry(value, fault, key_use) {
            Ok(key) => keys.push(key),
            Err(reason) => skipped.push(Skipped { index, kid, reason }),
        }
    }
    Ok(JwkSet { key_use, keys, skipped })
}

/// Judges one entry. The order is from what most likely is simply not meant for us to what is wrong.
fn entry(value: Value, fault: Option<Fault>, key_use: KeyUse) -> Result<VerificationKey, SkipReason> {
    if let Some(Fault::Duplicate(name)) = fault {
        return Err(SkipReason::Duplicate { name });
    }
    match (value.get("use"), key_use) {
        (None, KeyUse::Signature) => {}
        (Some(Value::String(found)), _) if found == key_use.as_str() => {}
        (None, wanted) => return Err(SkipReason::Use { found: None, wanted }),
        (Some(Value::String(found)), wanted) => return Err(SkipReason::Use { found: Some(excerpt(found)), wanted }),
        (Some(_), _) => return Err(SkipReason::Malformed),
    }
    match value.get("kty").and_then(Value::as_str) {
        Some("RSA" | "EC" | "OKP") => {}
        Some(kty) => return Err(SkipReason::UnknownKeyType { kty: excerpt(kty) }),
        None => return Err(SkipReason::Malformed),
    }
    // What serde says here names members at most, yet as free text; the key's own errors are typed.
    let jwk = Jwk::deserialize(value).map_err(|_| SkipReason::Malformed)?;
    if key_use == KeyUse::JwtSvid && jwk.kid().is_none_or(str::is_empty) {
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

fn bound_algorithm(found: &str, key: &PublicKey) -> Result<Algorithm, SkipReason> {
    JWT_SVID_ALGORITHMS
        .into_iter()
        .find(|algorithm| algorithm.as_str() == found && algorithm.fits(key))
        .ok_or_else(|| SkipReason::Algorithm { found: excerpt(found) })
}

struct Entry {
    value: Value,
    fault: Option<Fault>,
}

/// The outer object; answers the entries of `keys`, or nothing where that member is absent.
struct Document<'f>(&'f mut Option<Fault>);

impl<'de> DeserializeSeed<'de> for Document<'_> {
    type Value = Option<Vec<Entry>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = Option<Vec<Entry>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key set")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = None;
        // RFC 7517 §5: other members are ignored; a SPIFFE bundle has `spiffe_sequence` and `spiffe_refresh_hint`.
        let mut others = Vec::new();
        while let Some(name) = map.next_key::<Text<'de>>()? {
            if name.0 == "keys" {
                if entries.is_some() {
                    return Err(duplicate("keys", self.0));
                }
                *self.0 = Some(Fault::Type("keys"));
                entries = Some(map.next_value_seed(Entries(&mut *self.0))?);
                *self.0 = None;
            } else {
                map.next_value_seed(Skip(&mut *self.0))?;
                others.push(name);
            }
        }
        all_different(&others, self.0)?;
        Ok(entries)
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
        while let Some(value) = seq.next_element_seed(Keep(&mut fault))? {
            if entries.len() == MAX_KEYS {
                *self.0 = Some(Fault::TooMany("keys", MAX_KEYS));
                return Err(A::Error::custom("too many keys"));
            }
            entries.push(Entry { value, fault: fault.take() });
        }
        Ok(entries)
    }
}
