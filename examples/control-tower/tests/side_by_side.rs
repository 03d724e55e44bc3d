//! Many who change one key at the same time: each finds what came before it, and nobody is sent away for the others' sake.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::sync::Arc;

use control_tower::{
    clock::Clock,
    store::{Memory, SharedStore, Sqlite},
};
use serde_json::{Value, json};
use support::{Reply, START, Tower};
use tokio::task::JoinSet;

/// Towers on one store, and an administrator of all.
async fn over<const N: usize>(store: SharedStore) -> ([Arc<Tower>; N], String) {
    let directory = Arc::new(tempfile::tempdir().unwrap());
    let mut towers = Vec::new();
    for at in 0..N {
        let (store, directory) = (Arc::clone(&store), Arc::clone(&directory));
        let audit = format!("audit-{at}");
        towers.push(Arc::new(Tower::at(store, Clock::fixed(START), directory, &audit, "https://tower.example").await));
    }
    let admin = towers[0].administrator().await;
    (towers.try_into().ok().unwrap(), admin)
}

async fn towers() -> ([Arc<Tower>; 2], String) {
    over(Arc::new(Memory::new())).await
}

/// Asks the towers, in turn, for all of it at once.
async fn at_once(towers: &[Arc<Tower>], token: &str, requests: Vec<(String, Value)>) -> Vec<Reply> {
    let mut under_way = JoinSet::new();
    for (at, (path, body)) in requests.into_iter().enumerate() {
        let (tower, token) = (Arc::clone(&towers[at % towers.len()]), token.to_owned());
        under_way.spawn(async move { tower.post(&format!("/v1/{path}"), &token, body).await });
    }
    under_way.join_all().await
}

async fn key(tower: &Tower, token: &str, name: &str) -> Value {
    tower.get(&format!("/v1/transit/keys/{name}"), token).await.ok()["data"].clone()
}

fn rotations(name: &str, count: usize) -> impl Iterator<Item = (String, Value)> {
    let paths = [format!("transit/keys/{name}/rotate"), format!("state/strongbox/transit-keys/{name}/rotate")];
    // Both surfaces at both towers.
    (0..count).map(move |at| (paths[at / 2 % 2].clone(), json!({})))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_rotation_of_one_key_adds_a_version() {
    const MANY: usize = 60;
    let (towers, admin) = towers().await;
    towers[0].post("/v1/transit/keys/orders", &admin, json!({})).await.ok();
    for answer in at_once(&towers, &admin, rotations("orders", MANY).collect()).await {
        answer.ok();
    }
    let found = key(&towers[1], &admin, "orders").await;
    assert_eq!(found["latest_version"], MANY + 1);
    let mut versions: Vec<usize> =
        found["keys"].as_object().unwrap().keys().map(|version| version.parse().unwrap()).collect();
    versions.sort_unstable();
    assert_eq!(versions, (1..=MANY + 1).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_changed_at_once_is_all_kept() {
    let (towers, admin) = towers().await;
    for round in 0..8 {
        let name = format!("orders-{round}");
        towers[0].post(&format!("/v1/transit/keys/{name}"), &admin, json!({})).await.ok();
        for (path, body) in rotations(&name, 4) {
            towers[0].post(&format!("/v1/{path}"), &admin, body).await.ok();
        }
        let config = format!("transit/keys/{name}/config");
        let changes = [
            json!({"min_decryption_version": 3}),
            json!({"min_encryption_version": 4}),
            json!({"deletion_allowed": true}),
            json!({"exportable": true}),
        ];
        let requests = changes.into_iter().map(|body| (config.clone(), body)).chain(rotations(&name, 8));
        for answer in at_once(&towers, &admin, requests.collect()).await {
            answer.ok();
        }
        let found = key(&towers[1], &admin, &name).await;
        let fields =
            ["min_decryption_version", "min_encryption_version", "deletion_allowed", "exportable", "latest_version"];
        assert_eq!(fields.map(|field| found[field].clone()), [json!(3), json!(4), json!(true), json!(true), json!(13)]);
        let trim = format!("transit/keys/{name}/trim");
        let trims = (0..6).map(|_| (trim.clone(), json!({"min_available_version": 3})));
        for answer in at_once(&towers, &admin, trims.chain(rotations(&name, 6)).collect()).await {
            answer.ok();
        }
        let found = key(&towers[1], &admin, &name).await;
        assert_eq!((&found["min_available_version"], &found["latest_version"]), (&json!(3), &json!(19)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_document_is_made_and_changed() {
    // Where a commit takes its time, so that most of them meet.
    let directory = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&directory.path().join("tower.db")).unwrap();
    let (towers, admin) = over::<1>(Arc::new(store)).await;
    let of_all = |what: &str, body: Value| -> Vec<_> {
        (0..80).map(|at| (format!("transit/keys/k-{at}{what}"), body.clone())).collect()
    };
    for requests in [of_all("", json!({})), of_all("/config", json!({"deletion_allowed": true}))] {
        for answer in at_once(&towers, &admin, requests).await {
            answer.ok();
        }
    }
    let keys = towers[0].call("LIST", "/v1/transit/keys", Some(&admin), None).await.ok();
    assert_eq!(keys["data"]["keys"].as_array().unwrap().len(), 80);

    // One role and one policy, made by the first of all who write them.
    let fields = ["token_ttl", "token_max_ttl", "secret_id_num_uses", "token_num_uses", "token_period"];
    let roles = (0..40).map(|at| ("auth/approle/role/web".to_owned(), json!({fields[at % 5]: 60})));
    let policy = |at: usize| format!("path \"transit/keys/k-{at}\" {{ capabilities = [\"read\"] }}");
    let policies = (0..40).map(|at| ("sys/policies/acl/web".to_owned(), json!({"policy": policy(at)})));
    for answer in at_once(&towers, &admin, roles.chain(policies).collect()).await {
        assert_eq!(answer.status, 204, "{}", String::from_utf8_lossy(&answer.bytes));
    }
    let role = towers[0].get("/v1/auth/approle/role/web", &admin).await.ok();
    assert_eq!(fields.map(|field| role["data"][field].clone()), [(); 5].map(|()| json!(60)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_became_known_end_once_for_all_who_saw_them() {
    let (towers, admin) = towers().await;
    towers[0].post("/v1/transit/keys/orders", &admin, json!({})).await.ok();
    let path = "state/strongbox/transit-keys/orders/rotate".to_owned();
    let ends = vec![(path, json!({"compromised": true})); 16];
    let answers = at_once(&towers, &admin, ends).await;
    let (ended, late): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status.is_success());
    assert!(!ended.is_empty());
    for answer in late {
        let text = answer.refused(409);
        assert!(text.ends_with("was changed meanwhile: look at what it is now before you repeat this"), "{text}");
    }
    // Who was told that it ended the key did so, and nobody else.
    assert_eq!(key(&towers[1], &admin, "orders").await["latest_version"], ended.len() + 1);
}
