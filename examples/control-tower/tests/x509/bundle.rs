//! The bundle that strangers fetch: what is in it, how long it may be kept, and its number.

use axum::{body::Body, http::Request};

use super::*;

async fn get(tower: &Tower, path: &str) -> Reply {
    tower.call("GET", path, None, None).await
}

#[tokio::test]
async fn nothing_is_published_until_there_is_something() {
    let (tower, admin) = tower().await;
    let path = format!("/{}/spiffe-bundle", tower.tenant());
    let pem = "/v1/get-spiffe-bundle";
    for path in [path.as_str(), "/nobody/spiffe-bundle", pem, "/v1/get-spiffe-bundle?tenant=nobody"] {
        let answer = get(&tower, path).await;
        assert_eq!(answer.headers["cache-control"], "no-store", "{path}");
        answer.refused(404);
    }
    // First the keys of tokens, then the authority.
    tower.bulk(&admin, &walk()).await.ok();
    let only_jwt = fetch(&tower).await;
    assert_eq!((only_jwt.x509().authorities().len(), only_jwt.jwt().keys().keys().len()), (0, 1));
    get(&tower, pem).await.refused(404);
    log_in(&tower, &admin).await.ok();
    let both = fetch(&tower).await;
    assert_eq!((both.x509().authorities().len(), both.jwt().keys().keys().len()), (1, 1));
    assert!(both.sequence() > only_jwt.sequence());

    // The document, as others read it.
    let answer = get(&tower, &path).await;
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["cache-control"], "public, max-age=300");
    let json = answer.json();
    assert_eq!(json["spiffe_refresh_hint"], 300);
    let uses: Vec<_> = json["keys"].as_array().unwrap().iter().map(|key| key["use"].as_str().unwrap()).collect();
    assert_eq!(uses, ["x509-svid", "jwt-svid"]);
    assert!(json["keys"][0]["kid"].is_null() && json["keys"][0]["x5c"].as_array().unwrap().len() == 1);
    assert!(json["keys"][1]["kid"].is_string());

    // Once more only when it has changed.
    let tag = answer.headers["etag"].to_str().unwrap();
    let again = Request::get(&path).header("if-none-match", tag).body(Body::empty()).unwrap();
    assert_eq!(tower.send(again).await.status, 304);

    // PEM, by the tenant's name and id, with both methods.
    let cert = get(&tower, pem).await;
    assert_eq!(cert.headers["cache-control"], "public, max-age=300");
    assert_eq!(cert.json()["cert"], both.to_pem());
    for path in [format!("{pem}?tenant=default"), format!("{pem}?tenant={}", tower.tenant())] {
        assert_eq!(get(&tower, &path).await.ok(), cert.json());
        assert_eq!(tower.call("POST", &path, None, None).await.ok(), cert.json());
    }
    let body = Some(json!({"tenant": "default"}));
    assert_eq!(tower.call("POST", pem, None, body).await.ok(), cert.json());

    let state = tower.get("/v1/state/strongbox/authentication/spiffe-settings", &admin).await.ok();
    assert_eq!(state["bundle-url"], format!("https://tower.example{path}"));
    assert_eq!(state["issuing-ca"], "own");
}

#[tokio::test]
async fn a_bundle_is_fetched_often_enough_for_the_quickest_rotation() {
    let (tower, admin) = tower().await;
    let quick = walk().replace("activate-after: 1d", "activate-after: 159s");
    tower.bulk(&admin, &quick).await.ok();
    log_in(&tower, &admin).await.ok();
    let answer = get(&tower, &format!("/{}/spiffe-bundle", tower.tenant())).await;
    let hint = answer.json()["spiffe_refresh_hint"].as_u64().unwrap();
    // A fetch may come from a cache; a minute for distribution and one for clocks that differ are needed besides.
    assert_eq!(answer.headers["cache-control"], format!("public, max-age={hint}"));
    assert!(hint > 0 && hint <= 159 / 5 && 2 * hint + 120 <= 159, "{hint}");
}

#[tokio::test]
async fn the_number_grows_with_the_content_by_time_alone_and_never_back() {
    let (tower, admin) = tower().await;
    tower.bulk(&admin, &walk()).await.ok();
    log_in(&tower, &admin).await.ok();
    let start = fetch(&tower).await;
    // A new signing key, and the old one leaves five days later: first seen by time alone, then noted.
    tower.pass(Duration::days(30)).await;
    let two = fetch(&tower).await;
    assert_eq!(two.jwt().keys().keys().len(), 2);
    assert!(tower.app.clock.advance(Duration::days(5) - Duration::SECOND));
    assert_eq!(fetch(&tower).await, two);
    assert!(tower.app.clock.advance(Duration::SECOND));
    let one = fetch(&tower).await;
    assert_eq!(one.jwt().keys().keys().len(), 1);
    assert!(start.sequence() < two.sequence() && two.sequence() < one.sequence());
    tower.pass(Duration::ZERO).await;
    let noted = fetch(&tower).await;
    assert!(noted.sequence() > one.sequence());
    // A clock that was set back brings nothing back.
    assert!(tower.app.clock.advance(-Duration::days(2)));
    assert_eq!(fetch(&tower).await, noted);
    // Another change while it is set back is a greater number still.
    let admin = tower.administrator().await;
    let other = json!({"name": "other", "cipher": "ecdsa-p256"});
    tower.call("PUT", &format!("{CONFIG}/strongbox/transit-keys/other"), Some(&admin), Some(other)).await.ok();
    assert_eq!(fetch(&tower).await, noted, "a key that signs no SVIDs is nothing to verifiers");
    tower.call("PUT", SETTINGS, Some(&admin), Some(json!({"jwt-signing-key": "other"}))).await.ok();
    let changed = fetch(&tower).await;
    assert!(changed.sequence() > noted.sequence() && changed.jwt().keys().keys().len() == 2);
}
