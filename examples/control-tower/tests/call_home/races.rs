//! Many at once.

use std::sync::Arc;

use control_tower::{clock::Clock, rate_limit::RateLimit};
use serde_json::json;

use crate::{
    rig::{HOSTS, Host, ISSUE, REVOKE, Rig, UNCLAIMED, Way},
    support::START,
};

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
async fn what_is_ordered_into_a_batch_while_that_is_revoked_is_revoked_or_refused() {
    let rig = Arc::new(Rig::on_sqlite().await);
    for _ in 0..4 {
        let batch = rig.issue(json!({})).await.1["batch"].take();
        let orders: Vec<_> = (0..12)
            .map(|number| {
                let (rig, batch) = (Arc::clone(&rig), batch.clone());
                tokio::spawn(async move {
                    match number {
                        4 => rig.post(REVOKE, json!({"batch": batch})).await.status,
                        _ => rig.post(ISSUE, json!({"batch": batch})).await.status,
                    }
                })
            })
            .collect();
        let mut issued = 1;
        for (number, order) in orders.into_iter().enumerate() {
            match (number, order.await.unwrap()) {
                (4, status) => assert_eq!(status, 200),
                (_, 200) => issued += 1,
                (_, status) => assert_eq!(status, 422),
            }
        }
        assert_eq!(rig.post(REVOKE, json!({"batch": batch})).await.ok(), json!({"revoked": []}), "of {issued}");
    }
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_to_make_room_comes_back_by_itself() {
    let rig = Arc::new(Rig::on_sqlite().await);
    rig.site("oslo", &[]).await;
    rig.settings(json!({"client-certificate": {"verify": "host-id"}, "max-unclaimed": 3})).await;
    let hosts: Vec<Host> = (0..12).map(|number| Host::new(&format!("h{number}"))).collect();
    let mut serials = Vec::new();
    for host in &hosts {
        let (pair, issued) = rig.issue(json!({"host-id": host.id, "ttl": "1h"})).await;
        assert_eq!(rig.knock(host, &Way::with(&pair)).await.unwrap().status, 202);
        serials.push(issued["serial"].clone());
    }
    assert_eq!(rig.waiting().await.len(), 3);
    // All at once and without their certificates, as their agents do; nobody is shut out, and the ring stays bounded.
    for _ in 0..3 {
        let calls = hosts.iter().map(|host| {
            let (rig, body) = (Arc::clone(&rig), host.body());
            tokio::spawn(async move {
                let way = Way::default();
                rig.send(rig.call_home, "POST", "/v1/call-home", &way, Some(&body)).await.unwrap().status
            })
        });
        for call in calls.collect::<Vec<_>>() {
            assert_eq!(call.await.unwrap(), 202);
        }
        assert_eq!(rig.waiting().await.len(), 3);
    }
    // Another machine with a host-id of theirs does not come in by that.
    let code = async |host: &Host| match rig.knock(host, &Way::default()).await.unwrap() {
        answer if answer.status < 400 => answer.status.to_string(),
        answer => answer.refused().1,
    };
    let waits = rig.waiting().await;
    let away = |host: &&Host| !waits.contains(&host.hash());
    let away: Vec<&Host> = hosts.iter().filter(away).collect();
    assert_eq!(code(&Host::new(&away[0].id)).await, "missing");
    assert_eq!(code(away[0]).await, "202");
    rig.post(&format!("{UNCLAIMED}/{}/claim", away[0].hash()), json!({"site": "oslo"})).await.ok();
    assert_eq!(code(away[0]).await, "200");
    // Nor whose certificate was revoked, and nobody who was removed or released.
    let place = |host: &Host| hosts.iter().position(|one| one.id == host.id).unwrap();
    rig.post(crate::rig::REVOKE, json!({"serial": serials[place(away[1])]})).await.ok();
    assert_eq!(code(away[1]).await, "revoked");
    assert_eq!(code(away[2]).await, "202");
    rig.post(&format!("{HOSTS}/{}/remove", away[2].hash()), json!({})).await.ok();
    assert_eq!(code(away[2]).await, "removed");
    rig.post(&format!("{HOSTS}/{}/release", away[2].hash()), json!({})).await.ok();
    assert_eq!(code(away[2]).await, "missing");
    // What is remembered is over with the certificates.
    let mut rig = Arc::into_inner(rig).unwrap();
    let remembered = format!("t/{}/displaced-host/", rig.app.operators);
    let remembered = async |rig: &Rig| control_tower::store::snapshot(&*rig.store, &remembered).await.unwrap().1.len();
    assert!(remembered(&rig).await > 0);
    let ends = control_tower::store::snapshot(&*rig.store, control_tower::layout::EXPIRY).await.unwrap().1;
    let ends = ends.iter().filter(|end| end.key.contains("/displaced-host/")).count();
    assert_eq!(ends, remembered(&rig).await, "nothing is left of whom nobody remembers");
    // It is told as long as the certificates are on record; then nothing is known of them any more.
    let waits = rig.waiting().await;
    let last = hosts.iter().rfind(|host| !waits.contains(&host.hash())).unwrap();
    assert!(rig.get(UNCLAIMED).await["displaced"].as_array().unwrap().iter().any(|one| one["id"] == last.hash()));
    rig.pass(time::Duration::hours(2)).await;
    let refusal = async |rig: &Rig| rig.knock(last, &Way::default()).await.unwrap().refused().1;
    assert_eq!((refusal(&rig).await, &rig.get(UNCLAIMED).await["displaced"]), ("expired".into(), &json!([])));
    rig.pass(time::Duration::days(1)).await;
    assert_eq!((refusal(&rig).await, remembered(&rig).await), ("missing".into(), 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_or_made_room_for_a_site_that_is_deleted_is_told_so() {
    let rig = Rig::start().await;
    rig.site("oslo", &[]).await;
    rig.site("bergen", &[]).await;
    rig.settings(json!({"client-certificate": {"verify": "site"}, "max-unclaimed": 1})).await;
    let (hosts, mut serials) = (["h1", "h2", "h3"].map(Host::new), Vec::new());
    for (host, site) in hosts.iter().zip(["oslo", "bergen", "bergen"]) {
        let (pair, issued) = rig.issue(json!({"site": site})).await;
        serials.push(issued["serial"].as_str().unwrap().to_uppercase());
        assert_eq!(rig.knock(host, &Way::with(&pair)).await.unwrap().status, 202);
    }
    let away = async || {
        let listed = rig.get(UNCLAIMED).await["displaced"].take();
        let mut ids: Vec<String> =
            listed.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
        ids.sort_unstable();
        ids
    };
    let mut both = vec![hosts[0].hash(), hosts[1].hash()];
    both.sort_unstable();
    assert_eq!(away().await, both);
    assert_eq!(rig.get(UNCLAIMED).await["displaced"][0]["state"], "displaced");
    let delete = async |site: &str| rig.call("DELETE", &format!("/v1/config/system/sites/{site}"), None).await.ok();
    let gone = (403, "no-site".to_owned());
    delete("oslo").await;
    assert_eq!(away().await, [hosts[1].hash()]);
    assert_eq!(rig.knock(&hosts[0], &Way::default()).await.unwrap().refused(), gone);
    // Whose certificate is revoked does not wait again.
    rig.post(REVOKE, json!({"serial": serials[1]})).await.ok();
    assert_eq!(away().await, Vec::<String>::new());
    // Who waits goes, too, and nobody comes.
    let (pair, _) = rig.issue(json!({"site": "bergen"})).await;
    let (new, shown, nothing) = (Host::new("h4"), Way::with(&pair), Way::default());
    assert_eq!(rig.waiting().await, [hosts[2].hash()]);
    delete("bergen").await;
    let places = control_tower::layout::unclaimed(&rig.app.operators);
    assert!(control_tower::store::snapshot(&*rig.store, &places).await.unwrap().1.is_empty());
    assert_eq!((rig.waiting().await, &rig.get(HOSTS).await["hosts"]), (vec![], &json!([])));
    for (host, way) in [(&hosts[2], &nothing), (&new, &shown)] {
        assert_eq!(rig.knock(host, way).await.unwrap().refused(), gone);
    }
    // It is there again, and so are they.
    rig.site("bergen", &[]).await;
    for (host, way) in [(&new, &shown), (&hosts[2], &nothing)] {
        assert_eq!(rig.knock(host, way).await.unwrap().status, 202);
        assert_eq!(rig.waiting().await, [host.hash()]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_host_id_with_many_keys_does_not_hide_the_duplicates_of_others() {
    let rig = Rig::start().await;
    rig.settings(json!({"client-certificate": {"verify": "never"}, "max-duplicates": 5})).await;
    for id in ["h1", "h2", "h3"] {
        assert_eq!(rig.knock(&Host::new(id), &Way::default()).await.unwrap().status, 202);
    }
    let again = ["h2", "h3"].into_iter().chain(std::iter::repeat_n("h1", 12));
    for id in again {
        assert_eq!(rig.knock(&Host::new(id), &Way::default()).await.unwrap().status, 409);
    }
    let listed = rig.get(UNCLAIMED).await;
    let shown = listed["duplicates"].as_array().unwrap();
    let of = |id: &str| shown.iter().filter(|one| one["id"] == Host::new(id).hash()).count();
    assert_eq!((of("h1"), of("h2"), of("h3")), (3, 1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_does_it_with_all_of_them_at_once() {
    let rig = Arc::new(Rig::on_sqlite().await);
    rig.settings(json!({"client-certificate": {"verify": "never"}, "max-duplicates": 5})).await;
    for (id, status) in [("h1", 202), ("h2", 202), ("h3", 202), ("h2", 409), ("h3", 409)] {
        assert_eq!(rig.knock(&Host::new(id), &Way::default()).await.unwrap().status, status);
    }
    let calls = (0..128).map(|_| {
        let rig = Arc::clone(&rig);
        tokio::spawn(async move { rig.knock(&Host::new("h1"), &Way::default()).await.unwrap().status })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), 409);
    }
    let listed = rig.get(UNCLAIMED).await;
    let shown = listed["duplicates"].as_array().unwrap();
    let of = |id: &str| shown.iter().filter(|one| one["id"] == Host::new(id).hash()).count();
    assert_eq!((of("h1"), of("h2"), of("h3")), (3, 1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_made_room_can_be_kept_out() {
    let rig = Rig::start().await;
    rig.settings(json!({"client-certificate": {"verify": "host-id"}, "max-unclaimed": 1})).await;
    let hosts: Vec<Host> = (0..5).map(|number| Host::new(&format!("h{number}"))).collect();
    for host in &hosts {
        let (pair, _) = rig.issue(json!({"host-id": host.id})).await;
        assert_eq!(rig.knock(host, &Way::with(&pair)).await.unwrap().status, 202);
    }
    let code = async |host: &Host| match rig.knock(host, &Way::default()).await.unwrap() {
        answer if answer.status < 400 => answer.status.to_string(),
        answer => answer.refused().1,
    };
    // By an operator who saw it a moment ago; to be claimed it has to be there.
    assert_eq!(rig.waiting().await, [hosts[4].hash()]);
    rig.site("oslo", &[]).await;
    let claim = format!("{UNCLAIMED}/{}/claim", hosts[0].hash());
    let answer = rig.post(&claim, json!({"site": "oslo"})).await;
    assert!(answer.status == 409 && answer.text().contains("does not wait here now"), "{}", answer.text());
    let at = |host: &Host| format!("{HOSTS}/{}", host.hash());
    rig.post(&format!("{}/remove", at(&hosts[0])), json!({})).await.ok();
    assert_eq!(
        (code(&hosts[0]).await, rig.get(&at(&hosts[0])).await["state"].clone()),
        ("removed".into(), json!("removed"))
    );
    rig.post(&format!("{}/release", at(&hosts[0])), json!({})).await.ok();
    assert_eq!(code(&hosts[0]).await, "missing");
    rig.post(&format!("{}/release", at(&hosts[1])), json!({})).await.ok();
    assert_eq!(code(&hosts[1]).await, "missing");
    assert_eq!(rig.post(&format!("{}/release", at(&hosts[1])), json!({})).await.status, 404, "it is forgotten");
    assert_eq!(code(&hosts[2]).await, "202");
    // All of them, when the authority ends with all that it issued.
    rig.post("/v1/state/system/ca/call-home/rotate", json!({})).await.ok();
    assert_eq!(code(&hosts[3]).await, "202", "it is still good after a rotation");
    rig.post("/v1/state/system/ca/call-home/rotate", json!({"compromised": "all"})).await.ok();
    for host in &hosts[2..] {
        assert_eq!(code(host).await, "revoked");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_tower_lets_in_another_one_takes_away() {
    let rig = Rig::start().await;
    rig.settings(json!({"client-certificate": {"verify": "never"}, "max-unclaimed": 2})).await;
    let clock = Clock::fixed(START);
    let mut other =
        Rig::over(Arc::clone(&rig.store), Arc::new(tempfile::tempdir().unwrap()), RateLimit::OFF, clock).await;
    other.admin.clone_from(&rig.admin);
    let status = async |rig: &Rig, id: &str| rig.knock(&Host::new(id), &Way::default()).await.unwrap().status;
    // Each has seen its places when hosts call the other one.
    assert_eq!((status(&other, "h0").await, status(&other, "h0").await), (202, 409));
    for (id, expected) in [("h1", 202), ("h1", 409)] {
        assert_eq!(status(&rig, id).await, expected);
    }
    let at = |id: &str, what: &str| format!("{HOSTS}/{}/{what}", Host::new(id).hash());
    other.post(&at("h1", "release"), json!({})).await.ok();
    let left = async || {
        let listed = rig.get(UNCLAIMED).await;
        let ids = ["unclaimed-hosts", "duplicates"].map(|field| {
            let all = listed[field].as_array().unwrap().iter();
            all.map(|one| one["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        });
        let prefix = control_tower::layout::unclaimed(&rig.app.operators);
        let (_, places) = control_tower::store::snapshot(&*rig.store, &prefix).await.unwrap();
        (ids, places.len())
    };
    let h0 = Host::new("h0").hash();
    assert_eq!(left().await, ([vec![h0.clone()], vec![h0]], 1));
    rig.post(&at("h0", "release"), json!({})).await.ok();
    assert_eq!(left().await, ([vec![], vec![]], 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_let_in_is_no_duplicate_any_more() {
    let rig = Rig::start().await;
    rig.settings(json!({"client-certificate": {"verify": "never"}, "max-unclaimed": 1})).await;
    let (first, second, third) = (Host::new("h1"), Host::new("h1"), Host::new("h1"));
    let status = async |host: &Host| rig.knock(host, &Way::default()).await.unwrap().status;
    let duplicates = async || {
        let listed = rig.get(UNCLAIMED).await["duplicates"].take();
        listed.as_array().unwrap().iter().map(|one| one["key"].clone()).collect::<Vec<_>>()
    };
    assert_eq!([status(&first).await, status(&third).await, status(&second).await], [202, 409, 409]);
    let keys = duplicates().await;
    assert_eq!(keys.len(), 2);
    // The one that had the host-id makes room for another host, and the next one has it from then on, for as long as it waits.
    assert_eq!([status(&Host::new("h2")).await, status(&second).await], [202, 202]);
    let waits = rig.get(UNCLAIMED).await["unclaimed-hosts"][0]["key"].take();
    let left: Vec<_> = keys.into_iter().filter(|key| *key != waits).collect();
    assert_eq!((left.len(), duplicates().await), (1, left));
    // By a list, the same.
    assert_eq!(status(&Host::new("h3")).await, 202);
    rig.site("oslo", &["h1"]).await;
    assert_eq!((status(&third).await, duplicates().await), (200, vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_duplicate_whose_host_is_gone_is_released_and_removed() {
    let rig = Rig::start().await;
    rig.settings(json!({"client-certificate": {"verify": "never"}, "max-unclaimed": 1})).await;
    let status = async |host: &Host| rig.knock(host, &Way::default()).await.unwrap().status;
    let duplicates = async || rig.get(UNCLAIMED).await["duplicates"].take();
    let beside = [Host::new("h1"), Host::new("h1")];
    let at = |what: &str| format!("{HOSTS}/{}/{what}", beside[0].hash());
    // Nothing is remembered of who waited without a certificate and made room.
    let alone = async || {
        assert_eq!(
            [status(&Host::new("h1")).await, status(&beside[0]).await, status(&beside[1]).await],
            [202, 409, 409]
        );
        assert_eq!(status(&Host::new("h2")).await, 202);
        rig.post(&format!("{HOSTS}/{}/release", Host::new("h2").hash()), json!({})).await.ok();
        assert_eq!((rig.waiting().await, duplicates().await.as_array().unwrap().len()), (vec![], 2));
    };
    alone().await;
    rig.site("oslo", &[]).await;
    let claim = format!("{UNCLAIMED}/{}/claim", beside[0].hash());
    assert_eq!(rig.post(&claim, json!({"site": "oslo"})).await.status, 409);
    rig.post(&at("release"), json!({})).await.ok();
    assert_eq!((duplicates().await, rig.post(&at("release"), json!({})).await.status), (json!([]), 404));
    // One of them is the host that is removed, and the other one is shown as its duplicate.
    alone().await;
    let removed = rig.post(&at("remove"), json!({})).await.ok();
    let left = duplicates().await;
    assert_eq!((&removed["state"], left.as_array().unwrap().len()), (&json!("removed"), 1));
    assert!(removed["key"] != left[0]["key"], "{removed} {left}");
    for host in &beside {
        assert_eq!(rig.knock(host, &Way::default()).await.unwrap().refused(), (403, "removed".to_owned()));
    }
    rig.post(&at("release"), json!({})).await.ok();
    assert_eq!((duplicates().await, status(&beside[1]).await), (json!([]), 202));
}
