//! Network namespaces, as the tests of `keyward-nft-marks` have them.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::disallowed_methods)]

#[path = "../../../../nft-marks/tests/support/namespace.rs"]
pub mod namespace;
#[path = "../../../../nft-marks/tests/support/world.rs"]
pub mod world;
