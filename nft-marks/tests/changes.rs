//! Changes under traffic: who looks for a range that both tables have finds it at every moment.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::process::Child;

use keyward_nft_marks::{Firewall, PortRange, Protocol, Range, RangeSet, Table, Transaction};
use support::namespace::{Namespace, full, nft};

/// Packets to a port of an address, as fast as one process sends them.
const BLAST: &str = "
import socket, sys
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.connect((sys.argv[1], int(sys.argv[2])))
while True:
    try:
        sender.send(b'x')
    except OSError:
        pass
";

/// Every packet is looked up, as connections are not tracked; which have no mark behind our table is counted.
const COUNTERS: &str = "add table inet counted
add chain inet counted untracked { type filter hook prerouting priority raw; }
add chain inet counted unknown { type filter hook output priority raw; }
add chain inet counted behind { type filter hook prerouting priority 0; }
add rule inet counted untracked notrack
add rule inet counted unknown notrack
add rule inet counted behind udp dport { 80, 81 } counter
add rule inet counted behind udp dport { 80, 81 } meta mark & 0x0f000000 == 0 counter
";

struct Blast(Child);

impl Drop for Blast {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn range(place: u32, port: u16) -> Range {
    let first = 0x0a00_0000 + place * 4 + 1;
    Range::new(first.to_be_bytes().into(), (first + 1).to_be_bytes().into(), Protocol::Udp, PortRange::from(port))
        .unwrap()
}

/// Spans that are no networks, with two ports in turn, all but one; and single addresses.
fn ranges(spans: u32, without: u32, single: u32) -> RangeSet {
    let spans = (0..spans).filter(|place| *place != without).map(|place| range(place, 80 + (place % 2) as u16));
    let single = (0..single).map(|place| {
        let address = (0x0b00_0000 + place * 2).to_be_bytes().into();
        Range::new(address, address, Protocol::Udp, PortRange::from(81)).unwrap()
    });
    RangeSet::new(spans.chain(single).collect()).unwrap()
}

#[test]
#[ignore = "needs root, nft, ip and python3; .ci/run runs it"]
fn what_stays_is_found_at_every_moment() {
    let namespace = Namespace::new();
    for network in ["10.0.0.0/8", "11.0.0.0/8"] {
        namespace.run("ip", &["route", "add", "local", network, "dev", "lo"]);
    }
    namespace.load(COUNTERS);
    let mut firewall = Firewall::default();
    let mut table = |spans, without, single| {
        firewall.ingress = ranges(spans, without, single);
        firewall.clone()
    };
    let first = table(5_000, 4_999, 1_100);
    namespace.load(&Transaction::replacing(&first.table()).to_string());
    // One of a block, one of another port in it, and a single address.
    let _blasts: Vec<Blast> = [("10.0.0.1", "80"), ("10.0.0.5", "81"), ("11.0.0.2", "81")]
        .map(|(address, port)| namespace.command("python3", &["-c", BLAST, address, port]).spawn().map(Blast).unwrap())
        .into();
    let counts = || -> (u64, u64) {
        let listing = namespace.run(&nft(), &["list", "chain", "inet", "counted", "behind"]);
        let found =
            listing.lines().filter_map(|line| line.split_once("counter packets ")?.1.split(' ').next()?.parse().ok());
        let found: Vec<u64> = found.collect();
        (found[0], found[1])
    };
    while counts().0 < 1_000 {
        std::thread::yield_now();
    }
    let (began, lost) = counts();
    // A range of the same block and port, of another port; the block is two, and one again; the addresses are among the intervals, and
    // have a set of their own again; there are no blocks any more, and there are some again.
    let all = [
        (5_000, 7, 1_100),
        (5_000, 2, 1_100),
        (5_000, 4_999, 1_100),
        (5_000, 4_999, 490),
        (5_000, 4_999, 1_100),
        (1_900, 1_899, 1_100),
        (5_000, 4_999, 1_100),
    ];
    let mut in_steps = 0;
    for (spans, without, single) in all.into_iter().cycle().take(if full() { 700 } else { 28 }) {
        let there: Table = namespace.numbered(&nft()).parse().unwrap();
        let wanted = table(spans, without, single).table_beside(&there);
        let transaction = Transaction::between(Some(&there), &wanted);
        assert!(!transaction.is_replacement());
        let before = counts();
        let steps: Vec<String> = transaction.into_steps().map(|step| step.to_string()).collect();
        in_steps += usize::from(steps.len() == 2);
        steps.iter().for_each(|step| namespace.load(step));
        let (sent, missed) = counts();
        assert_eq!(missed, before.1, "of {} packets, as {spans} {without} {single} came", sent - before.0);
        assert_eq!(namespace.listing().parse::<Table>().unwrap(), wanted);
    }
    let (sent, missed) = counts();
    assert!(sent - began > 1_000 && missed == lost && in_steps > 0, "{missed} of {sent}, {in_steps}");
}

#[test]
#[ignore = "needs root, nft and ip; .ci/run runs it"]
fn a_change_is_done_at_once_where_a_set_is_anew() {
    let namespace = Namespace::new();
    let table = |single, there: &Table| {
        let mut firewall = Firewall::default();
        firewall.ingress = ranges(0, 0, single);
        firewall.table_beside(there)
    };
    let first = table(999, &Firewall::default().table());
    namespace.load(&Transaction::replacing(&first).to_string());
    for single in [1_001, 480, 1_001] {
        let there: Table = namespace.numbered(&nft()).parse().unwrap();
        let wanted = table(single, &there);
        let steps: Vec<String> =
            Transaction::between(Some(&there), &wanted).into_steps().map(|s| s.to_string()).collect();
        steps.iter().for_each(|step| namespace.load(step));
        assert_eq!(namespace.listing().parse::<Table>().unwrap(), wanted, "{single}: {} steps", steps.len());
    }
}
