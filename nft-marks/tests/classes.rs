//! What becomes of packets of each class, and of the rest.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use keyward_nft_marks::{Class, Egress, Firewall, RangeSet, Rest, Table, Transaction};
use support::models::{among_many, among_spans, to};
use support::world::{CLIENT, HOST, WORKLOAD, World};

/// Services everywhere: the workload's at 80 and 81, the host's at 4647 and 22, outside at 443 and 25.
fn world() -> World {
    let world = World::new();
    world.workload.listen(WORKLOAD, &[80, 81]);
    world.host.listen(HOST, &[4647, 22]);
    world.client.listen(CLIENT, &[443, 25]);
    world
}

fn firewall() -> Firewall {
    let mut firewall = Firewall::default();
    firewall.interfaces = vec!["kw*".parse().unwrap()];
    firewall.ingress = to(WORKLOAD, 80);
    firewall.egress = Egress::Only(to(CLIENT, 443));
    firewall.control_inbound = to(HOST, 4647);
    firewall.control_outbound = to(CLIENT, 443);
    firewall
}

#[test]
#[ignore = "needs root, nft, ip and python3; .ci/run runs it"]
fn the_rest_passes_or_is_dropped_as_configured() {
    let world = world();
    for rest in [Rest::Pass, Rest::DropWorkloads, Rest::DropAll] {
        let mut firewall = firewall();
        firewall.rest = rest;
        passes_or_is_dropped(&world, &firewall);
    }
}

/// The same where each set of ranges is two or four sets of the kernel's, or many.
#[test]
#[ignore = "needs root, nft, ip and python3; .ci/run runs it"]
fn among_many_ranges_the_same_pass() {
    let world = world();
    type Among = fn(&RangeSet) -> RangeSet;
    let ways: [(Among, &str); 3] = [
        (|ranges| among_many(ranges, 0), "ip6 daddr . meta l4proto . th dport @egress6_128 "),
        (|ranges| among_many(ranges, 1), "@control_in4_31 "),
        (among_spans, "ip6 daddr . th dport vmap { fd"),
    ];
    for (among, lookup) in ways {
        let mut firewall = firewall();
        firewall.rest = Rest::DropAll;
        firewall.ingress = among(&firewall.ingress);
        firewall.egress = Egress::Only(among(&to(CLIENT, 443)));
        firewall.control_inbound = among(&firewall.control_inbound);
        firewall.control_outbound = among(&firewall.control_outbound);
        let table = firewall.table().to_string();
        assert!(table.contains(lookup), "{table}");
        passes_or_is_dropped(&world, &firewall);
    }
}

fn passes_or_is_dropped(world: &World, firewall: &Firewall) {
    let rest = firewall.rest;
    world.apply(firewall);
    // What has a class gets through in any case.
    world.client.reaches(WORKLOAD, 80);
    world.workload.reaches(CLIENT, 443);
    world.client.reaches(HOST, 4647);
    world.host.reaches(CLIENT, 443);
    world.host.reaches(CLIENT, 25); // what the host sends is never dropped
    for (peer, to, port, dropped) in [
        (&world.client, WORKLOAD, 81, rest != Rest::Pass),
        (&world.workload, CLIENT, 25, rest != Rest::Pass),
        (&world.workload, HOST, 22, rest != Rest::Pass),
        (&world.client, HOST, 22, rest == Rest::DropAll),
    ] {
        if dropped { peer.misses(to, port) } else { peer.reaches(to, port) }
    }
    // The host reaches itself.
    world.host.reaches(HOST, 22);
}

/// Counters of each class, by the mark of the packet and by that of the connection, behind ours.
#[test]
#[ignore = "needs root, nft, ip and python3; .ci/run runs it"]
fn each_connection_has_its_class_in_both_directions() {
    let world = world();
    let mut firewall = firewall();
    let marks = firewall.marks;
    let count = |hook: &str, port: u16| {
        let rules = Class::ALL.map(|class| {
            let value = marks.value(class);
            format!(
                "meta mark & 0x0f000000 == {value:#x} ct mark & 0x0f000000 == {value:#x} counter comment \"{class}\""
            )
        });
        // Of this port alone: the last packets of a connection before may still be on their way.
        format!(
            "chain {hook}_count {{ {}; meta mark & 0x0f000000 == 0 ct mark & 0x0f000000 == 0 counter comment \"none\"; meta nfproto {{ ipv4, ipv6 }} counter comment \"all\"; }}
            chain {hook} {{ type filter hook {hook} priority filter; meta l4proto != {{ tcp, udp }} accept; th sport {port} goto {hook}_count; th dport {port} goto {hook}_count; }}",
            rules.join("; ")
        )
    };
    let counted = |hook: &str| {
        let listing = world.host.namespace.run("nft", &["list", "chain", "inet", "user", &format!("{hook}_count")]);
        let read = |name: &str| {
            let line = listing.lines().find(|line| line.contains(&format!("\"{name}\""))).unwrap();
            let (_, rest) = line.split_once("counter packets ").unwrap();
            rest.split(' ').next().unwrap().parse::<u64>().unwrap()
        };
        ["ingress", "workload", "control", "none", "all"].map(read)
    };
    let hooks = ["input", "forward", "output"];
    for egress in [firewall.egress.clone(), Egress::All] {
        // Without a limit whatever a workload begins has its class; what it answers has not.
        let begun = if egress == Egress::All { 1 } else { 3 };
        firewall.egress = egress;
        world.apply(&firewall);
        for (peer, address, port, expected) in [
            (&world.client, WORKLOAD, 80, [None, Some(0), None]),
            (&world.client, WORKLOAD, 81, [None, Some(3), None]),
            (&world.workload, CLIENT, 443, [None, Some(1), None]),
            (&world.workload, CLIENT, 25, [None, Some(begun), None]),
            (&world.client, HOST, 4647, [Some(2), None, Some(2)]),
            (&world.client, HOST, 22, [Some(3), None, Some(3)]),
            (&world.host, CLIENT, 443, [Some(2), None, Some(2)]),
            (&world.host, CLIENT, 25, [Some(3), None, Some(3)]),
        ] {
            world.user(&hooks.map(|hook| count(hook, port)).join("\n"));
            peer.reaches(address, port);
            for (hook, expected) in hooks.into_iter().zip(expected) {
                let [classes @ .., all] = counted(hook);
                for (place, count) in classes.into_iter().enumerate() {
                    // Every packet has the one class, in both directions; other packets there are none.
                    let right = if Some(place) == expected { count > 0 && count == all } else { count == 0 };
                    assert!(right, "{address:?}:{port} {hook}: {classes:?} of {all}");
                }
            }
        }
    }
}

#[test]
#[ignore = "needs root, nft, ip and python3; .ci/run runs it"]
fn a_stranger_with_an_address_of_a_workload_is_no_workload() {
    let world = world();
    let mut firewall = firewall();
    firewall.egress = Egress::All;
    firewall.networks = vec!["10.2.0.0/24".parse().unwrap(), "fd02::/64".parse().unwrap()];
    firewall.rest = Rest::DropWorkloads;
    world.apply(&firewall);
    world.workload.reaches(CLIENT, 25);
    // Behind the right interface with another address.
    firewall.networks = vec!["10.9.0.0/24".parse().unwrap(), "fd09::/64".parse().unwrap()];
    world.apply(&firewall);
    world.workload.misses(CLIENT, 25);
    // With the right address behind another interface.
    firewall.networks = vec!["10.1.0.0/24".parse().unwrap(), "fd01::/64".parse().unwrap()];
    firewall.rest = Rest::DropAll;
    world.apply(&firewall);
    world.client.misses(WORKLOAD, 81);
}

#[test]
#[ignore = "needs root, nft, ip and python3; .ci/run runs it"]
fn what_is_established_goes_on_whatever_comes() {
    let world = world();
    // The kernel tracks connections from the first rule on that asks for them.
    world.user("chain forward { type filter hook forward priority filter; policy accept; ct state invalid counter; }");
    let unknown = world.client.open(WORKLOAD, 81);
    let known = world.client.open(WORKLOAD, 80);
    assert_eq!(world.client.say(true, &unknown), [true; 4]);
    assert_eq!(world.client.say(true, &known), [true; 4]);
    // From no table of ours to one that drops everything: what was there goes on, what is new does not.
    let mut firewall = firewall();
    firewall.rest = Rest::DropAll;
    world.apply(&firewall);
    assert_eq!(world.client.say(true, &unknown), [true; 4]);
    assert_eq!(world.client.say(true, &known), [true; 4]);
    world.client.misses(WORKLOAD, 81);
    // A range that goes takes no connection with it, and lets none begin.
    let before: Table = world.host.namespace.listing().parse().unwrap();
    firewall.ingress = RangeSet::default();
    let transaction = Transaction::between(Some(&before), &firewall.table());
    assert!(transaction.to_string().starts_with("delete element inet keyward ingress4 {"), "{transaction}");
    world.host.namespace.load(&transaction.to_string());
    assert_eq!(world.client.say(true, &known), [true; 4]);
    world.client.misses(WORKLOAD, 80);
    // Without our table everything is as before.
    world.host.namespace.load(&Transaction::removing().to_string());
    assert_eq!(world.client.say(true, &known), [true; 4]);
    world.client.reaches(WORKLOAD, 80);
    world.client.reaches(WORKLOAD, 81);
}
