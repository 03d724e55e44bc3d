//! Roles by the paths of Vault, and what its clients may ask of tokens and answers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use axum::{body::Body, http::Request};
use serde_json::{Value, json};
use support::{Reply, Tower};
use time::Duration;

const ROLE: &str = "/v1/auth/approle/role/app";
const DOCUMENT: &str = "/v1/config/strongbox/authentication/approles/app";

async fn call(tower: &Tower, token: &str, method: &str, path: &str, body: Value) -> Reply {
    asked(tower, token, method, path, body, "").await
}

async fn asked(tower: &Tower, token: &str, method: &str, path: &str, body: Value, wrap: &str) -> Reply {
    let mut request = Request::builder().method(method).uri(path);
    if !token.is_empty() {
        request = request.header("x-vault-token", token);
    }
    if !wrap.is_empty() {
        request = request.header("x-vault-wrap-ttl", wrap);
    }
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    tower.send(request.body(body).unwrap()).await
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

async fn policy(tower: &Tower, admin: &str, name: &str, rules: Value) {
    let document = json!({"name": name, "rest-api": {"rules": rules}});
    tower.post("/v1/config/strongbox/policies", admin, document).await.ok();
}

/// A token with policies, of a role with the name.
async fn holder(tower: &Tower, admin: &str, name: &str, policies: Value) -> String {
    let role = json!({"name": name, "token-policies": policies});
    tower.post("/v1/config/strongbox/authentication/approles", admin, role).await.ok();
    let (role_id, secret_id) = tower.secret(admin, name, json!({})).await;
    text(&tower.log_in(&role_id, &secret_id).await.ok()["token"])
}

#[tokio::test]
async fn a_role_is_one_document_whichever_path_it_goes_by() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    assert_eq!(call(&tower, &admin, "GET", ROLE, Value::Null).await.status, 404);
    let body = json!({"token_ttl": "30m", "policies": "b,c", "bound_cidr_list": "10.0.0.0/8", "token_strictly_bind_ip": true,
        "token_type": "default", "role_id": "the-role-id", "unknown": 1});
    assert_eq!(call(&tower, &admin, "POST", ROLE, body).await.status, 204);
    let document = tower.get(DOCUMENT, &admin).await.ok();
    assert_eq!(
        document,
        json!({"name": "app", "fixed-role-id": "the-role-id", "secret-id-bound-cidrs": ["10.0.0.0/8"],
            "token-ttl": "30m", "token-policies": ["b", "c"], "token-auto-bound-cidrs": "host", "token-renewable": true})
    );
    // A change leaves what it does not name, and what these clients know nothing of.
    let svid = json!({"token-spiffe-jwt": {"jwt-audiences": ["a"]}});
    tower.call("PATCH", DOCUMENT, Some(&admin), Some(svid)).await.ok();
    assert_eq!(call(&tower, &admin, "PUT", ROLE, json!({"token_ttl": 0, "token_num_uses": 3})).await.status, 204);
    let document = tower.get(DOCUMENT, &admin).await.ok();
    assert_eq!((&document["token-ttl"], &document["token-num-uses"]), (&Value::Null, &json!(3)));
    assert_eq!(document["token-spiffe-jwt"]["jwt-audiences"], json!(["a"]));
    let read = call(&tower, &admin, "GET", ROLE, Value::Null).await.ok()["data"].clone();
    assert_eq!((&read["token_policies"], &read["secret_id_bound_cidrs"]), (&json!(["b", "c"]), &json!(["10.0.0.0/8"])));
    assert_eq!((&read["bind_secret_id"], &read["token_type"]), (&json!(true), &json!("default")));
    // What is named is read again as it was named.
    assert_eq!(call(&tower, &admin, "PUT", ROLE, json!({"token_type": "service"})).await.status, 204);
    let kind = async || call(&tower, &admin, "GET", ROLE, Value::Null).await.ok()["data"]["token_type"].clone();
    assert_eq!(
        (kind().await, &tower.get(DOCUMENT, &admin).await.ok()["token-type"]),
        (json!("service"), &json!("service"))
    );
    assert_eq!(call(&tower, &admin, "PUT", ROLE, json!({"token_type": ""})).await.status, 204);
    assert_eq!(kind().await, "default");
    let adjusted = call(&tower, &admin, "PUT", ROLE, json!({"token_type": "default-service"})).await.ok();
    assert_eq!(adjusted["warnings"], json!(["`default-service` says no more than `service`, which is set"]));

    for (body, refusal) in [
        (json!({"token_ttl": "2h", "token_max_ttl": "1h"}), "`token-ttl`: is `2h`, longer than `token-max-ttl` (`1h`)"),
        (json!({"token_type": "bad"}), "invalid `token_type`: it is `default`, `service` or `batch`"),
        (
            json!({"bind_secret_id": false}),
            "`bind_secret_id` is always true here: a login needs a secret; `weak-secret-id` lets one value be both",
        ),
        (json!({"token_policies": ["A b"]}), "the JSON body is refused"),
    ] {
        let before = tower.app.db.store().revision();
        let answer = call(&tower, &admin, "POST", ROLE, body).await;
        let said = answer.refused(400);
        assert!(said.contains(refusal), "{said}");
        assert_eq!(tower.app.db.store().revision(), before);
    }
    let other = json!({"role_id": "the-role-id"});
    let other = call(&tower, &admin, "POST", "/v1/auth/approle/role/other", other).await;
    assert!(other.refused(400).contains("another AppRole has this role-id"));

    let before = tower.app.db.store().revision();
    assert_eq!(call(&tower, &admin, "DELETE", ROLE, Value::Null).await.status, 204);
    assert_eq!(tower.app.db.store().revision(), before + 1);
    assert_eq!(tower.get(DOCUMENT, &admin).await.status, 404);
    assert_eq!(call(&tower, &admin, "DELETE", ROLE, Value::Null).await.status, 204);
    let audit = tower.audit(&admin).await;
    let config = audit.iter().filter(|record| record["event"] == "config" && record["outcome"] == "success");
    assert!(config.count() >= 4, "{audit:?}");
}

#[tokio::test]
async fn a_role_that_is_made_again_has_none_of_the_earlier_ones_secret_ids() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    let list = format!("{ROLE}/secret-id");
    call(&tower, &admin, "POST", ROLE, json!({"role_id": "the-same"})).await;
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(call(&tower, &admin, "POST", &list, json!({})).await.ok()["data"].clone());
    }
    let gone = json!({"secret_id": made[0]["secret_id"]});
    call(&tower, &admin, "POST", &format!("{ROLE}/secret-id/destroy"), gone).await;
    let listed = call(&tower, &admin, "LIST", &list, Value::Null).await.ok();
    assert_eq!(listed["data"]["keys"].as_array().unwrap().len(), 2);
    call(&tower, &admin, "DELETE", ROLE, Value::Null).await;
    call(&tower, &admin, "POST", ROLE, json!({"role_id": "the-same"})).await;
    assert_eq!(call(&tower, &admin, "LIST", &list, Value::Null).await.status, 404);
    let new = call(&tower, &admin, "POST", &list, json!({})).await.ok()["data"].clone();
    let listed = call(&tower, &admin, "LIST", &format!("{list}?limit=1"), Value::Null).await.ok();
    assert_eq!(listed["data"]["keys"], json!([new["secret_id_accessor"]]));
    let by_accessor = json!({"secret_id_accessor": made[1]["secret_id_accessor"]});
    let found = call(&tower, &admin, "POST", &format!("{ROLE}/secret-id-accessor/lookup"), by_accessor).await;
    assert_eq!(found.status, 404);
    let by_itself = json!({"secret_id": made[1]["secret_id"]});
    assert_eq!(call(&tower, &admin, "POST", &format!("{ROLE}/secret-id/lookup"), by_itself).await.status, 204);
}

#[tokio::test]
async fn what_a_deleted_role_leaves_at_rest_is_swept_and_the_next_ones_secret_ids_stay() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    let list = format!("{ROLE}/secret-id");
    let others = "/v1/auth/approle/role/app2";
    for role in [ROLE, others] {
        call(&tower, &admin, "POST", role, json!({})).await;
    }
    call(&tower, &admin, "POST", &format!("{others}/secret-id"), json!({})).await.ok();
    // More than a step does.
    for _ in 0..150 {
        call(&tower, &admin, "POST", &list, json!({})).await.ok();
    }
    let places = ["secret-id/".to_owned(), format!("t/{}/secret-id/", tower.tenant())];
    let left = async || {
        let mut left = Vec::new();
        for place in &places {
            left.push(tower.app.db.store().range(place, None, 1000, None).await.unwrap().len());
        }
        left
    };
    tower.pass(Duration::days(40)).await;
    assert_eq!(left().await, [151, 151]);
    let admin = tower.administrator().await;
    call(&tower, &admin, "DELETE", ROLE, Value::Null).await;
    call(&tower, &admin, "POST", ROLE, json!({"role_id": "the-next"})).await;
    let mut new = Vec::new();
    for _ in 0..3 {
        new.push(call(&tower, &admin, "POST", &list, json!({})).await.ok()["data"]["secret_id"].clone());
    }
    tower.pass(Duration::seconds(2)).await;
    assert_eq!(left().await, [4, 4]);
    for secret_id in &new {
        tower.log_in("the-next", secret_id.as_str().unwrap()).await.ok();
    }
    call(&tower, &admin, "DELETE", ROLE, Value::Null).await;
    tower.pass(Duration::seconds(2)).await;
    assert_eq!(left().await, [1, 1]);
    let entries = tower.app.db.store().range("expiry/", None, 1000, None).await.unwrap();
    assert!(entries.iter().all(|entry| !entry.key.contains("/t/")), "no entry is left to be worked off");
}

#[tokio::test]
async fn each_field_has_a_path() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    let none = call(&tower, &admin, "POST", &format!("{ROLE}/token-ttl"), json!({"token_ttl": "1h"})).await;
    assert_eq!(none.status, 404);
    call(&tower, &admin, "POST", ROLE, json!({})).await;
    for (path, field, value, shown, by_itself) in [
        ("policies", "token_policies", json!(["b"]), json!(["b"]), json!([])),
        ("secret-id-num-uses", "secret_id_num_uses", json!(5), json!(5), json!(0)),
        ("secret-id-ttl", "secret_id_ttl", json!("1h"), json!(3600), json!(0)),
        ("token-ttl", "token_ttl", json!("10m"), json!(600), json!(0)),
        ("token-max-ttl", "token_max_ttl", json!(7200), json!(7200), json!(0)),
        ("token-num-uses", "token_num_uses", json!(2), json!(2), json!(0)),
        ("secret-id-bound-cidrs", "secret_id_bound_cidrs", json!("10.0.0.0/8"), json!(["10.0.0.0/8"]), json!(null)),
        ("token-bound-cidrs", "token_bound_cidrs", json!(["10.0.0.0/8"]), json!(["10.0.0.0/8"]), json!(null)),
        ("period", "token_period", json!("20m"), json!(1200), json!(0)),
    ] {
        let path = format!("{ROLE}/{path}");
        let read = || async { call(&tower, &admin, "GET", &path, Value::Null).await.ok()["data"][field].clone() };
        assert_eq!(read().await, by_itself, "{path}");
        let missing = call(&tower, &admin, "POST", &path, json!({})).await;
        if field.ends_with("_cidrs") {
            assert_eq!(missing.status, 204);
        } else {
            assert_eq!(missing.refused(400), format!("missing {field}"));
        }
        assert_eq!(call(&tower, &admin, "POST", &path, json!({ field: value })).await.status, 204, "{path}");
        assert_eq!(read().await, shown, "{path}");
        assert_eq!(call(&tower, &admin, "DELETE", &path, Value::Null).await.status, 204, "{path}");
        assert_eq!(read().await, by_itself, "{path}");
    }
    assert_eq!(
        call(&tower, &admin, "GET", &format!("{ROLE}/bind-secret-id"), Value::Null).await.ok()["data"],
        json!({"bind_secret_id": true})
    );
    assert_eq!(call(&tower, &admin, "GET", &format!("{ROLE}/nothing"), Value::Null).await.status, 404);
    call(&tower, &admin, "POST", &format!("{ROLE}/role-id"), json!({"role_id": "mine"})).await;
    let read = call(&tower, &admin, "GET", &format!("{ROLE}/role-id"), Value::Null).await.ok();
    assert_eq!(read["data"]["role_id"], "mine");
    for path in ["/v1/auth/approle/tidy/secret-id", "/v1/auth/token/tidy"] {
        let tidied = call(&tower, &admin, "POST", path, Value::Null).await;
        assert_eq!((tidied.status.as_u16(), tidied.json()["warnings"].as_array().unwrap().len()), (202, 1));
    }
}

#[tokio::test]
async fn who_may_create_may_not_update_and_the_other_way_round() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    for (name, operation) in [("makes", "create"), ("changes", "update"), ("calls", "execute")] {
        let rules = json!([{"path": "/v1/auth/approle/role/*", "operations": {operation: "allow"}}]);
        policy(&tower, &admin, name, rules).await;
    }
    let makes = holder(&tower, &admin, "one", json!(["makes"])).await;
    let changes = holder(&tower, &admin, "two", json!(["changes"])).await;
    let calls = holder(&tower, &admin, "three", json!(["calls"])).await;
    let post = |token: &str| {
        let token = token.to_owned();
        let tower = &tower;
        async move { call(tower, &token, "POST", ROLE, json!({"token_ttl": "1h"})).await.status.as_u16() }
    };
    assert_eq!((post(&changes).await, post(&calls).await), (403, 403));
    assert_eq!((post(&makes).await, post(&makes).await), (204, 403));
    assert_eq!((post(&changes).await, post(&calls).await), (204, 403));
    assert_eq!(call(&tower, &makes, "GET", ROLE, Value::Null).await.status, 403);
}

#[tokio::test]
async fn a_token_has_what_was_asked_of_it_and_says_so() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    let create = "/v1/auth/token/create";
    let body = json!({"meta": {"for": "tests", "n": 1}, "display_name": "for x", "id": "a-token-of-our-own", "num_uses": 5,
        "explicit_max_ttl": "5m", "ttl": "30m", "policies": ["default"]});
    let made = call(&tower, &admin, "POST", create, body.clone()).await.ok()["auth"].clone();
    assert_eq!((&made["client_token"], &made["lease_duration"]), (&json!("a-token-of-our-own"), &json!(300)));
    assert_eq!((&made["metadata"], &made["num_uses"]), (&json!({"for": "tests", "n": "1"}), &json!(5)));
    let look = json!({"token": "a-token-of-our-own"});
    let looked = call(&tower, &admin, "POST", "/v1/auth/token/lookup", look).await.ok()["data"].clone();
    assert_eq!((&looked["display_name"], &looked["meta"]), (&json!("token-for-x"), &json!({"for": "tests", "n": "1"})));
    assert_eq!((&looked["explicit_max_ttl"], &looked["id"]), (&json!(300), &json!("a-token-of-our-own")));
    let own = call(&tower, "a-token-of-our-own", "GET", "/v1/auth/token/lookup-self", Value::Null).await.ok();
    assert_eq!(own["data"]["num_uses"], 4);
    for (body, refusal) in [
        (body, "a token with this `id` exists, or the token that asks was changed meanwhile"),
        (json!({"id": "short"}), "a chosen token has 16 to 1024 visible ASCII characters, none of them a `.`"),
        (
            json!({"id": "kw.0123456789abcdef"}),
            "a chosen token has 16 to 1024 visible ASCII characters, none of them a `.`",
        ),
        (json!({"id": "a-token-of-our-own", "type": "batch"}), "`id` cannot be set together with `type: batch`"),
        (json!({"role_name": "r"}), "`role_name` names what there is not here: say it all in the request"),
    ] {
        assert_eq!(call(&tower, &admin, "POST", create, body).await.refused(400), refusal);
    }
    policy(&tower, &admin, "maker", json!([{"path": "/v1/auth/token/*", "operations": {"execute": "allow"}}])).await;
    let other = holder(&tower, &admin, "one", json!(["maker"])).await;
    let chosen = call(&tower, &other, "POST", create, json!({"id": "another-one-of-ours"})).await;
    assert_eq!(chosen.refused(400), "`id` can be chosen by an administrator alone");
    let periodic = call(&tower, &admin, "POST", create, json!({"period": "30m", "ttl": "2h"})).await.ok();
    assert_eq!(periodic["auth"]["lease_duration"], 1800);
}

#[tokio::test]
async fn the_metadata_and_ranges_of_a_secret_id_reach_its_tokens() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    call(&tower, &admin, "POST", ROLE, json!({"token_bound_cidrs": "192.0.2.0/24", "role_id": "the-role"})).await;
    let body = json!({"metadata": "{\"tag\":\"x\"}", "token_bound_cidrs": ["192.0.2.0/28"]});
    let made = call(&tower, &admin, "POST", &format!("{ROLE}/secret-id"), body).await.ok()["data"].clone();
    let login = json!({"role_id": "the-role", "secret_id": made["secret_id"]});
    let login = call(&tower, "", "POST", "/v1/auth/approle/login", login).await.ok()["auth"].clone();
    assert_eq!(login["metadata"], json!({"role_name": "app", "tag": "x"}));
    let token = text(&login["client_token"]);
    let looked = call(&tower, &token, "GET", "/v1/auth/token/lookup-self", Value::Null).await.ok()["data"].clone();
    assert_eq!((&looked["meta"]["tag"], &looked["bound_cidrs"]), (&json!("x"), &json!(["192.0.2.0/28"])));
    let found = json!({"secret_id_accessor": made["secret_id_accessor"]});
    let found = call(&tower, &admin, "POST", &format!("{ROLE}/secret-id-accessor/lookup"), found).await.ok();
    assert_eq!(found["data"]["token_bound_cidrs"], json!(["192.0.2.0/28"]));
    let native = tower.get("/v1/state/strongbox/token", &token).await.ok();
    assert_eq!(native["metadata"], json!({"tag": "x"}));
    let request = Request::get("/v1/auth/token/lookup-self").header("x-vault-token", &token);
    let elsewhere = tower.send_from("192.0.2.200:1", request.body(Body::empty()).unwrap()).await;
    assert_eq!(elsewhere.status, 403);
    let wider = json!({"token_bound_cidrs": ["10.0.0.0/8"]});
    let wider = call(&tower, &admin, "POST", &format!("{ROLE}/secret-id"), wider).await;
    assert!(wider.refused(400).contains("which is not inside the role's `token-bound-cidrs`"));
}

#[tokio::test]
async fn whatever_is_answered_can_be_wrapped_and_is_made_in_one_commit_with_that() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    call(&tower, &admin, "POST", ROLE, json!({"role_id": "the-role"})).await;
    let unwrap = |token: Value| {
        let tower = &tower;
        async move { call(tower, "", "POST", "/v1/sys/wrapping/unwrap", json!({ "token": token })).await }
    };
    let before = tower.app.db.store().revision();
    let secret = asked(&tower, &admin, "POST", &format!("{ROLE}/secret-id"), json!({}), "60").await.ok();
    assert_eq!(tower.app.db.store().revision(), before + 1, "secret-id and wrapping token together");
    assert_eq!((&secret["data"], &secret["wrap_info"]["ttl"]), (&Value::Null, &json!(60)));

    // Under a new token, and once.
    let old = secret["wrap_info"]["token"].clone();
    let again = call(&tower, &admin, "POST", "/v1/sys/wrapping/rewrap", json!({ "token": old })).await.ok();
    assert_eq!(again["wrap_info"]["creation_path"], "auth/approle/role/app/secret-id");
    assert_eq!(unwrap(old.clone()).await.status, 400);
    assert_eq!(call(&tower, &admin, "POST", "/v1/sys/wrapping/rewrap", json!({ "token": old })).await.status, 400);
    let new = again["wrap_info"]["token"].clone();
    let (one, two) = tokio::join!(unwrap(new.clone()), unwrap(new));
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
    let secret = if one.status == 200 { one } else { two }.ok()["data"]["secret_id"].clone();

    // A login and a token.
    let before = tower.app.db.store().revision();
    let login = json!({"role_id": "the-role", "secret_id": secret});
    let login = asked(&tower, "", "POST", "/v1/auth/approle/login", login, "2m").await.ok();
    assert_eq!(tower.app.db.store().revision(), before + 1);
    assert_eq!(login["auth"], Value::Null);
    let taken = unwrap(login["wrap_info"]["token"].clone()).await.ok();
    assert_eq!(taken["auth"]["accessor"], login["wrap_info"]["wrapped_accessor"]);
    let token = text(&taken["auth"]["client_token"]);
    call(&tower, &token, "GET", "/v1/auth/token/lookup-self", Value::Null).await.ok();
    let before = tower.app.db.store().revision();
    let made = asked(&tower, &admin, "POST", "/v1/auth/token/create", json!({"period": "30m"}), "15m").await.ok();
    assert_eq!(tower.app.db.store().revision(), before + 1);
    let taken = unwrap(made["wrap_info"]["token"].clone()).await.ok();
    assert_eq!(taken["auth"]["lease_duration"], 1800);

    // What was there already, and keys that exist for the answer alone.
    call(&tower, &admin, "POST", "/v1/transit/keys/k", json!({})).await.ok();
    for (method, path, field) in [
        ("GET", format!("{ROLE}/role-id"), "role_id"),
        ("POST", "/v1/transit/datakey/plaintext/k".to_owned(), "plaintext"),
        ("LIST", "/v1/auth/approle/role".to_owned(), "keys"),
    ] {
        let body = if method == "POST" { json!({}) } else { Value::Null };
        let wrapped = asked(&tower, &admin, method, &path, body, "60s").await.ok();
        assert_eq!(wrapped["data"], Value::Null, "{path}");
        let taken = unwrap(wrapped["wrap_info"]["token"].clone()).await.ok();
        assert!(!taken["data"][field].is_null(), "{path}: {taken}");
    }
    // Neither a refusal nor what has no answer, and nothing in clear of what failed in part.
    assert_eq!(asked(&tower, &admin, "GET", "/v1/transit/keys/none", Value::Null, "60s").await.status, 404);
    assert_eq!(asked(&tower, &admin, "POST", ROLE, json!({}), "60s").await.status, 204);
    let ciphertext = call(&tower, &admin, "POST", "/v1/transit/encrypt/k", json!({"plaintext": "aGVsbG8="})).await.ok();
    let items =
        json!({"batch_input": [{"ciphertext": ciphertext["data"]["ciphertext"]}, {"ciphertext": "vault:v1:AAAA"}]});
    let partly = asked(&tower, &admin, "POST", "/v1/transit/decrypt/k", items, "60s").await;
    assert_eq!(partly.refused(400), "some of it failed, which is not answered wrapped: ask without wrapping");
}

#[tokio::test]
async fn logins_and_renewals_bring_svids_beside_what_these_clients_know() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    tower.bulk(&admin, support::WALK).await.ok();
    let x509 = json!({"token-spiffe-x509": {}});
    let payments = "/v1/config/strongbox/authentication/approles/payments";
    tower.call("PATCH", payments, Some(&admin), Some(x509)).await.ok();
    let (role_id, secret_id) = tower.secret(&admin, "payments", json!({})).await;
    let login = json!({"role_id": role_id, "secret_id": secret_id});
    let login = call(&tower, "", "POST", "/v1/auth/approle/login", login).await.ok()["auth"].clone();
    let token = text(&login["client_token"]);
    tower.pass(time::Duration::hours(1)).await;
    let own = call(&tower, &token, "POST", "/v1/auth/token/renew-self", json!({})).await.ok()["auth"].clone();
    let admin = tower.administrator().await;
    let named =
        call(&tower, &admin, "POST", "/v1/auth/token/renew", json!({ "token": token })).await.ok()["auth"].clone();
    for auth in [&login, &own, &named] {
        assert_eq!(text(&auth["jwt_svid"]).split('.').count(), 3);
        assert!(text(&auth["x509_svid"]["cert"]).starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(text(&auth["x509_svid"]["private_key"]).starts_with("-----BEGIN PRIVATE KEY-----"));
    }
    assert_ne!(login["jwt_svid"], own["jwt_svid"]);
    let accessor = json!({"accessor": login["accessor"]});
    let found = call(&tower, &admin, "POST", "/v1/auth/token/renew-accessor", accessor).await.ok()["auth"].clone();
    assert!(found.get("jwt_svid").is_none() && found.get("x509_svid").is_none());
    // Nor do they come to an address or for a use that the token by itself is not good for.
    for (change, from) in [
        (json!({"token-auto-bound-cidrs": "host"}), "198.51.100.1:5000"),
        (json!({"token-auto-bound-cidrs": null, "token-num-uses": 2}), "192.0.2.1:5000"),
    ] {
        tower.call("PATCH", payments, Some(&admin), Some(change)).await.ok();
        let (role_id, secret_id) = tower.secret(&admin, "payments", json!({})).await;
        let login = json!({"role_id": role_id, "secret_id": secret_id}).to_string();
        let login =
            Request::post("/v1/auth/approle/login").header("content-type", "application/json").body(login.into());
        let login = tower.send_from(from, login.unwrap()).await.ok()["auth"].clone();
        assert!(login["jwt_svid"].is_string());
        let token = json!({"token": login["client_token"]});
        let renewed = call(&tower, &admin, "POST", "/v1/auth/token/renew", token).await.ok()["auth"].clone();
        assert!(renewed.get("jwt_svid").is_none() && renewed.get("x509_svid").is_none(), "{from}");
    }
}

#[tokio::test]
async fn a_secret_id_without_uses_left_is_gone() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    let ask = async |method: &str, path: &str, body: Value| {
        call(&tower, &admin, method, &format!("{ROLE}{path}"), body).await
    };
    // Nothing at all is as if it were left out.
    let role = json!({"secret_id_num_uses": 1, "token_bound_cidrs": ["192.0.2.1", "10.0.0.0/8", "2001:db8::1/128"]});
    ask("POST", "", role).await;
    let bound = &ask("GET", "", Value::Null).await.ok()["data"]["token_bound_cidrs"];
    assert_eq!(bound, &json!(["192.0.2.1", "10.0.0.0/8", "2001:db8::1"]));
    ask("POST", "", json!({"token_bound_cidrs": []})).await;
    let nothing = json!({"metadata": null, "num_uses": null, "ttl": null, "cidr_list": null});
    let used = ask("POST", "/secret-id", nothing).await.ok()["data"].clone();
    let left = ask("POST", "/secret-id", json!({})).await.ok()["data"].clone();
    let role_id = text(&ask("GET", "/role-id", Value::Null).await.ok()["data"]["role_id"]);
    tower.log_in(&role_id, used["secret_id"].as_str().unwrap()).await.ok();

    let listed = ask("LIST", "/secret-id", Value::Null).await.ok();
    assert_eq!(listed["data"]["keys"], json!([left["secret_id_accessor"]]));
    let by_itself = |made: &Value| json!({"secret_id": made["secret_id"]});
    let by_accessor = |made: &Value| json!({"secret_id_accessor": made["secret_id_accessor"]});
    assert_eq!(ask("POST", "/secret-id/lookup", by_itself(&used)).await.status, 204);
    assert_eq!(ask("POST", "/secret-id-accessor/lookup", by_accessor(&used)).await.status, 404);
    assert_eq!(ask("POST", "/secret-id/lookup", by_itself(&left)).await.ok()["data"]["secret_id_num_uses"], 1);
    // To destroy what is not there is done already.
    for made in [&used, &left, &left] {
        assert_eq!(ask("POST", "/secret-id/destroy", by_itself(made)).await.status, 204);
    }
    assert_eq!(ask("LIST", "/secret-id", Value::Null).await.status, 404);
    // Nor is one whose time is over.
    let short = ask("POST", "/secret-id", json!({"ttl": "1m"})).await.ok()["data"].clone();
    assert_eq!(ask("POST", "/secret-id/lookup", by_itself(&short)).await.status, 200);
    tower.pass(Duration::minutes(1)).await;
    assert_eq!(ask("POST", "/secret-id/lookup", by_itself(&short)).await.status, 204);
    assert_eq!(ask("POST", "/secret-id-accessor/lookup", by_accessor(&short)).await.status, 404);
    assert_eq!(ask("LIST", "/secret-id", Value::Null).await.status, 404);
    let token =
        json!({"policies": null, "num_uses": null, "id": null, "display_name": null, "no_parent": null, "meta": null});
    call(&tower, &admin, "POST", "/v1/auth/token/create", token).await.ok();
}
