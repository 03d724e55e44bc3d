//! What differs between two tables, for people.

use std::fmt;
use std::sync::Arc;

use crate::Table;
use crate::table::{Match, Rule};

/// One difference between two tables, as nft writes what is there: `set ingress4: 192.0.2.0/24 . tcp . 443`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// It is there before and not afterwards.
    Removed(String),
    /// It is not there before.
    Added(String),
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
