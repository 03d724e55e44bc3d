//! A host: a directory of its own, a host-id, and whatever an operator's script does there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use keyward_callhome_cert::HostHash;
use serde_json::Value;

pub(crate) struct Host {
    root: tempfile::TempDir,
    id: String,
    clock: Option<PathBuf>,
    /// What runs its programs: nothing, or `ip netns exec NAME`.
    pub(crate) inside: Vec<String>,
}

impl Host {
    /// A host with this id, which sees the time that a file says.
    pub(crate) fn new(id: &str, clock: Option<&Path>) -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("host-id"), format!("{id}\n")).unwrap();
        Self { root, id: id.to_owned(), clock: clock.map(Path::to_owned), inside: Vec::new() }
    }

    /// By what the tower knows it.
    pub(crate) fn hash(&self) -> String {
        HostHash::of(&self.id.parse().unwrap()).to_string()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("state").join(name)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    fn command(&self, program: &Path) -> Command {
        let mut words = self.inside.iter();
        let mut command = match words.next() {
            Some(first) => {
                let mut command = Command::new(first);
                command.args(words).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("KEYWARD_HOST_ID_FILE", self.root.path().join("host-id"));
        if let Some(clock) = &self.clock {
            command.env("KEYWARD_TEST_CLOCK", clock);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs an install script as its operator would.
    pub(crate) fn install(&self, shell: &[&str], script: &str) -> Output {
        let file = self.root.path().join("install.sh");
        fs::write(&file, script).unwrap();
        let mut command = self.command(Path::new(shell[0]));
        command.args(&shell[1..]).arg(&file).arg("--agent").arg(env!("CARGO_BIN_EXE_edge-agent"));
        command.arg("--state-dir").arg(self.path("")).output().unwrap()
    }

    /// Unpacks a call-home package, as who installs hosts otherwise than by the script does.
    pub(crate) fn unpack(&self, package: &str) {
        let file = self.root.path().join("package");
        fs::write(&file, package).unwrap();
        let words = "umask 077 && mkdir -p \"$1\" && base64 -d \"$2\" | tar -xf - -C \"$1\"";
        let mut command = self.command(Path::new("sh"));
        done(&command.args(["-c", words, "sh"]).arg(self.path("")).arg(file).output().unwrap());
    }

    /// The agent on this host.
    pub(crate) fn program(&self, args: &[&str]) -> Command {
        let mut command = self.command(Path::new(env!("CARGO_BIN_EXE_edge-agent")));
        command.args(args).arg("--state-dir").arg(self.path(""));
        command
    }

    pub(crate) fn agent(&self, args: &[&str]) -> Output {
        self.program(args).output().unwrap()
    }

    /// The agent as a service, which writes its log into a file.
    pub(crate) fn service(&self) -> Service {
        let log = self.root.path().join("log");
        let file = fs::File::create(&log).unwrap();
        let process = self.program(&["run"]).stderr(file).spawn().unwrap();
        Service { process, log }
    }

    /// What `status` says, and its exit code.
    pub(crate) fn status(&self) -> (Value, i32) {
        let output = self.agent(&["status", "--output", "json"]);
        let shown = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        (shown, output.status.code().unwrap())
    }

    /// In one word.
    pub(crate) fn state(&self) -> String {
        self.status().0["state"].as_str().unwrap().to_owned()
    }
}

/// An agent that goes on; killed when it is dropped.
pub(crate) struct Service {
    pub(crate) process: Child,
    log: PathBuf,
}

impl Service {
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until this holds.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, holds: impl FnMut() -> bool) {
        until(what, || self.log(), holds);
    }

    /// Waits until it ends.
    #[track_caller]
    pub(crate) fn end(&mut self) -> Option<i32> {
        let mut code = None;
        let log = self.log.clone();
        until(
            "the end of the agent",
            || fs::read_to_string(&log).unwrap(),
            || {
                code = self.process.try_wait().unwrap();
                code.is_some()
            },
        );
        code.unwrap().code()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Looks until this holds, for a minute at most.
#[track_caller]
pub(crate) fn until(what: &str, why: impl Fn() -> String, mut holds: impl FnMut() -> bool) {
    for _ in 0..600 {
        if holds() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("{what} did not come: {}", why());
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Both outputs, where it went well.
#[track_caller]
pub(crate) fn done(output: &Output) -> String {
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{said}");
    said
}
