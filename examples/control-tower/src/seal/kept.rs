//! Keys that somebody keeps for the tower: a file of one line, `version:64 hex digits`; a credential may also be the bare 32 bytes or
//! 64 hex digits.

use std::{fs, path::Path};

use keyward_transit::{Kek, KekSet, RecordError, SealKey};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{LineProblem, SealError};
use crate::{config::SealChoice, data_dir};

/// A key of 256 bits that somebody keeps for the tower.
pub struct KeptKey {
    pub(super) key: SealKey,
    /// The file, or what would be in it.
    text: Zeroizing<Vec<u8>>,
    /// Before there were keyrings, the lines of a key file were the key-encryption keys themselves.
    pub(super) keks: KekSet,
}

impl std::fmt::Debug for KeptKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeptKey(…)")
    }
}

impl KeptKey {
    /// The key.
    #[must_use]
    pub fn key(&self) -> &SealKey {
        &self.key
    }

    /// What a key file with this key holds.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The key that a setting names, if it names one that is kept; `None` where a key file does not exist.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn read(choice: &SealChoice) -> Result<Option<Self>, SealError> {
        match choice {
            SealChoice::KeyFile(path) => {
                if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
                    return Err(SealError::NotAFile { path: path.clone() });
                }
                data_dir::read_private(path, data_dir::LARGEST)?.map(|text| Self::parse(path, text)).transpose()
            }
            SealChoice::SystemdCredential { name, directory } => {
                let missing = || SealError::NoCredential { name: name.clone() };
                let path = directory.as_ref().ok_or_else(missing)?.join(name);
                let bytes = data_dir::read_credential(&path)?.ok_or_else(missing)?;
                let found = bytes.len();
                let key = Self::from_credential(&path, bytes)?;
                key.map(Some).ok_or_else(|| SealError::NoKey { name: name.clone(), found })
            }
            SealChoice::Passphrase(_) => Ok(None),
        }
    }

    /// Makes a key file, mode 0600, synced with its directory before this returns: a key that seals anything is never lost to a
    /// power cut. An existing one is left alone.
    ///
    /// # Errors
    /// The file exists, or the system refuses.
    pub fn create(path: &Path, rng: &mut impl CryptoRng) -> Result<Self, SealError> {
        let text = line(&Kek::generate(1, rng)?);
        data_dir::create_private(path, &text)?;
        Self::parse(path, text)
    }

    fn parse(path: &Path, text: Zeroizing<Vec<u8>>) -> Result<Self, SealError> {
        let keks = parse(path, &text)?;
        let secret: &[u8; 32] = keks.current().as_bytes().try_into().map_err(|_| RecordError::Refused)?;
        Ok(Self { key: SealKey::from_secret(secret)?, text, keks })
    }

    /// The key of a credential, or of what somebody sends; `None` for what has none of its forms.
    ///
    /// # Errors
    /// [`SealError::Malformed`] for a line of a key file that is none.
    pub(super) fn from_credential(path: &Path, bytes: Zeroizing<Vec<u8>>) -> Result<Option<Self>, SealError> {
        let bare: Option<Zeroizing<[u8; 32]>> = match <[u8; 32]>::try_from(bytes.as_slice()) {
            Ok(bare) => Some(Zeroizing::new(bare)),
            Err(_) => hex(bytes.trim_ascii()),
        };
        match bare {
            Some(bare) => Self::parse(path, line(&Kek::from_bytes(1, &bare)?)).map(Some),
            None if is_line(&bytes) => Self::parse(path, bytes).map(Some),
            None => Ok(None),
        }
    }
}

/// Whether it begins as a key file does: a number and a colon.
fn is_line(bytes: &[u8]) -> bool {
    let number = bytes.trim_ascii_start().split(|byte| *byte == b':').next().unwrap_or_default();
    number.len() < bytes.len() && !number.is_empty() && number.iter().all(u8::is_ascii_digit)
}

fn line(kek: &Kek) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::with_capacity(80));
    text.extend_from_slice(kek.version().to_string().as_bytes());
    text.push(b':');
    text.extend_from_slice(Zeroizing::new(base16ct::lower::encode_string(kek.as_bytes())).as_bytes());
    text.push(b'\n');
    text
}

fn parse(path: &Path, bytes: &[u8]) -> Result<KekSet, SealError> {
    let mut keks: Vec<Kek> = Vec::new();
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let refuse = |problem| SealError::Malformed { path: path.to_owned(), line: number + 1, problem };
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (version, rest) = line.split_at(colon.ok_or_else(|| refuse(LineProblem::NoColon { length: line.len() }))?);
        let version = std::str::from_utf8(version).ok().and_then(|version| version.parse().ok());
        let version = version.ok_or_else(|| refuse(LineProblem::Version))?;
        let digits = rest.get(1..).unwrap_or_default();
        let key = hex(digits).ok_or_else(|| match digits.len() {
            64 => refuse(LineProblem::Digits),
            length => refuse(LineProblem::Length { length }),
        })?;
        if keks.iter().any(|kek| kek.version() == version) {
            return Err(refuse(LineProblem::Twice));
        }
        keks.push(Kek::from_bytes(version, &key)?);
    }
    let empty = || SealError::Malformed { path: path.to_owned(), line: 1, problem: LineProblem::Empty };
    let current = keks.pop().ok_or_else(empty)?;
    let mut set = KekSet::new(current);
    keks.into_iter().for_each(|former| set.add_former(former));
    Ok(set)
}

/// 64 hex digits of whichever case.
fn hex(digits: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    let length = base16ct::mixed::decode(digits, &mut *key).ok()?.len();
    (length == key.len()).then_some(key)
}
