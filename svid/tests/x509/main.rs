//! Reading and verifying X.509-SVIDs, with certificates made by rcgen.

#![cfg(feature = "x509")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod algorithms;
mod bundles;
mod constraints;
mod laws;
mod leaves;
mod paths;
mod support;
