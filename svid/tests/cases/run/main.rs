//! Runs the case tables of this folder against our crates, and the peers that can be asked in Rust beside them.
//!
//! The tables are data for every implementation; `README.md` beside them says how they are read. Failures of one table
//! are collected, so that one run shows them all.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

mod bundle;
mod coverage;
mod federation;
mod generators;
mod jwt_svid;
mod peers;
mod spiffe_id;
mod table;
mod x509_svid;
