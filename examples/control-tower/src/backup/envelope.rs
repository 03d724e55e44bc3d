//! The head of a backup: who may open it.

use std::{io::BufRead, path::Path};

use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use keyward_keys::AeadKey;
use keyward_transit::{Kek, KekSet};
use rand_core::Rng as _;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::BackupError;
use crate::{
    data_dir::{self, DataDirError},
    random,
};

const MAGIC: &str = "keyward-backup ";
const FORMAT: u32 = 1;
/// The path that the content key is sealed at: a record of the store cannot be passed off as one.
const PATH: &str = "backup/content-key";
/// A head is a few hundred bytes.
const MAX_HEAD: u64 = 4096;
/// Shorter passphrases are refused.
const LEAST: usize = 12;
/// Argon2id: twice what RFC 9106, section 4, recommends where memory is short. A backup is opened rarely.
const MEMORY_KIB: u32 = 128 << 10;
const PASSES: u32 = 3;
/// What a head may ask for when it is opened.
const MOST_MEMORY_KIB: u32 = 1 << 20;
const MOST_PASSES: u32 = 16;

/// What a backup is sealed under, chosen by a person.
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

impl Passphrase {
    /// A passphrase of at least 12 characters.
    ///
    /// # Errors
    /// [`BackupError::WeakPassphrase`].
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> Result<Self, BackupError> {
        let length = String::from_utf8_lossy(&bytes).chars().count();
        if length < LEAST { Err(BackupError::WeakPassphrase { length, least: LEAST }) } else { Ok(Self(bytes)) }
    }

    /// The first line of a private file, or of standard input where the path is `-`.
    ///
    /// # Errors
    /// The file cannot be read, is not private, or its line is too short.
    pub fn read(path: &Path) -> Result<Self, BackupError> {
        let io = |source| DataDirError::Io { path: path.to_owned(), source };
        let mut bytes = if path == Path::new("-") {
            let mut line = Zeroizing::new(Vec::with_capacity(1024));
            std::io::stdin().lock().read_until(b'\n', &mut line).map_err(io)?;
            line
        } else {
            data_dir::read_private(path)?.ok_or_else(|| io(std::io::ErrorKind::NotFound.into()))?
        };
        if let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            bytes.truncate(end);
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        Self::new(bytes)
    }

    fn derive(&self, parameters: &Derivation) -> Option<Kek> {
        let Derivation { salt, memory_kib, passes } = parameters;
        if *memory_kib > MOST_MEMORY_KIB || *passes > MOST_PASSES {
            return None;
        }
        let params = Params::new(*memory_kib, *passes, 1, Some(32)).ok()?;
        let mut key = Zeroizing::new([0; 32]);
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon2.hash_password_into(&self.0, &STANDARD.decode(salt).ok()?, &mut *key).ok()?;
        Kek::from_bytes(0, &key).ok()
    }
}

/// How the key follows from the passphrase.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Derivation {
    salt: String,
    memory_kib: u32,
    passes: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Fields {
    #[serde(with = "time::serde::rfc3339")]
    created: OffsetDateTime,
    /// Present when sealed under a passphrase.
    #[serde(skip_serializing_if = "Option::is_none")]
    argon2id: Option<Derivation>,
    /// The sealed key of the stream.
    content_key: String,
}

/// The head, with the text that stands for it in the stream's associated data.
pub(super) struct Head {
    fields: Fields,
    text: String,
}

impl Head {
    /// A head with a fresh content key, sealed under the passphrase or else the key.
    pub(super) fn new(
        kek: &Kek,
        passphrase: Option<&Passphrase>,
        now: OffsetDateTime,
    ) -> Result<(Self, AeadKey), BackupError> {
        let mut rng = random::rng();
        let content_key = AeadKey::generate(&mut rng)?;
        let mut salt = [0; 16];
        rng.fill_bytes(&mut salt);
        let argon2id =
            passphrase.map(|_| Derivation { salt: STANDARD.encode(salt), memory_kib: MEMORY_KIB, passes: PASSES });
        let derived = match (passphrase, &argon2id) {
            (Some(passphrase), Some(parameters)) => {
                Some(passphrase.derive(parameters).ok_or(BackupError::DoesNotOpen { with: "passphrase" })?)
            }
            _ => None,
        };
        let sealed = keyward_transit::seal(derived.as_ref().unwrap_or(kek), PATH, content_key.as_bytes(), &mut rng);
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

    pub(super) fn open_with_keys(&self, keks: &KekSet) -> Result<AeadKey, BackupError> {
        self.open(keks, "key")
    }

    pub(super) fn open_with_passphrase(&self, passphrase: &Passphrase) -> Result<AeadKey, BackupError> {
        let derived = self.fields.argon2id.as_ref().and_then(|parameters| passphrase.derive(parameters));
        let kek = derived.ok_or(BackupError::Damaged { problem: "impossible parameters of Argon2id" })?;
        self.open(&KekSet::new(kek), "passphrase")
    }

    fn open(&self, keks: &KekSet, with: &'static str) -> Result<AeadKey, BackupError> {
        let sealed = STANDARD.decode(&self.fields.content_key);
        let sealed = sealed.map_err(|_| BackupError::Damaged { problem: "its content key is not base64" })?;
        let key = keyward_transit::open(keks, PATH, &sealed).map_err(|_| BackupError::DoesNotOpen { with })?;
        let key: &[u8; 32] = key.as_slice().try_into().map_err(|_| BackupError::DoesNotOpen { with })?;
        Ok(AeadKey::from_bytes(key)?)
    }
}
