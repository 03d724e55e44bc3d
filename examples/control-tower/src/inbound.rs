//! Logins by SVID: the document that configures them, and the keys that verify what is presented.

mod config;
mod keys;
mod verify;

pub use self::{
    config::{COLLECTION, KeySource, SpiffeLoginConfig},
    keys::KeyCache,
    verify::{Credential, Inbound, Refusal},
};
