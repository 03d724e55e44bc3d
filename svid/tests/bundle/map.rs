//! Many bundles.

use keyward_svid::bundle::{Error, MAX_BUNDLES, MAX_MAP_BYTES};
use keyward_svid::{Bundle, BundleSet, ErrorKind};
use serde_json::json;

use crate::support::*;

fn of(trust_domain: &str, sequence: u64) -> Bundle {
    Bundle::new(td(trust_domain), [], [jwt_key("a")]).unwrap().with_sequence(sequence)
}

fn names(set: &BundleSet) -> Vec<&str> {
    set.iter().map(|bundle| bundle.trust_domain().as_str()).collect()
}

#[test]
fn bundles_are_found_by_their_trust_domain_alone() {
    let mut set = BundleSet::default();
    assert!(set.is_empty());
    assert_eq!(set.insert(of("b.example", 1)), None);
    assert_eq!(set.insert(of("a.example", 1)), None);
    assert_eq!((names(&set), set.len()), (vec!["a.example", "b.example"], 2));
    assert_eq!(set.get(&td("a.example")), Some(&of("a.example", 1)));
    assert_eq!(set.get(&td("c.example")), None);
    assert_eq!(
        set.get("spiffe://b.example/w".parse::<keyward_spiffe_id::SpiffeId>().unwrap().trust_domain()),
        Some(&of("b.example", 1))
    );
    // What an operator puts in may be older.
    assert_eq!(set.insert(of("a.example", 0)), Some(of("a.example", 1)));
    assert_eq!(set.remove(&td("a.example")), Some(of("a.example", 0)));
    assert_eq!(set.remove(&td("a.example")), None);
    assert_eq!(names(&set), ["b.example"]);
}

#[test]
fn a_map_there_and_back() {
    let set: BundleSet = [of("b.example", 3).with_refresh_hint(60), bundle(&[0, 1], &["k"])].into_iter().collect();
    let json = serde_json::from_str::<serde_json::Value>(&set.to_json()).unwrap();
    let without_hint = value(&of("b.example", 3));
    assert_eq!(
        json,
        json!({"trust_domains": {"b.example": without_hint, "td.example": value(&bundle(&[0, 1], &["k"]))}})
    );
    let read = BundleSet::from_json(set.to_json().as_bytes()).unwrap();
    // "Producers SHOULD omit", consumers "MUST NOT alter" their refreshing by the hint of a bundle in a map (§5.1.1).
    assert_eq!(read.get(&td("b.example")).unwrap().refresh_hint(), None);
    assert_eq!(BundleSet::from_json(read.to_json().as_bytes()).unwrap(), read);
    let hinted = json!({"trust_domains": {"b.example": {"keys": [], "spiffe_refresh_hint": 1}}}).to_string();
    assert_eq!(BundleSet::from_json(hinted.as_bytes()).unwrap().iter().next().unwrap().refresh_hint(), None);
    assert!(BundleSet::from_json(br#"{"trust_domains": {}}"#).unwrap().is_empty());
}

#[test]
fn a_map_is_taken_whole_or_not_at_all() {
    for (json, text, source) in [
        ("", "the bundle map is not a JSON object, fault at line 1, column 0", None),
        ("[]", "the bundle map is not a JSON object, fault at line 1, column 0", None),
        (r#"{"trust_domains": {}} {"#, "the bundle map is not a JSON object, fault at line 1, column 23", None),
        (
            r#"{"trust_domains": {"a": {"keys": []}"#,
            "the bundle map is not a JSON object, fault at line 1, column 36",
            None,
        ),
        ("{}", "the bundle map has no object `trust_domains`", None),
        (r#"{"keys": []}"#, "the bundle map has no object `trust_domains`", None),
        (r#"{"trust_domains": []}"#, "the bundle map has no object `trust_domains`", None),
        (r#"{"trust_domains": null}"#, "the bundle map has no object `trust_domains`", None),
        (r#"{"trust_domains": {}, "trust_domains": {}}"#, "`trust_domains` stands twice in the bundle map", None),
        (r#"{"x": 1, "trust_domains": {}, "x": 1}"#, "`x` stands twice in the bundle map", None),
        (
            r#"{"trust_domains": {"a.example": {"keys": []}, "b": {"keys": []}, "a.example": {"keys": []}}}"#,
            "`a.example` stands twice in the bundle map",
            None,
        ),
        (
            r#"{"trust_domains": {"a.example": {"keys": []}, "a.ex\u0061mple": {"keys": []}}}"#,
            "`a.example` stands twice in the bundle map",
            None,
        ),
        (
            r#"{"trust_domains": {"A.example": {"keys": []}}}"#,
            "a bundle of the map has no trust domain for its name",
            Some("trust domain `A.example` has `A` at position 0: it must be lower case"),
        ),
        (
            r#"{"trust_domains": {"spiffe://a": {"keys": []}}}"#,
            "a bundle of the map has no trust domain for its name",
            Some("trust domain `spiffe://a` has `:` at position 6: give its name without `spiffe://`"),
        ),
        (
            r#"{"trust_domains": {"a": {"keys": []}, "b": {}}}"#,
            "the bundle of trust domain `b` is refused",
            Some("the key set has no list `keys`"),
        ),
        (r#"{"trust_domains": {"a": {"keys": []}, "b": 7}}"#, "the bundle of trust domain `b` is refused", None),
        (
            r#"{"trust_domains": {"a": {"keys": [], "keys": []}}}"#,
            "the bundle of trust domain `a` is refused",
            Some("member `keys` occurs twice in the key set"),
        ),
        (
            r#"{"trust_domains": {"a": {"keys": [], "spiffe_sequence": -1}}}"#,
            "the bundle of trust domain `a` is refused",
            Some("member `spiffe_sequence` of the bundle is not an integer from 0 to 18446744073709551615"),
        ),
    ] {
        let error = BundleSet::from_json(json.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), text, "{json}");
        assert_eq!(error.kind(), ErrorKind::Malformed, "{json}");
        if let Some(expected) = source {
            assert_eq!(std::error::Error::source(&error).unwrap().to_string(), expected);
        }
    }
}

#[test]
fn bounds_of_a_map() {
    let map = |n: usize| {
        let bundles: Vec<String> = (0..n).map(|n| format!(r#""td{n}":{{"keys":[]}}"#)).collect();
        format!(r#"{{"trust_domains":{{{}}}}}"#, bundles.join(","))
    };
    assert_eq!(BundleSet::from_json(map(MAX_BUNDLES).as_bytes()).unwrap().len(), MAX_BUNDLES);
    let error = BundleSet::from_json(map(MAX_BUNDLES + 1).as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "the bundle map has more than 1024 trust domains");
    let error = BundleSet::from_json(&vec![b' '; MAX_MAP_BYTES + 1]).unwrap_err();
    assert_eq!(error, Error::MapTooLong { length: MAX_MAP_BYTES + 1, limit: MAX_MAP_BYTES });
}

#[test]
fn a_newer_set_replaces_or_changes_nothing() {
    let mut set: BundleSet = [of("a.example", 3), of("b.example", 3)].into_iter().collect();
    let before = set.clone();
    let error = set.replace([of("a.example", 4), of("b.example", 2)].into_iter().collect()).unwrap_err();
    assert_eq!(error.to_string(), "bundle 2 of trust domain `b.example` is older than bundle 3, the latest known");
    assert_eq!(set, before);
    set.replace([of("a.example", 4), of("c.example", 1)].into_iter().collect()).unwrap();
    assert_eq!(names(&set), ["a.example", "c.example"], "what is absent is withdrawn");
}
