//! What only the SQLite engine has: a disk that can be full, syncs that are shared, a file to copy and to open again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::{path::PathBuf, sync::Arc};

use control_tower::store::{Guard, Outcome, Sqlite, Store, StoreError, Write, snapshot, sqlite, sqlite::Options};

fn file() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tower.db");
    (directory, path)
}

fn put(key: String, size: usize) -> Write {
    Write::Put(key, vec![7; size])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_callers_share_syncs() {
    let (_directory, path) = file();
    let store = Arc::new(Sqlite::open(&path).unwrap());
    let before = store.syncs();
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..64 {
        let store = Arc::clone(&store);
        callers.spawn(async move {
            let key = format!("secret-id/{caller}");
            store.commit(vec![Guard::Absent(key.clone())], vec![put(key, 300)]).await.unwrap()
        });
    }
    for outcome in callers.join_all().await {
        assert!(matches!(outcome, Outcome::Committed(_)));
    }
    let syncs = store.syncs() - before;
    println!("{syncs} syncs for 64 concurrent commits");
    assert!(syncs * 4 <= 64, "{syncs} syncs for 64 commits");
    // A refused guard alone costs none, nor does a question.
    let before = store.syncs();
    let taken = Guard::Absent("secret-id/1".to_owned());
    assert!(matches!(store.commit(vec![taken.clone()], vec![put("x".into(), 1)]).await, Ok(Outcome::Conflict { .. })));
    assert!(matches!(store.commit(vec![], vec![]).await, Ok(Outcome::Committed(64))));
    assert_eq!(store.syncs(), before);
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let (_directory, path) = file();
    let store = Sqlite::open(&path).unwrap();
    for n in 0..300 {
        let _committed = store.commit(vec![], vec![put(format!("k/{n:03}"), 5000)]).await.unwrap();
    }
    let mut watch = store.watch("k/", 299);
    assert_eq!(watch.next().await.unwrap().len(), 2);
    drop(store);
    assert!(sqlite::check(&path).is_ok());
    // The watch holds the store open; a second opening of the file must still see everything.
    let again = Sqlite::open(&path).unwrap();
    assert_eq!(again.revision(), 300);
    assert_eq!(again.range("k/", None, 1000, None).await.unwrap().len(), 300);
    assert_eq!(again.range("k/", None, 1000, Some(100)).await.unwrap().len(), 100);
    assert_eq!(again.watch("k/", 250).next().await.unwrap().len(), 51);
}

#[tokio::test]
async fn what_is_queued_at_the_end_is_finished() {
    let (_directory, path) = file();
    let store = Sqlite::open(&path).unwrap();
    let mut commits: Vec<_> = (0..100).map(|n| Box::pin(store.clone().commit_owned(format!("k{n}")))).collect();
    for commit in &mut commits {
        // Polled once: handed over, but nobody waits for the answer any more.
        assert!(futures_poll_once(commit.as_mut()).await);
    }
    drop(commits);
    drop(store);
    assert_eq!(Sqlite::open(&path).unwrap().revision(), 100);
}

/// Polls once; whether it is still pending.
async fn futures_poll_once(mut future: std::pin::Pin<&mut (impl Future + ?Sized)>) -> bool {
    std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

trait CommitOwned {
    async fn commit_owned(self, key: String) -> Result<Outcome, StoreError>;
}

impl CommitOwned for Sqlite {
    async fn commit_owned(self, key: String) -> Result<Outcome, StoreError> {
        self.commit(vec![], vec![put(key, 10)]).await
    }
}

#[tokio::test]
async fn a_full_disk_refuses_and_goes_on_once_there_is_space() {
    let (_directory, path) = file();
    let mut options = Options::default();
    options.max_pages = Some(64);
    let store = Sqlite::open_with(&path, options).unwrap();
    let mut stored = 0;
    let error = loop {
        match store
            .commit(vec![], vec![put(format!("k/{stored:03}"), 4000), put(format!("twin/{stored:03}"), 10)])
            .await
        {
            Ok(Outcome::Committed(_)) => stored += 1,
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.to_string(), "the disk of the store is full, nothing was changed");
    assert!(stored > 10);
    // All of an answered commit, nothing of the refused one.
    assert_eq!(store.range("k/", None, 1000, None).await.unwrap().len(), stored);
    assert_eq!(store.range("twin/", None, 1000, None).await.unwrap().len(), stored);
    assert_eq!(store.revision(), stored as u64);
    store.health().unwrap();
    // A commit that needs no space still goes through, next to one that does not.
    let (large, small) = tokio::join!(
        store.commit(vec![], vec![put("large".into(), 100_000)]),
        store.commit(vec![], vec![put("twin/000".into(), 11)]),
    );
    assert!(matches!(large, Err(StoreError::Full)));
    assert!(matches!(small, Ok(Outcome::Committed(_)) | Err(StoreError::Full)));
    drop(store);
    sqlite::check(&path).unwrap();
    let store = Sqlite::open(&path).unwrap();
    assert!(matches!(store.commit(vec![], vec![put("large".into(), 100_000)]).await, Ok(Outcome::Committed(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_under_load_is_one_revision() {
    let (directory, path) = file();
    let store = Sqlite::open(&path).unwrap();
    let writer = store.clone();
    let churn = tokio::spawn(async move {
        for n in 0..400 {
            let writes = (0..10).map(|key| Write::Put(format!("k/{key}"), format!("{n}").into_bytes())).collect();
            let _committed = writer.commit(vec![], writes).await.unwrap();
        }
    });
    for n in 0..5 {
        let copy = directory.path().join(format!("copy{n}"));
        if n % 2 == 0 {
            store.copy_to(&copy).unwrap()
        } else {
            sqlite::copy(&path, &copy).unwrap()
        };
        sqlite::check(&copy).unwrap();
        let copied = Sqlite::open(&copy).unwrap();
        let entries = copied.range("k/", None, 100, None).await.unwrap();
        assert!(entries.iter().all(|entry| entry.revision == copied.revision() && entry.value == entries[0].value));
        assert!(store.copy_to(&copy).is_err(), "a copy never overwrites");
    }
    churn.await.unwrap();
}

#[tokio::test]
async fn compaction_gives_the_space_back() {
    let (_directory, path) = file();
    let mut options = Options::default();
    options.checkpoint_pages = 50;
    let store = Sqlite::open_with(&path, options).unwrap();
    let mut now = time::macros::datetime!(2026-03-01 12:00 UTC);
    let mut sizes = Vec::new();
    for round in 0..6 {
        for n in 0..200 {
            let _committed = store.commit(vec![], vec![put(format!("k/{}", n % 20), 2000)]).await.unwrap();
        }
        now += time::Duration::minutes(10);
        let oldest = store.compact(now).await.unwrap();
        assert_eq!(oldest, 200 * round);
        sizes.push(path.metadata().unwrap().len());
    }
    assert!(sizes[5] <= sizes[3], "{sizes:?}");
    assert_eq!(store.range("k/", None, 100, None).await.unwrap().len(), 20);
}

/// A commit is visible to readers before its writer can announce it. Whoever read it and then takes a snapshot must not get the
/// picture before it: a policy that was replaced would be kept for the one that replaced it.
#[tokio::test]
async fn a_snapshot_is_never_older_than_what_was_read_before_it() {
    let (_directory, path) = file();
    let store = Sqlite::open(&path).unwrap();
    let writes = ["head", "gone", "a/1"].map(|key| put(key.into(), 1)).to_vec();
    let _committed = store.commit(vec![], writes).await.unwrap();
    // The moment between the two, made to last: a commit that this process was not told of.
    let commit = |revision: u64, change: &str| {
        let connection = rusqlite::Connection::open(&path).unwrap();
        let sql = format!("BEGIN; {change} UPDATE meta SET value = {revision} WHERE name = 'revision'; COMMIT;");
        connection.execute_batch(&sql).unwrap();
    };
    commit(2, "UPDATE entry SET revision = 2, value = x'02' WHERE key IN (CAST('head' AS BLOB), CAST('a/1' AS BLOB));");
    let head = store.get("head").await.unwrap().unwrap();
    assert_eq!((head.revision, store.revision()), (2, 2));
    let (at, entries) = snapshot(&store, "a/").await.unwrap();
    assert_eq!((at, entries[0].value.as_slice()), (2, &[2][..]));

    commit(3, "DELETE FROM entry WHERE key = CAST('gone' AS BLOB);");
    assert_eq!(store.get("gone").await.unwrap(), None);
    assert_eq!(store.revision(), 3);
    commit(4, "DELETE FROM entry WHERE key = CAST('a/1' AS BLOB);");
    assert_eq!(store.range("a/", None, 9, None).await.unwrap(), []);
    assert_eq!(store.revision(), 4);
}

#[tokio::test]
async fn the_end_moves_the_log_into_the_database() {
    let directory = tempfile::tempdir().unwrap();
    for n in 0..100 {
        let path = directory.path().join(format!("{n}.db"));
        let store = Sqlite::open(&path).unwrap();
        let _committed = store.commit(vec![], vec![Write::Put("a".into(), vec![1])]).await.unwrap();
        // Connections that only read, which could not do it.
        store.get("a").await.unwrap();
        drop(store);
        assert!(!path.with_extension("db-wal").exists());
    }
}
