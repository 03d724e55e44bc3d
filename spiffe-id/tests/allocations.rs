//! What allocates, and how often. The counter counts the allocations of this thread alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use allocation_counter::measure;
use keyward_spiffe_id::{Pattern, PatternSet, SegmentTrie, SpiffeId, SpiffeIdRef, TrustDomainRef};

const ID: &str = "spiffe://prod.example.org/ns/payments/sa/checkout-backend-v2";

#[test]
fn the_counter_counts() {
    assert_eq!(measure(|| drop(Vec::<u8>::with_capacity(9))).count_total, 1);
}

#[test]
fn borrowed_reading_allocates_nothing() {
    let long = format!("spiffe://prod.example.org{}", "/.segment".repeat(200));
    let count = measure(|| {
        for text in [ID, "spiffe://td", "spiffe://td/.a/..b", long.as_str()] {
            let id = SpiffeIdRef::parse(text).unwrap();
            assert!(id.is_member_of(TrustDomainRef::parse(id.trust_domain().as_str()).unwrap()));
            assert!(id.segments().all(|segment| id.path().contains(segment)));
            let authority = id.path().is_empty();
            assert!(if authority { id.signing_authority_of().is_ok() } else { id.workload_path().is_ok() });
        }
    });
    assert_eq!(count.count_total, 0);
}

#[test]
fn owned_reading_allocates_once() {
    assert_eq!(measure(|| drop(ID.parse::<SpiffeId>().unwrap())).count_total, 1);
    let text = ID.to_owned().into_boxed_str().into_string();
    assert_eq!(measure(|| drop(SpiffeId::try_from(text).unwrap())).count_total, 0);
}

#[test]
fn matching_allocates_nothing() {
    let pattern: Pattern = "spiffe://prod.example.org/ns/*/sa/**".parse().unwrap();
    let mut set = PatternSet::new();
    let mut trie = SegmentTrie::new();
    for n in 0..10_000 {
        let tail = ["sa/checkout-backend-v2", "*/other", "**"][n % 3];
        set.insert(format!("spiffe://prod.example.org/ns/n{n}/{tail}").parse().unwrap(), n);
        trie.insert(&format!("ns/n{n}/{tail}"), n);
    }
    set.insert(pattern.clone(), 0);
    trie.insert("ns/*/sa/**", 0);
    let id: SpiffeId = ID.parse().unwrap();
    let mut found = 0;
    let count = measure(|| {
        found += usize::from(pattern.matches(&id));
        found += usize::from(set.get(&id).is_some());
        set.for_each_match(&id, |_, _| found += 1);
        found += usize::from(trie.get(id.path()).is_some());
        trie.for_each_match("/ns/n2/deep/down", |_| found += 1);
        found += trie.matches("nowhere").count();
    });
    assert_eq!((count.count_total, found), (0, 5));
}
