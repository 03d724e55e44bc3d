//! What is hidden from whoever changes the configuration: kept as it is, and not told by what is answered.

use std::collections::BTreeMap;

use keyward_approle::{Operation as Permission, Visibility};
use keyward_config_tree::{Bulk, Document, Error, Operation, Path, Reason, Schema, plan};

use crate::{
    app::App,
    http::{
        caller::Caller,
        error::{Answer, ApiError},
    },
};

/// The fields of each document of a change that are hidden from whoever makes it.
#[derive(Default)]
pub(super) struct Masks {
    written: BTreeMap<Path, Vec<Visibility>>,
    /// Whether something is hidden of a document that is deleted: whole, but what refuses that can be made of what is hidden.
    deletes: bool,
}

impl Masks {
    /// What is hidden from a caller who reads the documents of a change, and from one who writes them.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn of(app: &App, caller: &Caller, bulk: &Bulk) -> Answer<Self> {
        let standing = caller.standing(app).await?;
        let mut masks = Self::default();
        for item in bulk.items() {
            let operations: &[Permission] = match item.operation() {
                Operation::Create => &[Permission::Read, Permission::Create],
                Operation::Replace => &[Permission::Read, Permission::Create, Permission::Update],
                Operation::Merge => &[Permission::Read, Permission::Update],
                // Of the whole document, what is hidden in it included.
                _ => &[Permission::Read, Permission::Delete],
            };
            for operation in operations {
                if let Some(hidden) = standing.hidden(*operation, &format!("/v1/config/{}", item.path()))? {
                    match item.operation() {
                        Operation::Delete => masks.deletes = true,
                        _ => masks.written.entry(item.path().clone()).or_default().push(hidden),
                    }
                }
            }
        }
        Ok(masks)
    }

    /// Whether the field at the end of a way is hidden.
    pub(super) fn hides(&self, path: &Path, way: &[&str]) -> bool {
        self.written.get(path).is_some_and(|masks| masks.iter().any(|mask| mask.hides(way)))
    }

    /// Whether anything of the document is hidden.
    pub(super) fn is_about(&self, path: &str) -> bool {
        self.written.keys().any(|masked| masked.as_str() == path)
    }

    /// A refusal of the plan. What is wrong with a document as it was sent is told; what is wrong with it together with what is
    /// hidden is not.
    pub(super) fn veil(&self, error: Error, bulk: &Bulk, schema: &Schema) -> ApiError {
        let about = error.path().is_some_and(|path| self.is_about(path));
        if !about
            || matches!(
                error.reason(),
                Reason::Hidden | Reason::HiddenInside | Reason::Exists | Reason::NotFound { .. }
            )
        {
            return error.into();
        }
        let nothing = BTreeMap::<Path, Document>::new();
        match plan(&nothing, bulk, schema) {
            Err(alone) if alone == error => error.into(),
            _ => {
                let text = format!(
                    "`{}`: with the fields that are hidden from you it is not valid",
                    error.path().unwrap_or_default()
                );
                let status = ApiError::from(error).status();
                ApiError::new(status, text)
            }
        }
    }

    /// A refusal of what follows from the plan.
    pub(super) fn veil_effect(&self, error: ApiError) -> ApiError {
        if (self.written.is_empty() && !self.deletes) || !error.status().is_client_error() {
            return error;
        }
        ApiError::new(
            error.status(),
            "the change does not go with what is there, fields that are hidden from you included",
        )
    }
}
