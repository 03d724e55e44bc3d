//! Hosts call home: through the real listeners, from the certificate to the identity and its end.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

mod support;

#[path = "../../../callhome-cert/tests/callhome/cases.rs"]
mod cases;
#[path = "call_home/doors.rs"]
mod doors;
#[path = "call_home/firewall.rs"]
mod firewall;
#[path = "call_home/presentations.rs"]
mod presentations;
#[path = "call_home/proxies.rs"]
mod proxies;
#[path = "call_home/races.rs"]
mod races;
#[path = "call_home/rate.rs"]
mod rate;
#[path = "call_home/rig.rs"]
mod rig;
#[path = "call_home/story.rs"]
mod story;
