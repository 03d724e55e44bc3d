//! Which paths belong to a collection.

use crate::{Path, SchemaError};

/// Segments, of which the last may be a placeholder.
#[derive(Debug)]
pub(crate) struct Pattern {
    text: String,
}

impl Pattern {
    /// The pattern as it was written.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn parse(text: &str) -> Result<Self, SchemaError> {
        let malformed = || SchemaError::Pattern { pattern: text.to_owned() };
        let pattern = Self { text: text.to_owned() };
        let literal = match (pattern.placeholder(), pattern.parent()) {
            (Some(name), Some(parent)) if !name.is_empty() => parent,
            (Some(_), _) => return Err(malformed()),
            (None, _) => text,
        };
        // Without prefix, and with nothing in brackets besides the last segment.
        match literal.parse::<Path>() {
            Ok(path) if path.as_str() == literal && !literal.contains(['<', '>']) => Ok(pattern),
            _ => Err(malformed()),
        }
    }

    /// The name in angle brackets at the end.
    pub(crate) fn placeholder(&self) -> Option<&str> {
        self.text.rsplit('/').next()?.strip_prefix('<')?.strip_suffix('>')
    }

    /// What stands before the placeholder, without the slash.
    pub(crate) fn parent(&self) -> Option<&str> {
        self.placeholder()?;
        self.text.rsplit_once('/').map(|(parent, _)| parent)
    }

    /// What every path of it begins with.
    pub(crate) fn prefix(&self) -> String {
        match self.parent() {
            Some(parent) => format!("{parent}/"),
            None => self.text.clone(),
        }
    }

    pub(crate) fn matches(&self, path: &str) -> bool {
        match self.parent() {
            Some(parent) => path.rsplit_once('/').is_some_and(|(before, _)| before == parent),
            None => path == self.text,
        }
    }

    /// Whether some path fits both.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        match (self.parent(), other.parent()) {
            (Some(a), Some(b)) => a == b,
            (Some(_), None) => self.matches(&other.text),
            (None, Some(_)) => other.matches(&self.text),
            (None, None) => self.text == other.text,
        }
    }
}
