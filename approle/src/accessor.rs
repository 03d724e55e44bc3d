//! Accessors: names for secrets that are not secrets themselves.

use core::fmt;
use core::str::FromStr;

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::Error;

/// A random 128-bit name for a secret-id, a token or an instance of a role. With it a secret can be
/// looked up, listed and destroyed, but not used. Written as 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Accessor([u8; 16]);

impl Accessor {
    /// A fresh one.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }
}

impl FromStr for Accessor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        base16ct::lower::decode(text, &mut [0; 16])
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or(Error::Accessor)
    }
}

impl TryFrom<String> for Accessor {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Accessor> for String {
    fn from(accessor: Accessor) -> Self {
        base16ct::lower::encode_string(&accessor.0)
    }
}

impl fmt::Display for Accessor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base16ct::lower::encode_string(&self.0))
    }
}

impl fmt::Debug for Accessor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Accessor({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rng;

    #[test]
    fn text_and_serde_are_one_form() {
        let accessor = Accessor::generate(&mut rng(1));
        let text = accessor.to_string();
        assert_eq!(text.len(), 32);
        assert_eq!(text.parse::<Accessor>().unwrap(), accessor);
        let json = serde_json::to_string(&accessor).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<Accessor>(&json).unwrap(), accessor);
        assert_eq!(
            "ABC".parse::<Accessor>().unwrap_err().to_string(),
            "an accessor is 32 lower-case hexadecimal digits"
        );
    }
}
