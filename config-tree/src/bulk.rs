//! What is to be done, as it is written: documents that say their path and operation.

use crate::error::{Error, Place, Reason};
use crate::marks::{Mark, Marks};
use crate::nearest::nearest;
use crate::text::{excerpt, split_remedy};
use crate::yaml::{self, Located};
use crate::{Document, Field, FieldError, Operation, Path, Value, document};

/// Says the path of a document in a bulk.
const PATH: &str = "x-path";
/// Says what is to be done with it.
const OPERATION: &str = "x-operation";

/// Several operations that are done together or not at all.
///
/// In YAML they are documents separated by `---`, each with `x-path` and `x-operation` beside its
/// fields:
///
/// ```
/// use keyward_config_tree::{Bulk, Operation};
/// let bulk = Bulk::parse(
///     "x-path: /v1/config/strongbox/transit-keys/spiffe-jwt\n\
///      x-operation: replace\n\
///      cipher: rsa-2048\n\
///      ---\n\
///      x-path: /v1/config/strongbox/transit-keys/old\n\
///      x-operation: delete\n",
/// )?;
/// assert_eq!(bulk.items().len(), 2);
/// assert_eq!(bulk.items()[0].path().as_str(), "strongbox/transit-keys/spiffe-jwt");
/// assert_eq!(bulk.items()[1].operation(), Operation::Delete);
/// # Ok::<(), keyward_config_tree::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bulk {
    items: Vec<Item>,
}

/// One operation on one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    number: Option<usize>,
    path: Path,
    operation: Operation,
    document: Document,
    /// Where everything stood in the text, if it came from one.
    marks: Option<Marks>,
}

impl Bulk {
    /// Reads the documents of a YAML text. Empty ones are passed over.
    ///
    /// # Errors
    /// [`Error`] with document, line, and path and field where they are known: as [`Document::from_yaml`], and when `x-path` or `x-operation` is
    /// missing or wrong, another field begins with `x-`, or there is no document.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, Error> {
        let items: Vec<Item> =
            yaml::read(text.as_ref())?.into_iter().map(Item::from_located).collect::<Result<_, _>>()?;
        if items.is_empty() {
            return Err(Error::new(
                Place::default(),
                Reason::Unsupported {
                    found: "there is no document",
                    remedy: "write one with `x-path`, `x-operation` and its fields",
                },
            ));
        }
        Ok(Self { items })
    }

    /// The same operations with other documents, where `change` answers one: for what a program keeps otherwise than it is written.
    /// The lines stay those of the text.
    ///
    /// ```
    /// use keyward_config_tree::{Bulk, Document};
    ///
    /// let bulk = Bulk::parse("{x-path: users/anna, x-operation: create, pin: 7}").unwrap();
    /// let kept = bulk.with_documents(|_| Some(Document::from_yaml(b"{pin: '*'}").unwrap()));
    /// assert_eq!(kept.items()[0].document().fields()["pin"], "*");
    /// ```
    #[must_use]
    pub fn with_documents(&self, change: impl Fn(&Item) -> Option<Document>) -> Self {
        let changed = |item: &Item| match change(item) {
            Some(document) => Item { document, ..item.clone() },
            None => item.clone(),
        };
        Self { items: self.items.iter().map(changed).collect() }
    }

    /// The operations, in the order they are done.
    pub fn items(&self) -> &[Item] {
        &self.items
    }
}

/// One operation alone.
impl From<Item> for Bulk {
    fn from(item: Item) -> Self {
        Self { items: vec![item] }
    }
}

impl FromIterator<Item> for Bulk {
    fn from_iter<I: IntoIterator<Item = Item>>(items: I) -> Self {
        Self { items: items.into_iter().collect() }
    }
}

impl Item {
    /// An operation with a document that is there already, or comes from JSON.
    pub fn new(path: Path, operation: Operation, document: Document) -> Self {
        Self { number: None, path, operation, document, marks: None }
    }

    /// Removes the document at a path.
    pub fn delete(path: Path) -> Self {
        Self::new(path, Operation::Delete, Document::new())
    }

    /// An operation with a document from YAML; what is wrong with it is found on its line.
    ///
    /// # Errors
    /// As [`Document::from_yaml`], with the path.
    pub fn from_yaml(path: Path, operation: Operation, text: &[u8]) -> Result<Self, Error> {
        let located = document::single(text).map_err(|error| error.alone(&path))?;
        let document = Document::from_fields(located.fields);
        Ok(Self { number: None, path, operation, document, marks: Some(located.marks) })
    }

    /// An operation with a document from JSON.
    ///
    /// # Errors
    /// As [`Document::from_json`], with the path.
    pub fn from_json(path: Path, operation: Operation, text: &[u8]) -> Result<Self, Error> {
        let document = Document::from_json(text).map_err(|error| error.alone(&path))?;
        Ok(Self::new(path, operation, document))
    }

    fn from_located(located: Located) -> Result<Self, Error> {
        let Located { number, mut fields, marks } = located;
        let place = |field: &str, path: Option<&str>| {
            let field = Field::root().key(field);
            let Mark { line, column } = marks.find(&field);
            Place { document: Some(number), line: Some(line), column: Some(column), path: path.map(excerpt), field }
        };
        let refuse = |field: &str, path: Option<&str>, message: &str, remedy: Option<&str>| {
            let reason = Reason::Value { message: message.to_owned(), remedy: remedy.map(str::to_owned) };
            Err(Error::new(place(field, path), reason))
        };
        let written = fields.get(PATH).and_then(Value::as_str).map(str::to_owned);
        let shown = written.as_deref();
        // First what is misspelt: it explains what is missing.
        if let Some(other) = fields.keys().find(|name| name.starts_with("x-") && *name != PATH && *name != OPERATION) {
            let known = [PATH, OPERATION];
            let reason = Reason::UnknownField {
                nearest: nearest(other, known).map(str::to_owned),
                known: known.map(str::to_owned).to_vec(),
            };
            return Err(Error::new(place(other, shown), reason));
        }
        let path: Path = match fields.remove(PATH) {
            Some(Value::String(text)) => {
                text.parse().map_err(|error| Error::new(place(PATH, None), Reason::Path(error)))?
            }
            Some(_) => return refuse(PATH, None, "no text", Some("write the path of the document")),
            None => {
                let remedy = "add a line such as `x-path: /v1/config/strongbox/transit-keys/spiffe-jwt`";
                return refuse(PATH, None, "missing", Some(remedy));
            }
        };
        let shown = Some(path.as_str());
        let operation: Operation = match fields.remove(OPERATION) {
            Some(Value::String(word)) => match word.parse::<Operation>() {
                Ok(operation) => operation,
                Err(error) => {
                    let text = error.to_string();
                    let (message, remedy) = split_remedy(&text);
                    return refuse(OPERATION, shown, message, remedy);
                }
            },
            Some(_) => {
                let remedy = "write `create`, `replace`, `merge` or `delete`";
                return refuse(OPERATION, shown, "no text", Some(remedy));
            }
            None => {
                let remedy = "add `x-operation: create`, `replace`, `merge` or `delete`";
                return refuse(OPERATION, shown, "missing", Some(remedy));
            }
        };
        let document = Document::from_fields(fields);
        Ok(Self { number: Some(number), path, operation, document, marks: Some(marks) })
    }

    /// Its number in the text of a bulk, counted from 1 with empty documents; none outside a bulk.
    pub fn number(&self) -> Option<usize> {
        self.number
    }

    /// The line on which the document begins, if it came from YAML.
    pub fn line(&self) -> Option<usize> {
        self.marks.as_ref().map(|marks| marks.at.line)
    }

    /// The line of a field in the text, if the document came from YAML; of what it is missing in, if it is
    /// not there.
    pub fn line_of(&self, field: &Field) -> Option<usize> {
        self.marks.as_ref().map(|marks| marks.find(field).line)
    }

    /// The path of the document.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is to be done with it.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// The document, without `x-path` and `x-operation`; the patch, when it is to be merged.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// What the embedding program finds wrong with this document, with its number, line and path: for what only shows
    /// when the change is made.
    pub fn refuse(&self, error: FieldError) -> Error {
        let (field, reason) = error.into_parts();
        Error::new(self.place(field), reason)
    }

    /// The place of a field, for an error about it.
    pub(crate) fn place(&self, field: Field) -> Place {
        let mark = self.marks.as_ref().map(|marks| marks.find(&field));
        Place {
            document: self.number,
            line: mark.map(|mark| mark.line),
            column: mark.map(|mark| mark.column),
            path: Some(self.path.to_string()),
            field,
        }
    }
}
