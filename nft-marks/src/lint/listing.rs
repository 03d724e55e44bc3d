//! The chains of a listing, as far as a lint needs them.

use crate::table::{FAMILY, NAME, Priority};

pub(super) struct Chain<'a> {
    /// Family and name.
    pub(super) table: &'a str,
    pub(super) name: &'a str,
    pub(super) base: Option<Base<'a>>,
    pub(super) rules: Vec<&'a str>,
}

pub(super) struct Base<'a> {
    /// `filter`, `nat` or `route`.
    pub(super) kind: &'a str,
    pub(super) hook: &'a str,
    pub(super) priority: Priority,
    /// Whether its policy is to drop.
    pub(super) drops: bool,
}

/// The chains of every table but ours, of the families that see the same packets.
pub(super) fn read(text: &str) -> Vec<Chain<'_>> {
    let mut chains: Vec<Chain<'_>> = Vec::new();
    let mut table = None;
    // Whether a chain is open, and how deep a line is in blocks that are not chains.
    let (mut open, mut other) = (false, 0);
    for line in text.lines().map(|line| line.trim()) {
        let line = line.split_once(" # handle").map_or(line, |(line, _)| line);
        if other > 0 {
            other += i32::from(line.ends_with('{')) - i32::from(line == "}");
            continue;
        }
        if line == "}" {
            // Of the chain, or of the table.
            table = table.filter(|_| open);
            open = false;
        } else if let Some(head) = line.strip_prefix("table ").and_then(|line| line.strip_suffix(" {")) {
            (table, open) = (Some(head), false);
        } else if let (Some(table), Some(name)) = (table, block(line, "chain ")) {
            chains.push(Chain { table, name, base: None, rules: Vec::new() });
            open = true;
        } else if line.ends_with('{') {
            other = 1;
        } else if let Some(chain) = chains.last_mut().filter(|_| open && !line.is_empty()) {
            match base(line) {
                Some(base) if chain.base.is_none() => chain.base = Some(base),
                _ => chain.rules.push(line),
            }
        }
    }
    let ours = format!("{FAMILY} {NAME}");
    chains.retain(|chain| {
        let family = chain.table.split(' ').next().unwrap_or_default();
        chain.table != ours && ["ip", "ip6", "inet"].contains(&family)
    });
    chains
}

fn block<'a>(line: &'a str, kind: &str) -> Option<&'a str> {
    line.strip_prefix(kind)?.strip_suffix(" {")
}

fn base(line: &str) -> Option<Base<'_>> {
    let (kind, rest) = line.strip_prefix("type ")?.split_once(" hook ")?;
    let (head, rest) = rest.split_once(" priority ")?;
    let hook = head.split(' ').next()?;
    let (priority, rest) = rest.split_once(';')?;
    Some(Base { kind, hook, priority: Priority::read(priority)?, drops: rest.contains("policy drop") })
}
