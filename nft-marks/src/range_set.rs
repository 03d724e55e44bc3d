//! Ranges that do not overlap.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::IpAddr;
use std::sync::Arc;

use crate::address::{address, number};
use crate::{PortRange, Protocol, Range};

/// Ranges that do not overlap, each written as widely as possible, in one order.
///
/// Ranges beside each other are one: neighbouring addresses with the same ports, and neighbouring ports at the same
/// addresses. A set is shared when it is cloned.
///
/// ```
/// use keyward_nft_marks::{PortRange, Protocol, Range, RangeSet};
///
/// let at = |address: &str, port| {
///     let address = address.parse().unwrap();
///     Range::new(address, address, Protocol::Tcp, PortRange::from(port)).unwrap()
/// };
/// let set = RangeSet::new(vec![at("10.0.0.1", 80), at("10.0.0.0", 80), at("10.0.0.0", 443)]).unwrap();
/// assert_eq!(set.iter().map(|range| range.to_string()).collect::<Vec<_>>(), [
///     "10.0.0.0 . tcp . 443",
///     "10.0.0.0/31 . tcp . 80",
/// ]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RangeSet {
    v4: Arc<[Range]>,
    v6: Arc<[Range]>,
}

/// Two ranges that overlap, with their places in what was given, the later one first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ranges `{}` and `{}` overlap; remove one or make it smaller", .one.1, .other.1)]
pub struct Overlap {
    /// The place of the one, and itself.
    pub one: (usize, Range),
    /// The place of the other, and itself.
    pub other: (usize, Range),
}

impl RangeSet {
    /// The set of these ranges.
    ///
    /// # Errors
    /// Two that overlap: which of them would be the one to remove is for whoever wrote them to say.
    pub fn new(ranges: Vec<Range>) -> Result<Self, Overlap> {
        if let Some(overlap) = overlap(&ranges) {
            return Err(overlap);
        }
        Ok(Self::split(merged(ranges)))
    }

    fn split(mut ranges: Vec<Range>) -> Self {
        ranges.sort_unstable();
        let v6 = ranges.split_off(ranges.partition_point(|range| !range.is_ipv6()));
        Self { v4: ranges.into(), v6: v6.into() }
    }

    /// The ranges, IPv4 before IPv6, in the order of their addresses.
    pub fn iter(&self) -> impl Iterator<Item = &Range> {
        self.v4.iter().chain(self.v6.iter())
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether all of a range lies inside, in one of the set's or across several.
    ///
    /// It takes time proportional to the size of the set.
    pub fn covers(&self, range: &Range) -> bool {
        // Those of the set do not overlap, so the range is covered when its parts in them are as large as it is.
        let mut inside = Volume::default();
        for own in self.family(range.is_ipv6()).iter().take_while(|own| own.first() <= range.last()) {
            let first = number(own.first().max(range.first()));
            let last = number(own.last().min(range.last()));
            let low = own.ports().first().max(range.ports().first());
            let high = own.ports().last().min(range.ports().last());
            if own.protocol() == range.protocol() && first <= last && low <= high {
                inside.add(last - first, high - low);
            }
        }
        let mut whole = Volume::default();
        whole.add(number(range.last()) - number(range.first()), range.ports().last() - range.ports().first());
        inside == whole
    }

    pub(crate) fn family(&self, v6: bool) -> &Arc<[Range]> {
        if v6 { &self.v6 } else { &self.v4 }
    }
}

impl Default for RangeSet {
    fn default() -> Self {
        Self { v4: Arc::new([]), v6: Arc::new([]) }
    }
}

/// A number of pairs of address and port, of which there are up to 2^144.
#[derive(Debug, Default, PartialEq, Eq)]
struct Volume {
    /// Multiples of 2^64.
    high: u128,
    low: u64,
}

impl Volume {
    /// Adds as many addresses as this and one more, with as many ports as that and one more.
    fn add(&mut self, addresses: u128, ports: u16) {
        const LOW: u128 = u64::MAX as u128;
        let ports = u128::from(ports) + 1;
        let low = u128::from(self.low) + (addresses & LOW) * ports + ports;
        self.high += (addresses >> 64) * ports + (low >> 64);
        self.low = (low & LOW) as u64;
    }
}

/// Two that overlap, if any do: a sweep over the addresses, in which the ranges at one address are kept by their ports.
fn overlap(ranges: &[Range]) -> Option<Overlap> {
    let mut order: Vec<usize> = (0..ranges.len()).collect();
    order.sort_by_key(|place| ranges.get(*place));
    let mut open: BTreeMap<(Protocol, u16), (u16, usize)> = BTreeMap::new();
    let mut ends: BinaryHeap<Reverse<(IpAddr, Protocol, u16)>> = BinaryHeap::new();
    for place in order {
        let range = ranges.get(place)?;
        while let Some(Reverse((_, protocol, port))) = ends.peek().filter(|Reverse((last, ..))| *last < range.first()) {
            open.remove(&(*protocol, *port));
            ends.pop();
        }
        let (protocol, ports) = (range.protocol(), range.ports());
        // What is open does not overlap, so the one that begins last before our end is the one that reaches farthest.
        let before = open.range((protocol, 0)..=(protocol, ports.last())).next_back();
        if let Some((_, (_, other))) = before.filter(|(_, (last, _))| *last >= ports.first()) {
            let at = |place: usize| ranges.get(place).map(|range| (place, *range));
            return at(place.max(*other)).zip(at(place.min(*other))).map(|(one, other)| Overlap { one, other });
        }
        open.insert((protocol, ports.first()), (ports.last(), place));
        ends.push(Reverse((range.last(), protocol, ports.first())));
    }
    None
}

/// Joins neighbours until there are none.
fn merged(mut ranges: Vec<Range>) -> Vec<Range> {
    loop {
        let before = ranges.len();
        ranges.sort_unstable_by_key(|range| (range.is_ipv6(), range.protocol(), range.ports(), range.first()));
        ranges.dedup_by(|next, range| {
            let neighbours = (range.protocol(), range.ports()) == (next.protocol(), next.ports())
                && behind(range.last()) == Some(next.first());
            if neighbours {
                *range = range.with_addresses(range.first(), next.last());
            }
            neighbours
        });
        ranges.sort_unstable();
        ranges.dedup_by(|next, range| {
            let same = (range.first(), range.last(), range.protocol()) == (next.first(), next.last(), next.protocol());
            let neighbours = same && range.ports().last().checked_add(1) == Some(next.ports().first());
            if neighbours && let Ok(ports) = PortRange::new(range.ports().first(), next.ports().last()) {
                *range = range.with_ports(ports);
            }
            neighbours
        });
        if ranges.len() == before {
            return ranges;
        }
    }
}

fn behind(last: IpAddr) -> Option<IpAddr> {
    // Not into the mapped addresses, in which no range lies.
    number(last).checked_add(1).and_then(|next| address(next, last.is_ipv6()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A range on 16 addresses, two protocols and 16 ports, and as bits the pairs in it.
    fn small() -> impl Strategy<Value = Range> {
        (0..16u32, 0..4u32, any::<bool>(), 0..16u16, 0..4u16, any::<bool>()).prop_map(
            |(first, more, udp, low, ports, v6)| {
                let protocol = if udp { Protocol::Udp } else { Protocol::Tcp };
                let at = |n: u32| address(u128::from(n.min(15)), v6).unwrap();
                let ports = PortRange::new(low, (low + ports).min(15)).unwrap();
                Range::new(at(first), at(first + more), protocol, ports).unwrap()
            },
        )
    }

    fn points(range: &Range) -> Vec<(bool, u32, Protocol, u16)> {
        let (first, last) = (number(range.first()) as u32, number(range.last()) as u32);
        (first..=last)
            .flat_map(|a| {
                (range.ports().first()..=range.ports().last())
                    .map(move |port| (range.is_ipv6(), a, range.protocol(), port))
            })
            .collect()
    }

    fn all(ranges: &[Range]) -> Vec<(bool, u32, Protocol, u16)> {
        ranges.iter().flat_map(points).collect()
    }

    fn distinct(ranges: &[Range]) -> std::collections::BTreeSet<(bool, u32, Protocol, u16)> {
        all(ranges).into_iter().collect()
    }

    #[test]
    fn the_largest_ranges_are_measured() {
        let whole = |v6: bool, ports: &str| {
            let last = address(crate::address::highest(v6), v6).unwrap();
            Range::new(address(0, v6).unwrap(), last, Protocol::Tcp, ports.parse().unwrap()).unwrap()
        };
        let set = RangeSet::new(vec![whole(true, "0-65534"), whole(false, "0-65535")]).unwrap();
        assert!(set.covers(&whole(true, "0-65534")));
        assert!(!set.covers(&whole(true, "0-65535")));
        assert!(set.covers(&whole(false, "0-65535")));
        assert!(!RangeSet::default().covers(&whole(true, "1")));
    }

    proptest! {
        #[test]
        fn a_set_has_the_points_that_went_in(ranges in prop::collection::vec(small(), 0..8)) {
            let points = all(&ranges);
            let overlapping = distinct(&ranges).len() != points.len();
            match RangeSet::new(ranges.clone()) {
                Ok(set) => {
                    prop_assert!(!overlapping);
                    let kept: Vec<Range> = set.iter().copied().collect();
                    prop_assert_eq!(distinct(&kept), distinct(&ranges));
                    prop_assert_eq!(all(&kept).len(), points.len());
                    prop_assert!(kept.is_sorted());
                    // No order of what goes in changes what comes out, and what comes out goes in unchanged.
                    let mut turned = ranges.clone();
                    turned.reverse();
                    prop_assert_eq!(&RangeSet::new(turned).unwrap(), &set);
                    prop_assert_eq!(&RangeSet::new(kept).unwrap(), &set);
                }
                Err(Overlap { one: (one, _), other: (other, _) }) => {
                    prop_assert!(one > other);
                    prop_assert!(distinct(&ranges[one..=one]).intersection(&distinct(&ranges[other..=other])).next().is_some());
                }
            }
        }

        #[test]
        fn covering_is_having_all_points(ranges in prop::collection::vec(small(), 0..8), asked in small()) {
            let mut disjoint: Vec<Range> = Vec::new();
            for range in ranges {
                if distinct(&disjoint).is_disjoint(&distinct(&[range])) {
                    disjoint.push(range);
                }
            }
            let set = RangeSet::new(disjoint.clone()).unwrap();
            prop_assert_eq!(set.covers(&asked), distinct(&[asked]).is_subset(&distinct(&disjoint)));
        }
    }
}
