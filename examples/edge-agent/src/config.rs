//! The only reader of flags and environment. A flag wins over the environment.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use keyward_base::bounded;
use keyward_base::clock::Clock;
use keyward_base::logging::{self, LogFormat, LoggingError};
use keyward_config_values::Duration;
use keyward_config_values::config::HostId;
use keyward_svid::HttpsUrl;

use crate::firewall;

/// No file that a flag names is longer.
const LONGEST: u64 = 1 << 20;

const EXAMPLES: &str = "\
A host comes in:
  sh install.sh                          an operator's install script writes the call-home package, and runs
  edge-agent call-home --until registered
  edge-agent status                      `unclaimed` until somebody claims the host to a site
  edge-agent run                         what the service does: wait to be claimed, then keep the identity renewed

Without a package, where the tower asks for no call-home certificate:
  edge-agent call-home --tower-url https://tower.example.com:4649 --ca ca.pem

The host-id is a secret between the host and its tower. By default it is the product UUID of the machine, or
/etc/machine-id where there is none. --host-id-file gives another; --host-id does too, but other users of the
host can read it while the command runs.

The state directory (mode 0700):
  call-home/       tower-url, ca.pem, and until the host is registered certificate.pem and key.pem
  host-id          what it calls home with
  key.pem          the host's own key: made here, and it never leaves
  identity.pem     its X.509-SVID, leaf first
  bundle.pem       the authorities that verify others in its trust domain
  state.json       what `status` shows

Environment:
  KEYWARD_STATE_DIR, KEYWARD_TOWER_URL, KEYWARD_CA, KEYWARD_HOST_ID, KEYWARD_HOST_ID_FILE, KEYWARD_LOG,
  KEYWARD_LOG_FILTER   as the flags

Exit codes:
  0 done   1 refused by the tower   2 usage, or a file that cannot be used   3 no answer, or not yet";

#[derive(Parser)]
#[command(
    name = "edge-agent",
    version,
    about = "The agent of a host: calls home, and keeps the host's identity",
    arg_required_else_help = true,
    after_help = EXAMPLES,
    max_term_width = 110
)]
struct Arguments {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
#[command(next_help_heading = "Settings of every command")]
struct Settings {
    /// Where the state of the host is kept
    #[arg(long, global = true, value_name = "DIR", env = "KEYWARD_STATE_DIR", hide_env = true)]
    #[arg(default_value = "/var/lib/keyward")]
    state_dir: PathBuf,
    /// Where to call home, instead of where the call-home package says
    #[arg(long, global = true, value_name = "URL", env = "KEYWARD_TOWER_URL", hide_env = true, requires = "ca")]
    tower_url: Option<HttpsUrl>,
    /// The authorities that know the tower (PEM), instead of those of the call-home package
    #[arg(long, global = true, value_name = "FILE", env = "KEYWARD_CA", hide_env = true, requires = "tower_url")]
    ca: Option<PathBuf>,
    /// The host-id; other users can read it while the command runs, so rather use --host-id-file
    #[arg(long, global = true, value_name = "ID", env = "KEYWARD_HOST_ID", hide_env = true)]
    #[arg(conflicts_with = "host_id_file")]
    host_id: Option<HostId>,
    /// A file that holds the host-id and nothing else
    #[arg(long, global = true, value_name = "FILE", env = "KEYWARD_HOST_ID_FILE", hide_env = true)]
    host_id_file: Option<PathBuf>,
    /// How `run` logs, to standard error
    #[arg(long, global = true, value_enum, value_name = "FORMAT", env = "KEYWARD_LOG", hide_env = true)]
    #[arg(default_value = "text")]
    log: LogFormat,
    /// What `run` logs: `info`, `debug`, or per module such as `info,edge_agent=debug`
    #[arg(long, global = true, value_name = "FILTER", env = "KEYWARD_LOG_FILTER", hide_env = true)]
    #[arg(default_value = "info")]
    log_filter: String,
    /// Reads the clock's offset from a file: seconds, or a duration such as `+30d`; with a tower on loopback alone
    #[cfg(feature = "test-clock")]
    #[arg(long, global = true, value_name = "FILE", env = "KEYWARD_TEST_CLOCK", hide_env = true)]
    test_clock: Option<PathBuf>,
}

/// What the program is to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Call home, and wait to be claimed
    CallHome(CallHome),
    /// Keep the host's identity: call home if there is none, renew it, until SIGTERM
    Run,
    /// Say how this host stands
    Status(Status),
    /// Show, load and watch the host's firewall
    Firewall(firewall::Arguments),
}

#[derive(Args)]
#[command(after_help = "\
Calling again is harmless: the same key asks the same question, and a host that has an identity keeps it.
While nobody answers, it tries again: after a second, then less and less often, at most every five minutes.

Examples:
  edge-agent call-home --until registered            what the install script does
  edge-agent call-home --wait 10m                    exit 3 when the host was not claimed in that time
  edge-agent call-home --tower-url https://tower.example.com:4649 --ca ca.pem --host-id-file /etc/host-id

Without a key in the install script:
  edge-agent call-home --print-csr > csr.pem         on the host; then an operator
  supctl do system/call-home/install-script csr=@csr.pem > install.sh")]
pub(crate) struct CallHome {
    /// What to wait for
    #[arg(long, value_enum, value_name = "STATE", default_value = "claimed")]
    pub(crate) until: Until,
    /// For how long to try, such as `10m`; without end by default
    #[arg(long, value_name = "DURATION")]
    pub(crate) wait: Option<Duration>,

    /// Only print a certificate request, for a call-home certificate whose key never leaves this host
    #[arg(long, conflicts_with_all = ["until", "wait"])]
    pub(crate) print_csr: bool,
}

/// What a host that calls home waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Until {
    /// The tower knows the host; whether it is claimed or not
    Registered,
    /// An operator claimed the host to a site, and it has its identity
    Claimed,
}

#[derive(Args)]
#[command(after_help = "\
Exit codes:
  0 the host has an identity   1 the tower refused it   2 usage   3 not registered, not claimed, or expired")]
pub(crate) struct Status {
    /// How it is shown
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Format,
}

/// How data is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// The settings, read.
pub(crate) struct Config {
    /// Where the state of the host is kept.
    pub(crate) state_dir: PathBuf,
    /// The tower and the authorities that know it (PEM), where they were given.
    pub(crate) tower: Option<(HttpsUrl, String)>,
    /// The host-id, where one was given.
    pub(crate) host_id: Option<HostId>,
    log: LogFormat,
    log_filter: String,
    /// The time.
    pub(crate) clock: Clock,
    /// Whether somebody else moves the clock.
    pub(crate) clock_is_moved: bool,
    /// Where systemd listens.
    pub(crate) notify: Notify,
    /// Whether colours are not wanted (no-color.org).
    pub(crate) no_color: bool,
}

/// What systemd says in the environment of a service (sd_notify(3), sd_watchdog_enabled(3)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notify {
    /// `NOTIFY_SOCKET`
    pub(crate) socket: Option<std::ffi::OsString>,
    /// `WATCHDOG_USEC`, where it is for this process.
    pub(crate) watchdog: Option<std::time::Duration>,
}

/// Why the settings are of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ConfigError {
    /// The arguments do not parse, or ask for help or the version, which is not an error; print it and exit with its code.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// A file that a flag names cannot be read.
    #[error("cannot read `{}` of {flag}: {source}", path.display())]
    Unreadable {
        /// The flag
        flag: &'static str,
        /// The file
        path: PathBuf,
        /// Why
        source: std::io::Error,
    },
    /// A file holds something else than a host-id.
    #[error("`{}` of --host-id-file: {source}", path.display())]
    HostId {
        /// The file
        path: PathBuf,
        /// What is wrong
        source: keyward_config_values::Error,
    },
    /// The log filter is none.
    #[error(transparent)]
    Logging(#[from] LoggingError),
    /// The offset of the clock is none.
    #[cfg(feature = "test-clock")]
    #[error(transparent)]
    Clock(#[from] keyward_base::clock::ClockError),
}

impl Config {
    /// The command and the settings of this process.
    ///
    /// # Errors
    /// [`ConfigError`], each naming the flag or file.
    #[expect(clippy::disallowed_methods, reason = "this is the only reader of flags and environment")]
    pub(crate) fn read() -> Result<(Command, Self), ConfigError> {
        let Arguments { settings, command } = Arguments::try_parse_from(std::env::args_os())?;
        let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
        let for_us = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let notify = Notify {
            socket: std::env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty()),
            watchdog: number("WATCHDOG_USEC").filter(|_| for_us).map(std::time::Duration::from_micros),
        };
        let mut config = settings.complete(notify)?;
        config.no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Ok((command, config))
    }

    /// Begins to log.
    ///
    /// # Errors
    /// The filter is none.
    pub(crate) fn start_logging(&self) -> Result<(), ConfigError> {
        Ok(logging::start(self.log, &self.log_filter)?)
    }
}

impl Settings {
    fn complete(self, notify: Notify) -> Result<Config, ConfigError> {
        let tower = match (self.tower_url, self.ca) {
            (Some(url), Some(ca)) => Some((url, read("--ca", &ca)?)),
            _ => None,
        };
        let host_id = match (self.host_id, self.host_id_file) {
            (Some(id), _) => Some(id),
            (None, Some(path)) => {
                let id = read("--host-id-file", &path)?.trim().parse();
                Some(id.map_err(|source| ConfigError::HostId { path, source })?)
            }
            (None, None) => None,
        };
        #[cfg(feature = "test-clock")]
        let (clock, clock_is_moved) = match &self.test_clock {
            Some(path) => (Clock::from_offset_file(path)?, true),
            None => (Clock::system(), false),
        };
        #[cfg(not(feature = "test-clock"))]
        let (clock, clock_is_moved) = (Clock::system(), false);
        Ok(Config {
            state_dir: self.state_dir,
            tower,
            host_id,
            log: self.log,
            log_filter: self.log_filter,
            clock,
            clock_is_moved,
            notify,
            no_color: false,
        })
    }
}

fn read(flag: &'static str, path: &Path) -> Result<String, ConfigError> {
    bounded::text(path, LONGEST).map_err(|source| ConfigError::Unreadable { flag, path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parsed(args: &[&str]) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from([&["edge-agent"], args].concat())
    }

    #[test]
    fn flags_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_tower_comes_with_its_authorities() {
        assert!(parsed(&["call-home", "--tower-url", "https://tower"]).is_err());
        assert!(parsed(&["call-home", "--ca", "ca.pem"]).is_err());
        assert!(parsed(&["call-home", "--tower-url", "http://tower", "--ca", "ca.pem"]).is_err());
        assert!(parsed(&["run", "--tower-url", "https://tower", "--ca", "ca.pem"]).is_ok());
        assert!(parsed(&["run", "--host-id", "a", "--host-id-file", "b"]).is_err());
    }

    #[test]
    fn the_host_id_of_a_file_is_checked_and_not_repeated() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let complete = |text: &str| {
            std::fs::write(path, text).unwrap();
            parsed(&["run", "--host-id-file", path]).unwrap().settings.complete(Notify::default())
        };
        assert_eq!(complete("h1\n").unwrap().host_id.unwrap().as_str(), "h1");
        let endless = parsed(&["run", "--host-id-file", "/dev/zero"]).unwrap().settings.complete(Notify::default());
        assert_eq!(
            endless.err().unwrap().to_string(),
            "cannot read `/dev/zero` of --host-id-file: it is longer than 1 MiB"
        );
        let error = complete("secret id").err().unwrap().to_string();
        assert!(error.contains("--host-id-file") && !error.contains("secret"), "{error}");
    }
}
