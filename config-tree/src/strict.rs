//! From a document to a type, naming the field that does not fit.
//!
//! [`from_value`] reads a type as serde does, and besides
//! - names the field that failed, at any depth: `auto-rotate.rotate-after`;
//! - refuses every field that the type does not have, at any depth, with the one that was probably meant;
//! - says what is wrong in the words of a configuration, not of a program, and never shows a value in
//!   them, which may be a secret. (What a type itself says about its text is kept.)
//!
//! Fields are known from the list that a derived `Deserialize` announces. A struct with `flatten`, and what is inside an
//! `untagged` or internally tagged enum, announce none: there unknown fields pass.
//!
//! ```
//! use keyward_config_tree::{Document, strict};
//!
//! #[derive(Debug, serde::Deserialize)]
//! #[serde(rename_all = "kebab-case")]
//! struct Rotation {
//!     rotate_after: u32,
//! }
//!
//! #[derive(Debug, serde::Deserialize)]
//! #[serde(rename_all = "kebab-case")]
//! struct Key {
//!     cipher: String,
//!     auto_rotate: Option<Rotation>,
//! }
//!
//! let refusal = |yaml: &str| {
//!     let document = Document::from_yaml(yaml.as_bytes()).unwrap();
//!     strict::from_value::<Key>(&document.into_value()).unwrap_err().to_string()
//! };
//! assert_eq!(
//!     refusal("chiper: rsa-2048"),
//!     "field `chiper`: unknown; write `cipher`, or one of `cipher`, `auto-rotate`",
//! );
//! assert_eq!(
//!     refusal("cipher: rsa-2048\nauto-rotate: {rotate-after: -1}"),
//!     "field `auto-rotate.rotate-after`: out of range; write a whole number from 0 to 4294967295",
//! );
//! ```

mod fields;
mod read;
mod words;

use crate::error::{Error, Place, Reason};
use crate::field::Step;
use crate::text::split_remedy;
use crate::{ErrorKind, Field, Value};
use serde::de::DeserializeOwned;
use serde_json::Map;
use std::fmt;

pub(crate) use fields::of as fields_of;
pub use read::{Failure, Reader};

/// A value as a type, refusing fields that the type does not have.
///
/// # Errors
/// [`FieldError`] with the field and what is wrong with it.
pub fn from_value<T: DeserializeOwned>(value: &Value) -> Result<T, FieldError> {
    T::deserialize(Reader::strict(value)).map_err(FieldError::from)
}

pub(crate) fn from_fields<T: DeserializeOwned>(fields: &Map<String, Value>, strict: bool) -> Result<T, FieldError> {
    T::deserialize(read::FieldsReader { fields, strict }).map_err(FieldError::from)
}

pub(crate) fn lenient<T: DeserializeOwned>(fields: &Map<String, Value>) -> Result<T, FieldError> {
    from_fields(fields, false)
}

/// A field that does not fit: which, why, and what to do about it.
///
/// As text: ``field `auto-rotate.rotate-after`: `30`: a unit is missing; write `30d` ``.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError(Box<(Field, Reason)>);

impl FieldError {
    /// A field that does not fit, with the reason in words: lower case, without full stop, never with a secret.
    /// A remedy may follow the reason after a semicolon, as in `` `30`: a unit is missing; write `30d` ``, or be
    /// given by [`with_remedy`](Self::with_remedy).
    pub fn new(field: impl Into<Field>, message: impl Into<String>) -> Self {
        let message = message.into();
        let (message, remedy) = split_remedy(&message);
        let reason = Reason::Value { message: message.to_owned(), remedy: remedy.map(str::to_owned) };
        Self::because(field.into(), reason)
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn with_remedy(mut self, text: impl Into<String>) -> Self {
        if let Reason::Value { remedy, .. } = &mut self.0.1 {
            *remedy = Some(text.into());
        }
        self
    }

    pub(crate) fn because(field: Field, reason: Reason) -> Self {
        Self(Box::new((field, reason)))
    }

    pub(crate) fn into_parts(self) -> (Field, Reason) {
        *self.0
    }

    /// The field; the root for the document as a whole.
    pub fn field(&self) -> &Field {
        &self.0.0
    }

    /// The reason as data.
    pub fn reason(&self) -> &Reason {
        &self.0.1
    }

    /// Always [`ErrorKind::Malformed`].
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Malformed
    }

    /// The same as an [`Error`] about a document at a path.
    #[must_use]
    pub fn at(self, path: &crate::Path) -> Error {
        let (field, reason) = self.into_parts();
        Error::new(Place { path: Some(path.to_string()), field, ..Place::default() }, reason)
    }
}

/// About a document that has no path.
impl From<FieldError> for Error {
    fn from(error: FieldError) -> Self {
        let (field, reason) = error.into_parts();
        Self::new(Place { field, ..Place::default() }, reason)
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Error::from(self.clone()).fmt(f)
    }
}

impl std::error::Error for FieldError {}

/// A step to a field, for gathering from the inside out.
fn key(name: &str) -> Step {
    Step::Key(name.to_owned())
}

#[cfg(test)]
mod tests;
