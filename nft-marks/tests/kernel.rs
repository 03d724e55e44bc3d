//! Tables go through the kernel and come back as they were.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_types,
    clippy::disallowed_methods
)]

mod support;

use std::process::Command;

use keyward_nft_marks::{ProtocolNames, Table, Transaction};
use proptest::test_runner::{Config, TestRunner};
use support::models::firewall;
use support::namespace::{Namespace, full, nft, other_nft, output};

/// As much text as is loaded by a message of less than `net.core.wmem_max`.
const UNPRIVILEGED: usize = 60_000;

/// Fails with the first line that differs.
#[track_caller]
fn same(found: &str, expected: &str) {
    let differing = found.lines().zip(expected.lines()).enumerate().find(|(_, (found, expected))| found != expected);
    assert!(found == expected, "differs at {differing:?}");
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config { cases, failure_persistence: None, max_shrink_iters: 60, ..Config::default() })
}

#[test]
#[ignore = "needs root, nft and ip; .ci/run runs it"]
fn what_is_written_is_what_nft_lists_and_reads_back() {
    let namespace = Namespace::new();
    let (nft, other) = (nft(), other_nft());
    runner(if full() { 10_000 } else { 60 })
        .run(&firewall(12), |firewall| {
            let table = firewall.table();
            let transaction = Transaction::replacing(&table);
            let text = transaction.to_string();
            // Without privileges, but where that is more than the kernel takes from those who have none in one message.
            let who = if text.len() < UNPRIVILEGED { "-Urn" } else { "-n" };
            let checked = output(Command::new("unshare").args([who, &nft, "-c", "-f", "-"]), &text);
            assert!(checked.status.success(), "{}\n{text}", String::from_utf8_lossy(&checked.stderr));
            namespace.load(&text);
            let listing = namespace.listing();
            same(&listing, &table.to_string());
            let read: Table = listing.parse().unwrap();
            proptest::prop_assert_eq!(&read, &table);
            proptest::prop_assert!(Transaction::between(Some(&read), &table).is_empty());
            // The same from JSON.
            namespace.load_with(&nft, &["-j"], &transaction.json().to_string());
            same(&namespace.listing(), &listing);
            if let Some(other) = &other {
                same(&namespace.listing_with(other), &listing);
                namespace.load_with(other, &[], &text);
                same(&namespace.listing_with(other), &listing);
                same(&namespace.listing(), &listing);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
#[ignore = "needs root, nft and ip; .ci/run runs it"]
fn a_host_that_knows_no_names_of_protocols_gets_numbers() {
    let namespace = Namespace::new();
    let hidden = |nft: &str| format!("mount --bind /dev/null /etc/protocols && exec {nft}");
    runner(if full() { 300 } else { 10 })
        .run(&firewall(12), |firewall| {
            let table = firewall.table();
            let text = Transaction::replacing(&table).text(ProtocolNames::Unknown).to_string();
            let load = hidden(&format!("{} -f -", nft()));
            let loaded = output(&mut namespace.command("unshare", &["-m", "sh", "-c", &load]), &text);
            assert!(loaded.status.success(), "{}\n{text}", String::from_utf8_lossy(&loaded.stderr));
            let list = hidden(&format!("{} -s list table inet keyward", nft()));
            let listing = namespace.run("unshare", &["-m", "sh", "-c", &list]);
            same(&listing, &table.listing(ProtocolNames::Unknown).to_string());
            proptest::prop_assert_eq!(&listing.parse::<Table>().unwrap(), &table);
            Ok(())
        })
        .unwrap();
}

#[test]
#[ignore = "needs root, nft and ip; .ci/run runs it"]
fn changes_end_in_the_same_table_and_touch_no_other() {
    let namespace = Namespace::new();
    let (nft, other) = (nft(), other_nft());
    // Tables of others, with what is easily disturbed: maps, counters, sets with elements, chains at our own priorities.
    namespace.load(OTHERS);
    let others = || namespace.run(&nft, &["list", "ruleset"]).split("table inet keyward {").next().unwrap().to_owned();
    let before = others();
    assert!(before.contains("table ip docker"), "{before}");
    let same_others = |what: &str| {
        let after = namespace.run(&nft, &["list", "ruleset"]);
        let ours = after.find("table inet keyward {");
        let without = match ours {
            Some(at) => {
                let end = at + after[at..].find("\n}\n").unwrap() + 3;
                format!("{}{}", &after[..at], &after[end..])
            }
            None => after,
        };
        assert_eq!(without.trim_end(), before.trim_end(), "{what}");
    };
    let step = (firewall(10), 0..12u8);
    let last = std::cell::RefCell::new(None::<Table>);
    runner(if full() { 1_000 } else { 60 })
        .run(&step, |(firewall, kind)| {
            let to = firewall.table();
            let have = last.borrow_mut().take();
            let transaction = match kind {
                0 => Transaction::removing(),
                1 => Transaction::replacing(&to),
                _ => Transaction::between(have.as_ref(), &to),
            };
            let text = transaction.to_string();
            match (kind, &other) {
                (2..=5, _) => namespace.load_with(&nft, &["-j"], &transaction.json().to_string()),
                (6 | 7, Some(other)) => namespace.load_with(other, &[], &text),
                (8..=11, _) => {
                    for step in transaction.into_steps() {
                        match kind {
                            8 | 9 => namespace.load(&step.to_string()),
                            _ => namespace.load_with(&nft, &["-j"], &step.json().to_string()),
                        }
                        // Whatever is there in between, it is the way to either of the two.
                        let there: Table = namespace.numbered(&nft).parse().unwrap();
                        proptest::prop_assert!(!Transaction::between(Some(&there), &to).is_replacement());
                    }
                }
                _ => namespace.load(&text),
            }
            if kind > 0 {
                // With the numbers of rules for half of the steps, by either version.
                let listing = match (kind % 4, &other) {
                    (0, _) => namespace.numbered(&nft),
                    (1, Some(other)) => namespace.numbered(other),
                    _ => namespace.listing(),
                };
                let listed: Table = listing.parse().unwrap();
                proptest::prop_assert_eq!(&listed, &to);
                *last.borrow_mut() = Some(listed);
            }
            same_others(&text);
            Ok(())
        })
        .unwrap();
}

const OTHERS: &str = r#"
table inet filter {
	set blocked {
		type ipv4_addr
		flags interval
		auto-merge
		elements = { 192.0.2.0/25, 198.51.100.7 }
	}
	map verdicts {
		type inet_service : verdict
		elements = { 22 : accept, 23 : drop }
	}
	counter strangers {
	}
	chain input {
		type filter hook input priority filter - 5; policy accept;
		ip saddr @blocked counter name strangers drop
		tcp dport vmap @verdicts
		meta mark set meta mark | 0x00000001
	}
}
table ip docker {
	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		tcp dport 8080 dnat to 10.0.0.2:80
	}
	chain forward {
		type filter hook forward priority filter; policy drop;
		ct mark & 0x0f000000 != 0x00000000 accept
	}
}
table ip6 keyward {
	chain prerouting {
		type filter hook prerouting priority mangle + 5; policy accept;
	}
}
"#;
