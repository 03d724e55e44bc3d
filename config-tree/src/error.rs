//! Why documents were refused: where, why, and what to do about it.

use crate::text::{Quoted, split_remedy};
use crate::{Field, Operation, Path, PathError};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt;

/// What kind of failure an error is, for a caller that only needs a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input does not have the right form; sending it again cannot succeed.
    Malformed,
    /// The input is well-formed and does not fit what is there.
    Refused,
    /// What the program was given by its operator or author does not work.
    Misconfigured,
    /// Something needed is not there at the moment; trying again may succeed.
    Unavailable,
}

/// A document that was refused, with the place, the reason and the remedy.
///
/// As text: ``document 2, line 14, `strongbox/transit-keys/spiffe-jwt`: field `auto-rotate.rotate-after`: `30`:
/// a unit is missing; write `30d` ``. As data: through the accessors, or serialized as a map with `document`, `line`, `column`, `path`, `field`,
/// `reason`, `message` and `remedy`, each where it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    place: Place,
    reason: Reason,
}

/// Where it is, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Place {
    pub(crate) document: Option<usize>,
    pub(crate) line: Option<usize>,
    pub(crate) column: Option<usize>,
    pub(crate) path: Option<String>,
    pub(crate) field: Field,
}

/// Why a document was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The text is not UTF-8.
    Encoding,
    /// The text is not YAML or JSON.
    Syntax {
        /// What is wrong, in words.
        message: String,
        /// What to write.
        remedy: &'static str,
    },
    /// More of something than is read.
    TooLarge {
        /// What there is too much of, such as `levels of nesting`.
        what: &'static str,
        /// The most that is read.
        limit: usize,
    },
    /// A field is there twice.
    Duplicate {
        /// The line of the first one, if known.
        first_line: Option<usize>,
    },
    /// YAML or JSON that has no meaning in a document, such as a tag, or a list where fields belong.
    Unsupported {
        /// What was found.
        found: &'static str,
        /// What to write instead.
        remedy: &'static str,
    },
    /// The path is no path.
    Path(PathError),
    /// No documents are kept at such a path.
    Collection {
        /// The collection that was probably meant.
        nearest: Option<String>,
        /// All collections.
        known: Vec<String>,
    },
    /// A value that does not fit its field.
    Value {
        /// What is wrong, in words.
        message: String,
        /// What to do about it, where that can be said.
        remedy: Option<String>,
    },
    /// A field that the document does not have.
    UnknownField {
        /// The field that was probably meant.
        nearest: Option<String>,
        /// All fields there.
        known: Vec<String>,
    },
    /// The document says another name than its path.
    Name {
        /// The name in the document.
        found: String,
        /// The last segment of the path.
        segment: String,
    },
    /// A document to be created is there already.
    Exists,
    /// A document to be merged or deleted is not there.
    NotFound {
        /// What was to be done.
        operation: Operation,
    },
    /// A document that is needed would not be there.
    MissingReference {
        /// The path of the document that is needed.
        to: Path,
    },
    /// Others need the document that was to be deleted.
    Referred {
        /// Who needs it, and in which field.
        by: Vec<(Path, Field)>,
    },
    /// A field that whoever wrote the document cannot see.
    Hidden,
    /// A value with fields in it that whoever wrote the document cannot see, and that would be lost.
    HiddenInside,
    /// The documents that are there could not be read.
    Unavailable {
        /// Why, in words.
        message: String,
    },
}

impl Error {
    pub(crate) fn new(place: Place, reason: Reason) -> Self {
        Self(Box::new(Inner { place, reason }))
    }

    /// The same about the only document there is, at that path.
    pub(crate) fn alone(mut self, path: &Path) -> Self {
        self.0.place.document = None;
        self.0.place.path = Some(path.to_string());
        self
    }

    /// The number of the document in a bulk, counted from 1.
    pub fn document(&self) -> Option<usize> {
        self.0.place.document
    }

    /// The line in the text that was read, counted from 1.
    pub fn line(&self) -> Option<usize> {
        self.0.place.line
    }

    /// The column, counted in characters from 1.
    pub fn column(&self) -> Option<usize> {
        self.0.place.column
    }

    /// The path of the document; as it was written, if it is none.
    pub fn path(&self) -> Option<&str> {
        self.0.place.path.as_deref()
    }

    /// The field inside the document.
    pub fn field(&self) -> Option<&Field> {
        Some(&self.0.place.field).filter(|field| !field.is_root())
    }

    /// The reason as data.
    pub fn reason(&self) -> &Reason {
        &self.0.reason
    }

    /// The reason in words, without place and remedy.
    pub fn message(&self) -> String {
        self.0.reason.message()
    }

    /// What to do about it, where that can be said.
    pub fn remedy(&self) -> Option<String> {
        self.0.reason.remedy()
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self.0.reason {
            Reason::Exists
            | Reason::NotFound { .. }
            | Reason::MissingReference { .. }
            | Reason::Referred { .. }
            | Reason::Hidden
            | Reason::HiddenInside => ErrorKind::Refused,
            Reason::Unavailable { .. } => ErrorKind::Unavailable,
            _ => ErrorKind::Malformed,
        }
    }
}

impl Reason {
    /// One word for it, as `reason` in the serialized form.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Encoding => "encoding",
            Self::Syntax { .. } => "syntax",
            Self::TooLarge { .. } => "too-large",
            Self::Duplicate { .. } => "duplicate",
            Self::Unsupported { .. } => "unsupported",
            Self::Path(_) => "path",
            Self::Collection { .. } => "collection",
            Self::Value { .. } => "value",
            Self::UnknownField { .. } => "unknown-field",
            Self::Name { .. } => "name",
            Self::Exists => "exists",
            Self::NotFound { .. } => "not-found",
            Self::MissingReference { .. } => "missing-reference",
            Self::Referred { .. } => "referred",
            Self::Hidden => "hidden",
            Self::HiddenInside => "hidden-inside",
            Self::Unavailable { .. } => "unavailable",
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Encoding => "the text is not UTF-8".to_owned(),
            Self::Syntax { message, .. } => message.clone(),
            Self::TooLarge { what, limit } => format!("more than {limit} {what}"),
            Self::Duplicate { first_line: Some(line) } => format!("there twice, first on line {line}"),
            Self::Duplicate { first_line: None } => "there twice".to_owned(),
            Self::Unsupported { found, .. } => (*found).to_owned(),
            Self::Path(error) => split_remedy(&error.to_string()).0.to_owned(),
            Self::Collection { .. } => "no such collection".to_owned(),
            Self::Value { message, .. } => message.clone(),
            Self::UnknownField { .. } => "unknown".to_owned(),
            Self::Name { found, segment } => {
                format!("{} differs from the path, which ends in {}", Quoted(found), Quoted(segment))
            }
            Self::Exists => "exists already".to_owned(),
            Self::NotFound { .. } => "does not exist".to_owned(),
            Self::MissingReference { to } => format!("{} does not exist", Quoted(to.as_str())),
            Self::Referred { by } => {
                let who: Vec<String> = by
                    .iter()
                    .take(5)
                    .map(|(path, field)| format!("{} (field `{field}`)", Quoted(path.as_str())))
                    .collect();
                let more = by.len().saturating_sub(who.len());
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                format!("needed by {}{more}", who.join(", "))
            }
            Self::Hidden => "is hidden from you, and not for you to write".to_owned(),
            Self::HiddenInside => "has fields that are hidden from you, which would be lost".to_owned(),
            Self::Unavailable { message } => message.clone(),
        }
    }

    fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::Encoding => "save it as UTF-8".to_owned(),
            Self::Syntax { remedy, .. } => (*remedy).to_owned(),
            Self::TooLarge { .. } => "split it".to_owned(),
            Self::Duplicate { .. } => "remove one".to_owned(),
            Self::Unsupported { remedy, .. } => (*remedy).to_owned(),
            Self::Path(error) => return split_remedy(&error.to_string()).1.map(str::to_owned),
            Self::Collection { nearest: Some(meant), .. } => format!("write `{meant}`"),
            Self::Collection { nearest: None, known } => format!("there are {}", list(known)),
            Self::Value { remedy, .. } => return remedy.clone(),
            Self::UnknownField { nearest: Some(meant), known } if known.len() > 1 => {
                format!("write `{meant}`, or one of {}", list(known))
            }
            Self::UnknownField { nearest: Some(meant), .. } => format!("write `{meant}`"),
            Self::UnknownField { nearest: None, known } if known.is_empty() => {
                "remove it: there are no fields here".to_owned()
            }
            Self::UnknownField { nearest: None, known } => format!("remove it, or write one of {}", list(known)),
            Self::Name { .. } => "make them the same, or leave the name out".to_owned(),
            Self::Exists => format!("use `{}` to put this one in its place", Operation::Replace),
            Self::NotFound { operation: Operation::Delete } => "there is nothing to delete; check the path".to_owned(),
            Self::NotFound { .. } => {
                format!("use `{}` or `{}` with the whole document", Operation::Create, Operation::Replace)
            }
            Self::MissingReference { .. } => "create it first or in the same bulk, or correct the name".to_owned(),
            Self::Referred { .. } => "change or delete those first or in the same bulk".to_owned(),
            Self::Hidden => "leave it out: it stays as it is".to_owned(),
            Self::HiddenInside => "leave it as it is, or ask somebody who sees them".to_owned(),
            Self::Unavailable { .. } => return None,
        })
    }
}

fn list(words: &[String]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { place, reason } = &*self.0;
        let mut separator = "";
        if let Some(document) = place.document {
            write!(f, "document {document}")?;
            separator = ", ";
        }
        if let Some(line) = place.line {
            write!(f, "{separator}line {line}")?;
            separator = ", ";
            // The column helps with punctuation; a field has its name.
            if let (Some(column), Reason::Syntax { .. } | Reason::Encoding | Reason::Unsupported { .. }) =
                (place.column, reason)
            {
                write!(f, ", column {column}")?;
            }
        }
        if let Some(path) = &place.path {
            write!(f, "{separator}{}", Quoted(path))?;
            separator = ", ";
        }
        if !separator.is_empty() {
            f.write_str(": ")?;
        }
        if !place.field.is_root() {
            write!(f, "field `{}`: ", place.field)?;
        }
        f.write_str(&reason.message())?;
        match reason.remedy() {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(document) = self.document() {
            map.serialize_entry("document", &document)?;
        }
        if let Some(line) = self.line() {
            map.serialize_entry("line", &line)?;
        }
        if let Some(column) = self.column() {
            map.serialize_entry("column", &column)?;
        }
        if let Some(path) = self.path() {
            map.serialize_entry("path", path)?;
        }
        if let Some(field) = self.field() {
            map.serialize_entry("field", field)?;
        }
        map.serialize_entry("reason", self.reason().as_str())?;
        map.serialize_entry("message", &self.message())?;
        if let Some(remedy) = self.remedy() {
            map.serialize_entry("remedy", &remedy)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_every_piece_and_the_data_too() {
        let error = Error::new(
            Place {
                document: Some(2),
                line: Some(14),
                column: Some(17),
                path: Some("strongbox/transit-keys/spiffe-jwt".to_owned()),
                field: Field::from("auto-rotate.rotate-after"),
            },
            Reason::Value { message: "`30`: a unit is missing".to_owned(), remedy: Some("write `30d`".to_owned()) },
        );
        assert_eq!(
            error.to_string(),
            "document 2, line 14, `strongbox/transit-keys/spiffe-jwt`: field `auto-rotate.rotate-after`: `30`: a unit is missing; write `30d`"
        );
        assert_eq!(
            serde_json::to_value(&error).unwrap(),
            serde_json::json!({
                "document": 2, "line": 14, "column": 17, "path": "strongbox/transit-keys/spiffe-jwt",
                "field": "auto-rotate.rotate-after", "reason": "value",
                "message": "`30`: a unit is missing", "remedy": "write `30d`",
            })
        );
        assert_eq!(error.kind(), ErrorKind::Malformed);
        let bare = Error::new(Place::default(), Reason::Unavailable { message: "the disk is gone".to_owned() });
        assert_eq!(bare.to_string(), "the disk is gone");
        assert_eq!(bare.kind(), ErrorKind::Unavailable);
    }

    #[test]
    fn errors_travel() {
        fn travels<T: Send + Sync + 'static>() {}
        travels::<Error>();
    }

    #[test]
    fn many_referrers_are_cut() {
        let by = (0..8).map(|n| (format!("a/{n}").parse().unwrap(), Field::from("f"))).collect();
        let text = Error::new(Place::default(), Reason::Referred { by }).to_string();
        assert!(text.starts_with("needed by `a/0` (field `f`), `a/1` (field `f`)"), "{text}");
        assert!(text.contains(" and 3 more; change or delete those first"), "{text}");
    }
}
