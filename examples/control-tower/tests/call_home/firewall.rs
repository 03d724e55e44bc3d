//! What a host is told of its firewall.

use serde_json::{Value, json};

use crate::rig::{Answer, HOSTS, Host, Rig, UNCLAIMED, Way};

const FIREWALL: &str = "/v1/host/firewall";

async fn put(rig: &Rig, path: &str, document: Value) -> Answer {
    rig.call("PUT", &format!("/v1/config/{path}"), Some(document)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_is_told_the_firewall_of_its_site_until_it_is_removed() {
    let rig = Rig::start().await;
    rig.verify("never").await;
    for (name, number) in [("oslo", 7), ("bergen", 8)] {
        put(&rig, &format!("system/sites/{name}"), json!({"name": name, "variables": {"n": number}})).await.ok();
    }
    put(&rig, "firewall", json!({"control-inbound": ["10.${n}.255.1 tcp 22"]})).await.ok();
    let host = Host::new("4c4c4544-0051");
    rig.knock(&host, &Way::default()).await.unwrap();
    rig.post(&format!("{UNCLAIMED}/{}/claim", host.hash()), json!({"site": "oslo"})).await.ok();
    let claimed = rig.knock(&host, &Way::default()).await.unwrap().ok();
    let identity = Way::with(&host.pair(claimed["x509-svid"]["cert"].as_str().unwrap()));

    let ask = async |tag: Option<&str>| {
        let mut way = identity.clone();
        way.headers.extend(tag.map(|tag| ("if-none-match".to_owned(), tag.to_owned())));
        rig.send(rig.api, "GET", FIREWALL, &way, None).await.unwrap()
    };
    let first = ask(None).await;
    assert_eq!(
        first.ok(),
        json!({"format": 1, "site": "oslo", "firewall": {"control-inbound": ["10.7.255.1 tcp 22"]}, "ingress": [], "left-out": []})
    );
    let tag = first.header("etag").unwrap().to_owned();
    let same = ask(Some(&tag)).await;
    assert_eq!((same.status, same.body.len()), (304, 0));
    put(&rig, "ingress/web", json!({"application": "shop", "ranges": ["10.${n}.0.1 tcp 80"]})).await.ok();
    let second = ask(Some(&tag)).await;
    assert_eq!(second.ok()["ingress"], json!([{"name": "web", "application": "shop", "ranges": ["10.7.0.1 tcp 80"]}]));
    assert_ne!(second.header("etag"), Some(tag.as_str()));

    // Who is no host of the tower's.
    let anybody = rig.send(rig.api, "GET", FIREWALL, &Way::default(), None).await.unwrap();
    assert_eq!(anybody.refused(), (401, "no-svid".to_owned()));
    assert_eq!(rig.call("GET", FIREWALL, None).await.refused(), (401, "no-svid".to_owned()), "not by a token");
    rig.post(&format!("{HOSTS}/{}/remove", host.hash()), json!({})).await.ok();
    assert_eq!(ask(None).await.refused(), (403, "removed".to_owned()));
}
