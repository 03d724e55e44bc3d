//! How two rulesets get along on the kernel: each finding on which this crate rests, as packets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use keyward_nft_marks::{Egress, Firewall, RangeSet, Rest, Transaction};
use support::models::to;
use support::namespace::full;
use support::world::{Addresses, HOST, WORKLOAD, World};

fn ingress(addresses: Addresses, port: u16) -> Firewall {
    let mut firewall = Firewall::default();
    firewall.interfaces = vec!["kw*".parse().unwrap()];
    firewall.ingress = to(addresses, port);
    firewall
}

/// A host with a service at the workload's port 80, and a port 81 that nobody knows of.
fn world() -> World {
    let world = World::new();
    world.workload.listen(WORKLOAD, &[80, 81]);
    world
}

const DEFAULT_DROP: &str = "chain forward { type filter hook forward priority filter; policy drop;";
/// What routing needs, whatever the rest of a default-drop chain says.
const NEIGHBORS: &str = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept;";

#[test]
#[ignore = "needs root, nft, ip and python3; .ci/run runs it"]
fn an_accept_does_not_save_from_a_later_drop_and_a_mark_does() {
    let world = world();
    world.client.reaches(WORKLOAD, 80);
    // All of ours accepts, and the drop of the other table is final.
    world.apply(&ingress(WORKLOAD, 80));
    world.user(&format!("{DEFAULT_DROP} }}"));
    world.client.misses(WORKLOAD, 80);
    // What the other table can see is the mark.
    world.user(&format!("{DEFAULT_DROP} ct mark & 0x0f000000 != 0 accept; }}"));
    world.client.reaches(WORKLOAD, 80);
    world.client.misses(WORKLOAD, 81);
    // And by class: what a workload sends is another one.
    world.client.listen(support::world::CLIENT, &[90]);
    world.workload.reaches(support::world::CLIENT, 90);
    world.user(&format!("{DEFAULT_DROP} ct mark & 0x0f000000 == 0x01000000 accept; }}"));
    world.client.reaches(WORKLOAD, 80);
    world.workload.misses(support::world::CLIENT, 90);
}

#[test]
#[ignore = "needs root, nft, ip and python3; .ci/run runs it"]
fn the_mark_of_the_connection_serves_replies() {
    let world = world();
    world.apply(&ingress(WORKLOAD, 80));
    let by_packet = format!("{DEFAULT_DROP} meta mark & 0x0f000000 == 0x01000000 accept; }}");
    let by_connection = format!("{DEFAULT_DROP} ct mark & 0x0f000000 == 0x01000000 accept; }}");
    world.user(&by_packet);
    world.client.reaches(WORKLOAD, 80);
    world.user(&by_connection);
    world.client.reaches(WORKLOAD, 80);
    // Without what gives replies the mark again, those who look at packets drop them; who looks at connections needs it not.
    world.host.namespace.run("nft", &["flush", "chain", "inet", "keyward", "restore"]);
    world.client.reaches(WORKLOAD, 80);
    world.user(&by_packet);
    world.client.misses(WORKLOAD, 80);
    // Without what saves it there is nothing to look at.
    world.user(&by_connection);
    world.host.namespace.load(
        "flush chain inet keyward mark_ingress\nadd rule inet keyward mark_ingress meta mark set meta mark & 0xf0ffffff | 0x01000000\n",
    );
    world.client.misses(WORKLOAD, 80);
}

#[test]
#[ignore = "needs root, nft, ip and python3; .ci/run runs it"]
fn who_comes_before_us_sees_no_mark() {
    let world = world();
    let firewall = ingress(WORKLOAD, 80);
    let early = |priority: &str| {
        format!(
            "chain early {{ type filter hook prerouting priority {priority}; policy accept; {NEIGHBORS} iifname \"lan0\" ct state new ct mark & 0x0f000000 == 0 drop; }}"
        )
    };
    world.apply(&firewall);
    for (priority, sees) in [("mangle", false), ("mangle + 4", false), ("mangle + 6", true), ("filter", true)] {
        world.user(&early(priority));
        if sees { world.client.reaches(WORKLOAD, 80) } else { world.client.misses(WORKLOAD, 80) }
    }
    // At the same priority whoever was loaded last comes first: it flips with each reload.
    world.user(&early("mangle + 5"));
    world.client.misses(WORKLOAD, 80);
    world.apply(&firewall);
    world.client.reaches(WORKLOAD, 80);
    world.user(&early("mangle + 5"));
    world.client.misses(WORKLOAD, 80);
    // Where packets pass we are before everybody at 0, in whatever order they are loaded.
    world.user(&format!("{DEFAULT_DROP} ct mark & 0x0f000000 != 0 accept; }}"));
    for _ in 0..2 {
        world.client.reaches(WORKLOAD, 80);
        world.apply(&firewall);
    }
}

#[test]
#[ignore = "needs root, nft, ip and python3; .ci/run runs it"]
fn a_mark_of_a_nat_chain_is_on_the_first_packet_alone() {
    let world = world();
    let forward =
        format!("{DEFAULT_DROP} {NEIGHBORS} ct direction reply accept; meta mark & 0x100 == 0x100 accept; }}");
    let mark = "meta mark set meta mark | 0x100; }";
    world.user(&format!("chain nat {{ type nat hook prerouting priority dstnat; {mark} {forward}"));
    let connections = world.client.open(WORKLOAD, 80);
    let udp = [connections[1].clone(), connections[3].clone()];
    assert_eq!(world.client.say(true, &udp), [true, true]);
    assert_eq!(world.client.say(false, &udp), [false, false]);
    // The first packet of TCP carries no question.
    let tcp = [connections[0].clone(), connections[2].clone()];
    assert_eq!(world.client.say(false, &tcp), [false, false]);

    world.user(&format!("chain mangle {{ type filter hook prerouting priority mangle; {mark} {forward}"));
    let connections = world.client.open(WORKLOAD, 80);
    assert_eq!(world.client.say(true, &connections), [true; 4]);
    assert_eq!(world.client.say(true, &connections), [true; 4]);
    // Ours are on every packet, of both directions.
    world.apply(&ingress(WORKLOAD, 80));
    world.user(&format!("{DEFAULT_DROP} {NEIGHBORS} meta mark & 0x0f000000 == 0x01000000 accept; }}"));
    let connections = world.client.open(WORKLOAD, 80);
    assert_eq!(world.client.say(true, &connections), [true; 4]);
    assert_eq!(world.client.say(true, &connections), [true; 4]);
}

#[test]
#[ignore = "needs root, nft, ip and python3; .ci/run runs it"]
fn writes_without_a_mask_erase_what_others_wrote() {
    let world = world();
    world.apply(&ingress(WORKLOAD, 80));
    let after = "chain mangle { type filter hook prerouting priority mangle + 6; policy accept;";
    let by_packet = format!("{DEFAULT_DROP} meta mark & 0x0f000000 == 0x01000000 accept; }}");
    let by_connection = format!("{DEFAULT_DROP} ct mark & 0x0f000000 == 0x01000000 accept; }}");
    // The mark of a packet is written again where packets pass, from that of its connection.
    world.user(&format!("{after} meta mark set 0x1; }} {by_packet}"));
    world.client.reaches(WORKLOAD, 80);
    // That of the connection is gone.
    world.user(&format!("{after} ct mark set 0x1; }} {by_connection}"));
    world.client.misses(WORKLOAD, 80);
    // With a mask everybody has their own bits.
    world.user(&format!("{after} ct mark set ct mark & 0xfffffffe | 0x1; }} {by_connection}"));
    world.client.reaches(WORKLOAD, 80);
    // We keep the bits of others: theirs are there behind us.
    let before = "chain mangle { type filter hook prerouting priority mangle; policy accept;";
    let theirs = format!("{DEFAULT_DROP} ct mark & 0x1 == 0x1 meta mark & 0x1 == 0x1 accept; }}");
    world.user(&format!("{before} meta mark set 0x1; ct mark set ct mark & 0xfffffffe | 0x1; }} {theirs}"));
    world.client.reaches(WORKLOAD, 80);
}

#[test]
#[ignore = "needs root, nft, ip and python3; .ci/run runs it"]
fn marks_stay_in_their_namespace_and_addresses_change_on_the_way() {
    let world = world();
    world.apply(&ingress(WORKLOAD, 80));
    // The same rule drops on the host and finds nothing at the workload.
    let marked = "ct mark & 0x0f000000 != 0 drop; meta mark & 0x0f000000 != 0 drop;";
    world.workload.namespace.load(&format!(
        "table inet user {{\nchain input {{ type filter hook input priority filter; policy accept; {marked} }}\n}}\n"
    ));
    world.client.reaches(WORKLOAD, 80);
    world.user(&format!("chain forward {{ type filter hook forward priority filter; policy accept; {marked} }}"));
    world.client.misses(WORKLOAD, 80);

    // A service on an address of the host, which is translated to the workload's: the class is by what the client asked for.
    let nat = "chain nat { type nat hook prerouting priority dstnat;
        ip daddr 10.1.0.1 tcp dport 8080 dnat ip to 10.2.0.2:80; ip daddr 10.1.0.1 udp dport 8080 dnat ip to 10.2.0.2:80;
        ip6 daddr fd01::1 tcp dport 8080 dnat ip6 to [fd02::2]:80; ip6 daddr fd01::1 udp dport 8080 dnat ip6 to [fd02::2]:80; }";
    let forward = |accept: &str| format!("{nat} {DEFAULT_DROP} {NEIGHBORS} ct direction reply accept; {accept} }}");
    world.apply(&ingress(HOST, 8080));
    world.user(&forward("ct mark & 0x0f000000 == 0x01000000 accept;"));
    world.client.reaches(HOST, 8080);
    // Behind the translation the address is another one, and the old one is in the connection.
    world.user(&forward("ip daddr 10.1.0.1 accept; ip6 daddr fd01::1 accept;"));
    world.client.misses(HOST, 8080);
    world.user(&forward("ct original ip daddr 10.1.0.1 accept; ct original ip6 daddr fd01::1 accept;"));
    world.client.reaches(HOST, 8080);
    world.apply(&ingress(WORKLOAD, 80));
    world.user(&forward("ct mark & 0x0f000000 == 0x01000000 accept;"));
    world.client.misses(HOST, 8080);
}

#[test]
#[ignore = "needs root, nft, ip and python3; .ci/run runs it"]
fn connections_outlive_the_table_and_new_ones_its_changes() {
    let world = world();
    let mut firewall = ingress(WORKLOAD, 80);
    firewall.rest = Rest::DropAll;
    world.apply(&firewall);
    let ends = "meta l4proto { tcp, udp } th dport 80 counter; meta l4proto { tcp, udp } th sport 80 counter; }";
    let user = || {
        world.user(&format!(
            "chain pre {{ type filter hook prerouting priority raw; {ends}
            chain post {{ type filter hook postrouting priority 200; {ends}
            {DEFAULT_DROP} ct mark & 0x0f000000 != 0 accept; }}"
        ));
    };
    let times = if full() { 300 } else { 25 };
    // What came in and did not go out: exact, where a lost answer on a busy machine could have other reasons.
    let dropped = || {
        let (asked, _) = world.client.halt();
        assert!(asked > 100, "{asked}");
        let listing = world.host.namespace.run("nft", &["list", "table", "inet", "user"]);
        let count = |line: &str| line.split_once("counter packets ")?.1.split_once(' ')?.0.parse::<i64>().ok();
        let counts: Vec<i64> = listing.lines().filter_map(count).collect();
        assert!(counts[0] > 100 && counts[1] > 100, "{listing}");
        [counts[0] - counts[2], counts[1] - counts[3]]
    };
    user();
    // What is established is marked already, and loses nothing while the whole table is another one.
    world.client.flood("stay", WORKLOAD, 80);
    for _ in 0..times {
        world.apply(&firewall);
    }
    assert_eq!(dropped(), [0, 0]);
    user();
    // Where everything stays in its place, not even first packets find something missing.
    let variants = [Rest::Pass, Rest::DropWorkloads, Rest::DropAll].map(|rest| {
        let mut variant = firewall.clone();
        variant.rest = rest;
        variant.egress = if rest == Rest::Pass { Egress::All } else { Egress::Only(to(HOST, 7)) };
        variant.control_outbound = if rest == Rest::DropAll { to(HOST, 8) } else { RangeSet::default() };
        variant.table()
    });
    world.client.flood("stay", WORKLOAD, 80);
    world.client.flood("new", WORKLOAD, 80);
    let mut from = firewall.table();
    for to in variants.iter().cycle().take(times) {
        let transaction = Transaction::between(Some(&from), to);
        assert!(!transaction.is_replacement());
        world.host.namespace.load(&transaction.to_string());
        from = to.clone();
    }
    assert_eq!(dropped(), [0, 0]);
}

#[test]
#[ignore = "needs root, nft, ip and python3; .ci/run runs it"]
fn a_mark_of_the_users_overrides_our_drop() {
    let world = world();
    let mut firewall = ingress(WORKLOAD, 80);
    firewall.rest = Rest::DropWorkloads;
    world.apply(&firewall);
    let theirs = "chain mangle { type filter hook prerouting priority mangle; policy accept;
        tcp dport 81 meta mark set meta mark | 0x100; udp dport 81 meta mark set meta mark | 0x100; }";
    world.user(theirs);
    world.client.reaches(WORKLOAD, 80);
    world.client.misses(WORKLOAD, 81);
    firewall.accept_mark = Some("0x100/0x100".parse().unwrap());
    world.apply(&firewall);
    world.client.reaches(WORKLOAD, 80);
    world.client.reaches(WORKLOAD, 81);
    world.user("");
    world.client.misses(WORKLOAD, 81);
}
