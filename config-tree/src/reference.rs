//! What a document needs of others.

use crate::Field;

/// A field of a document that names another document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub(crate) field: Field,
    pub(crate) to: String,
    pub(crate) required: bool,
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
        Self { field: field.into(), to: to.into(), required: true }
    }

    /// The document at that path may be missing: a plan warns of it, and nothing is refused.
    pub fn optional(field: impl Into<Field>, to: impl Into<String>) -> Self {
        Self { field: field.into(), to: to.into(), required: false }
    }
}
