//! The tables are what their generators write.

use std::path::PathBuf;
use std::process::Command;

use crate::table::{KINDS, folder};

#[test]
#[ignore = "needs Python with cryptography: run by .ci/run"]
fn write_the_same_bytes_again() {
    let venv = std::env::var_os("KEYWARD_VENV").map_or_else(|| folder().join("../../../target/venv"), PathBuf::from);
    let python = venv.join("bin/python");
    assert!(python.exists(), "there is no virtual environment at `{}`: run `.ci/install`", venv.display());
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder()).unwrap().map(Result::unwrap) {
        if entry.file_name().to_str().is_some_and(|name| name.ends_with(".py") || name.ends_with(".txt")) {
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    for generator in ["make-spiffe-id.py", "make-jwt-svid.py", "make-x509.py", "make-bundle.py"] {
        let output = Command::new(&python).arg(copy.path().join(generator)).output().unwrap();
        assert!(output.status.success(), "{generator}: {}", String::from_utf8_lossy(&output.stderr));
    }
    for kind in KINDS {
        let name = format!("{kind}.json");
        let (ours, written) =
            (std::fs::read(folder().join(&name)).unwrap(), std::fs::read(copy.path().join(&name)).unwrap());
        assert!(ours == written, "{name} is not what its generator writes");
    }
}
