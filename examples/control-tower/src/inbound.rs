//! Logins by SVID: the document that configures them, and the keys that verify what is presented.

mod config;
mod issuers;
mod keys;
mod state;
mod verify;

pub use self::{
    config::{COLLECTION, KeysFrom, SpiffeLoginConfig},
    issuers::{ClientIssuers, subjects},
    keys::KeyCache,
    verify::{Credential, Inbound, Refusal},
};
