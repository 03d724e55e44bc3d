//! Tables and what lies between them, without a kernel.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::fmt::Write as _;

use keyward_nft_marks::{
    Change, Egress, Firewall, PortRange, Protocol, ProtocolNames, Range, RangeSet, Rest, Table, Transaction,
};
use proptest::prelude::*;
use support::models::firewall;

fn range(text: &str, port: u16) -> Range {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Range::new(first.parse().unwrap(), last.parse().unwrap(), Protocol::Tcp, PortRange::from(port)).unwrap()
}

fn with(ingress: &[Range]) -> Firewall {
    let mut firewall = Firewall::default();
    firewall.interfaces = vec!["kw*".parse().unwrap()];
    firewall.ingress = RangeSet::new(ingress.to_vec()).unwrap();
    firewall
}

fn between(from: &Firewall, to: &Firewall) -> String {
    Transaction::between(Some(&from.table()), &to.table()).to_string()
}

#[test]
fn the_whole_table_of_a_small_firewall() {
    let mut firewall = with(&[range("10.0.0.1-10.0.0.9", 443), range("2001:db8::7", 443)]);
    firewall.networks =
        vec!["10.2.0.0/24".parse().unwrap(), "10.2.1.0/24".parse().unwrap(), "10.9.0.0/16".parse().unwrap()];
    firewall.egress = Egress::Only(RangeSet::new(vec![range("0.0.0.0-255.255.255.255", 443)]).unwrap());
    firewall.control_inbound = RangeSet::new(vec![range("10.1.0.1", 4647)]).unwrap();
    firewall.accept_mark = Some("0x100".parse().unwrap());
    firewall.rest = Rest::DropWorkloads;
    assert_eq!(firewall.table().to_string(), include_str!("tables/small.nft"));
    assert_eq!(Transaction::replacing(&firewall.table()).json().to_string(), include_str!("tables/small.json"));
}

#[test]
fn one_changed_range_is_one_element() {
    let (a, b, c) = (range("10.0.0.1", 80), range("10.0.1.1", 80), range("10.0.0.1-10.0.0.2", 80));
    assert_eq!(between(&with(&[a]), &with(&[a, b])), "add element inet keyward ingress4 { 10.0.1.1 . tcp . 80 }\n");
    assert_eq!(between(&with(&[a, b]), &with(&[a])), "delete element inet keyward ingress4 { 10.0.1.1 . tcp . 80 }\n");
    // What makes room goes first.
    assert_eq!(
        between(&with(&[a, b]), &with(&[c, b])),
        "delete element inet keyward ingress4 { 10.0.0.1 . tcp . 80 }\nadd element inet keyward ingress4 { 10.0.0.1-10.0.0.2 . tcp . 80 }\n"
    );
    assert_eq!(between(&with(&[a, b]), &with(&[a, b])), "");
}

/// Pairs of addresses in the middle of blocks of four, which are no networks; or single addresses.
fn many(count: u16, pairs: bool) -> Vec<Range> {
    let address = |n: u16| format!("10.0.{}.{}", n >> 6, (n & 63) * 4 + 1);
    let pair = |n: u16| format!("{}-10.0.{}.{}", address(n), n >> 6, (n & 63) * 4 + 2);
    (0..count).map(|n| range(&if pairs { pair(n) } else { address(n) }, 80)).collect()
}

#[test]
fn a_set_is_anew_where_it_takes_longer_to_find_what_goes() {
    let pairs = many(2_000, true);
    let text = between(&with(&pairs), &with(&pairs[100..]));
    assert!(text.starts_with("delete element inet keyward ingress4 { 10.0.0.1-10.0.0.2 . tcp . 80,\n"), "{text}");
    assert_eq!(text.lines().count(), 100);
    let text = between(&with(&pairs), &with(&pairs[101..]));
    let order = [
        "flush chain inet keyward prerouting\n",
        "delete set inet keyward ingress4\n",
        "add set inet keyward ingress4 { type ipv4_addr . inet_proto . inet_service; flags interval; elements = { 10.0.1.149-",
        "@ingress4 goto mark_ingress\n",
    ];
    let places: Vec<usize> = order.iter().map(|part| text.find(part).expect(part)).collect();
    assert!(places.is_sorted() && text.matches("flush chain").count() == 1, "{text}");
}

#[test]
fn many_networks_of_a_length_have_a_set_of_their_own() {
    let (single, pairs) = (many(1_001, false), many(2_000, true));
    let table = with(&single).table();
    let lookup = "ip daddr . meta l4proto . th dport @ingress4_32 goto mark_ingress\n";
    assert!(table.to_string().contains(lookup));
    assert_eq!((table.elements(), table.to_string().parse().as_ref()), (1_001, Ok(&table)));
    // One goes, as one element, without a search; all but one likewise.
    assert_eq!(
        between(&with(&single), &with(&single[1..])),
        "delete element inet keyward ingress4_32 { 10.0.0.1 . tcp . 80 }\n"
    );
    // One less, and they are among the intervals.
    let text = between(&with(&single[1..]), &with(&single[2..]));
    assert!(text.contains("delete set inet keyward ingress4_32\n"), "{text}");
    assert!(text.contains("add element inet keyward ingress4 { 10.0.0.9 . tcp . 80,\n"), "{text}");
    assert!(!text.contains("delete element") && !text.contains("@ingress4_32"), "{text}");
    // Unless they have a set of their own already, which they keep until they are half as many.
    let (had, keeps) = (with(&single).table(), |from: usize| {
        let firewall = with(&single[from..]);
        let table = firewall.table_beside(&with(&single).table());
        // What keeps it once keeps it again.
        assert_eq!(firewall.table_beside(&table), table);
        table
    });
    assert_eq!(
        Transaction::between(Some(&had), &keeps(2)).to_string(),
        "delete element inet keyward ingress4_32 { 10.0.0.1 . tcp . 80,\n10.0.0.5 . tcp . 80 }\n"
    );
    assert!(keeps(501).to_string().contains("@ingress4_32"));
    assert_eq!(keeps(502), with(&single[502..]).table());
    // What is no network stays where it is.
    let both = |from: usize| {
        let moved = single.iter().map(|one| range(&one.first().to_string().replacen("10.0", "10.1", 1), 80));
        with(&moved.skip(from).chain(pairs.iter().copied()).collect::<Vec<_>>())
    };
    let text = both(0).table().to_string();
    assert!(text.contains("\t\telements = { 10.0.0.1-10.0.0.2 . tcp . 80,\n"), "{text}");
    let networks: Vec<Range> = (0..1_000)
        .map(|n| range(&format!("10.{}.{}.0-10.{}.{}.255", n / 100, n % 100 * 2, n / 100, n % 100 * 2), 443))
        .collect();
    let text = with(&networks).table().to_string();
    assert!(text.contains("ip daddr & 255.255.255.0 . meta l4proto . th dport @ingress4_24 goto"), "{text}");
    assert!(text.contains("10.0.2.0 . tcp . 443"), "{text}");
    assert!(!text.contains("10.0.2.0/24"), "{text}");
    let drifted: Table = text.replace("10.0.2.0 . tcp", "10.0.3.0 . tcp").parse().unwrap();
    assert_eq!(
        Transaction::between(Some(&drifted), &with(&networks).table()).to_string(),
        "delete element inet keyward ingress4_24 { 10.0.3.0 . tcp . 443 }\nadd element inet keyward ingress4_24 { 10.0.2.0 . tcp . 443 }\n"
    );
    // What we would not put there is somebody else's.
    let drifted: Table = text.replace("10.0.2.0 . tcp", "10.0.3.1 . tcp").parse().unwrap();
    assert!(Transaction::between(Some(&drifted), &with(&networks).table()).is_replacement());
}

#[test]
fn very_many_ranges_are_in_blocks_and_one_of_them_changes_one_block() {
    let pairs = many(5_000, true);
    let table = with(&pairs).table();
    let text = table.to_string();
    assert!(
        text.contains("\t\tip daddr . th dport vmap { 10.0.0.0/20 . 0-65535 : jump ingress4_0a000000_20, "),
        "{text}"
    );
    assert!(
        text.contains("\tchain ingress4_0a001000_20 {\n\t\ttcp dport 80 ip daddr { 10.0.16.1-10.0.16.2, "),
        "{text}"
    );
    assert_eq!((table.elements(), text.parse().as_ref()), (5_000, Ok(&table)));
    assert_eq!(table.foreign().count(), 0);
    // One less: its block, and nothing else.
    let less = between(&with(&pairs), &with(&pairs[1..]));
    let lines: Vec<&str> = less.lines().map(|line| &line[..line.len().min(60)]).collect();
    assert_eq!(
        lines,
        [
            "flush chain inet keyward ingress4_0a000000_20",
            "add chain inet keyward ingress4_0a000000_20",
            "add rule inet keyward ingress4_0a000000_20 tcp dport 80 ip d",
        ]
    );
    // What is shown is the range alone, and so it is where somebody else changed it.
    let shown = |from: &Table, to: &Table| from.changes(to).iter().map(ToString::to_string).collect::<Vec<_>>();
    let first = "chain ingress4_0a000000_20: 10.0.0.1-10.0.0.2 . tcp . 80 goto mark_ingress";
    assert_eq!(shown(&table, &with(&pairs[1..]).table()), [format!("- {first}")]);
    let drifted: Table = text.replace("10.0.0.1-10.0.0.2, ", "").parse().unwrap();
    assert_eq!(shown(&drifted, &table), [format!("+ {first}")]);
    assert!(!Transaction::between(Some(&drifted), &table).is_replacement());
    // A block that leads elsewhere is somebody else's.
    let drifted: Table = text.replace(": jump ingress4_0a000000_20,", ": jump ingress4_0a001000_20,").parse().unwrap();
    assert_eq!(drifted.foreign().count(), 1);
    // What is there stays until it is half of what comes.
    let keeps = |count: usize| with(&pairs[..count]).table_beside(&table).to_string().contains("vmap");
    assert_eq!([keeps(2_000), keeps(1_999)], [true, false]);
    assert!(!with(&pairs[..3_999]).table().to_string().contains("vmap"));
}

/// As `nft -a` lists it: each chain, set and rule with a number.
fn numbered(table: &Table) -> Table {
    let (mut listed, mut number) = (String::new(), 0);
    for line in table.to_string().lines() {
        let has_one = (line.starts_with("\t\t") && !line.contains(" hook ")) || line.ends_with(" {");
        let in_set = line.contains(" . inet_service") || line.starts_with("\t\t\t") || line.contains("elements = ");
        number += 1;
        match has_one && !in_set && line != "\t\tflags interval" {
            true => writeln!(listed, "{line} # handle {number}").unwrap(),
            false => writeln!(listed, "{line}").unwrap(),
        }
    }
    let read: Table = listed.parse().unwrap();
    assert_eq!(&read, table);
    read
}

/// Each command, as far as its first thirteen words.
fn steps(from: &Table, to: &Table) -> Vec<Vec<String>> {
    let begin = |line: &str| line.split(' ').take(13).collect::<Vec<_>>().join(" ").replace(" inet keyward", "");
    let lines = |step: Transaction| step.to_string().lines().map(begin).collect();
    Transaction::between(Some(&numbered(from)), to).into_steps().map(lines).collect()
}

#[test]
fn what_comes_is_there_before_what_was_in_its_place_goes() {
    // A range of a block: the rule that has it, and no other.
    let mut pairs: Vec<Range> = many(5_000, true);
    for pair in pairs.iter_mut().skip(1).step_by(2) {
        *pair = Range::new(pair.first(), pair.last(), Protocol::Tcp, PortRange::from(81)).unwrap();
    }
    let table = with(&pairs).table();
    let mut other = pairs.clone();
    other[0] = range("10.0.0.3", 80);
    assert_eq!(
        steps(&table, &with(&other).table()),
        [
            ["add rule ingress4_0a000000_20 tcp dport 80 ip daddr { 10.0.0.3, 10.0.0.9-10.0.0.10,"],
            ["delete rule ingress4_0a000000_20 handle 51"]
        ]
        .map(|step| step.map(str::to_owned).to_vec())
    );
    // Whoever died in between goes on where that was: the rule that is too much goes.
    let text = table.to_string();
    let (had, comes) = (&text, with(&other).table().to_string());
    let rule =
        |text: &str| text.lines().find(|line| line.starts_with("\t\ttcp dport 80 ip daddr ")).unwrap().to_owned();
    let both: Table = had.replacen(&rule(had), &format!("{}\n{}", rule(had), rule(&comes)), 1).parse().unwrap();
    assert_eq!(steps(&both, &with(&other).table()), [["delete rule ingress4_0a000000_20 handle 51".to_owned()]]);
    assert_eq!(steps(&both, &table), [["delete rule ingress4_0a000000_20 handle 52".to_owned()]]);
    // A block that becomes two: both, the map that has them, and then what was there goes.
    let within = (0..400).map(|n| range(&format!("10.0.{}.{}", n / 64, n % 64 * 4 + 3), 82)).collect::<Vec<_>>();
    let mut more = [pairs.as_slice(), &within].concat();
    more.sort_unstable();
    let [ahead, then] = steps(&table, &with(&more).table_beside(&table)).try_into().unwrap();
    let adds = |line: &String| ["add ", "insert "].iter().any(|verb| line.starts_with(verb));
    assert!(ahead.iter().all(adds) && !then.iter().any(adds), "{ahead:#?}\n{then:#?}");
    assert!(ahead.iter().any(|line| line.starts_with("insert rule prerouting handle ")), "{ahead:#?}");
    assert!(then.contains(&"delete chain ingress4_0a000000_20".to_owned()), "{then:#?}");
    // Beside blocks a set gets more as a whole, as nft reads all blocks before a command about elements.
    let wide = Range::new("10.0.0.0".parse().unwrap(), "10.1.0.0".parse().unwrap(), Protocol::Udp, PortRange::from(53));
    more = [pairs.as_slice(), &[wide.unwrap()]].concat();
    more.sort_unstable();
    let kind = "type ipv4_addr . inet_proto . inet_service; flags interval";
    assert_eq!(
        Transaction::between(Some(&table), &with(&more).table_beside(&table)).to_string(),
        format!("add set inet keyward ingress4 {{ {kind}; elements = {{ 10.0.0.0-10.1.0.0 . udp . 53 }}; }}\n")
    );
    // So many networks of a length that they get a set: they are in it before they leave the intervals.
    let single = many(1_001, false);
    let [ahead, then] = steps(&with(&single[..999]).table(), &with(&single).table()).try_into().unwrap();
    assert!(ahead[0].starts_with("add set ingress4_32 "), "{ahead:#?}");
    let looks_up = |step: &[String]| step.iter().filter(|line| line.starts_with("insert rule prerouting ")).count();
    assert_eq!([looks_up(&ahead), looks_up(&then)], [1, 1], "{ahead:#?}\n{then:#?}");
    // One that waits for a set that is anew has those behind it wait, so that all are in their places.
    let families = |from: usize, to: usize| {
        let v6 = (0..to).map(|n| range(&format!("2001:db8::{:x}", n * 2 + 1), 80));
        with(&many(2_000, true).into_iter().skip(from).chain(v6).collect::<Vec<_>>()).table()
    };
    let made = Transaction::between(Some(&numbered(&families(0, 999))), &families(101, 1_001)).to_string();
    let places = ["@ingress4 goto", "@ingress6_128 goto", "@ingress6 goto"].map(|rule| made.find(rule).expect(&made));
    assert!(places.is_sorted(), "{places:?}");
    // A rule of another kind is not there beside the one in whose place it comes.
    let mut dropping = with(&pairs);
    dropping.rest = Rest::DropAll;
    let [then] = steps(&table, &dropping.table()).try_into().unwrap();
    assert!(then.contains(&"flush chain input".to_owned()) && !then.iter().any(|line| line.contains(" handle ")));
    // Nor is a range that comes there for packets that are let out to what there was, and no longer: only ranges go ahead.
    let to = |network: &str, egress: &[Range]| {
        let mut firewall = with(&[]);
        firewall.networks = vec![network.parse().unwrap()];
        firewall.egress = Egress::Only(RangeSet::new(egress.to_vec()).unwrap());
        firewall.table()
    };
    let few = to("10.2.0.0/24", &single[..999]);
    assert_eq!(steps(&few, &to("10.2.0.0/24", &single)).len(), 2);
    for other in ["10.3.0.0/24", "2001:db8::/64", "0.0.0.0/0"] {
        assert_eq!(steps(&few, &to(other, &single)).len(), 1, "{other}");
    }
    assert_eq!(steps(&to("0.0.0.0/0", &single[..999]), &to("::/0", &single)).len(), 1);
    let mut dropping = with(&single);
    dropping.rest = Rest::DropAll;
    assert_eq!(steps(&with(&single[..999]).table(), &dropping.table()).len(), 1);
    // Without numbers a rule that comes first is not put behind all.
    let (few, many) = (to("10.2.0.0/24", &pairs[..9]), to("10.2.0.0/24", &pairs));
    let flush = "flush chain inet keyward from_workload\n";
    assert!(Transaction::between(Some(&few), &many).to_string().contains(flush));
    assert!(!Transaction::between(Some(&numbered(&few)), &many).to_string().contains(flush));
    // Somebody else's rule goes with all of its chain.
    let drifted: Table = text.replacen("\t\tct direction reply accept\n", "\t\taccept\n", 1).parse().unwrap();
    assert_eq!(steps(&drifted, &table)[0][0], "flush chain prerouting");
}

#[test]
fn rules_change_by_the_chain_and_sets_come_and_go_with_them() {
    let before = with(&[]);
    let mut after = with(&[]);
    after.rest = Rest::DropWorkloads;
    let text = between(&before, &after);
    let touched = |text: &str, chain: &str| text.contains(&format!("flush chain inet keyward {chain}\n"));
    assert!(touched(&text, "forward") && touched(&text, "input") && !touched(&text, "prerouting"), "{text}");
    assert!(text.contains("add rule inet keyward forward oifname \"kw*\" drop\n"), "{text}");

    after.egress = Egress::Only(RangeSet::new(vec![range("10.0.0.1", 1)]).unwrap());
    let text = between(&before, &after);
    let order = [
        "add set inet keyward egress4 { type ipv4_addr . inet_proto . inet_service; flags interval; elements = { 10.0.0.1 . tcp . 1 }; }\n",
        "flush chain inet keyward from_workload\n",
        "@egress4 goto mark_workload\n",
    ];
    let places: Vec<usize> = order.iter().map(|part| text.find(part).expect(part)).collect();
    assert!(places.is_sorted(), "{text}");
    let text = between(&after, &before);
    let order = [
        "flush chain inet keyward from_workload\n",
        "delete set inet keyward egress4\n",
        "add rule inet keyward from_workload goto mark_workload\n",
    ];
    let places: Vec<usize> = order.iter().map(|part| text.find(part).expect(part)).collect();
    assert!(places.is_sorted(), "{text}");
}

#[test]
fn what_somebody_changed_is_shown_and_repaired() {
    let wanted = with(&[range("10.0.0.1", 80)]).table();
    let listing = wanted.to_string();
    let drift = |from: &str, to: &str| {
        assert!(listing.contains(from));
        let found: Table = listing.replacen(from, to, 1).parse().unwrap();
        let transaction = Transaction::between(Some(&found), &wanted);
        let shown: Vec<String> = found.changes(&wanted).iter().map(ToString::to_string).collect();
        (transaction.is_replacement(), transaction.to_string(), shown)
    };
    let (replaced, text, shown) = drift("10.0.0.1 . tcp . 80", "10.0.0.2 . tcp . 80");
    assert!(!replaced && text.contains("delete element inet keyward ingress4 { 10.0.0.2 . tcp . 80 }"));
    assert_eq!(shown, ["- set ingress4: 10.0.0.2 . tcp . 80", "+ set ingress4: 10.0.0.1 . tcp . 80"]);
    // A rule by hand: the chain anew.
    let (replaced, text, shown) = drift("\t\tjump restore\n\t}\n", "\t\tjump restore\n\t\tcounter accept\n\t}\n");
    assert!(!replaced && text.starts_with("flush chain inet keyward input\n"), "{text}");
    assert_eq!(shown, ["- chain input: counter accept"]);
    // A policy: in its place.
    let (replaced, text, _) = drift("filter - 5; policy accept;", "filter - 5; policy drop;");
    assert!(
        !replaced
            && text.contains(
                "add chain inet keyward input { type filter hook input priority filter - 5; policy accept; }"
            )
    );
    // A priority, a strange chain: the table anew.
    let (replaced, _, shown) = drift("hook forward priority filter - 5", "hook forward priority filter");
    assert!(replaced);
    assert_eq!(shown.len(), 2, "{shown:?}");
    let (replaced, _, shown) = drift("\tchain restore {", "\tchain theirs {\n\t}\n\n\tchain restore {");
    assert!(replaced);
    assert_eq!(shown, ["- chain theirs {\n\t}"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back(firewall in firewall(8)) {
        let table = firewall.table();
        for names in [ProtocolNames::Known, ProtocolNames::Unknown] {
            prop_assert_eq!(&table.listing(names).to_string().parse::<Table>().unwrap(), &table);
        }
        prop_assert_eq!(table.foreign().count(), 0);
        prop_assert!(Transaction::between(Some(&table), &table).is_empty());
        let json = Transaction::replacing(&table).json().to_string();
        prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
    }

    #[test]
    fn changes_are_what_differs((from, to) in (firewall(8), firewall(8))) {
        let (from, to) = (from.table(), to.table());
        let changes = from.changes(&to);
        prop_assert_eq!(changes.is_empty(), from == to);
        let back = to.changes(&from);
        let turned = |change: &Change| match change {
            Change::Added(line) => Change::Removed(line.clone()),
            Change::Removed(line) => Change::Added(line.clone()),
        };
        let mut turned: Vec<Change> = back.iter().map(turned).collect();
        let mut changes = changes;
        turned.sort();
        changes.sort();
        prop_assert_eq!(turned, changes);
        // Never anew where nobody else was at work, and JSON either way.
        let transaction = Transaction::between(Some(&from), &to);
        prop_assert!(!transaction.is_replacement());
        prop_assert!(serde_json::from_str::<serde_json::Value>(&transaction.json().to_string()).is_ok());
    }
}
