//! From one table to another.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::table::{Chain, ChainName, Element, FAMILY, Listing, NAME, Set, SetName, json, shown};
use crate::{ProtocolNames, Range, Table};

/// What makes the table of a host what it should be, in one step that nobody sees half done: the input of one `nft -f`.
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
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction(Vec<Command>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Command {
    /// The table anew.
    Replace(Table),
    /// No table. Added first, so that it is no error if there is none.
    Remove,
    /// A chain without rules.
    FlushChain(ChainName),
    DeleteChain(ChainName),
    DeleteSet(SetName),
    AddSet(Set),
    FlushSet(SetName),
    DeleteElements(SetName, Vec<Range>),
    AddElements(SetName, Vec<Range>),
    /// A chain, or its policy.
    AddChain(Chain),
    /// The rules of a chain that has none.
    AddRules(Chain),
}

/// One difference between two tables, as nft writes what is there: `set ingress4: 192.0.2.0/24 . tcp . 443`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// It is there before and not afterwards.
    Removed(String),
    /// It is not there before.
    Added(String),
}

impl Transaction {
    /// The smallest one that makes the first table the second; without a first one there may be any table or none.
    ///
    /// Sets are changed by the elements that differ, chains as a whole, and everything stays in its place: not even the first
    /// packet of a connection finds a chain missing. Only where somebody else put something into the table, or changed the
    /// priority of a chain, is the table [replaced](Self::replacing).
    pub fn between(from: Option<&Table>, to: &Table) -> Self {
        match from.and_then(|from| incremental(from, to)) {
            Some(commands) => Self(commands),
            None => Self(vec![Command::Replace(to.clone())]),
        }
    }

    /// The one that puts the table there, whatever was there before.
    ///
    /// Connections keep their marks. A connection whose first packet is on its way at that very moment may have none: its
    /// packet can pass between the chains that go and those that come.
    pub fn replacing(to: &Table) -> Self {
        Self(vec![Command::Replace(to.clone())])
    }

    /// The one that takes the table away, if there is one.
    pub fn removing() -> Self {
        Self(vec![Command::Remove])
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it loads the table anew instead of changing it.
    pub fn is_replacement(&self) -> bool {
        matches!(self.0.as_slice(), [Command::Replace(_)])
    }

    /// The input of `nft -f`, for a host that knows, or does not know, the names of protocols.
    pub fn text(&self, names: ProtocolNames) -> impl fmt::Display + '_ {
        shown(move |f| self.0.iter().try_for_each(|command| command.text(names, f)))
    }

    /// The input of `nft -j -f`.
    pub fn json(&self) -> impl fmt::Display + '_ {
        shown(move |f: &mut fmt::Formatter<'_>| {
            f.write_str(r#"{"nftables":[{"metainfo":{"json_schema_version":1}}"#)?;
            self.0.iter().try_for_each(|command| command.json(f))?;
            f.write_str("]}\n")
        })
    }
}

impl fmt::Display for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text(ProtocolNames::Known).fmt(f)
    }
}

/// The commands that change one table into the other in its place, if they can.
fn incremental(from: &Table, to: &Table) -> Option<Vec<Command>> {
    if !from.foreign.is_empty() {
        return None;
    }
    let had = |name| from.chains.iter().find(|chain| chain.name == name);
    let place = |chain: &Chain| chain.base.map(|base| (base.hook, base.priority));
    if to.chains.iter().any(|chain| had(chain.name).is_some_and(|had| place(had) != place(chain))) {
        return None;
    }
    let gone = |chain: &&Chain| to.chains.iter().all(|other| other.name != chain.name);
    let changed: Vec<&Chain> = to.chains.iter().filter(|chain| had(chain.name) != Some(chain)).collect();
    let mut commands = Vec::new();
    // First what refers to something, then what was referred to.
    let flushed =
        from.chains.iter().filter(|chain| gone(chain) || changed.iter().any(|other| other.name == chain.name));
    commands.extend(flushed.map(|chain| Command::FlushChain(chain.name)));
    commands.extend(from.chains.iter().filter(gone).map(|chain| Command::DeleteChain(chain.name)));
    let unused = from.sets.iter().filter(|set| to.sets.iter().all(|other| other.name != set.name));
    commands.extend(unused.map(|set| Command::DeleteSet(set.name)));
    for set in &to.sets {
        match from.sets.iter().find(|other| other.name == set.name) {
            Some(had) => elements(&had.elements, set, &mut commands),
            None => commands.push(Command::AddSet(set.clone())),
        }
    }
    commands.extend(changed.iter().map(|chain| Command::AddChain((*chain).clone())));
    commands.extend(changed.into_iter().map(|chain| Command::AddRules(chain.clone())));
    Some(commands)
}

/// What changes the elements of a set: those that differ, or all where that is less.
fn elements(had: &[Range], to: &Set, commands: &mut Vec<Command>) {
    let (mut gone, mut new) = (Vec::new(), Vec::new());
    differences(had, &to.elements, |range| gone.push(*range), |range| new.push(*range));
    if gone.len() + new.len() > to.elements.len() + 1 {
        commands.push(Command::FlushSet(to.name));
        new = to.elements.to_vec();
    } else if !gone.is_empty() {
        // Before those that come, as an element that overlaps another one is an error.
        commands.push(Command::DeleteElements(to.name, gone));
    }
    if !new.is_empty() {
        commands.push(Command::AddElements(to.name, new));
    }
}

/// Walks two ordered lists.
fn differences<'a, T: Ord>(from: &'a [T], to: &'a [T], mut gone: impl FnMut(&'a T), mut new: impl FnMut(&'a T)) {
    let (mut from, mut to) = (from.iter().peekable(), to.iter().peekable());
    loop {
        let order = match (from.peek(), to.peek()) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(from), Some(to)) => from.cmp(to),
        };
        if order != Ordering::Greater {
            let left = from.next();
            left.into_iter().filter(|_| order == Ordering::Less).for_each(&mut gone);
        }
        if order != Ordering::Less {
            let right = to.next();
            right.into_iter().filter(|_| order == Ordering::Greater).for_each(&mut new);
        }
    }
}

impl Command {
    fn text(&self, names: ProtocolNames, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let elements = |f: &mut fmt::Formatter<'_>, verb, set: &SetName, ranges: &[Range]| {
            write!(f, "{verb} element {FAMILY} {NAME} {} {{", set.as_str())?;
            for (place, range) in ranges.iter().enumerate() {
                write!(f, "{}{}", if place == 0 { " " } else { ",\n" }, Element(range, names))?;
            }
            f.write_str(" }\n")
        };
        match self {
            Self::Replace(table) => {
                let sets = Listing { table, names, elements: false };
                write!(f, "add table {FAMILY} {NAME}\ndelete table {FAMILY} {NAME}\n{sets}")?;
                // By themselves, as what nft lists them with is a fourth of their text.
                let filled = table.sets.iter().filter(|set| !set.elements.is_empty());
                filled.into_iter().try_for_each(|set| elements(f, "add", &set.name, &set.elements))
            }
            Self::Remove => write!(f, "add table {FAMILY} {NAME}\ndelete table {FAMILY} {NAME}\n"),
            Self::DeleteElements(set, ranges) => elements(f, "delete", set, ranges),
            Self::AddElements(set, ranges) => elements(f, "add", set, ranges),
            Self::FlushChain(name) => writeln!(f, "flush chain {FAMILY} {NAME} {}", name.as_str()),
            Self::DeleteChain(name) => writeln!(f, "delete chain {FAMILY} {NAME} {}", name.as_str()),
            Self::DeleteSet(name) => writeln!(f, "delete set {FAMILY} {NAME} {}", name.as_str()),
            Self::FlushSet(name) => writeln!(f, "flush set {FAMILY} {NAME} {}", name.as_str()),
            Self::AddSet(set) => {
                let (name, kind) = (set.name.as_str(), set.name.addresses());
                let kind = format!("type {kind} . inet_proto . inet_service; flags interval;");
                writeln!(f, "add set {FAMILY} {NAME} {name} {{ {kind} }}")?;
                if set.elements.is_empty() { Ok(()) } else { elements(f, "add", &set.name, &set.elements) }
            }
            Self::AddChain(chain) => {
                write!(f, "add chain {FAMILY} {NAME} {}", chain.name.as_str())?;
                match &chain.base {
                    Some(base) => writeln!(f, " {{ {base} }}"),
                    None => writeln!(f),
                }
            }
            Self::AddRules(chain) => {
                let name = chain.name.as_str();
                chain.rules.iter().try_for_each(|rule| writeln!(f, "add rule {FAMILY} {NAME} {name} {rule}"))
            }
        }
    }

    fn json(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |f: &mut fmt::Formatter<'_>, verb, kind, name| {
            write!(f, r#",{{"{verb}":{{"{kind}":{{{},"name":"{name}"}}}}}}"#, json::PLACE)
        };
        let elements = |f: &mut fmt::Formatter<'_>, verb, set: &SetName, ranges: &[Range]| {
            let (name, ranges) = (set.as_str(), json::elements(ranges));
            write!(f, r#",{{"{verb}":{{"element":{{{},"name":"{name}","elem":{ranges}}}}}}}"#, json::PLACE)
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
            Self::DeleteElements(set, ranges) => elements(f, "delete", set, ranges),
            Self::AddElements(set, ranges) => elements(f, "add", set, ranges),
            Self::FlushChain(name) => named(f, "flush", "chain", name.as_str()),
            Self::DeleteChain(name) => named(f, "delete", "chain", name.as_str()),
            Self::DeleteSet(name) => named(f, "delete", "set", name.as_str()),
            Self::FlushSet(name) => named(f, "flush", "set", name.as_str()),
            Self::AddSet(set) => write!(f, r#",{{"add":{}}}"#, json::set(set)),
            Self::AddChain(chain) => write!(f, r#",{{"add":{}}}"#, json::chain(chain)),
            Self::AddRules(chain) => json::rules(chain).try_for_each(|rule| write!(f, r#",{{"add":{rule}}}"#)),
        }
    }
}

impl Table {
    /// What has to change for this table to become the other one: what drifted, and what a new configuration brings. Elements
    /// and rules one by one, also where the table would be replaced.
    pub fn changes(&self, to: &Self) -> Vec<Change> {
        let (from, to) = (lines(self), lines(to));
        let mut changes = Vec::new();
        for (heading, gone) in &from {
            let kept = to.iter().find(|(other, _)| other == heading).map(|(_, lines)| Arc::clone(lines));
            let kept = kept.unwrap_or_else(|| [].into());
            unmatched(gone, &kept).for_each(|line| changes.push(Change::Removed(format!("{heading}{line}"))));
            unmatched(&kept, gone).for_each(|line| changes.push(Change::Added(format!("{heading}{line}"))));
        }
        for (heading, new) in to.iter().filter(|(heading, _)| from.iter().all(|(other, _)| other != heading)) {
            changes.extend(new.iter().map(|line| Change::Added(format!("{heading}{line}"))));
        }
        changes
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Removed(line) => write!(f, "- {line}"),
            Self::Added(line) => write!(f, "+ {line}"),
        }
    }
}

/// What is in a table, under headings.
fn lines(table: &Table) -> Vec<(String, Arc<[String]>)> {
    let mut all = Vec::new();
    for set in &table.sets {
        all.push((format!("set {}: ", set.name.as_str()), set.elements.iter().map(ToString::to_string).collect()));
    }
    for chain in &table.chains {
        let base = chain.base.iter().map(ToString::to_string);
        let lines = base.chain(chain.rules.iter().map(ToString::to_string)).collect();
        all.push((format!("chain {}: ", chain.name.as_str()), lines));
    }
    all.push((String::new(), table.foreign.iter().cloned().collect()));
    all
}

/// The lines that are not among the others, in their order; what is there twice is needed twice.
fn unmatched<'a>(lines: &'a [String], others: &[String]) -> impl Iterator<Item = &'a String> {
    let mut left = std::collections::HashMap::new();
    for other in others {
        *left.entry(other.clone()).or_insert(0usize) += 1;
    }
    lines.iter().filter(move |line| match left.get_mut(line.as_str()) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    })
}
