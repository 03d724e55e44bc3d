//! From one table to another.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::table::{Chain, ChainName, Element, FAMILY, Listing, Match, NAME, Rule, Set, SetName, json, shown};
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
    /// packet of a connection finds a chain missing. Where the kernel would take longer to find the elements that go than to load
    /// a set of intervals, the set is anew, and empty for some milliseconds to the first packets of connections; so is, for some
    /// microseconds, a block of which a range comes or goes, where there are very many ranges. Only where somebody else put
    /// something into the table, or changed the priority of a chain, is the table [replaced](Self::replacing).
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
    let sets: Vec<(&Set, Option<Difference>)> = to.sets.iter().map(|set| (set, Difference::of(from, set))).collect();
    let anew = |name: SetName| sets.iter().any(|(set, difference)| set.name == name && difference.is_none());
    let changed = |chain: &&Chain| had(chain.name) != Some(chain) || chain.sets().any(anew);
    let changed: Vec<&Chain> = to.chains.iter().filter(changed).collect();
    let mut commands = Vec::new();
    // First what refers to something, then what was referred to.
    let flushed =
        from.chains.iter().filter(|chain| gone(chain) || changed.iter().any(|other| other.name == chain.name));
    commands.extend(flushed.map(|chain| Command::FlushChain(chain.name)));
    commands.extend(from.chains.iter().filter(gone).map(|chain| Command::DeleteChain(chain.name)));
    let kept = |name: SetName| to.sets.iter().any(|set| set.name == name) && !anew(name);
    let unused = from.sets.iter().filter(|set| !kept(set.name));
    commands.extend(unused.map(|set| Command::DeleteSet(set.name)));
    for (set, difference) in sets {
        match difference {
            // What goes before what comes, as an element that overlaps another one is an error.
            Some(Difference { gone, new }) => {
                commands.extend((!gone.is_empty()).then_some(Command::DeleteElements(set.name, gone)));
                commands.extend((!new.is_empty()).then_some(Command::AddElements(set.name, new)));
            }
            None => commands.push(Command::AddSet(set.clone())),
        }
    }
    commands.extend(changed.iter().map(|chain| Command::AddChain((*chain).clone())));
    commands.extend(changed.into_iter().map(|chain| Command::AddRules(chain.clone())));
    Some(commands)
}

/// What changes a set: its elements that go, and those that come.
struct Difference {
    gone: Vec<Range>,
    new: Vec<Range>,
}

/// How many elements the kernel may look through for those that leave an interval set. It searches each from the first one on, and of
/// 10,000 or 100,000 elements one that leaves takes as long as thousands that are loaded: in large sets it compares less of each.
const SEARCH: usize = 200_000;
const LARGE: usize = 16_384;

impl Difference {
    /// Nothing where there is no such set yet, or where it is better loaded anew.
    fn of(from: &Table, to: &Set) -> Option<Self> {
        let had = from.sets.iter().find(|set| set.name == to.name)?;
        let (mut gone, mut new) = (Vec::new(), Vec::new());
        differences(had.elements.iter(), to.elements.iter(), |range| gone.push(*range), |range| new.push(*range));
        let searched = gone.len().saturating_mul(had.elements.len().min(LARGE));
        (to.name.networks.is_some() || searched <= SEARCH).then_some(Self { gone, new })
    }
}

/// Walks two ordered lists.
fn differences<'a>(
    from: impl Iterator<Item = &'a Range>,
    to: impl Iterator<Item = &'a Range>,
    mut gone: impl FnMut(&'a Range),
    mut new: impl FnMut(&'a Range),
) {
    let (mut from, mut to) = (from.peekable(), to.peekable());
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
        let elements = |f: &mut fmt::Formatter<'_>, verb, set: SetName, ranges: &mut dyn Iterator<Item = &Range>| {
            write!(f, "{verb} element {FAMILY} {NAME} {set} {{")?;
            for (place, range) in ranges.enumerate() {
                write!(f, "{}{}", if place == 0 { " " } else { ",\n" }, Element(set, range, names))?;
            }
            f.write_str(" }\n")
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
                let kind = format!("type {addresses} . inet_proto . inet_service;{flags}");
                writeln!(f, "add set {FAMILY} {NAME} {name} {{ {kind} }}")?;
                if set.elements.is_empty() { Ok(()) } else { elements(f, "add", name, &mut set.elements.iter()) }
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
        }
    }

    fn json(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        all.push((format!("set {}: ", set.name), set.elements.iter().map(ToString::to_string).collect()));
    }
    for chain in &table.chains {
        let base = chain.base.iter().map(ToString::to_string);
        let rules = chain.rules.iter().flat_map(|rule| match rule {
            Rule::Own(matches, action) if let [Match::Among(ranges)] = matches.as_slice() => {
                ranges.iter().map(|range| format!("{range} {action}")).collect()
            }
            rule => vec![rule.to_string()],
        });
        all.push((format!("chain {}: ", chain.name), base.chain(rules).collect()));
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
