//! `edge-agent firewall` on the kernel: in network namespaces of its own, with the host's `nft`, and with another version beside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::disallowed_methods)]

mod change;
mod confirm;
mod host;
#[path = "../support/mod.rs"]
mod support;
mod watch;
