//! Random firewalls.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use keyward_nft_marks::{
    Egress, Firewall, Interface, MarkMatch, Marks, Mask, PortRange, Protocol, Range, RangeSet, Rest,
};
use proptest::prelude::*;

/// Addresses with many edges: few bits, all bits, prefixes, neighbours.
fn bits() -> impl Strategy<Value = u128> {
    prop_oneof![
        any::<u128>(),
        (0..64u128, 0..120u32).prop_map(|(low, shift)| low << shift),
        (0..64u128).prop_map(|low| (0x2001_0db8_u128 << 96) + low),
        (0..64u128).prop_map(|low| low + 0x0a00_0000),
        (0..=128u32).prop_map(|ones| u128::MAX.checked_shr(ones).unwrap_or(0)),
    ]
}

fn address(bits: u128, v6: bool) -> IpAddr {
    if v6 { IpAddr::V6(Ipv6Addr::from(bits)) } else { IpAddr::V4(Ipv4Addr::from(bits as u32)) }
}

/// Any range that is valid: single addresses, prefixes, and from anywhere to anywhere.
pub fn range() -> impl Strategy<Value = Range> {
    (any::<bool>(), bits(), bits(), 0..=32u32, 0..4u8, prop::sample::select(Protocol::ALL.to_vec()), ports())
        .prop_filter_map("no range", |(v6, one, other, low, shape, protocol, ports)| {
            let mask = (1u128 << low) - 1;
            let (first, last) = match shape {
                0 => (one, one),
                1 => (one & !mask, one | mask),
                2 => (one, one.wrapping_add(other % 40)),
                _ => (one, other),
            };
            let (first, last) = (address(first, v6), address(last, v6));
            let ports = if protocol.has_ports() { ports } else { PortRange::ALL };
            Range::new(first.min(last), first.max(last), protocol, ports).ok()
        })
}

fn ports() -> impl Strategy<Value = PortRange> {
    prop_oneof![
        any::<u16>().prop_map(PortRange::from),
        (0..200u16, 0..100u16).prop_map(|(first, more)| PortRange::new(first, first + more).unwrap()),
        (any::<u16>(), any::<u16>()).prop_map(|(a, b)| PortRange::new(a.min(b), a.max(b)).unwrap()),
        Just(PortRange::ALL),
    ]
}

/// Some of these that do not overlap; now and then so many networks of one length that they have a set of their own, or so many
/// others that they are in blocks.
pub fn set(most: usize) -> impl Strategy<Value = RangeSet> {
    let many = prop_oneof![28 => Just(Vec::new()), 4 => many(), 1 => very_many()];
    (prop::collection::vec(range(), 0..=most), many).prop_map(|(ranges, mut kept)| {
        for range in ranges {
            kept.push(range);
            if RangeSet::new(kept.clone()).is_err() {
                kept.pop();
            }
        }
        RangeSet::new(kept).unwrap()
    })
}

/// About a thousand networks of one length: at different addresses, or at different ports.
fn many() -> impl Strategy<Value = Vec<Range>> {
    let protocol = prop::sample::select(vec![Protocol::Tcp, Protocol::Udp, Protocol::Sctp]);
    (any::<bool>(), 1..=128u32, 0..1024u128, any::<u16>(), protocol, 990..1010u128).prop_map(
        |(v6, length, base, port, protocol, count)| {
            let bits = if v6 { 128 } else { 32 };
            let length = (length - 1) % bits + 1;
            let low = u128::MAX.checked_shr(length + 128 - bits).unwrap_or(0);
            let at = |place: u128| {
                // Every second one, as neighbours are joined.
                let (place, port) = if length >= 12 { (base + place * 2, port) } else { (base, place as u16 * 2) };
                let network = (place % (1 << length.min(64))) << (bits - length);
                Range::new(address(network, v6), address(network | low, v6), protocol, PortRange::from(port)).ok()
            };
            (0..count).filter_map(at).collect()
        },
    )
}

/// About as many ranges as are in blocks: from anywhere on, of any lengths and at any distances, with the same ports or others.
fn very_many() -> impl Strategy<Value = Vec<Range>> {
    let kinds = prop::sample::select(vec![1u128, 3, 40, 4_000]);
    (any::<bool>(), bits(), 0..12u32, 1..12u32, kinds, 3_980..4_600usize, any::<u64>()).prop_map(
        |(v6, base, gaps, lengths, kinds, count, seed)| {
            let (mut at, mut seed, highest) = (base, seed, if v6 { u128::MAX } else { u128::from(u32::MAX) });
            let mut random = |most: u128| {
                // Knuth's linear congruential generator (MMIX).
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                u128::from(seed >> 33) % most
            };
            at = at.min(highest >> 1);
            let next = move || {
                let first = at + 1 + random(1 << gaps);
                at = first + random(1 << lengths);
                let low = u16::try_from(random(kinds)).unwrap() * 10;
                let ports = PortRange::new(low, low + low % 3).unwrap();
                let protocol = if random(8) == 0 { Protocol::Tcp } else { Protocol::Udp };
                Range::new(address(first, v6), address(at, v6), protocol, ports).ok()
            };
            std::iter::repeat_with(next).take(count).flatten().collect()
        },
    )
}

fn marks() -> impl Strategy<Value = Marks> {
    prop_oneof![
        Just(Marks::default()),
        any::<u32>().prop_filter_map("no mask", |bits| Mask::try_from(bits).ok().map(Marks::new)),
        (0..28u32, 2..5u32).prop_map(|(shift, width)| Marks::new(Mask::try_from(((1 << width) - 1) << shift).unwrap())),
        (any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>()).prop_filter_map("no values", |(mask, a, b, c)| {
            Marks::with_values(Mask::try_from(mask).ok()?, a & mask, b & mask, c & mask).ok()
        }),
    ]
}

fn interface() -> impl Strategy<Value = Interface> {
    "[a-zA-Z0-9_.-]{1,14}\\*?|kw[0-3]?\\*?".prop_filter_map("no name", |name| name.parse().ok())
}

/// Any firewall that works.
pub fn firewall(most: usize) -> impl Strategy<Value = Firewall> {
    let network = (any::<bool>(), bits(), 0..=128u32).prop_map(|(v6, bits, length)| {
        let length = length % if v6 { 129 } else { 33 };
        let low = if v6 { u128::MAX } else { u128::from(u32::MAX) }.checked_shr(length).unwrap_or(0);
        let address = address(bits & !low, v6);
        format!("{address}/{length}").parse().ok()
    });
    let networks = prop::collection::vec(network, 0..5).prop_map(|all| all.into_iter().flatten().collect::<Vec<_>>());
    let egress = prop_oneof![Just(Egress::All), set(most).prop_map(Egress::Only)];
    let rest = prop::sample::select(vec![Rest::Pass, Rest::DropWorkloads, Rest::DropAll]);
    let accept = prop::option::of((any::<u32>(), any::<u32>()));
    let ranges = (set(most), set(most / 2), set(most / 2));
    (marks(), accept, prop::collection::vec(interface(), 0..4), networks, egress, ranges, rest).prop_map(
        |(marks, accept, interfaces, networks, egress, (ingress, inbound, outbound), rest)| {
            let mut firewall = Firewall::default();
            firewall.marks = marks;
            let free = !marks.mask().bits();
            firewall.accept_mark =
                accept.and_then(|(value, mask)| MarkMatch::new(value & mask & free, mask & free).ok());
            firewall.ingress = ingress;
            firewall.control_inbound = inbound;
            firewall.control_outbound = outbound;
            if !interfaces.is_empty() {
                firewall.networks = networks;
                firewall.egress = egress;
            }
            firewall.rest = if interfaces.is_empty() && rest == Rest::DropWorkloads { Rest::Pass } else { rest };
            firewall.interfaces = interfaces;
            firewall.check(usize::MAX).unwrap();
            firewall
        },
    )
}

/// TCP and UDP to a port of two addresses.
pub fn to((v4, v6): (&str, &str), port: u16) -> RangeSet {
    let mut ranges = Vec::new();
    for address in [v4, v6] {
        let address = address.parse().unwrap();
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            ranges.push(Range::new(address, address, protocol, PortRange::from(port)).unwrap());
        }
    }
    RangeSet::new(ranges).unwrap()
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// These single addresses with the one before and the one behind, among thousands of others.
pub fn among_spans(ranges: &RangeSet) -> RangeSet {
    let around = |range: &Range, place: u128| {
        let at = number(range.first()) + place * 8;
        let (first, last) = (address(at - 1, range.is_ipv6()), address(at + 1, range.is_ipv6()));
        Range::new(first, last, range.protocol(), range.ports()).unwrap()
    };
    let all = ranges.iter().flat_map(|range| (0..2_100).map(move |place| around(range, place)));
    RangeSet::new(all.collect()).unwrap()
}

/// Networks in which these single addresses are, with so many bits for the host, among a thousand others.
pub fn among_many(ranges: &RangeSet, bits: u32) -> RangeSet {
    let mut all: Vec<Range> = Vec::new();
    for range in ranges.iter() {
        let (v6, low, number) = (range.is_ipv6(), (1u128 << bits) - 1, number(range.first()));
        let at = |place: u128| {
            let network = (number & !low) + (place << (bits + 9));
            Range::new(address(network, v6), address(network | low, v6), range.protocol(), range.ports()).unwrap()
        };
        all.extend((0..1_000).map(at));
    }
    RangeSet::new(all).unwrap()
}
