//! Rules of the table.

use std::fmt;
use std::net::IpAddr;

use super::block::BlockName;
use super::elements::Elements;
use super::{ChainName, SetName, shown};
use crate::address::{Addresses, Shown, prefix};
use crate::mark::{Hex, number};
use crate::{Class, Interface, MarkMatch, Marks, PortRange, Protocol, Range};

/// A rule: of ours, or of somebody else's, which is known by its text alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Rule {
    Own(Vec<Match>, Action),
    Foreign(String),
}

/// What a packet has to have.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Match {
    /// `ct mark & …`
    ConnectionMark(MarkMatch),
    /// `meta mark & …`
    PacketMark(MarkMatch),
    /// `ct direction reply`
    Reply,
    /// `ct state established,related`
    Established,
    /// Router and neighbour discovery (RFC 4861 §4), without which IPv6 does not work at all.
    NeighborDiscovery,
    /// `iifname`
    From(Interface),
    /// `oifname`
    To(Interface),
    /// `meta nfproto`
    Family { v6: bool },
    /// `ip saddr`: first and last addresses of one family, in order, no two of them neighbours.
    Source { v6: bool, addresses: Vec<(IpAddr, IpAddr)> },
    /// `ip daddr . meta l4proto . th dport @…`, and of networks `ip daddr & … . meta l4proto . th dport @…`
    Lookup(SetName),
    /// `udp dport … ip daddr { … }`: one range or more with the same protocol and ports.
    Among(Elements),
}

/// What becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// Writes our bits of the packet's mark.
    MarkPacket(MarkWrite),
    /// Writes our bits of the connection's mark.
    MarkConnection(MarkWrite),
    Accept,
    Drop,
    Jump(ChainName),
    Goto(ChainName),
    /// `ip daddr . th dport vmap { … }`: jumps to the chain of the block in which the address is. Of two fields, as old versions crash
    /// on a map of one that new ones loaded.
    Branch(Vec<BlockName>),
}

/// Bits that are written, and the value that they get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct MarkWrite {
    mask: u32,
    value: u32,
}

const DISCOVERY: &str = "icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert }";

impl MarkWrite {
    pub(crate) fn of(marks: &Marks, class: Class) -> Self {
        Self { mask: marks.mask().bits(), value: marks.value(class) }
    }

    /// The bits that stay or become set: nft folds what is set into what is kept.
    pub(super) fn kept(self) -> u32 {
        !self.mask | self.value
    }

    pub(super) fn value(self) -> u32 {
        self.value
    }

    /// Which bits are written can be told but for those that are set, which are in any case.
    fn read(kept: u32, value: u32) -> Option<Self> {
        (kept & value == value && value != 0).then_some(Self { mask: !kept | value, value })
    }
}

impl Rule {
    fn matches(&self) -> &[Match] {
        match self {
            Self::Own(matches, _) => matches,
            Self::Foreign(_) => &[],
        }
    }

    /// The sets in which it looks something up.
    pub(crate) fn sets(&self) -> impl Iterator<Item = SetName> {
        self.matches().iter().filter_map(|found| match found {
            Match::Lookup(set) => Some(*set),
            _ => None,
        })
    }

    /// The protocol and ports of the ranges that it has itself.
    pub(super) fn service(&self) -> Option<(Protocol, PortRange)> {
        let Some(Match::Among(ranges)) = self.matches().first() else { return None };
        ranges.iter().next().map(|range| (range.protocol(), range.ports()))
    }

    /// How many ranges it has itself.
    pub(super) fn elements(&self) -> usize {
        let own = self.matches().iter().map(|found| if let Match::Among(ranges) = found { ranges.len() } else { 0 });
        own.sum()
    }

    /// For which packets it looks for ranges, and for which: whatever ranges those are now, and in which sets and blocks.
    pub(crate) fn conditions(&self) -> (Vec<&Match>, Option<SetName>) {
        let is_range = |found: &&Match| matches!(found, Match::Lookup(_) | Match::Among(_));
        let blocks = match self {
            Self::Own(_, Action::Branch(blocks)) => blocks.as_slice(),
            _ => &[],
        };
        let whole = |set| SetName { networks: None, ..set };
        let set = self.sets().map(whole).chain(blocks.iter().map(|block| block.set())).next();
        (self.matches().iter().filter(|found| !is_range(found)).collect(), set)
    }

    /// Whether all that it does is to find ranges.
    pub(crate) fn finds_ranges(&self) -> bool {
        match self {
            Self::Own(matches, Action::Goto(ChainName::Mark(_))) => {
                matches.iter().any(|found| matches!(found, Match::Lookup(_) | Match::Among(_)))
            }
            Self::Own(_, action) => matches!(action, Action::Branch(_)),
            Self::Foreign(_) => false,
        }
    }

    /// A rule as nft writes it.
    pub(super) fn read(line: &str) -> Self {
        Self::own(line).unwrap_or_else(|| Self::Foreign(line.to_owned()))
    }

    fn own(line: &str) -> Option<Self> {
        let (mut matches, mut rest) = (Vec::new(), line);
        loop {
            if let Some(action) = Action::read(rest) {
                return Some(Self::Own(matches, action));
            }
            let (found, behind) = Match::read(rest)?;
            matches.push(found);
            rest = behind.strip_prefix(' ')?;
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(matches, action) => {
                for found in matches {
                    write!(f, "{found} ")?;
                }
                action.fmt(f)
            }
            Self::Foreign(text) => f.write_str(text),
        }
    }
}

impl Match {
    /// A match at the beginning, and the text behind it.
    fn read(text: &str) -> Option<(Self, &str)> {
        for (fixed, found) in [
            ("ct direction reply", Self::Reply),
            ("ct state established,related", Self::Established),
            (DISCOVERY, Self::NeighborDiscovery),
            ("meta nfproto ipv4", Self::Family { v6: false }),
            ("meta nfproto ipv6", Self::Family { v6: true }),
        ] {
            if let Some(rest) = text.strip_prefix(fixed) {
                return Some((found, rest));
            }
        }
        if let Some(rest) = text.strip_prefix("ct mark ") {
            return mark(rest).map(|(mark, rest)| (Self::ConnectionMark(mark), rest));
        }
        if let Some(rest) = text.strip_prefix("meta mark ") {
            return mark(rest).map(|(mark, rest)| (Self::PacketMark(mark), rest));
        }
        if let Some(rest) = text.strip_prefix("iifname \"") {
            return interface(rest).map(|(interface, rest)| (Self::From(interface), rest));
        }
        if let Some(rest) = text.strip_prefix("oifname \"") {
            return interface(rest).map(|(interface, rest)| (Self::To(interface), rest));
        }
        for protocol in Protocol::ALL.into_iter().filter(|protocol| protocol.has_ports()) {
            let Some(rest) = text.strip_prefix(protocol.as_str()).and_then(|rest| rest.strip_prefix(" dport ")) else {
                continue;
            };
            let (ports, rest) = rest.split_once(' ')?;
            let (v6, rest) = match rest.strip_prefix("ip daddr ") {
                Some(rest) => (false, rest),
                None => (true, rest.strip_prefix("ip6 daddr ")?),
            };
            let (addresses, rest) = addresses(rest, v6)?;
            let ports = ports.parse().ok()?;
            let ranges = addresses.into_iter().map(|(first, last)| Range::new(first, last, protocol, ports).ok());
            return Some((Self::Among(ranges.collect::<Option<Vec<_>>>()?.into()), rest));
        }
        for v6 in [false, true] {
            let family = if v6 { "ip6 " } else { "ip " };
            let Some(rest) = text.strip_prefix(family) else { continue };
            if let Some(rest) = rest.strip_prefix("saddr ") {
                let (addresses, rest) = addresses(rest, v6)?;
                return Some((Self::Source { v6, addresses }, rest));
            }
            let (looked_up, rest) = rest.strip_prefix("daddr ")?.split_once(". meta l4proto . th dport @")?;
            let name =
                SetName::read(word(rest)).filter(|name| name.v6 == v6 && masked(*name).to_string() == looked_up)?;
            return Some((Self::Lookup(name), rest.get(word(rest).len()..)?));
        }
        None
    }
}

/// What of an address is looked up in a set: `& 255.255.255.0 `, or nothing where it is all of it.
fn masked(set: SetName) -> impl fmt::Display {
    shown(move |f| set.mask().map_or(Ok(()), |mask| write!(f, "& {} ", Shown(mask))))
}

fn word(text: &str) -> &str {
    text.split_once(' ').map_or(text, |(word, _)| word)
}

/// `& MASK == VALUE`, or the value of all bits.
fn mark(text: &str) -> Option<(MarkMatch, &str)> {
    let hex = |text: &str| number(text).filter(|_| text.starts_with("0x"));
    let Some(rest) = text.strip_prefix("& ") else {
        let value = word(text);
        return Some((MarkMatch::new(hex(value)?, u32::MAX).ok()?, text.get(value.len()..)?));
    };
    let (mask, rest) = rest.split_once(" == ")?;
    let value = word(rest);
    Some((MarkMatch::new(hex(value)?, hex(mask)?).ok()?, rest.get(value.len()..)?))
}

fn interface(text: &str) -> Option<(Interface, &str)> {
    let (name, rest) = text.split_once('"')?;
    Some((name.parse().ok()?, rest))
}

/// The one, or several in braces.
fn list(f: &mut fmt::Formatter<'_>, addresses: impl Iterator<Item = (IpAddr, IpAddr)>) -> fmt::Result {
    let mut addresses = addresses.map(|(first, last)| Addresses(first, last)).peekable();
    let Some(one) = addresses.next() else { return Ok(()) };
    if addresses.peek().is_none() {
        return write!(f, "{one}");
    }
    write!(f, "{{ {one}")?;
    addresses.try_for_each(|next| write!(f, ", {next}"))?;
    f.write_str(" }")
}

fn addresses(text: &str, v6: bool) -> Option<(Vec<(IpAddr, IpAddr)>, &str)> {
    let (list, rest) = match text.strip_prefix("{ ") {
        Some(text) => text.split_once(" }")?,
        None => (word(text), text.get(word(text).len()..)?),
    };
    let read: Vec<_> = list.split(", ").map(read_addresses).collect::<Option<_>>()?;
    read.iter().all(|(first, _)| first.is_ipv6() == v6).then_some((read, rest))
}

/// One address, a prefix or a range, as nft writes them.
pub(super) fn read_addresses(text: &str) -> Option<(IpAddr, IpAddr)> {
    if let Some((first, last)) = text.split_once('-') {
        let (first, last) = (first.parse::<IpAddr>().ok()?, last.parse::<IpAddr>().ok()?);
        return (first.is_ipv4() == last.is_ipv4() && first <= last).then_some((first, last));
    }
    let Some((first, length)) = text.split_once('/') else {
        return text.parse().ok().map(|address| (address, address));
    };
    let first = first.parse::<IpAddr>().ok()?;
    let (v6, length) = (first.is_ipv6(), length.parse::<u32>().ok()?);
    let low = crate::address::highest(v6).checked_shr(length).unwrap_or(0);
    let last = crate::address::address(crate::address::number(first) | low, v6)?;
    (prefix(first, last) == Some(length)).then_some((first, last))
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = |f: &mut fmt::Formatter<'_>, what, mark: &MarkMatch| match mark.mask() {
            u32::MAX => write!(f, "{what} mark {}", Hex(mark.value())),
            mask => write!(f, "{what} mark & {} == {}", Hex(mask), Hex(mark.value())),
        };
        let ip = |v6: bool| if v6 { "ip6" } else { "ip" };
        match self {
            Self::ConnectionMark(value) => mark(f, "ct", value),
            Self::PacketMark(value) => mark(f, "meta", value),
            Self::Reply => f.write_str("ct direction reply"),
            Self::Established => f.write_str("ct state established,related"),
            Self::NeighborDiscovery => f.write_str(DISCOVERY),
            Self::From(interface) => write!(f, "iifname \"{interface}\""),
            Self::To(interface) => write!(f, "oifname \"{interface}\""),
            Self::Family { v6 } => write!(f, "meta nfproto {}", if *v6 { "ipv6" } else { "ipv4" }),
            Self::Source { v6, addresses } => {
                write!(f, "{} saddr ", ip(*v6))?;
                list(f, addresses.iter().copied())
            }
            Self::Among(ranges) => {
                let Some(any) = ranges.iter().next() else { return Ok(()) };
                write!(f, "{} dport {} {} daddr ", any.protocol(), any.ports(), ip(any.is_ipv6()))?;
                list(f, ranges.iter().map(|range| (range.first(), range.last())))
            }
            Self::Lookup(set) => {
                write!(f, "{} daddr {}. meta l4proto . th dport @{set}", ip(set.v6), masked(*set))
            }
        }
    }
}

impl Action {
    /// An action that is all of the text.
    fn read(text: &str) -> Option<Self> {
        match text {
            "accept" => return Some(Self::Accept),
            "drop" => return Some(Self::Drop),
            _ => {}
        }
        if let Some(name) = text.strip_prefix("jump ") {
            return ChainName::read(name).map(Self::Jump);
        }
        if let Some(name) = text.strip_prefix("goto ") {
            return ChainName::read(name).map(Self::Goto);
        }
        for (v6, begin) in [(false, "ip daddr . th dport vmap { "), (true, "ip6 daddr . th dport vmap { ")] {
            if let Some(list) = text.strip_prefix(begin).and_then(|rest| rest.strip_suffix(" }")) {
                return list.split(", ").map(|one| branch(one, v6)).collect::<Option<_>>().map(Self::Branch);
            }
        }
        let write = |what: &str| {
            let rest =
                text.strip_prefix(what)?.strip_prefix(" mark set ")?.strip_prefix(what)?.strip_prefix(" mark ")?;
            let hex = |text: &str| number(text).filter(|_| text.starts_with("0x"));
            match rest.strip_prefix("& ") {
                Some(rest) => {
                    let (kept, value) = rest.split_once(" | ")?;
                    MarkWrite::read(hex(kept)?, hex(value)?)
                }
                None => MarkWrite::read(u32::MAX, hex(rest.strip_prefix("| ")?)?),
            }
        };
        write("meta").map(Self::MarkPacket).or_else(|| write("ct").map(Self::MarkConnection))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let write = |f: &mut fmt::Formatter<'_>, what, mark: &MarkWrite| match mark.kept() {
            u32::MAX => write!(f, "{what} mark set {what} mark | {}", Hex(mark.value)),
            kept => write!(f, "{what} mark set {what} mark & {} | {}", Hex(kept), Hex(mark.value)),
        };
        match self {
            Self::MarkPacket(mark) => write(f, "meta", mark),
            Self::MarkConnection(mark) => write(f, "ct", mark),
            Self::Accept => f.write_str("accept"),
            Self::Drop => f.write_str("drop"),
            Self::Jump(chain) => write!(f, "jump {chain}"),
            Self::Goto(chain) => write!(f, "goto {chain}"),
            Self::Branch(blocks) => {
                let family = if blocks.iter().any(|block| block.first.is_ipv6()) { "ip6" } else { "ip" };
                write!(f, "{family} daddr . th dport vmap {{")?;
                for (place, block) in blocks.iter().enumerate() {
                    let addresses = Addresses(block.first, block.last());
                    write!(f, "{} {addresses} . 0-65535 : jump {block}", if place == 0 { "" } else { "," })?;
                }
                f.write_str(" }")
            }
        }
    }
}

/// `10.0.0.0/21 . 0-65535 : jump ingress4_0a000000_21`
fn branch(text: &str, v6: bool) -> Option<BlockName> {
    let (addresses, name) = text.split_once(" . 0-65535 : jump ")?;
    let name = BlockName::read(name).filter(|name| name.first.is_ipv6() == v6)?;
    (read_addresses(addresses) == Some((name.first, name.last()))).then_some(name)
}
