//! Secret-ids: the secret half of an AppRole login.

mod issue;
mod record;

use core::fmt;

use rand_core::CryptoRng;
use serde::Deserialize;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::Error;

pub use issue::{SecretIdIssued, SecretIdRequest};
pub use record::{SecretIdRecord, SecretIdState};

/// The least length of a secret that we did not generate, in bits.
pub(crate) const MIN_SECRET_BITS: usize = 128;
/// The greatest length of a supplied secret-id, in bytes.
const MAX_SECRET_LENGTH: usize = 1024;

/// A secret-id in clear. It exists while it is made and handed over; only its HMAC is kept.
///
/// Comparison is in constant time, the memory is wiped when it is dropped, and `Debug` shows nothing.
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub struct SecretId(Zeroizing<String>);

impl SecretId {
    /// 256 random bits as 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *bytes);
        Self(Zeroizing::new(base16ct::lower::encode_string(&*bytes)))
    }

    /// A secret-id that someone else made.
    ///
    /// # Errors
    ///
    /// [`Error::SecretIdTooShort`] below 128 bits of length, [`Error::SecretIdTooLong`] above 1024
    /// bytes, [`Error::SecretIdControl`] when it holds control characters.
    pub fn supplied(text: String) -> Result<Self, Error> {
        let text = Zeroizing::new(text);
        let bits = text.len() * 8;
        if bits < MIN_SECRET_BITS {
            return Err(Error::SecretIdTooShort { bits, minimum: MIN_SECRET_BITS });
        }
        if text.len() > MAX_SECRET_LENGTH {
            return Err(Error::SecretIdTooLong { bytes: text.len(), maximum: MAX_SECRET_LENGTH });
        }
        if text.chars().any(char::is_control) {
            return Err(Error::SecretIdControl);
        }
        Ok(Self(text))
    }

    /// The secret itself, to hand it over.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for SecretId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        Self::supplied(text)
    }
}

impl PartialEq for SecretId {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for SecretId {}

impl Zeroize for SecretId {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretId(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rng;

    #[test]
    fn generated_ones_have_256_bits_and_differ() {
        let mut rng = rng(1);
        let one = SecretId::generate(&mut rng);
        let two = SecretId::generate(&mut rng);
        assert_eq!(one.expose().len(), 64);
        assert_ne!(one, two);
        assert_eq!(SecretId::supplied(one.expose().to_owned()).unwrap(), one);
    }

    #[test]
    fn supplied_ones_need_128_bits() {
        let text = |text: &str| SecretId::supplied(text.to_owned()).map(|secret| secret.expose().to_owned());
        assert_eq!(text("0123456789abcdef").unwrap(), "0123456789abcdef");
        assert_eq!(
            text("0123456789abcde").unwrap_err().to_string(),
            "a supplied secret-id has 120 bits, at least 128 are needed"
        );
        assert_eq!(
            text(&"a".repeat(1025)).unwrap_err().to_string(),
            "a supplied secret-id has 1025 bytes, at most 1024 are allowed"
        );
        assert_eq!(
            text("0123456789abcdef\n").unwrap_err().to_string(),
            "a supplied secret-id must not hold control characters"
        );
    }

    #[test]
    fn debug_and_zeroize() {
        let mut secret = SecretId::generate(&mut rng(1));
        assert_eq!(format!("{secret:?}"), "SecretId(..)");
        secret.zeroize();
        assert_eq!(secret.expose(), "");
    }
}
