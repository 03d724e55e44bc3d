//! What operations would do, decided before anything is done.

use crate::diff::{FieldChange, diff};
use crate::error::{Error, Place, Reason};
use crate::hidden::refuse_hidden;
use crate::reference::Kind;
use crate::view::View;
use crate::{Bulk, Document, Field, Item, Operation, Path, Reference, Schema, Source};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// What operations would do: everything, if its changes are stored in one commit.
///
/// ```
/// use keyward_config_tree::{Bulk, Document, Schema, collection, plan};
/// use std::collections::BTreeMap;
///
/// #[derive(serde::Deserialize)]
/// struct Key {
///     name: String,
///     cipher: String,
/// }
///
/// let schema = Schema::new().with(collection::<Key>("keys/<name>"))?;
/// let bulk = Bulk::parse("{x-path: /v1/config/keys/k1, x-operation: replace, cipher: rsa-2048}").unwrap();
///
/// let mut documents = BTreeMap::new();
/// let first = plan(&documents, &bulk, &schema).unwrap();
/// assert_eq!(first.to_string(), "1 created");
/// for change in first.changes() {
///     // A program stores these in one commit.
///     documents.insert(change.path().clone(), change.after().unwrap().clone());
/// }
/// let again = plan(&documents, &bulk, &schema).unwrap();
/// assert!(again.is_unchanged());
/// assert_eq!(again.to_string(), "nothing changes: 1 unchanged");
/// # Ok::<(), keyward_config_tree::SchemaError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Plan {
    outcomes: Vec<Outcome>,
    changes: Vec<Change>,
    warnings: Vec<Warning>,
}

/// What one operation would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    document: Option<usize>,
    operation: Operation,
    effect: Effect,
    change: Change,
}

/// What an operation does to its document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Effect {
    /// There was none.
    Created,
    /// Another one was there.
    Replaced,
    /// Some of its fields were otherwise.
    Merged,
    /// It goes.
    Deleted,
    /// It is as it should be already.
    Unchanged,
}

/// A document before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    path: Path,
    before: Option<Document>,
    after: Option<Document>,
}

/// A field that names a document which may be missing, and is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    path: Path,
    field: Field,
    to: String,
}

/// Decides what operations would do to the documents that are there; all of them, or none.
///
/// Operations are done in their order, each on what the ones before it left. `replace` with what is there already,
/// and `merge` of what is true already, change nothing. The resulting documents are checked together: references, and
/// then the checks of the schema.
///
/// # Errors
/// [`Error`] for the first operation that cannot be done, with document, line, path and field.
pub fn plan(current: &impl Source, bulk: &Bulk, schema: &Schema) -> Result<Plan, Error> {
    plan_hiding(current, bulk, schema, &|_, _| false)
}

/// As [`plan`], for somebody who does not see all fields: `hides` answers of a path and the way to a field in its document (without
/// the numbers of items of lists) whether it is hidden.
///
/// What is hidden stays as it is, whatever is written around it; a document that names a hidden field is refused, and so is one that
/// would lose it. Deletion is of the whole document, what is hidden in it included.
///
/// ```
/// use keyward_config_tree::{Bulk, Document, Path, Schema, collection, plan_hiding};
/// use std::collections::BTreeMap;
///
/// #[derive(serde::Deserialize)]
/// struct User {
///     name: String,
///     phone: Option<String>,
///     pin: Option<u32>,
/// }
///
/// let schema = Schema::new().with(collection::<User>("users/<name>"))?;
/// let mut documents: BTreeMap<Path, Document> = BTreeMap::new();
/// documents.insert("users/anna".parse().unwrap(), Document::from_yaml(b"{name: anna, phone: '1', pin: 7}").unwrap());
///
/// let hides = |_: &Path, way: &[&str]| way == ["pin"];
/// let bulk = Bulk::parse("{x-path: users/anna, x-operation: replace, phone: '2'}").unwrap();
/// let planned = plan_hiding(&documents, &bulk, &schema, &hides).unwrap();
/// let after = planned.changes()[0].after().unwrap();
/// assert_eq!(*after, Document::from_yaml(b"{name: anna, phone: '2', pin: 7}").unwrap());
///
/// let bulk = Bulk::parse("{x-path: users/anna, x-operation: merge, pin: 8}").unwrap();
/// assert_eq!(
///     plan_hiding(&documents, &bulk, &schema, &hides).unwrap_err().to_string(),
///     "document 1, line 1, `users/anna`: field `pin`: is hidden from you, and not for you to write; \
///      leave it out: it stays as it is",
/// );
/// # Ok::<(), keyward_config_tree::SchemaError>(())
/// ```
///
/// # Errors
/// As [`plan`], and those of hidden fields ([`Reason::Hidden`], [`Reason::HiddenInside`]).
pub fn plan_hiding(
    current: &impl Source,
    bulk: &Bulk,
    schema: &Schema,
    hides: &dyn Fn(&Path, &[&str]) -> bool,
) -> Result<Plan, Error> {
    let mut draft = Draft { source: current, schema, hides, states: BTreeMap::new() };
    let mut outcomes = Vec::new();
    for (index, item) in bulk.items().iter().enumerate() {
        outcomes.push(draft.apply(index, item)?);
    }
    let Draft { states, .. } = draft;
    let over: BTreeMap<Path, Option<Document>> =
        states.iter().map(|(path, state)| (path.clone(), state.now.clone())).collect();
    let view = View::new(current, &over);
    let finished = Finished { items: bulk.items(), states: &states, schema, view: &view };
    let warnings = finished.check_references()?;
    finished.check_deletions()?;
    let changes: Vec<Change> = states
        .iter()
        .filter(|(_, state)| state.before != state.now)
        .map(|(path, state)| Change { path: path.clone(), before: state.before.clone(), after: state.now.clone() })
        .collect();
    if !changes.is_empty() {
        finished.run_checks()?;
    }
    Ok(Plan { outcomes, changes, warnings })
}

/// The documents that operations touched so far.
struct Draft<'a> {
    source: &'a dyn Source,
    schema: &'a Schema,
    hides: &'a dyn Fn(&Path, &[&str]) -> bool,
    states: BTreeMap<Path, State>,
}

/// One document that was touched.
struct State {
    before: Option<Document>,
    now: Option<Document>,
    references: Vec<Reference>,
    /// Which operation touched it last.
    by: usize,
}

impl Draft<'_> {
    fn apply(&mut self, index: usize, item: &Item) -> Result<Outcome, Error> {
        let path = item.path();
        let operation = item.operation();
        let refuse = |field: Field, reason: Reason| Err(Error::new(item.place(field), reason));
        let Some(collection) = self.schema.find(path) else {
            return refuse(Field::root(), self.schema.no_collection(path));
        };
        let (before, now) = match self.states.get(path) {
            Some(state) => (state.before.clone(), state.now.clone()),
            None => {
                let before = self.source.get(path)?;
                (before.clone(), before)
            }
        };
        let body = item.document();
        let after = match (operation, &now) {
            (Operation::Create, Some(_)) => return refuse(Field::root(), Reason::Exists),
            (Operation::Merge | Operation::Delete, None) => {
                return refuse(Field::root(), Reason::NotFound { operation });
            }
            (Operation::Delete, Some(_)) => {
                check_delete(item, collection.identity())?;
                None
            }
            // A null is a field that is not there, as in a patch.
            (Operation::Create | Operation::Replace, _) => Some(Document::new().merged(body)),
            (Operation::Merge, Some(now)) => Some(now.merged(body)),
        };
        let (after, references) = match after {
            None => (None, Vec::new()),
            Some(document) => {
                let hides = |way: &[&str]| (self.hides)(path, way);
                let kept = match &now {
                    Some(now) => now.keeping_hidden(body, document, &hides),
                    None => refuse_hidden(body, &hides).map(|()| document),
                };
                let mut document = kept.map_err(|error| {
                    let (field, reason) = error.into_parts();
                    Error::new(item.place(field), reason)
                })?;
                let references = collection.accept(path, &mut document).map_err(|error| {
                    let (field, reason) = error.into_parts();
                    Error::new(item.place(field), reason)
                })?;
                (Some(document), references)
            }
        };
        let effect = match (operation, now.is_some()) {
            _ if now == after => Effect::Unchanged,
            (Operation::Delete, _) => Effect::Deleted,
            (Operation::Merge, _) => Effect::Merged,
            (_, false) => Effect::Created,
            (_, true) => Effect::Replaced,
        };
        let change = Change { path: path.clone(), before: now, after: after.clone() };
        self.states.insert(path.clone(), State { before, now: after, references, by: index });
        Ok(Outcome { document: item.number(), operation, effect, change })
    }
}

/// A deletion needs no fields; one that has some was probably meant otherwise.
fn check_delete(item: &Item, identity: Option<&str>) -> Result<(), Error> {
    let is_name =
        |name: &str, value: &crate::Value| identity == Some(name) && value.as_str() == Some(item.path().name());
    match item.document().fields().iter().find(|(name, value)| !is_name(name, value)) {
        None => Ok(()),
        Some((name, _)) => Err(Error::new(
            item.place(Field::root().key(name.as_str())),
            Reason::Value {
                message: "a document that is to be deleted has no fields".to_owned(),
                remedy: Some("remove the field, or use `merge` to change the document".to_owned()),
            },
        )),
    }
}

/// All operations done, to be checked together.
struct Finished<'a> {
    items: &'a [Item],
    states: &'a BTreeMap<Path, State>,
    schema: &'a Schema,
    view: &'a View<'a>,
}

impl Finished<'_> {
    /// The place of a field of a document: in the text, if an operation touched it.
    fn place(&self, path: &Path, field: Field) -> Place {
        match self.states.get(path).and_then(|state| self.items.get(state.by)) {
            Some(item) => item.place(field),
            None => Place { path: Some(path.to_string()), field, ..Place::default() },
        }
    }

    /// What the touched documents refer to is there.
    fn check_references(&self) -> Result<Vec<Warning>, Error> {
        let mut warnings = Vec::new();
        // In the order of the operations, so that the first error is the first in the text.
        let mut states: Vec<(&Path, &State)> = self.states.iter().collect();
        states.sort_by_key(|(_, state)| state.by);
        for (path, state) in states {
            for Reference { field, to, kind } in state.references.iter().filter(|one| one.kind != Kind::Mention) {
                let target: Path = match to.parse() {
                    Ok(target) => target,
                    Err(error) => return Err(Error::new(self.place(path, field.clone()), Reason::Path(error))),
                };
                if self.view.document(&target)?.is_some() {
                    continue;
                }
                if *kind == Kind::Required {
                    let reason = Reason::MissingReference { to: target };
                    return Err(Error::new(self.place(path, field.clone()), reason));
                }
                warnings.push(Warning { path: path.clone(), field: field.clone(), to: target.to_string() });
            }
        }
        Ok(warnings)
    }

    /// What is deleted is needed by nobody. Touched documents were looked at already: for them it would be a
    /// missing reference.
    fn check_deletions(&self) -> Result<(), Error> {
        let deleted: Vec<&Path> =
            self.states.iter().filter(|(_, s)| s.before.is_some() && s.now.is_none()).map(|(path, _)| path).collect();
        let mut needed: BTreeMap<Path, Vec<(Path, Field)>> = BTreeMap::new();
        let mut note = |path: &Path, references: Vec<Reference>| {
            for reference in references.into_iter().filter(Reference::is_required) {
                if let Ok(to) = reference.to.parse::<Path>()
                    && deleted.contains(&&to)
                {
                    needed.entry(to).or_default().push((path.clone(), reference.field));
                }
            }
        };
        let mut all = false;
        for path in &deleted {
            match self.view.referring(path)? {
                None => all = true,
                Some(found) => {
                    for by in found {
                        if let (Some(document), Some(collection)) = (self.view.document(&by)?, self.schema.find(&by)) {
                            let to_it = |reference: &Reference| reference.to == path.as_str();
                            let references = collection.references(&document);
                            note(&by, references.into_iter().filter(to_it).collect());
                        }
                    }
                }
            }
        }
        for collection in self.schema.referring().filter(|_| all) {
            for (path, document) in self.view.documents(collection.pattern())? {
                note(&path, collection.references(&document));
            }
        }
        match needed.into_iter().min_by_key(|(path, _)| self.states.get(path).map(|state| state.by)) {
            Some((path, by)) => Err(Error::new(self.place(&path, Field::root()), Reason::Referred { by })),
            None => Ok(()),
        }
    }

    fn run_checks(&self) -> Result<(), Error> {
        self.schema.run_checks(self.view).map_err(|error| match error.into_parts() {
            Ok((path, error)) => {
                let (field, reason) = error.into_parts();
                Error::new(self.place(&path, field), reason)
            }
            Err(error) => error.into(),
        })
    }
}

impl Plan {
    /// What each operation does, in their order.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// What is to be stored in one commit: each document that ends otherwise than it began, in the order of the paths.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Fields that name documents which may be missing, and are.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Whether nothing is to be stored.
    pub fn is_unchanged(&self) -> bool {
        self.changes.is_empty()
    }
}

/// In one line: `2 created, 1 unchanged`.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_unchanged() {
            f.write_str("nothing changes: ")?;
        }
        let mut counts: BTreeMap<Effect, usize> = BTreeMap::new();
        for outcome in &self.outcomes {
            *counts.entry(outcome.effect).or_default() += 1;
        }
        if counts.is_empty() {
            return f.write_str("no operation");
        }
        for (at, (effect, count)) in counts.iter().enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{count} {effect}")?;
        }
        Ok(())
    }
}

impl Outcome {
    /// The number of the document in the bulk, counted from 1; none outside a bulk.
    pub fn document(&self) -> Option<usize> {
        self.document
    }

    /// What was to be done.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// What that does.
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// The path of the document.
    pub fn path(&self) -> &Path {
        &self.change.path
    }

    /// The document before and after this operation.
    pub fn change(&self) -> &Change {
        &self.change
    }
}

impl Change {
    /// The path of the document.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was there; nothing, if it is new.
    pub fn before(&self) -> Option<&Document> {
        self.before.as_ref()
    }

    /// What will be there; nothing, if it goes.
    pub fn after(&self) -> Option<&Document> {
        self.after.as_ref()
    }

    /// Which fields differ.
    pub fn diff(&self) -> Vec<FieldChange> {
        let none = Document::new();
        diff(self.before.as_ref().unwrap_or(&none), self.after.as_ref().unwrap_or(&none))
    }
}

impl Warning {
    /// The document with the field.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The field.
    pub fn field(&self) -> &Field {
        &self.field
    }

    /// The path that it names.
    pub fn to(&self) -> &str {
        &self.to
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: field `{}`: `{}` does not exist yet", self.path, self.field, self.to)
    }
}

impl Effect {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Replaced => "replaced",
            Self::Merged => "merged",
            Self::Deleted => "deleted",
            Self::Unchanged => "unchanged",
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Effect {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
