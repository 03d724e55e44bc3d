//! No verifier notices that authorities rotate: months with a clock moved by hand.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use control_tower::{clock::Clock, store::Memory};

use super::*;

/// The whole of the test, rather than a part of it: `KEYWARD_FULL=1`.
#[allow(clippy::disallowed_methods, reason = "a test reads its own switch")]
fn full() -> bool {
    std::env::var("KEYWARD_FULL").is_ok_and(|value| value == "1")
}

/// How old a bundle may be: fetched by the hint, out of a cache that had kept it for as long as it may.
const OLDEST_COPY: Duration = Duration::seconds(2 * 300 - 1);

struct Issued {
    svid: Svid,
    until: OffsetDateTime,
}

#[tokio::test]
async fn every_svid_verifies_for_its_whole_life_while_authorities_rotate() {
    let (days, hours) = if full() { (402, 1) } else { (120, 3) };
    let (store, clock) = (Arc::new(Memory::new()), Clock::fixed(START));
    let directory = Arc::new(tempfile::tempdir().unwrap());
    let tower = Tower::at(store.clone(), clock.clone(), directory.clone(), "audit-1", "https://tower.example").await;
    let other = Tower::at(store, clock.clone(), directory, "audit-2", "https://tower.example").await;
    let admin = tower.administrator().await;
    tower.bulk(&admin, &walk()).await.ok();
    // The shortest life that there is: another version every six days.
    let ca = "x-path: system/ca/edge\nx-operation: create\nname: edge\nttl: 12d\n---\n\
              x-path: strongbox/authentication/spiffe-settings\nx-operation: merge\nissuing-ca: edge\n";
    tower.bulk(&admin, ca).await.ok();
    role(&tower, &admin, json!({"token-spiffe-x509": {}})).await.ok();
    let (role_id, secret_id) = tower.secret(&admin, "web", json!({})).await;

    let mut living: Vec<Issued> = Vec::new();
    let mut by_number: BTreeMap<u64, Bundle> = BTreeMap::new();
    let mut copies: Vec<(OffsetDateTime, Bundle)> = Vec::new();
    let (mut verified, mut careless) = (0_u64, 0_u64);
    while clock.now() < START + Duration::days(days) {
        // A verifier fetches; the next login comes when its copy is as old as it may be.
        let copy = read(&tower, &other, &mut by_number).await;
        copies.push((clock.now(), copy.clone()));
        copies.retain(|(at, _)| *at > clock.now() - Duration::hours(30));
        assert!(clock.advance(OLDEST_COPY));
        tower.pass(Duration::ZERO).await;
        other.pass(Duration::ZERO).await;
        let now = clock.now();
        let login =
            if living.len().is_multiple_of(2) { &tower } else { &other }.log_in(&role_id, &secret_id).await.ok();
        let svid = Svid::of(&login);
        svid.verify_with_webpki(&copy, now).unwrap();
        living.push(Issued { svid, until: time_of(&login["expires"]) });
        let fresh = read(&tower, &other, &mut by_number).await;
        living.retain(|issued| issued.until >= now);
        let too_old = copies.iter().find(|(at, _)| *at > now - Duration::hours(28)).unwrap();
        for Issued { svid, .. } in &living {
            let seen = svid.verify(&copy, now).unwrap_or_else(|error| panic!("{now}: {error}"));
            svid.verify(&fresh, now).unwrap_or_else(|error| panic!("{now}: {error}"));
            assert!(seen.not_after() <= now + Duration::DAY);
            verified += 2;
            careless += u64::from(too_old.0 < now - Duration::hours(25) && svid.verify(&too_old.1, now).is_err());
        }
        assert!(clock.advance(Duration::hours(hours) - OLDEST_COPY));
        tower.pass(Duration::ZERO).await;
    }
    // With copies older than a day it would not hold: so this test can fail.
    assert!(careless > 0 && verified > 5_000, "{careless} of {verified}");
    let admin = tower.administrator().await;
    let state = state(&other, &admin, "edge").await;
    let versions = state["versions"].as_array().unwrap();
    assert_eq!(versions.len(), usize::try_from(days / 6 + 1).unwrap());
    let phases: Vec<_> = versions.iter().rev().take(3).map(|version| version["phase"].as_str().unwrap()).collect();
    assert_eq!(&phases[..], ["prepared", "active", "over"], "{state:#}");
    assert!(versions.iter().all(|version| version["destroyed"] == (version["phase"] == "over")));
    // Every subject is another.
    let serials: BTreeSet<_> = versions.iter().map(|v| v["serial-number"].as_str().unwrap()).collect();
    assert_eq!(serials.len(), versions.len());
}

/// The bundle as it is served now, the same by both towers; another content has a greater number.
async fn read(tower: &Tower, other: &Tower, by_number: &mut BTreeMap<u64, Bundle>) -> Bundle {
    let path = format!("/{}/spiffe-bundle", tower.tenant());
    let first = tower.call("GET", &path, None, None).await;
    let second = other.call("GET", &path, None, None).await;
    first.ok();
    assert_eq!(first.bytes, second.bytes);
    let bundle = Bundle::from_json("tower.example".parse().unwrap(), &first.bytes).unwrap();
    let number = bundle.sequence().unwrap();
    if let Some((last, _)) = by_number.last_key_value() {
        assert!(number >= *last, "{last}, then {number}");
    }
    assert_eq!(*by_number.entry(number).or_insert_with(|| bundle.clone()), bundle, "one number, two contents");
    bundle
}
