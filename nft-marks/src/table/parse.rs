//! Reads nft's listing of the table.

use std::str::FromStr;

use keyward_config_values::{ErrorKind, Quoted, excerpt};

use super::rule::read_addresses;
use super::{Base, Chain, ChainName, FAMILY, NAME, Rule, Set, SetName, Table};
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
    /// Braces that are not as nft puts them.
    #[error("line {line}: a block ends elsewhere than in a line of its own; give the listing as nft prints it")]
    Braces {
        /// The line, from 1.
        line: usize,
    },
    /// A set or chain that is there twice.
    #[error("line {line}: {} a second time; give the listing as nft prints it", Quoted(.found))]
    Twice {
        /// The last line of the second one, from 1.
        line: usize,
        /// How it begins.
        found: String,
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
        let (head, _) = lines.next().unwrap_or_default();
        if !head.strip_suffix('{').is_some_and(|head| head.split_whitespace().eq(["table", FAMILY, NAME])) {
            return Err(ListingError::Table { line: lines.line, found: excerpt(head) });
        }
        loop {
            let (line, _) = lines.next().ok_or(ListingError::Unfinished { line: lines.line })?;
            if line == "}" {
                break;
            }
            let mut depth = opens(line);
            if depth == 0 {
                table.foreign.push(line.to_owned());
                continue;
            }
            let mut body = Vec::new();
            while depth > 0 {
                let line = lines.next().ok_or(ListingError::Unfinished { line: lines.line })?;
                depth += opens(line.0);
                body.push(line);
            }
            // nft closes a block in a line of its own.
            if body.pop().is_none_or(|(line, _)| line != "}") || depth < 0 {
                return Err(ListingError::Braces { line: lines.line });
            }
            if !table.block(line, &body) {
                return Err(ListingError::Twice { line: lines.line, found: excerpt(line) });
            }
        }
        match lines.next() {
            Some((found, _)) => Err(ListingError::Behind { line: lines.line, found: excerpt(found) }),
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

/// A line, and the handle behind it that `nft -a` lists.
type Line<'a> = (&'a str, Option<u64>);

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<Line<'a>> {
        for (number, line) in self.rest.by_ref() {
            self.line = number + 1;
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                let (mut line, mut handle) = (line, None);
                while let Some((rest, number)) = line.rsplit_once(" # handle ")
                    && let Ok(number) = number.parse()
                {
                    (line, handle) = (rest.trim_end(), handle.or(Some(number)));
                }
                return Some((line, handle));
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
    /// Takes in a block, as what it is or as somebody else's, unless there is one already.
    fn block(&mut self, head: &str, body: &[Line<'_>]) -> bool {
        let name = |kind| head.strip_prefix(kind)?.strip_suffix(" {");
        if let Some(set) = name("set ").and_then(SetName::read).and_then(|name| set(name, body)) {
            let new = self.sets.iter().all(|other| other.name != set.name);
            self.sets.push(set);
            return new;
        }
        if let Some(name) = name("chain ").and_then(ChainName::read) {
            let new = self.chains.iter().all(|other| other.name != name);
            let base = body.first().and_then(|(line, _)| Base::read(line));
            let rules = body.get(usize::from(base.is_some())..).unwrap_or_default();
            let mut rules: Vec<_> = rules.iter().map(|(line, handle)| (Rule::read(line), *handle)).collect();
            if matches!(name, ChainName::Block(_)) {
                // In whichever order they came: no two of them have the same ports.
                rules.sort_by_key(|(rule, _)| rule.service());
            }
            let (rules, handles): (_, Vec<_>) = rules.into_iter().unzip();
            self.chains.push(Chain { name, base, rules, handles: handles.into() });
            return new;
        }
        let lines = std::iter::once(head).chain(body.iter().map(|(line, _)| *line)).chain(["}"]);
        self.foreign.push(lines.collect::<Vec<_>>().join("\n\t"));
        true
    }
}

/// The set, if its type and elements are as ours.
fn set(name: SetName, body: &[Line<'_>]) -> Option<Set> {
    let (kind, elements) = match (name.networks, body) {
        (None, [(kind, _), ("flags interval", _), elements @ ..]) => (kind, elements),
        (Some(_), [(kind, _), elements @ ..]) => (kind, elements),
        _ => return None,
    };
    let (addresses, rest) = kind.strip_prefix("type ")?.split_once(' ')?;
    if addresses != name.addresses() || rest != ". inet_proto . inet_service" {
        return None;
    }
    let mut ranges = Vec::with_capacity(elements.len());
    if let Some((first, more)) = elements.split_first() {
        let first = first.0.strip_prefix("elements = {")?;
        let last = more.len();
        let more = more.iter().map(|(line, _)| *line);
        for (place, line) in std::iter::once(first).chain(more).enumerate() {
            let line = if place == last { line.strip_suffix('}')? } else { line.strip_suffix(',')? };
            for element in line.split(',') {
                ranges.push(range(element.trim(), name)?);
            }
        }
    }
    Set::read(name, ranges)
}

/// `10.0.0.0/8 . tcp . 80`, and in a set of networks their first address alone.
fn range(text: &str, set: SetName) -> Option<Range> {
    let (addresses, rest) = text.split_once(" . ")?;
    let (protocol, ports) = rest.split_once(" . ")?;
    let (first, last) = match set.networks {
        Some(length) => read_addresses(&format!("{addresses}/{length}"))?,
        None => read_addresses(addresses)?,
    };
    let range = Range::new(first, last, Protocol::from_nft(protocol, set.v6)?, ports.parse().ok()?).ok()?;
    (range.is_ipv6() == set.v6).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "table inet keyward {\n\tset ingress4 {\n\t\ttype ipv4_addr . inet_proto . inet_service\n\t\tflags interval\n\t\telements = { 10.0.0.0/8 . tcp . 80,\n\t\t\t     10.0.0.1-10.0.0.9 . udp . 53-54 }\n\t}\n\n\tchain restore {\n\t\tct mark & 0x0f000000 == 0x01000000 goto mark_ingress\n\t}\n}\n";

    fn refusal(text: &str) -> String {
        text.parse::<Table>().unwrap_err().to_string()
    }

    #[test]
    fn what_others_put_there_is_found() {
        let table: Table = OURS.parse().unwrap();
        assert_eq!(table.foreign().count(), 0);
        for (from, to, foreign) in [
            ("\tchain restore {", "\tcomment \"}\"\n\n\tchain restore {", "comment \"}\""),
            (
                "\tchain restore {",
                "\tchain theirs {\n\t\tdrop\n\t}\n\n\tchain restore {",
                "chain theirs {\n\tdrop\n\t}",
            ),
            (
                "goto mark_ingress",
                "counter packets 0 bytes 0 goto mark_ingress",
                "ct mark & 0x0f000000 == 0x01000000 counter packets 0 bytes 0 goto mark_ingress",
            ),
            (". tcp . 80,", ". tcp . 80 comment \"x\",", "set ingress4 {\n\ttype ipv4_addr"),
            ("flags interval", "flags interval,timeout", "set ingress4 {\n\ttype ipv4_addr"),
        ] {
            let drifted: Table = OURS.replacen(from, to, 1).parse().unwrap();
            let found: Vec<_> = drifted.foreign().collect();
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with(foreign), "{found:?}");
            assert!(!drifted.changes(&table).is_empty());
        }
    }

    #[test]
    fn forms_of_other_versions_are_read() {
        let table: Table = OURS.parse().unwrap();
        for other in [
            OURS.replace("table inet keyward {", "# a warning\ntable inet keyward { # handle 7"),
            OURS.replace("goto mark_ingress", "goto mark_ingress  # handle 8 # handle 9"),
            OURS.replace(",\n\t\t\t     ", ", "),
            OURS.replace(". tcp .", ". 6 .").replace(". udp .", ". 17 ."),
        ] {
            assert_eq!(other.parse::<Table>().as_ref(), Ok(&table), "{other}");
        }
    }

    #[test]
    fn what_is_no_listing_says_where() {
        assert_eq!(
            refusal(""),
            "line 0: `` is not `table inet keyward {`; give what `nft -s list table inet keyward` prints"
        );
        assert_eq!(
            refusal("table inet filter {\n}\n"),
            "line 1: `table inet filter {` is not `table inet keyward {`; give what `nft -s list table inet keyward` prints"
        );
        assert_eq!(
            refusal(OURS.trim_end().trim_end_matches('}')),
            "line 11: the listing ends inside a block; give all of what `nft -s list table inet keyward` prints"
        );
        assert_eq!(
            refusal(&format!("{OURS}table ip x {{\n}}\n")),
            "line 13: `table ip x {` behind the end of the table; give the listing of this table alone"
        );
        assert_eq!(
            refusal(&OURS.replace("\n\tchain restore {", "\n\tchain restore {\n\t}\n\tchain restore {")),
            "line 13: `chain restore {` a second time; give the listing as nft prints it"
        );
        assert_eq!(
            refusal("table inet keyward {\n\tchain restore {\n\t\tdrop }\n}\n"),
            "line 3: a block ends elsewhere than in a line of its own; give the listing as nft prints it"
        );
    }
}
