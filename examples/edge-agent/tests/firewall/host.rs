//! A host with an agent, and what is said to it.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::namespace::{Namespace, nft, other_nft};

pub(crate) const AGENT: &str = env!("CARGO_BIN_EXE_edge-agent");
/// As long as anything here may take on a machine that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A table of somebody else.
pub(crate) const OTHERS: &str = "table inet user {
\tset blocked {
\t\ttype ipv4_addr
\t\telements = { 192.0.2.66 }
\t}

\tchain input {
\t\ttype filter hook input priority filter; policy accept;
\t\tip saddr @blocked drop
\t\tmeta mark & 0x000000ff == 0x00000001 counter
\t}
}
";

/// What a file says; `ranges` are those of one ingress.
pub(crate) fn documents(rest: &str, ranges: &[String]) -> String {
    let mut text = format!(
        "x-path: firewall\nx-operation: replace\nworkload-interfaces: [kw*]\nrest: {rest}\ncontrol-inbound: ['${{host-address}} tcp 22']\n---\n\
         x-path: variables/host-address\nx-operation: create\nname: host-address\nvalue: 10.1.0.1\n"
    );
    if !ranges.is_empty() {
        write!(
            text,
            "---\nx-path: ingress/web\nx-operation: create\nname: web\napplication: shop\nranges: {ranges:?}\n"
        )
        .unwrap();
    }
    text
}

pub(crate) fn one(range: &str) -> Vec<String> {
    vec![range.to_owned()]
}

/// A host with an agent.
pub(crate) struct Host<'a> {
    pub(crate) namespace: &'a Namespace,
    pub(crate) directory: TempDir,
    pub(crate) nft: String,
}

impl<'a> Host<'a> {
    pub(crate) fn new(namespace: &'a Namespace, nft: &str) -> Self {
        Self { namespace, directory: tempfile::tempdir().unwrap(), nft: nft.to_owned() }
    }

    pub(crate) fn file(&self, text: &str) -> PathBuf {
        let path = self.directory.path().join("host.yaml");
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let run = self.directory.path().join("run");
        let state = self.directory.path().join("state");
        let common = ["--nft", &self.nft, "--run-dir", run.to_str().unwrap(), "--state-dir", state.to_str().unwrap()];
        self.namespace.command(AGENT, &[&["firewall"], arguments, &common[..]].concat())
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs it with these documents; answers the exit code and what it printed.
    #[track_caller]
    pub(crate) fn with(&self, text: &str, arguments: &[&str]) -> (i32, String) {
        let file = self.file(text);
        let output = self.run(&[arguments, &["--file", file.to_str().unwrap()]].concat());
        (output.status.code().unwrap(), shown(&output))
    }

    #[track_caller]
    pub(crate) fn apply(&self, text: &str) {
        let (code, shown) = self.with(text, &["apply"]);
        assert_eq!(code, 0, "{shown}");
    }

    /// The host's tables but for ours.
    pub(crate) fn others(&self) -> String {
        let all = self.namespace.run(&self.nft, &["-s", "list", "ruleset"]);
        let mut kept = String::new();
        let mut ours = false;
        for line in all.lines() {
            ours = line == "table inet keyward {" || (ours && !line.starts_with("table "));
            if !ours {
                writeln!(kept, "{line}").unwrap();
            }
        }
        kept
    }
}

pub(crate) fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub(crate) fn nfts() -> Vec<String> {
    std::iter::once(nft()).chain(other_nft()).collect()
}

/// Waits for something that takes its time.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The arguments of a process, and nothing of one that ended.
pub(crate) fn arguments(process: &str) -> String {
    let line = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

/// An agent that watches, until it is dropped.
pub(crate) struct Watching(pub(crate) Child);

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
