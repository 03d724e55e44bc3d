//! The head of a backup: who may open it.

use std::{io::BufRead, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use keyward_keys::AeadKey;
use keyward_transit::{Argon2id, Passphrase, SealKey};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::BackupError;
use crate::random;

const MAGIC: &str = "keyward-backup ";
const FORMAT: u32 = 1;
/// The path that the content key is sealed at: a record of the store cannot be passed off as one.
const PATH: &str = "backup/content-key";
/// A head is a few hundred bytes.
const MAX_HEAD: u64 = 4096;
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Fields {
    #[serde(with = "time::serde::rfc3339")]
    created: OffsetDateTime,
    /// Present when sealed under a passphrase.
    #[serde(skip_serializing_if = "Option::is_none")]
    argon2id: Option<Argon2id>,
    /// The sealed key of the stream.
    content_key: String,
}

/// The head, with the text that stands for it in the stream's associated data.
pub(super) struct Head {
    fields: Fields,
    text: String,
}

impl Head {
    /// A head with a fresh content key, sealed under a key, or under a passphrase as the parameters say.
    pub(super) fn new(
        key: &SealKey,
        argon2id: Option<Argon2id>,
        now: OffsetDateTime,
    ) -> Result<(Self, AeadKey), BackupError> {
        let mut rng = random::rng();
        let content_key = AeadKey::generate(&mut rng)?;
        let sealed = key.seal(PATH, content_key.as_bytes(), &mut rng);
        let sealed = sealed.map_err(|_| BackupError::DoesNotOpen { with: "key" })?;
        let fields = Fields { created: now, argon2id, content_key: STANDARD.encode(sealed) };
        let json = serde_json::to_string(&fields)
            .map_err(|_| BackupError::Damaged { problem: "its time is outside the calendar" })?;
        Ok((Self { fields, text: format!("{MAGIC}{FORMAT}\n{json}\n") }, content_key))
    }

    /// Reads a head and answers it with what follows.
    pub(super) fn read<R: BufRead>(mut input: R, path: &Path) -> Result<(Self, R), BackupError> {
        let not_a_backup = || BackupError::NotABackup { path: path.to_owned() };
        let mut text = String::new();
        let mut line = |text: &mut String| {
            let read = std::io::Read::take(&mut input, MAX_HEAD).read_line(text);
            read.ok().filter(|_| text.ends_with('\n')).ok_or_else(not_a_backup)
        };
        line(&mut text)?;
        let format = text.strip_prefix(MAGIC).and_then(|rest| rest.trim_end().parse::<u32>().ok());
        match format.ok_or_else(not_a_backup)? {
            FORMAT => {}
            found => return Err(BackupError::NewerFormat { found, known: FORMAT }),
        }
        let first = text.len();
        line(&mut text)?;
        let fields = serde_json::from_str(text.get(first..).unwrap_or_default()).map_err(|_| not_a_backup())?;
        Ok((Self { fields, text }, input))
    }

    /// The text of the head.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn created(&self) -> OffsetDateTime {
        self.fields.created
    }

    pub(super) fn needs_passphrase(&self) -> bool {
        self.fields.argon2id.is_some()
    }

    pub(super) fn open_with_key(&self, key: &SealKey) -> Result<AeadKey, BackupError> {
        self.open(key, "key")
    }

    pub(super) fn open_with_passphrase(&self, passphrase: &Passphrase) -> Result<AeadKey, BackupError> {
        let derived = self.fields.argon2id.as_ref().and_then(|parameters| passphrase.derive(parameters).ok());
        let key = derived.ok_or(BackupError::Damaged { problem: "impossible parameters of Argon2id" })?;
        self.open(&key, "passphrase")
    }

    fn open(&self, key: &SealKey, with: &'static str) -> Result<AeadKey, BackupError> {
        let sealed = STANDARD.decode(&self.fields.content_key);
        let sealed = sealed.map_err(|_| BackupError::Damaged { problem: "its content key is not base64" })?;
        let key = key.open(PATH, &sealed).map_err(|_| BackupError::DoesNotOpen { with })?;
        let key: &[u8; 32] = key.as_slice().try_into().map_err(|_| BackupError::DoesNotOpen { with })?;
        Ok(AeadKey::from_bytes(key)?)
    }
}
