//! What variables are called.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;
use crate::text::excerpt;

/// The name of a variable: words of lower-case letters, digits, `-` and `_` that are joined by dots, with an index in
/// brackets where a value has several parts: `site`, `site.label.region`, `spiffe-id.path[1]`.
///
/// ```
/// use keyward_config_values::VariableName;
///
/// let name: VariableName = "spiffe-id.path[1]".parse()?;
/// assert_eq!((name.base(), name.index()), ("spiffe-id.path", Some(1)));
/// assert_eq!("site".parse::<VariableName>()?.index(), None);
/// assert!("Site".parse::<VariableName>().is_err());
/// # Ok::<(), keyward_config_values::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VariableName(String);

impl VariableName {
    /// The most characters that a name has.
    pub const MAX_LEN: usize = 255;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without its index.
    pub fn base(&self) -> &str {
        self.split().0
    }

    /// The index, from 0.
    pub fn index(&self) -> Option<usize> {
        self.split().1.and_then(|index| index.parse().ok())
    }

    /// Whether it says who asks, or where: its first word is `tenant`, `approle`, `user`, `site`, `spiffe-id` or `metadata`. Such
    /// a variable gets its value from whoever asks and never from a document.
    pub fn is_built_in(&self) -> bool {
        let first = self.base().split('.').next().unwrap_or_default();
        matches!(first, "tenant" | "approle" | "user" | "site" | "spiffe-id" | "metadata")
    }

    fn split(&self) -> (&str, Option<&str>) {
        split(&self.0)
    }
}

fn split(text: &str) -> (&str, Option<&str>) {
    match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
        Some((base, index)) => (base, Some(index)),
        None => (text, None),
    }
}

fn is_name(text: &str) -> bool {
    let (base, index) = split(text);
    let word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
    };
    // One way to write a number.
    let number = |index: &str| {
        (1..=3).contains(&index.len())
            && index.bytes().all(|b| b.is_ascii_digit())
            && (index == "0" || !index.starts_with('0'))
    };
    text.len() <= VariableName::MAX_LEN && base.split('.').all(word) && index.is_none_or(number)
}

impl FromStr for VariableName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if !is_name(text) {
            return Err(Error::VariableName { input: excerpt(text) });
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for VariableName {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<VariableName> for String {
    fn from(name: VariableName) -> Self {
        name.0
    }
}

impl fmt::Display for VariableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for VariableName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for VariableName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_name_and_what_is_not() {
        for good in ["a", "site", "site.label.region_1", "spiffe-id.path[0]", "x[10]", "0"] {
            assert_eq!(good.parse::<VariableName>().unwrap().to_string(), good);
        }
        let long = "x".repeat(256);
        for bad in [
            "", ".", "a.", ".a", "a..b", "A", "a b", "a/b", "a[", "a]", "a[]", "a[01]", "a[x]", "a[1][2]", "[1]",
            "a[1000]", "é", "a*", &long,
        ] {
            let error = bad.parse::<VariableName>().unwrap_err().to_string();
            assert!(error.ends_with("write one such as `site` or `spiffe-id.path[1]`"), "{error}");
        }
        assert_eq!(
            "A".parse::<VariableName>().unwrap_err().to_string(),
            "`A`: not the name of a variable; write one such as `site` or `spiffe-id.path[1]`"
        );
    }
}
