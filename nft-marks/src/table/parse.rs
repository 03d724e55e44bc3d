//! Reads nft's listing of the table.

use std::str::FromStr;

use keyward_config_values::ErrorKind;

use super::rule::read_addresses;
use super::{Base, Chain, ChainName, FAMILY, NAME, Rule, Set, SetName, Table};
use crate::text::{Quoted, excerpt};
use crate::{Protocol, Range};

/// A text that is not a listing of our table. What somebody else put into the table is no error: see [`Table::foreign`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListingError {
    /// Something else where the table should begin.
    #[error("line {line}: {} is not `table inet keyward {{`; give what `nft -s list table inet keyward` prints", Quoted(.found))]
    Table {
        /// The line, from 1.
        line: usize,
        /// What is there.
        found: String,
    },
    /// A listing that ends inside a block.
    #[error("line {line}: the listing ends inside a block; give all of what `nft -s list table inet keyward` prints")]
    Unfinished {
        /// The last line, from 1.
        line: usize,
    },
    /// Something behind the table.
    #[error("line {line}: {} behind the end of the table; give the listing of this table alone", Quoted(.found))]
    Behind {
        /// The line, from 1.
        line: usize,
        /// What is there.
        found: String,
    },
}

impl ListingError {
    /// Always [`ErrorKind::Malformed`].
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Malformed
    }
}

impl FromStr for Table {
    type Err = ListingError;

    fn from_str(text: &str) -> Result<Self, ListingError> {
        let mut lines = Lines { rest: text.lines().enumerate(), line: 0 };
        let mut table = Self { sets: Vec::new(), chains: Vec::new(), foreign: Vec::new() };
        let head = lines.next().unwrap_or_default();
        if !head.strip_suffix('{').is_some_and(|head| head.split_whitespace().eq(["table", FAMILY, NAME])) {
            return Err(ListingError::Table { line: lines.line, found: excerpt(head) });
        }
        loop {
            let line = lines.next().ok_or(ListingError::Unfinished { line: lines.line })?;
            if line == "}" {
                break;
            }
            if opens(line) <= 0 {
                table.foreign.push(line.to_owned());
                continue;
            }
            let mut body = Vec::new();
            let mut depth = opens(line);
            while depth > 0 {
                let line = lines.next().ok_or(ListingError::Unfinished { line: lines.line })?;
                depth += opens(line);
                body.push(line);
            }
            body.pop();
            table.block(line, &body);
        }
        match lines.next() {
            Some(found) => Err(ListingError::Behind { line: lines.line, found: excerpt(found) }),
            None => {
                // In the order in which they would be loaded, not in that in which they came.
                table.sets.sort_by_key(|set| set.name);
                table.chains.sort_by_key(|chain| chain.name);
                Ok(table)
            }
        }
    }
}

/// The lines that say something, without what surrounds them.
struct Lines<'a> {
    rest: std::iter::Enumerate<std::str::Lines<'a>>,
    /// The number of the last one read.
    line: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a str> {
        for (number, line) in self.rest.by_ref() {
            self.line = number + 1;
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                return Some(line);
            }
        }
        None
    }
}

/// How many more braces a line opens than it closes, outside of quotes.
fn opens(line: &str) -> i32 {
    let mut quoted = false;
    line.chars().fold(0, |depth, c| {
        quoted ^= c == '"';
        match c {
            '{' if !quoted => depth + 1,
            '}' if !quoted => depth - 1,
            _ => depth,
        }
    })
}

impl Table {
    /// Takes in a block, as what it is or as somebody else's.
    fn block(&mut self, head: &str, body: &[&str]) {
        let name = |kind| head.strip_prefix(kind)?.strip_suffix(" {");
        if let Some(set) = name("set ").and_then(SetName::read).and_then(|name| set(name, body))
            && self.sets.iter().all(|other| other.name != set.name)
        {
            self.sets.push(set);
        } else if let Some(name) = name("chain ").and_then(ChainName::read)
            && self.chains.iter().all(|other| other.name != name)
        {
            let base = body.first().and_then(|line| Base::read(line));
            let rules = body.iter().skip(usize::from(base.is_some())).map(|line| Rule::read(line)).collect();
            self.chains.push(Chain { name, base, rules });
        } else {
            self.foreign.push([&[head], body, &["}"]].concat().join("\n\t"));
        }
    }
}

/// The set, if its type and elements are as ours.
fn set(name: SetName, body: &[&str]) -> Option<Set> {
    let [kind, "flags interval", elements @ ..] = body else { return None };
    let (addresses, rest) = kind.strip_prefix("type ")?.split_once(' ')?;
    if addresses != name.addresses() || rest != ". inet_proto . inet_service" {
        return None;
    }
    let mut ranges = Vec::with_capacity(elements.len());
    if let Some((first, more)) = elements.split_first() {
        let first = first.strip_prefix("elements = {")?;
        let last = more.len();
        for (place, line) in std::iter::once(&first).chain(more).enumerate() {
            let line = if place == last { line.strip_suffix('}')? } else { line.strip_suffix(',')? };
            for element in line.split(',') {
                ranges.push(range(element.trim(), name.v6)?);
            }
        }
    }
    ranges.sort_unstable();
    Some(Set { name, elements: ranges.into() })
}

/// `10.0.0.0/8 . tcp . 80`
fn range(text: &str, v6: bool) -> Option<Range> {
    let (addresses, rest) = text.split_once(" . ")?;
    let (protocol, ports) = rest.split_once(" . ")?;
    let (first, last) = read_addresses(addresses)?;
    let range = Range::new(first, last, Protocol::from_nft(protocol, v6)?, ports.parse().ok()?).ok()?;
    (range.is_ipv6() == v6).then_some(range)
}
