//! Clients that go away in the middle of a request, and more of them than can be served.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::{
    future::Future,
    sync::{Arc, mpsc},
    task::Poll,
    time::Duration,
};

use control_tower::{
    app::{Actor, Commit},
    audit::Since,
    store::Write,
};
use serde_json::json;
use support::Tower;
use tokio::{sync::mpsc as events, time::timeout};

/// Begins a future and drops it, as a server drops the handler of a client that has closed its connection.
async fn begin_and_drop(future: impl Future) {
    let mut future = Box::pin(future);
    std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await;
}

/// Change and record are one commit: where the client went away is no matter.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_leaves_a_change_and_its_record_or_neither() {
    let tower = Tower::fresh().await;
    let app = &tower.app;
    let record = |event| Actor::task(&app.operators, "test").did(event, app.clock.now());
    let write = |key: &str| vec![Write::Put(key.to_owned(), Vec::new())];
    begin_and_drop(app.commit(Vec::new(), write("first"), record("first"))).await;
    // The next one is not held up.
    let next = app.commit(Vec::new(), write("second"), record("second"));
    let next = timeout(Duration::from_secs(20), next).await.expect("the next change is made");
    assert!(matches!(next, Ok(Commit::Done(_))), "{next:?}");
    app.relay_audit().await.unwrap();
    let records = app.audit.read(Since::default(), None, 1000).await.unwrap();
    for (event, fewest) in [("first", 0), ("second", 1)] {
        let changed = usize::from(app.db.store().get(event).await.unwrap().is_some());
        let recorded = records.iter().filter(|stored| stored.event == event).count();
        assert!(changed >= fewest, "{event} was made");
        assert_eq!(recorded, changed, "{event}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_are_hashed_two_at_a_time_whoever_goes_away() {
    let tower = Tower::fresh().await;
    let app = Arc::clone(&tower.app);
    let (started, mut starts) = events::unbounded_channel();
    let mut releases = Vec::new();
    for number in 0..3 {
        let (release, released) = mpsc::channel::<()>();
        releases.push(release);
        let (app, started) = (Arc::clone(&app), started.clone());
        let client = tokio::spawn(async move {
            app.hash(move || {
                started.send(number).unwrap();
                let _ = released.recv();
            })
            .await
        });
        if number < 2 {
            assert_eq!(starts.recv().await, Some(number));
            client.abort();
        }
    }
    assert!(timeout(Duration::from_millis(200), starts.recv()).await.is_err(), "a third one began");
    releases.remove(0);
    assert_eq!(starts.recv().await, Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_logins_is_turned_away_and_holds_up_no_key() {
    let tower = Arc::new(Tower::fresh().await);
    let (started, mut starts) = events::unbounded_channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Arc::new(std::sync::Mutex::new(released));
    let mut waiting = Vec::new();
    for _ in 0..64 {
        let (app, started, released) = (Arc::clone(&tower.app), started.clone(), Arc::clone(&released));
        waiting.push(tokio::spawn(async move {
            // Until it has a place: the one below may have had it for a moment.
            loop {
                let (started, released) = (started.clone(), Arc::clone(&released));
                let work = move || {
                    started.send(()).unwrap();
                    let _ = released.lock().unwrap().recv();
                };
                match app.hash(work).await {
                    Err(turned_away) => assert_eq!(turned_away.status(), 429),
                    done => break done,
                }
                tokio::task::yield_now().await;
            }
        }));
    }
    starts.recv().await.unwrap();
    let full = async || {
        let body = json!({"username": "admin", "password": "guess"});
        tower.call("POST", "/v1/login", None, Some(body)).await
    };
    // Until all 64 have come, this one may wait among them.
    let answer = loop {
        if let Ok(answer) = timeout(Duration::from_millis(50), full()).await {
            break answer;
        }
    };
    assert_eq!(answer.refused(429), "too many logins at once; try again in a few seconds");
    tower.app.compute(|| ()).await.unwrap();
    drop(release);
    for client in waiting {
        client.await.unwrap().unwrap();
    }
    assert_eq!(full().await.refused(401), "invalid username or password");
}
