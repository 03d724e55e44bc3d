//! What the programs under `examples/` stand on, so that no two of them do it each in its own way.
//!
//! - [`bounded`]: what others name is read to a limit;
//! - [`clock`]: the only `now()`;
//! - [`data_dir`]: a private directory for one process, and files in it that a crash leaves whole;
//! - `logging` (feature of that name): log lines, to standard error;
//! - [`no_answer`]: why an HTTPS request got no answer, in words.
//!
//! It is no library for others: what decides something is in the crates at the top of the repository.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod bounded;
pub mod clock;
pub mod data_dir;
#[cfg(feature = "logging")]
pub mod logging;
pub mod no_answer;
