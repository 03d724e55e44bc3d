//! Rulesets of users' own beside ours: those of `examples/firewall`, as they are.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use keyward_nft_marks::{Firewall, Rest, lint};
use support::models::to;
use support::namespace::nft;
use support::world::{CLIENT, HOST, WORKLOAD, World};

const DEFAULT_DROP: &str = include_str!("../../examples/firewall/default-drop.nft");
const CONTAINERS: &str = include_str!("../../examples/firewall/containers.nft");
const OTHER_MARKS: &str = include_str!("../../examples/firewall/other-marks.nft");
const CUSTOM_NAT: &str = include_str!("../../examples/firewall/custom-nat.nft");

fn firewall() -> Firewall {
    let mut firewall = Firewall::default();
    firewall.interfaces = vec!["kw*".parse().unwrap()];
    firewall.ingress = to(WORKLOAD, 80);
    firewall.control_inbound = to(HOST, 4647);
    firewall
}

/// The world with both tables; what of the user's our lint has to say, and that theirs is not changed by ours.
fn with(theirs: &str, firewall: &Firewall, ours_first: bool) -> World {
    let world = World::new();
    world.workload.listen(WORKLOAD, &[80, 81]);
    world.host.listen(HOST, &[4647, 22, 23]);
    world.client.listen(CLIENT, &[443]);
    if ours_first {
        world.apply(firewall);
    }
    world.host.namespace.load(theirs);
    let list = || world.host.namespace.run(&nft(), &["-s", "list", "ruleset"]);
    let before = list();
    assert_eq!(lint(firewall, &before), []);
    world.apply(firewall);
    let after = list();
    let at = after.find("table inet keyward {").unwrap();
    let end = at + after[at..].find("\n}\n").unwrap() + 3;
    if !ours_first {
        assert_eq!(format!("{}{}", &after[..at], &after[end..]).trim(), before.trim());
    }
    assert_eq!(after[at..end], firewall.table().to_string());
    // Theirs again, behind ours: no order of reloads matters.
    world.host.namespace.load(theirs);
    world
}

#[test]
#[ignore = "needs root, nft, ip and python3; .ci/run runs it"]
fn a_host_that_drops_by_default() {
    for (ours_first, rest) in [(false, Rest::Pass), (true, Rest::DropWorkloads)] {
        let mut firewall = firewall();
        firewall.rest = rest;
        let world = with(DEFAULT_DROP, &firewall, ours_first);
        world.client.reaches(WORKLOAD, 80);
        world.workload.reaches(CLIENT, 443);
        world.client.reaches(HOST, 4647);
        world.client.reaches(HOST, 22);
        world.client.misses(WORKLOAD, 81);
        world.client.misses(HOST, 23);
        // Without ours nothing of the platform's passes any more, and theirs is as it was.
        world.host.namespace.run(&nft(), &["delete", "table", "inet", "keyward"]);
        world.client.misses(WORKLOAD, 80);
        world.client.reaches(HOST, 22);
    }
}

#[test]
#[ignore = "needs root, nft, ip and python3; .ci/run runs it"]
fn chains_of_a_container_engine() {
    for ours_first in [false, true] {
        let world = with(CONTAINERS, &firewall(), ours_first);
        world.client.reaches(WORKLOAD, 80);
        world.workload.reaches(CLIENT, 443);
        world.client.misses(WORKLOAD, 81);
    }
}

#[test]
#[ignore = "needs root, nft, ip and python3; .ci/run runs it"]
fn somebody_else_with_marks() {
    for ours_first in [false, true] {
        let world = with(OTHER_MARKS, &firewall(), ours_first);
        world.client.reaches(WORKLOAD, 80);
        world.workload.reaches(CLIENT, 443);
        world.client.reaches(HOST, 4647);
        world.client.reaches(HOST, 22);
        world.client.misses(HOST, 23);
        world.client.misses(WORKLOAD, 81);
    }
}

#[test]
#[ignore = "needs root, nft, ip and python3; .ci/run runs it"]
fn addresses_of_ones_own() {
    let mut firewall = firewall();
    firewall.ingress = to(HOST, 8080);
    for ours_first in [false, true] {
        let world = with(CUSTOM_NAT, &firewall, ours_first);
        world.client.reaches(HOST, 8080);
        world.workload.reaches(CLIENT, 443);
        world.client.misses(WORKLOAD, 80);
    }
}
