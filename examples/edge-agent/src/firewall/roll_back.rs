//! Changes that undo themselves unless they are confirmed.
//!
//! The table as it was and the deadline are in a file before anything is changed, and a process of its own waits for the deadline,
//! in a session of its own: it goes on when the agent is killed and when the terminal is gone. If it is killed too, the next command
//! finds the file.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration as Pause;

use keyward_nft_marks::{Table, Transaction};

use super::Session;
use super::nft::{Nft, NftError};
use super::place::{Pending, Place, RolledBack, pause};
use crate::error::Error;

/// How often the waiting process looks whether the change was confirmed.
const LOOK: Pause = Pause::from_millis(200);
/// How often, and after what time, it tries again where `nft` fails.
const TRIES: usize = 60;
const AGAIN: Pause = Pause::from_secs(5);
/// What it says when it waits.
const READY: &str = "ready";

/// Has a change undone in time, before it is made.
///
/// # Errors
/// The process does not start; nothing was changed then.
pub(crate) fn arm(session: &Session<'_>, place: &Place, within: Pause, before: Option<String>) -> Result<(), Error> {
    let now = session.clock.now();
    let id = format!("{}-{}", now.unix_timestamp_nanos(), std::process::id());
    let until = time::Duration::try_from(within).unwrap_or(time::Duration::MAX);
    place.wait_for(&Pending::new(id.clone(), now.saturating_add(until), before))?;
    let armed = start(session, &id, within);
    if armed.is_err() {
        place.settle()?;
    }
    armed
}

fn start(session: &Session<'_>, id: &str, within: Pause) -> Result<(), Error> {
    let cannot = |error: &dyn std::fmt::Display| {
        Error::usage(
            format!("cannot start what would undo the change: {error}"),
            "nothing was changed; try again, or leave --confirm-within out",
        )
    };
    // The program as it is now, also when it is replaced meanwhile.
    let mut command = Command::new("/proc/self/exe");
    command.arg("firewall").arg("guard").arg("--pending").arg(id);
    command.arg("--after-ms").arg(within.as_millis().to_string());
    command.arg("--run-dir").arg(&session.run_dir).arg("--nft").arg(session.nft.program());
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| cannot(&error))?;
    let mut said = String::new();
    let output = child.stdout.take().ok_or_else(|| cannot(&"it has no output"))?;
    BufReader::new(output).read_line(&mut said).map_err(|error| cannot(&error))?;
    if said.trim() == READY { Ok(()) } else { Err(cannot(&"it ended")) }
}

/// The process that waits.
///
/// # Errors
/// The change cannot be undone.
pub(crate) fn guard(session: &Session<'_>, id: &str, after_ms: u64) -> Result<(), Error> {
    let begun = session.clock.uptime();
    // Of no terminal and no group: what ends those does not end this.
    rustix::process::setsid().map_err(|error| Error::System(error.into()))?;
    writeln!(std::io::stdout(), "{READY}").map_err(Error::System)?;
    let place = session.place()?;
    let waits = |place: &Place| Ok::<_, Error>(place.pending()?.filter(|pending| pending.id == id));
    while session.clock.uptime().saturating_sub(begun) < Pause::from_millis(after_ms) {
        if waits(&place)?.is_none() {
            return Ok(());
        }
        pause(LOOK);
    }
    let mut tries = 0;
    loop {
        let turn = place.turn();
        let Some(pending) = waits(&place)? else { return Ok(()) };
        match turn.and_then(|_turn| roll_back(session, &place, &pending)) {
            Err(_) if tries < TRIES => {
                tries += 1;
                pause(AGAIN);
            }
            result => return result,
        }
    }
}

/// Undoes a change whose time is over and that nobody undid. Whoever calls it has the turn.
pub(crate) fn overdue(session: &Session<'_>, place: &Place) -> Result<(), Error> {
    match place.pending()?.filter(|pending| pending.deadline <= session.clock.now()) {
        Some(pending) => {
            roll_back(session, place, &pending)?;
            super::note_out("a change that nobody confirmed was undone");
            Ok(())
        }
        None => Ok(()),
    }
}

/// Makes the table what it was. Whoever calls it has the turn.
///
/// # Errors
/// The change still waits then.
pub(crate) fn roll_back(session: &Session<'_>, place: &Place, pending: &Pending) -> Result<(), Error> {
    back(&session.nft, pending.before.as_deref())?;
    place.note(&RolledBack::new(pending.id.clone(), session.clock.now()))?;
    place.settle()
}

/// Makes the table what it was listed as, or takes it away where there was none.
pub(super) fn back(nft: &Nft, before: Option<&str>) -> Result<(), NftError> {
    let removing = Transaction::removing();
    let now = nft.listing()?;
    if now.as_deref() == before {
        return Ok(());
    }
    let Some(before) = before else { return nft.load_steps(removing) };
    let then = before.parse::<Table>()?;
    match now.map(|now| now.parse::<Table>()) {
        Some(Ok(now)) if then.foreign().next().is_none() => nft.load_steps(Transaction::between(Some(&now), &then)),
        // As it was listed, with whatever somebody else had put there.
        _ => nft.load(&format!("{removing}{before}")),
    }
}
