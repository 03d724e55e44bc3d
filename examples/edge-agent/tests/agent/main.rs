//! The program, against a tower that answers what a test tells it to: what a real one seldom does, or at no fixed moment.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::disallowed_methods)]

mod call_home;
mod fake;
mod firewall;
mod host;
mod kill;
mod run;
