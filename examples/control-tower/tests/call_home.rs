//! Hosts call home: through the real listeners, from the certificate to the identity and its end.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

mod support;

#[path = "call_home/firewall.rs"]
mod firewall;
#[path = "call_home/rig.rs"]
mod rig;
#[path = "call_home/story.rs"]
mod story;
