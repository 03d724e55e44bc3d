//! `vaultrs`, a client of Vault in Rust, as it comes. What calls it is a program of its own, with a lock file of its own: in the
//! workspace it would have most of it built again, with other features.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::disallowed_methods)]

#[path = "support/process.rs"]
mod process;

use std::{path::Path, process::Command};

use process::Tower;

#[tokio::test]
#[ignore = "needs the packages of vaultrs: run by .ci/run"]
async fn every_call_of_vaultrs_to_keys_approles_and_tokens_is_served_or_has_a_reason() {
    let directory = tempfile::tempdir().unwrap();
    let tower = Tower::start(directory.path());
    let token = tower.administrator().await;
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vaultrs/Cargo.toml");
    // Beside the tower's own, where that is: another graph of packages, and another lock.
    let target = Path::new(env!("CARGO_BIN_EXE_control-tower")).ancestors().nth(2).unwrap().join("vaultrs");
    let output = Command::new(env!("CARGO"))
        .args(["run", "--locked", "--quiet", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(target)
        .env("VAULT_ADDR", &tower.url)
        .env("VAULT_CACERT", tower.line["ca-cert"].as_str().unwrap())
        .env("VAULT_TOKEN", &token)
        .output()
        .unwrap();
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{errors}");
    let unserved = said.lines().filter(|line| line.contains(": not served: ")).count();
    assert_eq!(unserved, 8, "{said}");
}
