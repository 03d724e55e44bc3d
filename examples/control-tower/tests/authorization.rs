//! Who may do what: every route, and every way around that we could think of.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use axum::{
    body::Body,
    http::{Method, Request},
};
use control_tower::router::{Access, Route, routes};
use serde_json::{Value, json};
use support::{Reply, Tower, WALK};

const TOKEN: &str = "/v1/state/strongbox/token";
const CAPABILITIES: &str = "/v1/state/strongbox/policies/capabilities";
const KEY: &str = "/v1/state/strongbox/transit-keys";
const ROLE: &str = "/v1/state/strongbox/authentication/approles";

/// A tower with the walk's configuration, two further keys, and an administrator.
async fn tower() -> (Tower, String) {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    tower.bulk(&admin, WALK).await.ok();
    for name in ["mine", "secret"] {
        tower.post("/v1/config/strongbox/transit-keys", &admin, json!({"name": name})).await.ok();
    }
    (tower, admin)
}

/// A token with these rules and nothing else.
async fn restricted(tower: &Tower, admin: &str, name: &str, rules: Value) -> String {
    let policy = json!({"name": name, "rest-api": {"rules": rules}});
    tower.post("/v1/config/strongbox/policies", admin, policy).await.ok();
    let role = json!({"name": name, "token-policies": [name], "token-no-default-policy": true});
    tower.post("/v1/config/strongbox/authentication/approles", admin, role).await.ok();
    log_in(tower, admin, name).await
}

async fn log_in(tower: &Tower, admin: &str, role: &str) -> String {
    let (role_id, secret_id) = tower.secret(admin, role, json!({})).await;
    tower.log_in(&role_id, &secret_id).await.ok()["token"].as_str().unwrap().to_owned()
}

/// The routes that want a token.
fn closed() -> Vec<Route> {
    routes().into_iter().filter(|route| route.access != Access::Public && !is_for_vault(route)).collect()
}

/// Those answer in another shape; `tests/vault.rs` has the same of them.
fn is_for_vault(route: &Route) -> bool {
    ["/v1/sys/", "/v1/transit/", "/v1/auth/"].iter().any(|prefix| route.path.starts_with(prefix))
}

/// A path of a route.
fn example(path: &str) -> String {
    path.replace("{*path}", "strongbox/transit-keys/mine").replace("{name}", "mine")
}

async fn send(tower: &Tower, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    tower.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

/// The store as it is, to see that nothing was changed.
fn revision(tower: &Tower) -> u64 {
    tower.app.db.store().revision()
}

#[tokio::test]
async fn nobody_gets_in_without_a_token_that_counts() {
    let (tower, admin) = tower().await;
    let (other, _) = self::tower().await;
    let foreign = other.administrator().await;
    let revoked = tower.administrator().await;
    tower.call("POST", &format!("{TOKEN}/revoke"), Some(&revoked), None).await.ok();
    let expired = log_in(&tower, &admin, "payments").await;
    tower.pass(time::Duration::hours(24)).await;
    let admin = tower.administrator().await;
    let before = revision(&tower);
    assert!(closed().len() > 20);
    for route in closed() {
        let path = example(route.path);
        let url = |query: &str| format!("{path}?{query}={admin}");
        let basic = format!("Basic {admin}");
        let (split, cut) = (format!("Bearer {}", admin.replace('.', " ")), &admin[..admin.len() - 1]);
        // Nothing that is a token where we look for one.
        let none: [(&str, Vec<(&str, &str)>); 9] = [
            (&path, vec![]),
            (&url("token"), vec![]),
            (&url("access_token"), vec![]),
            (&url("authorization"), vec![]),
            (&path, vec![("cookie", &admin)]),
            (&path, vec![("authorization", &basic)]),
            (&path, vec![("authorization", &admin)]),
            (&path, vec![("proxy-authorization", &admin), ("x-api-key", &admin), ("token", &admin)]),
            (&path, vec![("authorization", "Bearer"), ("x-vault-token", "")]),
        ];
        for (path, headers) in none {
            let answer = send(&tower, route.method, path, &headers, "{}").await;
            assert_eq!(answer.refused(401), "a token is required", "{} {path}", route.method);
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
        }
        // Tokens that do not count.
        let admin_upper = admin.to_uppercase();
        for token in [foreign.as_str(), &revoked, &expired, cut, &admin_upper, "x", "null", "*", "../x", "a'b\"c;--"] {
            for header in [("authorization", format!("Bearer {token}")), ("x-vault-token", token.to_owned())] {
                let answer = send(&tower, route.method, &path, &[(header.0, &header.1)], "{}").await;
                assert_eq!(answer.refused(401), "invalid or expired token", "{} {path}: {header:?}", route.method);
            }
        }
        if split != format!("Bearer {admin}") {
            assert_eq!(send(&tower, route.method, &path, &[("authorization", &split)], "{}").await.status, 401);
        }
        // A good one beside another.
        let (good, bad) = (format!("Bearer {admin}"), format!("Bearer {foreign}"));
        for pair in [
            [("authorization", good.as_str()), ("x-vault-token", &foreign)],
            [("authorization", &bad), ("x-vault-token", &admin)],
            [("authorization", &good), ("authorization", &bad)],
            [("authorization", &bad), ("authorization", &good)],
        ] {
            let answer = send(&tower, route.method, &path, &pair, "{}").await;
            assert_eq!(answer.refused(400), "there are two different tokens: send one", "{} {path}", route.method);
        }
    }
    assert_eq!(revision(&tower), before);
}

#[tokio::test]
async fn a_token_without_policies_may_do_nothing() {
    let (tower, admin) = tower().await;
    let nobody = restricted(&tower, &admin, "nobody", json!([])).await;
    let before = revision(&tower);
    for route in closed() {
        let path = example(route.path);
        let body = match path.as_str() {
            "/v1/bulk" => "{x-path: strongbox/transit-keys/mine, x-operation: delete}",
            _ => r#"{"name":"mine"}"#,
        };
        let header = format!("Bearer {nobody}");
        let headers = [("authorization", header.as_str()), ("x-vault-namespace", "default")];
        let answer = send(&tower, route.method, &path, &headers, body).await;
        assert!(answer.refused(403).starts_with("permission denied: "), "{} {path}", route.method);
    }
    assert_eq!(revision(&tower), before);
    // Every one of them is in the log, by name.
    let records = tower.audit(&admin).await;
    let denied: Vec<_> = records.iter().filter(|record| record["event"] == "denied").collect();
    for route in closed().iter().filter(|route| route.path != "/v1/bulk") {
        let path = example(route.path);
        assert!(denied.iter().any(|record| record["detail"]["path"] == path), "{path}");
    }
    assert!(denied.iter().all(|record| record["subject"] == "approle/nobody" && record["outcome"] == "refused"));
}

#[tokio::test]
async fn the_default_policy_is_for_the_token_itself() {
    let (tower, admin) = tower().await;
    let workload = log_in(&tower, &admin, "payments").await;
    for route in closed() {
        let path = example(route.path);
        if path == format!("{TOKEN}/revoke") {
            continue;
        }
        let body = match path.as_str() {
            "/v1/bulk" => "{x-path: strongbox/policies/mine, x-operation: delete}",
            CAPABILITIES => r#"{"path": "/v1/bulk"}"#,
            _ => "{}",
        };
        let header = format!("Bearer {workload}");
        let answer = send(&tower, route.method, &path, &[("authorization", &header)], body).await;
        match path == TOKEN || path == CAPABILITIES || path == format!("{TOKEN}/refresh") {
            true => assert!(answer.status.is_success(), "{} {path}: {answer:?}", route.method),
            false => assert!(answer.refused(403).starts_with("permission denied: "), "{} {path}", route.method),
        }
    }
    tower.call("POST", &format!("{TOKEN}/revoke"), Some(&workload), None).await.ok();
}

/// Other spellings of a path that is denied.
fn spellings(path: &str) -> Vec<String> {
    let (folder, last) = path.rsplit_once("/secret").unwrap();
    [
        "/secre%74",
        "/%73ecret",
        "/SECRET",
        "/Secret",
        "/./secret",
        "/mine/../secret",
        "/%2e/secret",
        "/mine/%2e%2e/secret",
        "//secret",
        "/%2fsecret",
        "%2fsecret",
        "/secret%2f",
        "/secret%00",
        "/secret%20",
        "/secret;x=y",
        "/secret.",
        "/%2573ecret",
        "/secret%3f",
        "/secret%23",
        "/secret%0a",
        "\\secret",
        "/\u{ff53}ecret",
        "/secret%E2%80%8B",
    ]
    .iter()
    .map(|spelling| format!("{folder}{spelling}{last}"))
    .collect()
}

#[tokio::test]
async fn a_denied_path_is_denied_however_it_is_spelt() {
    let (tower, admin) = tower().await;
    let everything =
        json!({"read": "allow", "create": "allow", "update": "allow", "delete": "allow", "execute": "allow"});
    let nothing = json!({"read": "deny", "create": "deny", "update": "deny", "delete": "deny", "execute": "deny"});
    let rules = json!([
        {"path": "/v1/**", "operations": everything},
        {"path": "/v1/state/strongbox/transit-keys/secret/**", "operations": nothing},
        {"path": "/v1/state/strongbox/transit-keys/secret", "operations": nothing},
        {"path": "/v1/config/strongbox/transit-keys/secret", "operations": nothing},
    ]);
    let almost = restricted(&tower, &admin, "almost", rules).await;
    let body = json!({"plaintext": "aGk="});
    tower.post(&format!("{KEY}/mine/encrypt"), &almost, body.clone()).await.ok();
    tower.get("/v1/config/strongbox/transit-keys/mine", &almost).await.ok();
    assert_eq!(tower.post(&format!("{KEY}/secret/encrypt"), &almost, body.clone()).await.status, 403);
    let before = revision(&tower);
    for (path, methods) in [
        (format!("{KEY}/secret/encrypt"), &["POST"][..]),
        (format!("{KEY}/secret/rotate"), &["POST"]),
        (format!("{KEY}/secret"), &["GET", "HEAD"]),
        ("/v1/config/strongbox/transit-keys/secret".to_owned(), &["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"]),
    ] {
        for method in methods {
            for path in std::iter::once(path.clone()).chain(spellings(&path)) {
                // What is no URI at all never gets here.
                let Ok(uri) = path.parse::<axum::http::Uri>() else { continue };
                let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(uri);
                for (name, value) in [
                    ("authorization", format!("Bearer {almost}").as_str()),
                    ("content-type", "application/json"),
                    // What some servers and proxies would believe more than the request line.
                    ("x-original-url", "/live"),
                    ("x-rewrite-url", "/live"),
                    ("x-http-method-override", "GET"),
                ] {
                    request = request.header(name, value);
                }
                let body = if path.ends_with("encrypt") { body.to_string() } else { r#"{"name":"secret"}"#.to_owned() };
                let answer = tower.send(request.body(Body::from(body)).unwrap()).await;
                let status = answer.status.as_u16();
                assert!([400, 403, 404, 405].contains(&status), "{method} {path}: {answer:?}");
            }
        }
    }
    assert_eq!(revision(&tower), before);
    assert_eq!(tower.get(&format!("{KEY}/secret"), &admin).await.ok()["active-version"], 1);
}

#[tokio::test]
async fn variables_stand_for_who_asks_and_for_nothing_else() {
    let (tower, admin) = tower().await;
    let rules =
        json!([{"path": "/v1/state/strongbox/transit-keys/${approle}/encrypt", "operations": {"execute": "allow"}}]);
    let own = restricted(&tower, &admin, "mine", rules).await;
    let plaintext = || json!({"plaintext": "aGVsbG8="});
    tower.post(&format!("{KEY}/mine/encrypt"), &own, plaintext()).await.ok();
    tower.post(&format!("{KEY}/secret/encrypt"), &own, plaintext()).await.refused(403);

    // In whose policies a variable has no value, they are denied what may be meant, and the log says why.
    let rules = json!([
        {"path": "/v1/state/strongbox/transit-keys/**", "operations": {"execute": "allow"}},
        {"path": "/v1/state/strongbox/transit-keys/${user}/encrypt", "operations": {"execute": "deny"}},
    ]);
    let other = restricted(&tower, &admin, "other", rules).await;
    tower.post(&format!("{KEY}/secret/encrypt"), &other, plaintext()).await.refused(403);
    let audit = tower.audit(&admin).await;
    let denied = audit.iter().rev().find(|record| record["event"] == "denied").unwrap();
    let reason = denied["detail"]["reason"].as_str().unwrap();
    assert!(reason.starts_with("denied because a variable has no value in `"), "{reason}");
}

#[tokio::test]
async fn a_bulk_is_permitted_document_by_document() {
    let (tower, admin) = tower().await;
    let rules = json!([
        {"path": "/v1/config/strongbox/transit-keys/mine", "operations": {"update": "allow"}},
        {"path": "/v1/config/strongbox/transit-keys/new", "operations": {"create": "allow"}},
    ]);
    let editor = restricted(&tower, &admin, "editor", rules).await;
    let document = |path: &str, operation: &str, fields: &str| {
        format!("---\nx-path: {path}\nx-operation: {operation}\n{fields}\n")
    };
    let mine = document("strongbox/transit-keys/mine", "replace", "name: mine\nexportable: true");
    let before = revision(&tower);
    let policy =
        "name: editor\nrest-api: {rules: [{path: /v1/**, operations: {read: allow, update: allow, execute: allow}}]}";
    for (forbidden, status) in [
        (document("strongbox/policies/editor", "replace", policy), 403),
        (document("/v1/config/strongbox/policies/editor", "merge", policy), 403),
        (document("strongbox/transit-keys/../policies/editor", "replace", policy), 400),
        (document("strongbox/transit-keys/mine/../../policies/editor", "replace", policy), 400),
        (document("strongbox%2fpolicies%2feditor", "replace", policy), 400),
        (document("'/v1/config//strongbox/policies/editor'", "replace", policy), 400),
        (document("/v1/config/v1/config/strongbox/policies/editor", "replace", policy), 403),
        (document("strongbox/authentication/approles/editor", "merge", "token-policies: [administrator]"), 403),
        (document("strongbox/authentication/spiffe-settings", "delete", ""), 403),
        // The right document, the wrong operation.
        (document("strongbox/transit-keys/mine", "delete", ""), 403),
        (document("strongbox/transit-keys/mine", "create", "name: mine"), 403),
        (document("strongbox/transit-keys/new", "merge", "name: new"), 403),
        (document("strongbox/transit-keys/new", "delete", ""), 403),
        // Whether these exist is not told.
        (document("strongbox/transit-keys/secret", "create", "name: secret"), 403),
        (document("strongbox/transit-keys/nothing", "create", "name: nothing"), 403),
        (document("strongbox/transit-keys/secret", "merge", "name: secret"), 403),
        (document("strongbox/transit-keys/nothing", "merge", "name: nothing"), 403),
        (document("strongbox/transit-keys/nothing", "delete", ""), 403),
        // Nor what a document that may not be seen would be refused for.
        (document("strongbox/transit-keys/secret", "replace", "name: wrong\ncipher: none"), 403),
    ] {
        for yaml in [forbidden.clone(), format!("{mine}{forbidden}"), format!("{forbidden}{mine}")] {
            assert_eq!(tower.bulk(&editor, &yaml).await.status.as_u16(), status, "{yaml}");
            let request = Request::post("/v1/bulk?validate=true").header("authorization", format!("Bearer {editor}"));
            let dry = tower.send(request.body(Body::from(yaml.clone())).unwrap()).await;
            assert_eq!(dry.status.as_u16(), status, "{yaml}");
        }
    }
    assert_eq!(revision(&tower), before, "nothing of a bulk with one forbidden document is stored");
    tower.bulk(&editor, &mine).await.ok();
    tower.bulk(&editor, &document("strongbox/transit-keys/new", "create", "name: new")).await.ok();
    // Now that it is there, creating it is not what a replacement would be.
    let again = document("strongbox/transit-keys/new", "replace", "name: new\nexportable: true");
    assert_eq!(tower.bulk(&editor, &again).await.status, 403);
}

#[tokio::test]
async fn what_belongs_to_one_role_or_tenant_is_of_no_use_to_another() {
    let (tower, admin) = tower().await;
    tower.post("/v1/config/strongbox/authentication/approles", &admin, json!({"name": "other"})).await.ok();
    let made = tower.post(&format!("{ROLE}/payments/generate-secret-id"), &admin, json!({})).await.ok();
    let accessor = json!({"accessor": made["accessor"]});
    for call in ["lookup-secret-id", "destroy-secret-id"] {
        assert_eq!(tower.post(&format!("{ROLE}/other/{call}"), &admin, accessor.clone()).await.status, 404, "{call}");
    }
    let secret_id = made["secret-id"].as_str().unwrap();
    let (payments, _) = tower.secret(&admin, "payments", json!({})).await;
    let (other, _) = tower.secret(&admin, "other", json!({})).await;
    tower.log_in(&payments, secret_id).await.ok();
    let (tenant, accessor) = (tower.tenant(), made["accessor"].as_str().unwrap());
    for (role_id, secret_id) in [
        (other.as_str(), secret_id),
        ("payments", secret_id),
        (&tenant, secret_id),
        (secret_id, &payments),
        (&payments, &payments),
        (&payments, accessor),
        (&payments, ""),
        ("", secret_id),
        (&format!(" {payments}"), secret_id),
        (&payments, &format!("{secret_id}\0")),
    ] {
        assert_eq!(tower.log_in(role_id, secret_id).await.refused(401), "invalid role-id or secret-id");
    }

    // A role that was deleted and made again is another one.
    let fixed = json!({"name": "again", "fixed-role-id": "01234567-89ab-4def-8123-456789abcdef"});
    tower.post("/v1/config/strongbox/authentication/approles", &admin, fixed.clone()).await.ok();
    let (role_id, secret_id) = tower.secret(&admin, "again", json!({})).await;
    tower.log_in(&role_id, &secret_id).await.ok();
    tower.call("DELETE", "/v1/config/strongbox/authentication/approles/again", Some(&admin), None).await.ok();
    assert_eq!(tower.log_in(&role_id, &secret_id).await.status, 401);
    tower.post("/v1/config/strongbox/authentication/approles", &admin, fixed).await.ok();
    assert_eq!(tower.log_in(&role_id, &secret_id).await.status, 401);

    // Tenants that are not there, and what would be one in another place.
    let password = tower.credentials.as_ref().unwrap().password.as_str();
    for tenant in ["other", "", "Default", "default/", "../default", "*"] {
        let body = json!({"username": "admin", "password": password, "tenant": tenant});
        let answer = tower.call("POST", "/v1/login", None, Some(body)).await;
        assert_eq!(answer.refused(401), "invalid username or password", "{tenant}");
    }
    for path in ["other/jwks", "default/jwks", "x/jwks", "%2e%2e/jwks", "*/jwks"] {
        let answer = tower.call("GET", &format!("/{path}"), None, None).await;
        assert_eq!(answer.refused(404), "no signing key is published here", "{path}");
    }
    // One without an authority says the same as one that is not there.
    let bundles =
        ["/other/spiffe-bundle", "/v1/get-spiffe-bundle?tenant=other", "/v1/get-spiffe-bundle?tenant=default"];
    for path in bundles {
        let answer = tower.call("GET", path, None, None).await;
        assert_eq!(answer.refused(404), "no bundle is published here", "{path}");
    }
}

#[tokio::test]
async fn of_many_uses_of_a_token_with_one_use_one_succeeds() {
    let (tower, admin) = tower().await;
    let role = json!({"name": "once", "token-num-uses": 1});
    tower.post("/v1/config/strongbox/authentication/approles", &admin, role).await.ok();
    let token = log_in(&tower, &admin, "once").await;
    let tower = std::sync::Arc::new(tower);
    let mut uses = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let (tower, token) = (std::sync::Arc::clone(&tower), token.clone());
        uses.spawn(async move { tower.get(TOKEN, &token).await.status.as_u16() });
    }
    let mut statuses = uses.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses[1..].iter().all(|status| *status == 401), "{statuses:?}");
}
