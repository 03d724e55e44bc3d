//! Rules of the table.

use std::fmt;
use std::net::IpAddr;

use super::{ChainName, SetName, shown};
use crate::address::{Addresses, Shown, prefix};
use crate::mark::{Hex, number};
use crate::{Class, Interface, MarkMatch, Marks};

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
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// Writes our bits of the packet's mark.
    MarkPacket(MarkWrite),
    /// Writes our bits of the connection's mark.
    MarkConnection(MarkWrite),
    Accept,
    Drop,
    Jump(ChainName),
    Goto(ChainName),
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
            Self::Source { v6, addresses } => match addresses.as_slice() {
                [(first, last)] => write!(f, "{} saddr {}", ip(*v6), Addresses(*first, *last)),
                several => {
                    write!(f, "{} saddr {{", ip(*v6))?;
                    for (place, (first, last)) in several.iter().enumerate() {
                        write!(f, "{}{}", if place == 0 { " " } else { ", " }, Addresses(*first, *last))?;
                    }
                    f.write_str(" }")
                }
            },
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
            Self::Jump(chain) => write!(f, "jump {}", chain.as_str()),
            Self::Goto(chain) => write!(f, "goto {}", chain.as_str()),
        }
    }
}
