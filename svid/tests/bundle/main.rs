//! Bundles, bundle maps and federation, as strangers use them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![cfg(feature = "x509")]

#[cfg(feature = "config")]
mod config;
mod document;
mod federation;
mod laws;
mod map;
#[cfg(feature = "transit")]
mod simulation;
mod support;
