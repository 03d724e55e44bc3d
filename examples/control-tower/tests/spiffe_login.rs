//! Logins with SVIDs of other trust domains.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "support/source.rs"]
mod source;
mod support;

use serde_json::{Value, json};
use source::{Answer, Issuer, Source};
use support::{Reply, START, Tower, WALK};
use time::Duration;

const PEER: &str = "/v1/config/strongbox/authentication/spiffe/peer";
const STATE: &str = "/v1/state/strongbox/authentication/spiffe/peer";
const AUDIENCE: &str = "https://tower.example";
const REFUSED: &str = "the SVID is not accepted here";

async fn tower() -> (Tower, String) {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    (tower, admin)
}

async fn log_in(tower: &Tower, token: &str) -> Reply {
    let body = json!({"tenant": "default", "name": "peer", "jwt-svid": token});
    tower.call("POST", "/v1/spiffe-login", None, Some(body)).await
}

/// The last refused login as the audit log has it: its reason and the detail of it.
async fn reason(tower: &Tower) -> (String, String) {
    // Tests pass the end of an earlier token.
    let admin = tower.administrator().await;
    let records = tower.audit(&admin).await;
    let record = records.iter().rfind(|record| record["event"] == "spiffe-login" && record["outcome"] == "refused");
    let details = &record.expect("a refusal on record")["detail"];
    let text = |name: &str| details[name].as_str().unwrap_or_default().to_owned();
    (text("reason"), text("why"))
}

fn document(source: Value) -> Value {
    let mut document = json!({
        "name": "peer",
        "trust-domain": "peer.example",
        "spiffe-id-patterns": [
            {"pattern": "spiffe://peer.example/shop/*", "token-policies": ["shop"], "token-ttl": "30m"},
            {"pattern": "spiffe://peer.example/admin", "token-policies": ["administrator"]},
        ],
    });
    document.as_object_mut().unwrap().extend(source.as_object().unwrap().clone());
    document
}

#[tokio::test]
async fn a_workload_logs_in_with_its_svid_and_gets_what_its_pattern_says() {
    let (tower, admin) = tower().await;
    let issuer = Issuer::new("k1");
    tower.call("PUT", PEER, Some(&admin), Some(document(json!({"jwks": Issuer::jwks(&[&issuer])})))).await.ok();
    let answer = log_in(&tower, &issuer.token("spiffe://peer.example/shop/cart", AUDIENCE, START)).await.ok();
    assert_eq!(answer["policies"], json!(["default", "shop"]));
    assert_eq!(answer["expires-in"], 1800);
    assert_eq!(answer["spiffe-id"], "spiffe://peer.example/shop/cart");
    assert!(answer.get("jwt-svid").is_none());
    let token = answer["token"].as_str().unwrap();
    let state = tower.get("/v1/state/strongbox/token", token).await.ok();
    assert_eq!(state["spiffe-id"], "spiffe://peer.example/shop/cart");
    let records = tower.audit(&admin).await;
    let record = records.iter().find(|record| record["event"] == "spiffe-login").unwrap();
    assert_eq!(record["subject"], "spiffe/peer");
    assert_eq!(record["detail"]["spiffe-id"], "spiffe://peer.example/shop/cart");
    assert_eq!(record["detail"]["pattern"], "spiffe://peer.example/shop/*");
    assert_eq!(record["detail"]["credential"], "jwt-svid");

    // It may do what its policies say: a pattern's administrator reads the configuration.
    let admin_id = issuer.token("spiffe://peer.example/admin", AUDIENCE, START);
    let theirs = log_in(&tower, &admin_id).await.ok()["token"].as_str().unwrap().to_owned();
    tower.get(PEER, &theirs).await.ok();
    tower.get(PEER, token).await.refused(403);
    let records = tower.audit(&admin).await;
    let denied = records.iter().rfind(|record| record["event"] == "denied").unwrap();
    assert_eq!(denied["detail"]["spiffe-id"], "spiffe://peer.example/shop/cart", "each record says who it was");

    // The token is refreshed, and ends with the rule, and with the configuration.
    tower.pass(Duration::minutes(20)).await;
    let refreshed = tower.call("POST", "/v1/state/strongbox/token/refresh", Some(token), None).await.ok();
    assert_eq!(refreshed["expires-in"], 1800);
    let patterns = json!({"spiffe-id-patterns": [{"pattern": "spiffe://peer.example/admin"}]});
    tower.call("PATCH", PEER, Some(&admin), Some(patterns)).await.ok();
    tower.get("/v1/state/strongbox/token", token).await.refused(401);
    tower.get("/v1/state/strongbox/token", &theirs).await.ok();
    tower.call("DELETE", PEER, Some(&admin), None).await.ok();
    tower.get("/v1/state/strongbox/token", &theirs).await.refused(401);
    tower.call("PUT", PEER, Some(&admin), Some(document(json!({"jwks": Issuer::jwks(&[&issuer])})))).await.ok();
    tower.get("/v1/state/strongbox/token", &theirs).await.refused(401);
}

#[tokio::test]
async fn one_answer_for_everything_that_does_not_count_and_the_reason_on_record() {
    let (tower, admin) = tower().await;
    let (issuer, stranger) = (Issuer::new("k1"), Issuer::new("k1"));
    tower.call("PUT", PEER, Some(&admin), Some(document(json!({"jwks": Issuer::jwks(&[&issuer])})))).await.ok();
    let id = "spiffe://peer.example/shop/cart";
    let good = issuer.token(id, AUDIENCE, START);
    let cases = [
        (String::new(), "svid-refused", "three parts"),
        ("a.b.c".to_owned(), "svid-refused", "header"),
        (stranger.token(id, AUDIENCE, START), "svid-refused", "signature"),
        (issuer.token(id, "https://other.example", START), "svid-refused", "audience"),
        (issuer.token(id, AUDIENCE, START - Duration::minutes(5)), "svid-refused", "expired"),
        (issuer.token("spiffe://other.example/shop/cart", AUDIENCE, START), "svid-refused", "trust domain"),
        (issuer.token("spiffe://peer.example/shop", AUDIENCE, START), "no-pattern", ""),
        (Issuer::new("k2").token(id, AUDIENCE, START), "svid-refused", "k2"),
    ];
    for (token, code, detail) in cases {
        let before = tower.app.db.store().revision();
        let answer = log_in(&tower, &token).await;
        assert_eq!(answer.refused(401), REFUSED, "{code} {detail}");
        assert_eq!(tower.app.db.store().revision(), before);
        let (found, text) = reason(&tower).await;
        assert_eq!(found, code, "{text}");
        assert!(text.contains(detail), "{text}");
        assert!(token.is_empty() || !text.contains(&token));
    }
    for body in [
        json!({"name": "other", "jwt-svid": good}),
        json!({"name": "peer", "tenant": "other", "jwt-svid": good}),
        json!({"name": "../peer", "jwt-svid": good}),
    ] {
        let answer = tower.call("POST", "/v1/spiffe-login", None, Some(body)).await;
        assert_eq!(answer.refused(401), REFUSED);
        assert_eq!(reason(&tower).await.0, "unknown-configuration");
    }
    let nothing = tower.call("POST", "/v1/spiffe-login", None, Some(json!({"name": "peer"}))).await;
    assert_eq!(nothing.refused(401), "there is no SVID: send `jwt-svid`, or present an X.509-SVID on the connection");
    tower.call("POST", "/v1/spiffe-login", None, Some(json!({"jwt-svid": good}))).await.refused(400);
    log_in(&tower, &good).await.ok();
    // At the second of its end.
    tower.pass(Duration::minutes(5)).await;
    log_in(&tower, &good).await.refused(401);
    assert!(reason(&tower).await.1.contains("expired"));
}

#[tokio::test]
async fn the_tenants_own_svids_log_in_too() {
    let (tower, admin) = tower().await;
    tower.bulk(&admin, WALK).await.ok();
    let (role_id, secret_id) = tower.secret(&admin, "payments", json!({})).await;
    let svid = tower.log_in(&role_id, &secret_id).await.ok()["jwt-svid"].as_str().unwrap().to_owned();
    let own = json!({
        "name": "peer",
        "trust-domain": "tower.example",
        "allowed-audiences": ["sts.amazonaws.com"],
        "spiffe-id-patterns": [{"pattern": "spiffe://tower.example/approle/*"}],
    });
    let answer = tower.call("PUT", PEER, Some(&admin), Some(own.clone())).await.ok();
    assert_eq!(answer["warnings"], json!([]));
    let state = tower.get(STATE, &admin).await.ok();
    assert_eq!((&state["keys-from"], &state["accepts"]), (&json!("own-trust-domain"), &json!(["jwt-svid"])));
    assert_eq!((&state["trust-domain"], &state["spiffe-id-patterns"]), (&json!("tower.example"), &json!(1)));
    let missing = STATE.replace("peer", "other");
    tower.get(&missing, &admin).await.refused(404);
    tower.get(&STATE.replace("peer", "..a"), &admin).await.refused(404);
    let answer = log_in(&tower, &svid).await.ok();
    assert_eq!(answer["spiffe-id"], "spiffe://tower.example/approle/payments");
    // A trust domain that nothing is known of.
    let mut unknown = own;
    unknown["trust-domain"] = json!("unknown.example");
    unknown["spiffe-id-patterns"] = json!([]);
    let answer = tower.call("PUT", PEER, Some(&admin), Some(unknown.clone())).await.ok();
    let warnings: Vec<_> =
        answer["warnings"].as_array().unwrap().iter().map(|one| (&one["field"], &one["warning"])).collect();
    let nobody = json!("there is none, so nobody can log in by it");
    let nothing = "nothing verifies its SVIDs: add `federation/unknown.example`, `jwks-uri`, `jwks` or `bundle`";
    assert_eq!(warnings, [(&json!("spiffe-id-patterns"), &nobody), (&json!("trust-domain"), &json!(nothing))]);
    let state = tower.get(STATE, &admin).await.ok();
    assert_eq!(
        (&state["keys-from"], &state["has-keys"], &state["accepts"]),
        (&json!("nowhere"), &json!(false), &json!([]))
    );
    assert!(state["problem"].as_str().unwrap().contains("nor one that it federates with"), "{state}");
    log_in(&tower, &svid).await.refused(401);
    let (code, detail) = reason(&tower).await;
    assert_eq!(code, "no-keys");
    assert!(detail.contains("neither the tenant's own trust domain nor one that it federates with"), "{detail}");
}

async fn fetching(source: &Source, more: Value) -> (Tower, String) {
    let (tower, admin) = tower().await;
    let mut fields = json!({"jwks-uri": source.url, "jwks-ca-pem": source.ca});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    tower.call("PUT", PEER, Some(&admin), Some(document(fields))).await.ok();
    (tower, admin)
}

const CART: &str = "spiffe://peer.example/shop/cart";

impl Tower {
    fn token(&self, issuer: &Issuer) -> String {
        issuer.token(CART, AUDIENCE, self.app.clock.now())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_fetched_once_kept_and_fetched_again_in_time() {
    let first = Issuer::new("k1");
    let source = Source::start(Answer::Json(Issuer::jwks(&[&first]).to_string())).await;
    let (tower, _) = fetching(&source, json!({})).await;
    let admin = tower.administrator().await;
    let state = tower.get(STATE, &admin).await.ok();
    assert_eq!((&state["keys-from"], &state["has-keys"]), (&json!("jwks-uri"), &json!(false)));
    assert_eq!(source.requests(), 0, "not before somebody logs in");
    let token = tower.token(&first);
    let logins = (0..8).map(|_| log_in(&tower, &token));
    for answer in futures(logins).await {
        answer.ok();
    }
    assert_eq!(source.requests(), 1, "one for all that wait");
    let state = tower.get(STATE, &admin).await.ok();
    assert_eq!((&state["has-keys"], &state["accepts"]), (&json!(true), &json!(["jwt-svid"])));
    assert_eq!((&state["age"], &state["next-fetch"]), (&json!(0), &json!("2026-03-01T00:05:00Z")));
    assert_eq!(state.get("last-error"), None);
    tower.pass(Duration::minutes(5) - Duration::SECOND).await;
    log_in(&tower, &tower.token(&first)).await.ok();
    assert_eq!(source.requests(), 1);
    // The key is withdrawn: within one interval nothing that it signed counts any more.
    let second = Issuer::new("k2");
    source.publish(&[&second]);
    tower.pass(Duration::SECOND).await;
    log_in(&tower, &tower.token(&first)).await.refused(401);
    log_in(&tower, &tower.token(&second)).await.ok();
    assert_eq!(source.requests(), 2);
    // A set without keys lets nobody in.
    source.answer(Answer::Json(r#"{"keys":[]}"#.to_owned()));
    tower.pass(Duration::minutes(5)).await;
    log_in(&tower, &tower.token(&second)).await.refused(401);
    assert!(reason(&tower).await.1.contains("k2"));
}

/// Awaits all at the same time.
async fn futures<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    let mut done: Vec<Option<T>> = all.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, slot) in all.iter_mut().zip(&mut done) {
            if slot.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *slot = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_is_down_is_bridged_until_the_keys_are_too_old() {
    let issuer = Issuer::new("k1");
    let source = Source::start(Answer::Json(Issuer::jwks(&[&issuer]).to_string())).await;
    let (tower, _) = fetching(&source, json!({})).await;
    log_in(&tower, &tower.token(&issuer)).await.ok();
    for broken in [
        Answer::Status(500),
        Answer::Status(404),
        Answer::Json("<html>".to_owned()),
        Answer::Json(r#"{"keys":7}"#.to_owned()),
        Answer::Redirect("http://localhost:1/".to_owned()),
        Answer::Redirect(source.url.clone()),
        Answer::Json(format!("{{\"keys\":[],\"pad\":\"{}\"}}", "x".repeat(1 << 20))),
    ] {
        source.answer(broken);
        let before = source.requests();
        tower.pass(Duration::minutes(5)).await;
        log_in(&tower, &tower.token(&issuer)).await.ok();
        assert!(source.requests() > before);
    }
    tower.pass(Duration::minutes(24)).await;
    log_in(&tower, &tower.token(&issuer)).await.ok();
    tower.pass(Duration::minutes(1)).await;
    log_in(&tower, &tower.token(&issuer)).await.refused(401);
    let (code, detail) = reason(&tower).await;
    assert_eq!(code, "no-keys");
    assert!(detail.contains("more than 1048576 bytes"), "{detail}");
    let admin = tower.administrator().await;
    let state = tower.get(STATE, &admin).await.ok();
    assert_eq!((&state["has-keys"], &state["accepts"]), (&json!(false), &json!([])));
    assert!(state["last-error"]["reason"].as_str().unwrap().contains("more than 1048576 bytes"), "{state}");
    source.publish(&[&issuer]);
    tower.pass(Duration::minutes(1)).await;
    log_in(&tower, &tower.token(&issuer)).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_never_answers_costs_one_timeout_per_interval() {
    let issuer = Issuer::new("k1");
    let source = Source::start(Answer::Json(Issuer::jwks(&[&issuer]).to_string())).await;
    let (tower, _) = fetching(&source, json!({"jwks-request-timeout": "1s"})).await;
    log_in(&tower, &tower.token(&issuer)).await.ok();
    source.answer(Answer::Never);
    tower.pass(Duration::minutes(5)).await;
    for answer in futures((0..8).map(|_| log_in(&tower, Box::leak(tower.token(&issuer).into_boxed_str())))).await {
        answer.ok();
    }
    log_in(&tower, &tower.token(&issuer)).await.ok();
    assert_eq!(source.requests(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_unknown_keys_causes_one_fetch_per_cooldown() {
    let issuer = Issuer::new("k1");
    let source = Source::start(Answer::Json(Issuer::jwks(&[&issuer]).to_string())).await;
    let (tower, _) = fetching(&source, json!({})).await;
    log_in(&tower, &tower.token(&issuer)).await.ok();
    tower.pass(Duration::seconds(29)).await;
    // What a flood looks like: names of keys that nobody has. The signature is never looked at.
    let parts: Vec<String> = tower.token(&issuer).split('.').map(str::to_owned).collect();
    let forged = |number: usize| {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"ES256","kid":"f{number}"}}"#));
        format!("{header}.{}.{}", parts[1], parts[2])
    };
    let count = if std::env::var_os("KEYWARD_FULL").is_some() { 10_000 } else { 500 };
    for number in 0..count {
        log_in(&tower, &forged(number)).await.refused(401);
    }
    assert_eq!(source.requests(), 1, "the last fetch was a moment ago");
    tower.pass(Duration::SECOND).await;
    let flood: Vec<String> = (0..count).map(forged).collect();
    for some in flood.chunks(50) {
        for answer in futures(some.iter().map(|token| log_in(&tower, token))).await {
            answer.refused(401);
        }
    }
    assert_eq!(source.requests(), 2);
    // A new key is found at once when the cooldown is over, long before the interval is.
    let next = Issuer::new("k2");
    source.publish(&[&issuer, &next]);
    log_in(&tower, &tower.token(&next)).await.refused(401);
    tower.pass(Duration::seconds(30)).await;
    log_in(&tower, &tower.token(&next)).await.ok();
    log_in(&tower, &tower.token(&issuer)).await.ok();
    assert_eq!(source.requests(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_configuration_drops_the_keys_of_the_old_one() {
    let (old, new) = (Issuer::new("k1"), Issuer::new("k1"));
    let source = Source::start(Answer::Json(Issuer::jwks(&[&old]).to_string())).await;
    let other = Source::start(Answer::Json(Issuer::jwks(&[&new]).to_string())).await;
    let (tower, admin) = fetching(&source, json!({})).await;
    log_in(&tower, &tower.token(&old)).await.ok();
    let change = json!({"jwks-uri": other.url, "jwks-ca-pem": other.ca});
    tower.call("PATCH", PEER, Some(&admin), Some(change)).await.ok();
    log_in(&tower, &tower.token(&old)).await.refused(401);
    log_in(&tower, &tower.token(&new)).await.ok();
    // Who gets which token is no reason to fetch.
    let rules = json!({"spiffe-id-patterns": [{"pattern": "spiffe://peer.example/**"}]});
    tower.call("PATCH", PEER, Some(&admin), Some(rules)).await.ok();
    log_in(&tower, &tower.token(&new)).await.ok();
    assert_eq!((source.requests(), other.requests()), (1, 1));
    // Made anew, it begins anew.
    tower.call("DELETE", PEER, Some(&admin), None).await.ok();
    other.answer(Answer::Status(503));
    let fields = json!({"jwks-uri": other.url, "jwks-ca-pem": other.ca});
    tower.call("PUT", PEER, Some(&admin), Some(document(fields))).await.ok();
    log_in(&tower, &tower.token(&new)).await.refused(401);
    assert_eq!(other.requests(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_of_the_keys_is_believed_by_its_certificate_alone() {
    let issuer = Issuer::new("k1");
    let source = Source::start(Answer::Json(Issuer::jwks(&[&issuer]).to_string())).await;
    let (tower, admin) = tower().await;
    for fields in [
        json!({"jwks-uri": source.url}),
        json!({"jwks-uri": source.url, "jwks-ca-pem": Source::start(Answer::Never).await.ca}),
    ] {
        tower.call("PUT", PEER, Some(&admin), Some(document(fields))).await.ok();
        log_in(&tower, &tower.token(&issuer)).await.refused(401);
        let (code, detail) = reason(&tower).await;
        assert_eq!(code, "no-keys");
        assert!(detail.contains("certificate"), "{detail}");
        assert_eq!(source.requests(), 0);
    }
}

#[tokio::test]
async fn mistakes_in_the_document_are_named() {
    let (tower, admin) = tower().await;
    let jwks = Issuer::jwks(&[&Issuer::new("k1")]);
    let ec = json!({"keys": [{"kty": "EC", "use": "enc"}]});
    let cases = [
        (json!({"jwks-uri": "http://peer.example/keys"}), "`jwks-uri`"),
        (
            json!({"jwks-uri": "https://peer.example/keys", "jwks": jwks}),
            "`jwks`: cannot be set together with `jwks-uri`",
        ),
        (json!({"jwks": jwks, "jwks-ca-pem": "x"}), "`jwks-ca-pem`: is for keys that are fetched; add `jwks-uri`"),
        (
            json!({"jwks-uri": "https://peer.example/k", "jwks-ca-pem": "x"}),
            "`jwks-ca-pem`: no certificate in PEM form",
        ),
        (
            json!({"jwks-uri": "https://peer.example/k", "jwks-refresh-interval": "2h"}),
            "longer than `jwks-cache-max-age`",
        ),
        (json!({"jwks-uri": "https://peer.example/k", "jwks-request-timeout": "1m"}), "at most `20s` is allowed"),
        (json!({"jwks": {"keys": 7}}), "`jwks`: "),
        (json!({"jwks": ec}), "`jwks`: has no key that verifies JWT-SVIDs"),
        (
            json!({"allowed-algorithms": ["EdDSA"]}),
            "`EdDSA` is no algorithm of JWT-SVIDs: give one of `RS256`, `RS384`, `RS512`",
        ),
        (json!({"allowed-algorithms": ["none"]}), "`allowed-algorithms[0]`"),
        (json!({"allowed-algorithms": ["HS256"]}), "`ES256`, `ES384`, `ES512`, `PS256`, `PS384`, `PS512`"),
        (json!({"allowed-clock-skew": "2m"}), "`allowed-clock-skew`"),
        (json!({"allowed-audiences": [""]}), "`allowed-audiences[0]`"),
        (json!({"spiffe-id-patterns": [{"pattern": "spiffe://other.example/a"}]}), "`spiffe-id-patterns[0].pattern`"),
        (json!({"spiffe-id-patterns": [{"pattern": "spiffe://*/a"}]}), "`spiffe-id-patterns[0].pattern`"),
        (json!({"spiffe-id-patterns": [{"pattern": "spiffe://peer.example/a", "token-typ": "x"}]}), "`token-type`"),
        (json!({"jwks-url": "https://peer.example/keys"}), "`jwks-uri`"),
        (json!({"trust-domain": "Peer"}), "`trust-domain`"),
        (json!({"name": "other"}), "`name`"),
    ];
    for (fields, expected) in cases {
        let answer = tower.call("PUT", PEER, Some(&admin), Some(document(fields))).await;
        assert!(answer.status.is_client_error(), "{expected}");
        let text = answer.json()["errors"][0]["error-message"].as_str().unwrap().to_owned();
        assert!(text.contains(expected), "{text}");
    }
    // Policies may come later.
    let answer = tower.call("PUT", PEER, Some(&admin), Some(document(json!({"jwks": jwks})))).await.ok();
    assert_eq!(answer["warnings"][0]["field"], "spiffe-id-patterns[0].token-policies");
}
