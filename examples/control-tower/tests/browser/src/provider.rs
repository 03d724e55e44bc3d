//! An OpenID provider that others wrote, on loopback.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::{setting, tower};

/// A running provider; killed when it is dropped.
pub struct Provider {
    process: Child,
    /// What its tokens name.
    pub issuer: String,
    /// Who issued its certificate, in PEM.
    pub authority: String,
    /// The hash of its public key, for a browser.
    pub spki: String,
    _files: tempfile::TempDir,
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What the client proves itself with.
pub const SECRET: &str = "a secret that the provider and the tower share";

impl Provider {
    /// For a client that is sent back to that address; `None` where there is no Node.js, or not what npm has for it.
    pub fn start(redirect: &str) -> Option<Self> {
        let modules = setting("KEYWARD_NPM").unwrap_or_else(|| PathBuf::from("."));
        if !modules.join("node_modules/oidc-provider").is_dir() {
            return None;
        }
        let files = tempfile::tempdir().unwrap();
        let (key, certificate) = (files.path().join("key.pem"), files.path().join("certificate.pem"));
        let (ca_key, ca) = (files.path().join("ca-key.pem"), files.path().join("ca.pem"));
        make(&ca_key, &ca, &["-subj", "/CN=an authority", "-addext", "keyUsage=critical,keyCertSign"]);
        let by = ["-CA", ca.to_str().unwrap(), "-CAkey", ca_key.to_str().unwrap()];
        let of = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
        let leaf = ["-addext", "basicConstraints=critical,CA:FALSE"];
        make(&key, &certificate, &[&by[..], &of[..], &leaf[..]].concat());
        let mut process = Command::new("node")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("provider.mjs"))
            .args([&modules, &key, &certificate])
            .args([SECRET, redirect])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let issuer = lines.next().unwrap().unwrap();
        // It says more, and is not to be told that there is no reader.
        std::thread::spawn(move || lines.for_each(drop));
        let spki = tower::spki(issuer.strip_prefix("https://").expect("the provider listens"));
        let authority = std::fs::read_to_string(ca).unwrap();
        Some(Self { process, issuer, authority, spki, _files: files })
    }
}

/// A key and its certificate.
fn make(key: &Path, certificate: &Path, more: &[&str]) {
    let status = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args(more)
        .arg("-keyout")
        .arg(key)
        .arg("-out")
        .arg(certificate)
        .stderr(Stdio::null())
        .status()
        .expect("openssl");
    assert!(status.success(), "{more:?}");
}
