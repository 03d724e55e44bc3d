//! Tokens made from tokens: what they have, what ends them, and who may reach the tokens of others.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use serde_json::{Value, json};
use support::Tower;
use time::Duration;

const TOKEN: &str = "/v1/state/strongbox/token";
const REFUSED: &str = "invalid or expired token";

/// A role whose tokens may make others, and one of its tokens.
async fn maker(tower: &Tower, admin: &str, path: &str) -> String {
    let rules = json!([
        {"path": path, "operations": {"execute": "allow"}},
        {"path": "/v1/config/**", "operations": {"read": "allow"}},
    ]);
    let policy = json!({"name": "maker", "rest-api": {"rules": rules}});
    tower.post("/v1/config/strongbox/policies", admin, policy).await.ok();
    let role = json!({"name": "maker", "token-policies": ["maker"], "token-ttl": "30m"});
    tower.post("/v1/config/strongbox/authentication/approles", admin, role).await.ok();
    let (role_id, secret_id) = tower.secret(admin, "maker", json!({})).await;
    text(&tower.log_in(&role_id, &secret_id).await.ok()["token"])
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

async fn create(tower: &Tower, from: &str, body: Value) -> Value {
    tower.post(&format!("{TOKEN}/create"), from, body).await.ok()
}

#[tokio::test]
async fn one_revocation_ends_everything_that_was_made_from_a_token() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    let root = maker(&tower, &admin, "/v1/state/strongbox/token/create").await;
    let child = create(&tower, &root, json!({"ttl": "2h"})).await;
    assert_eq!(child["policies"], json!(["default", "maker"]));
    assert_eq!(child["expires-in"], 1800, "not longer than its parent");
    let child = text(&child["token"]);
    let grandchild = text(&create(&tower, &child, json!({"policies": []})).await["token"]);
    let sibling = text(&create(&tower, &root, json!({"num-uses": 2})).await["token"]);
    for token in [&root, &child, &grandchild, &sibling] {
        tower.get(TOKEN, token).await.ok();
    }
    // The grandchild has `default` alone.
    tower.get("/v1/config/strongbox/policies/maker", &child).await.ok();
    assert_eq!(tower.get("/v1/config/strongbox/policies/maker", &grandchild).await.status, 403);
    let more = tower.post(&format!("{TOKEN}/create"), &child, json!({"policies": ["administrator"]})).await;
    assert_eq!(more.refused(400), "`policies` names `administrator`, which the token that asks does not have");

    let before = tower.app.db.store().revision();
    tower.post(&format!("{TOKEN}/revoke"), &child, json!({})).await.ok();
    assert_eq!(tower.app.db.store().revision(), before + 1, "one commit, whatever was made from it");
    for token in [&child, &grandchild] {
        assert_eq!(tower.get(TOKEN, token).await.refused(401), REFUSED);
        assert_eq!(tower.post(&format!("{TOKEN}/refresh"), token, json!({})).await.refused(401), REFUSED);
    }
    tower.get(TOKEN, &root).await.ok();
    tower.get(TOKEN, &sibling).await.ok();
    assert_eq!(tower.get(TOKEN, &sibling).await.refused(401), REFUSED, "its second use was the last");

    let reasons: Vec<_> = tower.audit(&admin).await;
    assert!(reasons.iter().any(|record| record.to_string().contains("parent-ended")));
    // What is left of them goes when their time has come.
    tower.pass(Duration::hours(2)).await;
    let left = tower.app.db.store().range("token/", None, 100, None).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_child_ends_with_its_role_and_with_its_parent_and_an_orphan_with_its_role_alone() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    let root = maker(&tower, &admin, "/v1/state/strongbox/token/*").await;
    let child = text(&create(&tower, &root, json!({})).await["token"]);
    let orphan = tower.post(&format!("{TOKEN}/create-orphan"), &root, json!({"ttl": "3h"})).await.ok();
    assert_eq!(orphan["expires-in"], 10_800);
    let orphan = text(&orphan["token"]);

    // A refresh of the parent lets the child live on, as long as the parent.
    tower.pass(Duration::minutes(20)).await;
    tower.post(&format!("{TOKEN}/refresh"), &root, json!({})).await.ok();
    let renewed = tower.post(&format!("{TOKEN}/refresh"), &child, json!({"increment": "2h"})).await.ok();
    assert_eq!(renewed["expires-in"], 1800);
    tower.pass(Duration::minutes(31)).await;
    for token in [&root, &child] {
        assert_eq!(tower.get(TOKEN, token).await.refused(401), REFUSED);
    }
    tower.get(TOKEN, &orphan).await.ok();
    let admin = tower.administrator().await;
    tower.call("DELETE", "/v1/config/strongbox/authentication/approles/maker", Some(&admin), None).await;
    assert_eq!(tower.get(TOKEN, &orphan).await.refused(401), REFUSED);
}

#[tokio::test]
async fn orphans_and_the_tokens_of_others_need_their_own_permission() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    let root = maker(&tower, &admin, "/v1/state/strongbox/token/create").await;
    let child = create(&tower, &root, json!({})).await;
    let accessor = json!({"accessor": child["accessor"]});
    for call in ["create-orphan", "lookup-accessor", "refresh-accessor", "revoke-accessor"] {
        assert_eq!(tower.post(&format!("{TOKEN}/{call}"), &root, accessor.clone()).await.status, 403, "{call}");
    }
    let call = |call: &str| format!("{TOKEN}/{call}-accessor");
    let found = tower.post(&call("lookup"), &admin, accessor.clone()).await.ok();
    assert_eq!((&found["policies"], found.get("token")), (&child["policies"], None));
    tower.pass(Duration::minutes(10)).await;
    let renewed = tower.post(&call("refresh"), &admin, accessor.clone()).await.ok();
    assert_eq!(renewed["expires-in"], 1200, "with its parent");
    assert!(renewed.get("token").is_none());
    tower.post(&call("revoke"), &admin, accessor.clone()).await.ok();
    assert_eq!(tower.get(TOKEN, &text(&child["token"])).await.refused(401), REFUSED);
    for again in ["lookup", "refresh", "revoke"] {
        let answer = tower.post(&call(again), &admin, accessor.clone()).await;
        assert_eq!(answer.refused(404), "a token with this accessor does not exist", "{again}");
    }
}

#[tokio::test]
async fn a_batch_token_is_not_stored_and_works_until_its_time_or_its_role_ends() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    let role = json!({"name": "batch", "token-type": "batch", "token-ttl": "10m",
        "token-spiffe-jwt": {"jwt-audiences": ["a"]}});
    tower.bulk(&admin, support::WALK).await.ok();
    tower.post("/v1/config/strongbox/authentication/approles", &admin, role).await.ok();
    let (role_id, secret_id) = tower.secret(&admin, "batch", json!({})).await;
    tower.log_in(&role_id, &secret_id).await.ok();
    let store = tower.app.db.store();
    let before = store.range("", None, usize::MAX, None).await.unwrap();
    let login = tower.log_in(&role_id, &secret_id).await.ok();
    let after = store.range("", None, usize::MAX, None).await.unwrap();
    assert_eq!(after, before, "a login leaves nothing but its audit record");
    assert_eq!(
        (&login["type"], &login["renewable"], &login["expires-in"]),
        (&json!("batch"), &json!(false), &json!(600))
    );
    assert!(login["jwt-svid"].is_string());
    let token = text(&login["token"]);
    let state = tower.get(TOKEN, &token).await.ok();
    assert_eq!((&state["accessor"], &state["policies"]), (&login["accessor"], &login["policies"]));
    for (call, status, text) in [
        ("refresh", 422, "the token is not renewable"),
        ("revoke", 422, "a batch token cannot be revoked: it ends at its time"),
        ("create", 403, "permission denied: `execute` on `/v1/state/strongbox/token/create`"),
    ] {
        let answer = tower.post(&format!("{TOKEN}/{call}"), &token, json!({})).await;
        assert_eq!(answer.refused(status), text);
    }
    let mut changed = token.clone();
    let last = if changed.ends_with('A') { 'B' } else { 'A' };
    changed.replace_range(30..31, if changed.as_bytes()[30] == b'A' { "B" } else { "A" });
    assert_eq!(tower.get(TOKEN, &changed).await.refused(401), REFUSED);
    assert_eq!(tower.get(TOKEN, &format!("{token}{last}")).await.refused(401), REFUSED);
    let other = text(&tower.log_in(&role_id, &secret_id).await.ok()["token"]);
    tower.pass(Duration::minutes(10)).await;
    assert_eq!(tower.get(TOKEN, &token).await.refused(401), REFUSED);
    assert_eq!(tower.get(TOKEN, &other).await.refused(401), REFUSED);

    // A child that is not stored ends with what it was made from, and with the role.
    let root = maker(&tower, &admin, "/v1/state/strongbox/token/create").await;
    let child = create(&tower, &root, json!({"type": "batch"})).await;
    assert_eq!(child["type"], "batch");
    let child = text(&child["token"]);
    tower.get(TOKEN, &child).await.ok();
    tower.post(&format!("{TOKEN}/revoke"), &root, json!({})).await.ok();
    assert_eq!(tower.get(TOKEN, &child).await.refused(401), REFUSED);
    let last = text(&tower.log_in(&role_id, &secret_id).await.ok()["token"]);
    tower.call("DELETE", "/v1/config/strongbox/authentication/approles/batch", Some(&admin), None).await;
    assert_eq!(tower.get(TOKEN, &last).await.refused(401), REFUSED);
}
