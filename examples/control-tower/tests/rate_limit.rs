//! Who asks for too much waits, and nobody else does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use axum::{body::Body, http::Request};
use serde_json::{Value, json};
use support::{Reply, Tower, WALK};
use time::Duration;

const TOKEN: &str = "/v1/state/strongbox/token";

async fn send(tower: &Tower, from: &str, path: &str, token: Option<&str>, body: Option<Value>) -> Reply {
    let mut request = Request::builder().method(if body.is_some() { "POST" } else { "GET" }).uri(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let request = request.header("content-type", "application/json").body(body).unwrap();
    tower.send_from(&format!("{from}:5000"), request).await
}

async fn log_in(tower: &Tower, from: &str, role_id: &str, secret_id: &str) -> Reply {
    let body = json!({"role-id": role_id, "secret-id": secret_id});
    send(tower, from, "/v1/approle-login", None, Some(body)).await
}

#[tokio::test]
async fn guesses_are_held_up_and_good_credentials_are_not() {
    let tower = Tower::limited("failed-logins=1/s:5").await;
    let admin = tower.administrator().await;
    tower.bulk(&admin, WALK).await.ok();
    let (role_id, secret_id) = tower.secret(&admin, "payments", json!({})).await;
    tower.log_in(&role_id, &secret_id).await.ok();
    // (Two good logins have cost a little.)
    for _ in 0..4 {
        assert_eq!(tower.log_in(&role_id, "wrong").await.status, 401);
    }
    let refused = tower.log_in(&role_id, "wrong").await;
    assert_eq!(refused.refused(429), "too many failed logins; try again later");
    assert_eq!(refused.headers["retry-after"], "1");
    // The same whatever is wrong, and on the other surface in its shape.
    let vault = json!({"role_id": role_id, "secret_id": "wrong"});
    let refused = send(&tower, "192.0.2.1", "/v1/auth/approle/login", None, Some(vault)).await;
    assert_eq!(refused.refused(429), "too many failed logins; try again later");
    assert_eq!(refused.headers["retry-after"], "1");
    for body in [json!({"username": "root", "password": "x"}), json!({"username": "x", "password": "x", "tenant": "x"})]
    {
        send(&tower, "192.0.2.1", "/v1/login", None, Some(body)).await.refused(429);
    }
    // What was good is let in from there all the same, and everybody elsewhere.
    tower.log_in(&role_id, &secret_id).await.ok();
    tower.administrator().await;
    log_in(&tower, "192.0.2.2", &role_id, &secret_id).await.ok();
    assert_eq!(log_in(&tower, "192.0.2.2", &role_id, "wrong").await.status, 401);
    tower.pass(Duration::SECOND).await;
    assert_eq!(tower.log_in(&role_id, "wrong").await.status, 401);
    assert_eq!(tower.log_in(&role_id, "wrong").await.status, 429);

    let audit = tower.audit(&admin).await;
    let limited: Vec<_> = audit.iter().filter(|record| record["event"] == "rate-limit").collect();
    assert_eq!(limited.len(), 1, "once a minute, not for each");
    assert_eq!(
        (&limited[0]["source"], &limited[0]["detail"]["reason"]),
        (&json!("192.0.2.1"), &json!("failed-logins"))
    );
    let metrics = tower.call("GET", "/metrics", None, None).await;
    let metrics = String::from_utf8_lossy(&metrics.bytes).into_owned();
    assert!(metrics.contains(r#"keyward_rate_limited_total{what="failed-logins"} 5"#), "{metrics}");
}

#[tokio::test]
async fn requests_count_for_the_token_that_was_good_or_for_the_address() {
    let tower = Tower::limited("requests=1/s:10,tokens=1/s:20").await;
    let admin = tower.administrator().await;
    // A token that does not count is dear, however often it is shown where none is asked for.
    send(&tower, "192.0.2.3", "/v1/get-spiffe-jwks", Some("bogus"), None).await.refused(404);
    send(&tower, "192.0.2.3", TOKEN, Some("bogus"), None).await.refused(401);
    let refused = send(&tower, "192.0.2.3", TOKEN, Some("bogus"), None).await;
    assert_eq!(refused.refused(429), "too many requests; try again later");
    assert!(refused.headers.contains_key("retry-after"));
    send(&tower, "192.0.2.3", "/v1/get-spiffe-jwks", Some("bogus"), None).await.refused(429);
    // Whoever watches the tower is not told that it is down.
    for path in ["/live", "/ready"] {
        send(&tower, "192.0.2.3", path, None, None).await.ok();
    }
    // A good token is its own client, wherever it is.
    tower.get(TOKEN, &admin).await.ok();
    for _ in 0..20 {
        send(&tower, "192.0.2.3", TOKEN, Some(&admin), None).await.ok();
    }
    send(&tower, "192.0.2.4", TOKEN, Some(&admin), None).await.refused(429);
    send(&tower, "192.0.2.4", "/v1/get-spiffe-jwks", None, None).await.refused(404);
    tower.pass(Duration::SECOND).await;
    send(&tower, "192.0.2.3", TOKEN, Some(&admin), None).await.ok();
}

#[tokio::test]
async fn by_default_nobody_notices() {
    let tower = std::sync::Arc::new(Tower::limited("").await);
    let admin = tower.administrator().await;
    tower.bulk(&admin, WALK).await.ok();
    let (role_id, secret_id) = tower.secret(&admin, "payments", json!({})).await;
    let mut logins = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (tower, role_id, secret_id) = (std::sync::Arc::clone(&tower), role_id.clone(), secret_id.clone());
        logins.spawn(async move {
            for _ in 0..3 {
                tower.log_in(&role_id, &secret_id).await.ok();
            }
        });
    }
    drop(logins.join_all().await);
    // Many mistakes of many roles, too.
    for n in 0..300 {
        assert_eq!(tower.log_in(&format!("role-{n}"), "wrong").await.status, 401);
    }
}
