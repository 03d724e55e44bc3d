//! From the table that is there to the one that should be.

use std::time::Duration as Pause;

use keyward_config_values::Duration;
use keyward_nft_marks::{Firewall, Rest, Table, Transaction};

use super::nft::{Nft, NftError};
use super::place::{Place, pause};
use super::plan::differences;
use super::wanted::Wanted;
use super::{Session, note_out, roll_back};
use crate::error::Error;

/// How often it is tried when somebody else changes the table in between.
const TRIES: usize = 3;
/// For how long packets pass before the rest is dropped, where nobody tracked connections before.
const GRACE: Pause = Pause::from_secs(3);

/// What became of it.
pub(crate) enum Applied {
    /// There was nothing to do.
    Nothing,
    /// The table was changed.
    Changed {
        /// In how many things.
        changes: usize,
        /// Whether it was loaded anew.
        replaced: bool,
    },
}

/// Makes the table what it should be.
///
/// # Errors
/// It was not done, and the table is as it was; or another change waits to be confirmed.
pub(crate) fn apply(
    session: &Session<'_>,
    place: &Place,
    wanted: &Wanted,
    confirm_within: Option<Duration>,
) -> Result<Applied, Error> {
    let _turn = place.turn()?;
    roll_back::overdue(session, place)?;
    if let Some(pending) = place.pending()? {
        return Err(Error::usage(
            format!("a change waits to be confirmed until {}", crate::voice::moment(pending.deadline)),
            "`edge-agent firewall confirm` keeps it, `edge-agent firewall rollback` undoes it",
        ));
    }
    let (mut tries, mut armed, mut first) = (0, false, None);
    loop {
        let before = session.nft.listing()?;
        if tries == 0 {
            first.clone_from(&before);
        }
        let table = before.as_deref().map(str::parse::<Table>).transpose().map_err(NftError::from)?;
        let wanted_table = wanted.table(table.as_ref());
        let transaction = Transaction::between(table.as_ref(), &wanted_table);
        if transaction.is_empty() {
            return Ok(Applied::Nothing);
        }
        let changes = differences(table.as_ref(), &wanted_table).len();
        let replaced = transaction.is_replacement();
        place.forget()?;
        if let Some(within) = confirm_within.filter(|_| tries == 0) {
            let first = if passes_first(table.as_ref(), wanted) { GRACE } else { Pause::ZERO };
            roll_back::arm(session, place, Pause::from_secs(within.as_secs()).saturating_add(first), before.clone())?;
            armed = true;
        }
        tries += 1;
        let loaded = match passes_first(table.as_ref(), wanted) {
            true => load_passing_first(session, wanted),
            false => load(session, before.as_deref(), transaction),
        };
        match loaded.and_then(|()| Ok(session.nft.table()?)) {
            Ok(Some(table)) if Transaction::between(Some(&table), &wanted.table(Some(&table))).is_empty() => {
                return Ok(Applied::Changed { changes, replaced });
            }
            // Somebody else changed it between the look and the change, or right after. What hangs or dies would do so again.
            Ok(_) | Err(Error::Nft(NftError::Failed { .. })) if tries < TRIES => {}
            Ok(_) => {
                return Err(Error::usage(
                    "somebody else changes the table `inet keyward` as fast as it is loaded",
                    "find out who with `nft monitor`; the table is for the edge-agent alone",
                ));
            }
            Err(error) => {
                // Where nothing was done nothing waits to be confirmed.
                if armed && is_as_before(&session.nft, first.as_deref()) {
                    place.settle()?;
                }
                return Err(error);
            }
        }
    }
}

fn passes_first(table: Option<&Table>, wanted: &Wanted) -> bool {
    table.is_none() && wanted.firewall.rest != Rest::Pass
}

/// Whether the table is what it was, whatever the numbers of its rules are.
fn is_as_before(nft: &Nft, before: Option<&str>) -> bool {
    let Ok(now) = nft.listing() else { return false };
    match (now.as_deref().map(str::parse::<Table>), before.map(str::parse::<Table>)) {
        (None, None) => true,
        (Some(Ok(now)), Some(Ok(before))) => Transaction::between(Some(&now), &before).is_empty(),
        _ => false,
    }
}

/// Loads a transaction in its steps. If one fails, what was done before it, and what it may have done, is undone.
fn load(session: &Session<'_>, before: Option<&str>, transaction: Transaction) -> Result<(), Error> {
    let mut added = false;
    for step in transaction.into_steps() {
        if let Err(error) = session.nft.load(&step.text(session.nft.names).to_string()) {
            return Err(match added || error.may_have_done_it() {
                true => undone(&session.nft, before, error),
                false => error.into(),
            });
        }
        added = true;
    }
    Ok(())
}

/// Undoes what was done until something failed, and says what failed.
fn undone(nft: &Nft, before: Option<&str>, error: NftError) -> Error {
    match roll_back::back(nft, before) {
        Ok(()) => error.into(),
        Err(second) => Error::usage(
            format!("{error}; and what the change was to let in may be let in beside what it was to end: {second}"),
            "`edge-agent firewall apply` ends that; `edge-agent firewall verify` says how the table is",
        ),
    }
}

/// Where there was no table before, and the rest is to be dropped, the kernel may not have tracked any connection: what is established
/// is let through for a moment, so that it is known.
fn load_passing_first(session: &Session<'_>, wanted: &Wanted) -> Result<(), Error> {
    let mut passing = Firewall::clone(&wanted.firewall);
    passing.rest = Rest::Pass;
    let passing = passing.table();
    load(session, None, Transaction::replacing(&passing))?;
    note_out(&format!("getting to know the connections that there are, for {} seconds", GRACE.as_secs()));
    pause(GRACE);
    let dropping = Transaction::between(Some(&passing), &wanted.firewall.table());
    session.nft.load_steps(dropping).map_err(|error| undone(&session.nft, None, error))
}
