//! Policies in the words of Vault: what they allow its clients, and what is kept of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use axum::{body::Body, http::Request};
use serde_json::{Value, json};
use support::{Reply, Tower};

async fn call(tower: &Tower, token: &str, method: &str, path: &str, body: Value) -> Reply {
    let request = Request::builder().method(method).uri(path).header("x-vault-token", token);
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    tower.send(request.body(body).unwrap()).await
}

const SERVICE: &str = r#"
# What a service needs.
path "transit/encrypt/orders" { capabilities = ["update"] }
path "transit/keys/*"         { capabilities = ["read", "list"] }
path "transit/keys/secret"    { capabilities = ["deny"] }
path "auth/approle/role/+/secret-id" { capabilities = ["create", "update"] }
"#;

#[tokio::test]
async fn a_policy_allows_what_its_text_says_and_is_read_back_as_it_was_written() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    let place = "/v1/sys/policies/acl/service";
    assert_eq!(call(&tower, &admin, "GET", place, Value::Null).await.status, 404);
    let before = tower.app.db.store().revision();
    assert_eq!(call(&tower, &admin, "PUT", place, json!({"policy": SERVICE})).await.status, 204);
    assert_eq!(tower.app.db.store().revision(), before + 1);
    let read = call(&tower, &admin, "GET", place, Value::Null).await.ok();
    assert_eq!(read["data"], json!({"name": "service", "policy": SERVICE}));
    let old = call(&tower, &admin, "GET", "/v1/sys/policy/service", Value::Null).await.ok();
    assert_eq!((&old["rules"], &old["data"]["rules"]), (&json!(SERVICE), &json!(SERVICE)));
    let names = call(&tower, &admin, "GET", "/v1/sys/policy", Value::Null).await.ok();
    assert_eq!(names["policies"], json!(["administrator", "default", "service"]));
    // It is the document of that name, with the rules that decide.
    let document = tower.get("/v1/config/strongbox/policies/service", &admin).await.ok();
    assert_eq!(document["vault-policy"], SERVICE);
    assert_eq!(document["rest-api"]["rules"][0]["path"], "/v1/transit/encrypt/orders");

    let role = json!({"token_policies": ["service"]});
    call(&tower, &admin, "POST", "/v1/auth/approle/role/service", role).await;
    let (role_id, secret_id) = tower.secret(&admin, "service", json!({})).await;
    let token = tower.log_in(&role_id, &secret_id).await.ok()["token"].as_str().unwrap().to_owned();
    for key in ["orders", "secret", "other"] {
        call(&tower, &admin, "POST", &format!("/v1/transit/keys/{key}"), json!({})).await.ok();
    }
    let plain = json!({"plaintext": "aGVsbG8="});
    for (method, path, body, status) in [
        ("POST", "/v1/transit/encrypt/orders", plain.clone(), 200),
        ("POST", "/v1/transit/encrypt/other", plain, 403),
        ("LIST", "/v1/transit/keys", Value::Null, 200),
        ("GET", "/v1/transit/keys/orders", Value::Null, 200),
        ("GET", "/v1/transit/keys/secret", Value::Null, 403),
        ("POST", "/v1/transit/keys/new", json!({}), 403),
        ("DELETE", "/v1/transit/keys/orders", Value::Null, 403),
        ("POST", "/v1/auth/approle/role/service/secret-id", json!({}), 200),
        ("LIST", "/v1/auth/approle/role/service/secret-id", Value::Null, 403),
        ("GET", "/v1/config/strongbox/transit-keys/orders", Value::Null, 403),
    ] {
        assert_eq!(call(&tower, &token, method, path, body).await.status, status, "{method} {path}");
    }

    // Replaced, by its JSON; then deleted.
    let json_text = json!({"path": {"*": {"capabilities": ["deny"]}}}).to_string();
    assert_eq!(call(&tower, &admin, "POST", place, json!({ "policy": json_text })).await.status, 204);
    assert_eq!(call(&tower, &token, "LIST", "/v1/transit/keys", Value::Null).await.status, 403);
    let before = tower.app.db.store().revision();
    for body in
        [json!({"policy": "path \"a*\" { capabilities = [\"read\"] }"}), json!({}), json!({"policy": "nonsense"})]
    {
        assert_eq!(call(&tower, &admin, "POST", place, body).await.status, 400);
    }
    assert_eq!(tower.app.db.store().revision(), before);
    let refused = call(&tower, &admin, "POST", place, json!({"policy": "path \"a\" { capabilities = [\"x\"] }"})).await;
    assert_eq!(refused.refused(400), "failed to parse policy: path `a`: there is no capability `x`");
    let merged = tower.call(
        "PATCH",
        "/v1/config/strongbox/policies/service",
        Some(&admin),
        Some(json!({"rest-api": {"rules": []}})),
    );
    assert!(merged.await.refused(400).contains("`vault-policy`: comes to other rules than those of `rest-api.rules`"));
    assert_eq!(call(&tower, &admin, "DELETE", place, Value::Null).await.status, 204);
    assert_eq!(call(&tower, &admin, "DELETE", place, Value::Null).await.status, 204);
    for built_in in ["default", "administrator"] {
        let place = format!("/v1/sys/policies/acl/{built_in}");
        assert_eq!(call(&tower, &admin, "DELETE", &place, Value::Null).await.status, 400);
        assert_eq!(call(&tower, &admin, "POST", &place, json!({"policy": SERVICE})).await.status, 400);
    }
}

#[tokio::test]
async fn what_is_made_and_changed_by_one_path_needs_what_it_needs_there() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    let text = r#"path "sys/policies/acl/*" { capabilities = ["update", "list"] }
        path "transit/keys/+" { capabilities = ["create"] }
        path "auth/approle/role/new" { capabilities = ["create"] }
        path "auth/approle/role/maker" { capabilities = ["update"] }"#;
    call(&tower, &admin, "PUT", "/v1/sys/policies/acl/maker", json!({ "policy": text })).await;
    call(&tower, &admin, "POST", "/v1/auth/approle/role/maker", json!({"token_policies": "maker"})).await;
    let (role_id, secret_id) = tower.secret(&admin, "maker", json!({})).await;
    let token = tower.log_in(&role_id, &secret_id).await.ok()["token"].as_str().unwrap().to_owned();
    for (method, path, body, status) in [
        ("PUT", "/v1/sys/policies/acl/new", json!({ "policy": text }), 204),
        ("PUT", "/v1/sys/policies/acl/new", json!({ "policy": text }), 204),
        ("LIST", "/v1/sys/policies/acl", Value::Null, 200),
        ("GET", "/v1/sys/policies/acl/new", Value::Null, 403),
        ("DELETE", "/v1/sys/policies/acl/new", Value::Null, 403),
        // A key is made by what is `update` there.
        ("POST", "/v1/transit/keys/k", json!({}), 403),
        // A role by `create`, and once.
        ("POST", "/v1/auth/approle/role/new", json!({}), 204),
        ("POST", "/v1/auth/approle/role/new", json!({}), 403),
        ("POST", "/v1/auth/approle/role/maker", json!({"token_ttl": "1h"}), 204),
    ] {
        assert_eq!(call(&tower, &token, method, path, body).await.status, status, "{method} {path}");
    }
}

#[tokio::test]
async fn the_policies_decide_on_the_name_that_is_meant() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    let text = r#"path "sys/policies/acl/*" { capabilities = ["update", "read", "delete"] }
        path "sys/policies/acl/guarded" { capabilities = ["deny"] }
        path "sys/policy/*" { capabilities = ["update", "read", "delete"] }
        path "sys/policy/guarded" { capabilities = ["deny"] }"#;
    for name in ["guarded", "keeper"] {
        call(&tower, &admin, "PUT", &format!("/v1/sys/policies/acl/{name}"), json!({ "policy": text })).await;
    }
    call(&tower, &admin, "POST", "/v1/auth/approle/role/keeper", json!({"token_policies": "keeper"})).await;
    let (role_id, secret_id) = tower.secret(&admin, "keeper", json!({})).await;
    let token = tower.log_in(&role_id, &secret_id).await.ok()["token"].as_str().unwrap().to_owned();
    for base in ["/v1/sys/policies/acl", "/v1/sys/policy"] {
        let body = json!({"policy": r#"path "*" { policy = "sudo" }"#});
        for (method, body) in [("GET", Value::Null), ("POST", body), ("DELETE", Value::Null)] {
            let answer = call(&tower, &token, method, &format!("{base}/GUARDED"), body.clone()).await;
            assert_eq!(answer.status, 403, "{method} {base}");
            let answer = call(&tower, &token, method, &format!("{base}/Free?x=Y"), body).await;
            assert!([200, 204, 404].contains(&answer.status.as_u16()), "{method} {base}: {answer:?}");
        }
    }
    let guarded = call(&tower, &admin, "GET", "/v1/sys/policies/acl/guarded", Value::Null).await.ok();
    assert_eq!(guarded["data"]["policy"], text);
}

#[tokio::test]
async fn a_policy_with_conditions_that_nothing_would_keep_is_refused() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    let text = "path \"a\" { capabilities = [\"read\"] }";
    for path in ["/v1/sys/policies/acl/short", "/v1/sys/policy/short"] {
        for (field, value) in [
            ("ttl", json!("1h")),
            ("ttl", json!(3600)),
            ("expiration", json!("2030-01-01T00:00:00Z")),
            ("cas", json!(0)),
            ("cas", json!("7")),
            ("cas_required", json!(true)),
        ] {
            let before = tower.app.db.store().revision();
            let answer = call(&tower, &admin, "PUT", path, json!({"policy": text, field: value})).await;
            assert!(answer.refused(400).contains(&format!("`{field}`")), "{field}");
            assert_eq!(tower.app.db.store().revision(), before);
        }
    }
    // What says nothing is read over.
    let body = json!({"policy": text, "ttl": "", "expiration": null, "cas": null, "cas_required": false});
    assert_eq!(call(&tower, &admin, "PUT", "/v1/sys/policies/acl/short", body).await.status, 204);
    let body = json!({"policy": text, "cas": -1});
    assert_eq!(call(&tower, &admin, "PUT", "/v1/sys/policies/acl/new", body.clone()).await.status, 204);
    let answer = call(&tower, &admin, "PUT", "/v1/sys/policies/acl/new", body).await;
    assert_eq!(answer.refused(400), "check-and-set parameter set to -1 on existing entry");
    for none in [json!(0), json!("0s")] {
        let body = json!({"policy": text, "ttl": none});
        assert_eq!(call(&tower, &admin, "PUT", "/v1/sys/policies/acl/short", body).await.status, 204);
    }
}
