//! The control tower: what lies below its HTTP handlers, and the handlers.
//!
//! The program is `src/main.rs`; it is a library too so that tests and benches run the same parts inside their own process.
//!
//! From the outside in: [`config`] reads flags, environment and file; [`data_dir`] holds what is on the disk, locked and
//! private; [`seal`] has the key that secrets at rest are sealed under; [`store`] keeps them; [`audit`] keeps what happened;
//! [`tls`] and [`server`] carry requests to the router.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod app;
pub mod audit;
pub mod authorities;
pub mod aws_trust;
pub mod backup;
pub mod backup_key;
mod batch;
pub mod bundle;
pub mod call_home;
pub mod changes;
pub mod config;
pub mod db;
pub mod documents;
pub mod due;
pub mod federation;
pub mod firewall;
pub mod gate;
pub mod http;
pub mod identity;
pub mod inbound;
pub mod issuer_check;
pub mod keyring;
pub mod launch;
pub mod layout;
pub mod login;
pub mod metrics;
pub mod migration;
pub mod moment;
pub mod network;
pub mod openapi;
pub mod outbound;
pub mod output;
pub mod own_svid;
pub mod pages;
pub mod policies;
pub mod publication;
pub mod random;
pub mod rate_limit;
pub mod restored;
pub mod rings;
pub mod router;
pub mod seal;
pub mod server;
pub mod standing;
pub mod store;
pub mod tasks;
pub mod tenant;
pub mod tls;
pub mod turns;
pub mod user;
pub mod wrapping_keys;

pub use keyward_base::{clock, data_dir, logging};
