//! The configuration document of a relationship.

use keyward_svid::ErrorKind;
use keyward_svid::federation::{Endpoint, FederationConfig, Profile};
use serde_json::{Value, json};
use time::Duration;

use crate::support::*;

fn web() -> Value {
    json!({
        "trust-domain": "td.example",
        "bundle-endpoint-url": "https://td.example/bundle",
        "bundle-endpoint-profile": "https-web"
    })
}

fn spiffe() -> Value {
    let mut document = with(web(), "bundle-endpoint-profile", "https-spiffe");
    document["endpoint-spiffe-id"] = "spiffe://td.example/server".into();
    document["bootstrap-bundle"] = value(&bundle(&[0], &[]).with_sequence(3));
    document
}

fn parse(document: &Value) -> FederationConfig {
    serde_json::from_value(document.clone()).unwrap()
}

#[test]
fn whole_documents_there_and_back() {
    let whole = with(with(spiffe(), "refresh-interval", "10m"), "max-age", "12h");
    let privately = with(web(), "bundle-endpoint-ca-pem", bundle(&[0], &[]).to_pem());
    for document in [web(), privately, spiffe(), whole.clone()] {
        let config = parse(&document);
        assert_eq!(config.validate(), Ok(()));
        assert_eq!(serde_json::to_value(&config).unwrap(), document);
    }
    let config = parse(&whole);
    let options = config.options().unwrap();
    assert_eq!((options.min_interval, options.max_interval), (Duration::minutes(10), Duration::minutes(10)));
    assert_eq!(options.max_age, Duration::hours(12));
    assert_eq!(parse(&web()).options().unwrap().max_age, Duration::DAY);
    let url = "https://td.example/bundle".parse().unwrap();
    assert_eq!(parse(&web()), FederationConfig::web(td("td.example"), url));
}

#[test]
fn the_names_of_the_standard_are_read() {
    assert_eq!(parse(&with(web(), "bundle-endpoint-profile", "https_web")), parse(&web()));
    assert_eq!(parse(&with(spiffe(), "bundle-endpoint-profile", "https_spiffe")), parse(&spiffe()));
}

#[test]
fn the_first_bundle_is_an_object_or_a_text() {
    let bundle = bundle(&[0, 1], &["a"]).with_sequence(3);
    let bootstrap = |document: &Value| match parse(document).endpoint().unwrap().profile() {
        Profile::HttpsSpiffe { endpoint_id, bootstrap, .. } => {
            assert_eq!(endpoint_id.as_str(), "spiffe://td.example/server");
            bootstrap.clone().unwrap()
        }
        other => panic!("{other:?}"),
    };
    for (form, expected) in [
        (value(&bundle), bundle.clone()),
        (format!("\n  {}\n", bundle.to_json()).into(), bundle.clone()),
        (bundle.to_pem().into(), super::support::bundle(&[0, 1], &[])),
    ] {
        let document = with(spiffe(), "bootstrap-bundle", form);
        assert_eq!(bootstrap(&document), expected);
        assert_eq!(serde_json::to_value(parse(&document)).unwrap(), document, "as it was written");
    }
}

#[test]
fn an_endpoint_elsewhere_needs_no_first_bundle() {
    let document = with(without(spiffe(), "bootstrap-bundle"), "endpoint-spiffe-id", "spiffe://other.example/s");
    let endpoint = parse(&document).endpoint().unwrap();
    let (url, id) = ("https://td.example/bundle".parse().unwrap(), "spiffe://other.example/s".parse().unwrap());
    assert_eq!(endpoint, Endpoint::spiffe(td("td.example"), url, id, None).unwrap());
}

#[test]
fn contradictions_name_the_field_and_the_remedy() {
    for (document, field, text) in [
        (
            without(spiffe(), "endpoint-spiffe-id"),
            "endpoint-spiffe-id",
            "`endpoint-spiffe-id` is missing: with `https-spiffe`, say which SPIFFE ID the endpoint must have",
        ),
        (
            with(web(), "endpoint-spiffe-id", "spiffe://td.example/server"),
            "endpoint-spiffe-id",
            "`endpoint-spiffe-id` means nothing with `https-web`: remove it, or set `bundle-endpoint-profile` to \
             `https-spiffe`",
        ),
        (
            with(spiffe(), "bundle-endpoint-ca-pem", bundle(&[0], &[]).to_pem()),
            "bundle-endpoint-ca-pem",
            "`bundle-endpoint-ca-pem` means nothing with `https-spiffe`: remove it, or set `bundle-endpoint-profile` to \
             `https-web`",
        ),
        (
            with(spiffe(), "endpoint-spiffe-id", "spiffe://td.example"),
            "endpoint-spiffe-id",
            "`endpoint-spiffe-id` has no path: give the ID of the server, as in `spiffe://td.example/spire/server`",
        ),
        (
            without(spiffe(), "bootstrap-bundle"),
            "bootstrap-bundle",
            "`bootstrap-bundle` is missing: the endpoint is in the trust domain whose bundle it serves, so give the \
             bundle that verifies it the first time",
        ),
        (with(web(), "bootstrap-bundle", ""), "bootstrap-bundle", "`bootstrap-bundle` means nothing here: remove it"),
        (
            with(spiffe(), "endpoint-spiffe-id", "spiffe://other.example/s"),
            "bootstrap-bundle",
            "`bootstrap-bundle` means nothing here: remove it, and configure federation with `other.example`, whose \
             bundle verifies the endpoint",
        ),
        (
            with(spiffe(), "bootstrap-bundle", json!({"keys": []})),
            "bootstrap-bundle",
            "`bootstrap-bundle` has no usable X.509 authority: give the bundle that the endpoint's certificate chains up \
             to",
        ),
        (
            with(spiffe(), "bootstrap-bundle", json!({})),
            "bootstrap-bundle",
            "`bootstrap-bundle` is no bundle: give a SPIFFE bundle, or certificates in PEM",
        ),
        (
            with(spiffe(), "bootstrap-bundle", "hello"),
            "bootstrap-bundle",
            "`bootstrap-bundle` is no bundle: give a SPIFFE bundle, or certificates in PEM",
        ),
        (
            with(with(web(), "refresh-interval", "2h"), "max-age", "1h"),
            "max-age",
            "`refresh-interval` and `max-age` contradict each other (the shortest interval of 2h is longer than half of the maximum age of 30m): let several fetches fit into the maximum age",
        ),
    ] {
        let error = parse(&document).validate().unwrap_err();
        assert_eq!((error.to_string().as_str(), error.field()), (text, field));
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
    }
}

#[test]
fn values_are_valid_or_refused() {
    for (field, bad) in [
        ("trust-domain", json!("TD.example")),
        ("bundle-endpoint-url", json!("http://td.example/bundle")),
        ("bundle-endpoint-url", json!("https://user@td.example/bundle")),
        ("bundle-endpoint-profile", json!("https")),
        ("endpoint-spiffe-id", json!("td.example/server")),
        ("bootstrap-bundle", json!(7)),
        ("bootstrap-bundle", json!(["-----BEGIN CERTIFICATE-----"])),
        ("refresh-interval", json!("soon")),
        ("max-age", json!(300)),
    ] {
        assert!(
            serde_json::from_value::<FederationConfig>(with(spiffe(), field, bad.clone())).is_err(),
            "{field} {bad}"
        );
    }
    for field in ["trust-domain", "bundle-endpoint-url", "bundle-endpoint-profile"] {
        let error = serde_json::from_value::<FederationConfig>(without(spiffe(), field)).unwrap_err();
        assert_eq!(error.to_string(), format!("missing field `{field}`"));
    }
}
