//! The crate from outside: against the standard's text, against other implementations, and by laws.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod differential;
mod key_sets;
mod laws;
mod refusals;
mod support;
#[cfg(feature = "wit")]
mod wit;
