//! The tower's pages in Chromium: a driven browser with a virtual authenticator, a tower to look at, and somebody who checks what
//! can be used by everybody.
//!
//! The tests of this crate are the stories; `screenshots` takes pictures. Where things are comes from the environment:
//! `KEYWARD_TOWER` is the program, `KEYWARD_NPM` the directory in which `npm ci` was run, `KEYWARD_SHOTS` where pictures go.

pub mod axe;
pub mod chrome;
pub mod picture;
pub mod provider;
pub mod stage;
pub mod tower;

use std::path::PathBuf;

/// What the environment says under that name.
pub fn setting(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from)
}
