//! The values that configuration documents are made of: durations (`30d`), networks
//! (`10.0.0.0/8`), names (`payments`), distribution (`to: all`) and text with variables (`${site}`).
//!
//! Every type has one door in ([`FromStr`](std::str::FromStr), which serde goes through too) and one
//! canonical way out ([`Display`](std::fmt::Display)), and parsing what was displayed gives the
//! same value back. So a document that parses holds values that work, and every refusal
//! says what to write instead:
//!
//! ```
//! use keyward_config_values::{Cidr, Duration, Name};
//!
//! let every: Duration = "1h30m".parse()?;
//! assert_eq!(every.as_secs(), 5400);
//!
//! let office: Cidr = "192.0.2.0/24".parse()?;
//! assert!(office.contains("192.0.2.17".parse().unwrap()));
//!
//! let name: Name = "payments".parse()?;
//! assert_eq!(name.as_str(), "payments");
//!
//! let error = "30".parse::<Duration>().unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "`30`: a unit is missing; write `30s`, `30m`, `30h` or `30d`",
//! );
//! # Ok::<(), keyward_config_values::Error>(())
//! ```
//!
//! With the feature `config` there are the documents that give variables their values too: those of a tenant
//! and of its sites. With the feature `record`, stored records have a format number.
//!
//! # What this crate does not do
//!
//! It reads no clock, no file and no network. It does not know documents, paths or YAML: that is
//! `keyward-config-tree`. It does not resolve what a [`Distribute`] names: sites and deployments
//! may come to exist later.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod bindings;
mod cidr;
#[cfg(feature = "config")]
pub mod config;
mod distribute;
mod duration;
mod error;
mod moment;
mod name;
#[cfg(feature = "record")]
pub mod record;
mod template;
mod text;
mod variable;

pub use bindings::Bindings;
pub use cidr::Cidr;
pub use distribute::Distribute;
pub use duration::Duration;
pub use error::{Error, ErrorKind};
pub use moment::moment;
pub use name::Name;
pub use template::{Piece, Template, TemplatePart, Undefined};
pub use text::{Quoted, excerpt};
pub use variable::VariableName;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
