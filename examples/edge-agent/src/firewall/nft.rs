//! The host's own `nft`.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use keyward_nft_marks::{ListingError, ProtocolNames, Table, Transaction};
use rustix::process::Signal;

/// The oldest version whose tables load and list as they are written.
const OLDEST: Version = Version(1, 0, 6);
/// How much of what nft says is repeated, in characters.
const SAID: usize = 600;
/// How long it may take: a hundred times what 100,000 ranges take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How much it may print: many times what 100,000 ranges are.
const MOST: u64 = 256 << 20;
const STEP: Duration = Duration::from_millis(1);

/// The host's `nft`, found and new enough.
#[derive(Debug, Clone)]
pub(crate) struct Nft {
    program: OsString,
    /// Which names its listings have.
    pub(crate) names: ProtocolNames,
    patience: Duration,
}

/// A version, as `nft --version` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32, u32);

/// Why `nft` did not do what it was to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NftError {
    /// There is none.
    #[error("there is no `{program}` on this host")]
    Missing {
        /// What was looked for
        program: String,
    },
    /// It cannot be started.
    #[error("cannot start `{program}`: {source}")]
    Start {
        /// What was to be started
        program: String,
        /// Why not
        source: io::Error,
    },
    /// It is older than what is known to work.
    #[error("`{program}` is version {found}, but the oldest that works is {OLDEST}")]
    TooOld {
        /// What was found
        program: String,
        /// Its version
        found: String,
    },
    /// It is something else.
    #[error("`{program} --version` says {said:?}, which is no version of nftables")]
    Unknown {
        /// What was found
        program: String,
        /// What it said
        said: String,
    },
    /// It died.
    #[error("`nft` was killed by signal {signal} while it was to {doing}")]
    Killed {
        /// The number of the signal
        signal: i32,
        /// What it was to do
        doing: &'static str,
    },
    /// It does not end.
    #[error("`nft` did not {doing} within {seconds} seconds, and was killed")]
    Hangs {
        /// What it was to do
        doing: &'static str,
        /// How long it was waited for
        seconds: u64,
    },
    /// The kernel does not allow it.
    #[error("`nft` may not {doing}: {said}")]
    Denied {
        /// What it was to do
        doing: &'static str,
        /// What it said
        said: String,
    },
    /// The kernel has no nftables.
    #[error("this kernel has no nftables: {said}")]
    NoKernel {
        /// What nft said
        said: String,
    },
    /// It did not.
    #[error("`nft` did not {doing}: {said}")]
    Failed {
        /// What it was to do
        doing: &'static str,
        /// What it said
        said: String,
    },
    /// Its listing makes no sense.
    #[error("what `nft` lists cannot be read: {0}")]
    Listing(#[from] ListingError),
}

impl NftError {
    /// Whether it ended with what it was to do, perhaps, instead of before.
    pub(crate) fn may_have_done_it(&self) -> bool {
        matches!(self, Self::Killed { .. } | Self::Hangs { .. })
    }

    /// What to do about it.
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "install the package `nftables`, or name the program with --nft",
            Self::Start { .. } => "make it a program that can be executed, or name another one with --nft",
            Self::TooOld { .. } => {
                "update the package `nftables` (Debian 12 has 1.0.6), or name another program with --nft"
            }
            Self::Unknown { .. } => "name the `nft` of nftables with --nft",
            Self::Killed { .. } => {
                "try again; if it dies each time, update the package `nftables`: old versions die of tables that new ones loaded"
            }
            Self::Hangs { .. } => "look at what it waits for; `edge-agent firewall verify` says how the table is",
            Self::Denied { .. } => {
                "run it as root, or with the capability CAP_NET_ADMIN in the host's network namespace"
            }
            Self::NoKernel { .. } => "load the module `nf_tables`, or use a kernel that has it",
            Self::Failed { .. } => "look at what it says; `edge-agent firewall show` has the table as it is",
            Self::Listing(_) => "look at `nft list table inet keyward`; if somebody else wrote it, delete it",
        }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl Version {
    /// Of `nftables v1.0.6 (Lester Gooch #5)`.
    fn read(said: &str) -> Option<Self> {
        let version = said.trim().strip_prefix("nftables v")?.split([' ', '-', '~', '+']).next()?;
        let mut numbers = version.split('.').map(str::parse);
        Some(Self(numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next().unwrap_or(Ok(0)).ok()?))
    }
}

impl Nft {
    /// Looks at a program.
    ///
    /// # Errors
    /// It is missing, something else, or too old.
    pub(crate) fn find(program: &OsStr) -> Result<Self, NftError> {
        let names = match std::path::Path::new("/etc/protocols").exists() {
            true => ProtocolNames::Known,
            false => ProtocolNames::Unknown,
        };
        Self { program: program.to_owned(), names, patience: PATIENCE }.checked()
    }

    fn checked(self) -> Result<Self, NftError> {
        let found = self;
        let output = found.run("say its version", &["--version"], "")?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        match Version::read(&said) {
            None => Err(NftError::Unknown { program: found.shown(), said: cut(&said) }),
            Some(version) if version < OLDEST => {
                Err(NftError::TooOld { program: found.shown(), found: version.to_string() })
            }
            Some(_) => Ok(found),
        }
    }

    /// Our table as nft lists it, if there is one, with the numbers of its rules: by them one rule can be changed alone.
    pub(crate) fn listing(&self) -> Result<Option<String>, NftError> {
        self.listed("-as")
    }

    /// The same without those numbers.
    pub(crate) fn plain_listing(&self) -> Result<Option<String>, NftError> {
        self.listed("-s")
    }

    fn listed(&self, options: &str) -> Result<Option<String>, NftError> {
        match self.run("list our table", &[options, "list", "table", "inet", "keyward"], "") {
            Ok(output) => Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned())),
            Err(NftError::Failed { said, .. }) if said.contains("No such file or directory") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Our table, if there is one.
    pub(crate) fn table(&self) -> Result<Option<Table>, NftError> {
        Ok(self.listing()?.map(|text| text.parse()).transpose()?)
    }

    /// Every table of the host, without the elements of sets.
    pub(crate) fn ruleset(&self) -> Result<String, NftError> {
        let output = self.run("list the host's tables", &["-s", "-t", "list", "ruleset"], "")?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Loads a transaction in its steps. One that is all of it is done or not; with two, the first one may be done alone.
    pub(crate) fn load_steps(&self, transaction: Transaction) -> Result<(), NftError> {
        transaction.into_steps().try_for_each(|step| self.load(&step.text(self.names).to_string()))
    }

    /// Loads a transaction: all of it, or nothing.
    pub(crate) fn load(&self, text: &str) -> Result<(), NftError> {
        self.run("load our table", &["-f", "-"], text).map(drop)
    }

    /// Says what changes, of whatever table, until it is killed or the thread that starts it ends, however that ends.
    pub(crate) fn monitor(&self) -> Result<Child, NftError> {
        // By way of this program: only a process itself can say with whom it ends.
        let mut command = Command::new("/proc/self/exe");
        command.args(["firewall", "monitor", "--of", &std::process::id().to_string()]).arg("--nft").arg(&self.program);
        let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        started.map_err(|source| self.not_started(source))
    }

    /// Becomes `nft monitor`, which ends when the process that started this one does.
    ///
    /// # Errors
    /// It did not become that.
    pub(crate) fn become_monitor(&self, parent: u32) -> Result<(), NftError> {
        let ends = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
        ends.map_err(|error| self.not_started(error.into()))?;
        // It may have ended before that was said.
        match rustix::process::getppid().is_some_and(|now| u32::try_from(now.as_raw_pid()) == Ok(parent)) {
            true => Err(self.not_started(self.command(&["monitor"]).exec())),
            false => Ok(()),
        }
    }

    /// The program, as a command line has it.
    pub(crate) fn program(&self) -> &OsStr {
        &self.program
    }

    fn shown(&self) -> String {
        self.program.to_string_lossy().into_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).env("LC_ALL", "C");
        command
    }

    fn not_started(&self, source: io::Error) -> NftError {
        match source.kind() {
            io::ErrorKind::NotFound => NftError::Missing { program: self.shown() },
            _ => NftError::Start { program: self.shown(), source },
        }
    }

    fn run(&self, doing: &'static str, arguments: &[&str], input: &str) -> Result<Output, NftError> {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|source| self.not_started(source))?;
        let (pipe, text) = (child.stdin.take(), input.as_bytes().to_vec());
        // It may complain while it still reads. One that ended reads no more, and its exit code says why.
        std::thread::spawn(move || pipe.map(|mut pipe| pipe.write_all(&text)));
        let (stdout, stderr) = (all_of(child.stdout.take()), all_of(child.stderr.take()));
        let ended = (|| {
            let stdout = stdout.recv_timeout(self.patience).ok()?;
            Some((stdout, stderr.recv_timeout(self.patience).ok()?, ended(&mut child, self.patience)?))
        })();
        let Some((stdout, stderr, status)) = ended else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(NftError::Hangs { doing, seconds: self.patience.as_secs() });
        };
        let status = status.map_err(|source| NftError::Start { program: self.shown(), source })?;
        let output = Output { status, stdout, stderr };
        if output.status.success() {
            return Ok(output);
        }
        if let Some(signal) = output.status.signal() {
            return Err(NftError::Killed { signal, doing });
        }
        let said = cut(String::from_utf8_lossy(&output.stderr).trim());
        // A program that was run through another one (`ip netns exec`, a wrapper) reports a signal as a shell does.
        Err(match output.status.code() {
            Some(code) if code > 128 && said.is_empty() => NftError::Killed { signal: code - 128, doing },
            _ if said.contains("Operation not permitted") || said.contains("Permission denied") => {
                NftError::Denied { doing, said }
            }
            _ if said.contains("Protocol not supported") => NftError::NoKernel { said },
            _ => NftError::Failed { doing, said },
        })
    }
}

/// What it prints, to its end. Who does not wait for it leaves it behind.
fn all_of(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (send, received) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.map(|pipe| pipe.take(MOST).read_to_end(&mut bytes));
        let _ = send.send(bytes);
    });
    received
}

/// What it ended with, if it ends in this time.
fn ended(child: &mut Child, patience: Duration) -> Option<io::Result<ExitStatus>> {
    let mut waited = Duration::ZERO;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(Ok(status)),
            Err(error) => return Some(Err(error)),
            Ok(None) if waited >= patience => return None,
            Ok(None) => {
                super::place::pause(STEP);
                waited += STEP;
            }
        }
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SAID) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn versions_are_read_as_nft_says_them() {
        for (said, version) in [
            ("nftables v1.0.6 (Lester Gooch #5)\n", Some(Version(1, 0, 6))),
            ("nftables v1.1.3 (Commodore Bullmoose #4)", Some(Version(1, 1, 3))),
            ("nftables v1.0.6-2+deb12u2 (x)", Some(Version(1, 0, 6))),
            ("nftables v1.1", Some(Version(1, 1, 0))),
            ("iptables v1.8.9", None),
            ("", None),
        ] {
            assert_eq!(Version::read(said), version, "{said}");
        }
        assert!(Version(1, 0, 2) < OLDEST && Version(0, 9, 8) < OLDEST && Version(1, 1, 0) > OLDEST);
    }

    /// A program that behaves like this.
    fn program(script: &str) -> (tempfile::TempDir, OsString) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("nft");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = path.into_os_string();
        (directory, path)
    }

    #[test]
    fn what_does_not_work_is_told_apart() {
        let missing = Nft::find(OsStr::new("/nowhere/nft")).unwrap_err();
        assert_eq!(missing.to_string(), "there is no `/nowhere/nft` on this host");
        assert!(missing.remedy().starts_with("install the package `nftables`"));
        let (_old, path) = program("echo 'nftables v0.9.8 (E.D.S.)'");
        let text = Nft::find(&path).unwrap_err().to_string();
        assert!(text.ends_with("is version 0.9.8, but the oldest that works is 1.0.6"), "{text}");
        let (_other, path) = program("echo hello");
        assert!(matches!(Nft::find(&path), Err(NftError::Unknown { said, .. }) if said == "hello"));
        let fake = |does: &str| {
            let (kept, path) = program(&format!("[ $1 = --version ] && echo 'nftables v1.0.6' && exit 0\n{does}"));
            let nft = Nft::find(&path).unwrap();
            (kept, nft)
        };
        let (_kept, nft) = fake("kill -SEGV $$");
        let error = nft.table().unwrap_err();
        assert_eq!(error.to_string(), "`nft` was killed by signal 11 while it was to list our table");
        assert!(error.may_have_done_it());
        let (_kept, nft) = fake("echo 'Operation not permitted (you must be root)' >&2; exit 1");
        assert!(nft.load("x").unwrap_err().remedy().starts_with("run it as root"));
        let (_kept, nft) = fake("echo 'Error: No such file or directory' >&2; exit 1");
        assert!(nft.table().unwrap().is_none());
        let (_kept, nft) = fake("cat > /dev/null; echo 'Error: syntax error' >&2; exit 1");
        assert_eq!(nft.load("x").unwrap_err().to_string(), "`nft` did not load our table: Error: syntax error");
        // It need not read what it is given.
        let (_kept, nft) = fake("exit 0");
        nft.load(&"x".repeat(1 << 20)).unwrap();
        // It does not end, with and without somebody below it.
        for hangs in ["exec sleep 1000", "sleep 1000; true", "exec >&- 2>&-; exec sleep 1000"] {
            let (_kept, nft) = fake(hangs);
            let error = Nft { patience: std::time::Duration::from_millis(200), ..nft }.load("x").unwrap_err();
            assert_eq!(error.to_string(), "`nft` did not load our table within 0 seconds, and was killed");
        }
        let (_kept, nft) = fake("echo 'table ip other {'; echo '}'");
        assert!(matches!(nft.table(), Err(NftError::Listing(_))));
    }
}
