//! The host's firewall: the table `inet keyward`, made what documents say it should be, by the host's own `nft`.

mod apply;
mod nft;
mod place;
mod plan;
mod roll_back;
mod show;
mod source;
mod wanted;
mod watch;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use keyward_base::clock::Clock;
use keyward_config_values::Duration;

use self::apply::Applied;
use self::nft::Nft;
pub(crate) use self::nft::NftError;
use self::place::Place;
use self::source::{Origin, Source};
use crate::config::Config;
use crate::error::Error;
use crate::voice::Voice;

/// Nothing is to be changed, or was.
const SAME: u8 = 0;
/// It was not done.
const FAILED: u8 = 1;
/// `plan` and `verify`: there are differences.
const DIFFERENT: u8 = 2;

const HELP: &str = "\
The firewall is one nftables table, `inet keyward`. It marks what is the platform's in a few bits of the connection's
mark, so that a firewall of your own can tell; no other table is ever changed. Where it comes from:
  --file FILE     the tower's documents in YAML: `firewall`, `ingress/<name>`, `variables/<name>`, `system/sites/<name>`,
                  each with x-path and x-operation, as `supctl bulk` takes them
  --from-tower    what the tower says to this host, by its identity; kept in the state directory for when the tower
                  does not answer. This is the default.

Examples:
  edge-agent firewall plan --file host.yaml              what would change; exit 2 if something would
  edge-agent firewall apply --confirm-within 60s         and, if you can still reach the host:
  edge-agent firewall confirm                            else it is as before after 60 seconds, by itself
  edge-agent firewall apply --watch                      loads it, repairs it when somebody changes it, follows the tower
  edge-agent firewall verify                             exit 2 if the table is not what it should be

A change that waits for `confirm` is undone by a process of its own, which neither the end of the agent nor that of the
terminal stops. A systemd unit that is stopped takes it along; the next command of `edge-agent firewall` that
changes something undoes the change then, and so does --watch.

Environment:
  KEYWARD_NFT   as --nft      NO_COLOR   as --color never

Exit codes:
  0 done, or nothing to do   1 not done   2 `plan`, `verify`: there are differences; or wrong usage";

/// What is to be done with the firewall.
#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
    /// The host's `nft`
    #[arg(long, global = true, value_name = "PROGRAM", env = "KEYWARD_NFT", hide_env = true, default_value = "nft")]
    nft: OsString,
    /// Where agents on this host leave each other what waits to be confirmed
    #[arg(long, global = true, value_name = "DIR", default_value = "/run/keyward")]
    run_dir: PathBuf,
    /// When to use colours
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto")]
    color: When,
}

#[derive(Subcommand)]
enum Action {
    /// Show what would change; exit code 0 nothing, 2 something, 1 failed
    Plan(Plan),
    /// Make the table what it should be, or leave it as it is
    Apply(Apply),
    /// Keep what was applied with --confirm-within
    Confirm,
    /// Undo what was applied with --confirm-within and is not confirmed
    Rollback,
    /// Show the table as it is
    Show(Show),
    /// Compare the table with what it should be; exit code 0 the same, 2 different, 1 failed
    Verify(Plan),
    /// Take the table away
    Remove,
    /// Undoes a change in time
    #[command(hide = true)]
    Guard(Guard),
    /// Tells what changes, for as long as who asks for it is there
    #[command(hide = true)]
    Monitor(Monitor),
}

#[derive(Args)]
struct Plan {
    #[command(flatten)]
    source: Source,
    /// Every change, however many there are
    #[arg(long)]
    all: bool,
    /// How it is shown
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value = "text")]
    output: crate::config::Format,
}

#[derive(Args)]
struct Apply {
    #[command(flatten)]
    source: Source,
    /// Undo it after this time, such as `60s`, unless `edge-agent firewall confirm` comes before
    #[arg(long, value_name = "DURATION", conflicts_with = "watch")]
    confirm_within: Option<Duration>,
    /// Stay, repair the table when somebody changes it, and follow the tower
    #[arg(long)]
    watch: bool,
    /// With --watch: how often to look without being told of a change, and to ask the tower
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    interval: Duration,
}

#[derive(Args)]
struct Show {
    /// `text` as nft lists it, `model` a line for each thing in it, `json` for `nft -j -f`
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value = "text")]
    output: Shown,
}

#[derive(Args)]
struct Guard {
    #[arg(long)]
    pending: String,
    #[arg(long)]
    after_ms: u64,
}

#[derive(Args)]
struct Monitor {
    #[arg(long)]
    of: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

/// How the table is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shown {
    Text,
    Model,
    Json,
}

/// Does it.
///
/// # Errors
/// None that is not told here: their exit codes are of this command's own.
pub(crate) fn command(arguments: &Arguments, config: &Config) -> Result<ExitCode, Error> {
    let code = Session::begin(arguments, config).and_then(|session| session.act(&arguments.action));
    let code = code.unwrap_or_else(|error| {
        Voice::Screen.error(&error);
        FAILED
    });
    Ok(ExitCode::from(code))
}

/// What every action needs.
struct Session<'a> {
    config: &'a Config,
    clock: Clock,
    nft: Nft,
    run_dir: PathBuf,
    colors: bool,
}

impl<'a> Session<'a> {
    fn begin(arguments: &Arguments, config: &'a Config) -> Result<Self, Error> {
        let colors = match arguments.color {
            When::Always => true,
            When::Never => false,
            When::Auto => !config.no_color && io::stdout().is_terminal(),
        };
        let nft = Nft::find(&arguments.nft)?;
        Ok(Self { config, clock: config.clock.clone(), nft, run_dir: arguments.run_dir.clone(), colors })
    }

    fn act(&self, action: &Action) -> Result<u8, Error> {
        match action {
            Action::Plan(plan) => self.plan(plan, "would"),
            Action::Verify(plan) => self.plan(plan, "should"),
            Action::Apply(apply) => self.apply(apply),
            Action::Confirm => self.confirm(),
            Action::Rollback => self.undo(),
            Action::Show(show) => {
                self.tell_of_pending();
                show::show(&self.nft, show.output)
            }
            Action::Remove => self.remove(),
            Action::Guard(guard) => roll_back::guard(self, &guard.pending, guard.after_ms).map(|()| SAME),
            Action::Monitor(monitor) => Ok(self.nft.become_monitor(monitor.of).map(|()| SAME)?),
        }
    }

    fn place(&self) -> Result<Place, Error> {
        Place::open(&self.run_dir)
    }

    fn origin(&self, source: &Source) -> Result<Origin, Error> {
        source.origin(self.config)
    }

    /// Says that a change waits, to whoever only looks at the table.
    fn tell_of_pending(&self) {
        let Some(pending) = Place::look(&self.run_dir) else { return };
        let deadline = crate::voice::moment(pending.deadline);
        note_out(&match pending.deadline > self.clock.now() {
            true => format!("a change waits to be confirmed until {deadline}"),
            false => format!(
                "a change that nobody confirmed until {deadline} is not undone yet: `edge-agent firewall rollback` undoes it"
            ),
        });
    }

    fn plan(&self, arguments: &Plan, what: &str) -> Result<u8, Error> {
        self.tell_of_pending();
        let wanted = self.origin(&arguments.source)?.wanted()?;
        wanted.notes.iter().for_each(|note| note_out(note));
        let found = plan::Found::look(&self.nft, &wanted)?;
        let mut out = io::stdout().lock();
        let written = match arguments.output {
            crate::config::Format::Text => found.text(&mut out, arguments.all, self.colors, what),
            crate::config::Format::Json => found.json(&mut out, &self.nft),
        };
        pipe(written)?;
        found.findings.iter().for_each(|finding| note_out(&format!("warning: {finding}")));
        Ok(if found.is_same() { SAME } else { DIFFERENT })
    }

    fn apply(&self, arguments: &Apply) -> Result<u8, Error> {
        let mut origin = self.origin(&arguments.source)?;
        let wanted = origin.wanted()?;
        wanted.notes.iter().for_each(|note| note_out(note));
        let place = self.place()?;
        match apply::apply(self, &place, &wanted, arguments.confirm_within)? {
            Applied::Nothing => note_out("the firewall is what it should be"),
            Applied::Changed { changes, replaced } => {
                let how = if replaced { "loaded" } else { "changed in its place" };
                note_out(&format!("{how}: {changes} differences"));
                if let Some(within) = arguments.confirm_within {
                    note_out(&format!(
                        "in {within} it is undone, unless `edge-agent firewall confirm` comes before; see whether you can still reach this host from elsewhere"
                    ));
                }
            }
        }
        match plan::findings(&self.nft, &wanted) {
            Ok(findings) => findings.iter().for_each(|finding| note_out(&format!("warning: {finding}"))),
            Err(error) => note_out(&format!("warning: {error}")),
        }
        if arguments.watch {
            watch::watch(self, &place, origin, wanted, std::time::Duration::from_secs(arguments.interval.as_secs()))?;
        }
        Ok(SAME)
    }

    fn confirm(&self) -> Result<u8, Error> {
        let place = self.place()?;
        let _turn = place.turn()?;
        let Some(pending) = place.pending()? else {
            return Err(match place.rolled_back()? {
                Some(it) => Error::usage(
                    format!(
                        "there is nothing to confirm; the last change was undone at {}",
                        crate::voice::moment(it.at)
                    ),
                    "apply the change again, with more time for `confirm`",
                ),
                None => Error::usage(
                    "there is nothing to confirm",
                    "`edge-agent firewall verify` says whether the table is what it should be",
                ),
            });
        };
        if pending.deadline <= self.clock.now() {
            roll_back::roll_back(self, &place, &pending)?;
            return Err(Error::usage(
                "it is too late: the change was undone",
                "apply it again, with more time for `confirm`",
            ));
        }
        place.settle()?;
        note_out("confirmed");
        Ok(SAME)
    }

    fn undo(&self) -> Result<u8, Error> {
        let place = self.place()?;
        let _turn = place.turn()?;
        match place.pending()? {
            Some(pending) => {
                roll_back::roll_back(self, &place, &pending)?;
                note_out("undone: the table is as it was before");
                Ok(SAME)
            }
            None => Err(Error::usage(
                "there is nothing that waits to be confirmed",
                "apply another file, or `edge-agent firewall remove`",
            )),
        }
    }

    fn remove(&self) -> Result<u8, Error> {
        let place = self.place()?;
        let _turn = place.turn()?;
        place.settle()?;
        place.forget()?;
        if matches!(self.nft.listing(), Ok(None)) {
            note_out("there is no table `inet keyward`");
            return Ok(SAME);
        }
        self.nft.load(&keyward_nft_marks::Transaction::removing().to_string())?;
        note_out("the table is gone");
        Ok(SAME)
    }
}

/// To people, beside the data.
fn note_out(line: &str) {
    Voice::Screen.say(line);
}

/// Whoever closes the pipe has read enough.
fn pipe(written: io::Result<()>) -> Result<(), Error> {
    match written.and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::System(error)),
        _ => Ok(()),
    }
}
