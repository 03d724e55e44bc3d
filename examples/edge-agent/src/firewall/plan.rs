//! What would change.

use std::io::{self, Write};

use keyward_nft_marks::{Change, Finding, Table, Transaction, lint};
use serde_json::json;

use super::nft::{Nft, NftError};
use super::wanted::Wanted;

/// How many changes are shown unless all are asked for.
const SHOWN: usize = 200;

const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const PLAIN: &str = "\x1b[0m";

/// The table as it is beside the one that it should be.
pub(crate) struct Found {
    /// Whether there is a table.
    exists: bool,
    /// The differences.
    changes: Vec<Change>,
    /// What makes one of the other.
    transaction: Transaction,
    /// What in the host's other tables does not go well with it.
    pub(crate) findings: Vec<String>,
}

impl Found {
    /// Looks at the host.
    pub(crate) fn look(nft: &Nft, wanted: &Wanted) -> Result<Self, NftError> {
        let table = nft.table()?;
        let wanted_table = wanted.table(table.as_ref());
        let transaction = Transaction::between(table.as_ref(), &wanted_table);
        let changes = differences(table.as_ref(), &wanted_table);
        // A table of another program that cannot be listed is no reason not to tell of ours.
        let findings = match findings(nft, wanted) {
            Ok(findings) => findings.iter().map(ToString::to_string).collect(),
            Err(error) => vec![format!("the host's other tables were not looked at: {error}")],
        };
        Ok(Self { exists: table.is_some(), changes, transaction, findings })
    }

    /// Whether nothing is to be done.
    pub(crate) fn is_same(&self) -> bool {
        self.transaction.is_empty()
    }

    /// For people: each change, and a last line that counts them.
    pub(crate) fn text(&self, out: &mut impl Write, all: bool, colors: bool, what: &str) -> io::Result<()> {
        let shown = if all { usize::MAX } else { SHOWN };
        for change in self.changes.iter().take(shown) {
            let color = match change {
                Change::Removed(_) => RED,
                Change::Added(_) => GREEN,
            };
            match colors {
                true => writeln!(out, "{color}{change}{PLAIN}")?,
                false => writeln!(out, "{change}")?,
            }
        }
        if let Some(more) = self.changes.len().checked_sub(shown).filter(|more| *more > 0) {
            writeln!(out, "… and {more} more; --all shows them")?;
        }
        if self.is_same() {
            return writeln!(out, "The firewall is what it should be.");
        }
        let removed = self.changes.iter().filter(|change| matches!(change, Change::Removed(_))).count();
        let added = self.changes.len() - removed;
        let how = match (self.exists, self.transaction.is_replacement()) {
            (false, _) => "there is no table yet, and it {what} be loaded",
            (true, true) => {
                "the table {what} be replaced, as somebody else changed what cannot be changed in its place"
            }
            (true, false) => "the table {what} be changed in its place",
        };
        writeln!(out, "{added} to add, {removed} to remove: {}.", how.replace("{what}", what))
    }

    /// For programs.
    pub(crate) fn json(&self, out: &mut impl Write, nft: &Nft) -> io::Result<()> {
        let changes: Vec<_> = self
            .changes
            .iter()
            .map(|change| match change {
                Change::Removed(line) => json!({"change": "remove", "what": line}),
                Change::Added(line) => json!({"change": "add", "what": line}),
            })
            .collect();
        let document = json!({
            "same": self.is_same(),
            "replaces": self.transaction.is_replacement(),
            "changes": changes,
            "transaction": self.transaction.text(nft.names).to_string(),
            "findings": self.findings,
        });
        writeln!(out, "{document}")
    }
}

/// What differs, thing by thing.
pub(crate) fn differences(from: Option<&Table>, to: &Table) -> Vec<Change> {
    match from {
        Some(table) => table.changes(to),
        // Against a table in which nothing is.
        None => "table inet keyward {\n}\n".parse::<Table>().map(|nothing| nothing.changes(to)).unwrap_or_default(),
    }
}

/// What in the host's other tables does not go well with ours.
pub(crate) fn findings(nft: &Nft, wanted: &Wanted) -> Result<Vec<Finding>, NftError> {
    Ok(lint(&wanted.firewall, &nft.ruleset()?))
}
