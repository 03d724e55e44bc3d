//! Which state of a document is meant.

use crate::ErrorKind;
use crate::text::{Quoted, excerpt};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The revision of a document: a number that grows with every change. As text it is an entity
/// tag (RFC 9110 §8.8.3): `"42"`, quotes included.
///
/// ```
/// use keyward_config_tree::{IfMatch, Revision};
/// let revision = Revision::new(42);
/// assert_eq!(revision.to_string(), "\"42\"");
/// let condition: IfMatch = "\"42\"".parse()?;
/// assert!(condition.allows(Some(revision)));
/// assert!(!condition.allows(Some(Revision::new(43))));
/// # Ok::<(), keyward_config_tree::RevisionError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(u64);

impl Revision {
    /// The revision of that number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

impl FromStr for Revision {
    type Err = RevisionError;

    fn from_str(input: &str) -> Result<Self, RevisionError> {
        input
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .and_then(number)
            .map(Self)
            .ok_or_else(|| RevisionError { input: excerpt(input) })
    }
}

/// Decimal digits in their one form.
fn number(digits: &str) -> Option<u64> {
    let plain = digits == "0" || (!digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()));
    plain.then(|| digits.parse().ok()).flatten()
}

/// The condition of an `If-Match` header (RFC 9110 §13.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum IfMatch {
    /// `*`: whatever is there, but something.
    Any,
    /// One of these revisions. Tags that are weak or were never ours are valid and match nothing, so the list may be empty.
    OneOf(Vec<Revision>),
}

impl IfMatch {
    /// Whether the condition holds for what is there now.
    pub fn allows(&self, current: Option<Revision>) -> bool {
        match self {
            Self::Any => current.is_some(),
            Self::OneOf(revisions) => current.is_some_and(|c| revisions.contains(&c)),
        }
    }
}

impl FromStr for IfMatch {
    type Err = RevisionError;

    fn from_str(input: &str) -> Result<Self, RevisionError> {
        let error = || RevisionError { input: excerpt(input) };
        if input.trim() == "*" {
            return Ok(Self::Any);
        }
        let mut revisions = Vec::new();
        let mut tags = 0;
        // A list may have empty elements (RFC 9110 §5.6.1.2). No tag of ours has a comma, so one that does falls
        // apart here and is refused.
        for tag in input.split(',').map(|tag| tag.trim_matches([' ', '\t'])).filter(|tag| !tag.is_empty()) {
            let weak = tag.strip_prefix("W/");
            let inner = weak
                .unwrap_or(tag)
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'))
                .filter(|inner| !inner.contains('"') && !inner.chars().any(char::is_control))
                .ok_or_else(error)?;
            tags += 1;
            // Comparison is strong: a weak tag never matches.
            if weak.is_none() {
                revisions.extend(number(inner).map(Revision));
            }
        }
        if tags == 0 { Err(error()) } else { Ok(Self::OneOf(revisions)) }
    }
}

/// A text that is neither an entity tag nor, for [`IfMatch`], a list of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: not an entity tag; send the `ETag` that came with the document, such as `\"42\"`", Quoted(.input))]
pub struct RevisionError {
    input: String,
}

impl RevisionError {
    /// Always [`ErrorKind::Malformed`].
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Malformed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn condition(text: &str) -> IfMatch {
        text.parse().unwrap()
    }

    #[test]
    fn conditions_are_read_and_applied() {
        let r = |n| Some(Revision::new(n));
        assert!(condition("*").allows(r(1)));
        assert!(!condition("*").allows(None));
        assert!(condition("\"1\", \"2\"").allows(r(2)));
        assert!(condition(" , \"2\" ,").allows(r(2)));
        assert!(!condition("\"1\"").allows(None));
        assert!(!condition("W/\"1\"").allows(r(1)));
        assert!(!condition("\"abc\"").allows(r(1)));
        assert!(!condition("\"01\"").allows(r(1)));
        assert!(!condition("\"99999999999999999999\"").allows(r(1)));
    }

    #[test]
    fn refusals_name_the_remedy() {
        for bad in ["", "42", "\"42", "42\"", "*, \"1\"", "\"a\"b\"", "\"a,b\"", ","] {
            assert_eq!(
                bad.parse::<IfMatch>().unwrap_err().to_string(),
                format!("`{bad}`: not an entity tag; send the `ETag` that came with the document, such as `\"42\"`")
            );
        }
        for bad in ["", "42", "\"042\"", "\"-1\"", "W/\"1\"", "\"\""] {
            assert!(bad.parse::<Revision>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn parsing_what_is_shown_gives_the_same(n in any::<u64>()) {
            let revision = Revision::new(n);
            prop_assert_eq!(revision.to_string().parse::<Revision>().unwrap(), revision);
            prop_assert!(condition(&revision.to_string()).allows(Some(revision)));
        }
    }
}
