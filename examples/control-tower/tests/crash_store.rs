//! A power cut: a kill does not test the sync, so database and log are copied while commits are under way, the log is cut at
//! random bytes past the last synced commit, and every answered commit must still be there, whole.
//!
//! `KEYWARD_FULL=1` runs 200 rounds instead of a few.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::disallowed_methods)]

#[path = "support/wal.rs"]
mod wal;

use std::{
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use control_tower::store::{Outcome, Revision, Sqlite, Store, Write, sqlite, sqlite::Options};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use wal::{DAMAGES, committed_end};

fn log_of(path: &Path) -> std::path::PathBuf {
    path.with_extension("db-wal")
}

/// Commits until told to stop, noting what was answered.
async fn churn(store: Sqlite, caller: u64, answered: Arc<Mutex<Vec<(Revision, String)>>>, stop: Arc<AtomicBool>) {
    let mut rng = StdRng::seed_from_u64(caller);
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        let key = format!("{caller}/{n:06}");
        let value = vec![7; rng.random_range(10..6000)];
        let writes = vec![Write::Put(format!("a/{key}"), value.clone()), Write::Put(format!("b/{key}"), value)];
        let Outcome::Committed(revision) = store.commit(vec![], writes).await.unwrap() else { panic!("no guard") };
        answered.lock().unwrap().push((revision, key));
        n += 1;
    }
}

/// What a disk may hold after a power cut, opened again.
async fn examine(path: &Path, answered: &[(Revision, String)]) {
    let store = Sqlite::open(path).unwrap();
    for (revision, key) in answered {
        for half in ["a", "b"] {
            let entry = store.get(&format!("{half}/{key}")).await.unwrap();
            assert_eq!(entry.map(|entry| entry.revision), Some(*revision), "{half}/{key} was answered and is gone");
        }
    }
    // No half change: both halves of every commit that is there.
    let a = store.range("a/", None, usize::MAX, None).await.unwrap();
    let b = store.range("b/", None, usize::MAX, None).await.unwrap();
    assert_eq!(a.len(), b.len());
    assert!(a.iter().zip(&b).all(|(a, b)| a.revision == b.revision && a.key[1..] == b.key[1..] && a.value == b.value));
    assert!(a.len() >= answered.len());
    assert_eq!(a.iter().map(|entry| entry.revision).max(), Some(store.revision()));
    assert!(matches!(store.commit(vec![], vec![Write::Put("after".into(), vec![])]).await, Ok(Outcome::Committed(_))));
    drop(store);
    sqlite::check(path).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_loses_nothing_that_was_answered() {
    let rounds = if std::env::var("KEYWARD_FULL").is_ok() { 200 } else { 6 };
    let mut rng = StdRng::seed_from_u64(4646);
    let mut tails = 0;
    for round in 0..rounds {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tower.db");
        let mut options = Options::default();
        // Some rounds begin the log afresh on the way, over the frames of its first life; none does so during the copy, which
        // would be a picture that no disk ever showed.
        options.checkpoint_pages = u64::MAX;
        let store = Sqlite::open_with(&path, options).unwrap();
        if round % 2 == 1 {
            for n in 0..40 {
                let _committed =
                    store.commit(vec![], vec![Write::Put(format!("early/{n}"), vec![1; 3000])]).await.unwrap();
            }
            rusqlite::Connection::open(&path).unwrap().execute_batch("PRAGMA wal_checkpoint(RESTART)").unwrap();
        }
        let answered = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..8 {
            callers.spawn(churn(store.clone(), caller, Arc::clone(&answered), Arc::clone(&stop)));
        }
        let enough = rng.random_range(20..200);
        while answered.lock().unwrap().len() < enough {
            tokio::task::yield_now().await;
        }

        // Everything answered by now lies before `synced`.
        let must_survive = answered.lock().unwrap().clone();
        let synced = committed_end(&fs::read(log_of(&path)).unwrap());
        let copy = directory.path().join("copy.db");
        fs::copy(&path, &copy).unwrap();
        // Let some more come that need not survive.
        let so_far = answered.lock().unwrap().len();
        while answered.lock().unwrap().len() < so_far + 10 {
            tokio::task::yield_now().await;
        }
        let log = fs::read(log_of(&path)).unwrap();
        stop.store(true, Ordering::Relaxed);
        callers.join_all().await;
        drop(store);

        tails += usize::from(log.len() > synced);
        for damage in 0..DAMAGES {
            let torn = wal::torn(&log, synced, damage, &mut rng);
            let disk = directory.path().join(format!("disk{damage}.db"));
            fs::copy(&copy, &disk).unwrap();
            fs::write(log_of(&disk), torn).unwrap();
            examine(&disk, &must_survive).await;
        }
    }
    assert_eq!(tails, rounds, "there was something to cut");
}
