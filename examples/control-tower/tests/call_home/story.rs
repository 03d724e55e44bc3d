//! The story as operators know it.

use serde_json::json;

use crate::rig::{HOSTS, Host, Rig, UNCLAIMED, Way};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_waits_is_claimed_and_renews_until_it_is_removed() {
    let rig = Rig::start().await;
    rig.site("oslo", &[]).await;
    let (pair, issued) = rig.issue(json!({"ttl": "1d"})).await;
    assert_eq!(issued["granularity"], "certificate-only");
    let host = Host::new("4c4c4544-0051");
    let answer = rig.knock(&host, &Way::with(&pair)).await.unwrap();
    assert_eq!((answer.status, answer.ok()), (202, json!({"state": "unclaimed", "retry-after": 10})));
    let listed = rig.get(UNCLAIMED).await;
    assert_eq!(listed["unclaimed-hosts"][0]["id"], host.hash());
    assert_eq!(listed["unclaimed-hosts"][0]["host-name"], "4c4c4544-0051.example");
    assert_eq!(listed["unclaimed-hosts"][0]["certificate"], issued["serial"]);
    // It comes again, and is still the same one.
    assert_eq!(rig.knock(&host, &Way::with(&pair)).await.unwrap().status, 202);
    assert_eq!(rig.waiting().await.len(), 1);
    rig.post(&format!("{UNCLAIMED}/{}/claim", host.hash()), json!({"site": "oslo"})).await.ok();
    assert!(rig.waiting().await.is_empty());
    let claimed = rig.knock(&host, &Way::default()).await.unwrap().ok();
    assert_eq!(claimed["state"], "claimed");
    assert_eq!(claimed["spiffe-id"], format!("spiffe://localhost/site/oslo/host/{}", host.hash()));
    let all = rig.get(HOSTS).await;
    assert_eq!((&all["hosts"][0]["state"], &all["hosts"][0]["site"]), (&json!("claimed"), &json!("oslo")));
}
