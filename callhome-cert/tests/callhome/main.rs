//! Calling home: what is admitted, what is not and why, judged by strangers where they can judge.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod admission;
mod cases;
mod header;
mod matrix;
mod proxy;
mod script;
mod support;
