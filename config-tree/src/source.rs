//! The documents that are there.

use crate::{Document, Path};
use std::collections::BTreeMap;

/// The documents that are there before a plan is carried out. A plan reads those it touches and those that they refer to, and lists
/// only what a deletion or a check of the schema asks for.
///
/// What it answers must not change while a plan is made; a change in between is noticed by whoever stores
/// the plan's changes, guarded by revisions.
pub trait Source {
    /// The document at a path.
    ///
    /// # Errors
    /// [`SourceError`] when it cannot be read.
    fn get(&self, path: &Path) -> Result<Option<Document>, SourceError>;

    /// All documents whose path begins with a text such as `strongbox/transit-keys/`, in order of their paths.
    ///
    /// # Errors
    /// [`SourceError`] when they cannot be read.
    fn list(&self, prefix: &str) -> Result<Vec<(Path, Document)>, SourceError>;

    /// Documents that need the one at a path ([`Reference::required`](crate::Reference::required)), but for those that are excepted:
    /// at least one, if there are any. `None` from a source that keeps no index of them: they are looked for among all then.
    ///
    /// # Errors
    /// [`SourceError`] when it cannot be read.
    fn referring(&self, to: &Path, except: &dyn Fn(&Path) -> bool) -> Result<Option<Vec<Path>>, SourceError> {
        let _ = (to, except);
        Ok(None)
    }

    /// The document that is the greatest of those whose path begins with a text, by the number that the checks of the schema ask
    /// for there, but for those that are excepted; alone, or none. `None` from a source that keeps no index of them.
    ///
    /// # Errors
    /// [`SourceError`] when it cannot be read.
    fn greatest(&self, prefix: &str, except: &dyn Fn(&Path) -> bool) -> Result<Option<Vec<Path>>, SourceError> {
        let _ = (prefix, except);
        Ok(None)
    }
}

impl Source for BTreeMap<Path, Document> {
    fn get(&self, path: &Path) -> Result<Option<Document>, SourceError> {
        Ok(BTreeMap::get(self, path).cloned())
    }

    fn list(&self, prefix: &str) -> Result<Vec<(Path, Document)>, SourceError> {
        let from = (std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded);
        Ok(self
            .range::<str, _>(from)
            .take_while(|(path, _)| path.as_str().starts_with(prefix))
            .map(|(path, document)| (path.clone(), document.clone()))
            .collect())
    }
}

/// The documents that are there could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    message: String,
}

impl SourceError {
    /// With the reason in words: lower case, without full stop, never with a secret.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }

    /// Always [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable).
    pub fn kind(&self) -> crate::ErrorKind {
        crate::ErrorKind::Unavailable
    }
}
