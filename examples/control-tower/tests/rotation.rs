//! No verifier notices that keys rotate: hundreds of days with a clock moved by hand, through the real router, tasks and
//! stores.
//!
//! `KEYWARD_FULL=1` lives through 400 days with a login each hour instead of a part of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "rotation/flaky.rs"]
mod flaky;
mod support;
#[path = "rotation/world.rs"]
mod world;

use std::sync::Arc;

use control_tower::{
    clock::Clock,
    identity, layout,
    store::{Memory, SharedStore},
    tasks,
};
use serde_json::{Value, json};
use support::{START, Tower, WALK};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};
use world::{World, full, quick};

/// Days to live through and hours between logins, where the time is the test's own.
fn size(days: i64, hours: i64) -> (i64, Duration) {
    if full() { (400, Duration::HOUR) } else { (days, Duration::hours(hours)) }
}

/// Versions that rotation every 30 days has made after so many days.
fn versions_after(days: i64) -> usize {
    usize::try_from(days / 30 + 1).unwrap()
}

async fn versions(world: &mut World, ring: &str) -> Vec<Value> {
    world.ring(ring).await["versions"].as_array().unwrap().clone()
}

fn time_of(version: &Value, transition: &str) -> OffsetDateTime {
    OffsetDateTime::parse(version[transition].as_str().unwrap(), &Rfc3339).unwrap()
}

#[tokio::test]
async fn four_hundred_days_without_one_failure() {
    let (days, every) = size(100, 3);
    let mut world = World::with_towers(1, &quick(), every).await;
    world.live(Duration::days(days)).await;
    world.assert_sound("days");
    assert_eq!(versions(&mut world, "spiffe-jwt").await.len(), versions_after(days));
    assert_eq!(world.signers.len(), versions_after(days - 1));
    // With copies of 25 hours it would not hold: so this test can fail.
    assert!(world.figures.careless_failures > 0);
}

#[tokio::test]
async fn restarts_and_cut_off_tasks_change_nothing() {
    let (days, every) = size(70, 6);
    let mut world = World::on_disk(&quick(), every, 1).await;
    world.unrest = true;
    world.live(Duration::days(days)).await;
    world.assert_sound("restarts");
    assert_eq!(versions(&mut world, "spiffe-jwt").await.len(), versions_after(days));
    assert!(world.figures.restarts > 10 && world.figures.cut_off > 3);
}

#[tokio::test]
async fn after_a_year_asleep_there_is_one_version_more() {
    for tasks_first in [true, false] {
        let mut world = World::with_towers(1, &quick(), Duration::hours(6)).await;
        world.live(Duration::days(10)).await;
        let old = world.published().await;
        assert_eq!(old.len(), 1);
        world.sleep(Duration::days(365));
        if !tasks_first {
            // Whoever comes before the tasks is served as before, and verifies.
            world.awake = false;
            world.live(Duration::hours(20)).await;
            assert_eq!(world.published().await, old);
            world.awake = true;
        }
        for _ in 0..3 {
            world.run_tasks().await;
        }
        let two = versions(&mut world, "spiffe-jwt").await;
        assert_eq!(two.len(), 2, "one new version, not twelve");
        assert_eq!((&two[0]["phase"], &two[1]["phase"]), (&json!("active"), &json!("pending")));
        assert_eq!(time_of(&two[1], "created"), world.clock.now());
        assert_eq!(world.published().await.len(), 2, "published before it signs");
        world.live(Duration::DAY - Duration::SECOND).await;
        assert_eq!(world.signers, old, "the old one signs for another day");
        world.live(Duration::SECOND).await;
        assert_eq!(world.signers.len(), 2);
        world.live(Duration::days(4)).await;
        assert_eq!(world.published().await, world.signers[1..], "the old one left after five days");
        world.live(Duration::days(35)).await;
        assert_eq!(versions(&mut world, "spiffe-jwt").await.len(), 3);
        world.assert_sound("a year asleep");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_towers_on_one_store_make_one_version() {
    let (days, every) = size(100, 6);
    let mut world = World::with_towers(2, &quick(), every).await;
    world.live(Duration::days(days)).await;
    world.assert_sound("two towers");
    let of = |tower: &Arc<Tower>, admin: &str| {
        let (tower, admin) = (Arc::clone(tower), admin.to_owned());
        async move { tower.get("/v1/state/strongbox/transit-keys/spiffe-jwt", &admin).await.ok() }
    };
    let admin = world.admin().await;
    let (first, second) = (of(&world.towers[0], &admin).await, of(&world.towers[1], &admin).await);
    assert_eq!(first, second);
    assert_eq!(first["versions"].as_array().unwrap().len(), versions_after(days));
    assert_eq!(world.signers.len(), versions_after(days - 1));
    let store = world.polite.as_ref().unwrap();
    assert!(store.conflicts.load(std::sync::atomic::Ordering::SeqCst) > 0, "the towers never met");
    // Both logs together: each version was made once, and nothing is recorded that did not happen.
    let records = world.audit_records();
    let changes = records.iter().filter(|(_, record)| record["event"] == "key-advance");
    let mut made: Vec<_> = changes.filter_map(|(_, record)| record["detail"]["version"].as_u64()).collect();
    made.sort_unstable();
    assert_eq!(made, (2..=versions_after(days) as u64).collect::<Vec<_>>());
    assert!(records.iter().all(|(_, record)| record["outcome"] != "failed"));
}

#[tokio::test]
async fn the_walk_as_it_is_printed_with_rsa() {
    let mut world = World::with_towers(1, WALK, Duration::DAY).await;
    world.live(Duration::days(65)).await;
    world.assert_sound("RSA");
    let state = world.ring("spiffe-jwt").await;
    assert_eq!((&state["cipher"], state["versions"].as_array().unwrap().len()), (&json!("rsa-2048"), 3));
    assert_eq!(world.signers.len(), 3);
}

#[tokio::test]
async fn what_was_encrypted_on_day_1_decrypts_on_day_400() {
    const DATA: &str = "/v1/state/strongbox/transit-keys/data";
    let mut yaml = quick();
    yaml.push_str(
        "\n---\nx-path: /v1/config/strongbox/transit-keys/data\nx-operation: create\nname: data\nauto-rotate:\n  rotate-after: 30d\n  \
         activate-after: 1d\n  deprecate-after: 2d\n  invalidate-after: 2d\n",
    );
    let mut world = World::on_disk(&yaml, Duration::DAY, 1).await;
    world.live(Duration::DAY).await;
    let admin = world.admin().await;
    let body = json!({"plaintext": "aGVsbG8=", "associated-data": "cm93IDE="});
    let sealed = world.towers[0].post(&format!("{DATA}/encrypt"), &admin, body).await.ok()["ciphertext"].clone();
    assert!(sealed.as_str().unwrap().starts_with("vault:v1:"));
    world.live(Duration::days(399)).await;
    world.restart().await;

    let versions = versions(&mut world, "data").await;
    assert_eq!(versions.len(), 14);
    assert_eq!((&versions[0]["phase"], &versions[0]["destroyed"]), (&json!("invalid"), &json!(false)));
    let admin = world.admin().await;
    let body = json!({"ciphertext": sealed, "associated-data": "cm93IDE="});
    let tower = &world.towers[0];
    assert_eq!(tower.post(&format!("{DATA}/decrypt"), &admin, body.clone()).await.ok()["plaintext"], "aGVsbG8=");
    let rewrapped = tower.post(&format!("{DATA}/rewrap"), &admin, body).await.ok()["ciphertext"].clone();
    assert!(rewrapped.as_str().unwrap().starts_with("vault:v14:"), "{rewrapped}");
    world.assert_sound("encryption");
}

#[tokio::test]
async fn another_signing_key_takes_over_unnoticed() {
    let mut world = World::with_towers(1, &quick(), Duration::hours(3)).await;
    // Just after a rotation, so that three versions of two rings are published.
    world.live(Duration::days(30) + Duration::hours(1)).await;
    let mine = world.published().await;
    assert_eq!(mine.len(), 2);

    let other = quick().split("---").next().unwrap().replace("spiffe-jwt", "other-jwt");
    let settings = "x-path: /v1/config/strongbox/authentication/spiffe-settings\nx-operation: replace\njwt-signing-key: other-jwt\n";
    let admin = world.admin().await;
    world.towers[0].bulk(&admin, &format!("{other}---\n{settings}")).await.ok();
    world.rings = vec!["spiffe-jwt", "other-jwt"];
    world.most_keys = 4;
    let switched = world.clock.now();
    let both = world.published().await;
    assert_eq!(both.len(), 3, "both are published at once");
    let other_kid = both.iter().find(|kid| !mine.contains(kid)).unwrap().clone();

    let old = "/v1/config/strongbox/transit-keys/spiffe-jwt";
    world.towers[0].call("PATCH", old, Some(&admin), Some(json!({"deletion-allowed": true}))).await.ok();
    world.live(Duration::DAY - Duration::SECOND).await;
    assert!(!world.signers.contains(&other_kid), "verifiers learn of it first");
    world.live(Duration::SECOND).await;
    assert_eq!(world.signers.last(), Some(&other_kid));
    let refused = world.towers[0].call("DELETE", old, Some(&admin), None).await.refused(409);
    assert!(refused.contains("verifiers still need this key"), "{refused}");

    world.live(Duration::days(4) - Duration::SECOND).await;
    assert!(world.published().await.iter().any(|kid| mine.contains(kid)), "cut-off sites may have signed with it");
    world.live(Duration::minutes(2)).await;
    assert_eq!(world.clock.now() - switched, Duration::days(5) + Duration::minutes(2) - Duration::SECOND);
    assert_eq!(world.published().await, [other_kid]);
    let admin = world.admin().await;
    world.towers[0].call("DELETE", old, Some(&admin), None).await.ok();
    world.rings = vec!["other-jwt"];
    world.most_keys = 2;

    world.live(Duration::days(35)).await;
    assert_eq!(versions(&mut world, "other-jwt").await.len(), 2);
    world.assert_sound("another key");
}

#[tokio::test]
async fn a_clock_that_jumps_back_brings_nothing_back() {
    // An hour after each transition of the first rotation: created, active, deprecated, invalid.
    for (day, back) in [(30, 3), (31, 3), (33, 10), (35, 20), (36, 300)] {
        let mut world = World::with_towers(1, &quick(), Duration::hours(6)).await;
        world.live(Duration::days(day) + Duration::HOUR).await;
        let before = world.published().await;
        let gone: Vec<String> = world.signers.iter().filter(|kid| !before.contains(kid)).cloned().collect();
        assert_eq!(gone.len(), usize::from(day >= 35));
        world.jump(-Duration::days(back));
        assert_eq!(world.published().await, before);
        // Half an hour later it is there for all time.
        world.live(Duration::minutes(30)).await;
        world.restart().await;
        for _ in 0..20 {
            world.live(Duration::DAY).await;
            assert!(world.published().await.iter().all(|kid| !gone.contains(kid)), "day {day}, {back} back");
        }
        assert!(world.signers.iter().skip(1).len() <= 1, "day {day}, {back} back");
        // The clock is set right again.
        world.jump(Duration::days(back));
        world.live(Duration::days(15)).await;
        world.assert_sound(&format!("day {day}, {back} back"));
    }
}

#[tokio::test]
async fn a_tower_whose_clock_was_ahead_looks_at_new_keys_again() {
    let store: SharedStore = Arc::new(Memory::new());
    let directory = Arc::new(tempfile::tempdir().unwrap());
    let at = |audit| Tower::at(store.clone(), Clock::fixed(START), directory.clone(), audit, "https://tower.example");
    let (right, ahead) = (at("right").await, at("ahead").await);
    ahead.pass(Duration::days(365)).await;
    ahead.pass(-Duration::days(365)).await;
    // Of what another tower does it hears by looking.
    right.bulk(&right.administrator().await, &quick()).await.ok();
    ahead.pass(Duration::days(30)).await;
    let tenant = right.tenant().parse().unwrap();
    let ring = identity::ring(&ahead.app.db, &tenant, &"spiffe-jwt".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(ring.value.newest_version(), 2);
}

#[tokio::test]
async fn late_tasks_are_not_noticed() {
    for begins in [29, 30, 31, 32, 34] {
        let mut world = World::with_towers(1, &quick(), Duration::hours(6)).await;
        world.live(Duration::days(begins) - Duration::HOUR).await;
        world.awake = false;
        world.live(Duration::days(3)).await;
        world.awake = true;
        world.run_tasks().await;
        world.live(Duration::days(40)).await;
        world.assert_sound(&format!("no task from day {begins} on"));
        let created = time_of(&versions(&mut world, "spiffe-jwt").await[1], "created");
        let late = if begins <= 30 { Duration::days(begins - 30 + 3) - Duration::HOUR } else { Duration::ZERO };
        assert_eq!(created, START + Duration::days(30) + late.max(Duration::ZERO));
    }
}

#[tokio::test]
async fn a_store_that_fails_or_loses_its_answers_delays_and_breaks_nothing() {
    for seed in 1..if full() { 20 } else { 3 } {
        let store = Arc::new(flaky::Flaky::new(seed));
        let towers = if seed % 2 == 0 { 2 } else { 1 };
        let mut world = World::over(store.clone(), towers, &quick(), Duration::hours(6), seed).await;
        world.live(Duration::days(100)).await;
        world.assert_sound("faults of the store");
        let faults = store.faults.load(std::sync::atomic::Ordering::Relaxed);
        assert!(faults > 2, "{faults} faults");
        // Each version comes a few hours late at most.
        assert_eq!(versions(&mut world, "spiffe-jwt").await.len(), 4);
    }
}

#[tokio::test]
async fn the_running_tasks_notice_a_clock_that_jumps() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    tower.bulk(&admin, &quick()).await.ok();
    let running = tasks::start(&tower.app);
    let store = tower.app.db.store();
    let ring = layout::ring(&tower.tenant().parse().unwrap(), "spiffe-jwt");
    // Created, destroyed, and, after a clock that was set back twice as far, created again.
    for (jump, versions) in [(30, 2), (5, 2), (-60, 2), (85, 3)] {
        let mut changes = store.watch(&ring, store.revision() + 1);
        tower.app.clock.advance(Duration::days(jump));
        if jump > 0 {
            // Nothing but the tasks' own tick is waited for; the limit only ends a test that fails.
            let change = tokio::time::timeout(std::time::Duration::from_secs(60), changes.next()).await;
            assert_eq!(change.expect("the tasks came").unwrap().len(), 1);
        }
        let state =
            identity::ring(&tower.app.db, &tower.tenant().parse().unwrap(), &"spiffe-jwt".parse().unwrap()).await;
        assert_eq!(state.unwrap().unwrap().value.newest_version(), versions, "{jump}");
    }
    drop(running);
}

/// Tokens are lengthened: no key may still sign that was to verify shorter ones alone.
#[tokio::test]
async fn longer_tokens_wait_for_the_keys_that_verify_only_short_ones() {
    let ring = |name: &str, invalidate: &str| {
        format!(
            "x-path: /v1/config/strongbox/transit-keys/{name}\nx-operation: replace\nname: {name}\ncipher: ecdsa-p256\n\
             auto-rotate:\n  rotate-after: 30d\n  activate-after: 1d\n  deprecate-after: 1h\n  invalidate-after: {invalidate}\n"
        )
    };
    let settings = |name: &str| {
        format!(
            "x-path: /v1/config/strongbox/authentication/spiffe-settings\nx-operation: replace\njwt-signing-key: {name}\n"
        )
    };
    let role = |ttl: &str| {
        format!(
            "x-path: /v1/config/strongbox/authentication/approles/payments\nx-operation: replace\nname: payments\n\
             token-spiffe-jwt:\n  jwt-audiences: [sts.amazonaws.com]\n  ttl: {ttl}\n"
        )
    };
    let yaml = |documents: &[String]| documents.join("---\n");

    // Another key, which verifies long enough: the old one still signs for a day.
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    tower.bulk(&admin, &yaml(&[ring("short", "1h"), settings("short"), role("30m")])).await.ok();
    tower.pass(Duration::minutes(30)).await;
    let (longer, switch) = (role("20h"), [ring("long", "2d"), settings("long")]);
    let refused = tower.bulk(&admin, &yaml(&[switch[0].clone(), switch[1].clone(), longer.clone()])).await.refused(422);
    assert!(refused.contains("`strongbox/authentication/approles/payments`"), "{refused}");
    assert!(refused.contains("`invalidate-after` is 1h, but must be at least 20h1m"), "{refused}");
    tower.bulk(&admin, &yaml(&switch)).await.ok();
    let later = tower.bulk(&admin, &longer).await.refused(422);
    // The same, but for the document's number and line.
    let reason = |text: &str| text.split_once(", `").map(|(_, reason)| reason.to_owned());
    assert!(refused.starts_with("document 3, line ") && later.starts_with("document 1, line "), "{later}");
    assert_eq!(reason(&later), reason(&refused));
    tower.bulk(&admin, &role("20m")).await.ok();
    tower.pass(Duration::DAY).await;
    let admin = tower.administrator().await;
    tower.bulk(&admin, &longer).await.ok();

    // The same key with a new schedule: the version that is being replaced has its end already.
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    tower.bulk(&admin, &yaml(&[ring("short", "1h"), settings("short"), role("30m")])).await.ok();
    tower.pass(Duration::days(30)).await;
    let admin = match tower.get("/v1/state/strongbox/token", &admin).await.status.as_u16() {
        401 => tower.administrator().await,
        _ => admin,
    };
    let refused = tower.bulk(&admin, &yaml(&[ring("short", "2d"), longer.clone()])).await.refused(422);
    assert!(refused.contains("could outlive version 1"), "{refused}");
    assert!(refused.contains("allow such tokens from 2026-04-01T01:00:00Z on"), "{refused}");
    tower.bulk(&admin, &ring("short", "2d")).await.ok();
    tower.pass(Duration::hours(25)).await;
    let admin = tower.administrator().await;
    tower.bulk(&admin, &longer).await.ok();
}
