//! The key-encryption keys at rest, under the key of the seal.
//!
//! ```text
//! {"format": 1, "seal": {"kind": "key"}, "keys": "…"}                                      a key of 256 bits
//! {"format": 1, "seal": {"kind": "passphrase", "salt": "…", "memory-kib": …, "passes": …}, "keys": "…"}
//! ```
//! `keys` is one sealed record ([`seal`]) under the key that follows from what the seal keeps, so keys cannot be
//! exchanged one by one. Whoever can write the store can put back an older keyring as a whole: it opens what it opened then.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use keyward_keys::hkdf_sha256;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    Kek, KekSet, RecordError, open, seal,
    seal::{check_format, to_json},
};

const FORMAT: u32 = 1;
/// The path that the keys are sealed at: no record of a store has it.
const PATH: &str = "keyring";
const EXPECTED: &str = "keyring";

/// The key that protects the key-encryption keys, as it follows from what a seal keeps: a key file, a credential, a passphrase.
pub struct SealKey(Kek);

impl SealKey {
    /// The key that follows from a secret of 256 bits (HKDF-SHA-256, RFC 5869), so that a secret that once served as a
    /// key-encryption key itself is not used for two purposes.
    ///
    /// # Errors
    /// [`RecordError::Keys`] when the backend refuses the key.
    pub fn from_secret(secret: &[u8; 32]) -> Result<Self, RecordError> {
        let mut key = Zeroizing::new([0; 32]);
        hkdf_sha256(b"", secret, b"keyward seal 1", &mut *key)?;
        Ok(Self(Kek::from_bytes(0, &key)?))
    }

    /// Seals something small of its own under this key, such as the key of a backup.
    ///
    /// # Errors
    /// As [`seal`].
    pub fn seal(&self, path: &str, plaintext: &[u8], rng: &mut impl CryptoRng) -> Result<Vec<u8>, RecordError> {
        seal(&self.0, path, plaintext, rng)
    }

    /// Opens what [`seal`](Self::seal) made.
    ///
    /// # Errors
    /// As [`open`].
    pub fn open(&self, path: &str, record: &[u8]) -> Result<Zeroizing<Vec<u8>>, RecordError> {
        // The key is kept by whoever keeps this one: no third party sees the copy, which is gone at the end.
        let key: &[u8; 32] = self.0.as_bytes().try_into().map_err(|_| RecordError::Refused)?;
        open(&KekSet::new(Kek::from_bytes(0, key)?), path, record)
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(…)")
    }
}

/// How a passphrase becomes a key: the parameters of Argon2id (RFC 9106), version 0x13, with one lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Argon2id {
    salt: String,
    memory_kib: u32,
    passes: u32,
}

impl Argon2id {
    /// 128 MiB and three passes, twice what RFC 9106 §4 recommends where memory is short, and a fresh salt of 128 bits.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut salt = [0; 16];
        rng.fill_bytes(&mut salt);
        Self { salt: STANDARD.encode(salt), memory_kib: 128 << 10, passes: 3 }
    }

    /// Memory in KiB.
    pub fn memory_kib(&self) -> u32 {
        self.memory_kib
    }

    /// Passes over it.
    pub fn passes(&self) -> u32 {
        self.passes
    }

    #[cfg(feature = "passphrase")]
    pub(crate) fn salt(&self) -> Option<Vec<u8>> {
        STANDARD.decode(&self.salt).ok()
    }
}

/// What the key-encryption keys are sealed by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SealKind {
    /// A key of 256 bits that somebody keeps.
    Key,
    /// A passphrase.
    Passphrase(Argon2id),
}

/// The stored form of the key-encryption keys.
#[derive(Serialize, Deserialize)]
pub struct Keyring {
    format: u32,
    seal: SealKind,
    keys: String,
}

/// What is inside.
#[derive(Serialize, Deserialize)]
struct Keys {
    format: u32,
    current: u32,
    keks: Vec<Key>,
}

#[derive(Serialize, Deserialize)]
struct Key {
    version: u32,
    key: Zeroizing<String>,
}

impl Keyring {
    /// Seals keys under the key of a seal.
    ///
    /// ```
    /// use keyward_transit::{Kek, KekSet, Keyring, SealKey, SealKind};
    ///
    /// # let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    /// let seal = SealKey::from_secret(&[7; 32])?;
    /// let mut keks = KekSet::new(Kek::generate(1, &mut rng)?);
    /// keks.rotate(&mut rng)?;
    /// let stored = Keyring::seal(&keks, &seal, SealKind::Key, &mut rng)?.encode()?;
    /// let keyring = Keyring::decode(&stored)?;
    /// assert_eq!(keyring.kind(), &SealKind::Key);
    /// assert_eq!(keyring.open(&seal)?.versions(), [1, 2]);
    /// assert!(keyring.open(&SealKey::from_secret(&[8; 32])?).is_err());
    /// # Ok::<(), keyward_transit::RecordError>(())
    /// ```
    ///
    /// # Errors
    /// [`RecordError::Keys`] when the backend fails.
    pub fn seal(keks: &KekSet, with: &SealKey, kind: SealKind, rng: &mut impl CryptoRng) -> Result<Self, RecordError> {
        let key = |kek: &Kek| Key { version: kek.version(), key: Zeroizing::new(STANDARD.encode(kek.as_bytes())) };
        let keys = Keys { format: FORMAT, current: keks.current().version(), keks: keks.iter().map(key).collect() };
        let sealed = with.seal(PATH, &to_json(&keys, EXPECTED)?, rng)?;
        Ok(Self { format: FORMAT, seal: kind, keys: STANDARD.encode(sealed) })
    }

    /// The stored text. It holds no secret that the seal does not protect.
    ///
    /// # Errors
    /// None that occurs.
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        Ok(to_json(self, EXPECTED)?.to_vec())
    }

    /// Reads the stored text.
    ///
    /// # Errors
    /// [`RecordError::UnknownFormat`], [`RecordError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        check_format(bytes, FORMAT, EXPECTED)?;
        serde_json::from_slice(bytes).map_err(|_| malformed("a field is missing, or is another one's"))
    }

    /// What it takes to open it.
    pub fn kind(&self) -> &SealKind {
        &self.seal
    }

    /// The keys.
    ///
    /// # Errors
    /// [`RecordError::Refused`] for another key, [`RecordError::Malformed`] for what makes no sense.
    pub fn open(&self, with: &SealKey) -> Result<KekSet, RecordError> {
        let sealed = STANDARD.decode(&self.keys).map_err(|_| malformed("its keys are not base64"))?;
        let json = with.open(PATH, &sealed)?;
        check_format(&json, FORMAT, EXPECTED)?;
        let Keys { current, keks, .. } =
            serde_json::from_slice(&json).map_err(|_| malformed("its keys are damaged"))?;
        let mut found = None;
        let mut former = Vec::new();
        for Key { version, key } in &keks {
            let bytes = Zeroizing::new(STANDARD.decode(key.as_bytes()).map_err(|_| malformed("a key is not base64"))?);
            let bytes: &[u8; 32] = bytes.as_slice().try_into().map_err(|_| malformed("a key has another length"))?;
            let kek = Kek::from_bytes(*version, bytes)?;
            if *version == current {
                found = Some(kek);
            } else {
                former.push(kek);
            }
        }
        let mut set = KekSet::new(found.ok_or_else(|| malformed("its current key is missing"))?);
        former.into_iter().for_each(|kek| set.add_former(kek));
        Ok(set)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("seal", &self.seal).finish_non_exhaustive()
    }
}

fn malformed(reason: &'static str) -> RecordError {
    RecordError::Malformed { expected: EXPECTED, reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rng;

    fn seal_key(byte: u8) -> SealKey {
        SealKey::from_secret(&[byte; 32]).unwrap()
    }

    fn keks() -> KekSet {
        let mut keks = KekSet::new(Kek::from_bytes(3, &[3; 32]).unwrap());
        keks.add_former(Kek::from_bytes(1, &[1; 32]).unwrap());
        keks
    }

    #[test]
    fn keys_come_back_with_their_versions() {
        let kind = SealKind::Passphrase(Argon2id::generate(&mut rng(1)));
        let stored = Keyring::seal(&keks(), &seal_key(7), kind.clone(), &mut rng(2)).unwrap().encode().unwrap();
        let keyring = Keyring::decode(&stored).unwrap();
        assert_eq!(keyring.kind(), &kind);
        let opened = keyring.open(&seal_key(7)).unwrap();
        assert_eq!((opened.versions(), opened.current().version()), (vec![1, 3], 3));
        assert_eq!(opened.current().as_bytes(), [3; 32]);
        let record = seal(&Kek::from_bytes(1, &[1; 32]).unwrap(), "a", b"secret", &mut rng(3)).unwrap();
        assert_eq!(open(&opened, "a", &record).unwrap().as_slice(), b"secret");
    }

    #[test]
    fn another_key_opens_nothing_and_nothing_is_shown() {
        let keyring = Keyring::seal(&keks(), &seal_key(7), SealKind::Key, &mut rng(2)).unwrap();
        assert_eq!(keyring.open(&seal_key(8)).unwrap_err(), RecordError::Refused);
        // A key file of old was the key-encryption key itself.
        let raw = KekSet::new(Kek::from_bytes(0, &[7; 32]).unwrap());
        let sealed = STANDARD.decode(&keyring.keys).unwrap();
        assert_eq!(open(&raw, PATH, &sealed), Err(RecordError::Refused));
        let text = format!("{keyring:?} {:?}", seal_key(7));
        assert!(!text.contains(&keyring.keys) && text.contains("SealKey(…)"), "{text}");
        let stored = String::from_utf8(keyring.encode().unwrap()).unwrap();
        assert!(!stored.contains(&STANDARD.encode([3; 32])), "{stored}");
    }

    #[test]
    fn newer_and_damaged_keyrings_are_refused() {
        let keyring = Keyring::seal(&keks(), &seal_key(7), SealKind::Key, &mut rng(2)).unwrap();
        let stored = String::from_utf8(keyring.encode().unwrap()).unwrap();
        let newer = stored.replace("\"format\":1", "\"format\":2");
        assert_eq!(Keyring::decode(newer.as_bytes()).unwrap_err(), RecordError::UnknownFormat { found: 2, known: 1 });
        assert!(Keyring::decode(b"{\"format\":1}").is_err());
        assert!(Keyring::decode(b"").is_err());
        let cut = Keyring { keys: STANDARD.encode([1; 90]), ..keyring };
        assert_eq!(cut.open(&seal_key(7)).unwrap_err(), RecordError::Refused);
    }

    #[test]
    fn a_rotation_takes_a_version_that_was_never_used() {
        let mut keks = KekSet::new(Kek::from_bytes(2, &[2; 32]).unwrap());
        keks.add_former(Kek::from_bytes(5, &[5; 32]).unwrap());
        keks.rotate(&mut rng(1)).unwrap();
        assert_eq!((keks.versions(), keks.current().version(), keks.has_former()), (vec![2, 5, 6], 6, true));
        keks.drop_former();
        assert_eq!((keks.versions(), keks.has_former()), (vec![6], false));
    }
}
