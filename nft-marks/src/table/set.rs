//! Sets of the table.

use std::sync::Arc;

use crate::{Range, RangeSet};

/// What the ranges of a set are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum SetKind {
    Ingress,
    Egress,
    ControlIn,
    ControlOut,
}

/// A set: its kind and the family of its addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SetName {
    pub(crate) kind: SetKind,
    pub(crate) v6: bool,
}

/// A concatenated interval set of addresses, protocol and ports.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Set {
    pub(crate) name: SetName,
    /// In order, without overlaps.
    pub(crate) elements: Arc<[Range]>,
}

impl SetKind {
    const ALL: [Self; 4] = [Self::Ingress, Self::Egress, Self::ControlIn, Self::ControlOut];
}

impl SetName {
    pub(crate) fn as_str(self) -> &'static str {
        match (self.kind, self.v6) {
            (SetKind::Ingress, false) => "ingress4",
            (SetKind::Ingress, true) => "ingress6",
            (SetKind::Egress, false) => "egress4",
            (SetKind::Egress, true) => "egress6",
            (SetKind::ControlIn, false) => "control_in4",
            (SetKind::ControlIn, true) => "control_in6",
            (SetKind::ControlOut, false) => "control_out4",
            (SetKind::ControlOut, true) => "control_out6",
        }
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        let all = SetKind::ALL.into_iter().flat_map(|kind| [false, true].map(|v6| Self { kind, v6 }));
        all.into_iter().find(|name| name.as_str() == text)
    }

    /// The type of the addresses, as nft calls it.
    pub(crate) fn addresses(self) -> &'static str {
        if self.v6 { "ipv6_addr" } else { "ipv4_addr" }
    }
}

impl Set {
    /// The two sets of a kind.
    pub(crate) fn pair(kind: SetKind, ranges: &RangeSet) -> [Self; 2] {
        [false, true].map(|v6| Self { name: SetName { kind, v6 }, elements: ranges.family(v6).clone() })
    }
}
