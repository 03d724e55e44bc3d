//! What is at a path.

use crate::error::{Error, Place, Reason};
use crate::field::Step;
use crate::limits::check_depth;
use crate::{Field, Value, json, yaml};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Map;
use std::fmt;

/// A document: fields with values, as JSON has them. Shown as one line of JSON.
///
/// ```
/// use keyward_config_tree::Document;
/// let yaml = Document::from_yaml(b"name: payments\ntoken-period: 1d\n")?;
/// let json = Document::from_json(br#"{"token-period": "1d", "name": "payments"}"#)?;
/// assert_eq!(yaml, json);
/// # Ok::<(), keyward_config_tree::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Document(Map<String, Value>);

impl Document {
    /// A document without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// The one document that a YAML text is.
    ///
    /// # Errors
    /// [`Error`] with line and column when it is not YAML, not UTF-8, not fields with values, more than one document, larger than the limits of this
    /// crate, has a field twice, or has a number that cannot be kept exactly.
    pub fn from_yaml(text: &[u8]) -> Result<Self, Error> {
        single(text).map(|located| Self(located.fields))
    }

    /// The document that a JSON text is.
    ///
    /// # Errors
    /// As [`from_yaml`](Self::from_yaml).
    pub fn from_json(text: &[u8]) -> Result<Self, Error> {
        json::read(text).map(Self)
    }

    /// The document that a JSON value is.
    ///
    /// # Errors
    /// [`Error`] when the value is no object, or nested too deeply.
    pub fn from_value(value: Value) -> Result<Self, Error> {
        let refused = |reason| Error::new(Place::default(), reason);
        check_depth_of(&value, 0).map_err(refused)?;
        match value {
            Value::Object(fields) => Ok(Self(fields)),
            _ => Err(refused(Reason::Unsupported {
                found: "a document is fields with values",
                remedy: "write `{\"name\": …}`",
            })),
        }
    }

    /// The document as a JSON value.
    pub fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    /// The fields in it, from the top.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Whether it has no field.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a field, if it is there; none for the document itself.
    pub fn get(&self, field: &Field) -> Option<&Value> {
        let (first, rest) = field.steps().split_first()?;
        let Step::Key(name) = first else { return None };
        rest.iter().try_fold(self.0.get(name)?, |value, step| match step {
            Step::Key(name) => value.get(name),
            Step::Index(index) => value.get(index),
        })
    }

    /// The document as a type, letting fields pass that the type does not know: for documents that were stored, perhaps
    /// by another release.
    ///
    /// # Errors
    /// [`FieldError`](crate::FieldError) with the field that does not fit.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, crate::FieldError> {
        crate::strict::lenient(&self.0)
    }

    pub(crate) fn set(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_owned(), value);
    }

    pub(crate) fn fields_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.0
    }

    pub(crate) fn from_fields(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    /// This document with a patch applied to it (JSON Merge Patch, RFC 7396): fields of the patch replace those that are there,
    /// blocks of fields are merged, and null removes a field.
    ///
    /// ```
    /// use keyward_config_tree::Document;
    /// let mut role = Document::from_yaml(b"token-period: 1d\ntoken-num-uses: 3")?;
    /// let patch = Document::from_yaml(b"token-period: 2d\ntoken-num-uses: null")?;
    /// assert_eq!(role.merged(&patch), Document::from_yaml(b"token-period: 2d")?);
    /// # Ok::<(), keyward_config_tree::Error>(())
    /// ```
    #[must_use]
    pub fn merged(&self, patch: &Document) -> Document {
        let mut fields = self.0.clone();
        merge(&mut fields, &patch.0);
        Self(fields)
    }
}

/// RFC 7396 §2, on objects.
fn merge(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (name, value) in patch {
        match value {
            Value::Null => {
                target.remove(name);
            }
            Value::Object(inner) => {
                let mut fields = match target.remove(name) {
                    Some(Value::Object(fields)) => fields,
                    _ => Map::new(),
                };
                merge(&mut fields, inner);
                target.insert(name.clone(), Value::Object(fields));
            }
            other => {
                target.insert(name.clone(), other.clone());
            }
        }
    }
}

/// The one document of a YAML text.
pub(crate) fn single(text: &[u8]) -> Result<yaml::Located, Error> {
    let mut documents = yaml::read(text)?.into_iter();
    match (documents.next(), documents.next()) {
        (Some(document), None) => Ok(document),
        (None, _) => Err(Error::new(
            Place::default(),
            Reason::Unsupported { found: "the document is empty", remedy: "write lines such as `name: payments`" },
        )),
        (Some(_), Some(second)) => Err(Error::new(
            Place { line: Some(second.marks.at.line), column: Some(second.marks.at.column), ..Place::default() },
            Reason::Unsupported { found: "a second document", remedy: "send several documents as a bulk" },
        )),
    }
}

fn check_depth_of(value: &Value, depth: usize) -> Result<(), Reason> {
    match value {
        Value::Array(items) => {
            check_depth(depth + 1)?;
            items.iter().try_for_each(|item| check_depth_of(item, depth + 1))
        }
        Value::Object(fields) => {
            check_depth(depth + 1)?;
            fields.values().try_for_each(|item| check_depth_of(item, depth + 1))
        }
        _ => Ok(()),
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match serde_json::to_string(&self.0) {
            Ok(text) => f.write_str(&text),
            Err(_) => Err(fmt::Error),
        }
    }
}

/// From what was stored: a field that is there twice is not noticed here, as in
/// [`from_json`](Document::from_json).
impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_value(Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
