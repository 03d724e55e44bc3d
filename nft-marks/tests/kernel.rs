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
    let names = ["unshare", "-Urn", &nft, "-c", "-f", "-"];
    runner(if full() { 10_000 } else { 60 })
        .run(&firewall(12), |firewall| {
            let table = firewall.table();
            let transaction = Transaction::replacing(&table);
            let text = transaction.to_string();
            // Without privileges.
            let checked = output(Command::new(names[0]).args(&names[1..]), &text);
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
