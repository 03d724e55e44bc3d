//! Federation with other trust domains, over real HTTPS on loopback.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "federation/log.rs"]
mod log;
#[path = "federation/mtls.rs"]
mod mtls;
#[path = "federation/pair.rs"]
mod pair;
#[path = "support/source.rs"]
mod source;
mod support;

use serde_json::{Value, json};
use source::{Answer, Issuer, Source};
use support::{Reply, Tower};
use time::Duration;

const PEER: &str = "/v1/config/federation/peer.example";
const STATE: &str = "/v1/state/federation/peer.example";
const LOGIN: &str = "/v1/config/strongbox/authentication/spiffe/peer";
const AUDIENCE: &str = "https://tower.example";
const CART: &str = "spiffe://peer.example/shop/cart";

/// A tower that federates with `peer.example` by `https_web`, whose bundle `source` serves.
async fn tower(source: &Source, more: Value) -> (Tower, String) {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    let mut document = json!({
        "trust-domain": "peer.example",
        "bundle-endpoint-url": source.url,
        "bundle-endpoint-profile": "https_web",
        "bundle-endpoint-ca-pem": source.ca,
    });
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    tower.call("PUT", PEER, Some(&admin), Some(document)).await.ok();
    let login = json!({
        "name": "peer",
        "trust-domain": "peer.example",
        "spiffe-id-patterns": [{"pattern": "spiffe://peer.example/**"}],
    });
    tower.call("PUT", LOGIN, Some(&admin), Some(login)).await.ok();
    (tower, admin)
}

async fn log_in(tower: &Tower, issuer: &Issuer) -> Reply {
    let token = issuer.token(CART, AUDIENCE, tower.app.clock.now());
    tower.call("POST", "/v1/spiffe-login", None, Some(json!({"name": "peer", "jwt-svid": token}))).await
}

/// The bundle of several issuers.
fn bundle(issuers: &[&Issuer], sequence: u64) -> Value {
    let mut bundle = Issuer::jwks(issuers);
    for key in bundle["keys"].as_array_mut().unwrap() {
        key["use"] = json!("jwt-svid");
    }
    bundle["spiffe_sequence"] = json!(sequence);
    bundle["spiffe_refresh_hint"] = json!(300);
    bundle
}

fn publish(source: &Source, issuers: &[&Issuer], sequence: u64) {
    source.answer(Answer::Json(bundle(issuers, sequence).to_string()));
}

async fn state(tower: &Tower) -> Value {
    let admin = tower.administrator().await;
    tower.get(STATE, &admin).await.ok()
}

async fn events(tower: &Tower) -> Vec<Value> {
    let admin = tower.administrator().await;
    let records = tower.audit(&admin).await;
    records.into_iter().filter(|record| record["event"] == "federation-bundle").collect()
}

async fn metric(tower: &Tower, name: &str) -> Option<i64> {
    let text = tower.call("GET", "/metrics", None, None).await.bytes;
    let text = String::from_utf8(text).unwrap();
    let line = text.lines().find(|line| line.starts_with(&format!("keyward_{name}{{")))?;
    assert!(line.contains(r#"trust_domain="peer.example""#), "{line}");
    line.rsplit(' ').next()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_is_fetched_when_it_asks_to_be_and_verifies() {
    let (old, new) = (Issuer::new("k1"), Issuer::new("k2"));
    let source = Source::start(Answer::Json(bundle(&[&old], 1).to_string())).await;
    let (tower, admin) = tower(&source, json!({})).await;
    assert_eq!(state(&tower).await["state"], "waiting");
    log_in(&tower, &old).await.refused(401);
    tower.pass(Duration::SECOND).await;
    log_in(&tower, &old).await.ok();
    let found = state(&tower).await;
    assert_eq!(found["state"], "current");
    assert_eq!((&found["sequence"], &found["profile"]), (&json!(1), &json!("https_web")));
    assert_eq!(found["next-fetch"], "2026-03-01T00:05:01Z");
    let login = tower.get("/v1/state/strongbox/authentication/spiffe/peer", &admin).await.ok();
    assert_eq!((&login["keys-from"], &login["accepts"]), (&json!("federation"), &json!(["jwt-svid"])));
    assert_eq!((&login["age"], &login["next-fetch"]), (&found["age"], &found["next-fetch"]));
    assert_eq!(source.requests(), 1);
    // Not before it is due, whatever is published.
    publish(&source, &[&old, &new], 2);
    tower.pass(Duration::seconds(299)).await;
    assert_eq!(source.requests(), 1);
    tower.pass(Duration::SECOND).await;
    assert_eq!(source.requests(), 2);
    log_in(&tower, &new).await.ok();
    assert_eq!(metric(&tower, "federation_bundle_sequence").await, Some(2));
    assert_eq!(metric(&tower, "federation_bundle_expired").await, Some(0));
    // Only what changed is on record.
    for _ in 0..3 {
        tower.pass(Duration::minutes(5)).await;
    }
    assert_eq!((events(&tower).await.len(), source.requests()), (2, 5));
    // The list, and what others need.
    let list = tower.get("/v1/state/federation", &admin).await.ok();
    assert_eq!(list["trust-domain"], "tower.example");
    assert_eq!(list["relationships"][0]["trust-domain"], "peer.example");
    assert_eq!(list["web-endpoint"]["url"], format!("https://tower.example/{}/spiffe-bundle", tower.tenant()));
    tower.get("/v1/state/federation/other.example", &admin).await.refused(404);
    // Deleted, it is forgotten at once.
    tower.call("DELETE", PEER, Some(&admin), None).await.ok();
    log_in(&tower, &new).await.refused(401);
    tower.get(STATE, &admin).await.refused(404);
    tower.pass(Duration::minutes(10)).await;
    assert_eq!(source.requests(), 5);
    assert_eq!(metric(&tower, "federation_bundle_expired").await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_key_is_looked_for_at_once() {
    let (old, new) = (Issuer::new("k1"), Issuer::new("k2"));
    let source = Source::start(Answer::Json(bundle(&[&old], 1).to_string())).await;
    let (tower, _) = tower(&source, json!({})).await;
    tower.pass(Duration::SECOND).await;
    publish(&source, &[&new], 2);
    tower.pass(Duration::seconds(31)).await;
    log_in(&tower, &new).await.refused(401);
    tower.pass(Duration::SECOND).await;
    log_in(&tower, &new).await.ok();
    // Again and again: no more than one fetch per cooldown, and nothing is written for the others.
    let revision = tower.app.db.store().revision();
    for _ in 0..20 {
        log_in(&tower, &old).await.refused(401);
        tower.pass(Duration::SECOND).await;
    }
    assert_eq!(source.requests(), 2);
    assert_eq!(tower.app.db.store().revision(), revision);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_peer_the_last_bundle_serves_until_it_is_too_old_and_one_alarm_is_given() {
    let issuer = Issuer::new("k1");
    let source = Source::start(Answer::Json(bundle(&[&issuer], 1).to_string())).await;
    let (tower, _) = tower(&source, json!({"max-age": "2h"})).await;
    tower.pass(Duration::SECOND).await;
    source.answer(Answer::Status(503));
    for _ in 0..23 {
        tower.pass(Duration::minutes(5)).await;
        log_in(&tower, &issuer).await.ok();
    }
    let down = state(&tower).await;
    assert_eq!((&down["state"], &down["last-error"]["count"]), (&json!("current"), &json!(23)));
    assert!(down["last-error"]["reason"].as_str().unwrap().contains("503"));
    assert_eq!(metric(&tower, "federation_failures_total").await, Some(23));
    assert_eq!(events(&tower).await.len(), 1);
    for _ in 0..10 {
        tower.pass(Duration::minutes(5)).await;
        log_in(&tower, &issuer).await.refused(401);
    }
    assert_eq!(state(&tower).await["state"], "expired");
    assert_eq!(metric(&tower, "federation_bundle_expired").await, Some(1));
    let records = events(&tower).await;
    assert_eq!(records.len(), 2, "one alarm");
    assert_eq!((&records[1]["outcome"], &records[1]["detail"]["reason"]), (&json!("failed"), &json!("expired")));
    // Back again, all is well again; down once more, there is one more alarm.
    publish(&source, &[&issuer], 1);
    tower.pass(Duration::minutes(5)).await;
    log_in(&tower, &issuer).await.ok();
    source.answer(Answer::Status(404));
    tower.pass(Duration::hours(3)).await;
    log_in(&tower, &issuer).await.refused(401);
    tower.pass(Duration::minutes(5)).await;
    assert_eq!(events(&tower).await.iter().filter(|record| record["outcome"] == "failed").count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_bundle_revokes_everything_within_one_refresh() {
    let issuer = Issuer::new("k1");
    let source = Source::start(Answer::Json(bundle(&[&issuer], 1).to_string())).await;
    let (tower, _) = tower(&source, json!({})).await;
    tower.pass(Duration::SECOND).await;
    log_in(&tower, &issuer).await.ok();
    publish(&source, &[], 2);
    tower.pass(Duration::minutes(5)).await;
    log_in(&tower, &issuer).await.refused(401);
    let found = state(&tower).await;
    assert_eq!((&found["state"], &found["revoked"]), (&json!("current"), &json!(true)));
    assert_eq!(metric(&tower, "federation_bundle_revoked").await, Some(1));
    let changes: Vec<_> = events(&tower).await.iter().map(|record| record["detail"]["change"].clone()).collect();
    assert_eq!(changes, ["newer", "revoked"]);
    publish(&source, &[&issuer], 3);
    tower.pass(Duration::minutes(5)).await;
    assert_eq!(metric(&tower, "federation_bundle_revoked").await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_set_that_is_no_bundle_revokes_and_says_so() {
    let issuer = Issuer::new("k1");
    let source = Source::start(Answer::Json(Issuer::jwks(&[&issuer]).to_string())).await;
    let (tower, _) = tower(&source, json!({})).await;
    tower.pass(Duration::SECOND).await;
    assert_eq!(events(&tower).await[0]["detail"]["change"], "revoked");
    assert_eq!(metric(&tower, "federation_bundle_revoked").await, Some(1));
    assert_eq!(state(&tower).await["skipped-keys"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_never_answered_is_asked_once_a_minute() {
    let issuer = Issuer::new("k1");
    let source = Source::start(Answer::Status(500)).await;
    let (tower, admin) = tower(&source, json!({})).await;
    tower.pass(Duration::SECOND).await;
    let revision = tower.app.db.store().revision();
    for _ in 0..59 {
        tower.pass(Duration::SECOND).await;
        log_in(&tower, &issuer).await.refused(401);
    }
    assert_eq!(source.requests(), 1);
    assert_eq!(tower.app.db.store().revision(), revision);
    tower.pass(Duration::SECOND).await;
    assert_eq!(source.requests(), 2);
    // Another document is tried at once.
    publish(&source, &[&issuer], 1);
    let mut document = tower.get(PEER, &admin).await.ok();
    document["max-age"] = json!("2h");
    tower.call("PUT", PEER, Some(&admin), Some(document)).await.ok();
    tower.pass(Duration::SECOND).await;
    log_in(&tower, &issuer).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_number_the_highest_still_counts_and_deleting_starts_afresh() {
    let (old, new) = (Issuer::new("k1"), Issuer::new("k2"));
    let source = Source::start(Answer::Json(bundle(&[&old], 14).to_string())).await;
    let (tower, admin) = tower(&source, json!({})).await;
    tower.pass(Duration::SECOND).await;
    let mut unnumbered = bundle(&[&new], 0);
    unnumbered.as_object_mut().unwrap().remove("spiffe_sequence");
    source.answer(Answer::Json(unnumbered.to_string()));
    tower.pass(Duration::minutes(5)).await;
    log_in(&tower, &new).await.ok();
    publish(&source, &[&old], 9);
    tower.pass(Duration::minutes(5)).await;
    log_in(&tower, &old).await.refused(401);
    let records = events(&tower).await;
    let details: Vec<_> = records.iter().map(|record| &record["detail"]).collect();
    assert_eq!((&details[0]["change"], &details[1]["change"]), (&json!("newer"), &json!("number-missing")));
    assert_eq!((&details[2]["offered"], details.len()), (&json!(9), 3));
    let found = state(&tower).await;
    let reason = found["last-error"]["reason"].as_str().unwrap();
    assert!(reason.contains("bundle 9 of trust domain `peer.example` is older than bundle 14"), "{reason}");
    assert!(reason.ends_with("delete and create `federation/peer.example`, which starts afresh"), "{reason}");
    let document = tower.get(PEER, &admin).await.ok();
    tower.call("DELETE", PEER, Some(&admin), None).await.ok();
    tower.call("PUT", PEER, Some(&admin), Some(document)).await.ok();
    tower.pass(Duration::SECOND).await;
    log_in(&tower, &old).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_that_goes_back_is_refused_and_said_once() {
    let (revoked, issuer) = (Issuer::new("k1"), Issuer::new("k2"));
    let source = Source::start(Answer::Json(bundle(&[&issuer], 7).to_string())).await;
    let (tower, _) = tower(&source, json!({})).await;
    tower.pass(Duration::SECOND).await;
    publish(&source, &[&revoked, &issuer], 6);
    for _ in 0..3 {
        tower.pass(Duration::minutes(5)).await;
        log_in(&tower, &revoked).await.refused(401);
        log_in(&tower, &issuer).await.ok();
    }
    let found = state(&tower).await;
    assert_eq!((&found["sequence"], &found["refused-sequence"]), (&json!(7), &json!(6)));
    let refused = |records: Vec<Value>| {
        let refused = records.into_iter().filter(|record| record["outcome"] == "refused");
        refused.map(|record| record["detail"].clone()).collect::<Vec<_>>()
    };
    let records = refused(events(&tower).await);
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(records[0], json!({"reason": "rollback", "offered": 6, "sequence": 7, "trust-domain": "peer.example"}));
    publish(&source, &[&revoked, &issuer], 5);
    tower.pass(Duration::minutes(5)).await;
    assert_eq!(refused(events(&tower).await).len(), 2);
    // The same ones in turn, and an outage between them: nothing new.
    for sequence in [6, 5, 6] {
        source.answer(Answer::Status(503));
        tower.pass(Duration::minutes(5)).await;
        publish(&source, &[&revoked, &issuer], sequence);
        tower.pass(Duration::minutes(5)).await;
    }
    assert_eq!(refused(events(&tower).await).len(), 2);
    publish(&source, &[&issuer], 8);
    tower.pass(Duration::minutes(5)).await;
    assert_eq!(state(&tower).await["refused-sequence"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_tomorrow_are_skipped_not_the_bundle() {
    let issuer = Issuer::new("k1");
    let mut document = bundle(&[&issuer], 1);
    let ml_dsa = json!({"kty": "AKP", "alg": "ML-DSA-65", "use": "jwt-svid", "kid": "pq", "pub": "AAAA"});
    document["keys"].as_array_mut().unwrap().insert(0, ml_dsa);
    let source = Source::start(Answer::Json(document.to_string())).await;
    let (tower, _) = tower(&source, json!({})).await;
    tower.pass(Duration::SECOND).await;
    log_in(&tower, &issuer).await.ok();
    let found = state(&tower).await;
    assert_eq!(found["skipped-keys"][0]["kid"], "pq");
    assert!(found["skipped-keys"][0]["reason"].as_str().unwrap().contains("AKP"), "{found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirects_hold_for_one_fetch_and_go_to_https_alone() {
    let issuer = Issuer::new("k1");
    let target = Source::start(Answer::Json(bundle(&[&issuer], 1).to_string())).await;
    let source = Source::start(Answer::Redirect(target.url.clone())).await;
    // One authority for both hosts.
    let (tower, _) = tower(&source, json!({"bundle-endpoint-ca-pem": format!("{}{}", source.ca, target.ca)})).await;
    tower.pass(Duration::SECOND).await;
    log_in(&tower, &issuer).await.ok();
    tower.pass(Duration::minutes(5)).await;
    assert_eq!((source.requests(), target.requests()), (2, 2), "each fetch begins at the configured URL");
    for bad in ["http://localhost:1/", "https://user@localhost/", &source.url] {
        source.answer(Answer::Redirect(bad.to_owned()));
        tower.pass(Duration::minutes(5)).await;
        let error = state(&tower).await["last-error"]["reason"].clone();
        let error = error.as_str().unwrap();
        assert!(error.starts_with(&format!("`{}`: ", source.url)) && error.ends_with(&format!(": `{bad}`")), "{error}");
    }
    log_in(&tower, &issuer).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_nobody_vouches_for_is_said_with_the_field_to_set() {
    let (source, other) = (Source::start(Answer::Status(503)).await, Source::start(Answer::Status(503)).await);
    let (tower, admin) = tower(&source, json!({"bundle-endpoint-ca-pem": other.ca})).await;
    tower.pass(Duration::SECOND).await;
    let expected = format!(
        "`{}`: no authority that is trusted stands behind the certificate shown; name those of the host as \
         `bundle-endpoint-ca-pem`, or is `bundle-endpoint-profile` wrong?",
        source.url
    );
    assert_eq!(state(&tower).await["last-error"]["reason"], expected);

    let login = json!({
        "name": "peer", "trust-domain": "peer.example", "jwks-uri": source.url, "jwks-ca-pem": other.ca,
        "spiffe-id-patterns": [{"pattern": "spiffe://peer.example/**"}],
    });
    tower.call("PUT", LOGIN, Some(&admin), Some(login)).await.ok();
    log_in(&tower, &Issuer::new("k1")).await.refused(401);
    let records = tower.audit(&admin).await;
    let refused = records.iter().rfind(|record| record["event"] == "spiffe-login").unwrap();
    assert_eq!(
        refused["detail"]["why"],
        "no keys: no authority that is trusted stands behind the certificate shown; name those of the host as `jwks-ca-pem`"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bundle_survives_a_restart_and_two_towers_fetch_once() {
    let issuer = Issuer::new("k1");
    let source = Source::start(Answer::Json(bundle(&[&issuer], 1).to_string())).await;
    let (first, _) = tower(&source, json!({})).await;
    first.pass(Duration::SECOND).await;
    source.answer(Answer::Status(500));
    let store = std::sync::Arc::clone(first.app.db.store());
    let directory = std::sync::Arc::clone(&first.directory);
    let second = Tower::at(store, first.app.clock.clone(), directory, "audit-2", AUDIENCE).await;
    log_in(&second, &issuer).await.ok();
    assert_eq!(source.requests(), 1);
    publish(&source, &[&issuer], 2);
    assert!(first.app.clock.advance(Duration::minutes(5)));
    let (one, two) = (control_tower::tasks::run_due(&first.app), control_tower::tasks::run_due(&second.app));
    tokio::join!(one, two);
    assert_eq!(source.requests(), 2);
    log_in(&first, &issuer).await.ok();
    log_in(&second, &issuer).await.ok();
}

#[tokio::test]
async fn mistakes_in_the_document_are_named() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    let put = async |document: Value| {
        let answer = tower.call("PUT", PEER, Some(&admin), Some(document)).await;
        assert!(answer.status.is_client_error(), "{}", answer.status);
        answer.json()["errors"][0]["error-message"].as_str().unwrap().to_owned()
    };
    let url = "https://peer.example/bundle";
    let cases = [
        (json!({}), "`bundle-endpoint-url`"),
        (
            json!({"bundle-endpoint-url": "http://peer.example/", "bundle-endpoint-profile": "https_web"}),
            "`bundle-endpoint-url`",
        ),
        (json!({"bundle-endpoint-url": url, "bundle-endpoint-profile": "https_any"}), "`bundle-endpoint-profile`"),
        (json!({"bundle-endpoint-url": url, "bundle-endpoint-profile": "https_spiffe"}), "`endpoint-spiffe-id`"),
        (
            json!({"bundle-endpoint-url": url, "bundle-endpoint-profile": "https_spiffe", "endpoint-spiffe-id": "spiffe://peer.example/x"}),
            "`bootstrap-bundle`",
        ),
        (
            json!({"bundle-endpoint-url": url, "bundle-endpoint-profile": "https_web", "bundle-endpoint-ca-pem": "x"}),
            "`bundle-endpoint-ca-pem`",
        ),
        (json!({"bundle-endpoint-url": url, "bundle-endpoint-profile": "https_web", "max-age": "1s"}), "`max-age`"),
        (
            json!({"bundle-endpoint-url": url, "bundle-endpoint-profile": "https_web", "trust-domain": "other.example"}),
            "`trust-domain`",
        ),
    ];
    for (document, expected) in cases {
        let text = put(document).await;
        assert!(text.contains(expected), "{text}");
    }
    let own = json!({"bundle-endpoint-url": url, "bundle-endpoint-profile": "https_web"});
    let answer = tower.call("PUT", "/v1/config/federation/tower.example", Some(&admin), Some(own)).await;
    assert!(answer.refused(422).contains("the tenant's own"));
}
