//! The main job: an operator pastes the AWS configuration, a workload logs in, a stranger verifies its identity.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use keyward_svid::{JwkSet, JwtBundle, KeyUse, Verifier, VerifyOptions};
use serde_json::{Value, json};
use support::{Tower, WALK};
use time::Duration;

#[tokio::test]
async fn from_paste_to_verified_identity() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    let tenant = tower.tenant();

    let jwks = format!("/{tenant}/jwks");
    let early = tower.call("GET", &jwks, None, None).await;
    assert_eq!(early.refused(404), "no signing key is published here");
    assert_eq!(early.headers["cache-control"], "no-store");

    let applied = tower.bulk(&admin, WALK).await.ok();
    assert_eq!(applied["changed"], true);
    let effects: Vec<&str> =
        applied["documents"].as_array().unwrap().iter().map(|document| document["effect"].as_str().unwrap()).collect();
    assert_eq!(effects, ["created"; 3]);

    let again = tower.bulk(&admin, WALK).await.ok();
    assert_eq!(again["changed"], false);
    assert!(again["summary"].as_str().unwrap().starts_with("nothing changes"), "{again}");

    let (role_id, secret_id) = tower.secret(&admin, "payments", json!({})).await;
    let login = tower.log_in(&role_id, &secret_id).await;
    assert_eq!(login.headers["cache-control"], "no-store");
    let login = login.ok();
    assert_eq!(login["expires-in"], 86_400);

    // The stranger.
    let discovery = tower.call("GET", &format!("/{tenant}/.well-known/openid-configuration"), None, None).await.ok();
    assert_eq!(discovery["issuer"], format!("https://tower.example/{tenant}"));
    assert_eq!(discovery["jwks_uri"], format!("https://tower.example{jwks}"));
    let set = tower.call("GET", &jwks, None, None).await;
    assert_eq!(set.headers["cache-control"], "public, max-age=3600");
    let keys = JwkSet::from_json(&set.bytes, KeyUse::Signature).unwrap();
    let bundle = JwtBundle::new("tower.example".parse().unwrap(), keys);
    let verifier = Verifier::new(["sts.amazonaws.com"], VerifyOptions::default()).unwrap();
    let token = login["jwt-svid"].as_str().unwrap();
    let svid = verifier.verify(token, &bundle, tower.app.clock.now()).unwrap();
    assert_eq!(svid.id().as_str(), "spiffe://tower.example/approle/payments");
    let unchanged = axum::http::Request::get(&jwks)
        .header("if-none-match", set.headers["etag"].clone())
        .body(axum::body::Body::empty())
        .unwrap();
    assert_eq!(tower.send(unchanged).await.status, 304);
    let named = tower.call("GET", "/v1/get-spiffe-jwks?tenant=default", None, None).await.ok();
    assert_eq!(named["jwks"], serde_json::from_slice::<Value>(&set.bytes).unwrap());

    // The state, and AWS's side.
    let state = tower.get("/v1/state/strongbox/authentication/spiffe-settings", &admin).await.ok();
    assert_eq!(state["trust-domain"], "tower.example");
    assert_eq!(state["oidc-discovery-url"], format!("https://tower.example/{tenant}/.well-known/openid-configuration"));
    let policy = tower
        .post("/v1/state/strongbox/aws-trust-policy", &admin, json!({"role": "payments", "account": "123456789012"}))
        .await
        .ok();
    let provider = format!("tower.example/{tenant}");
    assert_eq!(policy["provider-url"], format!("https://{provider}"));
    assert_eq!(
        policy["trust-policy"]["Statement"][0]["Condition"]["StringEquals"],
        json!({format!("{provider}:aud"): "sts.amazonaws.com", format!("{provider}:sub"): "spiffe://tower.example/approle/payments"})
    );
    assert_eq!(
        policy["trust-policy"]["Statement"][0]["Principal"]["Federated"],
        format!("arn:aws:iam::123456789012:oidc-provider/{provider}")
    );
    assert_eq!(policy["warnings"], json!([]));

    // Refresh and revoke.
    let own = login["token"].as_str().unwrap();
    tower.pass(Duration::hours(18)).await;
    let fresh = tower.call("POST", "/v1/state/strongbox/token/refresh", Some(own), None).await.ok();
    assert_eq!(fresh["token"], own);
    assert_ne!(fresh["jwt-svid"], login["jwt-svid"]);
    assert_eq!(fresh["expires-in"], 86_400);
    tower.call("POST", "/v1/state/strongbox/token/revoke", Some(own), None).await.ok();
    assert_eq!(tower.get("/v1/state/strongbox/token", own).await.refused(401), "invalid or expired token");
}

#[tokio::test]
async fn every_refused_login_reads_alike_and_is_told_apart_in_the_log() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    tower.bulk(&admin, WALK).await.ok();
    let (role_id, once) = tower.secret(&admin, "payments", json!({"num-uses": 1})).await;
    let (_, short) = tower.secret(&admin, "payments", json!({"ttl": "1m"})).await;
    let (_, elsewhere) = tower.secret(&admin, "payments", json!({"bound-cidrs": ["198.51.100.0/24"]})).await;
    tower.log_in(&role_id, &once).await.ok();
    tower.pass(Duration::minutes(2)).await;
    let attempts = [
        ("unknown-role", "nobody", once.as_str()),
        ("wrong-secret", &role_id, "guess"),
        ("used-up", &role_id, &once),
        ("expired", &role_id, &short),
        ("wrong-address", &role_id, &elsewhere),
    ];
    for (_, role_id, secret_id) in attempts {
        let answer = tower.log_in(role_id, secret_id).await;
        assert_eq!(answer.refused(401), "invalid role-id or secret-id");
    }
    let records = tower.audit(&admin).await;
    let refused = records.iter().filter(|record| record["event"] == "approle-login" && record["outcome"] == "refused");
    let reasons: Vec<&str> = refused.map(|record| record["detail"]["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, attempts.map(|(reason, ..)| reason));
}

#[tokio::test]
async fn of_many_logins_on_the_last_use_one_succeeds() {
    let tower = std::sync::Arc::new(Tower::fresh().await);
    let admin = tower.administrator().await;
    tower.bulk(&admin, WALK).await.ok();
    let (role_id, secret_id) = tower.secret(&admin, "payments", json!({"num-uses": 1})).await;
    let mut logins = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (tower, role_id, secret_id) = (tower.clone(), role_id.clone(), secret_id.clone());
        logins.spawn(async move { tower.log_in(&role_id, &secret_id).await.status.as_u16() });
    }
    let mut statuses = logins.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1);
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 63);
}

#[tokio::test]
async fn nothing_of_a_refused_bulk_is_stored() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    let wrong = [
        WALK.replace("rotate-after: 30d", "rotat-after: 30d"),
        WALK.replace("rotate-after: 30d", "rotate-after: 30x"),
        WALK.replace("jwt-signing-key: spiffe-jwt", "jwt-signing-key: other"),
        WALK.replace("\nname: payments", "\nname: payment"),
        WALK.replace("cipher: rsa-2048", "cipher: [rsa-2048"),
    ];
    for yaml in &wrong {
        let answer = tower.bulk(&admin, yaml).await;
        let info = answer.json()["errors"][0]["error-info"].clone();
        assert!(answer.status.is_client_error(), "{answer:?}");
        assert!(info["line"].is_number() && info["document"].is_number(), "{info}");
    }
    for collection in ["strongbox/transit-keys", "strongbox/authentication/approles"] {
        assert_eq!(tower.get(&format!("/v1/config/{collection}"), &admin).await.ok(), json!([]));
    }
    // A dry run answers the same, and the timeline, and changes nothing either.
    let request = axum::http::Request::post("/v1/bulk?validate=true")
        .header("authorization", format!("Bearer {admin}"))
        .body(axum::body::Body::from(WALK))
        .unwrap();
    let dry = tower.send(request).await.ok();
    assert_eq!((&dry["dry-run"], &dry["changed"]), (&json!(true), &json!(true)));
    assert!(dry["documents"][0]["timeline"].is_object(), "{dry}");
    assert_eq!(tower.get("/v1/config/strongbox/transit-keys", &admin).await.ok(), json!([]));
}

#[tokio::test]
async fn documents_one_by_one() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    let keys = "/v1/config/strongbox/transit-keys";
    let created = tower.post(keys, &admin, json!({"name": "data"})).await;
    assert_eq!(created.status, 201);
    assert!(tower.post(keys, &admin, json!({"name": "data"})).await.refused(409).contains("exists"));
    let read = tower.get(&format!("{keys}/data"), &admin).await;
    let tag = read.headers["etag"].clone();
    assert_eq!(read.ok(), json!({"name": "data"}));
    let put = |tag: Option<axum::http::HeaderValue>, body: Value| {
        let mut request = axum::http::Request::put(format!("{keys}/data"))
            .header("authorization", format!("Bearer {admin}"))
            .header("content-type", "application/json");
        if let Some(tag) = tag {
            request = request.header("if-match", tag);
        }
        tower.send(request.body(axum::body::Body::from(body.to_string())).unwrap())
    };
    put(Some(tag.clone()), json!({"name": "data", "deletion-allowed": true})).await.ok();
    assert!(put(Some(tag), json!({"name": "data"})).await.refused(412).contains("read it again"));
    assert!(put(None, json!({"name": "data", "cipher": "rsa-2048"})).await.refused(422).contains("cipher"));
    assert!(put(None, json!({"name": "data", "ciper": "rsa-2048"})).await.refused(400).contains("`cipher`"));

    let absent = axum::http::Request::put(format!("{keys}/data"))
        .header("authorization", format!("Bearer {admin}"))
        .header("if-none-match", "*")
        .body(axum::body::Body::from(r#"{"name":"data"}"#))
        .unwrap();
    assert_eq!(tower.send(absent).await.refused(412), "the document exists already");
    let error =
        tower.bulk(&admin, "x-path: strongbox/transit-keys/data\nx-operation: replace\ncipher: rsa-2048\n").await;
    let info = &error.json()["errors"][0]["error-info"];
    assert_eq!((&info["document"], &info["line"], &info["field"]), (&json!(1), &json!(3), &json!("cipher")), "{info}");
    assert_eq!(put(None, json!(["no document"])).await.status, 400);
    let refused = tower.audit(&admin).await;
    assert!(
        refused.iter().any(|r| r["outcome"] == "refused"
            && r["detail"]["reason"].as_str().is_some_and(|r| r.contains("a document is fields with values"))),
        "{refused:?}"
    );
    let refused: Vec<_> = refused.iter().filter(|r| r["event"] == "config" && r["outcome"] == "refused").collect();
    assert!(refused.len() >= 5, "{refused:?}");
    let bad = tower.post("/v1/state/strongbox/transit-keys/data/rotate", &admin, json!({"compromized": true})).await;
    assert!(bad.refused(400).contains("compromised"));
    let bad = tower.post("/v1/state/strongbox/transit-keys/data/rotate", &admin, json!({"compromised": "maybe"})).await;
    assert!(
        bad.refused(400)
            .contains("field `compromised`: no known way; write `true` (the active version), `all` or `false`")
    );

    // Encryption with it, across a rotation.
    let state = "/v1/state/strongbox/transit-keys/data";
    let sealed = tower.post(&format!("{state}/encrypt"), &admin, json!({"plaintext": "aGVsbG8="})).await.ok();
    tower.post(&format!("{state}/rotate"), &admin, json!({})).await.ok();
    let opened = tower.post(&format!("{state}/decrypt"), &admin, sealed.clone()).await.ok();
    assert_eq!(opened["plaintext"], "aGVsbG8=");
    let rewrapped = tower.post(&format!("{state}/rewrap"), &admin, sealed).await.ok();
    assert!(rewrapped["ciphertext"].as_str().unwrap().starts_with("vault:v2:"));
    assert_eq!(tower.get(state, &admin).await.ok()["versions"].as_array().unwrap().len(), 2);

    let patch =
        tower.call("PATCH", &format!("{keys}/data"), Some(&admin), Some(json!({"exportable": true}))).await.ok();
    assert_eq!(patch["documents"][0]["effect"], "merged");
    tower.call("DELETE", &format!("{keys}/data"), Some(&admin), None).await.ok();
    assert_eq!(tower.get(&format!("{keys}/data"), &admin).await.status, 404);

    // What is in use stays; what was issued to a role ends with it.
    tower.bulk(&admin, WALK).await.ok();
    let (role_id, secret_id) = tower.secret(&admin, "payments", json!({})).await;
    let token = tower.log_in(&role_id, &secret_id).await.ok()["token"].as_str().unwrap().to_owned();
    tower.get("/v1/state/strongbox/token", &token).await.ok();
    tower.call("DELETE", "/v1/config/strongbox/authentication/approles/payments", Some(&admin), None).await.ok();
    assert_eq!(tower.get("/v1/state/strongbox/token", &token).await.refused(401), "invalid or expired token");
    let refused = tower.call("DELETE", &format!("{keys}/spiffe-jwt"), Some(&admin), None).await.refused(409);
    assert!(refused.contains("spiffe-settings"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_at_once_share_their_syncs() {
    let directory = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let store = std::sync::Arc::new(control_tower::store::Sqlite::open(&directory.path().join("tower.db")).unwrap());
    let clock = control_tower::clock::Clock::fixed(support::START);
    let tower = std::sync::Arc::new(Tower::over(store, clock, directory).await);
    let admin = tower.administrator().await;
    tower.bulk(&admin, &WALK.replace("rsa-2048", "ecdsa-p256")).await.ok();
    let mut secrets = Vec::new();
    for _ in 0..64 {
        secrets.push(tower.secret(&admin, "payments", json!({"num-uses": 5})).await);
    }
    // Once one by one, so that every cache is warm.
    for (role_id, secret_id) in &secrets {
        tower.log_in(role_id, secret_id).await.ok();
    }
    let syncs = || (tower.app.db.store().syncs(), tower.app.audit.stats().syncs);
    let before = syncs();
    let mut logins = tokio::task::JoinSet::new();
    for (role_id, secret_id) in secrets {
        let tower = tower.clone();
        logins.spawn(async move { tower.log_in(&role_id, &secret_id).await.ok() });
    }
    assert_eq!(logins.join_all().await.len(), 64);
    let after = syncs();
    let (store, audit) = (after.0 - before.0, after.1 - before.1);
    println!("{store} syncs of the store, {audit} of the log, for 64 logins");
    assert!(store <= 16, "{store} syncs of the store for 64 logins");
    assert!(audit <= 16, "{audit} syncs of the log for 64 logins");
}

#[tokio::test]
async fn a_role_id_names_one_role_once_a_change_is_made() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    let role = |operation: &str, name: &str, id: &str| {
        let path = format!("x-path: strongbox/authentication/approles/{name}\nx-operation: {operation}\n");
        if operation == "delete" { path } else { format!("{path}name: {name}\nfixed-role-id: {id}\n") }
    };
    let bulk = async |roles: &[String]| tower.bulk(&admin, &roles.join("---\n")).await;
    let message = bulk(&[role("create", "a", "one"), role("create", "b", "one")]).await.refused(409);
    assert!(message.contains("another AppRole has this role-id"), "{message}");
    bulk(&[role("create", "a", "one"), role("create", "b", "two")]).await.ok();
    bulk(&[role("replace", "b", "one")]).await.refused(409);
    // What is there afterwards counts, not on the way.
    bulk(&[role("replace", "a", "two"), role("replace", "b", "one")]).await.ok();
    bulk(&[role("create", "c", "one"), role("delete", "b", "")]).await.ok();
    let (role_id, secret_id) = tower.secret(&admin, "c", json!({})).await;
    assert_eq!(role_id, "one");
    tower.log_in(&role_id, &secret_id).await.ok();
}
