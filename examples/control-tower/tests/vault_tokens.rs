//! AppRoles and tokens as clients of Vault see them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use axum::{body::Body, http::Request};
use serde_json::{Value, json};
use support::{Reply, Tower};
use time::Duration;

const ROLE: &str = "/v1/auth/approle/role/payments";

async fn call(tower: &Tower, token: &str, method: &str, path: &str, body: Value) -> Reply {
    let request = Request::builder().method(method).uri(path).header("x-vault-token", token);
    // As hvac does it: without a content type.
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    tower.send(request.body(body).unwrap()).await
}

async fn tower() -> (Tower, String) {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    let role = json!({"name": "payments", "token-ttl": "30m", "token-policies": ["b"], "secret-id-ttl": "2h"});
    tower.post("/v1/config/strongbox/authentication/approles", &admin, role).await.ok();
    (tower, admin)
}

/// Makes a tenant and logs its administrator in.
async fn tenant(tower: &Tower, operator: &str, name: &str) -> String {
    tower.post("/v1/config/tenants", operator, json!({"name": name})).await.ok();
    let reset = tower.post(&format!("/v1/state/tenants/{name}/reset-admin"), operator, json!({})).await.ok();
    let body = json!({"tenant": name, "username": "admin", "password": reset["password"]});
    text(&tower.call("POST", "/v1/login", None, Some(body)).await.ok()["token"])
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The one message of a refusal.
fn refused(reply: &Reply, status: u16) -> String {
    let body = reply.json();
    assert_eq!(reply.status.as_u16(), status, "{body}");
    assert_eq!(body["errors"].as_array().unwrap().len(), 1, "{body}");
    text(&body["errors"][0])
}

async fn log_in(tower: &Tower, role_id: &str, secret_id: &str) -> Reply {
    let body = json!({"role_id": role_id, "secret_id": secret_id});
    let request = Request::post("/v1/auth/approle/login").body(Body::from(body.to_string())).unwrap();
    tower.send(request).await
}

#[tokio::test]
async fn a_secret_id_is_made_looked_up_listed_used_and_destroyed() {
    let (tower, admin) = tower().await;
    let role_id =
        text(&call(&tower, &admin, "GET", &format!("{ROLE}/role-id"), Value::Null).await.ok()["data"]["role_id"]);
    let roles = call(&tower, &admin, "LIST", "/v1/auth/approle/role", Value::Null).await.ok();
    assert_eq!(roles["data"]["keys"], json!(["payments"]));
    let none = call(&tower, &admin, "LIST", &format!("{ROLE}/secret-id"), Value::Null).await;
    assert_eq!((none.status.as_u16(), none.json()), (404, json!({"errors": []})));

    let body =
        json!({"metadata": "{\"tag\": \"x\"}", "ttl": "10m", "num_uses": 2, "cidr_list": "192.0.2.0/24,10.0.0.0/8"});
    let made = call(&tower, &admin, "POST", &format!("{ROLE}/secret-id"), body).await.ok()["data"].clone();
    assert_eq!((&made["secret_id_ttl"], &made["secret_id_num_uses"]), (&json!(600), &json!(2)));
    let (secret, accessor) = (text(&made["secret_id"]), text(&made["secret_id_accessor"]));
    let custom = json!({"secret_id": "a-secret-of-16-b"});
    let path = format!("{ROLE}/custom-secret-id");
    let custom = call(&tower, &admin, "PUT", &path, custom).await.ok()["data"].clone();
    assert_eq!((&custom["secret_id"], &custom["secret_id_ttl"]), (&json!("a-secret-of-16-b"), &json!(7200)));
    let weak = call(&tower, &admin, "POST", &path, json!({"secret_id": "short"})).await;
    assert_eq!(refused(&weak, 400), "a supplied secret-id has 40 bits, at least 128 are needed");
    let again = call(&tower, &admin, "POST", &path, json!({"secret_id": "a-secret-of-16-b"})).await;
    assert_eq!(again.status, 400);

    let mut keys = vec![accessor.clone(), text(&custom["secret_id_accessor"])];
    keys.sort_unstable();
    let list = |query: &str| format!("{ROLE}/secret-id{query}");
    let all = call(&tower, &admin, "LIST", &list(""), Value::Null).await.ok();
    assert_eq!(all["data"]["keys"], json!(keys));
    let first = call(&tower, &admin, "GET", &list("?list=true&limit=1"), Value::Null).await.ok();
    assert_eq!(first["data"]["keys"], json!([keys[0]]));
    let rest = call(&tower, &admin, "LIST", &list(&format!("?after={}", keys[0])), Value::Null).await.ok();
    assert_eq!(rest["data"]["keys"], json!([keys[1]]));

    let login = log_in(&tower, &role_id, &secret).await.ok()["auth"].clone();
    assert_eq!((&login["lease_duration"], &login["renewable"]), (&json!(1800), &json!(true)));
    assert_eq!((&login["policies"], &login["token_type"]), (&json!(["b", "default"]), &json!("service")));
    assert_eq!((&login["metadata"]["role_name"], &login["orphan"]), (&json!("payments"), &json!(true)));
    let token = text(&login["client_token"]);
    let own = call(&tower, &token, "GET", "/v1/auth/token/lookup-self", Value::Null).await.ok()["data"].clone();
    assert_eq!((&own["id"], &own["accessor"]), (&login["client_token"], &login["accessor"]));
    assert_eq!((&own["policies"], &login["token_policies"]), (&login["policies"], &login["policies"]));
    assert_eq!(
        (&own["ttl"], &own["creation_ttl"], &own["path"]),
        (&json!(1800), &json!(1800), &json!("auth/approle/login"))
    );

    let by_secret = json!({"secret_id": secret});
    let by_accessor = json!({"secret_id_accessor": accessor});
    let found = call(&tower, &admin, "POST", &format!("{ROLE}/secret-id/lookup"), by_secret.clone()).await.ok();
    let same = call(&tower, &admin, "POST", &format!("{ROLE}/secret-id-accessor/lookup"), by_accessor.clone()).await;
    assert_eq!(found["data"], same.ok()["data"]);
    assert_eq!(found["data"]["metadata"], json!({"tag": "x"}));
    assert_eq!(found["data"]["secret_id_num_uses"], 1, "one was taken");
    assert_eq!(found["data"]["cidr_list"], json!(["192.0.2.0/24", "10.0.0.0/8"]));

    let gone = call(&tower, &admin, "POST", &format!("{ROLE}/secret-id-accessor/destroy"), by_accessor.clone()).await;
    assert_eq!(gone.status, 204);
    assert_eq!(
        call(&tower, &admin, "POST", &format!("{ROLE}/secret-id-accessor/lookup"), by_accessor).await.status,
        404
    );
    assert_eq!(call(&tower, &admin, "POST", &format!("{ROLE}/secret-id/lookup"), by_secret.clone()).await.status, 204);
    let destroy = format!("{ROLE}/secret-id/destroy");
    assert_eq!(call(&tower, &admin, "POST", &destroy, by_secret).await.status, 204, "there is nothing left to do");
    let custom = json!({"secret_id": "a-secret-of-16-b"});
    assert_eq!(call(&tower, &admin, "POST", &destroy, custom).await.status, 204);
    for (role_id, secret_id) in
        [(role_id.as_str(), secret.as_str()), (&role_id, "a-secret-of-16-b"), ("nobody", &secret)]
    {
        assert_eq!(refused(&log_in(&tower, role_id, secret_id).await, 400), "invalid role or secret ID");
    }
    assert_eq!(refused(&log_in(&tower, "", &secret).await, 400), "missing role_id");
}

#[tokio::test]
async fn tokens_are_created_renewed_and_revoked_by_every_name_they_have() {
    let (tower, admin) = tower().await;
    let (tower, admin) = (&tower, admin.as_str());
    let path = |call: &str| format!("/v1/auth/token/{call}");
    let create = json!({"policies": ["reader"], "ttl": "10m", "num_uses": 0, "meta": {"a": "b"}, "display_name": "x"});
    let made = call(tower, admin, "POST", &path("create"), create).await.ok()["auth"].clone();
    assert_eq!((&made["policies"], &made["orphan"]), (&json!(["reader"]), &json!(false)));
    assert_eq!((&made["lease_duration"], &made["renewable"]), (&json!(600), &json!(true)));
    let (token, accessor) = (text(&made["client_token"]), made["accessor"].clone());

    for (name, body) in [("lookup", json!({"token": token})), ("lookup-accessor", json!({"accessor": accessor}))] {
        let found = call(tower, admin, "POST", &path(name), body).await.ok()["data"].clone();
        assert_eq!(
            (&found["accessor"], &found["ttl"], &found["path"]),
            (&accessor, &json!(600), &json!("auth/token/create"))
        );
        assert_eq!(found["id"], if name == "lookup" { token.as_str() } else { "" });
    }
    tower.pass(Duration::minutes(5)).await;
    for (name, body) in [
        ("renew", json!({"token": token, "increment": "400"})),
        ("renew-accessor", json!({"accessor": accessor, "increment": 400})),
    ] {
        let renewed = call(tower, admin, "POST", &path(name), body).await.ok()["auth"].clone();
        assert_eq!((&renewed["lease_duration"], &renewed["accessor"]), (&json!(400), &accessor), "{name}");
        assert_eq!(renewed["client_token"], if name == "renew" { token.as_str() } else { "" });
    }
    assert_eq!(call(tower, admin, "POST", &path("revoke"), json!({"token": token})).await.status, 204);
    assert_eq!(call(tower, admin, "POST", &path("revoke"), json!({"token": token})).await.status, 204, "as good as");
    assert_eq!(refused(&call(tower, admin, "POST", &path("lookup"), json!({"token": token})).await, 403), "bad token");
    for name in ["lookup-accessor", "renew-accessor", "revoke-accessor"] {
        for accessor in [accessor.clone(), json!("nonsense")] {
            let answer = call(tower, admin, "POST", &path(name), json!({"accessor": accessor})).await;
            assert_eq!(refused(&answer, 400), "invalid accessor", "{name}");
        }
    }
    // A line of them ends by one revocation.
    let open = json!({"no_default_policy": true});
    let parent = text(&call(tower, admin, "POST", &path("create"), open).await.ok()["auth"]["client_token"]);
    let child = text(&call(tower, &parent, "POST", &path("create"), Value::Null).await.ok()["auth"]["client_token"]);
    let orphan =
        call(tower, &parent, "POST", &path("create"), json!({"no_parent": true, "type": "service"})).await.ok();
    assert_eq!(orphan["auth"]["orphan"], true);
    let other = call(tower, &parent, "POST", &path("create-orphan"), json!({"num_uses": 1})).await.ok();
    let batch = call(tower, &parent, "POST", &path("create"), json!({"type": "batch"})).await.ok()["auth"].clone();
    assert_eq!(
        (&batch["accessor"], &batch["token_type"], &batch["renewable"]),
        (&json!(""), &json!("batch"), &json!(false))
    );
    let batch = text(&batch["client_token"]);
    assert_eq!(
        refused(&call(tower, &batch, "POST", &path("renew-self"), Value::Null).await, 400),
        "batch tokens cannot be renewed"
    );
    assert_eq!(
        refused(&call(tower, &batch, "POST", &path("revoke-self"), Value::Null).await, 400),
        "batch tokens cannot be revoked"
    );
    assert_eq!(
        call(tower, &child, "POST", &path("renew-self"), json!({"increment": "1m"})).await.ok()["auth"]["lease_duration"],
        60
    );
    assert_eq!(call(tower, &parent, "POST", &path("revoke-self"), Value::Null).await.status, 204);
    for token in [&parent, &child, &batch] {
        let answer = call(tower, token, "GET", &path("lookup-self"), Value::Null).await;
        assert_eq!(refused(&answer, 403), "permission denied");
    }
    for orphan in [orphan, other] {
        call(tower, &text(&orphan["auth"]["client_token"]), "GET", &path("lookup-self"), Value::Null).await.ok();
    }
    // The one use of the other is taken.
    let counted = call(tower, admin, "POST", &path("create"), json!({"num_uses": 2})).await.ok();
    let counted = text(&counted["auth"]["client_token"]);
    let more = call(tower, &counted, "POST", &path("create"), Value::Null).await;
    assert_eq!(refused(&more, 400), "a token with a limited number of uses makes no other tokens");
}

#[tokio::test]
async fn nothing_is_revoked_by_the_name_of_nothing() {
    let (tower, admin) = tower().await;
    let answer = call(&tower, &admin, "POST", "/v1/auth/token/revoke", json!({"token": ""})).await;
    assert_eq!(answer.refused(400), "missing token ID");
    assert_eq!(call(&tower, &admin, "POST", "/v1/auth/token/revoke", json!({"token": "x"})).await.status, 204);
}

#[tokio::test]
async fn a_workload_reaches_its_own_token_and_no_other() {
    let (tower, admin) = tower().await;
    let (role_id, secret_id) = tower.secret(&admin, "payments", json!({})).await;
    let own = text(&log_in(&tower, &role_id, &secret_id).await.ok()["auth"]["client_token"]);
    let denied = [
        "create",
        "create-orphan",
        "lookup",
        "renew",
        "revoke",
        "lookup-accessor",
        "renew-accessor",
        "revoke-accessor",
    ];
    for name in denied {
        let answer = call(&tower, &own, "POST", &format!("/v1/auth/token/{name}"), json!({"token": admin})).await;
        assert!(refused(&answer, 403).starts_with("permission denied"), "{name}");
    }
    assert_eq!(
        call(&tower, &own, "POST", "/v1/auth/token/renew-self", Value::Null).await.ok()["auth"]["client_token"],
        own.as_str()
    );
    assert_eq!(call(&tower, &own, "POST", "/v1/auth/token/revoke-self", Value::Null).await.status, 204);
    // A token of another tower's tenant is none here.
    let (other, foreign) = self::tower().await;
    drop(other);
    let answer = call(&tower, &admin, "POST", "/v1/auth/token/lookup", json!({"token": foreign})).await;
    assert_eq!(refused(&answer, 403), "bad token");
}

async fn wrapping(tower: &Tower, token: &str, path: &str, ttl: &str, body: Value) -> Reply {
    let request = Request::post(path).header("x-vault-token", token).header("x-vault-wrap-ttl", ttl);
    tower.send(request.body(Body::from(body.to_string())).unwrap()).await
}

#[tokio::test]
async fn a_wrapped_secret_id_is_taken_once() {
    let (tower, admin) = tower().await;
    let (role_id, _) = tower.secret(&admin, "payments", json!({})).await;
    let wrap = wrapping(&tower, &admin, &format!("{ROLE}/secret-id"), "60s", json!({})).await.ok();
    assert_eq!(wrap["data"], Value::Null);
    let info = &wrap["wrap_info"];
    assert_eq!((&info["ttl"], &info["creation_path"]), (&json!(60), &json!("auth/approle/role/payments/secret-id")));
    let token = text(&info["token"]);
    let body = json!({"token": token});
    let looked = call(&tower, "", "POST", "/v1/sys/wrapping/lookup", body.clone()).await.ok();
    assert_eq!(looked["data"]["creation_ttl"], 60);
    // It is no token for anything else.
    assert_eq!(call(&tower, &token, "GET", "/v1/auth/token/lookup-self", Value::Null).await.status, 403);

    // Of many that take it at once, one has it; half of them name it in the header.
    let path = "/v1/sys/wrapping/unwrap";
    let (by_body, by_header) =
        (|| call(&tower, "", "POST", path, body.clone()), || call(&tower, &token, "POST", path, Value::Null));
    let (a, b, c, d) = tokio::join!(by_body(), by_header(), by_body(), by_header());
    let answers = [a, b, c, d];
    let (took, late): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!(took.len(), 1);
    for answer in late {
        assert_eq!(refused(&answer, 400), "wrapping token is not valid or does not exist");
    }
    log_in(&tower, &role_id, &text(&took[0].json()["data"]["secret_id"])).await.ok();

    // Nor after its time, when nothing is left of it.
    let any = wrapping(&tower, &admin, "/v1/sys/wrapping/wrap", "5m", json!({"a": 1})).await.ok();
    tower.pass(Duration::minutes(5) + Duration::seconds(1)).await;
    let late = json!({"token": any["wrap_info"]["token"]});
    let late = call(&tower, "", "POST", "/v1/sys/wrapping/unwrap", late).await;
    assert_eq!(refused(&late, 400), "wrapping token is not valid or does not exist");
    assert!(tower.app.db.store().range("wrapped/", None, 10, None).await.unwrap().is_empty());

    // What cannot be wrapped is not answered in clear.
    for path in ["/v1/sys/health", "/v1/state/strongbox/token/create"] {
        let refusal = wrapping(&tower, &admin, path, "5m", json!({})).await;
        assert_eq!(refusal.refused(400), "the answers of this path cannot be wrapped", "{path}");
    }
}

#[tokio::test]
async fn a_wrapping_token_is_looked_up_and_revoked_like_another() {
    let (tower, admin) = tower().await;
    let other = tenant(&tower, &admin, "beta").await;
    let (invalid, unwrap) = ("wrapping token is not valid or does not exist", "/v1/sys/wrapping/unwrap");
    let auth = |path: &str| format!("/v1/auth/token/{path}");
    for by_accessor in [false, true] {
        let wrap = wrapping(&tower, &admin, &format!("{ROLE}/secret-id"), "60s", json!({})).await.ok();
        let info = wrap["wrap_info"].clone();
        let (token, by_token) = (text(&info["token"]), json!({"token": info["token"]}));
        let accessor = json!({"accessor": info["accessor"]});
        let named = call(&tower, &admin, "POST", &auth("lookup-accessor"), accessor.clone()).await.ok()["data"].clone();
        assert_eq!((&named["id"], &named["accessor"]), (&json!(""), &info["accessor"]));
        assert_eq!((&named["policies"], &named["num_uses"]), (&json!(["response-wrapping"]), &json!(1)));
        assert_eq!((&named["path"], &named["creation_ttl"]), (&info["creation_path"], &json!(60)));
        let shown = call(&tower, &admin, "POST", &auth("lookup"), by_token.clone()).await.ok()["data"].clone();
        assert_eq!((&shown["id"], &shown["accessor"]), (&json!(token), &info["accessor"]));

        // To another tenant it is no token at all.
        assert_eq!(call(&tower, &other, "POST", &auth("revoke"), by_token.clone()).await.status, 204);
        assert_eq!(refused(&call(&tower, &other, "POST", &auth("lookup"), by_token.clone()).await, 403), "bad token");
        for path in ["lookup-accessor", "revoke-accessor"] {
            let elsewhere = call(&tower, &other, "POST", &auth(path), accessor.clone()).await;
            assert_eq!(refused(&elsewhere, 400), "invalid accessor", "{path}");
        }
        call(&tower, "", "POST", "/v1/sys/wrapping/lookup", by_token.clone()).await.ok();

        let (path, body) = if by_accessor { ("revoke-accessor", &accessor) } else { ("revoke", &by_token) };
        assert_eq!(call(&tower, &admin, "POST", &auth(path), body.clone()).await.status, 204, "{path}");
        assert_eq!(refused(&call(&tower, "", "POST", unwrap, by_token.clone()).await, 400), invalid, "{path}");
        assert_eq!(call(&tower, &admin, "POST", &auth("revoke"), by_token).await.status, 204);
        for path in ["lookup-accessor", "revoke-accessor"] {
            let gone = call(&tower, &admin, "POST", &auth(path), accessor.clone()).await;
            assert_eq!(refused(&gone, 400), "invalid accessor", "{path}");
        }
        let records = tower.audit(&admin).await;
        let ended =
            |record: &&Value| record["event"] == "token-revoke" && record["detail"]["accessor"] == info["accessor"];
        assert_eq!(records.iter().filter(ended).count(), 1, "{path}");
    }
    // What is taken, wrapped again or over leaves no accessor behind.
    let taken = wrapping(&tower, &admin, "/v1/sys/wrapping/wrap", "5m", json!({"a": 1})).await.ok();
    call(&tower, "", "POST", unwrap, json!({"token": taken["wrap_info"]["token"]})).await.ok();
    let old = wrapping(&tower, &admin, "/v1/sys/wrapping/wrap", "5m", json!({"a": 1})).await.ok()["wrap_info"].clone();
    let new = call(&tower, &admin, "POST", "/v1/sys/wrapping/rewrap", json!({"token": old["token"]})).await.ok();
    let found = async |info: &Value| {
        call(&tower, &admin, "POST", &auth("lookup-accessor"), json!({"accessor": info["accessor"]}))
            .await
            .status
            .as_u16()
    };
    let states = (found(&taken["wrap_info"]).await, found(&old).await, found(&new["wrap_info"]).await);
    assert_eq!(states, (400, 400, 200));
    tower.pass(Duration::minutes(5) + Duration::seconds(1)).await;
    let left = tower.app.db.store().range("t/", None, 1000, None).await.unwrap();
    assert!(!left.iter().any(|entry| entry.key.contains("/wrapped")), "{left:?}");
}

#[tokio::test]
async fn a_login_is_good_in_its_own_namespace_alone() {
    let (tower, admin) = tower().await;
    tenant(&tower, &admin, "beta").await;
    let id = tower.tenant();
    // Seven uses: what is refused takes none.
    let (role_id, secret_id) = tower.secret(&admin, "payments", json!({"num-uses": 7})).await;
    let log_in = async |namespace: &str, secret_id: &str| {
        let body = json!({"role_id": role_id, "secret_id": secret_id}).to_string();
        let request = Request::post("/v1/auth/approle/login").header("x-vault-namespace", namespace);
        tower.send(request.body(Body::from(body)).unwrap()).await
    };
    let wrong = log_in("default", "none").await;
    assert_eq!(refused(&wrong, 400), "invalid role or secret ID");
    for namespace in ["beta", "beta/", "nothere", "../x", "default/x", "Default", "*", "\u{e9}"] {
        let answer = log_in(namespace, &secret_id).await;
        assert_eq!((answer.status, answer.json()), (wrong.status, wrong.json()), "{namespace}");
    }
    let records = tower.audit(&admin).await;
    let refusals: Vec<_> = records.iter().filter(|record| record["event"] == "approle-login").collect();
    let elsewhere =
        |record: &&&Value| record["detail"]["reason"] == "other-namespace" && record["subject"] == "approle/payments";
    assert_eq!((refusals.len(), refusals.iter().filter(elsewhere).count()), (9, 8), "{refusals:?}");
    for namespace in ["", "/", "default", "default/", "/default", &id] {
        log_in(namespace, &secret_id).await.ok();
    }
    self::log_in(&tower, &role_id, &secret_id).await.ok();
    assert_eq!(refused(&log_in("default", &secret_id).await, 400), "invalid role or secret ID");
}
