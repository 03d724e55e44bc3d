//! Where a document is.

use crate::ErrorKind;
use crate::text::{Quoted, excerpt};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::{Borrow, Cow};
use std::fmt;
use std::str::FromStr;

/// What stands before a path in a request.
const PREFIX: &str = "/v1/config/";

/// The path of a document: segments separated by `/`, such as `strongbox/transit-keys/spiffe-jwt`.
///
/// It is read with or without the prefix `/v1/config/` and shown without it. A segment is any
/// text but `.` and `..`, without control characters, so that names which come from people (`anna@example.com`)
/// fit. A text is taken as it is: whoever reads it from a URL decodes it first.
///
/// ```
/// use keyward_config_tree::Path;
/// let path: Path = "/v1/config/strongbox/transit-keys/spiffe-jwt".parse()?;
/// assert_eq!(path.to_string(), "strongbox/transit-keys/spiffe-jwt");
/// assert_eq!(path.name(), "spiffe-jwt");
/// # Ok::<(), keyward_config_tree::PathError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(String);

impl Path {
    /// The most bytes that a path has, without prefix.
    pub const MAX_LEN: usize = 1024;
    /// The most segments that a path has.
    pub const MAX_SEGMENTS: usize = 32;

    /// The path as text, without prefix.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments from left to right, at least one.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The last segment.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The path with one more segment.
    ///
    /// # Errors
    /// [`PathError`], when the segment has a `/` or is not a segment at all.
    pub fn join(&self, segment: &str) -> Result<Self, PathError> {
        if segment.contains('/') {
            return Err(PathError::Slash { segment: excerpt(segment) });
        }
        let text = format!("{}/{segment}", self.0);
        check(&text)?;
        Ok(Self(text))
    }
}

/// A text that is not the path of a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// No segment at all.
    #[error("the path is empty; write one such as `strongbox/transit-keys/spiffe-jwt`")]
    Empty,
    /// Two slashes in a row, or one at an end.
    #[error("{}: a segment is empty; write single slashes between segments and none at the end", Quoted(.path))]
    EmptySegment {
        /// The path.
        path: String,
    },
    /// A segment `.` or `..`.
    #[error("{}: a segment is `.` or `..`; write the segments that are meant", Quoted(.path))]
    Dots {
        /// The path.
        path: String,
    },
    /// A control character, such as NUL or a line break.
    #[error("{}: a control character at position {position}; remove it", Quoted(.path))]
    Control {
        /// The path.
        path: String,
        /// Its place, counted in characters from 1.
        position: usize,
    },
    /// Too many bytes or segments.
    #[error("{}: too long; a path has at most 1024 bytes and 32 segments", Quoted(.path))]
    TooLong {
        /// The beginning of the path.
        path: String,
    },
    /// A slash inside what is to be one segment.
    #[error("{}: a `/` in a segment; write the segment without it", Quoted(.segment))]
    Slash {
        /// The segment.
        segment: String,
    },
}

impl PathError {
    /// Always [`ErrorKind::Malformed`].
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Malformed
    }
}

fn check(text: &str) -> Result<(), PathError> {
    let path = || excerpt(text);
    if text.is_empty() {
        return Err(PathError::Empty);
    }
    if text.len() > Path::MAX_LEN || text.split('/').count() > Path::MAX_SEGMENTS {
        return Err(PathError::TooLong { path: path() });
    }
    if let Some(at) = text.chars().position(char::is_control) {
        return Err(PathError::Control { path: path(), position: at + 1 });
    }
    for segment in text.split('/') {
        match segment {
            "" => return Err(PathError::EmptySegment { path: path() }),
            "." | ".." => return Err(PathError::Dots { path: path() }),
            _ => {}
        }
    }
    Ok(())
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(input: &str) -> Result<Self, PathError> {
        let text = input.strip_prefix(PREFIX).unwrap_or(input);
        check(text)?;
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl AsRef<str> for Path {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Path {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for Path {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refusal(input: &str) -> String {
        input.parse::<Path>().unwrap_err().to_string()
    }

    #[test]
    fn reads_with_and_without_prefix() {
        for (text, path) in [
            ("firewall", "firewall"),
            ("/v1/config/firewall", "firewall"),
            (
                "/v1/config/strongbox/authentication/users/anna+t1@example.com",
                "strongbox/authentication/users/anna+t1@example.com",
            ),
            ("sites/Göteborg 1", "sites/Göteborg 1"),
            ("v1/config/a", "v1/config/a"),
        ] {
            assert_eq!(text.parse::<Path>().unwrap().as_str(), path);
        }
        let path: Path = "a/b/c".parse().unwrap();
        assert_eq!(path.name(), "c");
        assert_eq!(path.segments().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(path.join("d").unwrap().as_str(), "a/b/c/d");
    }

    #[test]
    fn refusals_name_the_remedy() {
        assert_eq!(refusal(""), "the path is empty; write one such as `strongbox/transit-keys/spiffe-jwt`");
        assert_eq!(refusal("/v1/config/"), refusal(""));
        for bad in ["/a", "a/", "a//b", "/v1/config//a", "/"] {
            assert!(
                refusal(bad).ends_with("a segment is empty; write single slashes between segments and none at the end"),
                "{bad}"
            );
        }
        assert_eq!(refusal("a/../b"), "`a/../b`: a segment is `.` or `..`; write the segments that are meant");
        assert!(refusal("a/.").contains("a segment is `.` or `..`"));
        assert_eq!(refusal("a\0b"), "`a\\u{0}b`: a control character at position 2; remove it");
        assert!(refusal("a\nb").contains("control character"));
        assert_eq!(
            refusal(&"x".repeat(1025)),
            format!("`{}…`: too long; a path has at most 1024 bytes and 32 segments", "x".repeat(64))
        );
        assert!(refusal(&["a"; 33].join("/")).contains("too long"));
        let a: Path = "a".parse().unwrap();
        assert_eq!(a.join("b/c").unwrap_err().to_string(), "`b/c`: a `/` in a segment; write the segment without it");
        assert!(a.join("..").is_err());
        assert!(a.join("").is_err());
    }

    proptest! {
        #[test]
        fn parsing_what_is_shown_gives_the_same(text in "(/v1/config/)?[a-z@./ -]{0,20}") {
            if let Ok(path) = text.parse::<Path>() {
                prop_assert_eq!(path.to_string().parse::<Path>().unwrap(), path);
            }
        }
    }
}
