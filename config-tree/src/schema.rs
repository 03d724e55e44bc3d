//! Which documents there can be, and what each must be like.

use crate::error::{Error, Place, Reason};
use crate::nearest::nearest;
use crate::pattern::Pattern;
use crate::reference::Kind;
use crate::strict;
use crate::view::{CrossError, View};
use crate::{Document, ErrorKind, Field, FieldError, Path, Reference, Value};
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

/// The collections of documents that a program keeps, with their types, and what must be true between them.
///
/// ```
/// use keyward_config_tree::{Bulk, Reference, Schema, collection, plan};
/// use std::collections::BTreeMap;
///
/// #[derive(serde::Deserialize)]
/// struct Key {
///     name: String,
/// }
///
/// #[derive(serde::Deserialize)]
/// #[serde(rename_all = "kebab-case")]
/// struct Settings {
///     jwt_signing_key: String,
/// }
///
/// let schema = Schema::new()
///     .with(collection::<Key>("keys/<name>"))?
///     .with(collection::<Settings>("settings").references(|settings| {
///         vec![Reference::required("jwt-signing-key", format!("keys/{}", settings.jwt_signing_key))]
///     }))?;
///
/// let nothing = BTreeMap::new();
/// let bulk = Bulk::parse("{x-path: settings, x-operation: replace, jwt-signing-key: k1}").unwrap();
/// assert_eq!(
///     plan(&nothing, &bulk, &schema).unwrap_err().to_string(),
///     "document 1, line 1, `settings`: field `jwt-signing-key`: `keys/k1` does not exist; \
///      create it first or in the same bulk, or correct the name",
/// );
/// # Ok::<(), keyward_config_tree::SchemaError>(())
/// ```
#[derive(Debug, Default)]
pub struct Schema {
    collections: Vec<Collection>,
    checks: Vec<Check>,
}

/// One collection of documents of one type.
pub(crate) struct Collection {
    pattern: Pattern,
    read: Read,
    refers: bool,
    /// The field that is the last segment of the path too.
    identity: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// A document that is to be kept.
    New,
    /// A document that was kept already, and whose references are asked for.
    Kept,
}

/// A check of the resulting documents together; see [`Schema::check`].
struct Check(Checking);

type Checking = Box<dyn Fn(&View<'_>) -> Result<(), CrossError> + Send + Sync>;

/// Reads a document as its type, and answers what it refers to.
type Read = Box<dyn Fn(&Document, Mode) -> Result<Vec<Reference>, FieldError> + Send + Sync>;

/// A collection that is being described; see [`collection`].
pub struct Typed<T> {
    pattern: String,
    validate: Option<Validate<T>>,
    references: Option<References<T>>,
    of: PhantomData<fn() -> T>,
}

type Validate<T> = Box<dyn Fn(&T) -> Result<(), FieldError> + Send + Sync>;
type References<T> = Box<dyn Fn(&T) -> Vec<Reference> + Send + Sync>;

/// Documents of type `T` at paths such as `strongbox/transit-keys/<name>`, or at the one path
/// `strongbox/authentication/spiffe-settings`.
///
/// A last segment in angle brackets stands for any, and names the field that has to be the same as it: where `T`
/// has such a field, a document may leave it out, and is refused when the two differ.
pub fn collection<T: DeserializeOwned + 'static>(pattern: impl Into<String>) -> Typed<T> {
    Typed { pattern: pattern.into(), validate: None, references: None, of: PhantomData }
}

impl<T> Typed<T> {
    /// What must be true of a document besides being a `T`.
    #[must_use]
    pub fn validate(mut self, validate: impl Fn(&T) -> Result<(), FieldError> + Send + Sync + 'static) -> Self {
        self.validate = Some(Box::new(validate));
        self
    }

    /// Which other documents a document names.
    #[must_use]
    pub fn references(mut self, references: impl Fn(&T) -> Vec<Reference> + Send + Sync + 'static) -> Self {
        self.references = Some(Box::new(references));
        self
    }
}

impl Schema {
    /// A schema without collections: it refuses every document.
    pub fn new() -> Self {
        Self::default()
    }

    /// The schema with one collection more.
    ///
    /// # Errors
    /// [`SchemaError`] when the pattern is none, or is that of another collection.
    pub fn with<T: DeserializeOwned + 'static>(mut self, typed: Typed<T>) -> Result<Self, SchemaError> {
        let pattern = Pattern::parse(&typed.pattern)?;
        if self.collections.iter().any(|other| other.pattern.overlaps(&pattern)) {
            return Err(SchemaError::Twice { pattern: typed.pattern });
        }
        let identity = pattern
            .placeholder()
            .filter(|field| strict::fields_of::<T>().is_some_and(|fields| fields.contains(field)))
            .map(str::to_owned);
        let Typed { validate, references, .. } = typed;
        let refers = references.is_some();
        let read: Read = Box::new(move |document: &Document, mode| {
            let value: T = strict::from_fields(document.fields(), mode == Mode::New)?;
            if let (Some(validate), Mode::New) = (&validate, mode) {
                validate(&value)?;
            }
            Ok(references.as_ref().map(|references| references(&value)).unwrap_or_default())
        });
        self.collections.push(Collection { pattern, read, refers, identity });
        Ok(self)
    }

    /// The schema with one check more: what must be true between the documents that a plan would leave behind.
    /// Checks run after everything else, and only if something changes.
    #[must_use]
    pub fn check(mut self, check: impl Fn(&View<'_>) -> Result<(), CrossError> + Send + Sync + 'static) -> Self {
        self.checks.push(Check(Box::new(check)));
        self
    }

    /// The patterns of all collections, in the order they were given.
    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        self.collections.iter().map(|collection| collection.pattern.as_str())
    }

    /// Whether a document may be at this path.
    pub fn has(&self, path: &Path) -> bool {
        self.find(path).is_some()
    }

    /// Whether the path is that of a collection of many documents, such as `strongbox/transit-keys`.
    pub fn is_collection(&self, path: &Path) -> bool {
        self.below(path).is_some()
    }

    /// The path of a document that is sent to its collection: `strongbox/transit-keys` and `name: spiffe-jwt` make
    /// `strongbox/transit-keys/spiffe-jwt`.
    ///
    /// # Errors
    /// [`Error`] when there is no such collection, or the document does not say its name.
    pub fn path_in(&self, collection: &Path, document: &Document) -> Result<Path, Error> {
        let place = |field| Place { path: Some(collection.to_string()), field, ..Place::default() };
        let Some(found) = self.below(collection) else {
            return Err(Error::new(place(Field::root()), self.no_collection(collection)));
        };
        let name = found.pattern.placeholder().unwrap_or_default();
        let field = Field::root().key(name);
        match document.get(&field) {
            Some(Value::String(text)) => {
                collection.join(text).map_err(|error| Error::new(place(field), Reason::Path(error)))
            }
            _ => Err(Error::new(
                place(field),
                Reason::Value {
                    message: "missing, or no text".to_owned(),
                    remedy: Some("write the name that the document is to have".to_owned()),
                },
            )),
        }
    }

    /// The paths that a document names and that are to be found from the other side: what it needs, and what it mentions. Whoever
    /// keeps an index of them can answer [`Source::referring`](crate::Source::referring).
    pub fn names(&self, path: &Path, document: &Document) -> BTreeSet<Path> {
        let references = self.find(path).map(|collection| collection.references(document)).unwrap_or_default();
        let named = references.into_iter().filter(|reference| reference.kind != Kind::Optional);
        named.filter_map(|reference| reference.to.parse().ok()).collect()
    }

    pub(crate) fn find(&self, path: &Path) -> Option<&Collection> {
        self.collections.iter().find(|collection| collection.pattern.matches(path.as_str()))
    }

    fn below(&self, path: &Path) -> Option<&Collection> {
        self.collections.iter().find(|collection| collection.pattern.parent() == Some(path.as_str()))
    }

    pub(crate) fn referring(&self) -> impl Iterator<Item = &Collection> {
        self.collections.iter().filter(|collection| collection.refers)
    }

    pub(crate) fn run_checks(&self, view: &View<'_>) -> Result<(), CrossError> {
        self.checks.iter().try_for_each(|check| (check.0)(view))
    }

    /// Why no document can be at the path.
    pub(crate) fn no_collection(&self, path: &Path) -> Reason {
        let known: Vec<String> = self.patterns().map(str::to_owned).collect();
        if let Some(collection) = self.below(path) {
            return Reason::Collection { nearest: Some(collection.pattern.as_str().to_owned()), known };
        }
        // The collection is what may be misspelt: the last segment is the writer's.
        let parent = path.as_str().rsplit_once('/').map_or("", |(parent, _)| parent);
        let near = |text: &str, of: fn(&Pattern) -> &str| {
            let candidates = self.collections.iter().map(|collection| of(&collection.pattern));
            let found = nearest(text, candidates)?;
            self.collections.iter().find(|collection| of(&collection.pattern) == found)
        };
        let nearest = near(parent, |pattern| pattern.parent().unwrap_or_default())
            .filter(|collection| collection.pattern.parent().is_some())
            .or_else(|| near(path.as_str(), |pattern| pattern.as_str()))
            .map(|collection| collection.pattern.as_str().to_owned());
        Reason::Collection { nearest, known }
    }
}

impl Collection {
    /// Fills in what the path says, and checks the document that is to be kept.
    pub(crate) fn accept(&self, path: &Path, document: &mut Document) -> Result<Vec<Reference>, FieldError> {
        if let Some(field) = &self.identity {
            let found = document.get(&Field::root().key(field.as_str()));
            match found {
                None => document.set(field, Value::String(path.name().to_owned())),
                Some(Value::String(text)) if text != path.name() => {
                    let found = crate::text::excerpt(text);
                    let segment = crate::text::excerpt(path.name());
                    return Err(FieldError::because(
                        Field::root().key(field.as_str()),
                        Reason::Name { found, segment },
                    ));
                }
                // Other types than text are the type's to refuse.
                Some(_) => {}
            }
        }
        (self.read)(document, Mode::New)
    }

    /// What a document that is kept already refers to; nothing, if this release cannot read it.
    pub(crate) fn references(&self, document: &Document) -> Vec<Reference> {
        (self.read)(document, Mode::Kept).unwrap_or_default()
    }

    /// The field that is the last segment of the path too.
    pub(crate) fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    pub(crate) fn pattern(&self) -> &Pattern {
        &self.pattern
    }
}

impl fmt::Debug for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collection").field("pattern", &self.pattern.as_str()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Typed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Typed").field("pattern", &self.pattern).finish_non_exhaustive()
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Check")
    }
}

/// A schema that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// Not a pattern.
    #[error(
        "`{pattern}`: not a pattern; write segments such as `strongbox/transit-keys/<name>`, only the last one in angle brackets"
    )]
    Pattern {
        /// What was given.
        pattern: String,
    },
    /// A path would belong to two collections.
    #[error("`{pattern}`: another collection has such paths; remove one")]
    Twice {
        /// The second of them.
        pattern: String,
    },
}

impl SchemaError {
    /// Always [`ErrorKind::Misconfigured`].
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Misconfigured
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Anything = std::collections::BTreeMap<String, Value>;

    fn schema() -> Schema {
        Schema::new()
            .with(collection::<Anything>("strongbox/transit-keys/<name>"))
            .and_then(|s| s.with(collection::<Anything>("strongbox/authentication/users/<email>")))
            .and_then(|s| s.with(collection::<Anything>("strongbox/authentication/spiffe-settings")))
            .and_then(|s| s.with(collection::<Anything>("firewall")))
            .unwrap()
    }

    fn path(text: &str) -> Path {
        text.parse().unwrap()
    }

    #[test]
    fn patterns_are_checked() {
        for bad in ["", "<name>", "a/<>", "a/<b>/c", "a//b", "/a", "a/<b", "/v1/config/a", "a/x<b>", "<a>/<b>"] {
            let error = Schema::new().with(collection::<Anything>(bad)).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "`{bad}`: not a pattern; write segments such as `strongbox/transit-keys/<name>`, only the last one in angle brackets"
                )
            );
            assert_eq!(error.kind(), ErrorKind::Misconfigured);
        }
        for bad in
            ["firewall", "strongbox/transit-keys/<id>", "strongbox/transit-keys/one", "strongbox/authentication/<x>"]
        {
            let error = schema().with(collection::<Anything>(bad)).unwrap_err();
            assert_eq!(error.to_string(), format!("`{bad}`: another collection has such paths; remove one"));
        }
    }

    #[test]
    fn paths_find_their_collection() {
        let schema = schema();
        for there in ["strongbox/transit-keys/x", "strongbox/authentication/users/a@b.c", "firewall"] {
            assert!(schema.has(&path(there)), "{there}");
        }
        for not in ["strongbox/transit-keys", "strongbox/transit-keys/x/y", "firewall/x", "strongbox"] {
            assert!(!schema.has(&path(not)), "{not}");
        }
        assert!(schema.is_collection(&path("strongbox/transit-keys")));
        assert!(!schema.is_collection(&path("firewall")));
    }

    #[test]
    fn what_was_probably_meant_is_named() {
        let schema = schema();
        let meant = |text: &str| match schema.no_collection(&path(text)) {
            Reason::Collection { nearest, .. } => nearest,
            other => panic!("{other:?}"),
        };
        for (text, pattern) in [
            ("strongbox/transit-keys", Some("strongbox/transit-keys/<name>")),
            ("strongbox/transit-key/spiffe-jwt", Some("strongbox/transit-keys/<name>")),
            ("strongbox/authentication/spiffe-setting", Some("strongbox/authentication/spiffe-settings")),
            ("firewal", Some("firewall")),
            ("something/else", None),
        ] {
            assert_eq!(meant(text).as_deref(), pattern, "{text}");
        }
    }

    #[test]
    fn a_document_sent_to_its_collection_gets_its_path() {
        let schema = schema();
        let document = Document::from_yaml(b"name: k1\nemail: a@b.c\nodd: 3").unwrap();
        let to = |collection: &str| schema.path_in(&path(collection), &document).map_err(|e| e.to_string());
        assert_eq!(to("strongbox/transit-keys").unwrap().as_str(), "strongbox/transit-keys/k1");
        assert_eq!(to("strongbox/authentication/users").unwrap().as_str(), "strongbox/authentication/users/a@b.c");
        assert!(to("firewall").unwrap_err().starts_with("`firewall`: no such collection"));
        let slash = Document::from_yaml(b"name: a/b").unwrap();
        assert_eq!(
            schema.path_in(&path("strongbox/transit-keys"), &slash).unwrap_err().to_string(),
            "`strongbox/transit-keys`: field `name`: `a/b`: a `/` in a segment; write the segment without it"
        );
        assert_eq!(
            schema.path_in(&path("strongbox/transit-keys"), &Document::new()).unwrap_err().to_string(),
            "`strongbox/transit-keys`: field `name`: missing, or no text; write the name that the document is to have"
        );
    }
}
