//! Ranges in blocks of addresses, where there are very many of them.
//!
//! A set of intervals takes longer the more ranges are in it. So many of them are split by their addresses into blocks of some
//! hundred: a map finds the chain of a block, and its rules have the ranges with the same ports as addresses alone.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::elements::{Elements, Lengths, is_one_of};
use super::{Action, Chain, ChainName, Match, Rule, SetKind, SetName};
use crate::address::{address, highest, number};
use crate::{PortRange, Protocol, Range};

/// From how many ranges on they are in blocks; where they are already, from half of that on.
const MANY: usize = 4_000;
/// The most ranges of a block. One that is there has a fourth more, and two that are there have a fourth less before they become one.
const FULL: usize = 1_024;
/// From how many ranges with the same ports on a block has a rule for them, and how many such rules at most. Others stay in the set. A rule
/// that is there stays until there are half as many.
const ALIKE: usize = 16;
const RULES: usize = 16;

/// A block: addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BlockName {
    kind: SetKind,
    pub(crate) first: IpAddr,
    length: u8,
}

/// The same protocol and ports.
type Service = (Protocol, PortRange);

/// A block that a table has, and for what it has rules.
#[derive(Debug)]
pub(super) struct There {
    name: BlockName,
    services: Vec<Service>,
}

/// The blocks of the ranges of one family.
#[derive(Debug, Clone, Default)]
pub(crate) struct Blocks {
    list: Arc<[Range]>,
    lengths: Lengths,
    blocks: Arc<[Block]>,
}

#[derive(Debug)]
struct Block {
    name: BlockName,
    last: IpAddr,
    /// Where in the list its ranges begin and end; there are others between them.
    places: (usize, usize),
    /// Those of its ranges.
    services: Vec<Service>,
}

impl There {
    /// The chain of a block of this set.
    pub(super) fn read(chain: &Chain, set: SetName) -> Option<Self> {
        let ChainName::Block(name) = chain.name else { return None };
        let services = chain.rules.iter().filter_map(Rule::service).collect();
        (name.set() == set).then_some(Self { name, services })
    }
}

impl BlockName {
    /// `ingress4_0a000000_21`
    pub(super) fn read(text: &str) -> Option<Self> {
        let (rest, length) = text.rsplit_once('_')?;
        let (set, bits) = rest.rsplit_once('_')?;
        let set = SetName::read(set).filter(|set| set.networks.is_none())?;
        let first = address(u128::from_str_radix(bits, 16).ok()?, set.v6)?;
        let read = Self { kind: set.kind, first, length: length.parse().ok()? };
        let fits = u32::from(read.length) <= bits_of(set.v6) && number(first) & low(read.length.into(), set.v6) == 0;
        (fits && read.to_string() == text).then_some(read)
    }

    /// The set for those that are in no block.
    pub(crate) fn set(self) -> SetName {
        SetName { kind: self.kind, v6: self.first.is_ipv6(), networks: None }
    }

    /// The last of its addresses.
    pub(crate) fn last(self) -> IpAddr {
        let v6 = self.first.is_ipv6();
        address(number(self.first) | low(self.length.into(), v6), v6).unwrap_or(self.first)
    }
}

impl fmt::Display for BlockName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.first.is_ipv6() { 32 } else { 8 };
        write!(f, "{}_{:0digits$x}_{}", self.set(), number(self.first), self.length)
    }
}

fn bits_of(v6: bool) -> u32 {
    if v6 { 128 } else { 32 }
}

/// The bits behind a prefix.
fn low(length: u32, v6: bool) -> u128 {
    highest(v6).checked_shr(length).unwrap_or(0)
}

impl Blocks {
    /// The blocks of a list without the networks of these lengths, as close to those that are there as is good: none where the ranges
    /// are not many.
    pub(super) fn of(kind: SetKind, list: &Arc<[Range]>, lengths: Lengths, there: &[There]) -> Self {
        let fits = |range: &Range| range.protocol().has_ports() && !is_one_of(range, lengths);
        let many = if there.is_empty() { MANY } else { MANY / 2 };
        let mut blocks = Vec::new();
        if list.iter().filter(|range| fits(range)).nth(many.saturating_sub(1)).is_some() {
            let places: Vec<(usize, &Range)> = list.iter().enumerate().filter(|(_, range)| fits(range)).collect();
            split(kind, &places, there, &mut blocks);
        }
        Self { list: Arc::clone(list), lengths, blocks: blocks.into() }
    }

    /// Whether a range of the list, which is none of those networks, is in a block.
    pub(super) fn hold(&self, range: &Range) -> bool {
        let Some(before) = self.blocks.partition_point(|block| block.name.first <= range.first()).checked_sub(1) else {
            return false;
        };
        self.blocks.get(before).is_some_and(|block| {
            range.last() <= block.last && block.services.contains(&(range.protocol(), range.ports()))
        })
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = BlockName> {
        self.blocks.iter().map(|block| block.name)
    }

    /// The chain of each block, which goes to one for what is in it.
    pub(crate) fn chains(&self, goto: ChainName) -> impl Iterator<Item = Chain> {
        self.blocks.iter().map(move |block| {
            let rules = block.services.iter().map(|(protocol, ports)| {
                let alike = Alike { places: block.places, last: block.last, service: (*protocol, *ports) };
                Rule::Own(vec![Match::Among(Elements::alike(&self.list, self.lengths, alike))], Action::Goto(goto))
            });
            Chain::new(ChainName::Block(block.name), None, rules.collect())
        })
    }
}

/// The ranges of a block with the same ports.
#[derive(Debug, Clone, Copy)]
pub(super) struct Alike {
    pub(super) places: (usize, usize),
    pub(super) last: IpAddr,
    pub(super) service: Service,
}

/// Halves the addresses in which ranges are until none has too many. What lies across a border is in no block.
fn split(kind: SetKind, ranges: &[(usize, &Range)], there: &[There], blocks: &mut Vec<Block>) {
    let (Some((_, first)), Some(last)) = (ranges.first(), ranges.iter().map(|(_, range)| range.last()).max()) else {
        return;
    };
    let v6 = last.is_ipv6();
    let differing = u128::BITS - (number(first.first()) ^ number(last)).leading_zeros();
    let Some(length) = bits_of(v6).checked_sub(differing).filter(|length| *length < bits_of(v6)) else { return };
    let begin = number(first.first()) & !low(length, v6);
    let middle = begin | (low(length, v6) ^ low(length + 1, v6));
    let (lower, higher) = ranges.split_at(ranges.partition_point(|(_, range)| number(range.first()) < middle));
    let lower: Vec<_> = lower.iter().copied().filter(|(_, range)| number(range.last()) < middle).collect();
    for (half, begin) in [(lower.as_slice(), begin), (higher, middle)] {
        let Some((first, length)) = address(begin, v6).zip(u8::try_from(length + 1).ok()) else { return };
        let name = BlockName { kind, first, length };
        if half.len() > full(name, there) {
            split(kind, half, there, blocks);
        } else {
            blocks.extend(block(name, half, there));
        }
    }
}

/// The most ranges of a block, where it or what it would be made of is there.
fn full(name: BlockName, there: &[There]) -> usize {
    let is_within = |other: BlockName| (name.first..=name.last()).contains(&other.first) && other.length > name.length;
    if there.iter().any(|there| there.name == name) {
        FULL + FULL / 4
    } else if there.iter().any(|there| is_within(there.name)) {
        FULL - FULL / 4
    } else {
        FULL
    }
}

fn block(name: BlockName, ranges: &[(usize, &Range)], there: &[There]) -> Option<Block> {
    let mut counts = BTreeMap::new();
    for (_, range) in ranges {
        *counts.entry((range.protocol(), range.ports())).or_insert(0usize) += 1;
    }
    let there = there.iter().find(|there| there.name == name);
    let alike =
        |service: &Service| if there.is_some_and(|there| there.services.contains(service)) { ALIKE / 2 } else { ALIKE };
    let mut services: Vec<_> = counts.into_iter().filter(|(service, count)| *count >= alike(service)).collect();
    services.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    services.truncate(RULES);
    let mut services: Vec<_> = services.into_iter().map(|(service, _)| service).collect();
    services.sort_unstable();
    let ((first, _), (last, _)) = ranges.first().zip(ranges.last()).filter(|_| !services.is_empty())?;
    Some(Block { name, last: name.last(), places: (*first, last + 1), services })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spans of three addresses that are no network, four apart, with so many kinds of ports.
    fn spans(count: u32, kinds: u16, v6: bool) -> Arc<[Range]> {
        let at = |place: u32| {
            let first = u128::from(place) * 4 + if v6 { 0xfd << 120 } else { 0x0a00_0000 };
            let ports = PortRange::new(9000, 9000 + u16::try_from(place).unwrap() % kinds).unwrap();
            let (first, last) = (address(first, v6).unwrap(), address(first + 2, v6).unwrap());
            Range::new(first, last, Protocol::Udp, ports).unwrap()
        };
        (0..count).map(at).collect()
    }

    fn blocks(list: &Arc<[Range]>, there: &[There]) -> Blocks {
        Blocks::of(SetKind::Ingress, list, Lengths::default(), there)
    }

    /// What a table has that was made of them.
    fn there(blocks: &Blocks) -> Vec<There> {
        let of = |block: &Block| There { name: block.name, services: block.services.clone() };
        blocks.blocks.iter().map(of).collect()
    }

    fn ranges(chain: &Chain) -> Vec<Range> {
        let of_rule = |rule: &Rule| match rule {
            Rule::Own(matches, _) => match matches.as_slice() {
                [Match::Among(ranges)] => ranges.iter().copied().collect::<Vec<_>>(),
                other => panic!("{other:?}"),
            },
            Rule::Foreign(text) => panic!("{text}"),
        };
        chain.rules.iter().flat_map(of_rule).collect()
    }

    #[test]
    fn names_are_read_back() {
        let v6 = "control_in6_fd000000000000000000000000000000_8";
        for name in ["ingress4_00000000_0", "egress4_0a000000_8", "control_out4_0a000001_32", v6] {
            assert_eq!(BlockName::read(name).unwrap().to_string(), name);
        }
        for other in ["ingress4", "ingress4_24", "ingress4_0a000001_31", "ingress4_0A000000_8", "ingress6_0a000000_8"] {
            assert_eq!(BlockName::read(other), None, "{other}");
        }
        assert_eq!(BlockName::read("ingress4_0a000000_33"), None);
    }

    #[test]
    fn each_range_is_in_one_block_or_in_the_set() {
        for (kinds, v6) in [(1, false), (7, false), (7, true), (60, true)] {
            let list = spans(10_000, kinds, v6);
            let blocks = blocks(&list, &[]);
            let chains: Vec<Chain> = blocks.chains(ChainName::Restore).collect();
            assert!(chains.iter().all(|chain| (1..=FULL).contains(&ranges(chain).len()) && chain.rules.len() <= RULES));
            let rest = Elements::except(&list, Lengths::default(), blocks);
            let mut all: Vec<Range> = chains.iter().flat_map(ranges).chain(rest.iter().copied()).collect();
            all.sort_unstable();
            assert_eq!(all, list.to_vec());
            assert_eq!(rest.is_empty(), kinds < 60);
        }
    }

    #[test]
    fn few_ranges_are_in_no_block_and_those_that_are_in_one_stay() {
        let had = there(&blocks(&spans(4_000, 7, false), &[]));
        let count = |count, there: &[There]| blocks(&spans(count, 7, false), there).names().count();
        assert_eq!((count(3_999, &[]), count(1_999, &had)), (0, 0));
        assert!(count(4_000, &[]) > 1 && count(2_000, &had) > 1);
    }

    /// So many spans in each of eight blocks of 65,536 addresses, of which so many have a port that others have not.
    fn eight(each: u32, rare: u32) -> Arc<[Range]> {
        let at = |place: u32| {
            let first = 0x0a00_0000 + (place / each) * 0x1_0000 + (place % each) * 0x1_0000 / each;
            let port = if place % each < rare { 53 } else { 443 };
            let (first, last) = (address(first.into(), false).unwrap(), address((first + 2).into(), false).unwrap());
            Range::new(first, last, Protocol::Udp, PortRange::from(port)).unwrap()
        };
        (0..each * 8).map(at).collect()
    }

    #[test]
    fn blocks_and_rules_stay_what_they_are_around_their_borders() {
        let names = |blocks: &Blocks| blocks.names().collect::<Vec<_>>();
        let fresh = |each| blocks(&eight(each, 0), &[]);
        let beside = |each, had: &Blocks| blocks(&eight(each, 0), &there(had));
        let (eight_blocks, sixteen) = (fresh(1_024), fresh(1_025));
        assert_eq!((names(&eight_blocks).len(), names(&sixteen).len()), (8, 16));
        let kept = beside(1_280, &eight_blocks);
        assert_eq!(names(&kept), names(&eight_blocks));
        assert_eq!(names(&beside(1_280, &kept)), names(&kept), "again");
        assert_eq!(names(&beside(1_281, &eight_blocks)), names(&sixteen));
        assert_eq!(names(&beside(769, &sixteen)), names(&sixteen));
        assert_eq!(names(&beside(768, &sixteen)), names(&eight_blocks));
        let rules = |rare, had: &[There]| {
            let list = eight(1_000, rare);
            let blocks = blocks(&list, had);
            (blocks.blocks.iter().map(|block| block.services.len()).max(), there(&blocks))
        };
        let ((two, had), (one, _)) = (rules(16, &[]), rules(15, &[]));
        assert_eq!([two, one, rules(8, &had).0, rules(7, &had).0], [Some(2), Some(1), Some(2), Some(1)]);
    }

    #[test]
    fn what_lies_across_a_border_is_in_the_set() {
        let mut all = spans(5_000, 7, false).to_vec();
        let wide = Range::new("10.0.0.0".parse().unwrap(), "10.1.0.0".parse().unwrap(), Protocol::Tcp, PortRange::ALL);
        let wide = wide.unwrap();
        all.push(wide);
        all.sort_unstable();
        let list: Arc<[Range]> = all.into();
        let blocks = blocks(&list, &[]);
        let rest: Vec<Range> = Elements::except(&list, Lengths::default(), blocks).iter().copied().collect();
        assert_eq!(rest, [wide]);
    }
}
