//! Laws of bundles.

use keyward_svid::bundle::Change;
use keyward_svid::federation::{Endpoint, Error, Relationship, State};
use keyward_svid::refresh::{Due, RefreshOptions, Ticket};
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

/// What happens to a relationship.
#[derive(Debug, Clone)]
enum Step {
    /// Seconds go by, or the clock is set back.
    Clock(i64),
    /// The fetch under way, if any, brings the bundle of this number.
    Answer(u64),
    /// … with another content than that number has.
    Unannounced(u64),
    Garbage,
    Fail,
    UnknownKey,
    Restart,
    Replace(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..700_i64).prop_map(Step::Clock),
        1 => (-200_000..200_000_i64).prop_map(Step::Clock),
        5 => (0..6_u64).prop_map(Step::Answer),
        1 => (0..6_u64).prop_map(Step::Unannounced),
        1 => Just(Step::Garbage),
        1 => Just(Step::Fail),
        1 => Just(Step::UnknownKey),
        1 => Just(Step::Restart),
        1 => (0..6_u64).prop_map(Step::Replace),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens, only an operator brings an older bundle back, what is served was published, and it is never too
    /// old.
    #[test]
    fn a_relationship_never_goes_back(steps in prop::collection::vec(step(), 1..60)) {
        let endpoint = || Endpoint::web(td("td.example"), "https://td.example/bundle".parse().unwrap());
        let mut relationship = Relationship::new(endpoint(), RefreshOptions::default(), now()).unwrap();
        let mut at = now();
        let (mut under_way, mut held): (Option<Ticket>, Option<Bundle>) = (None, None);
        for step in steps {
            match step {
                Step::Clock(by) => at += seconds(by),
                Step::UnknownKey => {
                    let _ = relationship.on_unknown_key(at);
                }
                Step::Restart => {
                    let record = relationship.to_json();
                    relationship =
                        Relationship::resume(endpoint(), RefreshOptions::default(), record.as_bytes(), at).unwrap();
                    under_way = None;
                }
                Step::Replace(number) => {
                    relationship.replace(numbered(number), at).unwrap();
                    held = Some(numbered(number));
                }
                Step::Answer(number) | Step::Unannounced(number) => if let Some(ticket) = under_way.take() {
                    let offered = match step {
                        Step::Answer(_) => numbered(number),
                        _ => bundle(&[1], &[]).with_sequence(number),
                    };
                    let before = held.as_ref().map(|held| held.change_to(&offered));
                    match relationship.fetched(ticket, offered.to_json().as_bytes(), at) {
                        Ok(change) => {
                            prop_assert_eq!(before.unwrap_or(Ok(Change::Newer)), Ok(change));
                            held = Some(offered);
                        }
                        Err(Error::Late) => {}
                        Err(Error::Bundle(error)) => {
                            prop_assert_eq!(before, Some(Err(error)));
                            prop_assert_eq!(relationship.status(at).rolled_back_to, Some(number));
                        }
                        Err(error) => prop_assert!(false, "{error}"),
                    }
                },
                Step::Garbage => if let Some(ticket) = under_way.take() {
                    prop_assert!(relationship.fetched(ticket, b"[]", at).is_err());
                },
                Step::Fail => if let Some(ticket) = under_way.take() {
                    relationship.failed(ticket, "refused", at);
                },
            }
            if let Due::Fetch(fetch) = relationship.poll(at) {
                under_way = Some(fetch.ticket);
            }
            let status = relationship.status(at);
            prop_assert_eq!(status.sequence, held.as_ref().and_then(Bundle::sequence));
            match relationship.bundle(at) {
                Some(bundle) => {
                    prop_assert_eq!(Some(bundle), held.as_ref());
                    prop_assert!(status.age.unwrap() < RefreshOptions::default().max_age);
                    prop_assert_eq!(status.state, State::Current);
                }
                None => prop_assert_ne!(status.state, State::Current),
            }
            prop_assert!(status.next_poll >= at);
        }
    }
}
