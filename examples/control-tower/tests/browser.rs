//! The pages in Chromium, with a virtual authenticator and axe-core. What drives it is a crate of its own, with a lock file of its
//! own: in the workspace it would have most of it built again, with other features.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// What an environment variable names, or else a place below the repository.
fn place(variable: &str, otherwise: &str) -> PathBuf {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::env::var_os(variable).map_or_else(|| repository.join(otherwise), PathBuf::from)
}

fn cargo(arguments: &[&str]) {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/Cargo.toml");
    // Beside the tower's own, where that is: another graph of packages, and another lock.
    let target = Path::new(env!("CARGO_BIN_EXE_control-tower")).ancestors().nth(2).unwrap().join("browser");
    let (command, more) = arguments.split_first().unwrap();
    let status = Command::new(env!("CARGO"))
        .arg(command)
        .args(["--locked", "--quiet", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(target)
        .args(more)
        .env("KEYWARD_TOWER", env!("CARGO_BIN_EXE_control-tower"))
        .env("KEYWARD_NPM", place("KEYWARD_NPM", "target/npm"))
        .env("KEYWARD_SHOTS", place("KEYWARD_SHOTS", "target/shots"))
        .status()
        .unwrap();
    assert!(status.success(), "{arguments:?}");
}

#[test]
#[ignore = "needs Chromium, chromedriver and what npm has for it: run by .ci/run"]
fn what_people_do_with_the_pages() {
    // Two at a time: each has a browser and a tower.
    cargo(&["test", "--", "--test-threads=2"]);
}

#[test]
#[ignore = "needs Chromium, chromedriver and what npm has for it: run by .ci/run"]
fn pictures_of_every_page_and_what_axe_says() {
    let gallery = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gallery");
    assert!(gallery.is_dir(), "`cargo test -p control-tower --test gallery` writes the pages");
    let shots = place("KEYWARD_SHOTS", "target/shots").join("gallery");
    cargo(&["run", "--bin", "gallery", "--", gallery.to_str().unwrap(), shots.to_str().unwrap()]);
}
