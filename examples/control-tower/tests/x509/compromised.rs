//! A key became known: what it signed is refused by whoever reads keys from then on, and nothing else is.

use super::*;

const KEY: &str = "/v1/state/strongbox/transit-keys/spiffe-jwt";
const CA: &str = "/v1/state/system/ca/own";

/// A tower whose role `web` is given SVIDs of both kinds.
async fn both() -> (Tower, String) {
    let (tower, admin) = tower().await;
    tower.bulk(&admin, &walk()).await.ok();
    role(&tower, &admin, json!({"token-spiffe-x509": {}, "token-spiffe-jwt": {"jwt-audiences": ["db"]}})).await.ok();
    (tower, admin)
}

fn jwt_verifies(login: &Value, bundle: &Bundle, now: OffsetDateTime) -> bool {
    let token = login["jwt-svid"].as_str().unwrap();
    Verifier::new(["db"], VerifyOptions::default()).unwrap().verify(token, bundle.jwt(), now).is_ok()
}

async fn rotate(tower: &Tower, admin: &str, path: &str) -> Reply {
    tower.post(&format!("{path}/rotate"), admin, json!({"compromised": true})).await
}

async fn last_record(tower: &Tower, admin: &str, event: &str) -> Value {
    let records = tower.audit(admin).await;
    records.iter().rfind(|record| record["event"] == event).unwrap_or_else(|| panic!("{event}"))["detail"].clone()
}

#[tokio::test]
async fn what_a_compromised_authority_issued_is_refused_by_the_next_bundle() {
    let (tower, admin) = both().await;
    let now = tower.app.clock.now();
    let before = log_in(&tower, &admin).await.ok();
    let own = own_svid(&tower.app, now).await.unwrap();
    let old = fetch(&tower).await;
    let answer = rotate(&tower, &admin, CA).await.ok();
    assert_eq!((&answer["replaced"]["version"], &answer["replaced"]["dropped"]), (&json!(2), &json!([1])), "{answer}");
    // A bundle may be kept for as long as it said, at most; the answer says no less.
    let hint = i64::try_from(old.refresh_hint().unwrap()).unwrap();
    assert!(answer["replaced"]["cached-for"].as_i64().unwrap() >= hint, "{answer}");
    assert!(time_of(&answer["replaced"]["cached-until"]) >= now + Duration::seconds(hint));
    let phases: Vec<_> = answer["versions"].as_array().unwrap().iter().map(|v| v["phase"].clone()).collect();
    assert_eq!(phases, ["over", "active"]);
    assert_eq!((&answer["versions"][0]["destroyed"], &answer["issues"]), (&json!(true), &json!(true)));

    let new = fetch(&tower).await;
    assert!(new.sequence() > old.sequence());
    assert_eq!(new.x509().authorities().len(), 1);
    let svid = Svid::of(&before);
    svid.verify(&old, now).unwrap();
    svid.verify(&new, now).unwrap_err();
    svid.verify_with_webpki(&new, now).unwrap_err();
    // The other kind is not touched.
    assert!(jwt_verifies(&before, &new, now));
    // The next refresh gives an SVID that verifies; nobody waits for the publication.
    let token = before["token"].as_str().unwrap();
    let refreshed = tower.call("POST", REFRESH, Some(token), None).await.ok();
    Svid::of(&refreshed).verify(&new, now).unwrap();
    Svid::of(&refreshed).verify(&old, now).unwrap_err();
    // What the tower shows of itself too.
    let renewed = own_svid(&tower.app, now).await.unwrap();
    assert_ne!(renewed.svid().serial(), own.svid().serial());
    assert_eq!(own_svid(&tower.app, now).await.unwrap().svid().serial(), renewed.svid().serial());

    let detail = last_record(&tower, &admin, "authority-rotate").await;
    assert_eq!((&detail["authority"], &detail["compromised"]), (&json!("own"), &json!(true)));
    assert_eq!((&detail["dropped"], &detail["version"], &detail["destroyed"]), (&json!([1]), &json!(2), &json!([1])));
    // A clock that goes back brings nothing back.
    assert!(tower.app.clock.advance(-Duration::HOUR));
    svid.verify(&fetch(&tower).await, now).unwrap_err();
}

#[tokio::test]
async fn what_a_compromised_key_signed_is_refused_by_the_next_key_set() {
    let (tower, admin) = both().await;
    let now = tower.app.clock.now();
    let before = log_in(&tower, &admin).await.ok();
    let old = fetch(&tower).await;
    assert!(jwt_verifies(&before, &old, now));
    let answer = rotate(&tower, &admin, KEY).await.ok();
    assert_eq!((&answer["replaced"]["version"], &answer["replaced"]["dropped"]), (&json!(2), &json!([1])));
    // An hour in caches, and the time for distribution and for clocks that differ.
    assert_eq!(answer["replaced"]["cached-for"], 3720, "{answer}");
    // A day before the next version signs and two after it: who has a copy and hears nothing goes on.
    assert_eq!(answer["replaced"]["sites-sign-for"], 3 * 86_400, "{answer}");
    assert!(answer["replaced"]["sites-sign-until"].is_string(), "{answer}");
    assert_eq!((&answer["active-version"], &answer["versions"][0]["phase"]), (&json!(2), &json!("invalid")));

    let new = fetch(&tower).await;
    let jwks = tower.call("GET", &format!("/{}/jwks", tower.tenant()), None, None).await.ok();
    let kids: Vec<_> = jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone()).collect();
    assert_eq!(kids, [answer["versions"][1]["kid"].clone()]);
    assert!(!jwt_verifies(&before, &new, now));
    Svid::of(&before).verify(&new, now).unwrap();
    let after = log_in(&tower, &admin).await.ok();
    assert!(jwt_verifies(&after, &new, now) && !jwt_verifies(&after, &old, now));

    let detail = last_record(&tower, &admin, "key-rotate").await;
    assert_eq!(
        (&detail["key"], &detail["compromised"], &detail["dropped"]),
        (&json!("spiffe-jwt"), &json!(true), &json!([1]))
    );
    assert_eq!(detail["kid"], kids[0]);

    // While a version is pending, too: it lay beside the one that became known.
    tower.post(&format!("{KEY}/rotate"), &admin, json!({})).await.ok();
    assert!(
        tower.post(&format!("{KEY}/rotate"), &admin, json!({})).await.refused(409).contains("version 3 is pending")
    );
    assert_eq!(rotate(&tower, &admin, KEY).await.ok()["replaced"]["dropped"], json!([2, 3]));
    assert_eq!(fetch(&tower).await.jwt().keys().keys().len(), 1);
    assert!(!jwt_verifies(&after, &fetch(&tower).await, now));
}

#[tokio::test]
async fn all_versions_end_at_once_if_all_became_known() {
    let (tower, admin) = both().await;
    let before = log_in(&tower, &admin).await.ok();
    tower.post(&format!("{KEY}/rotate"), &admin, json!({})).await.ok();
    tower.pass(Duration::days(1)).await;
    let admin = tower.administrator().await;
    // The token is over about now.
    let now = tower.app.clock.now() - Duration::minutes(1);
    // The first one verifies still; that the active one became known would not end it.
    assert!(jwt_verifies(&before, &fetch(&tower).await, now));
    let answer = tower.post(&format!("{KEY}/rotate"), &admin, json!({"compromised": "all"})).await.ok();
    assert_eq!(answer["replaced"]["dropped"], json!([1, 2]), "{answer}");
    assert!(!jwt_verifies(&before, &fetch(&tower).await, now));
    assert_eq!(fetch(&tower).await.jwt().keys().keys().len(), 1);
    assert_eq!(last_record(&tower, &admin, "key-rotate").await["compromised"], "all");
    let answer = tower.post(&format!("{CA}/rotate"), &admin, json!({"compromised": "all"})).await.ok();
    assert_eq!(answer["replaced"]["dropped"], json!([1]), "{answer}");
}

#[tokio::test]
async fn who_is_known_to_peers_by_an_authority_is_told_that_they_cannot_follow() {
    let (tower, admin) = both().await;
    log_in(&tower, &admin).await.ok();
    assert!(rotate(&tower, &admin, CA).await.ok()["warning"].is_null(), "no peer knows it by its authority");
    let at = "127.0.0.1:4648".parse().unwrap();
    tower
        .app
        .federation
        .endpoint
        .get_or_init(|| control_tower::federation::Endpoint::new(&"https://localhost:4648".parse().unwrap(), at));
    let answer = rotate(&tower, &admin, CA).await.ok();
    assert!(answer["warning"].as_str().unwrap().contains("`bootstrap-bundle`"), "{answer}");
    assert!(rotate(&tower, &admin, KEY).await.ok()["warning"].is_null(), "its authority is the same");
}

#[tokio::test]
async fn an_orderly_rotation_of_an_authority_breaks_nobody() {
    let (tower, admin) = both().await;
    let before = log_in(&tower, &admin).await.ok();
    let answer = tower.call("POST", &format!("{CA}/rotate"), Some(&admin), None).await.ok();
    assert!(answer["replaced"].is_null());
    assert_eq!(answer["versions"][1]["phase"], "prepared");
    let both = fetch(&tower).await;
    assert_eq!(both.x509().authorities().len(), 2);
    Svid::of(&before).verify(&both, tower.app.clock.now()).unwrap();
    let pending = tower.post(&format!("{CA}/rotate"), &admin, json!({"compromised": false})).await.refused(409);
    assert!(pending.contains("version 2 is pending"), "{pending}");
    tower.pass(Duration::DAY).await;
    let admin = tower.administrator().await;
    assert_eq!(state(&tower, &admin, "own").await["versions"][1]["phase"], "active");
    let detail = last_record(&tower, &admin, "authority-rotate").await;
    assert_eq!((&detail["version"], &detail["compromised"]), (&json!(2), &Value::Null));
}

#[tokio::test]
async fn only_who_may_rotates_and_only_what_is_there() {
    let (tower, admin) = both().await;
    let login = log_in(&tower, &admin).await.ok();
    let token = login["token"].as_str().unwrap();
    let before = tower.app.db.store().revision();
    for path in [KEY, CA, "/v1/state/system/ca/missing"] {
        let denied = rotate(&tower, token, path).await.refused(403);
        assert!(denied.starts_with("permission denied"), "{denied}");
        tower.call("POST", &format!("{path}/rotate"), None, Some(json!({"compromised": true}))).await.refused(401);
    }
    for path in ["/v1/state/system/ca/missing", "/v1/state/system/ca/N_o", "/v1/state/strongbox/transit-keys/missing"] {
        rotate(&tower, &admin, path).await.refused(404);
    }
    for body in [json!({"compromised": "both"}), json!({"compromized": true}), json!([])] {
        tower.post(&format!("{CA}/rotate"), &admin, body).await.refused(400);
    }
    assert_eq!(tower.app.db.store().revision(), before);
}

#[tokio::test]
async fn a_key_that_nobody_fetches_is_in_no_cache() {
    let (tower, admin) = tower().await;
    let data = json!({"name": "data", "cipher": "aes256-gcm96"});
    tower.post("/v1/config/strongbox/transit-keys", &admin, data).await.ok();
    let path = "/v1/state/strongbox/transit-keys/data";
    let sealed = tower.post(&format!("{path}/encrypt"), &admin, json!({"plaintext": "aGk="})).await.ok();
    assert_eq!(rotate(&tower, &admin, path).await.ok()["replaced"], json!({"version": 2, "dropped": [1]}));
    // What it encrypted is not lost.
    let rewrapped = tower.post(&format!("{path}/rewrap"), &admin, sealed).await.ok();
    assert!(rewrapped["ciphertext"].as_str().unwrap().starts_with("vault:v2:"));
}
