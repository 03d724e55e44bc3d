//! What has ended has ended: tokens of an old password, secret-ids without a use left.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use control_tower::app::reset_administrator;
use serde_json::json;
use support::{Tower, WALK};
use time::Duration;

const TOKEN: &str = "/v1/state/strongbox/token";

#[tokio::test]
async fn a_new_password_ends_the_tokens_of_the_old_one() {
    let tower = Tower::fresh().await;
    let thief = tower.administrator().await;
    tower.bulk(&thief, WALK).await.ok();
    let (role_id, secret_id) = tower.secret(&thief, "payments", json!({})).await;
    let login = tower.log_in(&role_id, &secret_id).await.ok();
    let workload = login["token"].as_str().unwrap();

    let app = &tower.app;
    let credentials =
        reset_administrator(&app.db, &app.audit, &"default".parse().unwrap(), app.clock.now()).await.unwrap();
    assert_eq!(tower.get(TOKEN, &thief).await.status, 401);
    assert_eq!(tower.get(TOKEN, workload).await.status, 200);
    let body = json!({"username": credentials.username, "password": credentials.password.as_str()});
    let admin = tower.call("POST", "/v1/login", None, Some(body)).await.ok();
    let audit = tower.audit(admin["token"].as_str().unwrap()).await;
    assert!(audit.iter().any(|record| record["event"] == "reset-admin" && record["outcome"] == "success"));
}

#[tokio::test]
async fn a_secret_id_without_a_use_left_is_removed_a_day_later() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    tower.bulk(&admin, WALK).await.ok();
    let (role_id, secret_id) = tower.secret(&admin, "payments", json!({"num-uses": 1})).await;
    tower.log_in(&role_id, &secret_id).await.ok();
    let stored = async || tower.app.db.store().range("secret-id/", None, 9, None).await.unwrap().len();
    tower.pass(Duration::hours(23)).await;
    assert_eq!(stored().await, 1, "the log can still tell a used one from an unknown one");
    assert_eq!(tower.log_in(&role_id, &secret_id).await.status, 401);
    tower.pass(Duration::hours(2)).await;
    assert_eq!(stored().await, 0);
}

#[tokio::test]
async fn a_limit_that_is_misspelt_is_refused() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    tower.bulk(&admin, WALK).await.ok();
    let generate = "/v1/state/strongbox/authentication/approles/payments/generate-secret-id";
    let message = tower.post(generate, &admin, json!({"num_uses": 1})).await.refused(400);
    assert!(message.contains("field `num_uses`: unknown; write `num-uses`"), "{message}");
    let dry = tower
        .call("DELETE", "/v1/config/strongbox/authentication/approles/payments?dry-run=true", Some(&admin), None)
        .await;
    assert_eq!(dry.status, 400);
    assert_eq!(tower.get("/v1/config/strongbox/authentication/approles/payments", &admin).await.status, 200);
}
