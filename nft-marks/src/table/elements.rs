//! The elements of a set.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::block::{Alike, Blocks};
use crate::Range;
use crate::address::prefix;

/// From how many networks of one length on they are in a set of their own: below, the one set is as fast.
const MANY: usize = 1_000;
/// How many sets of networks there are beside an interval set at most, as a packet is looked for in each.
const SETS: usize = 4;

/// Lengths of prefixes.
pub(crate) type Lengths = [Option<u8>; SETS];

/// Ranges in order, without overlaps: those of a list that belong into a set. The list is shared.
#[derive(Debug, Clone)]
pub(crate) struct Elements {
    list: Arc<[Range]>,
    which: Which,
}

#[derive(Debug, Clone)]
enum Which {
    All,
    /// Networks of this length, with one port.
    Networks(u8),
    /// What is no such network of one of these lengths, and in no block.
    Except(Lengths, Blocks),
    /// Of a block, and no such network.
    Alike(Lengths, Alike),
}

/// The length of the prefix, where a range is a network with one port. That of every address is not one to look for.
pub(super) fn network(range: &Range) -> Option<u8> {
    let ports = range.ports();
    if !range.protocol().has_ports() || ports.first() != ports.last() {
        return None;
    }
    let length = prefix(range.first(), range.last()).filter(|length| *length > 0)?;
    u8::try_from(length).ok()
}

/// Whether a range is a network of one of these lengths, with one port.
pub(super) fn is_one_of(range: &Range, lengths: Lengths) -> bool {
    lengths != [None; SETS] && network(range).is_some_and(|length| lengths.contains(&Some(length)))
}

/// The lengths of which there are many networks in a list of one family, those of the most first. One that has a set already counts
/// twice: a network more or less does not move a thousand.
pub(crate) fn frequent(list: &[Range], has_set: impl Fn(u8) -> bool) -> Lengths {
    let mut counts = [0usize; 129];
    for length in list.iter().filter_map(network) {
        if let Some(count) = counts.get_mut(usize::from(length)) {
            *count += 1;
        }
    }
    for (_, count) in (0..=128u8).zip(&mut counts).filter(|(length, _)| has_set(*length)) {
        *count *= 2;
    }
    let mut lengths = [None; SETS];
    for place in &mut lengths {
        let most = (0..=128u8).zip(&mut counts).max_by_key(|(_, count)| **count);
        if let Some((length, count)) = most.filter(|(_, count)| **count >= MANY) {
            (*place, *count) = (Some(length), 0);
        }
    }
    lengths
}

impl Elements {
    /// The networks of a length, with one port.
    pub(crate) fn networks(list: &Arc<[Range]>, length: u8) -> Self {
        Self { list: Arc::clone(list), which: Which::Networks(length) }
    }

    /// Those that are no such network, and in no block.
    pub(crate) fn except(list: &Arc<[Range]>, lengths: Lengths, blocks: Blocks) -> Self {
        Self { list: Arc::clone(list), which: Which::Except(lengths, blocks) }
    }

    /// Those of a block with the same ports that are no such network.
    pub(super) fn alike(list: &Arc<[Range]>, lengths: Lengths, alike: Alike) -> Self {
        Self { list: Arc::clone(list), which: Which::Alike(lengths, alike) }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Range> + Clone {
        let list = match &self.which {
            Which::Alike(_, Alike { places: (first, end), .. }) => self.list.get(*first..*end).unwrap_or_default(),
            _ => &self.list,
        };
        list.iter().filter(|range| match &self.which {
            Which::All => true,
            Which::Networks(length) => network(range) == Some(*length),
            Which::Except(lengths, blocks) => !is_one_of(range, *lengths) && !blocks.hold(range),
            Which::Alike(lengths, Alike { last, service, .. }) => {
                (range.protocol(), range.ports()) == *service && range.last() <= *last && !is_one_of(range, *lengths)
            }
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.iter().count()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

/// All of them.
impl From<Vec<Range>> for Elements {
    fn from(mut ranges: Vec<Range>) -> Self {
        ranges.sort_unstable();
        Self { list: ranges.into(), which: Which::All }
    }
}

impl PartialEq for Elements {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Elements {}

impl Hash for Elements {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.iter().for_each(|range| range.hash(state));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PortRange, Protocol};

    fn ranges(count: u32, length: u32) -> Vec<Range> {
        let low = u32::MAX.checked_shr(length).unwrap_or(0);
        let at = |place: u32| {
            let first = (place * 2) << (32 - length);
            let ports = PortRange::from(443);
            Range::new(first.to_be_bytes().into(), (first | low).to_be_bytes().into(), Protocol::Tcp, ports).unwrap()
        };
        (0..count).map(at).collect()
    }

    #[test]
    fn the_lengths_with_the_most_networks_have_sets() {
        let list = |counts: &[(u32, u32)]| counts.iter().flat_map(|(count, length)| ranges(*count, *length)).collect();
        let frequent = |counts: &[(u32, u32)]| {
            let list: Vec<Range> = list(counts);
            let (found, again) = (frequent(&list, |_| false), frequent(&list, |length| length == 24));
            // What has a set keeps it while it is half of what others need.
            assert!(again == found || again.contains(&Some(24)), "{again:?}");
            found
        };
        assert_eq!(frequent(&[(999, 24), (10, 32)]), [None; 4]);
        assert_eq!(frequent(&[(1_000, 24), (999, 32)]), [Some(24), None, None, None]);
        let five = [(1_000, 20), (1_001, 24), (1_002, 28), (1_003, 31), (1_004, 32)];
        assert_eq!(frequent(&five), [Some(32), Some(31), Some(28), Some(24)]);
        let kept = |count| super::frequent(&ranges(count, 24), |length| length == 24);
        assert_eq!((kept(500)[0], kept(499)[0]), (Some(24), None));
    }

    #[test]
    fn networks_with_one_port_alone_are_of_a_length() {
        let of = |first: &str, last: &str, protocol, ports: &str| {
            network(
                &Range::new(first.parse().unwrap(), last.parse().unwrap(), protocol, ports.parse().unwrap()).unwrap(),
            )
        };
        assert_eq!(of("10.0.0.0", "10.0.0.255", Protocol::Tcp, "443"), Some(24));
        assert_eq!(of("2001:db8::", "2001:db8::", Protocol::Udp, "53"), Some(128));
        assert_eq!(of("10.0.0.0", "10.0.0.255", Protocol::Tcp, "443-444"), None);
        assert_eq!(of("10.0.0.1", "10.0.0.2", Protocol::Tcp, "443"), None);
        assert_eq!(of("10.0.0.1", "10.0.0.1", Protocol::Icmp, "0-65535"), None);
        assert_eq!(of("0.0.0.0", "255.255.255.255", Protocol::Tcp, "443"), None);
    }

    #[test]
    fn each_range_is_in_one_set() {
        let mut all = ranges(1_200, 30);
        all.extend(ranges(1_100, 29).into_iter().skip(700));
        all.sort_unstable();
        let list: Arc<[Range]> = all.into();
        let lengths = frequent(&list, |_| false);
        assert_eq!(lengths, [Some(30), None, None, None]);
        let (networks, rest) = (Elements::networks(&list, 30), Elements::except(&list, lengths, Blocks::default()));
        assert_eq!((networks.len(), rest.len()), (1_200, 400));
        let together: Vec<Range> = networks.iter().chain(rest.iter()).copied().collect();
        assert_eq!(Elements::from(together), Elements { list, which: Which::All });
    }
}
