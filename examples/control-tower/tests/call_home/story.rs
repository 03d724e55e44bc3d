//! The story as operators know it.

use std::sync::Arc;

use control_tower::{
    clock::Clock,
    rate_limit::RateLimit,
    store::{Memory, SharedStore},
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
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
    assert_eq!(listed["unclaimed-hosts"][0]["host-name"], "edge-7.example");
    assert_eq!(listed["unclaimed-hosts"][0]["certificate"], issued["serial"]);
    // It comes again, and is still the same one.
    assert_eq!(rig.knock(&host, &Way::with(&pair)).await.unwrap().status, 202);
    assert_eq!(rig.waiting().await.len(), 1);
    // The machine that was looked at, and no other one that has its host-id by then.
    let claim = |key: &str| (format!("{UNCLAIMED}/{}/claim", host.hash()), json!({"site": "oslo", "key": key}));
    let (path, other) = claim("another");
    assert_eq!(rig.post(&path, other).await.refused().0, 409);
    let (path, seen) = claim(listed["unclaimed-hosts"][0]["key"].as_str().unwrap());
    rig.post(&path, seen).await.ok();
    assert!(rig.waiting().await.is_empty());
    let claimed = rig.knock(&host, &Way::default()).await.unwrap().ok();
    assert_eq!(claimed["state"], "claimed");
    assert_eq!(claimed["spiffe-id"], format!("spiffe://localhost/site/oslo/host/{}", host.hash()));
    let all = rig.get(HOSTS).await;
    assert_eq!((&all["hosts"][0]["state"], &all["hosts"][0]["site"]), (&json!("claimed"), &json!("oslo")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_that_lists_a_host_has_it_at_once_and_tells_nobody_its_id() {
    let mut rig = Rig::start().await;
    rig.pass(time::Duration::milliseconds(500)).await;
    rig.verify("never").await;
    rig.site("oslo", &["s3cret-1", "s3cret-2"]).await;
    let host = Host::new("s3cret-1");
    let claimed = rig.knock(&host, &Way::default()).await.unwrap().ok();
    for time in ["expires", "renew-at"] {
        assert_eq!(claimed[time].as_str().unwrap().len(), "2026-03-01T12:00:00Z".len(), "{claimed}");
    }
    assert_eq!((&claimed["state"], &claimed["site"]), (&json!("claimed"), &json!("oslo")));
    // What is read back is what is kept, and may be written back.
    let document = rig.get("/v1/config/system/sites/oslo").await;
    assert_eq!(document["host-ids"][0], format!("sha256:{}", host.hash()));
    let again = rig.call("PUT", "/v1/config/system/sites/oslo", Some(document.clone())).await.ok();
    assert_eq!(again["changed"], false);
    rig.site("oslo", &["s3cret-1", "s3cret-2"]).await;
    assert_eq!(rig.get("/v1/config/system/sites/oslo").await, document);
    // One site lists a host.
    let taken = json!({"name": "bergen", "host-ids": ["s3cret-2"]});
    let refused = rig.call("PUT", "/v1/config/system/sites/bergen", Some(taken)).await;
    assert!(
        refused.status == 409 && refused.text().contains("the site `oslo` lists one of these hosts"),
        "{}",
        refused.text()
    );
    // It moves by one change.
    let yaml = "x-path: system/sites/bergen\nx-operation: replace\nname: bergen\nhost-ids: [s3cret-2]\n---\n\
                x-path: system/sites/oslo\nx-operation: replace\nname: oslo\nhost-ids: [s3cret-1]\n";
    let way = Way {
        headers: vec![
            ("authorization".into(), format!("Bearer {}", rig.admin)),
            ("content-type".into(), "application/yaml".into()),
        ],
        ..Way::default()
    };
    let moved = rig.send_text(rig.api, "POST", "/v1/bulk", &way, yaml).await.unwrap();
    assert_eq!(moved.status, 200, "{}", moved.text());
    let second = rig.knock(&Host::new("s3cret-2"), &Way::default()).await.unwrap().ok();
    assert_eq!(second["site"], "bergen");
    // A site with hosts stays.
    assert_eq!(rig.call("DELETE", "/v1/config/system/sites/oslo", None).await.status, 409);
    rig.post(&format!("{HOSTS}/{}/release", host.hash()), json!({})).await.ok();
    rig.call("DELETE", "/v1/config/system/sites/oslo", None).await.ok();
    // Nowhere: neither in the log nor in the store nor in what is answered.
    let log = serde_json::to_string(&rig.audit().await).unwrap();
    assert!(!log.contains("s3cret"), "{log}");
    for entry in control_tower::store::snapshot(&*rig.store, "").await.unwrap().1 {
        assert!(
            !entry.key.contains("s3cret") && !entry.value.windows(6).any(|bytes| bytes == b"s3cret"),
            "{}",
            entry.key
        );
        if let Ok(opened) = rig.app.db.get(&entry.key).await {
            let holds = opened.is_some_and(|opened| opened.value.windows(6).any(|bytes| bytes == b"s3cret"));
            assert!(!holds, "{}", entry.key);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_listed_is_let_in_with_its_identity_by_one_commit() {
    let rig = Rig::start().await;
    rig.verify("never").await;
    rig.site("oslo", &["h1", "h2"]).await;
    // For the first identity an authority is made, and a task writes down when to look at it again: not in between.
    rig.knock(&Host::new("h1"), &Way::default()).await.unwrap().ok();
    control_tower::tasks::run_due(&rig.app).await;
    let (host, revision) = (Host::new("h2"), rig.store.revision());
    let claimed = rig.knock(&host, &Way::default()).await.unwrap().ok();
    assert_eq!(rig.store.revision(), revision + 1);
    let shown = rig.get(&format!("{HOSTS}/{}", host.hash())).await;
    assert_eq!((&shown["spiffe-id"], &shown["expires"]), (&claimed["spiffe-id"], &claimed["expires"]));
    // It asks again, and is given another one.
    rig.knock(&host, &Way::default()).await.unwrap().ok();
    let audit = rig.audit().await;
    for event in ["call-home", "host-identity"] {
        let record = audit.iter().rfind(|record| record["event"] == event).unwrap();
        let expected =
            [("host", json!(host.hash())), ("site", json!("oslo")), ("spiffe-id", claimed["spiffe-id"].clone())];
        for (name, value) in expected {
            assert_eq!(record["detail"][name], value, "{record}");
        }
        assert!(record["detail"]["serial"].is_string(), "{record}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_comes_with_its_digest_and_where_no_certificate_is_asked_for_has_none() {
    let rig = Rig::start().await;
    let script = rig.post(crate::rig::SCRIPT, json!({"ttl": "1d"})).await;
    assert!(script.header("content-type").unwrap().starts_with("text/x-shellscript"));
    let digest = keyward_keys::sha256(&script.body).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(script.header("x-script-sha256"), Some(digest.as_str()));
    let text = script.text();
    assert!(
        text.contains("-----BEGIN PRIVATE KEY-----")
            && text.contains(&format!("https://localhost:{}", rig.call_home.port()))
    );
    let json = rig.post(&format!("{}?output=json", crate::rig::SCRIPT), json!({})).await.ok();
    assert!(
        json["script"].as_str().unwrap().starts_with("#!/bin/sh\n") && json["sha256"].as_str().unwrap().len() == 64
    );
    assert!(json["serial"].is_string() && json["batch"].is_string());
    // For a key that stays on the host.
    let host = Host::new("h1");
    let script = rig.post(crate::rig::SCRIPT, json!({"host-id": "h1", "csr": host.csr()})).await.text();
    assert!(!script.contains("PRIVATE KEY") && !script.contains("h1\n"));
    rig.verify("never").await;
    let script = rig.post(crate::rig::SCRIPT, json!({})).await;
    assert!(script.text().contains("There is no certificate in it") && script.header("x-certificate-serial").is_none());
    assert_eq!(rig.post(crate::rig::ISSUE, json!({})).await.status, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_authority_rotates_and_says_what_was_revoked() {
    let mut rig = Rig::start().await;
    let fields = json!({"name": "call-home", "ttl": "90d", "subject-country": "NO", "subject-organization": "Example"});
    rig.call("PUT", "/v1/config/system/ca/call-home", Some(fields)).await.ok();
    let state = rig.get("/v1/state/system/ca/call-home").await;
    assert!(state["versions"][0]["subject"].to_string().contains("Example"), "{state}");
    let (first, issued) = rig.issue(json!({"ttl": "30d"})).await;
    rig.post(crate::rig::REVOKE, json!({"serial": issued["serial"]})).await.ok();
    let (kept, _) = rig.issue(json!({"ttl": "30d"})).await;
    // Strangers see it, too.
    let stranger = Way::default();
    let pem = |path: &'static str| rig.send(rig.api, "GET", path, &stranger, None);
    let (ca, crl) = (pem("/v1/call-home/ca").await.unwrap(), pem("/v1/call-home/crl").await.unwrap());
    let list = rustls::pki_types::CertificateRevocationListDer::from_pem_slice(&crl.body).unwrap();
    let root = CertificateDer::from_pem_slice(&ca.body).unwrap();
    let verified = |pair: &crate::rig::Pair| {
        let lists = [webpki::CertRevocationList::Owned(webpki::OwnedCertRevocationList::from_der(&list).unwrap())];
        let lists: Vec<_> = lists.iter().collect();
        let revocation = webpki::RevocationOptionsBuilder::new(&lists).unwrap().build();
        let time = std::time::Duration::from_secs(rig.app.clock.now().unix_timestamp().try_into().unwrap());
        let anchor = [webpki::anchor_from_trusted_cert(&root).unwrap()];
        let usage = webpki::KeyUsage::client_auth();
        let time = rustls::pki_types::UnixTime::since_unix_epoch(time);
        let leaf = webpki::EndEntityCert::try_from(&pair.0[0]).unwrap();
        leaf.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &anchor, &[], time, usage, Some(revocation), None)
            .map(drop)
    };
    assert_eq!(verified(&first), Err(webpki::Error::CertRevoked));
    assert_eq!(verified(&kept), Ok(()));
    // It is signed once, until something is revoked again.
    let again = async || pem("/v1/call-home/crl").await.unwrap().body;
    assert_eq!(again().await, crl.body);
    let (_, other) = rig.issue(json!({"ttl": "30d"})).await;
    assert_eq!(again().await, crl.body);
    rig.post(crate::rig::REVOKE, json!({"serial": other["serial"]})).await.ok();
    let longer = again().await;
    assert!(longer.len() > crl.body.len());
    // Once more is no news.
    rig.post(crate::rig::REVOKE, json!({"serial": other["serial"]})).await.ok();
    assert_eq!(again().await, longer);

    // What was issued before a rotation is good until it is over.
    rig.post("/v1/state/system/ca/call-home/rotate", json!({})).await.ok();
    rig.pass(time::Duration::days(3)).await;
    let (newer, _) = rig.issue(json!({})).await;
    for (id, pair) in [("h1", &kept), ("h2", &newer)] {
        assert_eq!(rig.knock(&Host::new(id), &Way::with(pair)).await.unwrap().status, 202, "{id}");
    }
    // Each list has what its own issuer issued.
    let crl = rig.send(rig.api, "GET", "/v1/call-home/crl", &stranger, None).await.unwrap();
    let serial = u128::from_str_radix(issued["serial"].as_str().unwrap(), 16).unwrap().to_be_bytes();
    let lists = rustls::pki_types::CertificateRevocationListDer::pem_slice_iter(&crl.body);
    let mut counts: Vec<bool> =
        lists.map(|list| list.unwrap().windows(serial.len()).any(|bytes| bytes == serial)).collect();
    counts.sort_unstable();
    assert_eq!(counts, [false, true]);
    // Of a key that became known nothing is good any more.
    rig.post("/v1/state/system/ca/call-home/rotate", json!({"compromised": "all"})).await.ok();
    for pair in [&kept, &newer] {
        let refused = rig.knock(&Host::new("h3"), &Way::with(pair)).await.unwrap().refused();
        assert_eq!(refused, (403, "unknown-authority".to_owned()));
    }
    // It issues no SVIDs.
    let key = json!({"name": "jwt", "cipher": "ecdsa-p256"});
    rig.call("PUT", "/v1/config/strongbox/transit-keys/jwt", Some(key)).await.ok();
    let settings = json!({"jwt-signing-key": "jwt", "issuing-ca": "call-home"});
    let refused = rig.call("PUT", "/v1/config/strongbox/authentication/spiffe-settings", Some(settings)).await;
    assert!(refused.status == 400 && refused.text().contains("issues no SVIDs"), "{}", refused.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_apis_authority_gets_the_subject_that_is_configured() {
    let mut rig = Rig::start().await;
    let fields = json!({"name": "api", "subject-country": "NO", "subject-organization": "Example AS"});
    let applied = rig.call("PUT", "/v1/config/system/ca/api", Some(fields)).await.ok();
    assert!(applied["warnings"][0]["warning"].as_str().unwrap().contains("rotate"), "{applied}");
    let rotated = rig.post("/v1/state/system/ca/api/rotate", json!({})).await.ok();
    let pem = rotated["certificate"].as_str().unwrap();
    assert_eq!(std::fs::read_to_string(rig.directory.path().join("ca.pem")).unwrap(), pem);
    let former = std::mem::replace(&mut rig.ca, CertificateDer::from_pem_slice(pem.as_bytes()).unwrap());
    assert!(
        rig.ca.windows(10).any(|bytes| bytes == b"Example AS")
            && !former.windows(10).any(|bytes| bytes == b"Example AS")
    );
    assert_eq!(rig.get("/v1/state/system/ca/api").await["certificate"], pem);
    let wrong = json!({"name": "api", "ttl": "90d", "key-type": "ecdsa-p384"});
    assert_eq!(rig.call("PUT", "/v1/config/system/ca/api", Some(wrong)).await.status, 400);
    // Hosts are told the new one.
    let script = rig.post(crate::rig::SCRIPT, json!({})).await.text();
    assert!(script.contains(pem.trim_end()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_changes_nothing() {
    let (store, directory): (SharedStore, _) = (Arc::new(Memory::new()), Arc::new(tempfile::tempdir().unwrap()));
    let clock = Clock::fixed(crate::support::START);
    let rig = Rig::over(Arc::clone(&store), Arc::clone(&directory), RateLimit::OFF, clock.clone()).await;
    rig.site("oslo", &[]).await;
    let (pair, _) = rig.issue(json!({})).await;
    let (waits, claimed) = (Host::new("h1"), Host::new("h2"));
    for host in [&waits, &claimed] {
        assert_eq!(rig.knock(host, &Way::with(&pair)).await.unwrap().status, 202);
    }
    rig.post(&format!("{UNCLAIMED}/{}/claim", claimed.hash()), json!({"site": "oslo"})).await.ok();
    let admin = rig.admin.clone();
    rig.gate.end().await.unwrap();
    drop(rig);
    let mut rig = Rig::over(store, Arc::new(tempfile::tempdir().unwrap()), RateLimit::OFF, clock).await;
    rig.admin = admin;
    assert_eq!(rig.knock(&claimed, &Way::default()).await.unwrap().status, 200);
    assert_eq!(rig.knock(&waits, &Way::default()).await.unwrap().status, 202);
    assert_eq!(rig.waiting().await, [waits.hash()]);
    assert_eq!(rig.knock(&Host::new("h3"), &Way::with(&pair)).await.unwrap().status, 202);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_refused_too_often_waits() {
    let (store, directory): (SharedStore, _) = (Arc::new(Memory::new()), Arc::new(tempfile::tempdir().unwrap()));
    let limits = "failed-logins=1/s:150".parse().unwrap();
    let rig = Rig::over(store, directory, limits, Clock::fixed(crate::support::START)).await;
    let host = Host::new("h1");
    let mut tried = 0;
    while rig.knock(&host, &Way::default()).await.unwrap().status == 403 {
        tried += 1;
        assert!(tried < 200);
    }
    assert!(rig.knock(&host, &Way::default()).await.unwrap().header("retry-after").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs openssl: run by .ci/run"]
async fn openssl_checks_each_certificate_with_the_list_of_its_issuer() {
    let mut rig = Rig::start().await;
    let (revoked, issued) = rig.issue(json!({"ttl": "30d"})).await;
    let (kept, _) = rig.issue(json!({"ttl": "30d"})).await;
    rig.post(crate::rig::REVOKE, json!({"serial": issued["serial"]})).await.ok();
    rig.post("/v1/state/system/ca/call-home/rotate", json!({})).await.ok();
    rig.pass(time::Duration::days(3)).await;
    let (newer, _) = rig.issue(json!({"ttl": "30d"})).await;
    let (newer_revoked, issued) = rig.issue(json!({"ttl": "30d"})).await;
    rig.post(crate::rig::REVOKE, json!({"serial": issued["serial"]})).await.ok();
    let directory = tempfile::tempdir().unwrap();
    for (path, file) in [("/v1/call-home/ca", "ca.pem"), ("/v1/call-home/crl", "crl.pem")] {
        let answer = rig.send(rig.api, "GET", path, &Way::default(), None).await.unwrap();
        std::fs::write(directory.path().join(file), answer.body).unwrap();
    }
    let at = rig.app.clock.now().unix_timestamp().to_string();
    for (pair, problem) in [(&revoked, "revoked"), (&kept, ""), (&newer, ""), (&newer_revoked, "revoked")] {
        std::fs::write(directory.path().join("leaf.pem"), keyward_svid::x509::chain_to_pem(&pair.0)).unwrap();
        let mut openssl = std::process::Command::new("openssl");
        openssl.args(["verify", "-x509_strict", "-crl_check", "-purpose", "sslclient", "-attime", &at]);
        openssl.args(["-CAfile", "ca.pem", "-CRLfile", "crl.pem", "leaf.pem"]);
        let output = openssl.current_dir(directory.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), problem.is_empty(), "{said}");
        assert!(said.contains(problem), "{said}");
    }
    // What is over leaves nothing behind, but when something was revoked last.
    let at_rest = format!("t/{}/call-home-", rig.app.operators);
    rig.pass(time::Duration::days(32)).await;
    let left = control_tower::store::snapshot(&*rig.store, &at_rest).await.unwrap().1;
    let left: Vec<&str> = left.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(left, [control_tower::layout::call_home_revoked_head(&rig.app.operators)]);
}
