//! What documents are called.

use crate::Error;
use crate::text::excerpt;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::{Borrow, Cow};
use std::fmt;
use std::str::FromStr;

/// The name of a document: lower-case letters, digits and, inside, hyphens
/// (`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`), at most 255 of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// The most characters that a name has.
    pub const MAX_LEN: usize = 255;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn check(input: &str) -> Result<(), Error> {
        if input.is_empty() {
            return Err(Error::NameEmpty);
        }
        let last = input.chars().count().saturating_sub(1);
        let misfit = input.chars().enumerate().find(|(at, c)| match c {
            'a'..='z' | '0'..='9' => false,
            '-' => *at == 0 || *at == last,
            _ => true,
        });
        if let Some((at, found)) = misfit {
            return Err(Error::NameCharacter {
                input: excerpt(input),
                found,
                position: at + 1,
                suggestion: suggestion(input),
            });
        }
        if input.len() > Self::MAX_LEN {
            return Err(Error::NameTooLong { input: excerpt(input), length: input.len() });
        }
        Ok(())
    }
}

/// The same in lower case, with hyphens for what separates words; none if that is no name or not
/// alike.
fn suggestion(input: &str) -> Option<String> {
    if input.len() > 64 {
        return None;
    }
    let lower: String = input
        .chars()
        .map(|c| match c {
            '_' | ' ' | '.' => '-',
            c => c.to_ascii_lowercase(),
        })
        .collect();
    let trimmed = lower.trim_matches('-');
    Name::check_plain(trimmed).then(|| trimmed.to_owned())
}

impl Name {
    fn check_plain(text: &str) -> bool {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(input: &str) -> Result<Self, Error> {
        Self::check(input)?;
        Ok(Self(input.to_owned()))
    }
}

impl TryFrom<String> for Name {
    type Error = Error;

    fn try_from(input: String) -> Result<Self, Error> {
        Self::check(&input)?;
        Ok(Self(input))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refusal(input: &str) -> String {
        input.parse::<Name>().unwrap_err().to_string()
    }

    #[test]
    fn accepts_names() {
        for name in ["a", "0", "spiffe-jwt", "a--b", "1d", &"x".repeat(255)] {
            assert_eq!(name.parse::<Name>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn refusals_name_the_remedy() {
        assert_eq!(refusal(""), "the name is empty; write one such as `payments`");
        assert_eq!(
            refusal("Spiffe_JWT"),
            "`Spiffe_JWT`: `S` at position 1; a name is lower-case letters, digits and, inside, hyphens: write `spiffe-jwt`"
        );
        assert_eq!(
            refusal("payments-"),
            "`payments-`: `-` at position 9; a name is lower-case letters, digits and, inside, hyphens: write `payments`"
        );
        assert_eq!(
            refusal("pay/ments"),
            "`pay/ments`: `/` at position 4; a name is lower-case letters, digits and, inside, hyphens: write one such as `payments`"
        );
        assert_eq!(
            refusal("größe"),
            "`größe`: `ö` at position 3; a name is lower-case letters, digits and, inside, hyphens: write one such as `payments`"
        );
        assert!(refusal("-").contains("`-` at position 1"));
        assert!(refusal("a\0b").contains("`a\\u{0}b`: `\\u{0}` at position 2"));
        assert_eq!(
            refusal(&"x".repeat(256)),
            format!("`{}…`: a name of 256 characters; write at most 255", "x".repeat(64))
        );
    }

    #[test]
    fn serde_goes_through_the_same_door() {
        let n: Name = serde_json::from_str("\"payments\"").unwrap();
        assert_eq!(serde_json::to_string(&n).unwrap(), "\"payments\"");
        let error = serde_json::from_str::<Name>("\"Payments\"").unwrap_err();
        assert!(error.to_string().contains("write `payments`"));
    }

    proptest! {
        #[test]
        fn agrees_with_the_grammar(text in "[a-z0-9-]{0,8}|\\PC{0,8}") {
            let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            let fits = !text.is_empty()
                && text.chars().all(inside)
                && !text.starts_with('-')
                && !text.ends_with('-');
            match text.parse::<Name>() {
                Ok(name) => {
                    prop_assert!(fits);
                    prop_assert_eq!(name.to_string(), text);
                }
                Err(Error::NameCharacter { suggestion: Some(name), .. }) => {
                    prop_assert!(!fits);
                    prop_assert!(name.parse::<Name>().is_ok());
                }
                Err(_) => prop_assert!(!fits),
            }
        }
    }
}
