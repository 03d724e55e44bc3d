//! Two tenants on the running program: the same names in both, trust domains and issuers of their own; one is removed, also with
//! `kill -9` in between, and the other does not notice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::disallowed_methods)]

#[path = "support/process.rs"]
mod process;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use process::{Api, Reply, Tower, WALK, run};
use serde_json::{Value, json};

const TOKEN: &str = "/v1/state/strongbox/token";

async fn log_in(api: &Api, tenant: &str, password: &Value) -> Reply {
    let body = json!({"tenant": tenant, "username": "admin", "password": password});
    api.call("POST", "/v1/login", None, Some(body)).await
}

async fn make(api: &Api, operator: &str, name: &str) -> String {
    api.post("/v1/config/tenants", operator, json!({"name": name})).await.ok();
    let reset = api.post(&format!("/v1/state/tenants/{name}/reset-admin"), operator, json!({})).await.ok();
    log_in(api, name, &reset["password"]).await.ok()["token"].as_str().unwrap().to_owned()
}

/// The claims of a token, unverified.
fn claims(jwt: &Value) -> Value {
    let payload = jwt.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// That a tenant is whole: its role logs in, its SVID is of its own trust domain and issuer, and what is published verifies it.
async fn assert_whole(api: &Api, name: &str, id: &str, secret: &(String, String)) -> String {
    let login = api.log_in(&secret.0, &secret.1).await.ok();
    let claims = claims(&login["jwt-svid"]);
    assert_eq!(claims["sub"], format!("spiffe://{name}.localhost/approle/payments"));
    assert_eq!(claims["iss"], format!("{}/{id}", api.url));
    let discovery = api.call("GET", &format!("/{id}/.well-known/openid-configuration"), None, None).await.ok();
    assert_eq!(discovery["issuer"], claims["iss"]);
    let header = login["jwt-svid"].as_str().unwrap().split('.').next().unwrap().to_owned();
    let header: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    let keys = api.call("GET", &format!("/{id}/jwks"), None, None).await.ok();
    assert!(keys["keys"].as_array().unwrap().iter().any(|key| key["kid"] == header["kid"]), "{keys}");
    let bundle = api.call("GET", &format!("/{id}/spiffe-bundle"), None, None).await.ok();
    assert!(!bundle["keys"].as_array().unwrap().is_empty());
    login["token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_tenants_goes_and_the_other_does_not_notice() {
    let root = tempfile::tempdir().unwrap();
    let data_dir = root.path().join("data");
    let tower = Tower::start(&data_dir);
    let operator = tower.administrator().await;
    let (a, b) = (make(&tower, &operator, "a").await, make(&tower, &operator, "b").await);
    let mut secrets = Vec::new();
    for admin in [&a, &b] {
        tower.bulk(admin, WALK).await.ok();
        secrets.push(tower.secret(admin, "payments", json!({})).await);
    }
    assert_ne!(secrets[0].0, secrets[1].0);
    let id = async |name: &str| {
        let state = tower.get(&format!("/v1/state/tenants/{name}"), &operator).await.ok();
        state["id"].as_str().unwrap().to_owned()
    };
    let (id_a, id_b) = (id("a").await, id("b").await);
    let token_a = assert_whole(&tower, "a", &id_a, &secrets[0]).await;
    let token_b = assert_whole(&tower, "b", &id_b, &secrets[1]).await;
    // A role-id of one with a secret-id of the other.
    tower.log_in(&secrets[0].0, &secrets[1].1).await.refused(401);
    // Something to destroy.
    for _ in 0..50 {
        tower.secret(&a, "payments", json!({})).await;
    }

    tower.call("DELETE", "/v1/config/tenants/a", Some(&operator), None).await.refused(409);
    tower.call("DELETE", "/v1/config/tenants/a?force=true", Some(&operator), None).await.ok();
    for token in [&a, &token_a] {
        tower.get(TOKEN, token).await.refused(401);
    }
    let ended = tower.kill();
    assert!(!ended.status.success());

    let tower = Tower::start(&data_dir);
    for token in [&a, &token_a] {
        tower.get(TOKEN, token).await.refused(401);
    }
    tower.log_in(&secrets[0].0, &secrets[0].1).await.refused(401);
    for path in [format!("/{id_a}/jwks"), format!("/{id_a}/.well-known/openid-configuration")] {
        let (gone, never) = (
            tower.call("GET", &path, None, None).await,
            tower.call("GET", &path.replace(&id_a, "01234567-89ab-4def-8123-456789abcdef"), None, None).await,
        );
        assert_eq!((gone.status.as_u16(), gone.bytes), (404, never.bytes));
    }
    tower.get(TOKEN, &token_b).await.ok();
    // The issuer has the port, which is another one since the restart.
    assert_whole(&tower, "b", &id_b, &secrets[1]).await;
    tower.bulk(&b, WALK).await.ok();
    // The task goes on by itself; each look is a request.
    let mut destroyed = 0;
    while destroyed == 0 {
        let state = tower.get("/v1/state/tenants", &operator).await.ok();
        assert_eq!(state["removals"][0]["name"], "a", "the second look is minutes away");
        destroyed = state["removals"][0]["destroyed"]
            .as_u64()
            .filter(|_| state["removals"][0]["emptied"].is_string())
            .unwrap_or(0);
    }
    assert!(destroyed > 50, "{destroyed}");
    // The name is free, and the administrator of the other one can be reset on the machine itself.
    make(&tower, &operator, "a").await;
    assert!(tower.stop().status.success());
    let data = data_dir.to_str().unwrap();
    let missing = run(&["reset-admin", "--data-dir", data, "--tenant", "x"]);
    assert!(String::from_utf8_lossy(&missing.stderr).contains("there is no tenant `x`"), "{missing:?}");
    let reset = run(&["reset-admin", "--data-dir", data, "--tenant", "b", "--output", "json"]);
    let reset: Value = serde_json::from_slice(&reset.stdout).unwrap();
    assert_eq!((&reset["tenant"], &reset["tenant-id"]), (&json!("b"), &json!(id_b)));
    let tower = Tower::start(&data_dir);
    tower.get(TOKEN, &b).await.refused(401);
    tower.get(TOKEN, &token_b).await.ok();
    log_in(&tower, "b", &reset["password"]).await.ok();
}
