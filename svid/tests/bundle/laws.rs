//! Laws of bundles.

use keyward_svid::{Bundle, BundleSet};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::*;

/// Entries good and bad.
fn entry() -> impl Strategy<Value = Value> {
    prop_oneof![
        (0..3_usize).prop_map(x509_entry),
        "[a-d][0-9]?".prop_map(|kid| jwt_entry(&kid)),
        "[a-d]".prop_map(|kid| without(jwt_entry(&kid), "alg")),
        (0..3_usize, "[a-z0-9-]{0,9}").prop_map(|(n, found)| with(x509_entry(n), "use", found)),
        (0..3_usize, 0..3_usize).prop_map(|(n, m)| with(x509_entry(n), "x5c", x509_entry(m)["x5c"].take())),
        "[A-Za-z]{2,4}".prop_map(|kty| with(jwt_entry("a"), "kty", kty)),
        Just(json!({"kty": "AKP", "alg": "ML-DSA-65", "pub": "AA", "use": "x509-svid"})),
        Just(json!(null)),
    ]
}

fn document() -> impl Strategy<Value = Value> {
    (prop::collection::vec(entry(), 0..12), any::<Option<u64>>(), any::<Option<u64>>()).prop_map(
        |(keys, sequence, hint)| {
            let mut document = json!({ "keys": keys });
            if let Some(sequence) = sequence {
                document["spiffe_sequence"] = sequence.into();
            }
            if let Some(hint) = hint {
                document["spiffe_refresh_hint"] = hint.into();
            }
            document
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What was read is written and read as the same; every entry is taken or reported, and none for post-quantum keys is
    /// published.
    #[test]
    fn read_write_read(document in document()) {
        let bundle = read(&document);
        let written = value(&bundle);
        prop_assert_eq!(&read(&written), &bundle);
        prop_assert!(read(&written).skipped().is_empty());
        let entries = document["keys"].as_array().unwrap();
        let mut distinct = Vec::new();
        for authority in entries.iter().enumerate().filter(|(index, entry)| {
            entry["use"] == "x509-svid" && bundle.skipped().iter().all(|skipped| skipped.index != *index)
        }) {
            distinct.push(authority.1["x5c"].to_string());
        }
        let all = distinct.len();
        distinct.sort();
        distinct.dedup();
        let twice = all - distinct.len();
        prop_assert_eq!(written["keys"].as_array().unwrap().len() + twice + bundle.skipped().len(), entries.len());
        prop_assert!(!bundle.to_json().contains("AKP"));
        prop_assert_eq!(bundle.is_empty(), written["keys"].as_array().unwrap().is_empty());
    }

    /// A bundle means the same alone and in a map.
    #[test]
    fn alone_and_in_a_map(document in document()) {
        let map = json!({"trust_domains": {"td.example": &document}}).to_string();
        let set = BundleSet::from_json(map.as_bytes()).unwrap();
        let alone = read(&document);
        let inside = set.get(&td("td.example")).unwrap();
        prop_assert_eq!(inside.skipped(), alone.skipped());
        prop_assert_eq!((inside.x509(), inside.jwt(), inside.sequence()), (alone.x509(), alone.jwt(), alone.sequence()));
    }

    /// The order of entries is of no meaning.
    #[test]
    fn order_does_not_count(document in document(), turn in 0..12_usize) {
        let mut turned = document.clone();
        let keys = turned["keys"].as_array_mut().unwrap();
        if !keys.is_empty() {
            let turn = turn % keys.len();
            keys.rotate_left(turn);
        }
        prop_assert_eq!(read(&document), read(&turned));
    }

    /// Whatever follows is not older, and a chain of followers never goes back.
    #[test]
    fn sequences_never_go_back(numbers in prop::collection::vec(0..9_u64, 1..20)) {
        let mut held = numbered(numbers[0]);
        let mut highest = numbers[0];
        for number in numbers {
            match held.accept_newer(numbered(number)) {
                Ok(newer) => {
                    prop_assert!(number >= highest);
                    (held, highest) = (newer, number);
                }
                Err(_) => prop_assert!(number < highest),
            }
        }
    }

    #[test]
    fn no_bytes_cause_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[{}\\[\\]:,\"a-z0-9 ]{0,80}") {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            let _ = Bundle::from_json(td("td.example"), bytes);
            let _ = BundleSet::from_json(bytes);
        }
    }
}
