//! What authorities issue, judged by strangers, and their life in virtual time.
#![cfg(feature = "x509")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[cfg(feature = "transit")]
mod clients;
mod foreign;
mod openssl;
mod refusals;
mod requests;
#[cfg(feature = "transit")]
mod ring;
mod shape;
mod support;
