//! The index of the documents: which names which, and whose tokens live longest. It is what it would be if it were made anew, and a
//! store without it, or with an old one, has it after the next change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::{collections::BTreeSet, sync::Arc};

use control_tower::{
    layout,
    store::{Outcome, Write},
};
use serde_json::{Value, json};
use support::{Tower, WALK};

/// The index of the tenant `default`.
async fn index(tower: &Tower) -> BTreeSet<String> {
    let tenant = tower.tenant().parse().unwrap();
    let mut keys = BTreeSet::new();
    for prefix in [layout::naming(&tenant), layout::role_lives(&tenant), layout::config_index(&tenant, "")] {
        let entries = tower.app.db.store().range(&prefix, None, usize::MAX >> 1, None).await.unwrap();
        keys.extend(entries.into_iter().map(|entry| entry.key));
    }
    keys
}

/// As a program does that knows nothing of an index: whatever it changes, the head of the configuration is of another commit.
async fn as_before(tower: &Tower, writes: Vec<Write>) {
    let head = layout::config_head(&tower.tenant().parse().unwrap());
    let writes = [vec![Write::Put(head, Vec::new())], writes].concat();
    assert!(matches!(tower.app.db.store().commit(Vec::new(), writes).await.unwrap(), Outcome::Committed(_)));
}

const ROLE: &str = "/v1/config/strongbox/authentication/approles";
const KEY: &str = "/v1/config/strongbox/transit-keys/spiffe-jwt";

async fn change_everything(tower: &Tower, admin: &str, round: usize) {
    let call = async |method: &str, path: &str, body: Value| {
        let body = Some(body).filter(|body| !body.is_null());
        tower.call(method, path, Some(admin), body).await.ok();
    };
    let rule = |path: &str| json!({"rest-api": {"rules": [{"path": path, "operations": {"read": "allow"}}]}});
    let jwt = |ttl: &str| json!({"token-spiffe-jwt": {"jwt-audiences": ["a.example"], "ttl": ttl}});
    call("PUT", &format!("{ROLE}/r{round}"), jwt("2h")).await;
    call("PATCH", &format!("{ROLE}/r{round}"), jwt("3h")).await;
    call("PATCH", &format!("{ROLE}/payments"), json!({"token-ttl": format!("{}m", 10 + round)})).await;
    call("PUT", &format!("/v1/config/strongbox/policies/p{round}"), rule("/a/${x}/${y[1]}/${tenant}")).await;
    call("PUT", "/v1/config/strongbox/policies/p", rule(&format!("/a/${{z{round}}}"))).await;
    call("PUT", &format!("/v1/config/system/sites/s{round}"), json!({"variables": {"x": "1", "y": ["a", "b"]}})).await;
    call("PUT", "/v1/config/variables/x", json!({"value": round.to_string()})).await;
    if round % 2 == 1 {
        call("DELETE", &format!("{ROLE}/r{round}"), Value::Null).await;
        call("DELETE", &format!("/v1/config/strongbox/policies/p{round}"), Value::Null).await;
        call("PATCH", &format!("/v1/config/system/sites/s{round}"), json!({"variables": null})).await;
    }
}

#[tokio::test]
async fn the_index_is_what_it_would_be_if_it_were_made_anew() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    assert!(index(&tower).await.is_empty());
    tower.bulk(&admin, &WALK.replace("rsa-2048", "ecdsa-p256")).await.ok();
    for round in 0..4 {
        change_everything(&tower, &admin, round).await;
    }
    let kept = index(&tower).await;
    assert!(kept.len() >= 12, "{kept:#?}");
    // Lost, or with what is no longer true: the next change makes it anew.
    let gone = kept.iter().map(|key| Write::Delete(key.clone())).collect::<Vec<_>>();
    let tenant = tower.tenant().parse().unwrap();
    let wrong = vec![
        Write::Put(layout::names(&tenant, "strongbox/transit-keys/k", "system/sites/none"), Vec::new()),
        Write::Put(layout::role_life(&tenant, u64::MAX, "none"), Vec::new()),
        Write::Put(layout::config_index(&tenant, "0"), Vec::new()),
    ];
    for writes in [gone, wrong] {
        as_before(&tower, writes).await;
        assert_ne!(index(&tower).await, kept);
        tower.call("PUT", "/v1/config/variables/x", Some(&admin), Some(json!({"value": "9"}))).await.ok();
        tower.call("PUT", "/v1/config/variables/x", Some(&admin), Some(json!({"value": "3"}))).await.ok();
        assert_eq!(index(&tower).await, kept);
    }
}

#[tokio::test]
async fn what_a_store_of_before_has_is_minded_at_once() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    tower.bulk(&admin, &WALK.replace("rsa-2048", "ecdsa-p256")).await.ok();
    let jwt = json!({"token-spiffe-jwt": {"jwt-audiences": ["a.example"], "ttl": "20h"}, "token-period": "20h"});
    tower.call("PUT", &format!("{ROLE}/long"), Some(&admin), Some(jwt)).await.ok();
    let gone: Vec<Write> = index(&tower).await.into_iter().map(Write::Delete).collect();
    as_before(&tower, gone).await;
    let refused = tower.call("DELETE", KEY, Some(&admin), None).await.refused(409);
    assert!(
        refused.contains("needed by `strongbox/authentication/spiffe-settings` (field `jwt-signing-key`)"),
        "{refused}"
    );
    let short = json!({"auto-rotate": {"deprecate-after": "61m", "invalidate-after": "10h"}});
    let refused = tower.call("PATCH", KEY, Some(&admin), Some(short)).await.refused(400);
    assert!(refused.contains("tokens of the role `"), "{refused}");
    assert!(index(&tower).await.is_empty(), "a refusal changes nothing");
}

/// Both that need a document and the document go in one change, however many others do.
#[tokio::test]
async fn what_goes_together_may_go() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    tower.bulk(&admin, &WALK.replace("rsa-2048", "ecdsa-p256")).await.ok();
    let tenants = (0..90).map(|n| format!("x-path: tenants/t{n}\nx-operation: create\nresource-profile: small\n"));
    let mut yaml = vec!["x-path: resource-profiles/small\nx-operation: create\n".to_owned()];
    yaml.extend(tenants);
    tower.bulk(&admin, &yaml.join("---\n")).await.ok();
    let freed = (0..89).map(|n| format!("x-path: tenants/t{n}\nx-operation: merge\nresource-profile: null\n"));
    let mut yaml: Vec<String> = freed.collect();
    yaml.push("x-path: resource-profiles/small\nx-operation: delete\n".to_owned());
    let refused = tower.bulk(&admin, &yaml.join("---\n")).await.refused(409);
    assert!(refused.contains("needed by `tenants/t89` (field `resource-profile`); "), "{refused}");
    yaml.push("x-path: tenants/t89\nx-operation: delete\n".to_owned());
    let app = Arc::clone(&tower.app);
    let before = app.db.store().revision();
    let answer = tower.bulk(&admin, &yaml.join("---\n")).await;
    answer.ok();
    assert!(app.db.store().revision() > before);
}
