//! The stored form of a ring: JSON, always sealed, because it holds the keys.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyward_keys::{HmacKey, PublicKey};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::material::{Key, Public};
use super::{FirstActivation, LowestVersions, Material, Promises, Ring, Version};
use crate::seal::{check_format, to_json};
use crate::{Cipher, Error, Kek, KekSet, RecordError, RingConfig, Transitions, open, seal};

/// The format written. Format 1 had no lowest versions and no keys for HMACs; both are read as they come to be.
const FORMAT: u32 = 2;
const EXPECTED: &str = "ring";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Record<'a> {
    format: u32,
    config: RingConfig,
    first_active_at_once: bool,
    #[serde(with = "time::serde::rfc3339::option", default)]
    signs_jwts_since: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339")]
    highest: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option", default)]
    promised_activates: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option", default)]
    promised_deprecated: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option", default)]
    promised_invalid: Option<OffsetDateTime>,
    #[serde(default = "first")]
    min_decryption_version: u32,
    #[serde(default)]
    min_encryption_version: Option<u32>,
    #[serde(borrow)]
    versions: Vec<VersionRecord<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct VersionRecord<'a> {
    #[serde(with = "time::serde::rfc3339")]
    created: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    activates: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option", default)]
    superseded: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option", default)]
    deprecated: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option", default)]
    invalid: Option<OffsetDateTime>,
    /// SubjectPublicKeyInfo, base64.
    #[serde(default)]
    public: Option<String>,
    /// PKCS#8 document or symmetric key, base64; absent when destroyed, and of a public key alone. Borrowed, so that no copy of it
    /// stays behind.
    #[serde(borrow, default)]
    secret: Option<&'a str>,
    /// The key for HMACs, base64, where it is not `secret`.
    #[serde(borrow, default)]
    hmac: Option<&'a str>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    imported: bool,
    /// Whether the private half is elsewhere.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    public_alone: bool,
}

fn first() -> u32 {
    1
}

impl Ring {
    /// The ring as a sealed record: what the caller stores at `path`, guarded by a revision of its own.
    ///
    /// # Errors
    /// [`RecordError::Keys`] when a key cannot be encoded, [`RecordError::Malformed`] when a time lies before the year 0.
    pub fn to_sealed(&self, kek: &Kek, path: &str, rng: &mut impl CryptoRng) -> Result<Vec<u8>, RecordError> {
        seal(kek, path, &self.to_record()?, rng)
    }

    /// The ring in the record at `path`. A version that is not in it does not exist.
    ///
    /// # Errors
    /// [`RecordError::Refused`] when the record does not open, [`RecordError::UnknownFormat`] when a newer release
    /// wrote it, [`RecordError::Malformed`] and [`RecordError::Keys`] when it holds no ring.
    pub fn from_sealed(keks: &KekSet, path: &str, record: &[u8]) -> Result<Self, RecordError> {
        Self::from_record(&open(keks, path, record)?)
    }

    pub(super) fn to_record(&self) -> Result<Zeroizing<Vec<u8>>, RecordError> {
        let secrets = self.versions.iter().map(Secrets::of).collect::<Result<Vec<_>, _>>()?;
        let versions = self.versions.iter().zip(&secrets).map(|(version, secret)| VersionRecord {
            created: version.times.created,
            activates: version.times.activates,
            superseded: version.times.superseded,
            deprecated: version.times.deprecated,
            invalid: version.times.invalid,
            public: version.public.as_ref().map(|public| STANDARD.encode(public.key.to_spki_der())),
            secret: secret.key.as_ref().map(|secret| secret.as_str()),
            hmac: secret.hmac.as_ref().map(|secret| secret.as_str()),
            imported: version.imported,
            public_alone: version.is_public_alone(),
        });
        let record = Record {
            format: FORMAT,
            config: self.config.clone(),
            first_active_at_once: self.first == FirstActivation::AtOnce,
            signs_jwts_since: self.signs_jwts_since,
            highest: self.highest,
            promised_activates: self.promises.activates,
            promised_deprecated: self.promises.deprecated,
            promised_invalid: self.promises.invalid,
            min_decryption_version: self.lowest.decryption,
            min_encryption_version: self.lowest.encryption,
            versions: versions.collect(),
        };
        to_json(&record, EXPECTED)
    }

    pub(super) fn from_record(json: &[u8]) -> Result<Self, RecordError> {
        check_format(json, FORMAT, EXPECTED)?;
        let record: Record<'_> = serde_json::from_slice(json).map_err(|_| malformed("it has other members"))?;
        let cipher = record.config.cipher;
        record.config.check_options().map_err(|_| malformed("its options are refused"))?;
        let schedule = record.config.schedule().map_err(|_| malformed("its schedule is refused"))?;
        let numbered = (1..).zip(&record.versions);
        let versions = numbered.map(|(number, version)| version.decode(number, cipher));
        Ok(Self {
            schedule,
            first: if record.first_active_at_once {
                FirstActivation::AtOnce
            } else {
                FirstActivation::AfterPublication
            },
            signs_jwts_since: record.signs_jwts_since,
            highest: record.highest,
            promises: Promises {
                activates: record.promised_activates,
                deprecated: record.promised_deprecated,
                invalid: record.promised_invalid,
            },
            lowest: LowestVersions {
                decryption: record.min_decryption_version,
                encryption: record.min_encryption_version,
            },
            versions: versions.collect::<Result<_, _>>()?,
            config: record.config,
        })
    }
}

impl VersionRecord<'_> {
    fn decode(&self, number: u32, cipher: Cipher) -> Result<Version, RecordError> {
        let public = self.public.as_deref().map(decode_public).transpose()?;
        let key = match (self.secret, &public) {
            (Some(secret), _) if !self.public_alone => Some(decode_secret(secret, cipher)?),
            (None, Some(public)) if self.public_alone => Some(Material(Key::Public(Arc::new(public.clone())))),
            (None, _) if !self.public_alone => None,
            _ => return Err(malformed("a version has a secret too many or too few")),
        };
        let hmac = key.as_ref().map(|key| self.decode_hmac(key)).transpose()?.flatten();
        if public.is_some() != cipher.signs() {
            return Err(malformed("a public key is missing or too many"));
        }
        if let Some(key) = &key {
            let derived = key.public();
            if !key.fits(cipher) || derived.as_ref().map(|p| &p.kid) != public.as_ref().map(|p| &p.kid) {
                return Err(malformed("a key is not that of its version"));
            }
        }
        let times = Transitions {
            superseded: self.superseded,
            deprecated: self.deprecated,
            invalid: self.invalid,
            ..Transitions::new(self.created, self.activates)
        };
        let key = key.map(|material| material.0);
        Ok(Version { number, times, public, key, hmac, imported: self.imported })
    }

    /// From format 1, the key that installing the version would have made.
    fn decode_hmac(&self, key: &Material) -> Result<Option<Arc<HmacKey>>, RecordError> {
        match self.hmac {
            Some(text) => Ok(Some(Arc::new(HmacKey::from_bytes(&decode(text)?)))),
            None => Ok(key.0.hmac()?),
        }
    }
}

fn malformed(reason: &'static str) -> RecordError {
    RecordError::Malformed { expected: EXPECTED, reason }
}

/// The secrets of one version, base64.
struct Secrets {
    key: Option<Zeroizing<String>>,
    hmac: Option<Zeroizing<String>>,
}

impl Secrets {
    fn of(version: &Version) -> Result<Self, RecordError> {
        let key = version.key.as_ref().map(Key::secret).transpose()?.flatten();
        let hmac = version.hmac.as_ref().filter(|_| !matches!(version.key, Some(Key::Hmac(_))));
        Ok(Self { key: key.as_deref().map(|key| encode(key)), hmac: hmac.map(|key| encode(key.as_bytes())) })
    }
}

/// Base64 in memory that is cleared when dropped.
pub(crate) fn encode(secret: &[u8]) -> Zeroizing<String> {
    // The exact capacity, so that nothing is left behind by growing.
    let mut text = Zeroizing::new(String::with_capacity(secret.len().div_ceil(3).saturating_mul(4)));
    STANDARD.encode_string(secret, &mut text);
    text
}

fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>, RecordError> {
    let mut secret = Zeroizing::new(vec![0; text.len()]);
    let length = STANDARD.decode_slice(text, &mut secret).map_err(|_| malformed("a key is not base64"))?;
    secret.truncate(length);
    Ok(secret)
}

fn decode_secret(text: &str, cipher: Cipher) -> Result<Material, RecordError> {
    Material::from_bytes(cipher, &decode(text)?).map_err(|error| match error {
        Error::Keys(error) => error.into(),
        _ => malformed("a key is not that of its version"),
    })
}

fn decode_public(text: &str) -> Result<Public, RecordError> {
    let spki = STANDARD.decode(text).map_err(|_| malformed("a public key is not base64"))?;
    Public::new(PublicKey::from_spki_der(&spki)?).ok_or_else(|| malformed("a public key is of no cipher"))
}
