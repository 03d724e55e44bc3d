//! What is done with a document.

use crate::nearest::nearest;
use crate::text::Quoted;
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// What is done with the document at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Put it there; refused if one is there.
    Create,
    /// Put it there, in place of one that is there.
    Replace,
    /// Change the fields that are given (JSON Merge Patch, RFC 7396); refused if none is there.
    Merge,
    /// Remove it; refused if none is there.
    Delete,
}

impl Operation {
    const ALL: [Operation; 4] = [Self::Create, Self::Replace, Self::Merge, Self::Delete];

    /// The word for it, as in `x-operation`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Replace => "replace",
            Self::Merge => "merge",
            Self::Delete => "delete",
        }
    }
}

/// A word that is not an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownOperation {
    word: String,
    nearest: Option<&'static str>,
}

impl fmt::Display for UnknownOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: not an operation; write ", Quoted(&self.word))?;
        match self.nearest {
            Some(word) => write!(f, "`{word}`"),
            None => f.write_str("`create`, `replace`, `merge` or `delete`"),
        }
    }
}

impl std::error::Error for UnknownOperation {}

impl FromStr for Operation {
    type Err = UnknownOperation;

    fn from_str(word: &str) -> Result<Self, UnknownOperation> {
        Self::ALL.into_iter().find(|o| o.as_str() == word).ok_or_else(|| UnknownOperation {
            word: crate::text::excerpt(word),
            nearest: nearest(word, Self::ALL.map(Self::as_str)),
        })
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Operation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip_and_misspellings_are_answered() {
        for operation in Operation::ALL {
            assert_eq!(operation.to_string().parse(), Ok(operation));
        }
        let refusal = |word: &str| word.parse::<Operation>().unwrap_err().to_string();
        assert_eq!(refusal("repalce"), "`repalce`: not an operation; write `replace`");
        assert_eq!(refusal("Delete"), "`Delete`: not an operation; write `delete`");
        assert_eq!(refusal("upsert"), "`upsert`: not an operation; write `create`, `replace`, `merge` or `delete`");
    }
}
