//! Which fields of two documents differ.

use crate::{Document, Field, Value};
use serde_json::Map;
use std::fmt;

/// A field that differs between two documents.
///
/// Shown with a sign, as `+ token-period: "1d"`, `- token-period: "1d"` or `~ token-period: "1d" → "2d"`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldChange {
    /// It is new.
    Added {
        /// Which field.
        field: Field,
        /// Its value.
        value: Value,
    },
    /// It goes.
    Removed {
        /// Which field.
        field: Field,
        /// The value it had.
        value: Value,
    },
    /// It has another value.
    Changed {
        /// Which field.
        field: Field,
        /// The value it had.
        from: Value,
        /// The value it gets.
        to: Value,
    },
}

/// Which fields differ between two documents, in the order of their names. Blocks of fields are compared field by field, lists as wholes.
///
/// ```
/// use keyward_config_tree::{Document, diff};
/// let before = Document::from_yaml(b"{period: 1d, rotate: {after: 30d, by: hand}}")?;
/// let after = Document::from_yaml(b"{uses: 3, rotate: {after: 20d, by: hand}}")?;
/// let changes: Vec<String> = diff(&before, &after).iter().map(ToString::to_string).collect();
/// assert_eq!(changes, ["- period: \"1d\"", "~ rotate.after: \"30d\" → \"20d\"", "+ uses: 3"]);
/// # Ok::<(), keyward_config_tree::Error>(())
/// ```
pub fn diff(before: &Document, after: &Document) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    compare(&Field::root(), before.fields(), after.fields(), &mut changes);
    changes
}

fn compare(at: &Field, before: &Map<String, Value>, after: &Map<String, Value>, changes: &mut Vec<FieldChange>) {
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let field = at.clone().key(name.as_str());
        match (before.get(name), after.get(name)) {
            (Some(Value::Object(before)), Some(Value::Object(after))) => compare(&field, before, after, changes),
            (Some(from), Some(to)) if from != to => {
                changes.push(FieldChange::Changed { field, from: from.clone(), to: to.clone() });
            }
            (None, Some(value)) => changes.push(FieldChange::Added { field, value: value.clone() }),
            (Some(value), None) => changes.push(FieldChange::Removed { field, value: value.clone() }),
            _ => {}
        }
    }
}

impl FieldChange {
    /// Which field.
    pub fn field(&self) -> &Field {
        match self {
            Self::Added { field, .. } | Self::Removed { field, .. } | Self::Changed { field, .. } => field,
        }
    }
}

impl fmt::Display for FieldChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { field, value } => write!(f, "+ {field}: {value}"),
            Self::Removed { field, value } => write!(f, "- {field}: {value}"),
            Self::Changed { field, from, to } => write!(f, "~ {field}: {from} → {to}"),
        }
    }
}
