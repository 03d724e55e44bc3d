//! What hosts say of themselves for operators to see: nothing is decided by it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;

macro_rules! shown {
    ($(#[$meta:meta])* $name:ident, $field:literal, $most:literal, $allowed:literal, $others:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The most characters of one.
            pub const MAX_LEN: usize = $most;

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                let fits = |byte: u8| byte.is_ascii_alphanumeric() || $allowed.contains(&byte);
                match (1..=Self::MAX_LEN).contains(&text.len()) && text.bytes().all(fits) {
                    true => Ok(Self(text.to_owned())),
                    false => Err(Error::About { field: $field, most: $most, others: $others }),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

shown! {
    /// What a host calls itself: 1 to 253 letters, digits, `.`, `-` and `_`.
    HostName, "host-name", 253, b".-_", "`.`, `-` or `_`"
}

shown! {
    /// The version of a host's agent: 1 to 64 letters, digits, `.`, `-`, `_` and `+`.
    AgentVersion, "agent-version", 64, b".-_+", "`.`, `-`, `_` or `+`"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_them_can_fool_whoever_reads_them() {
        for good in ["edge-7", "EDGE_7.example.org", &"x".repeat(253)] {
            assert_eq!(good.parse::<HostName>().unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a\n", "<b>", "\u{202e}", &"x".repeat(254)] {
            let error = bad.parse::<HostName>().unwrap_err().to_string();
            assert_eq!(error, "`host-name` is 1 to 253 letters, digits and `.`, `-` or `_`", "{bad}");
        }
        assert!("0.1.0+git.4f02".parse::<AgentVersion>().is_ok());
        assert!("x".repeat(65).parse::<AgentVersion>().is_err());
    }
}
