//! Tokens whose text somebody chose.

use core::fmt;

use serde::Deserialize;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::Error;
use crate::secret_id::MIN_SECRET_BITS;

/// The longest one, in bytes.
const MAX_LENGTH: usize = 1024;

/// A token that is not random but chosen, which an administrator alone may: 128 bits of length to 1024 bytes of visible ASCII
/// without `.`, so that it is never taken for one of ours.
///
/// Comparison is in constant time, the memory is wiped when it is dropped, and `Debug` shows nothing.
///
/// ```
/// use keyward_approle::TokenId;
///
/// assert!(TokenId::supplied("a-token-of-our-own".to_owned()).is_ok());
/// assert!(TokenId::supplied("short".to_owned()).is_err());
/// ```
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub struct TokenId(Zeroizing<String>);

impl TokenId {
    /// A token that somebody chose.
    ///
    /// # Errors
    ///
    /// [`Error::TokenId`].
    pub fn supplied(text: String) -> Result<Self, Error> {
        let text = Zeroizing::new(text);
        let visible = text.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && byte != b'.');
        let fits = text.len() * 8 >= MIN_SECRET_BITS && text.len() <= MAX_LENGTH;
        if visible && fits { Ok(Self(text)) } else { Err(Error::TokenId) }
    }

    pub(super) fn text(&self) -> Zeroizing<String> {
        self.0.clone()
    }
}

impl TryFrom<String> for TokenId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        Self::supplied(text)
    }
}

impl PartialEq for TokenId {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for TokenId {}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenId(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_one() {
        let fits = |text: &str| TokenId::supplied(text.to_owned()).is_ok();
        assert!(fits("0123456789abcdef") && fits(&"a".repeat(1024)));
        for unfit in
            ["0123456789abcde", "kw.0123456789abcdef", "0123456789 abcdef", "0123456789abcdéf", &"a".repeat(1025)]
        {
            assert!(!fits(unfit), "{unfit}");
        }
        let id = TokenId::supplied("0123456789abcdef".to_owned()).unwrap();
        assert_eq!(format!("{id:?}"), "TokenId(..)");
        let refused = serde_json::from_str::<TokenId>("\"secret\"").unwrap_err().to_string();
        assert!(refused.starts_with("a chosen token has 16 to 1024") && !refused.contains("secret\""), "{refused}");
    }
}
