//! X.509-SVIDs: issued at login and refresh by authorities that are configured or made at their first use, and verified by
//! what strangers can read.
//!
//! `KEYWARD_FULL=1` lives through more days with a login each hour.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "x509/authorities.rs"]
mod authorities;
#[path = "x509/bundle.rs"]
mod bundle;
#[path = "x509/compromised.rs"]
mod compromised;
#[path = "x509/days.rs"]
mod days;
mod support;
#[path = "x509/verify.rs"]
mod verify;

use control_tower::own_svid::own_svid;
use keyward_keys::KeyType;
use keyward_svid::{Verifier, VerifyOptions, bundle::Bundle};
use serde_json::{Value, json};
use support::{Reply, START, Tower, WALK};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};
use verify::Svid;

const CONFIG: &str = "/v1/config";
const REFRESH: &str = "/v1/state/strongbox/token/refresh";
const SETTINGS: &str = "/v1/config/strongbox/authentication/spiffe-settings";

/// A tower with a role that asks for X.509-SVIDs, and an administrator.
async fn tower() -> (Tower, String) {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    role(&tower, &admin, json!({"token-spiffe-x509": {}})).await.ok();
    (tower, admin)
}

/// The walk's configuration, with keys that are quick to make.
fn walk() -> String {
    WALK.replace("cipher: rsa-2048", "cipher: ecdsa-p256")
}

async fn role(tower: &Tower, admin: &str, more: Value) -> Reply {
    let mut role = json!({"name": "web", "token-period": "1d"});
    role.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    tower.call("PUT", &format!("{CONFIG}/strongbox/authentication/approles/web"), Some(admin), Some(role)).await
}

async fn log_in(tower: &Tower, admin: &str) -> Reply {
    let (role_id, secret_id) = tower.secret(admin, "web", json!({})).await;
    tower.log_in(&role_id, &secret_id).await
}

async fn fetch(tower: &Tower) -> Bundle {
    let answer = tower.call("GET", &format!("/{}/spiffe-bundle", tower.tenant()), None, None).await;
    answer.ok();
    Bundle::from_json("tower.example".parse().unwrap(), &answer.bytes).unwrap()
}

async fn state(tower: &Tower, admin: &str, name: &str) -> Value {
    tower.get(&format!("/v1/state/system/ca/{name}"), admin).await.ok()
}

fn time_of(value: &Value) -> OffsetDateTime {
    OffsetDateTime::parse(value.as_str().unwrap_or_else(|| panic!("{value}")), &Rfc3339).unwrap()
}

#[tokio::test]
async fn logins_and_refreshes_give_svids_that_everybody_verifies() {
    let (tower, admin) = tower().await;
    let first = log_in(&tower, &admin).await;
    assert_eq!(first.headers["cache-control"], "no-store");
    let first = first.ok();
    assert!(first["jwt-svid"].is_null());
    let now = tower.app.clock.now();
    let bundle = fetch(&tower).await;
    let svid = Svid::of(&first);
    let verified = svid.verify(&bundle, now).unwrap();
    assert_eq!(verified.id().to_string(), "spiffe://tower.example/approle/web");
    assert_eq!(verified.not_after(), time_of(&first["expires"]), "it expires with its token");
    assert_eq!(verified.not_after(), START + Duration::DAY);
    assert_eq!(svid.key.key_type(), KeyType::EcdsaP256);
    svid.verify_with_webpki(&bundle, now).unwrap();
    assert_eq!(svid.read_with_spiffe(&bundle), verified.id().to_string());

    // Another one at the refresh, with another key, and for the whole of the new life.
    tower.pass(Duration::hours(18)).await;
    let token = first["token"].as_str().unwrap();
    let refreshed = tower.call("POST", REFRESH, Some(token), None).await;
    assert_eq!(refreshed.headers["cache-control"], "no-store");
    let refreshed = refreshed.ok();
    let (now, again) = (tower.app.clock.now(), Svid::of(&refreshed));
    let reverified = again.verify(&bundle, now).unwrap();
    assert_eq!(reverified.not_after(), now + Duration::DAY);
    assert_ne!(again.key.public_key(), svid.key.public_key());
    assert_ne!(reverified.serial(), verified.serial());
    again.verify_with_webpki(&bundle, now).unwrap();
    // Both live until their time and not a second longer.
    svid.verify(&bundle, now).unwrap();
    let late = verified.not_after() + Duration::SECOND;
    assert!(svid.verify(&bundle, late).is_err() && svid.verify_with_webpki(&bundle, late).is_err());

    // What is on record: who, of which authority, with which serial number, and no key.
    let admin = tower.administrator().await;
    let records = tower.audit(&admin).await;
    for (event, serial) in [("approle-login", verified.serial()), ("token-refresh", reverified.serial())] {
        let record = records.iter().find(|record| record["event"] == event).unwrap();
        assert_eq!(record["detail"]["serial"], serial.to_string());
        assert_eq!(record["detail"]["spiffe-id"], verified.id().to_string());
        assert_eq!(record["detail"]["authority"], "own");
    }
    assert_eq!(records.iter().filter(|record| record["event"] == "authority-make").count(), 1);
}

#[tokio::test]
async fn a_clock_that_is_a_little_behind_the_tower_that_made_the_authority_issues_too() {
    let (tower, admin) = tower().await;
    log_in(&tower, &admin).await.ok();
    assert!(tower.app.clock.advance(-Duration::seconds(50)));
    let login = log_in(&tower, &admin).await.ok();
    let svid = Svid::of(&login).verify(&fetch(&tower).await, START).unwrap();
    assert_eq!(svid.not_after(), time_of(&login["expires"]));
}

#[tokio::test]
async fn one_login_gives_both_kinds_and_the_shorter_life_counts() {
    let (tower, admin) = tower().await;
    tower.bulk(&admin, &walk()).await.ok();
    for (jwt, x509, life) in [("1h", "10m", 600), ("10m", "1h", 600), ("24h", "24h", 86_400)] {
        let both =
            json!({"token-spiffe-jwt": {"jwt-audiences": ["a"], "ttl": jwt}, "token-spiffe-x509": {"ttl": x509}});
        role(&tower, &admin, both).await.ok();
        let login = log_in(&tower, &admin).await.ok();
        assert_eq!(login["expires-in"], life);
        let (now, bundle) = (tower.app.clock.now(), fetch(&tower).await);
        let x509 = Svid::of(&login).verify(&bundle, now).unwrap();
        assert_eq!(x509.not_after(), now + Duration::seconds(life));
        // Both with one bundle, for one identity.
        let verifier = Verifier::new(["a"], VerifyOptions::default()).unwrap();
        let jwt = verifier.verify(login["jwt-svid"].as_str().unwrap(), bundle.jwt(), now).unwrap();
        assert_eq!(jwt.id(), x509.id());
    }
    let refused = role(&tower, &admin, json!({"token-spiffe-x509": {"ttl": "25h"}})).await.refused(400);
    assert!(refused.contains("token-spiffe-x509.ttl") && refused.contains("longer than"), "{refused}");
    // Who does not ask for one gets none, from the next refresh on too.
    let login = log_in(&tower, &admin).await.ok();
    role(&tower, &admin, json!({})).await.ok();
    let refreshed = tower.call("POST", REFRESH, login["token"].as_str(), None).await.ok();
    assert!(refreshed["x509-svid"].is_null() && refreshed["token"].is_string());
}

#[tokio::test]
async fn the_tower_has_an_svid_of_its_own_that_it_renews_at_half_of_its_life() {
    let tower = Tower::fresh().await;
    let start = tower.app.clock.now();
    let first = own_svid(&tower.app, start).await.unwrap();
    assert_eq!(first.svid().id().to_string(), "spiffe://tower.example/control-tower");
    let bundle = fetch(&tower).await;
    assert!(bundle.x509().authorities().len() == 1 && first.svid().chain().len() == 1);
    let mut serial = first.svid().serial();
    let (half, second) = (Duration::hours(12), Duration::SECOND);
    // At last the clock is set back: what was made is not valid yet.
    for (step, same) in [(half - second, true), (second, false), (half, false), (-half, false)] {
        assert!(tower.app.clock.advance(step));
        let now = tower.app.clock.now();
        let again = own_svid(&tower.app, now).await.unwrap();
        assert_eq!(again.svid().serial() == serial, same, "{now}");
        assert!(again.svid().not_before() <= now);
        serial = again.svid().serial();
    }
}
