//! What nft is told.

use std::fmt;

use crate::table::{Chain, ChainName, Element, FAMILY, Listing, NAME, Rule, Set, SetName, json};
use crate::{ProtocolNames, Range, Table};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// The table anew.
    Replace(Table),
    /// No table. Added first, so that it is no error if there is none.
    Remove,
    /// A chain without rules.
    FlushChain(ChainName),
    DeleteChain(ChainName),
    DeleteSet(SetName),
    /// A set with its elements, or more of them for one that there is.
    AddSet(Set),
    DeleteElements(SetName, Vec<Range>),
    AddElements(SetName, Vec<Range>),
    /// A chain, or its policy.
    AddChain(Chain),
    /// The rules of a chain that has none.
    AddRules(Chain),
    /// A rule before the one with this handle, or behind the last one.
    InsertRule(ChainName, Option<u64>, Rule),
    DeleteRule(ChainName, u64),
}

impl Command {
    pub(super) fn text(&self, names: ProtocolNames, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, set: SetName, ranges: &mut dyn Iterator<Item = &Range>| {
            for (place, range) in ranges.enumerate() {
                write!(f, "{}{}", if place == 0 { "{ " } else { ",\n" }, Element(set, range, names))?;
            }
            f.write_str(" }")
        };
        let elements = |f: &mut fmt::Formatter<'_>, verb, set: SetName, ranges: &mut dyn Iterator<Item = &Range>| {
            write!(f, "{verb} element {FAMILY} {NAME} {set} ")?;
            list(f, set, ranges)?;
            f.write_str("\n")
        };
        match self {
            Self::Replace(table) => {
                let sets = Listing { table, names, elements: false };
                write!(f, "add table {FAMILY} {NAME}\ndelete table {FAMILY} {NAME}\n{sets}")?;
                // By themselves, as what nft lists them with is a fourth of their text.
                let filled = table.sets.iter().filter(|set| !set.elements.is_empty());
                filled.into_iter().try_for_each(|set| elements(f, "add", set.name, &mut set.elements.iter()))
            }
            Self::Remove => write!(f, "add table {FAMILY} {NAME}\ndelete table {FAMILY} {NAME}\n"),
            Self::DeleteElements(set, ranges) => elements(f, "delete", *set, &mut ranges.iter()),
            Self::AddElements(set, ranges) => elements(f, "add", *set, &mut ranges.iter()),
            Self::FlushChain(name) => writeln!(f, "flush chain {FAMILY} {NAME} {name}"),
            Self::DeleteChain(name) => writeln!(f, "delete chain {FAMILY} {NAME} {name}"),
            Self::DeleteSet(name) => writeln!(f, "delete set {FAMILY} {NAME} {name}"),
            Self::AddSet(set) => {
                let (name, addresses) = (set.name, set.name.addresses());
                let flags = if name.networks.is_none() { " flags interval;" } else { "" };
                write!(f, "add set {FAMILY} {NAME} {name} {{ type {addresses} . inet_proto . inet_service;{flags}")?;
                if !set.elements.is_empty() {
                    f.write_str(" elements = ")?;
                    list(f, name, &mut set.elements.iter())?;
                    f.write_str(";")?;
                }
                f.write_str(" }\n")
            }
            Self::AddChain(chain) => {
                write!(f, "add chain {FAMILY} {NAME} {}", chain.name)?;
                match &chain.base {
                    Some(base) => writeln!(f, " {{ {base} }}"),
                    None => writeln!(f),
                }
            }
            Self::AddRules(chain) => {
                let name = chain.name;
                chain.rules.iter().try_for_each(|rule| writeln!(f, "add rule {FAMILY} {NAME} {name} {rule}"))
            }
            Self::InsertRule(name, None, rule) => writeln!(f, "add rule {FAMILY} {NAME} {name} {rule}"),
            Self::InsertRule(name, Some(before), rule) => {
                writeln!(f, "insert rule {FAMILY} {NAME} {name} handle {before} {rule}")
            }
            Self::DeleteRule(name, handle) => writeln!(f, "delete rule {FAMILY} {NAME} {name} handle {handle}"),
        }
    }

    pub(super) fn json(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |f: &mut fmt::Formatter<'_>, verb, kind, name: &dyn fmt::Display| {
            write!(f, r#",{{"{verb}":{{"{kind}":{{{},"name":"{name}"}}}}}}"#, json::PLACE)
        };
        let elements = |f: &mut fmt::Formatter<'_>, verb, set: SetName, ranges: &[Range]| {
            let ranges = json::elements(set, ranges.iter());
            write!(f, r#",{{"{verb}":{{"element":{{{},"name":"{set}","elem":{ranges}}}}}}}"#, json::PLACE)
        };
        match self {
            Self::Replace(table) => {
                Self::Remove.json(f)?;
                write!(f, r#",{{"add":{}}}"#, json::table())?;
                table.sets.iter().try_for_each(|set| write!(f, r#",{{"add":{}}}"#, json::set(set)))?;
                table.chains.iter().try_for_each(|chain| write!(f, r#",{{"add":{}}}"#, json::chain(chain)))?;
                table.chains.iter().flat_map(json::rules).try_for_each(|rule| write!(f, r#",{{"add":{rule}}}"#))
            }
            Self::Remove => write!(f, r#",{{"add":{}}},{{"delete":{}}}"#, json::table(), json::table()),
            Self::DeleteElements(set, ranges) => elements(f, "delete", *set, ranges),
            Self::AddElements(set, ranges) => elements(f, "add", *set, ranges),
            Self::FlushChain(name) => named(f, "flush", "chain", name),
            Self::DeleteChain(name) => named(f, "delete", "chain", name),
            Self::DeleteSet(name) => named(f, "delete", "set", name),
            Self::AddSet(set) => write!(f, r#",{{"add":{}}}"#, json::set(set)),
            Self::AddChain(chain) => write!(f, r#",{{"add":{}}}"#, json::chain(chain)),
            Self::AddRules(chain) => json::rules(chain).try_for_each(|rule| write!(f, r#",{{"add":{rule}}}"#)),
            Self::InsertRule(name, before, rule) => {
                let verb = if before.is_some() { "insert" } else { "add" };
                json::rule(*name, *before, rule).map_or(Ok(()), |rule| write!(f, r#",{{"{verb}":{rule}}}"#))
            }
            Self::DeleteRule(name, handle) => {
                write!(f, r#",{{"delete":{{"rule":{{{},"chain":"{name}","handle":{handle}}}}}}}"#, json::PLACE)
            }
        }
    }
}
