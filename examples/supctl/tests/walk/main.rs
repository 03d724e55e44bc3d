//! The compiled `supctl` against a tower made of a thread: what it sends, what it shows, how it exits.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod bulk;
mod do_call;
mod edit;
mod help;
mod login;
mod mock;
mod operator;
mod reach;
mod show;
