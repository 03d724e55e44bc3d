//! Where the key-encryption key comes from. Every secret at rest is sealed under it (`keyward_transit::seal`), so whoever has
//! it and the store has everything, and whoever lost it has nothing.
//!
//! The key file holds one line per key, `version:64 hex digits`; the last line's key seals, the others only open.

use std::{path::Path, path::PathBuf};

use keyward_transit::{Kek, KekSet};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::{
    config::SealChoice,
    data_dir::{self, DataDirError},
};

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] DataDirError),
    /// The file is gone, but there is something that it sealed.
    #[error(
        "the key file `{path}` is missing, and without it the store cannot be opened: bring it back, or restore a backup"
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The file holds something else.
    #[error("`{path}` is not a key file: {problem} in line {line}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The key cannot be used.
    #[error("the key file's key cannot be used: {0}")]
    Key(#[from] keyward_transit::RecordError),
}

/// The key-encryption keys, and where they come from.
#[derive(Debug)]
pub struct Seal {
    keks: KekSet,
    created: bool,
}

impl Seal {
    /// Takes the keys from where the setting says. Where nothing is sealed yet, a missing key file is made, mode 0600, synced
    /// with its directory before this returns: a key that seals anything is never lost to a power cut.
    ///
    /// # Errors
    /// [`SealError::Missing`] when there is no key but a store that needs it, given by `sealed_before`.
    pub fn open(choice: &SealChoice, sealed_before: bool, rng: &mut impl CryptoRng) -> Result<Self, SealError> {
        let SealChoice::KeyFile(path) = choice;
        if let Some(bytes) = data_dir::read_private(path)? {
            return Ok(Self { keks: parse(path, &bytes)?, created: false });
        }
        if sealed_before {
            return Err(SealError::Missing { path: path.clone() });
        }
        let kek = Kek::generate(1, rng)?;
        data_dir::create_private(path, &line(&kek))?;
        Ok(Self { keks: KekSet::new(kek), created: true })
    }

    /// Whether the key was made just now: the operator should be told to keep a copy.
    #[must_use]
    pub fn created(&self) -> bool {
        self.created
    }

    /// The keys.
    #[must_use]
    pub fn keks(&self) -> &KekSet {
        &self.keks
    }

    /// The keys, to be kept.
    #[must_use]
    pub fn into_keks(self) -> KekSet {
        self.keks
    }
}

fn line(kek: &Kek) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::with_capacity(80));
    text.extend_from_slice(kek.version().to_string().as_bytes());
    text.push(b':');
    for byte in kek.as_bytes() {
        for digit in [byte >> 4, byte & 15] {
            text.push(if digit < 10 { b'0' + digit } else { b'a' - 10 + digit });
        }
    }
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
        let colon = line.iter().position(|byte| *byte == b':').ok_or_else(|| refuse("no `version:key`"))?;
        let (version, digits) = line.split_at(colon);
        let version = std::str::from_utf8(version).ok().and_then(|version| version.parse().ok());
        let version = version.ok_or_else(|| refuse("the version is not a number"))?;
        let key = hex(digits.get(1..).unwrap_or_default()).ok_or_else(|| refuse("the key is not 64 hex digits"))?;
        if keks.iter().any(|kek| kek.version() == version) {
            return Err(refuse("a second key of the same version"));
        }
        keks.push(Kek::from_bytes(version, &key)?);
    }
    let current = keks.pop().ok_or(SealError::Malformed { path: path.to_owned(), line: 1, problem: "no key" })?;
    let mut set = KekSet::new(current);
    keks.into_iter().for_each(|former| set.add_former(former));
    Ok(set)
}

fn hex(digits: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let mut key = Zeroizing::new([0; 32]);
    if pairs.len() != key.len() {
        return None;
    }
    for (byte, [high, low]) in key.iter_mut().zip(pairs) {
        *byte = value(*high)? << 4 | value(*low)?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    fn open(path: &Path, sealed_before: bool) -> Result<Seal, SealError> {
        Seal::open(&SealChoice::KeyFile(path.to_owned()), sealed_before, &mut StdRng::seed_from_u64(1))
    }

    #[test]
    fn the_key_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kek.key");
        let first = open(&path, false).unwrap();
        assert!(first.created());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        let again = open(&path, true).unwrap();
        assert!(!again.created());
        assert_eq!(first.keks().current().as_bytes(), again.keks().current().as_bytes());
        let secret = format!("{:?}{:?}", first, again);
        assert!(!secret.contains(std::str::from_utf8(&fs::read(&path).unwrap()[2..66]).unwrap()), "{secret}");
    }

    #[test]
    fn a_lost_key_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kek.key");
        let error = open(&path, true).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "the key file `{}` is missing, and without it the store cannot be opened: bring it back, or restore a backup",
                path.display()
            )
        );
        assert!(!path.exists());
    }

    #[test]
    fn the_last_line_seals_and_the_others_open() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kek.key");
        let text = format!("1:{}\n\n2:{}\n", "0a".repeat(32), "fF".repeat(32));
        data_dir::create_private(&path, text.as_bytes()).unwrap();
        let seal = open(&path, true).unwrap();
        assert_eq!((seal.keks().current().version(), seal.keks().current().as_bytes()), (2, [255; 32].as_slice()));
        let old = KekSet::new(Kek::from_bytes(1, &[10; 32]).unwrap());
        let record = keyward_transit::seal(old.current(), "a", b"secret", &mut StdRng::seed_from_u64(1)).unwrap();
        assert_eq!(keyward_transit::open(seal.keks(), "a", &record).unwrap().as_slice(), b"secret");
    }

    #[test]
    fn what_is_no_key_file_is_refused_without_showing_it() {
        let dir = tempfile::tempdir().unwrap();
        for (n, (text, problem)) in [
            ("", "no key in line 1"),
            ("secret", "no `version:key` in line 1"),
            ("x:00", "the version is not a number in line 1"),
            ("1:00", "the key is not 64 hex digits in line 1"),
            (&format!("1:{}", "zz".repeat(32)), "the key is not 64 hex digits in line 1"),
            (&format!("1:{0}\n1:{0}", "00".repeat(32)), "a second key of the same version in line 2"),
        ]
        .into_iter()
        .enumerate()
        {
            let path = dir.path().join(n.to_string());
            data_dir::create_private(&path, text.as_bytes()).unwrap();
            assert_eq!(
                open(&path, false).unwrap_err().to_string(),
                format!("`{}` is not a key file: {problem}", path.display())
            );
        }
    }
}
