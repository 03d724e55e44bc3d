//! Hosts and their tower, both as the programs that they are: from the install script that an operator hands out to an identity that
//! renews itself, with clocks that are moved.
//!
//! The control tower has to lie beside the agent, with its feature `test-clock`: `.ci/run` sees to that.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::disallowed_methods)]

mod come;
mod firewall;
mod go;
mod host;
mod kill;
mod namespaces;
#[path = "../../../control-tower/tests/support/process.rs"]
mod process;
mod world;
