//! Configuration documents at paths: read strictly, checked together, changed all or nothing.
//!
//! A program says which documents it keeps ([`Schema`], made of serde types); an operator sends YAML or JSON ([`Bulk`], [`Item`]); [`plan`] decides what that would do to the
//! documents that are there ([`Source`]), and the program stores the changes in one commit. Whatever does not fit is refused with
//! document, line, path, field, reason and remedy, and nothing is done.
//!
//! ```
//! use keyward_config_tree::{Bulk, Schema, collection, plan};
//! use std::collections::BTreeMap;
//!
//! #[derive(serde::Deserialize)]
//! #[serde(rename_all = "kebab-case")]
//! struct Role {
//!     name: String,
//!     token_num_uses: Option<u32>,
//! }
//!
//! let schema = Schema::new().with(collection::<Role>("roles/<name>"))?;
//! let documents = BTreeMap::new();
//!
//! let bulk = Bulk::parse(b"x-path: roles/payments\nx-operation: replace\ntoken-num-uses: 3\n").unwrap();
//! assert_eq!(plan(&documents, &bulk, &schema).unwrap().to_string(), "1 created");
//!
//! let bulk = Bulk::parse(b"x-path: roles/payments\nx-operation: replace\ntoken-num-users: 3\n").unwrap();
//! assert_eq!(
//!     plan(&documents, &bulk, &schema).unwrap_err().to_string(),
//!     "document 1, line 3, `roles/payments`: field `token-num-users`: unknown; \
//!      write `token-num-uses`, or one of `name`, `token-num-uses`",
//! );
//! # Ok::<(), keyward_config_tree::SchemaError>(())
//! ```
//!
//! # What this crate does not do
//!
//! It stores nothing and reads no file, clock or network: the documents that are there come through
//! [`Source`], and the changes are for the program to commit. It knows no document of its own. It writes no
//! YAML.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod bulk;
mod diff;
mod document;
mod error;
mod field;
mod hidden;
mod json;
pub mod limits;
mod marks;
mod nearest;
mod operation;
mod path;
mod pattern;
mod plan;
mod reference;
mod revision;
mod schema;
mod source;
pub mod strict;
mod text;
mod utf8;
mod view;
mod yaml;

pub use bulk::{Bulk, Item};
pub use diff::{FieldChange, diff};
pub use document::Document;
pub use error::{Error, ErrorKind, Reason};
pub use field::Field;
pub use hidden::without_hidden;
pub use operation::{Operation, UnknownOperation};
pub use path::{Path, PathError};
pub use plan::{Change, Effect, Outcome, Plan, Warning, plan, plan_hiding};
pub use reference::Reference;
pub use revision::{IfMatch, Revision, RevisionError};
pub use schema::{Schema, SchemaError, Typed, collection};
/// A JSON value, as documents hold them: [`serde_json::Value`].
pub use serde_json::Value;
pub use source::{Source, SourceError};
pub use strict::FieldError;
pub use view::{CrossError, View};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
