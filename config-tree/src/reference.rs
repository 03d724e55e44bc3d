//! What a document needs of others.

use crate::Field;

/// A field of a document that names another document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub(crate) field: Field,
    pub(crate) to: String,
    pub(crate) kind: Kind,
}

/// How much the other document is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Required,
    Optional,
    Mention,
}

impl Reference {
    /// The document at that path must be there, and cannot be deleted while this one needs it.
    ///
    /// ```
    /// use keyward_config_tree::Reference;
    /// let key = "spiffe-jwt";
    /// Reference::required("jwt-signing-key", format!("strongbox/transit-keys/{key}"));
    /// ```
    pub fn required(field: impl Into<Field>, to: impl Into<String>) -> Self {
        Self { field: field.into(), to: to.into(), kind: Kind::Required }
    }

    /// The document at that path may be missing: a plan warns of it, and nothing is refused.
    pub fn optional(field: impl Into<Field>, to: impl Into<String>) -> Self {
        Self { field: field.into(), to: to.into(), kind: Kind::Optional }
    }

    /// The document at that path has something to do with this one. A plan says nothing of it; it is there to be found
    /// ([`Schema::names`](crate::Schema::names)).
    pub fn mention(field: impl Into<Field>, to: impl Into<String>) -> Self {
        Self { field: field.into(), to: to.into(), kind: Kind::Mention }
    }

    pub(crate) fn is_required(&self) -> bool {
        self.kind == Kind::Required
    }
}
