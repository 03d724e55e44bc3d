//! Sets of the table.

use std::fmt;
use std::net::IpAddr;

use super::Table;
use super::block::{Blocks, There};
use super::elements::{Elements, frequent, network};
use crate::address::{address, highest};
use crate::{Range, RangeSet};

/// What the ranges of a set are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum SetKind {
    Ingress,
    Egress,
    ControlIn,
    ControlOut,
}

/// A set: its kind, the family of its addresses, and of which networks it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SetName {
    pub(crate) kind: SetKind,
    pub(crate) v6: bool,
    /// The length of the prefix of all of its networks. They are found by their first address and one port, which takes the
    /// same time however many they are; without it a set is of intervals, for everything else.
    pub(crate) networks: Option<u8>,
}

/// A concatenated set of addresses, protocol and ports.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Set {
    pub(crate) name: SetName,
    pub(crate) elements: Elements,
}

impl SetKind {
    const ALL: [Self; 4] = [Self::Ingress, Self::Egress, Self::ControlIn, Self::ControlOut];

    fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
            Self::ControlIn => "control_in",
            Self::ControlOut => "control_out",
        }
    }
}

impl SetName {
    /// `ingress4`, `ingress4_24`
    pub(super) fn read(text: &str) -> Option<Self> {
        let length = text.rsplit_once('_').and_then(|(name, length)| Some((name, Some(length.parse().ok()?))));
        let (name, networks) = length.unwrap_or((text, None));
        let all = SetKind::ALL.into_iter().flat_map(|kind| [false, true].map(|v6| Self { kind, v6, networks: None }));
        let read = Self { networks, ..all.into_iter().find(|whole| whole.to_string() == name)? };
        let fits = networks.is_none_or(|length| (1..=if read.v6 { 128 } else { 32 }).contains(&length));
        (fits && read.to_string() == text).then_some(read)
    }

    /// The type of the addresses, as nft calls it.
    pub(crate) fn addresses(self) -> &'static str {
        if self.v6 { "ipv6_addr" } else { "ipv4_addr" }
    }

    /// What of an address is looked up, where that is not all of it.
    pub(super) fn mask(self) -> Option<IpAddr> {
        let bits = if self.v6 { 128 } else { 32 };
        let low =
            self.networks.map(u32::from).filter(|length| *length < bits).map(|length| highest(self.v6) >> length)?;
        address(highest(self.v6) & !low, self.v6)
    }
}

impl Set {
    /// The sets of a kind and family: one, and those of networks of which there are many; and the blocks of what is neither. What is
    /// there stays until there are few.
    pub(crate) fn all(name: SetName, ranges: &RangeSet, there: Option<&Table>) -> (Vec<Self>, Blocks) {
        let list = ranges.family(name.v6);
        let of = |length| SetName { networks: Some(length), ..name };
        let has_set = |length| there.is_some_and(|table| table.sets.iter().any(|set| set.name == of(length)));
        let chains = there.map(|table| table.chains.as_slice()).unwrap_or_default();
        let blocks: Vec<There> = chains.iter().filter_map(|chain| There::read(chain, name)).collect();
        let mut lengths = frequent(list, has_set);
        let blocks = Blocks::of(name.kind, list, lengths, &blocks);
        let mut sets = vec![Self { name, elements: Elements::except(list, lengths, blocks.clone()) }];
        lengths.sort_unstable();
        let networks = lengths.into_iter().flatten();
        sets.extend(networks.map(|length| Self { name: of(length), elements: Elements::networks(list, length) }));
        (sets, blocks)
    }

    /// The set with what nft lists as its elements, unless it is one that we do not make.
    pub(super) fn read(name: SetName, elements: Vec<Range>) -> Option<Self> {
        let ours = name.networks.is_none_or(|length| elements.iter().all(|range| network(range) == Some(length)));
        ours.then(|| Self { name, elements: elements.into() })
    }

    /// Its elements in the order in which nft lists them: as they came, or those of networks by their bytes, the last one first
    /// (on hosts with the lower byte first).
    pub(super) fn listed(&self) -> Vec<&Range> {
        let mut elements: Vec<&Range> = self.elements.iter().collect();
        if self.name.networks.is_some() {
            let turned = |address| match address {
                IpAddr::V4(address) => u128::from(address.to_bits().swap_bytes()),
                IpAddr::V6(address) => address.to_bits().swap_bytes(),
            };
            elements.sort_unstable_by_key(|range| {
                let protocol = range.protocol().number(self.name.v6);
                (range.ports().first().swap_bytes(), protocol, turned(range.first()))
            });
        }
        elements
    }
}

impl fmt::Display for SetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.kind.as_str(), if self.v6 { 6 } else { 4 })?;
        self.networks.map_or(Ok(()), |length| write!(f, "_{length}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for name in ["ingress4", "egress6", "control_in4", "control_out6_128", "ingress4_1", "control_in4_32"] {
            assert_eq!(SetName::read(name).unwrap().to_string(), name);
        }
        for other in [
            "",
            "ingress",
            "ingress5",
            "ingress4_",
            "ingress4_0",
            "ingress4_33",
            "ingress4_024",
            "ingress6_129",
            "control_in",
            "x4_24",
        ] {
            assert_eq!(SetName::read(other), None, "{other}");
        }
        let mask = |name| SetName::read(name).unwrap().mask().map(|mask| mask.to_string());
        assert_eq!(mask("ingress4_31").as_deref(), Some("255.255.255.254"));
        assert_eq!(mask("ingress6_64").as_deref(), Some("ffff:ffff:ffff:ffff::"));
        assert_eq!([mask("ingress4"), mask("ingress4_32"), mask("ingress6_128")], [const { None }; 3]);
    }
}
