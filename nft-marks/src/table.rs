//! The one table that is ours.

pub(crate) mod block;
mod chain;
mod elements;
pub(crate) mod json;
mod parse;
mod rule;
mod set;
mod text;

use std::fmt;

pub(crate) use chain::{Base, Chain, ChainName, Hook, Policy, Priority};
pub(crate) use json::shown;
pub use parse::ListingError;
pub(crate) use rule::{Action, MarkWrite, Match, Rule};
pub(crate) use set::{Set, SetKind, SetName};
pub use text::ProtocolNames;
pub(crate) use text::{Element, Listing};

/// The address family of the table.
pub(crate) const FAMILY: &str = "inet";
/// The name of the table.
pub(crate) const NAME: &str = "keyward";

/// The table `inet keyward`: what it should be, made by [`Firewall::table`](crate::Firewall::table), or what it is,
/// [parsed](std::str::FromStr) from `nft -s list table inet keyward`, or with the numbers of rules from `nft -a -s list …`, by which
/// a rule can be changed alone.
///
/// Shown as nft lists it, byte for byte, where nothing else has changed the table since it was loaded.
///
/// ```
/// use keyward_nft_marks::{Firewall, Table};
///
/// let table = Firewall::default().table();
/// let listing = table.to_string();
/// assert!(listing.starts_with("table inet keyward {\n"));
/// assert_eq!(listing.parse::<Table>()?, table);
/// # Ok::<(), keyward_nft_marks::ListingError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Table {
    pub(crate) sets: Vec<Set>,
    pub(crate) chains: Vec<Chain>,
    /// What somebody else put into the table.
    pub(crate) foreign: Vec<String>,
}

impl Table {
    /// The table as nft lists it on a host that knows, or does not know, the names of protocols.
    pub fn listing(&self, names: ProtocolNames) -> impl fmt::Display + '_ {
        Listing { table: self, names, elements: true }
    }

    /// How many elements its sets and rules have.
    pub fn elements(&self) -> usize {
        let in_blocks = self.chains.iter().flat_map(|chain| &chain.rules).map(Rule::elements);
        self.sets.iter().map(|set| set.elements.len()).chain(in_blocks).sum()
    }

    /// What of it is not ours: objects and rules that somebody else put there, as nft writes them.
    pub fn foreign(&self) -> impl Iterator<Item = &str> {
        let rules = self.chains.iter().flat_map(|chain| &chain.rules).filter_map(|rule| match rule {
            Rule::Foreign(text) => Some(text.as_str()),
            Rule::Own(..) => None,
        });
        self.foreign.iter().map(String::as_str).chain(rules)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.listing(ProtocolNames::Known).fmt(f)
    }
}
