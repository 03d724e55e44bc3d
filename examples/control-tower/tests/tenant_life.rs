//! Tenants from their making to their end: who may, whose trust domain is whose, and that nothing is left.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::sync::Arc;

use axum::{body::Body, http::Request};
use control_tower::{
    clock::Clock,
    store::{Memory, snapshot},
    tasks,
};
use serde_json::{Value, json};
use support::{Tower, WALK};
use time::Duration;

const TENANTS: &str = "/v1/config/tenants";
const STATE: &str = "/v1/state/tenants";
const SETTINGS: &str = "/v1/config/strongbox/authentication/spiffe-settings";
const TOKEN: &str = "/v1/state/strongbox/token";

/// Makes a tenant and logs its first administrator in.
async fn make(tower: &Tower, operator: &str, name: &str) -> String {
    tower.post(TENANTS, operator, json!({"name": name})).await.ok();
    administrator(tower, operator, name).await
}

/// A token of a tenant's administrator, with a new password.
async fn administrator(tower: &Tower, operator: &str, name: &str) -> String {
    let reset = tower.post(&format!("{STATE}/{name}/reset-admin"), operator, json!({})).await;
    assert_eq!(reset.headers["cache-control"], "no-store");
    let mut reset = reset.ok();
    assert_eq!((&reset["tenant"], &reset["username"]), (&json!(name), &json!("admin")));
    let body = json!({"tenant": name, "username": "admin", "password": reset["password"].take()});
    tower.call("POST", "/v1/login", None, Some(body)).await.ok()["token"].as_str().unwrap().to_owned()
}

async fn id(tower: &Tower, operator: &str, name: &str) -> String {
    tower.get(&format!("{STATE}/{name}"), operator).await.ok()["id"].as_str().unwrap().to_owned()
}

async fn remove(tower: &Tower, operator: &str, name: &str) -> support::Reply {
    tower.call("DELETE", &format!("{TENANTS}/{name}?force=true"), Some(operator), None).await
}

/// Everything in the store that has a text in its key, or in its sealed value.
async fn mentions(tower: &Tower, text: &str) -> Vec<String> {
    let (_, entries) = snapshot(&**tower.app.db.store(), "").await.unwrap();
    let mut found = Vec::new();
    for entry in entries {
        let key = entry.key.clone();
        let opened = tower.app.db.open(entry).await.map(|opened| opened.value.to_vec()).unwrap_or_default();
        if key.contains(text) || String::from_utf8_lossy(&opened).contains(text) {
            found.push(key);
        }
    }
    found
}

#[tokio::test]
async fn tenants_are_made_by_the_administrators_of_the_first_one_alone() {
    let tower = Tower::fresh().await;
    let operator = tower.administrator().await;
    let made = tower.post(TENANTS, &operator, json!({"name": "acme", "description": "who pays"})).await;
    assert_eq!(made.status, 201);
    let state = tower.get(&format!("{STATE}/acme"), &operator).await.ok();
    assert_eq!(state["trust-domain"], "acme.tower.example");
    assert_eq!(state["description"], "who pays");
    assert_eq!(state["contents"], json!({"documents": {}, "tokens": 0, "secret-ids": 0, "complete": true}));
    let id = state["id"].as_str().unwrap();
    assert_eq!(state["issuer"], format!("https://tower.example/{id}"));
    assert_eq!(tower.post(TENANTS, &operator, json!({"name": "acme"})).await.status, 409);
    // In bulk, with a change, and as a dry run.
    let yaml = "x-path: tenants/beta\nx-operation: create\nname: beta\n---\nx-path: tenants/acme\nx-operation: merge\n\
                description: another\n";
    tower.bulk(&operator, yaml).await.ok();
    let dry = format!("{TENANTS}/gamma?validate=true");
    tower.call("PUT", &dry, Some(&operator), Some(json!({"name": "gamma"}))).await.ok();
    assert_eq!(tower.get(TENANTS, &operator).await.ok(), json!(["acme", "beta"]));
    let all = tower.get(STATE, &operator).await.ok();
    let names: Vec<_> = all["tenants"].as_array().unwrap().iter().map(|tenant| tenant["name"].clone()).collect();
    assert_eq!(names, ["acme", "beta", "default"]);
    assert_eq!(self::id(&tower, &operator, "acme").await, id, "a change makes no other tenant");

    for (body, field) in [
        (json!({"name": "default"}), "`name`"),
        (json!({"name": tower.tenant()}), "`name`"),
        (json!({"name": "Acme"}), "`name`"),
        (json!({"name": "x", "owner": "me"}), "`owner`"),
    ] {
        let message = tower.post(TENANTS, &operator, body).await.refused(400);
        assert!(message.contains(field), "{message}");
    }
    let message = tower.post(&format!("{STATE}/default/reset-admin"), &operator, json!({})).await.refused(422);
    assert!(message.contains("control-tower reset-admin"), "{message}");

    // For its own administrator there are no tenants, whatever is asked.
    let acme = administrator(&tower, &operator, "acme").await;
    for name in ["acme", "beta", "nowhere"] {
        let path = format!("{TENANTS}/{name}");
        for (method, body) in [
            ("GET", None),
            ("PUT", Some(json!({"name": name}))),
            ("PATCH", Some(json!({"description": "x"}))),
            ("POST", Some(json!({"name": name}))),
            ("DELETE", None),
        ] {
            for path in [path.clone(), format!("{path}?validate=true")] {
                let answer = tower.call(method, &path, Some(&acme), body.clone()).await;
                assert!(answer.refused(404).ends_with("does not exist"), "{method} {path}");
            }
        }
        tower.get(TENANTS, &acme).await.refused(404);
        tower.post(TENANTS, &acme, json!({"name": name})).await.refused(404);
        tower.bulk(&acme, &format!("x-path: tenants/{name}\nx-operation: delete\n")).await.refused(404);
        for path in [STATE.to_owned(), format!("{STATE}/{name}"), "/v1/state/system/tasks".to_owned()] {
            tower.get(&path, &acme).await.refused(404);
        }
        tower.post(&format!("{STATE}/{name}/reset-admin"), &acme, json!({})).await.refused(404);
    }
    // Nor do operators get into a tenant with their own token.
    let request = Request::get(TOKEN)
        .header("authorization", format!("Bearer {operator}"))
        .header("x-vault-namespace", "acme")
        .body(Body::empty());
    assert_eq!(tower.send(request.unwrap()).await.status, 403);
    // The tenant sees in its log that it has a new administrator.
    assert!(tower.audit(&acme).await.iter().any(|record| record["event"] == "reset-admin"));
}

#[tokio::test]
async fn a_new_administrator_ends_the_tokens_of_the_former_one() {
    let tower = Tower::fresh().await;
    let operator = tower.administrator().await;
    let thief = make(&tower, &operator, "acme").await;
    let child = tower.post(&format!("{TOKEN}/create-orphan"), &thief, json!({})).await.ok();
    tower.bulk(&thief, WALK).await.ok();
    let (role_id, secret_id) = tower.secret(&thief, "payments", json!({})).await;
    let workload = tower.log_in(&role_id, &secret_id).await.ok();
    let admin = administrator(&tower, &operator, "acme").await;
    for ended in [thief.as_str(), child["token"].as_str().unwrap()] {
        tower.get(TOKEN, ended).await.refused(401);
        tower.post(&format!("{TOKEN}/refresh"), ended, json!({})).await.refused(401);
    }
    tower.get(TOKEN, &admin).await.ok();
    tower.get(TOKEN, workload["token"].as_str().unwrap()).await.ok();
    tower.get(TOKEN, &operator).await.ok();
    // A clock that was set back locks nobody out.
    tower.app.clock.advance(Duration::minutes(30));
    administrator(&tower, &operator, "acme").await;
    tower.app.clock.advance(Duration::hours(-1));
    let admin = administrator(&tower, &operator, "acme").await;
    tower.get(TOKEN, &admin).await.ok();
}

#[tokio::test]
async fn no_two_tenants_share_a_trust_domain() {
    let tower = Tower::fresh().await;
    let operator = tower.administrator().await;
    let (a, b) = (make(&tower, &operator, "a").await, make(&tower, &operator, "b").await);
    let key = json!({"name": "jwt", "cipher": "ecdsa-p256"});
    let settings = |trust_domain: &str| Some(json!({"jwt-signing-key": "jwt", "trust-domain": trust_domain}));
    for token in [&operator, &a, &b] {
        tower.post("/v1/config/strongbox/transit-keys", token, key.clone()).await.ok();
    }
    // What is or could be another tenant's default, and the tower's own: one answer for all.
    for (taken, own) in [("a.tower.example", &b), ("b.tower.example", &a)] {
        for trust_domain in [taken, "nobody.tower.example", "tower.example", "x.a.tower.example"] {
            let message = tower.call("PUT", SETTINGS, Some(own), settings(trust_domain)).await.refused(422);
            let expected = format!("`{trust_domain}` is kept for the tower and the tenants that it is named after");
            assert!(message.contains(&expected), "{message}");
        }
    }
    tower.call("PUT", SETTINGS, Some(&a), settings("a.tower.example")).await.ok();
    tower.call("PUT", SETTINGS, Some(&a), settings("corp.example")).await.ok();
    for mode in ["", "?validate=true"] {
        let path = format!("{SETTINGS}{mode}");
        let message = tower.call("PUT", &path, Some(&b), settings("corp.example")).await.refused(409);
        assert!(message.contains("the trust domain `corp.example` belongs to another tenant"), "{message}");
        let message = tower.call("PUT", &path, Some(&operator), settings("b.tower.example")).await.refused(409);
        assert!(message.contains("belongs to another tenant"), "{message}");
    }
    // The other way round: a name whose trust domain is taken makes no tenant, also within one change.
    tower.call("PUT", SETTINGS, Some(&operator), settings("c.tower.example")).await.ok();
    let message = tower.post(TENANTS, &operator, json!({"name": "c"})).await.refused(409);
    assert!(message.contains("`name`") && message.contains("`c.tower.example` belongs to another tenant"), "{message}");
    let both = "x-path: tenants/d\nx-operation: create\nname: d\n---\n\
                x-path: strongbox/authentication/spiffe-settings\nx-operation: merge\ntrust-domain: d.tower.example\n";
    tower.bulk(&operator, both).await.refused(409);

    // Many at the same time: one has it.
    let tower = Arc::new(tower);
    let mut tries = tokio::task::JoinSet::new();
    for token in [a.clone(), b.clone(), a, b] {
        let (tower, body) = (Arc::clone(&tower), settings("race.example"));
        tries.spawn(async move { tower.call("PUT", SETTINGS, Some(&token), body).await.status.as_u16() });
    }
    let mut statuses = tries.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses[2..], [409, 409], "{statuses:?}");
}

#[tokio::test]
async fn a_tenant_with_documents_goes_only_by_force() {
    let tower = Tower::fresh().await;
    let operator = tower.administrator().await;
    let admin = make(&tower, &operator, "acme").await;
    tower.bulk(&admin, WALK).await.ok();
    let path = format!("{TENANTS}/acme");
    let message = tower.call("DELETE", &path, Some(&operator), None).await.refused(409);
    assert!(
        message.contains("1 of `strongbox/authentication/approles`") && message.contains("?force=true"),
        "{message}"
    );
    tower.bulk(&operator, "x-path: tenants/acme\nx-operation: delete\n").await.refused(409);
    tower.get(TOKEN, &admin).await.ok();
    // Force is for that alone, and a dry run removes nothing.
    let other = "/v1/config/strongbox/policies/x?force=true";
    tower.call("PUT", other, Some(&operator), Some(json!({"name": "x"}))).await.refused(400);
    tower.call("DELETE", &format!("{path}?force=true&validate=true"), Some(&operator), None).await.ok();
    tower.get(TOKEN, &admin).await.ok();
    remove(&tower, &operator, "acme").await.ok();
    assert_eq!(remove(&tower, &operator, "acme").await.status, 404);
    // An empty one needs none.
    make(&tower, &operator, "empty").await;
    tower.call("DELETE", &format!("{TENANTS}/empty"), Some(&operator), None).await.ok();
}

#[tokio::test]
async fn a_removed_tenant_ends_at_once_and_leaves_nothing() {
    let tower = Tower::fresh().await;
    let operator = tower.administrator().await;
    let (acme, other) = (make(&tower, &operator, "acme").await, make(&tower, &operator, "other").await);
    for admin in [&acme, &other] {
        tower.bulk(admin, WALK).await.ok();
    }
    let id = id(&tower, &operator, "acme").await;
    let (role_id, secret_id) = tower.secret(&acme, "payments", json!({})).await;
    let workload = tower.log_in(&role_id, &secret_id).await.ok()["token"].as_str().unwrap().to_owned();
    let batch = json!({"name": "batch", "token-type": "batch", "token-ttl": "1h"});
    tower.post("/v1/config/strongbox/authentication/approles", &acme, batch).await.ok();
    let (batch_role, batch_secret) = tower.secret(&acme, "batch", json!({})).await;
    let batch = tower.log_in(&batch_role, &batch_secret).await.ok()["token"].as_str().unwrap().to_owned();
    let wrap = Request::post("/v1/sys/wrapping/wrap")
        .header("x-vault-token", &acme)
        .header("x-vault-wrap-ttl", "1h")
        .header("content-type", "application/json")
        .body(Body::from(r#"{"secret": "x"}"#));
    let wrapped = tower.send(wrap.unwrap()).await.ok()["wrap_info"]["token"].as_str().unwrap().to_owned();
    // Enough that one step is not all.
    for _ in 0..200 {
        tower.secret(&acme, "payments", json!({})).await;
    }
    let public = [
        format!("/{id}/jwks"),
        format!("/{id}/.well-known/openid-configuration"),
        format!("/{id}/spiffe-bundle"),
        "/v1/get-spiffe-jwks?tenant=acme".to_owned(),
        format!("/v1/get-spiffe-jwks?tenant={id}"),
    ];
    for path in &public {
        tower.call("GET", path, None, None).await.ok();
    }

    remove(&tower, &operator, "acme").await.ok();
    // At once, before any task has run.
    let unknown = |path: &str| path.replace(&id, "01234567-89ab-4def-8123-456789abcdef").replace("acme", "nowhere");
    let assert_gone = async || {
        // By its name until another one has that.
        let named = tower.get(&format!("{STATE}/acme"), &tower.administrator().await).await;
        let again = named.status.is_success() && named.json()["id"] != json!(null);
        for path in public.iter().filter(|path| !again || path.contains(&id)) {
            let (gone, never) =
                (tower.call("GET", path, None, None).await, tower.call("GET", &unknown(path), None, None).await);
            assert_eq!((gone.status, &gone.bytes), (never.status, &never.bytes), "{path}");
            assert_eq!(gone.status, 404);
        }
        for token in [&acme, &workload, &batch] {
            assert_eq!(tower.get(TOKEN, token).await.refused(401), "invalid or expired token");
            tower.post(&format!("{TOKEN}/refresh"), token, json!({})).await.refused(401);
            tower.bulk(token, WALK).await.refused(401);
        }
        assert_eq!(tower.log_in(&role_id, &secret_id).await.refused(401), "invalid role-id or secret-id");
        assert_eq!(tower.log_in(&batch_role, &batch_secret).await.status, 401);
        tower.call("POST", "/v1/sys/wrapping/unwrap", None, Some(json!({"token": wrapped}))).await.refused(400);
        let body = json!({"tenant": "acme", "username": "admin", "password": "x"});
        assert_eq!(
            tower.call("POST", "/v1/login", None, Some(body)).await.refused(401),
            "invalid username or password"
        );
    };
    assert_gone().await;
    let state = tower.get(&format!("{STATE}/acme"), &operator).await.ok();
    assert_eq!((&state["state"], &state["removals"][0]["destroyed"]), (&json!("removed"), &json!(0)));

    // A namesake is another one, at once, with the trust domain that is free again.
    let namesake = make(&tower, &operator, "acme").await;
    assert_ne!(self::id(&tower, &operator, "acme").await, id);
    assert_gone().await;
    assert_eq!(tower.get("/v1/config/strongbox/transit-keys", &namesake).await.ok(), json!([]));
    tower.bulk(&namesake, WALK).await.ok();
    let (new_role, new_secret) = tower.secret(&namesake, "payments", json!({})).await;
    let login = tower.log_in(&new_role, &new_secret).await.ok();
    assert!(login["jwt-svid"].is_string());

    tasks::run_due(&tower.app).await;
    let removal = tower.get(STATE, &operator).await.ok()["removals"][0].clone();
    assert!(removal["destroyed"].as_u64().unwrap() > 200 && removal["emptied"].is_string(), "{removal}");
    assert_gone().await;
    // A request that was under way writes a last time.
    let late = control_tower::layout::document(&id.parse().unwrap(), "strongbox/policies/late");
    let write = tower.app.db.put(late, b"{}").unwrap();
    let _ = tower.app.db.store().commit(Vec::new(), vec![write]).await.unwrap();
    tower.pass(Duration::minutes(3)).await;
    tower.pass(Duration::minutes(3)).await;
    tower.pass(Duration::seconds(1)).await;
    assert_eq!(tower.get(STATE, &operator).await.ok()["removals"], json!([]));
    // Of expired secrets the entries go at their time; they say nothing but a hash.
    tower.pass(Duration::days(60)).await;
    let left = mentions(&tower, &id).await;
    assert_eq!(left, Vec::<String>::new());
    assert_gone().await;
    let operator = tower.administrator().await;
    let destroyed: Vec<Value> =
        tower.audit(&operator).await.into_iter().filter(|record| record["event"] == "tenant-destroyed").collect();
    assert_eq!(destroyed.len(), 1);
    assert_eq!(destroyed[0]["detail"]["name"], "acme");
}

#[tokio::test]
async fn a_removal_goes_on_after_a_restart() {
    let (store, clock, directory) =
        (Arc::new(Memory::new()), Clock::fixed(support::START), Arc::new(tempfile::tempdir().unwrap()));
    let tower = Tower::over(store.clone(), clock.clone(), Arc::clone(&directory)).await;
    let operator = tower.administrator().await;
    let admin = make(&tower, &operator, "acme").await;
    tower.bulk(&admin, WALK).await.ok();
    let id = id(&tower, &operator, "acme").await;
    remove(&tower, &operator, "acme").await.ok();
    drop(tower);
    let tower = Tower::at(store, clock, directory, "audit-2", "https://tower.example").await;
    tower.get(TOKEN, &admin).await.refused(401);
    tower.get(TOKEN, &operator).await.ok();
    tower.pass(Duration::SECOND).await;
    tower.pass(Duration::minutes(3)).await;
    tower.pass(Duration::days(60)).await;
    assert_eq!(mentions(&tower, &id).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_role_id_that_two_tenants_chose_is_nobodys() {
    let tower = Tower::fresh().await;
    let operator = tower.administrator().await;
    let (a, b) = (make(&tower, &operator, "a").await, make(&tower, &operator, "b").await);
    let roles = "/v1/config/strongbox/authentication/approles";
    let role_id = "01234567-89ab-4def-8123-456789abcdef";
    let weak = |name: &str| json!({"name": name, "fixed-role-id": role_id, "weak-secret-id": true});
    tower.post(roles, &a, weak("hers")).await.ok();
    // Without a secret-id of its own the role-id says whose login it is.
    tower.log_in(role_id, role_id).await.ok();
    let (_, secret_id) = tower.secret(&a, "hers", json!({})).await;
    // That another tenant has it is not told; nor does it get what is meant for the other, or the other what is meant for it.
    tower.post(roles, &b, weak("his")).await.ok();
    let refused = tower.log_in(role_id, role_id).await.refused(401);
    assert_eq!(refused, tower.log_in(role_id, "another").await.refused(401));
    // A secret-id says by itself whose it is.
    let (_, other) = tower.secret(&b, "his", json!({})).await;
    for (secret_id, tenant) in [(&secret_id, "a"), (&other, "b")] {
        let login = tower.log_in(role_id, secret_id).await.ok();
        let token = login["token"].as_str().unwrap();
        let records = tower.audit(if tenant == "a" { &a } else { &b }).await;
        assert!(records.iter().any(|record| record["detail"]["accessor"] == login["accessor"]), "{token}");
    }
    for token in [&a, &b] {
        let strangers = |record: &Value| record["event"] == "approle-login" && record["outcome"] == "refused";
        assert!(!tower.audit(token).await.iter().any(strangers), "neither hears of it");
    }
    remove(&tower, &operator, "b").await.ok();
    tasks::run_due(&tower.app).await;
    tower.log_in(role_id, role_id).await.ok();
    assert_eq!(tower.log_in(role_id, &other).await.refused(401), refused);
}

#[tokio::test]
async fn the_list_of_tenants_has_pages() {
    let tower = Tower::fresh().await;
    let operator = tower.administrator().await;
    for name in ["b", "a", "c"] {
        tower.post(TENANTS, &operator, json!({"name": name})).await.ok();
    }
    let (mut address, mut names) = (format!("{STATE}?limit=2"), Vec::new());
    loop {
        let reply = tower.get(&address, &operator).await;
        let next =
            reply.headers.get("link").map(|link| link.to_str().unwrap().split_once('>').unwrap().0[1..].to_owned());
        let page: Vec<Value> = reply.ok()["tenants"].as_array().unwrap().clone();
        names.push(page.iter().map(|tenant| tenant["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>());
        let Some(next) = next else { break };
        address = next + "&limit=2";
    }
    assert_eq!(names, [["a", "b"], ["c", "default"]]);
}
