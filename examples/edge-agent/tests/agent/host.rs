//! A host: a state directory, and the program.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use serde_json::Value;

use crate::fake::Fake;

pub(crate) const HOST_ID: &str = "4c4c4544-0051-3010-8052-secret";

pub(crate) struct Host {
    root: tempfile::TempDir,
}

impl Host {
    /// A host that an install script has prepared.
    pub(crate) fn new(tower: &Fake) -> Self {
        let host = Self { root: tempfile::tempdir().unwrap() };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(host.path("call-home")).unwrap();
        fs::write(host.root.path().join("host-id"), HOST_ID).unwrap();
        host.prepare(tower);
        host
    }

    /// Writes what an install script writes, with a new certificate.
    pub(crate) fn prepare(&self, tower: &Fake) {
        let certified = rcgen::generate_simple_self_signed(["call-home.example".to_owned()]).unwrap();
        for (name, text) in [
            ("tower-url", format!("{}\n", tower.url)),
            ("ca.pem", tower.ca.clone()),
            ("certificate.pem", certified.cert.pem()),
            ("key.pem", certified.signing_key.serialize_pem()),
        ] {
            let path = self.path("call-home").join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("state").join(name)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The program on this host.
    pub(crate) fn program(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_edge-agent"));
        command.env_clear().args(args).arg("--state-dir").arg(self.path(""));
        command.arg("--host-id-file").arg(self.root.path().join("host-id"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn agent(&self, args: &[&str]) -> Output {
        self.program(args).output().unwrap()
    }

    /// Starts it, to go on.
    pub(crate) fn start(&self, args: &[&str]) -> Running {
        let mut process = self.program(args).spawn().unwrap();
        let lines = BufReader::new(process.stderr.take().unwrap());
        Running { process, lines, said: String::new() }
    }

    /// What `status` says, and its exit code.
    pub(crate) fn status(&self) -> (Value, i32) {
        let output = self.agent(&["status", "--output", "json"]);
        let shown = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        (shown, output.status.code().unwrap())
    }
}

/// A program that goes on; killed when it is dropped.
pub(crate) struct Running {
    pub(crate) process: Child,
    lines: BufReader<ChildStderr>,
    pub(crate) said: String,
}

impl Running {
    /// Reads on until it says this.
    #[track_caller]
    pub(crate) fn until(&mut self, text: &str) {
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                panic!("it never said {text:?}, but {}", self.said);
            }
            self.said += &line;
            if line.contains(text) {
                return;
            }
        }
    }

    /// Reads on until it ends, and answers its exit code.
    pub(crate) fn end(&mut self) -> Option<i32> {
        let mut line = String::new();
        while self.lines.read_line(&mut line).unwrap() > 0 {
            self.said += &std::mem::take(&mut line);
        }
        self.process.wait().unwrap().code()
    }

    pub(crate) fn terminate(&self) {
        let sent = Command::new("sh").arg("-c").arg(format!("kill -TERM {}", self.process.id())).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}
