//! Random firewalls, and nft in network namespaces.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_types,
    clippy::disallowed_methods
)]

pub mod models;
pub mod namespace;
pub mod world;
