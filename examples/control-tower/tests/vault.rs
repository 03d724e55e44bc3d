//! The surface for clients of Vault: who may, in which shape it answers, and that it does what the other routes do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use axum::{body::Body, http::Request};
use control_tower::router::{Access, Route, routes};
use serde_json::{Value, json};
use support::{Reply, Tower};

async fn tower() -> (Tower, String) {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    (tower, admin)
}

async fn send(tower: &Tower, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    // As hvac does it: without a content type.
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    tower.send(request.body(body).unwrap()).await
}

async fn call(tower: &Tower, token: &str, method: &str, path: &str, body: Value) -> Reply {
    send(tower, method, path, &[("x-vault-token", token)], &body).await
}

/// A token with these rules and nothing else.
async fn restricted(tower: &Tower, admin: &str, name: &str, rules: Value) -> String {
    let policy = json!({"name": name, "rest-api": {"rules": rules}});
    tower.post("/v1/config/strongbox/policies", admin, policy).await.ok();
    let role = json!({"name": name, "token-policies": [name], "token-no-default-policy": true});
    tower.post("/v1/config/strongbox/authentication/approles", admin, role).await.ok();
    let (role_id, secret_id) = tower.secret(admin, name, json!({})).await;
    tower.log_in(&role_id, &secret_id).await.ok()["token"].as_str().unwrap().to_owned()
}

/// The routes that want a token.
fn closed() -> Vec<Route> {
    let prefixes = ["/v1/sys/", "/v1/transit/", "/v1/auth/"];
    let is_ours = |route: &Route| prefixes.iter().any(|prefix| route.path.starts_with(prefix));
    routes().into_iter().filter(|route| route.access != Access::Public && is_ours(route)).collect()
}

fn example(path: &str) -> String {
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { "mine" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn nobody_gets_in_without_a_token_and_a_policy() {
    let (tower, admin) = tower().await;
    let (other, _) = self::tower().await;
    let foreign = other.administrator().await;
    let nobody = restricted(&tower, &admin, "nobody", json!([])).await;
    let before = tower.app.db.store().revision();
    assert!(closed().len() >= 6);
    for route in closed() {
        let path = example(route.path);
        for method in [route.method, if route.method == "POST" { "PUT" } else { "LIST" }] {
            for headers in [&[][..], &[("x-vault-token", foreign.as_str())], &[("x-vault-token", "x")]] {
                let answer = send(&tower, method, &path, headers, &json!({})).await;
                assert_eq!(answer.refused(403), "permission denied", "{method} {path}");
                assert_eq!(answer.json(), json!({"errors": ["permission denied"]}));
            }
            let denied = call(&tower, &nobody, method, &path, json!({})).await.refused(403);
            assert!(denied.starts_with("permission denied: "), "{method} {path}: {denied}");
        }
    }
    assert_eq!(tower.app.db.store().revision(), before);
}

#[tokio::test]
async fn a_token_is_of_no_use_in_another_namespace_and_whether_there_is_one_is_not_told() {
    let (tower, admin) = tower().await;
    let id = tower.tenant();
    for namespace in ["", "default", "default/", "/default", &id] {
        let headers = [("x-vault-token", admin.as_str()), ("x-vault-namespace", namespace)];
        send(&tower, "GET", "/v1/sys/mounts", &headers, &Value::Null).await.ok();
    }
    for namespace in ["other", "Default", "root", "default/x", "*", "../default"] {
        let headers = [("x-vault-token", admin.as_str()), ("x-vault-namespace", namespace)];
        let answer = send(&tower, "GET", "/v1/sys/mounts", &headers, &Value::Null).await.refused(403);
        assert_eq!(answer, "permission denied: the token is not of that namespace", "{namespace}");
        // The other routes heed it too.
        send(&tower, "GET", "/v1/state/strongbox/token", &headers, &Value::Null).await.refused(403);
    }
}

#[tokio::test]
async fn a_client_finds_what_it_looks_at_first() {
    let (tower, admin) = tower().await;
    for path in ["health", "seal-status"] {
        let answer = send(&tower, "GET", &format!("/v1/sys/{path}"), &[], &Value::Null).await.ok();
        assert_eq!((&answer["initialized"], &answer["sealed"]), (&json!(true), &json!(false)));
        assert_eq!(send(&tower, "HEAD", &format!("/v1/sys/{path}"), &[], &Value::Null).await.status, 200);
    }
    let mounts = call(&tower, &admin, "GET", "/v1/sys/mounts", Value::Null).await.ok();
    assert_eq!((&mounts["transit/"]["type"], &mounts["data"]["transit/"]), (&json!("transit"), &mounts["transit/"]));
    let logins = call(&tower, &admin, "GET", "/v1/sys/auth", Value::Null).await.ok();
    assert_eq!(
        (&logins["data"]["approle/"]["type"], &logins["data"]["token/"]["type"]),
        (&json!("approle"), &json!("token"))
    );
    let again = call(&tower, &admin, "POST", "/v1/sys/mounts/transit", json!({"type": "transit"})).await;
    assert_eq!(again.refused(400), "path is already in use at transit/");
    let again = call(&tower, &admin, "PUT", "/v1/sys/auth/approle", json!({"type": "approle"})).await;
    assert_eq!(again.refused(400), "path is already in use at approle/");
    let other = call(&tower, &admin, "POST", "/v1/sys/mounts/kv", json!({"type": "kv"})).await.refused(400);
    assert_eq!(other, "`kv` cannot be enabled at another path: there are `sys/`, `transit/`");

    let policy =
        json!({"name": "p", "rest-api": {"rules": [{"path": "/v1/transit/**", "operations": {"execute": "allow"}}]}});
    tower.post("/v1/config/strongbox/policies", &admin, policy.clone()).await.ok();
    let list = call(&tower, &admin, "LIST", "/v1/sys/policies/acl", Value::Null).await.ok();
    assert_eq!(list["data"], json!({"keys": ["administrator", "default", "p"]}));
    let in_query = call(&tower, &admin, "GET", "/v1/sys/policies/acl?list=true", Value::Null).await.ok();
    assert_eq!(in_query["data"], list["data"]);
    let read = call(&tower, &admin, "GET", "/v1/sys/policies/acl/p", Value::Null).await.ok();
    assert_eq!(read["data"]["name"], "p");
    assert_eq!(serde_json::from_str::<Value>(read["data"]["policy"].as_str().unwrap()).unwrap()["name"], "p");
}

#[tokio::test]
async fn refusals_have_their_shape() {
    let (tower, admin) = tower().await;
    let errors = async |method: &str, path: &str, body: Value| {
        let answer = call(&tower, &admin, method, path, body).await;
        (answer.status.as_u16(), answer.json())
    };
    assert_eq!(errors("GET", "/v1/sys/policies/acl/none", Value::Null).await, (404, json!({"errors": []})));
    for (method, path, status) in [
        ("GET", "/v1/sys/policies/acl", 405),
        ("DELETE", "/v1/sys/mounts", 405),
        ("LIST", "/v1/sys/nothing", 404),
        ("GET", "/v1/transit/nothing", 404),
    ] {
        let (found, json) = errors(method, path, Value::Null).await;
        assert_eq!(found, status, "{method} {path}");
        assert!(json["errors"][0].is_string(), "{json}");
    }
    let (status, json) = errors("POST", "/v1/sys/mounts/transit", json!({"kind": 1})).await;
    assert!(status == 400 && json["errors"][0].as_str().unwrap().contains("`type`"), "{json}");
    // Elsewhere nothing changed: `PUT` is not `POST`, and there is no `LIST`.
    assert_eq!(call(&tower, &admin, "LIST", "/v1/config/strongbox/policies", Value::Null).await.status, 405);
    assert_eq!(call(&tower, &admin, "PUT", "/v1/state/strongbox/token/refresh", Value::Null).await.status, 405);
}
