//! Relationships: when they fetch, whom they believe, what they take and what they serve.

use keyward_keys::KeyType;
use keyward_spiffe_id::SpiffeId;
use keyward_svid::bundle::{self, Change};
use keyward_svid::federation::{
    Anchors, Authentication, Endpoint, Error, Fetch, MAX_REDIRECTS, Profile, Relationship, State,
};
use keyward_svid::refresh::{Due, RefreshOptions};
use keyward_svid::{Bundle, ErrorKind, HttpsUrl};
use time::{Duration, OffsetDateTime};

use crate::support::*;

const SERVER: &str = "spiffe://td.example/spire/server";

fn url(text: &str) -> HttpsUrl {
    text.parse().unwrap()
}

fn id(text: &str) -> SpiffeId {
    text.parse().unwrap()
}

fn web() -> Relationship {
    let endpoint = Endpoint::web(td("td.example"), url("https://td.example/bundle"));
    Relationship::new(endpoint, RefreshOptions::default(), now()).unwrap()
}

fn self_serving_endpoint(bootstrap: Bundle) -> Endpoint {
    Endpoint::spiffe(td("td.example"), url("https://192.0.2.7:8443/"), id(SERVER), Some(bootstrap)).unwrap()
}

fn self_serving(bootstrap: Bundle) -> Relationship {
    Relationship::new(self_serving_endpoint(bootstrap), RefreshOptions::default(), now()).unwrap()
}

#[track_caller]
fn fetch(relationship: &mut Relationship, at: OffsetDateTime) -> Fetch {
    match relationship.poll(at) {
        Due::Fetch(fetch) => fetch,
        Due::Wait(until) => panic!("it waits for {}", until - at),
    }
}

#[track_caller]
fn waits(relationship: &mut Relationship, at: OffsetDateTime) -> Duration {
    match relationship.poll(at) {
        Due::Fetch(_) => panic!("it fetches"),
        Due::Wait(until) => until - at,
    }
}

/// Fetches this bundle.
#[track_caller]
fn answer(relationship: &mut Relationship, bundle: &Bundle, at: OffsetDateTime) -> Result<Change, Error> {
    let ticket = fetch(relationship, at).ticket;
    relationship.fetched(ticket, bundle.to_json().as_bytes(), at)
}

fn anchors(fetch: &Fetch) -> &Anchors {
    match &fetch.authentication {
        Authentication::Spiffe { endpoint_id, anchors } => {
            assert_eq!(endpoint_id.as_str(), SERVER);
            anchors
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_life_of_a_relationship() {
    let mut relationship = web();
    assert_eq!(relationship.trust_domain().as_str(), "td.example");
    assert_eq!((relationship.status(now()).state, relationship.bundle(now())), (State::Waiting, None));
    let first = fetch(&mut relationship, now());
    assert_eq!((first.url.as_str(), &first.authentication), ("https://td.example/bundle", &Authentication::WebPki));
    assert!(relationship.status(now()).fetching);

    let bundle = numbered(1).with_refresh_hint(600);
    assert_eq!(relationship.fetched(first.ticket, bundle.to_json().as_bytes(), now()), Ok(Change::Newer));
    assert_eq!(relationship.bundle(now()), Some(&bundle));
    assert_eq!(waits(&mut relationship, now()), seconds(600));
    let status = relationship.status(now());
    assert_eq!((status.state, status.sequence, status.refresh_hint), (State::Current, Some(1), Some(600)));
    assert_eq!((status.fetched_at, status.changed_at, status.age), (Some(now()), Some(now()), Some(Duration::ZERO)));

    // The same again.
    let later = now() + seconds(600);
    assert_eq!(answer(&mut relationship, &bundle, later), Ok(Change::None));
    let status = relationship.status(later);
    assert_eq!((status.fetched_at, status.changed_at), (Some(later), Some(now())));
    assert_eq!((status.fetching, status.next_poll), (false, later + seconds(600)));

    // A newer one, without a hint: five minutes.
    let later = later + seconds(600);
    assert_eq!(answer(&mut relationship, &numbered(2), later), Ok(Change::Newer));
    assert_eq!(waits(&mut relationship, later), seconds(300));
    assert_eq!(relationship.status(later).changed_at, Some(later));
}

#[test]
fn a_peer_that_is_down() {
    let mut relationship = web();
    assert_eq!(answer(&mut relationship, &numbered(1), now()), Ok(Change::Newer));
    let mut at = now();
    let mut attempts = 0;
    loop {
        at += waits(&mut relationship, at);
        let ticket = fetch(&mut relationship, at).ticket;
        relationship.failed(ticket, "connection refused", at);
        attempts += 1;
        if relationship.bundle(at).is_none() {
            break;
        }
        assert_eq!(relationship.status(at).age, Some(at - now()));
    }
    // It served for a day, asked every five minutes and not more often, and says what is wrong.
    assert_eq!((at, attempts), (now() + Duration::DAY, 288));
    let status = relationship.status(at);
    assert_eq!((status.state, status.sequence), (State::Expired, Some(1)));
    assert_eq!(
        (status.last_error.unwrap().reason.as_str(), status.last_error.unwrap().count),
        ("connection refused", 288)
    );
    // Back again.
    at += waits(&mut relationship, at);
    assert_eq!(answer(&mut relationship, &numbered(1), at), Ok(Change::None));
    assert_eq!((relationship.status(at).state, relationship.status(at).last_error), (State::Current, None));
}

#[test]
fn an_empty_bundle_revokes_everything_with_the_next_refresh() {
    let mut relationship = web();
    answer(&mut relationship, &numbered(1), now()).unwrap();
    let at = now() + seconds(300);
    assert_eq!(answer(&mut relationship, &bundle(&[], &[]).with_sequence(2), at), Ok(Change::Newer));
    assert!(relationship.bundle(at).unwrap().is_empty());
    assert!(relationship.status(at).revoked);
    assert_eq!(relationship.anchors(), None);
}

#[test]
fn an_older_bundle_is_refused_and_reported() {
    let mut relationship = web();
    answer(&mut relationship, &numbered(5), now()).unwrap();
    let at = now() + seconds(300);
    let error = answer(&mut relationship, &numbered(4), at).unwrap_err();
    assert_eq!(error.to_string(), "bundle 4 of trust domain `td.example` is older than bundle 5, the latest known");
    assert_eq!(error.kind(), ErrorKind::Refused);
    let status = relationship.status(at);
    assert_eq!((status.sequence, status.rolled_back_to, status.age), (Some(5), Some(4), Some(seconds(300))));
    assert_eq!(status.last_error.unwrap().reason, error.to_string());
    assert_eq!(waits(&mut relationship, at), seconds(300), "a failure like any other");
    // It does not prolong the life of the one held.
    let mut at = at;
    while relationship.bundle(at).is_some() {
        at += waits(&mut relationship, at);
        assert!(answer(&mut relationship, &numbered(4), at).is_err());
    }
    assert_eq!(at, now() + Duration::DAY);
    // An operator may say that the older one is right.
    relationship.replace(numbered(4), at).unwrap();
    assert_eq!(relationship.bundle(at), Some(&numbered(4)));
    assert_eq!(relationship.status(at).rolled_back_to, None);
    at += waits(&mut relationship, at);
    assert_eq!(answer(&mut relationship, &numbered(4), at), Ok(Change::None));
    let error = relationship.replace(Bundle::new(td("other.example"), [], []).unwrap(), at).unwrap_err();
    assert_eq!(error.to_string(), "the bundle belongs to trust domain `other.example`, not to `td.example`");
}

#[test]
fn other_content_under_the_same_number_is_taken_and_reported() {
    let mut relationship = web();
    answer(&mut relationship, &numbered(5), now()).unwrap();
    let at = now() + seconds(300);
    let other = bundle(&[1], &["x"]).with_sequence(5);
    assert_eq!(answer(&mut relationship, &other, at), Ok(Change::Unannounced));
    assert_eq!((relationship.bundle(at), relationship.status(at).unannounced), (Some(&other), true));
    let at = at + seconds(300);
    assert_eq!(answer(&mut relationship, &other, at), Ok(Change::None));
    assert!(relationship.status(at).unannounced, "until the next change");
    let at = at + seconds(300);
    answer(&mut relationship, &numbered(6), at).unwrap();
    assert!(!relationship.status(at).unannounced);
}

#[test]
fn a_bundle_without_a_number_does_not_make_the_numbers_before_it_forgotten() {
    let mut relationship = web();
    answer(&mut relationship, &numbered(14), now()).unwrap();
    let mut at = now() + seconds(300);
    let (lost, other) = (bundle(&[1], &["x"]), bundle(&[0], &["y"]));
    assert_eq!(answer(&mut relationship, &lost, at), Ok(Change::Unnumbered));
    assert_eq!((relationship.bundle(at), relationship.status(at).unannounced), (Some(&lost), true));
    at += seconds(300);
    assert_eq!(answer(&mut relationship, &other, at), Ok(Change::Unnumbered), "the number is still missing");
    let record = relationship.to_json();
    let endpoint = relationship.endpoint().clone();
    relationship = Relationship::resume(endpoint, RefreshOptions::default(), record.as_bytes(), at).unwrap();
    at += seconds(300);
    let error = answer(&mut relationship, &numbered(9), at).unwrap_err();
    assert_eq!(error.to_string(), "bundle 9 of trust domain `td.example` is older than bundle 14, the latest known");
    assert_eq!((relationship.bundle(at), relationship.status(at).rolled_back_to), (Some(&other), Some(9)));
    at += seconds(300);
    assert_eq!(answer(&mut relationship, &numbered(14), at), Ok(Change::Newer));
    // An operator's bundle starts afresh.
    relationship.replace(lost, at).unwrap();
    at += seconds(300);
    assert_eq!(answer(&mut relationship, &numbered(9), at), Ok(Change::Newer));
}

#[test]
fn an_older_record_has_the_number_of_its_bundle() {
    let mut relationship = web();
    answer(&mut relationship, &numbered(14), now()).unwrap();
    let mut record: serde_json::Value = serde_json::from_str(&relationship.to_json()).unwrap();
    assert_eq!(record["notes"].as_object_mut().unwrap().remove("highest"), Some(14.into()));
    let (endpoint, record) = (relationship.endpoint().clone(), record.to_string());
    let mut again = Relationship::resume(endpoint, RefreshOptions::default(), record.as_bytes(), now()).unwrap();
    answer(&mut again, &bundle(&[1], &[]), now() + seconds(300)).unwrap();
    assert!(answer(&mut again, &numbered(13), now() + seconds(600)).is_err());
}

#[test]
fn what_is_no_bundle_is_a_failure() {
    let mut relationship = web();
    answer(&mut relationship, &numbered(5), now()).unwrap();
    let at = now() + seconds(300);
    let ticket = fetch(&mut relationship, at).ticket;
    let error = relationship.fetched(ticket, b"<html>", at).unwrap_err();
    assert_eq!(error.to_string(), "the key set is not a JSON object, fault at line 1, column 1");
    assert_eq!((relationship.bundle(at), relationship.status(at).last_error.unwrap().count), (Some(&numbered(5)), 1));
    // What is skipped is shown.
    let at = at + seconds(300);
    let ticket = fetch(&mut relationship, at).ticket;
    let body = br#"{"spiffe_sequence": 6, "keys": [{"kty": "AKP", "use": "x509-svid"}]}"#;
    relationship.fetched(ticket, body, at).unwrap();
    assert_eq!(relationship.status(at).skipped[0].to_string(), "entry 0 skipped: its key type `AKP` is unknown");
}

#[test]
fn a_late_answer_is_not_taken() {
    let mut relationship = web();
    let lost = fetch(&mut relationship, now()).ticket;
    let at = now() + seconds(30);
    assert_eq!(waits(&mut relationship, at), seconds(60));
    assert_eq!(relationship.status(at).last_error.unwrap().reason, "no answer within 30 seconds");
    let error = relationship.fetched(lost, numbered(1).to_json().as_bytes(), at).unwrap_err();
    assert_eq!(error, Error::Late);
    assert_eq!(relationship.bundle(at), None);
}

#[test]
fn an_unknown_key_fetches_before_its_time() {
    let mut relationship = web();
    answer(&mut relationship, &numbered(1), now()).unwrap();
    assert!(!relationship.on_unknown_key(now() + seconds(29)));
    let at = now() + seconds(30);
    assert!(relationship.on_unknown_key(at));
    assert_eq!(answer(&mut relationship, &numbered(2), at), Ok(Change::Newer));
    assert!(!relationship.on_unknown_key(at));
}

#[test]
fn a_self_serving_endpoint_is_verified_by_the_latest_bundle() {
    let bootstrap = bundle(&[0], &[]).with_sequence(3);
    let mut relationship = self_serving(bootstrap.clone());
    let first = fetch(&mut relationship, now());
    assert_eq!(anchors(&first), &Anchors::Bundle(bootstrap.x509().clone()));
    // What the operator gave verifies the endpoint, and no SVID.
    assert_eq!(relationship.bundle(now()), None);
    assert_eq!(relationship.anchors(), Some(bootstrap.x509()));
    // The answer has to follow it.
    let error = relationship.fetched(first.ticket, numbered(2).to_json().as_bytes(), now()).unwrap_err();
    assert!(matches!(error, Error::Bundle(bundle::Error::Rollback { held: 3, offered: 2, .. })), "{error}");
    let at = now() + seconds(60);
    assert_eq!(answer(&mut relationship, &bootstrap, at), Ok(Change::Newer), "the first is one");

    // The next connection is verified by what was fetched, also when that is too old for SVIDs.
    let newer = bundle(&[1], &[]).with_sequence(4);
    let at = at + seconds(300);
    answer(&mut relationship, &newer, at).unwrap();
    let late = at + Duration::days(10);
    assert_eq!(relationship.bundle(late), None);
    assert_eq!(anchors(&fetch(&mut relationship, late)), &Anchors::Bundle(newer.x509().clone()));
}

#[test]
fn a_revoked_endpoint_is_not_believed_any_more() {
    let mut relationship = self_serving(bundle(&[0], &[]));
    let revoked = bundle(&[], &["a"]).with_sequence(9);
    answer(&mut relationship, &revoked, now()).unwrap();
    // Not even the bootstrap bundle's authorities come back.
    let at = now() + seconds(300);
    assert_eq!(waits(&mut relationship, at), seconds(300));
    let reason = "the latest bundle has no X.509 authority to verify the endpoint with";
    assert_eq!(relationship.status(at).last_error.unwrap().reason, reason);
    // Another bundle to begin with is the way back.
    let endpoint = self_serving_endpoint(bundle(&[1], &[]));
    relationship.configure(endpoint, RefreshOptions::default(), at).unwrap();
    assert_eq!(anchors(&fetch(&mut relationship, at)), &Anchors::Bundle(bundle(&[1], &[]).x509().clone()));
}

#[test]
fn an_endpoint_of_another_trust_domain_is_verified_by_its_bundle() {
    let url = url("https://a.example/b");
    let endpoint = Endpoint::spiffe(td("prod.example"), url, id(SERVER), None).unwrap();
    let mut relationship = Relationship::new(endpoint, RefreshOptions::default(), now()).unwrap();
    assert_eq!(anchors(&fetch(&mut relationship, now())), &Anchors::Of(td("td.example")));
}

#[test]
fn endpoints_that_cannot_be() {
    let foreign = Bundle::from_json(td("prod.example"), bundle(&[0], &[]).to_json().as_bytes()).unwrap();
    for (endpoint_id, bootstrap, text) in [
        (
            "spiffe://td.example",
            Some(bundle(&[0], &[])),
            "the SPIFFE ID of a bundle endpoint must be that of a workload",
        ),
        (
            SERVER,
            None,
            "a bundle to begin with is missing: nothing verifies `spiffe://td.example/spire/server` before the first \
             one is fetched",
        ),
        (
            "spiffe://other.example/s",
            Some(bundle(&[0], &[])),
            "a bundle to begin with is of no use: `spiffe://other.example/s` is verified by the bundle of its own \
             trust domain",
        ),
        (
            SERVER,
            Some(bundle(&[], &["a"])),
            "the bundle to begin with has no X.509 authority to verify the endpoint with",
        ),
        (SERVER, Some(foreign), "the bundle to begin with belongs to trust domain `prod.example`, not to `td.example`"),
    ] {
        let url = url("https://a.example/b");
        let error = Endpoint::spiffe(td("td.example"), url, id(endpoint_id), bootstrap).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.kind()), (text, ErrorKind::Misconfigured));
    }
    let options = RefreshOptions::every(Duration::ZERO);
    let error = Relationship::new(Endpoint::web(td("a"), url("https://a")), options, now()).unwrap_err();
    assert_eq!(error.to_string(), "the shortest interval of 0s is below a second");
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
}

#[test]
fn redirects_hold_for_one_fetch() {
    let mut relationship = self_serving(bundle(&[0], &[]));
    let mut first = fetch(&mut relationship, now());
    let authentication = first.authentication.clone();
    for (status, location, target) in [
        (301, "https://cdn.example/a?b", "https://cdn.example/a?b"),
        (308, "/c", "https://cdn.example/c"),
        (302, "d", "https://cdn.example/d"),
        (303, "//other.example", "https://other.example"),
        (307, "https://td.example/", "https://td.example/"),
    ] {
        first.redirected(status, Some(location)).unwrap();
        assert_eq!(first.url.as_str(), target);
        assert_eq!(first.authentication, authentication, "the same ID at every target");
    }
    assert_eq!(MAX_REDIRECTS, 5);
    let error = first.redirected(307, Some("/again")).unwrap_err();
    assert_eq!(error.to_string(), "more than 5 redirects follow each other");
    relationship.failed(first.ticket, error.to_string(), now());
    // Permanent or not, the next fetch begins where it was configured to.
    let next = fetch(&mut relationship, now() + seconds(60));
    assert_eq!(next.url.as_str(), "https://192.0.2.7:8443/");
}

#[test]
fn redirects_that_are_not_followed() {
    let mut relationship = web();
    let mut fetch = fetch(&mut relationship, now());
    for (status, location, text, kind) in [
        (200, Some("/x"), "status 200 is not a redirect to follow", ErrorKind::Refused),
        (300, Some("/x"), "status 300 is not a redirect to follow", ErrorKind::Refused),
        (304, Some("/x"), "status 304 is not a redirect to follow", ErrorKind::Refused),
        (307, None, "the redirect has no location", ErrorKind::Malformed),
        (307, Some("http://td.example/"), "the redirect leads to no URL of a bundle endpoint", ErrorKind::Malformed),
        (
            307,
            Some("https://u:p@td.example/"),
            "the redirect leads to no URL of a bundle endpoint",
            ErrorKind::Malformed,
        ),
        (307, Some("file:///etc/passwd"), "the redirect leads to no URL of a bundle endpoint", ErrorKind::Malformed),
        (307, Some("/\r\nHost: x"), "the redirect leads to no URL of a bundle endpoint", ErrorKind::Malformed),
    ] {
        let error = fetch.redirected(status, location).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.kind()), (text, kind), "{status} {location:?}");
        assert_eq!(fetch.url.as_str(), "https://td.example/bundle");
    }
}

#[test]
fn another_endpoint_begins_anew_and_other_times_do_not() {
    let mut relationship = web();
    answer(&mut relationship, &numbered(7), now()).unwrap();
    let hourly = RefreshOptions::every(Duration::HOUR);
    let same = relationship.endpoint().clone();
    relationship.configure(same.clone(), hourly.clone(), now()).unwrap();
    assert_eq!(relationship.bundle(now()), Some(&numbered(7)));
    assert!(relationship.configure(same, RefreshOptions::every(-Duration::HOUR), now()).is_err());

    let at = now() + Duration::HOUR;
    let old = fetch(&mut relationship, at);
    let elsewhere = Endpoint::web(td("td.example"), url("https://td.example/elsewhere"));
    relationship.configure(elsewhere, hourly, at).unwrap();
    assert_eq!((relationship.bundle(at), relationship.status(at).state), (None, State::Waiting));
    // What the old endpoint answers is nobody's any more; the new one may have a lower number.
    assert_eq!(relationship.fetched(old.ticket, numbered(8).to_json().as_bytes(), at), Err(Error::Late));
    assert_eq!(answer(&mut relationship, &numbered(1), at), Ok(Change::Newer));
}

#[test]
fn a_restart_resumes() {
    let bootstrap = bundle(&[0], &[]);
    let mut relationship = self_serving(bootstrap.clone());
    let held = bundle(&[1], &["a"]).with_sequence(7).with_refresh_hint(600);
    answer(&mut relationship, &held, now()).unwrap();
    let at = now() + seconds(600);
    assert!(answer(&mut relationship, &numbered(6), at).is_err());
    let record = relationship.to_json();

    let later = at + seconds(100);
    let resume =
        |endpoint, record: &str| Relationship::resume(endpoint, RefreshOptions::default(), record.as_bytes(), later);
    let mut again = resume(self_serving_endpoint(bootstrap.clone()), &record).unwrap();
    assert_eq!(again.bundle(later), Some(&held));
    let (before, after) = (relationship.status(later), again.status(later));
    assert_eq!((after.state, after.sequence, after.rolled_back_to), (State::Current, Some(7), Some(6)));
    assert_eq!(
        (after.fetched_at, after.changed_at, after.last_error),
        (before.fetched_at, before.changed_at, before.last_error)
    );
    assert_eq!(waits(&mut again, later), seconds(500));
    // The endpoint is verified by the latest bundle, not by the one to begin with; and the number still counts.
    let due = later + seconds(500);
    let due_fetch = fetch(&mut again, due);
    assert_eq!(anchors(&due_fetch), &Anchors::Bundle(held.x509().clone()));
    assert!(again.fetched(due_fetch.ticket, numbered(6).to_json().as_bytes(), due).is_err());
    // Too old stays too old.
    assert_eq!(again.bundle(now() + Duration::DAY), None);

    // A record of another endpoint is of no use.
    for endpoint in [
        Endpoint::web(td("td.example"), url("https://192.0.2.7:8443/")),
        self_serving_endpoint(bundle(&[2], &[])),
        Endpoint::spiffe(td("td.example"), url("https://192.0.2.7:8443/x"), id(SERVER), Some(bootstrap.clone()))
            .unwrap(),
        Endpoint::spiffe(
            td("td.example"),
            url("https://192.0.2.7:8443/"),
            id("spiffe://td.example/other"),
            Some(bootstrap.clone()),
        )
        .unwrap(),
    ] {
        let again = resume(endpoint, &record).unwrap();
        assert_eq!((again.bundle(later), again.status(later).state), (None, State::Waiting));
    }
    let newer = record.replacen(r#""format":1"#, r#""format":9"#, 1);
    for (record, text) in [
        (&newer, "the record has format 9, but this release knows formats up to 1"),
        (&"{}".to_owned(), "the record of a fetched document is damaged"),
        (&record.replace(r#""keys":["#, r#""kees":["#), "the record of a fetched document is damaged"),
    ] {
        let error = resume(self_serving_endpoint(bootstrap.clone()), record).unwrap_err();
        assert_eq!(error.to_string(), text);
    }
    // Before the first fetch there is a record too.
    let record = web().to_json();
    let mut again =
        Relationship::resume(web().endpoint().clone(), RefreshOptions::default(), record.as_bytes(), now()).unwrap();
    let _ = fetch(&mut again, now());
}

#[test]
fn profiles_have_the_names_of_the_standard() {
    assert_eq!(Profile::HttpsWeb.as_str(), "https_web");
    assert_eq!(self_serving_endpoint(bundle(&[0], &[])).profile().as_str(), "https_spiffe");
    // An authority that is not of the trust domain's own makes no endpoint of another one believable.
    let other = authority_of("td.example", KeyType::EcdsaP256);
    assert_ne!(other.certificate(), &authority(0));
}
