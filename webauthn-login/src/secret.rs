//! The secret of a deployment, and what is kept of values that a browser holds.

use core::fmt;
use core::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::Error;

/// A 256-bit secret of a deployment. From it come decoys, salts, the values of cookies and the tokens against forged
/// requests; nothing that is stored is lost with it, but all who are in the middle of a login start again.
///
/// Sites that stand in for a tower have one of their own.
pub struct Secret(Zeroizing<[u8; 32]>);

/// What a derived value is for. No two purposes share a value.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Salt,
    Decoys,
    FormToken,
    Remembered,
    Device,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Salt => b"salt\0",
            Self::Decoys => b"decoys\0",
            Self::FormToken => b"form-token\0",
            Self::Remembered => b"remembered\0",
            Self::Device => b"device\0",
        }
    }
}

impl Secret {
    /// A fresh secret.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *bytes);
        Self(bytes)
    }

    /// A secret that was kept. The caller wipes its own copy.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// The bytes, to be sealed and stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// HMAC-SHA-256 (RFC 2104) of the purpose and the parts, each with its length before it.
    pub(crate) fn derive(&self, purpose: Purpose, parts: &[&[u8]]) -> [u8; 32] {
        // A key shorter than the block is padded with zeros (RFC 2104 §2): the constructor that cannot fail.
        let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
        for (target, byte) in block.iter_mut().zip(self.0.iter()) {
            *target = *byte;
        }
        let mut mac = Hmac::<Sha256>::new(&block);
        block.as_mut_slice().zeroize();
        mac.update(purpose.label());
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A random 256-bit value that its holder presents again: of a ceremony, a session or an enrolment link. What is stored is
/// its [`Key`].
pub struct Token(Zeroizing<String>);

impl Token {
    pub(crate) fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *bytes);
        Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes)))
    }

    /// The value, for a cookie or a link: 43 characters of base64url.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The key that its record is stored under.
    #[must_use]
    pub fn key(&self) -> Key {
        Key::of(self.expose())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// The key of a record whose holder has a [`Token`]: its SHA-256, enough for a value of 256 random bits. It cannot be
/// presented in the token's place. Written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key([u8; 32]);

impl Key {
    /// The key of what was presented. Any text has one, so that nonsense costs the same look-up as a guess.
    ///
    /// ```
    /// # use keyward_webauthn_login::Key;
    /// assert_ne!(Key::of("one"), Key::of("another"));
    /// ```
    #[must_use]
    pub fn of(presented: &str) -> Self {
        Self(Sha256::digest(presented.as_bytes()).into())
    }
}

/// In constant time.
impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Key {}

impl FromStr for Key {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        base16ct::lower::decode(text, &mut [0; 32])
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or(Error::Key)
    }
}

impl TryFrom<String> for Key {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        base16ct::lower::encode_string(&key.0)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base16ct::lower::encode_string(&self.0))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// Whether two texts are the same, in time that depends on their lengths alone.
pub(crate) fn same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rng;

    #[test]
    fn no_two_purposes_or_splits_share_a_value() {
        let secret = Secret::generate(&mut rng(1));
        let values = [
            secret.derive(Purpose::Salt, &[b"ab"]),
            secret.derive(Purpose::Salt, &[b"a", b"b"]),
            secret.derive(Purpose::Salt, &[b"", b"ab"]),
            secret.derive(Purpose::Device, &[b"ab"]),
            secret.derive(Purpose::FormToken, &[b"ab"]),
            secret.derive(Purpose::Remembered, &[b"ab"]),
            secret.derive(Purpose::Decoys, &[b"ab"]),
        ];
        for (index, value) in values.iter().enumerate() {
            assert!(!values[index + 1..].contains(value));
        }
        assert_eq!(Secret::from_bytes(secret.as_bytes()).derive(Purpose::Salt, &[b"ab"]), values[0]);
    }

    #[test]
    fn tokens_are_256_bits_and_show_nothing() {
        let token = Token::generate(&mut rng(1));
        assert_eq!(token.expose().len(), 43);
        assert_eq!(format!("{token:?}{:?}", Secret::generate(&mut rng(1))), "Token(..)Secret(..)");
        assert_eq!(token.key().to_string().parse::<Key>().unwrap(), token.key());
        assert_ne!(Token::generate(&mut rng(2)).key(), token.key());
        assert_eq!("x".parse::<Key>().unwrap_err().to_string(), "a key is 64 lower-case hexadecimal digits");
    }
}
