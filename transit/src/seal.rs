//! Secrets at rest: a fresh record key per record, under a versioned key-encryption key.
//!
//! ```text
//! byte    0      format, 1
//! bytes   1..5   version of the key-encryption key, big-endian
//! bytes   5..17  nonce
//! bytes  17..65  record key, encrypted under the key-encryption key with that nonce
//! bytes  65..    content, encrypted under the record key with the nonce zero
//! ```
//! The associated data of both encryptions is the first five bytes and the record's path, so a
//! record can neither be moved nor relabelled. A record key encrypts once, hence the fixed nonce;
//! a key-encryption key seals up to 2³² records with random nonces (NIST SP 800-38D §8.3).

use std::collections::BTreeMap;
use std::{fmt, io};

use keyward_config_values::record;
use keyward_keys::{AeadKey, ErrorKind};
use rand_core::CryptoRng;
use serde::Serialize;
use zeroize::Zeroizing;

/// The format written.
const FORMAT: u8 = 1;
const VERSION_END: usize = 5;
const NONCE_END: usize = 17;
const WRAPPED_END: usize = 65;
/// Authentication tag of AES-GCM.
const TAG: usize = 16;

/// A key-encryption key with its version.
pub struct Kek {
    version: u32,
    key: AeadKey,
}

impl Kek {
    /// The key-encryption key `version` with these bytes.
    ///
    /// # Errors
    /// [`RecordError::Keys`] when the backend refuses the key.
    pub fn from_bytes(version: u32, bytes: &[u8; 32]) -> Result<Self, RecordError> {
        let key = AeadKey::from_bytes(bytes)?;
        Ok(Self { version, key })
    }

    /// A fresh key-encryption key.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes).
    pub fn generate(version: u32, rng: &mut impl CryptoRng) -> Result<Self, RecordError> {
        let key = AeadKey::generate(rng)?;
        Ok(Self { version, key })
    }

    /// Its version, which is part of every record that it seals.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The secret itself, for the one place where it is kept.
    pub fn as_bytes(&self) -> &[u8] {
        self.key.as_bytes()
    }
}

impl fmt::Debug for Kek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kek").field("version", &self.version).finish_non_exhaustive()
    }
}

/// The key-encryption keys with which records may be sealed: the current one, with which new
/// records are, and former ones.
#[derive(Debug)]
pub struct KekSet {
    current: Kek,
    former: BTreeMap<u32, Kek>,
}

impl KekSet {
    /// A set with only a current key.
    pub fn new(current: Kek) -> Self {
        Self { current, former: BTreeMap::new() }
    }

    /// Adds a former key, under which records can still be opened.
    pub fn add_former(&mut self, former: Kek) {
        self.former.insert(former.version, former);
    }

    /// The key with which new records are sealed.
    pub fn current(&self) -> &Kek {
        &self.current
    }

    /// The versions of the keys, ascending; the current one is not always the highest.
    pub fn versions(&self) -> Vec<u32> {
        let mut versions: Vec<u32> = self.iter().map(Kek::version).collect();
        versions.sort_unstable();
        versions
    }

    /// Whether there is a key of this version.
    pub fn has(&self, version: u32) -> bool {
        self.get(version).is_some()
    }

    /// Whether there are keys beside the current one.
    pub fn has_former(&self) -> bool {
        !self.former.is_empty()
    }

    /// Makes a fresh key the current one, under a version that none of the keys had; the one that was becomes a former one.
    ///
    /// # Errors
    /// [`RecordError::Keys`] when the backend refuses the key.
    pub fn rotate(&mut self, rng: &mut impl CryptoRng) -> Result<(), RecordError> {
        let highest = self.iter().map(Kek::version).max().unwrap_or(0);
        let fresh = Kek::generate(highest.saturating_add(1), rng)?;
        let former = std::mem::replace(&mut self.current, fresh);
        self.add_former(former);
        Ok(())
    }

    /// Destroys the former keys. **What is sealed under them is lost**: see [`Rewrap`](crate::Rewrap).
    pub fn drop_former(&mut self) {
        self.former.clear();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Kek> {
        self.former.values().chain([&self.current])
    }

    fn get(&self, version: u32) -> Option<&Kek> {
        if self.current.version == version {
            return Some(&self.current);
        }
        self.former.get(&version)
    }
}

/// The version of the key-encryption key that a record says it is sealed under; `None` where it is no record. Nothing of it is
/// proved by that.
pub fn sealed_under(record: &[u8]) -> Option<u32> {
    let (head, rest) = record.split_first_chunk::<VERSION_END>()?;
    let [format, version @ ..] = head;
    (*format == FORMAT && rest.len() >= WRAPPED_END - VERSION_END + TAG).then(|| u32::from_be_bytes(*version))
}

/// The record at `path` sealed anew, under the current key and with a fresh record key.
///
/// # Errors
/// Those of [`open`] and [`seal`].
pub fn reseal(keks: &KekSet, path: &str, record: &[u8], rng: &mut impl CryptoRng) -> Result<Vec<u8>, RecordError> {
    seal(keks.current(), path, &open(keks, path, record)?, rng)
}

/// Seals `plaintext` as the record at `path`.
///
/// ```
/// use keyward_transit::{Kek, KekSet, open, seal};
///
/// # let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
/// let keks = KekSet::new(Kek::from_bytes(1, &[7; 32])?);
/// let record = seal(keks.current(), "tenants/1/pepper", b"secret", &mut rng)?;
/// assert_eq!(open(&keks, "tenants/1/pepper", &record)?.as_slice(), b"secret");
/// assert!(open(&keks, "tenants/2/pepper", &record).is_err());
/// # Ok::<(), keyward_transit::RecordError>(())
/// ```
///
/// # Errors
/// [`RecordError::Keys`] when the backend fails.
pub fn seal(kek: &Kek, path: &str, plaintext: &[u8], rng: &mut impl CryptoRng) -> Result<Vec<u8>, RecordError> {
    let mut head = [0; VERSION_END];
    let [format, version @ ..] = &mut head;
    *format = FORMAT;
    version.copy_from_slice(&kek.version.to_be_bytes());
    let associated = associated_data(&head, path);
    let mut nonce = [0; NONCE_END - VERSION_END];
    rng.fill_bytes(&mut nonce);
    let record_key = AeadKey::generate(rng)?;

    let wrapped = kek.key.seal(&nonce, &associated, record_key.as_bytes())?;
    let content = record_key.seal(&[0; 12], &associated, plaintext)?;
    let mut record = Vec::with_capacity(WRAPPED_END + content.len());
    record.extend_from_slice(&head);
    record.extend_from_slice(&nonce);
    record.extend_from_slice(&wrapped);
    record.extend_from_slice(&content);
    Ok(record)
}

/// Opens the record at `path`.
///
/// # Errors
/// [`RecordError::UnknownFormat`] when a newer release wrote it, [`RecordError::Refused`] for every
/// other reason: another path, another key-encryption key, a bit that changed, a cut-off end.
pub fn open(keks: &KekSet, path: &str, record: &[u8]) -> Result<Zeroizing<Vec<u8>>, RecordError> {
    if let Some(&found) = record.first()
        && found > FORMAT
    {
        return Err(RecordError::UnknownFormat { found: u64::from(found), known: u32::from(FORMAT) });
    }
    open_known(keks, path, record).ok_or(RecordError::Refused)
}

fn open_known(keks: &KekSet, path: &str, record: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (head, rest) = record.split_first_chunk::<VERSION_END>()?;
    let (nonce, rest) = rest.split_first_chunk::<{ NONCE_END - VERSION_END }>()?;
    let (wrapped, content) = rest.split_first_chunk::<{ WRAPPED_END - NONCE_END }>()?;
    let [format, version @ ..] = head;
    if *format != FORMAT || content.len() < TAG {
        return None;
    }
    let kek = keks.get(u32::from_be_bytes(*version))?;
    let associated = associated_data(head, path);
    let record_key = kek.key.open(nonce, &associated, wrapped).ok()?;
    let record_key: &[u8; 32] = record_key.as_slice().try_into().ok()?;
    let record_key = AeadKey::from_bytes(record_key).ok()?;
    record_key.open(&[0; 12], &associated, content).ok()
}

fn associated_data(head: &[u8; VERSION_END], path: &str) -> Vec<u8> {
    [head.as_slice(), path.as_bytes()].concat()
}

/// `record` as JSON in memory that is cleared when dropped, and that never had to grow.
pub(crate) fn to_json(record: &impl Serialize, expected: &'static str) -> Result<Zeroizing<Vec<u8>>, RecordError> {
    let unwritable = |_| RecordError::Malformed { expected, reason: "it cannot be written" };
    let mut length = Length(0);
    serde_json::to_writer(&mut length, record).map_err(unwritable)?;
    let mut json = Zeroizing::new(Vec::with_capacity(length.0));
    serde_json::to_writer(&mut *json, record).map_err(unwritable)?;
    Ok(json)
}

/// Refuses a JSON record whose member `format` says that a newer release wrote it, before its other members are looked at.
/// `known` is the newest format that the caller reads, `expected` what the record should hold, for the error's text.
///
/// # Errors
/// [`RecordError::UnknownFormat`], and [`RecordError::Malformed`] where there is no such member.
pub fn check_format(json: &[u8], known: u32, expected: &'static str) -> Result<(), RecordError> {
    match record::format(json) {
        Some(found) if found > u64::from(known) => Err(RecordError::UnknownFormat { found, known }),
        Some(_) => Ok(()),
        None => Err(RecordError::Malformed { expected, reason: "it has no format number" }),
    }
}

/// Counts what is written to it.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Why a stored record cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The record is not one that these keys sealed for this path. There is no second reason.
    #[error("the sealed record cannot be opened")]
    Refused,
    /// A newer release wrote the record.
    #[error("the record has format {found}, but this release knows formats up to {known}")]
    UnknownFormat {
        /// The format of the record.
        found: u64,
        /// The newest format known.
        known: u32,
    },
    /// The record opens, but what it holds is no state of the expected type.
    #[error("the record holds no {expected}: {reason}")]
    Malformed {
        /// What it should hold.
        expected: &'static str,
        /// What is wrong with it; never its content.
        reason: &'static str,
    },
    /// A key in the record, or the crypto backend, failed.
    #[error(transparent)]
    Keys(#[from] keyward_keys::Error),
}

impl RecordError {
    /// The class of the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            RecordError::Refused => ErrorKind::Refused,
            RecordError::UnknownFormat { .. } => ErrorKind::Misconfigured,
            RecordError::Malformed { .. } => ErrorKind::Malformed,
            RecordError::Keys(error) => error.kind(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rng;

    const PATH: &str = "tenants/1/transit-keys/a";

    fn kek(version: u32, byte: u8) -> Kek {
        Kek::from_bytes(version, &[byte; 32]).unwrap()
    }

    #[test]
    fn a_record_opens_where_it_was_sealed_and_nowhere_else() {
        let keks = KekSet::new(kek(1, 1));
        for plaintext in [&b""[..], b"secret", &[0; 5000]] {
            let record = seal(keks.current(), PATH, plaintext, &mut rng(1)).unwrap();
            assert_eq!(record.len(), WRAPPED_END + plaintext.len() + TAG);
            assert_eq!(open(&keks, PATH, &record).unwrap().as_slice(), plaintext);
            for path in ["", "tenants/2/transit-keys/a", "tenants/1/transit-keys/ab"] {
                assert_eq!(open(&keks, path, &record), Err(RecordError::Refused), "{path}");
            }
        }
    }

    #[test]
    fn any_changed_bit_and_any_cut_is_the_same_refusal() {
        let keks = KekSet::new(kek(1, 1));
        let record = seal(keks.current(), PATH, b"secret", &mut rng(2)).unwrap();
        for bit in 8..record.len() * 8 {
            let mut bad = record.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&keks, PATH, &bad), Err(RecordError::Refused), "bit {bit}");
        }
        for length in 0..record.len() {
            assert_eq!(open(&keks, PATH, &record[..length]), Err(RecordError::Refused));
        }
        let longer = [record.as_slice(), &[0]].concat();
        assert_eq!(open(&keks, PATH, &longer), Err(RecordError::Refused));
    }

    #[test]
    fn former_keys_open_and_foreign_ones_do_not() {
        let record = seal(&kek(1, 1), PATH, b"secret", &mut rng(3)).unwrap();
        let mut keks = KekSet::new(kek(2, 2));
        assert_eq!(open(&keks, PATH, &record), Err(RecordError::Refused));
        keks.add_former(kek(1, 9));
        assert_eq!(open(&keks, PATH, &record), Err(RecordError::Refused));
        keks.add_former(kek(1, 1));
        assert_eq!(open(&keks, PATH, &record).unwrap().as_slice(), b"secret");

        // The same key under another version is not the key that sealed the record.
        let mut relabelled = record.clone();
        relabelled[4] = 3;
        keks.add_former(kek(3, 1));
        assert_eq!(open(&keks, PATH, &relabelled), Err(RecordError::Refused));
    }

    #[test]
    fn a_newer_format_is_told_apart() {
        let keks = KekSet::new(kek(1, 1));
        let mut record = seal(keks.current(), PATH, b"secret", &mut rng(4)).unwrap();
        record[0] = 2;
        let error = open(&keks, PATH, &record).unwrap_err();
        assert_eq!(error.to_string(), "the record has format 2, but this release knows formats up to 1");
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
        record[0] = 0;
        assert_eq!(open(&keks, PATH, &record), Err(RecordError::Refused));
    }

    #[test]
    fn every_record_has_a_key_and_a_nonce_of_its_own() {
        let kek = kek(1, 1);
        let mut rng = rng(5);
        let a = seal(&kek, PATH, b"secret", &mut rng).unwrap();
        let b = seal(&kek, PATH, b"secret", &mut rng).unwrap();
        assert_ne!(a[VERSION_END..NONCE_END], b[VERSION_END..NONCE_END]);
        assert_ne!(a[WRAPPED_END..], b[WRAPPED_END..]);
    }

    #[test]
    fn debug_shows_no_secret() {
        let keks = KekSet::new(kek(7, 0xab));
        let text = format!("{keks:?} {:?}", keks.current());
        assert!(text.contains("version: 7"), "{text}");
        assert!(!text.contains("171") && !text.to_lowercase().contains("ab, "), "{text}");
    }
}
