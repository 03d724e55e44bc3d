//! Which authority issues: configured, by default, changed, renewed, gone.

use control_tower::{clock::Clock, store::Memory};
use std::sync::Arc;
use tokio::task::JoinSet;

use super::*;

fn ca(fields: Value) -> Value {
    let mut ca = json!({"name": "edge"});
    ca.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    ca
}

async fn configure(tower: &Tower, admin: &str, ca: Value) -> Reply {
    tower.call("PUT", &format!("{CONFIG}/system/ca/edge"), Some(admin), Some(ca)).await
}

/// Names the authority that issues; `None` for the tenant's own.
async fn settings(tower: &Tower, admin: &str, authority: Option<&str>) -> Reply {
    let mut settings = json!({"jwt-signing-key": "spiffe-jwt"});
    if let Some(name) = authority {
        settings["issuing-ca"] = name.into();
    }
    tower.call("PUT", SETTINGS, Some(admin), Some(settings)).await
}

/// The authority of the SVID that a login gives now, by the record of it.
async fn issuer(tower: &Tower) -> String {
    let admin = tower.administrator().await;
    let login = log_in(tower, &admin).await.ok();
    Svid::of(&login).verify(&fetch(tower).await, tower.app.clock.now()).unwrap();
    let records = tower.audit(&admin).await;
    let login = records.iter().rfind(|record| record["event"] == "approle-login").unwrap();
    login["detail"]["authority"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_configured_authority_says_who_it_is() {
    let (tower, admin) = tower().await;
    let subject =
        json!({"subject-country": "de", "subject-organization": "Example GmbH", "subject-common-name": "Edge CA"});
    let created = configure(&tower, &admin, ca(subject)).await;
    assert_eq!(created.status, 201);
    let state = state(&tower, &admin, "edge").await;
    assert_eq!((&state["issues"], &state["trust-domain"]), (&json!(false), &json!("tower.example")));
    let version = &state["versions"][0];
    let serial = version["serial-number"].as_str().unwrap();
    assert_eq!(version["subject"], "C=DE, O=Example GmbH, CN=Edge CA");
    assert_eq!((version["phase"].as_str(), serial.len()), (Some("active"), 32));
    assert_eq!(time_of(&version["not-after"]), START + Duration::days(90));
    assert_eq!(time_of(&state["next-change"]), START + Duration::days(84));
    // The certificate says the same: the serial number is in it as text.
    let pem = version["certificate"].as_str().unwrap();
    let der = keyward_svid::x509::chain_from_pem(pem).unwrap().remove(0);
    for text in ["Example GmbH", "Edge CA", serial] {
        assert!(der.windows(text.len()).any(|window| window == text.as_bytes()), "{text}");
    }
    // It is in no bundle until it is named.
    tower.call("GET", "/v1/get-spiffe-bundle", None, None).await.refused(404);

    // Bounds, by field, and in a bulk by line too.
    let country = configure(&tower, &admin, ca(json!({"subject-country": "Germany"}))).await.refused(400);
    assert!(country.contains("`subject-country`") && country.contains("two letters"), "{country}");
    let bulk = "x-path: system/ca/edge\nx-operation: merge\nttl: 20d\nsubject-locality: ''\n";
    let line = tower.bulk(&admin, bulk).await.refused(400);
    assert!(line.starts_with("document 1, line 4, `system/ca/edge`: field `subject-locality`: it is empty"), "{line}");
    let kind = configure(&tower, &admin, ca(json!({"key-type": "ecdsa-p384"}))).await.refused(422);
    assert!(kind.contains("`key-type`") && kind.contains("make another authority"), "{kind}");
}

#[tokio::test]
async fn another_authority_is_published_first_and_the_former_one_stays_as_long_as_its_svids() {
    let (tower, admin) = tower().await;
    tower.bulk(&admin, &walk()).await.ok();
    let missing = settings(&tower, &admin, Some("edge")).await.refused(422);
    assert!(missing.contains("`issuing-ca`") && missing.contains("system/ca/edge"), "{missing}");
    assert_eq!(issuer(&tower).await, "own");

    configure(&tower, &admin, ca(json!({}))).await.ok();
    settings(&tower, &admin, Some("edge")).await.ok();
    assert_eq!(fetch(&tower).await.x509().authorities().len(), 2);
    assert_eq!(issuer(&tower).await, "own", "verifiers do not know the other yet");
    tower.pass(Duration::DAY - Duration::SECOND).await;
    assert_eq!(issuer(&tower).await, "own");
    let admin = tower.administrator().await;
    let last = Svid::of(&log_in(&tower, &admin).await.ok());
    tower.pass(Duration::SECOND).await;
    assert_eq!(issuer(&tower).await, "edge");

    // The last SVID of the former one verifies until its end, though nobody asks for its authority any more.
    tower.pass(Duration::DAY - Duration::seconds(2)).await;
    last.verify(&fetch(&tower).await, tower.app.clock.now()).unwrap();
    assert_eq!(fetch(&tower).await.x509().authorities().len(), 2);
    tower.pass(Duration::days(3) + Duration::seconds(2)).await;
    assert_eq!(fetch(&tower).await.x509().authorities().len(), 1);

    // It cannot be deleted while it is named, nor while anybody needs it.
    let admin = tower.administrator().await;
    let delete = async |admin: &str| tower.call("DELETE", &format!("{CONFIG}/system/ca/edge"), Some(admin), None).await;
    assert!(delete(&admin).await.refused(409).contains("spiffe-settings"));
    settings(&tower, &admin, None).await.ok();
    let needed = delete(&admin).await.refused(409);
    assert!(needed.contains("verifiers still need this authority"), "{needed}");
    tower.pass(Duration::DAY).await;
    assert_eq!(issuer(&tower).await, "own");
    tower.pass(Duration::days(4)).await;
    let admin = tower.administrator().await;
    delete(&admin).await.ok();
    tower.get("/v1/state/system/ca/edge", &admin).await.refused(404);
}

#[tokio::test]
async fn a_dry_run_makes_no_authority() {
    let (tower, admin) = tower().await;
    tower.bulk(&admin, &walk()).await.ok();
    let before = tower.app.db.store().revision();
    let dry = format!("{CONFIG}/system/ca/edge?validate=true");
    tower.call("PUT", &dry, Some(&admin), Some(ca(json!({})))).await.ok();
    assert!(tower.call("PUT", &dry, Some(&admin), Some(ca(json!({"ttl": "1d"})))).await.status == 400);
    assert_eq!(tower.app.db.store().revision(), before);
    tower.get("/v1/state/system/ca/edge", &admin).await.refused(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_logins_at_once_at_two_towers_make_one_authority() {
    for _ in 0..5 {
        let (store, clock) = (Arc::new(Memory::new()), Clock::fixed(START));
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let first =
            Tower::at(store.clone(), clock.clone(), directory.clone(), "audit-1", "https://tower.example").await;
        let second = Tower::at(store, clock, directory, "audit-2", "https://tower.example").await;
        let admin = first.administrator().await;
        role(&first, &admin, json!({"token-spiffe-x509": {}})).await.ok();
        let (role_id, secret_id) = first.secret(&admin, "web", json!({})).await;
        let mut logins = JoinSet::new();
        for nth in 0..8 {
            let router = if nth % 2 == 0 { &first } else { &second };
            let tower = Tower {
                app: router.app.clone(),
                router: router.router.clone(),
                credentials: None,
                directory: router.directory.clone(),
            };
            let (role_id, secret_id) = (role_id.clone(), secret_id.clone());
            logins.spawn(async move { tower.log_in(&role_id, &secret_id).await.ok() });
        }
        let bundle = {
            let answers = logins.join_all().await;
            let bundle = fetch(&first).await;
            for answer in answers {
                Svid::of(&answer).verify(&bundle, START).unwrap();
            }
            bundle
        };
        assert_eq!(bundle.x509().authorities().len(), 1);
    }
}

#[tokio::test]
async fn a_tower_that_slept_longer_than_its_authority_lived_issues_at_once() {
    for tasks_first in [true, false] {
        let (tower, admin) = tower().await;
        log_in(&tower, &admin).await.ok();
        let old = fetch(&tower).await;
        tower.app.clock.advance(Duration::days(400));
        if tasks_first {
            control_tower::tasks::run_due(&tower.app).await;
        }
        let admin = tower.administrator().await;
        let svid = Svid::of(&log_in(&tower, &admin).await.ok());
        let bundle = fetch(&tower).await;
        svid.verify(&bundle, tower.app.clock.now()).unwrap();
        assert!(svid.verify(&old, tower.app.clock.now()).is_err());
        assert!(bundle.sequence() > old.sequence());
        // And it goes on rotating.
        for _ in 0..100 {
            tower.pass(Duration::DAY).await;
        }
        let admin = tower.administrator().await;
        Svid::of(&log_in(&tower, &admin).await.ok()).verify(&fetch(&tower).await, tower.app.clock.now()).unwrap();
    }
}

#[tokio::test]
async fn another_trust_domain_begins_afresh() {
    let (tower, admin) = tower().await;
    tower.bulk(&admin, &walk()).await.ok();
    let before = Svid::of(&log_in(&tower, &admin).await.ok());
    let old = fetch(&tower).await;
    let settings = json!({"jwt-signing-key": "spiffe-jwt", "trust-domain": "prod.example"});
    tower.call("PUT", SETTINGS, Some(&admin), Some(settings)).await.ok();
    let login = log_in(&tower, &admin).await.ok();
    let answer = tower.call("GET", &format!("/{}/spiffe-bundle", tower.tenant()), None, None).await;
    let new = Bundle::from_json("prod.example".parse().unwrap(), &answer.bytes).unwrap();
    let svid = Svid::of(&login).verify(&new, START).unwrap();
    assert_eq!(svid.id().to_string(), "spiffe://prod.example/approle/web");
    assert_eq!(new.x509().authorities().len(), 1);
    assert!(before.verify(&new, START).is_err() && new.sequence() > old.sequence());
}
