//! Many at once.

use std::sync::Arc;

use serde_json::json;

use crate::rig::{HOSTS, Host, Rig, UNCLAIMED, Way};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_that_use_one_certificate_one_is_let_in_and_the_others_are_seen() {
    let rig = Arc::new(Rig::on_sqlite().await);
    rig.settings(json!({"client-certificate": {"verify": "host-id"}, "max-duplicates": 63})).await;
    let (pair, _) = rig.issue(json!({"host-id": "h1"})).await;
    let tries = (0..64).map(|_| {
        let (rig, way) = (Arc::clone(&rig), Way::with(&pair));
        tokio::spawn(async move { rig.knock(&Host::new("h1"), &way).await.unwrap() })
    });
    let (mut admitted, mut duplicates) = (0, 0);
    for one in tries.collect::<Vec<_>>() {
        match one.await.unwrap() {
            answer if answer.status == 202 => admitted += 1,
            answer => {
                assert_eq!(answer.refused(), (409, "duplicate".to_owned()));
                duplicates += 1;
            }
        }
    }
    assert_eq!((admitted, duplicates), (1, 63));
    let listed = rig.get(UNCLAIMED).await;
    let count = |field: &str| listed[field].as_array().unwrap().len();
    assert_eq!((count("unclaimed-hosts"), count("duplicates")), (1, 63));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_certificate_lets_three_in_and_the_rings_stay_bounded() {
    let rig = Arc::new(Rig::on_sqlite().await);
    rig.site("oslo", &[]).await;
    rig.settings(json!({"client-certificate": {"verify": "site"}, "max-unclaimed": 5, "max-duplicates": 3})).await;
    let (pair, _) = rig.issue(json!({"site": "oslo"})).await;
    for id in ["h1", "h2", "h3"] {
        let host = Host::new(id);
        assert_eq!(rig.knock(&host, &Way::with(&pair)).await.unwrap().status, 202);
        rig.post(&format!("{UNCLAIMED}/{}/claim", host.hash()), json!({"site": "oslo"})).await.ok();
        assert_eq!(rig.knock(&host, &Way::default()).await.unwrap().status, 200);
    }
    let tries = (0..40).map(|number| {
        let (rig, way) = (Arc::clone(&rig), Way::with(&pair));
        tokio::spawn(async move { rig.knock(&Host::new(&format!("n{number}")), &way).await.unwrap().status })
    });
    for one in tries.collect::<Vec<_>>() {
        assert_eq!(one.await.unwrap(), 202);
    }
    assert_eq!(rig.waiting().await.len(), 5);
    let hosts = rig.get(HOSTS).await["hosts"].as_array().unwrap().len();
    assert_eq!(hosts, 8, "what was displaced is forgotten, what was claimed is not");
    let duplicates = (0..9).map(|_| {
        let (rig, way) = (Arc::clone(&rig), Way::with(&pair));
        tokio::spawn(async move { rig.knock(&Host::new("h1"), &way).await.unwrap().status })
    });
    for one in duplicates.collect::<Vec<_>>() {
        assert_eq!(one.await.unwrap(), 409);
    }
    assert_eq!(rig.get(UNCLAIMED).await["duplicates"].as_array().unwrap().len(), 3);
    // Fewer from now on.
    rig.settings(json!({"client-certificate": {"verify": "site"}, "max-unclaimed": 2, "max-duplicates": 3})).await;
    assert_eq!(rig.knock(&Host::new("last"), &Way::with(&pair)).await.unwrap().status, 202);
    assert_eq!(rig.waiting().await.len(), 2);
}
