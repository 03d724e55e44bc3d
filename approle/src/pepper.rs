//! The pepper, and the keys under which secrets are stored.

use core::fmt;
use core::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use keyward_config_values::record::RecordError;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::Error;
use crate::role::RoleId;

/// A 256-bit secret that every stored secret is hashed under.
///
/// Generated secrets are full of entropy, so that one HMAC-SHA-256 (RFC 2104) is enough; the pepper
/// keeps a stolen store useless even for supplied secrets, as long as it is sealed apart from them.
pub struct Pepper(Zeroizing<[u8; 32]>);

impl Pepper {
    /// A fresh pepper.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *bytes);
        Self(bytes)
    }

    /// A pepper that was kept. The caller wipes its own copy.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// The bytes, to be sealed and stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key of the token as it was presented. Any text has one, so that a malformed token costs
    /// the same look-up as an unknown one.
    #[must_use]
    pub fn token_key(&self, presented: &str) -> StorageKey {
        self.key(&[presented.as_bytes()])
    }

    /// The key of a role's index entry, so that a role-id that serves as a secret is not written
    /// into an index in clear.
    #[must_use]
    pub fn role_key(&self, role_id: &RoleId) -> StorageKey {
        self.role_key_of(Some(role_id))
    }

    /// The same for what was presented; nothing is stored under the key of what is no role-id.
    pub(crate) fn role_key_of(&self, role_id: Option<&RoleId>) -> StorageKey {
        let role_id = role_id.map_or(&b""[..], |role_id| role_id.as_str().as_bytes());
        self.key(&[b"\0role-id\0", role_id])
    }

    /// `HMAC(role-id ‖ 0x00 ‖ secret-id)`. A role-id holds no 0x00, so no two pairs share an input.
    /// Without a valid role-id the input starts with 0x00 0x00, which no valid pair does.
    pub(crate) fn secret_id_key(&self, role_id: Option<&RoleId>, secret_id: &str) -> StorageKey {
        let role_id = role_id.map_or(&b"\0"[..], |role_id| role_id.as_str().as_bytes());
        self.key(&[role_id, b"\0", secret_id.as_bytes()])
    }

    /// The key that batch tokens are sealed under. Derived in two steps, so that it is no key that
    /// anything could be stored under.
    pub(crate) fn batch_key(&self) -> Zeroizing<[u8; 32]> {
        let step = Zeroizing::new(self.key(&[b"\0batch-tokens\0"]).0);
        Zeroizing::new(Self(step).key(&[b"seal"]).0)
    }

    fn key(&self, parts: &[&[u8]]) -> StorageKey {
        // A key shorter than the block is padded with zeros (RFC 2104 §2): this is HMAC under the
        // 32 bytes, by the constructor that cannot fail.
        let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
        for (target, byte) in block.iter_mut().zip(self.0.iter()) {
            *target = *byte;
        }
        let mut mac = Hmac::<Sha256>::new(&block);
        block.as_mut_slice().zeroize();
        for part in parts {
            mac.update(part);
        }
        StorageKey(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(..)")
    }
}

/// The key under which a record is stored: the HMAC of a secret. It reveals nothing of the secret
/// and cannot be presented in its place. Written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StorageKey([u8; 32]);

impl StorageKey {
    /// Of what is not stored yet.
    pub(crate) fn none() -> Self {
        Self([0; 32])
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// In constant time.
impl PartialEq for StorageKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for StorageKey {}

impl FromStr for StorageKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        base16ct::lower::decode(text, &mut [0; 32])
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or(Error::Record(RecordError::Damaged { record: "storage key" }))
    }
}

impl TryFrom<String> for StorageKey {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<StorageKey> for String {
    fn from(key: StorageKey) -> Self {
        base16ct::lower::encode_string(&key.0)
    }
}

impl fmt::Display for StorageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base16ct::lower::encode_string(&self.0))
    }
}

impl fmt::Debug for StorageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StorageKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rng;

    /// RFC 4231 §4.2 has a 20-byte key of 0x0b; padded with zeros it is the same HMAC key.
    #[test]
    fn the_construction_is_hmac_sha_256() {
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        assert_eq!(
            Pepper::from_bytes(&key).token_key("Hi There").to_string(),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
    }

    #[test]
    fn no_two_pairs_share_a_key() {
        let pepper = Pepper::generate(&mut rng(1));
        let ab: RoleId = "ab".parse().unwrap();
        let a: RoleId = "a".parse().unwrap();
        let keys = [
            pepper.secret_id_key(Some(&ab), "c"),
            pepper.secret_id_key(Some(&a), "bc"),
            pepper.secret_id_key(Some(&a), "\0b"),
            pepper.secret_id_key(None, "c"),
            pepper.secret_id_key(None, "a\0c"),
            pepper.role_key(&a),
            pepper.role_key(&ab),
            pepper.token_key("abc"),
            pepper.token_key(""),
        ];
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[index + 1..].contains(key));
        }
    }

    #[test]
    fn another_pepper_gives_another_key_and_debug_shows_neither() {
        let one = Pepper::generate(&mut rng(1));
        let two = Pepper::generate(&mut rng(2));
        assert_ne!(one.token_key("kw.x"), two.token_key("kw.x"));
        assert_eq!(Pepper::from_bytes(one.as_bytes()).token_key("x"), one.token_key("x"));
        assert_eq!(format!("{one:?}"), "Pepper(..)");
    }

    #[test]
    fn keys_are_written_as_hexadecimal() {
        let key = Pepper::generate(&mut rng(1)).token_key("x");
        assert_eq!(key.to_string().parse::<StorageKey>().unwrap(), key);
        let json = serde_json::to_string(&key).unwrap();
        assert_eq!(serde_json::from_str::<StorageKey>(&json).unwrap(), key);
        assert!("00".parse::<StorageKey>().is_err());
    }
}
