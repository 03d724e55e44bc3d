//! The crate as a program uses it: a schema shaped like the documents of the AWS example.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod aws;
mod hostile;
mod laws;
mod lines;
mod plans;
mod schema;
