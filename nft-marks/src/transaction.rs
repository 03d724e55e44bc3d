//! From one table to another.

mod change;
mod command;
mod in_place;

use std::fmt;

pub use change::Change;
use command::Command;
use in_place::in_place;

use crate::table::shown;
use crate::{ProtocolNames, Table};

/// What makes the table of a host what it should be, the input of one `nft -f`, or of two.
///
/// ```
/// use keyward_nft_marks::{Firewall, PortRange, Protocol, Range, RangeSet, Transaction};
///
/// let mut firewall = Firewall::default();
/// let before = firewall.table();
/// let office = Range::new("192.0.2.0".parse()?, "192.0.2.255".parse()?, Protocol::Tcp, PortRange::from(443))?;
/// firewall.ingress = RangeSet::new(vec![office]).unwrap();
///
/// let transaction = Transaction::between(Some(&before), &firewall.table());
/// assert_eq!(transaction.to_string(), "add element inet keyward ingress4 { 192.0.2.0/24 . tcp . 443 }\n");
/// assert!(Transaction::between(Some(&before), &before).is_empty());
///
/// for step in transaction.into_steps() {
///     let _load_this_with_nft = step.to_string();
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    ahead: Vec<Command>,
    then: Vec<Command>,
}

impl Transaction {
    /// The smallest one that makes the first table the second; without a first one there may be any table or none.
    ///
    /// Sets are changed by the elements that differ, chains as a whole or by the rules that differ, and everything stays in its place:
    /// not even the first packet of a connection finds a chain missing. Where the first table was listed with the numbers of its rules
    /// (`nft -a`), and the [steps](Self::into_steps) are loaded one after the other, it finds no range missing either that both tables
    /// have. Without them, or in one go, it may for some microseconds, where there are very many ranges and one of them changes. Where
    /// the kernel would take longer to find the elements that go than to load a set of intervals, the set is anew, and empty for some
    /// milliseconds to the first packets of connections. Only where somebody else put something into the table, or changed the
    /// priority of a chain, is the table [replaced](Self::replacing).
    pub fn between(from: Option<&Table>, to: &Table) -> Self {
        match from.and_then(|from| in_place(from, to)) {
            Some([ahead, then]) => Self { ahead, then },
            None => Self::replacing(to),
        }
    }

    /// The one that puts the table there, whatever was there before.
    ///
    /// Connections keep their marks. A connection whose first packet is on its way at that very moment may have none: its
    /// packet can pass between the chains that go and those that come.
    pub fn replacing(to: &Table) -> Self {
        Self { ahead: Vec::new(), then: vec![Command::Replace(to.clone())] }
    }

    /// The one that takes the table away, if there is one.
    pub fn removing() -> Self {
        Self { ahead: Vec::new(), then: vec![Command::Remove] }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.ahead.is_empty() && self.then.is_empty()
    }

    /// Whether it loads the table anew instead of changing it.
    pub fn is_replacement(&self) -> bool {
        matches!(self.then.as_slice(), [Command::Replace(_)])
    }

    /// The same in the steps that are best loaded one by one: a first one, which some have, that adds what comes and takes nothing
    /// away, and one that does the rest. What was ready before it is needed misses no packet. If the second one is not loaded after
    /// the first one was, both what was there and what was to come is let in: [between](Self::between) what is there then and either
    /// of them is the way on, and the way back. Where more than ranges changes there is one step: ranges of one of them under the
    /// conditions of the other one would be let in by neither.
    pub fn into_steps(self) -> impl Iterator<Item = Self> {
        let steps = [self.ahead, self.then].into_iter().filter(|commands| !commands.is_empty());
        steps.map(|then| Self { ahead: Vec::new(), then })
    }

    fn commands(&self) -> impl Iterator<Item = &Command> {
        self.ahead.iter().chain(&self.then)
    }

    /// The input of `nft -f`, all in one, for a host that knows, or does not know, the names of protocols.
    pub fn text(&self, names: ProtocolNames) -> impl fmt::Display + '_ {
        shown(move |f| self.commands().try_for_each(|command| command.text(names, f)))
    }

    /// The input of `nft -j -f`.
    pub fn json(&self) -> impl fmt::Display + '_ {
        shown(move |f: &mut fmt::Formatter<'_>| {
            f.write_str(r#"{"nftables":[{"metainfo":{"json_schema_version":1}}"#)?;
            self.commands().try_for_each(|command| command.json(f))?;
            f.write_str("]}\n")
        })
    }
}

impl fmt::Display for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text(ProtocolNames::Known).fmt(f)
    }
}
