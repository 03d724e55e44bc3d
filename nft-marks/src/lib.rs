//! nftables rulesets that mark what belongs to the platform, so that a firewall of the user's own can recognise it, and that touch
//! no table but one of their own.
//!
//! A [`Firewall`] says what belongs to the platform on one host. Its [`Table`], `inet keyward`, marks packets and connections with
//! their [`Class`] in a few bits ([`Marks`]). A [`Transaction`] makes of the table that is there the one that should be:
//!
//! ```
//! use keyward_config_values::Bindings;
//! use keyward_nft_marks::{
//!     Class, DEFAULT_MAX_RANGES, Expansion, Firewall, RangeSpec, Rest, Table, Transaction,
//! };
//!
//! // Where services are reached, as it is written, and what its variables are on this site.
//! let web = RangeSpec { ranges: vec!["10.${site}.0.0/24 tcp 443".parse()?], ..RangeSpec::default() };
//! let mut values = Bindings::default();
//! values.set("site".parse()?, "7");
//!
//! let mut firewall = Firewall::default();
//! firewall.interfaces = vec!["kw*".parse()?];
//! firewall.ingress = Expansion::new("ingress/web", &web, &values, DEFAULT_MAX_RANGES)?.into_set()?;
//! firewall.rest = Rest::DropWorkloads;
//! firewall.check(DEFAULT_MAX_RANGES)?;
//!
//! // What goes into `nft -f` on a host without the table, and what does not on one that has it.
//! let table = firewall.table();
//! let transaction = Transaction::between(None, &table);
//! assert!(transaction.to_string().starts_with("add table inet keyward\ndelete table inet keyward\ntable inet keyward {\n"));
//! let listed: Table = table.to_string().parse()?; // `nft -s list table inet keyward`
//! assert!(Transaction::between(Some(&listed), &table).is_empty());
//!
//! // What the user writes into a chain of their own.
//! let own = format!("{} accept", firewall.marks.user_match(Some(Class::Ingress)));
//! assert_eq!(own, "ct mark & 0x0f000000 == 0x01000000 accept");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What holds for every table
//!
//! - It loads and lists with nft 1.0.6 and 1.1.x, whichever of the two loaded it, and is listed as it was written.
//! - It changes in its place: connections keep their marks, no packet finds a chain missing, nor a range that stays.
//! - Only its own bits of a mark are written.
//! - Its chains have priorities of their own: `mangle + 5` before addresses are translated, `filter - 5` where packets pass.
//! - A packet costs about the same with a hundred thousand ranges as with ten.
//!
//! # Features
//!
//! - `config`: the documents `firewall`, `ingress/<name>` and `resource-profiles/<name>`, which serde reads.
//!
//! # What this crate does not do
//!
//! It runs no `nft` and reads no listing by itself: whoever does gives it the text. It decides nothing about packets: that is the
//! kernel's. Marks do not cross network namespaces, and neither does what is said here.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod address;
mod class;
#[cfg(feature = "config")]
pub mod config;
mod error;
mod expansion;
mod expression;
mod firewall;
mod interface;
mod known;
mod lint;
mod mark;
mod protocol;
mod range;
mod range_set;
mod table;
mod transaction;

pub use class::{Class, Marks};
pub use error::Error;
pub use expansion::{DEFAULT_MAX_RANGES, ExpandError, Expansion, RangeSpec, Sourced};
pub use expression::{ExpressionError, PortsExpression, Problem, ProtocolExpression, RangeExpression};
pub use firewall::{Egress, Firewall, FirewallError, Rest};
pub use interface::Interface;
pub use keyward_config_values::ErrorKind;
pub use known::{KNOWN_USERS, KnownUser};
pub use lint::{Finding, FindingKind, lint};
pub use mark::{MarkMatch, Mask};
pub use protocol::Protocol;
pub use range::{PortRange, Range};
pub use range_set::{Overlap, RangeSet};
pub use table::{ListingError, ProtocolNames, Table};
pub use transaction::{Change, Transaction};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
