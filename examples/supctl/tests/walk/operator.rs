//! An operator with a home of their own, and what a command of theirs came to.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use crate::mock::Mock;

pub(crate) struct Operator {
    home: TempDir,
    environment: Vec<(&'static str, String)>,
}

/// What a command came to.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Outcome {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// It was done, and this is the data.
    #[track_caller]
    pub(crate) fn data(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    /// It failed with this code and without data, and this is why.
    #[track_caller]
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!((self.code, self.out.as_str()), (code, ""), "{self:?}");
        self.err
    }
}

impl Operator {
    /// Who knows no tower yet.
    pub(crate) fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), environment: Vec::new() }
    }

    /// Who has a token for this tower.
    pub(crate) fn at(mock: &Mock) -> Self {
        Self::new().with("KEYWARD_TOWER", &mock.url).with("KEYWARD_TOKEN", "token-of-environment")
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// A file of theirs.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn session_path(&self) -> PathBuf {
        self.home.path().join("config/keyward/supctl.json")
    }

    pub(crate) fn session(&self) -> serde_json::Value {
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let path = self.session_path();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }

    /// Starts a command in their home.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_supctl"))
            .args(args)
            .env_clear()
            .env("HOME", self.home.path())
            .env("XDG_CONFIG_HOME", self.home.path().join("config"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    pub(crate) fn end(child: Child) -> Outcome {
        Outcome::of(child.wait_with_output().unwrap())
    }

    pub(crate) fn run(&self, args: &[&str]) -> Outcome {
        Self::end(self.start(args))
    }

    pub(crate) fn run_with(&self, args: &[&str], input: &str) -> Outcome {
        let mut child = self.start(args);
        // It may refuse before it reads.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Self::end(child)
    }
}
