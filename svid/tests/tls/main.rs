//! Handshakes between rustls clients and servers that know each other by SPIFFE ID, over memory and with a clock that
//! stands still.

#![cfg(feature = "rustls")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod handshakes;
mod sources;
mod support;
