//! The documents as a plan would leave them.

use crate::error::{Error, Place, Reason};
use crate::pattern::Pattern;
use crate::{Document, FieldError, Path, Source, SourceError};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// The documents as a plan would leave them, for checks that look at several.
pub struct View<'a> {
    source: &'a dyn Source,
    /// What the plan puts over it; none where it deletes.
    over: &'a BTreeMap<Path, Option<Document>>,
}

impl<'a> View<'a> {
    pub(crate) fn new(source: &'a dyn Source, over: &'a BTreeMap<Path, Option<Document>>) -> Self {
        Self { source, over }
    }

    /// The document that will be at a path.
    ///
    /// # Errors
    /// [`SourceError`] when it cannot be read.
    pub fn document(&self, path: &Path) -> Result<Option<Document>, SourceError> {
        match self.over.get(path) {
            Some(document) => Ok(document.clone()),
            None => self.source.get(path),
        }
    }

    /// The document that will be at a path, as a type; fields that the type does not know pass.
    ///
    /// # Errors
    /// [`CrossError`] when it cannot be read, or is not of the type.
    pub fn get<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>, CrossError> {
        self.document(path)?
            .map(|document| document.to().map_err(|error| CrossError::new(path.clone(), error)))
            .transpose()
    }

    /// All documents that will be in a collection, given as its pattern (`strongbox/transit-keys/<name>`), in the
    /// order of their paths.
    ///
    /// # Errors
    /// [`CrossError`] when one cannot be read, or is not of the type. A text that is no pattern has no documents.
    pub fn list<T: DeserializeOwned>(&self, pattern: &str) -> Result<Vec<(Path, T)>, CrossError> {
        let Ok(pattern) = Pattern::parse(pattern) else { return Ok(Vec::new()) };
        self.documents(&pattern)?
            .into_iter()
            .map(|(path, document)| match document.to() {
                Ok(value) => Ok((path, value)),
                Err(error) => Err(CrossError::new(path, error)),
            })
            .collect()
    }

    /// The document of a collection for which a number is the greatest, among those that have one.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn greatest<T: DeserializeOwned, N: Ord>(
        &self,
        pattern: &str,
        number: impl Fn(&T) -> Option<N>,
    ) -> Result<Option<(Path, T)>, CrossError> {
        let Ok(parsed) = Pattern::parse(pattern) else { return Ok(None) };
        let candidates = match self.source.greatest(&parsed.prefix(), &|path| self.over.contains_key(path))? {
            None => self.list::<T>(pattern)?,
            Some(greatest) => {
                let touched = self.over.keys().filter(|path| parsed.matches(path.as_str()));
                let mut found = Vec::new();
                for path in greatest.iter().chain(touched) {
                    found.extend(self.get::<T>(path)?.map(|document| (path.clone(), document)));
                }
                found
            }
        };
        let numbered = candidates.into_iter().filter_map(|(path, value)| Some((number(&value)?, path, value)));
        Ok(numbered.max_by(|(a, ..), (b, ..)| a.cmp(b)).map(|(_, path, value)| (path, value)))
    }

    /// What [`Source::referring`] has of a document.
    pub(crate) fn referring(&self, to: &Path) -> Result<Option<Vec<Path>>, SourceError> {
        self.source.referring(to, &|path| self.over.contains_key(path))
    }

    /// The paths that the plan touches, in order.
    pub fn touched(&self) -> impl Iterator<Item = &Path> {
        self.over.keys()
    }

    pub(crate) fn documents(&self, pattern: &Pattern) -> Result<Vec<(Path, Document)>, SourceError> {
        let mut found: BTreeMap<Path, Document> = self
            .source
            .list(&pattern.prefix())?
            .into_iter()
            .filter(|(path, _)| pattern.matches(path.as_str()) && !self.over.contains_key(path))
            .collect();
        for (path, document) in self.over {
            if let (true, Some(document)) = (pattern.matches(path.as_str()), document) {
                found.insert(path.clone(), document.clone());
            }
        }
        Ok(found.into_iter().collect())
    }
}

/// Documents that do not fit together, as a check of the schema found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct CrossError(#[from] Kind);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Kind {
    #[error("`{path}`: {error}")]
    Document { path: Path, error: FieldError },
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl CrossError {
    /// The document at that path does not fit, in the field and for the reason that the error says.
    pub fn new(path: Path, error: FieldError) -> Self {
        Self(Kind::Document { path, error })
    }

    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed), or [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) when documents could not be read.
    pub fn kind(&self) -> crate::ErrorKind {
        match &self.0 {
            Kind::Document { error, .. } => error.kind(),
            Kind::Source(error) => error.kind(),
        }
    }

    /// The path and the field, or that nothing could be read.
    pub(crate) fn into_parts(self) -> Result<(Path, FieldError), SourceError> {
        match self.0 {
            Kind::Document { path, error } => Ok((path, error)),
            Kind::Source(error) => Err(error),
        }
    }
}

impl From<SourceError> for CrossError {
    fn from(error: SourceError) -> Self {
        Self(Kind::Source(error))
    }
}

impl From<SourceError> for Error {
    fn from(error: SourceError) -> Self {
        Error::new(Place::default(), Reason::Unavailable { message: error.to_string() })
    }
}
