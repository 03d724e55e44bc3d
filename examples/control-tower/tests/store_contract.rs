//! The contract of the store, the same tests for every engine, and the engines compared on random histories.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::{ops::Deref, sync::Arc};

use control_tower::store::{
    Entry, Event, Guard, Memory, Outcome, Revision, SharedStore, Sqlite, Store, StoreError, Write, snapshot,
};
use proptest::prelude::*;
use time::{Duration, OffsetDateTime, macros::datetime};

const START: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

/// A store that takes its directory with it.
struct Engine {
    store: SharedStore,
    _directory: Option<tempfile::TempDir>,
}

impl Deref for Engine {
    type Target = SharedStore;

    fn deref(&self) -> &SharedStore {
        &self.store
    }
}

fn memory() -> Engine {
    Engine { store: Arc::new(Memory::new()), _directory: None }
}

fn sqlite() -> Engine {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(Sqlite::open(&directory.path().join("tower.db")).unwrap());
    Engine { store, _directory: Some(directory) }
}

macro_rules! contract {
    ($($test:ident)*) => {
        mod on_memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $test() { super::$test(super::memory()).await })*
        }
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $test() { super::$test(super::sqlite()).await })*
        }
    };
}

contract! {
    a_commit_is_read_back
    guards_hold_or_nothing_happens
    the_prefix_guard_sees_every_change
    a_guard_sees_earlier_commits_not_its_own_writes
    something_is_taken_once
    counters_lose_nothing
    a_conflict_in_the_batch_harms_no_other
    ranges_are_paged_in_order
    prefixes_are_bytes
    a_revision_stays_as_it_was
    a_snapshot_is_one_picture
    history_ends_after_ten_minutes
    a_watch_begins_in_the_past_and_goes_on
    a_watch_keeps_commits_whole
    a_watch_that_is_too_late_is_told
    a_lease_has_one_holder
    a_note_goes_with_its_commit
    what_was_read_last_is_never_older_than_a_commit
}

fn put(key: &str, value: &str) -> Write {
    Write::Put(key.to_owned(), value.into())
}

fn delete(key: &str) -> Write {
    Write::Delete(key.to_owned())
}

fn absent(key: &str) -> Guard {
    Guard::Absent(key.to_owned())
}

fn at(key: &str, revision: Revision) -> Guard {
    Guard::At(key.to_owned(), revision)
}

async fn must(store: &dyn Store, guards: Vec<Guard>, writes: Vec<Write>) -> Revision {
    match store.commit(guards, writes).await.unwrap() {
        Outcome::Committed(revision) => revision,
        other => panic!("{other:?}"),
    }
}

async fn text(store: &dyn Store, key: &str) -> Option<String> {
    store.get(key).await.unwrap().map(|entry| String::from_utf8(entry.value).unwrap())
}

async fn keys(store: &dyn Store, prefix: &str, after: Option<&str>, limit: usize, at: Option<Revision>) -> Vec<String> {
    store.range(prefix, after, limit, at).await.unwrap().into_iter().map(|entry| entry.key).collect()
}

async fn a_commit_is_read_back(store: Engine) {
    assert_eq!(store.revision(), 0);
    assert_eq!(store.get("a").await.unwrap(), None);
    assert_eq!(must(&**store, vec![], vec![put("a", "1"), put("b", "2")]).await, 1);
    assert_eq!(must(&**store, vec![], vec![put("a", "3"), put("empty", "")]).await, 2);
    let entry = store.get("a").await.unwrap().unwrap();
    assert_eq!(entry, Entry { key: "a".into(), value: b"3".to_vec(), revision: 2 });
    assert_eq!(store.get("b").await.unwrap().unwrap().revision, 1);
    assert_eq!(text(&**store, "empty").await.unwrap(), "");
    assert_eq!(must(&**store, vec![], vec![delete("a"), delete("never")]).await, 3);
    assert_eq!(store.get("a").await.unwrap(), None);
    // Of two writes on one key the later stands.
    must(&**store, vec![], vec![put("c", "1"), put("c", "2")]).await;
    must(&**store, vec![], vec![put("d", "1"), delete("d"), put("e", "1"), delete("e"), put("e", "2")]).await;
    assert_eq!(text(&**store, "c").await.unwrap(), "2");
    assert_eq!(text(&**store, "d").await, None);
    assert_eq!(text(&**store, "e").await.unwrap(), "2");
    let large = vec![7; 3 << 20];
    must(&**store, vec![], vec![Write::Put("large".into(), large.clone())]).await;
    assert_eq!(store.get("large").await.unwrap().unwrap().value, large);
    assert_eq!(store.revision(), 6);
    store.health().unwrap();
}

async fn guards_hold_or_nothing_happens(store: Engine) {
    let first = must(&**store, vec![absent("a")], vec![put("a", "1")]).await;
    let conflict = |key: &str| Outcome::Conflict { key: key.to_owned() };
    assert_eq!(store.commit(vec![absent("a")], vec![put("a", "2")]).await.unwrap(), conflict("a"));
    assert_eq!(store.commit(vec![at("a", first + 1)], vec![put("a", "2")]).await.unwrap(), conflict("a"));
    assert_eq!(store.commit(vec![at("b", 0)], vec![put("b", "2")]).await.unwrap(), conflict("b"));
    // One that fails is enough, and it is named.
    let guards = vec![at("a", first), absent("b"), at("c", 7)];
    assert_eq!(store.commit(guards, vec![put("b", "1"), delete("a")]).await.unwrap(), conflict("c"));
    assert_eq!((text(&**store, "a").await.as_deref(), text(&**store, "b").await), (Some("1"), None));
    assert_eq!(store.revision(), first);
    // Guards alone ask a question and change nothing.
    assert_eq!(must(&**store, vec![at("a", first), absent("b")], vec![]).await, first);
    let second = must(&**store, vec![at("a", first)], vec![put("a", "2")]).await;
    assert_eq!(store.commit(vec![at("a", first)], vec![delete("a")]).await.unwrap(), conflict("a"));
    must(&**store, vec![at("a", second)], vec![delete("a")]).await;
    must(&**store, vec![absent("a")], vec![put("a", "again")]).await;
}

async fn the_prefix_guard_sees_every_change(store: Engine) {
    let unchanged = |prefix: &str, since| vec![Guard::Unchanged { prefix: prefix.to_owned(), since }];
    must(&**store, vec![], vec![put("doc/a", "1"), put("doc/b", "1"), put("other", "1")]).await;
    let (read, _) = snapshot(&**store, "doc/").await.unwrap();
    must(&**store, vec![], vec![put("other", "2"), put("doc", "2"), put("doc0", "2")]).await;
    let ours = must(&**store, unchanged("doc/", read), vec![put("doc/a", "2")]).await;
    // A change, a deletion and a creation all count, each against what was read before it.
    for write in [put("doc/a", "3"), delete("doc/b"), put("doc/c", "1")] {
        let before = store.revision();
        must(&**store, vec![], vec![write]).await;
        let outcome = store.commit(unchanged("doc/", before), vec![put("doc/d", "1")]).await.unwrap();
        assert_eq!(outcome, Outcome::Conflict { key: "doc/".into() });
    }
    assert!(ours > read);
    must(&**store, unchanged("doc/", store.revision()), vec![put("doc/d", "1")]).await;
    must(&**store, unchanged("", store.revision()), vec![put("x", "1")]).await;
}

async fn a_guard_sees_earlier_commits_not_its_own_writes(store: Engine) {
    must(&**store, vec![absent("a")], vec![put("a", "1")]).await;
    let revision = must(&**store, vec![absent("b"), absent("c")], vec![put("c", "1"), put("b", "1")]).await;
    must(&**store, vec![at("b", revision)], vec![delete("b"), put("b", "2")]).await;
    assert_eq!(text(&**store, "b").await.unwrap(), "2");
}

async fn something_is_taken_once(store: Engine) {
    let revision = must(&**store, vec![], vec![put("one-time", "secret")]).await;
    let runtime = tokio::runtime::Handle::current();
    let threads: Vec<_> = (0..64)
        .map(|_| {
            let (store, runtime) = (Arc::clone(&store), runtime.clone());
            std::thread::spawn(move || {
                let outcome = runtime.block_on(store.commit(vec![at("one-time", revision)], vec![delete("one-time")]));
                matches!(outcome.unwrap(), Outcome::Committed(_))
            })
        })
        .collect();
    // The threads need the runtime's drivers, not its workers.
    let join = || threads.into_iter().filter_map(|thread| thread.join().unwrap().then_some(())).count();
    assert_eq!(tokio::task::spawn_blocking(join).await.unwrap(), 1);
    assert_eq!(store.revision(), revision + 1);
}

async fn counters_lose_nothing(store: Engine) {
    must(&**store, vec![], vec![put("n", "0")]).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            for _ in 0..8 {
                loop {
                    let entry = store.get("n").await.unwrap().unwrap();
                    let n: u32 = std::str::from_utf8(&entry.value).unwrap().parse().unwrap();
                    let writes = vec![put("n", &(n + 1).to_string())];
                    if matches!(
                        store.commit(vec![Guard::seen("n", Some(&entry))], writes).await.unwrap(),
                        Outcome::Committed(_)
                    ) {
                        break;
                    }
                }
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(text(&**store, "n").await.unwrap(), "128");
}

async fn a_conflict_in_the_batch_harms_no_other(store: Engine) {
    must(&**store, vec![], vec![put("taken", "")]).await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..200 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let guard = if n % 3 == 0 { absent("taken") } else { absent(&format!("key/{n:03}")) };
            (
                n,
                store
                    .commit(vec![guard], vec![put(&format!("key/{n:03}"), "x"), put(&format!("twin/{n:03}"), "x")])
                    .await,
            )
        });
    }
    let mut revisions = Vec::new();
    for (n, outcome) in tasks.join_all().await {
        match outcome.unwrap() {
            Outcome::Committed(revision) if n % 3 != 0 => revisions.push(revision),
            Outcome::Conflict { key } if n % 3 == 0 => assert_eq!(key, "taken"),
            other => panic!("{n}: {other:?}"),
        }
        assert_eq!(store.get(&format!("key/{n:03}")).await.unwrap().is_some(), n % 3 != 0);
        assert_eq!(store.get(&format!("twin/{n:03}")).await.unwrap().is_some(), n % 3 != 0);
    }
    // Each has a revision of its own, without gaps.
    revisions.sort_unstable();
    assert_eq!(revisions, (2..=134).collect::<Vec<_>>());
}

async fn ranges_are_paged_in_order(store: Engine) {
    for n in [5, 3, 9, 1, 7] {
        must(&**store, vec![], vec![put(&format!("item/{n}"), ""), put(&format!("other/{n}"), "")]).await;
    }
    let pages = ["item/1", "item/3", "item/5", "item/7", "item/9"];
    let at = Some(store.revision());
    for at in [None, at] {
        assert_eq!(keys(&**store, "item/", None, 10, at).await, pages);
        assert_eq!(keys(&**store, "item/", None, 2, at).await, pages[..2]);
        assert_eq!(keys(&**store, "item/", Some("item/3"), 2, at).await, pages[2..4]);
        assert_eq!(keys(&**store, "item/", Some("item/4"), 2, at).await, pages[2..4]);
        assert_eq!(keys(&**store, "item/", Some("item/9"), 2, at).await, [""; 0]);
        assert_eq!(keys(&**store, "item/", Some("a"), 1, at).await, pages[..1]);
        assert_eq!(keys(&**store, "item/", Some("z"), 1, at).await, [""; 0]);
        assert_eq!(keys(&**store, "item/", None, 0, at).await, [""; 0]);
        assert_eq!(keys(&**store, "", None, usize::MAX, at).await.len(), 10);
        assert_eq!(keys(&**store, "item/5", None, 10, at).await, ["item/5"]);
    }
}

async fn prefixes_are_bytes(store: Engine) {
    let all = [
        "",
        "\0",
        "a",
        "a\0",
        "a\0\0",
        "a/",
        "a/b",
        "a0",
        "ab",
        "a\u{7f}",
        "a\u{80}",
        "aé",
        "a\u{10ffff}",
        "b",
        "\u{10ffff}",
        "\u{10ffff}\u{10ffff}",
    ];
    for key in all {
        must(&**store, vec![absent(key)], vec![put(key, key)]).await;
    }
    let mut sorted = all.to_vec();
    sorted.sort_unstable();
    for prefix in all {
        let expected: Vec<_> = sorted.iter().copied().filter(|key| key.starts_with(prefix)).collect();
        assert_eq!(keys(&**store, prefix, None, 100, None).await, expected, "{prefix:?}");
        for after in all {
            let expected: Vec<_> = expected.iter().copied().filter(|key| *key > after).collect();
            assert_eq!(
                keys(&**store, prefix, Some(after), 100, Some(store.revision())).await,
                expected,
                "{prefix:?} {after:?}"
            );
        }
    }
    let entry = store.get("a\0").await.unwrap().unwrap();
    assert_eq!((entry.key.as_str(), entry.value.as_slice()), ("a\0", &b"a\0"[..]));
}

async fn a_revision_stays_as_it_was(store: Engine) {
    let mut past = vec![Vec::new()];
    for n in 0..40_u32 {
        let key = format!("k/{}", n * 7 % 10);
        let write = if n % 4 == 3 { delete(&key) } else { put(&key, &n.to_string()) };
        let revision = must(&**store, vec![], vec![write, put("elsewhere", &n.to_string())]).await;
        assert_eq!(revision, u64::from(n) + 1);
        past.push(store.range("k/", None, 100, None).await.unwrap());
    }
    for (revision, expected) in (0..).zip(&past) {
        assert_eq!(store.range("k/", None, 100, Some(revision)).await.unwrap(), *expected, "at {revision}");
        if let Some(second) = expected.get(1) {
            let rest = store.range("k/", Some(&second.key), 2, Some(revision)).await.unwrap();
            assert_eq!(rest, expected[2..].iter().take(2).cloned().collect::<Vec<_>>());
        }
    }
    let error = store.range("", None, 1, Some(41)).await.unwrap_err();
    assert_eq!(error.to_string(), "revision 41 has not happened yet, the latest one is 40");
}

async fn a_snapshot_is_one_picture(store: Engine) {
    let writes = (0..600).map(|n| put(&format!("k/{n:04}"), "old")).collect();
    must(&**store, vec![], writes).await;
    let writer = Arc::clone(&store);
    let churn = tokio::spawn(async move {
        for round in 0..20 {
            let writes = (0..600).map(|n| put(&format!("k/{n:04}"), &format!("round {round}"))).collect();
            must(&*writer, vec![], writes).await;
        }
    });
    for _ in 0..20 {
        let (at, entries) = snapshot(&**store, "k/").await.unwrap();
        assert_eq!(entries.len(), 600);
        assert!(entries.iter().all(|entry| entry.revision == at && entry.value == entries[0].value));
    }
    churn.await.unwrap();
}

async fn history_ends_after_ten_minutes(store: Engine) {
    for n in 0..5 {
        must(&**store, vec![], vec![put("k", &n.to_string()), put(&format!("k{n}"), "")]).await;
    }
    must(&**store, vec![], vec![delete("k0")]).await;
    assert_eq!(store.compact(START).await.unwrap(), 0);
    must(&**store, vec![], vec![put("k", "new")]).await;
    assert_eq!(store.compact(START + Duration::minutes(9)).await.unwrap(), 0);
    assert_eq!(store.range("k", None, 1, Some(1)).await.unwrap()[0].value, b"0");
    assert_eq!(store.compact(START + Duration::minutes(10)).await.unwrap(), 6);
    let error = store.range("k", None, 1, Some(5)).await.unwrap_err();
    assert_eq!(error.to_string(), "revision 5 is compacted, the oldest one kept is 6");
    // The oldest kept revision is whole, and so is what came later.
    let oldest = store.range("k", None, 10, Some(6)).await.unwrap();
    assert_eq!(oldest.iter().map(|entry| entry.key.as_str()).collect::<Vec<_>>(), ["k", "k1", "k2", "k3", "k4"]);
    assert_eq!(oldest[0].value, b"4");
    assert_eq!(text(&**store, "k").await.unwrap(), "new");
    // What cannot be known any more is not taken for unchanged.
    let since_then = vec![Guard::Unchanged { prefix: "k".into(), since: 5 }];
    assert!(matches!(store.commit(since_then, vec![]).await.unwrap(), Outcome::Conflict { .. }));
    assert_eq!(store.compact(START + Duration::days(1)).await.unwrap(), 7);
}

async fn a_watch_begins_in_the_past_and_goes_on(store: Engine) {
    must(&**store, vec![], vec![put("w/a", "1"), put("x", "1")]).await;
    must(&**store, vec![], vec![put("x", "2")]).await;
    must(&**store, vec![], vec![put("w/a", "2")]).await;
    must(&**store, vec![], vec![delete("w/a"), delete("w/never")]).await;
    let event = |revision, value: Option<&str>| Event { revision, key: "w/a".into(), value: value.map(Into::into) };
    let mut watch = store.watch("w/", 1);
    assert_eq!(watch.next().await.unwrap(), [event(1, Some("1")), event(3, Some("2")), event(4, None)]);
    assert_eq!(watch.position(), 5);

    let following = tokio::spawn(async move {
        let mut seen = Vec::new();
        while seen.len() < 50 {
            seen.extend(watch.next().await.unwrap());
        }
        (seen, watch)
    });
    for n in 0..50 {
        must(&**store, vec![], vec![put("x", "more")]).await;
        must(&**store, vec![], vec![put("w/a", &n.to_string())]).await;
    }
    let (seen, mut watch) = following.await.unwrap();
    let expected: Vec<_> = (0..50).map(|n| event(6 + 2 * n, Some(&n.to_string()))).collect();
    assert_eq!(seen, expected);

    // Waiting is cut short without losing anything; another watch resumes at the position.
    assert!(tokio::time::timeout(std::time::Duration::from_millis(20), watch.next()).await.is_err());
    let mut resumed = store.watch("w/", watch.position());
    must(&**store, vec![], vec![put("w/a", "last")]).await;
    assert_eq!(watch.next().await.unwrap(), [event(105, Some("last"))]);
    assert_eq!(resumed.next().await.unwrap(), [event(105, Some("last"))]);
    let mut future = store.watch("w/", 107);
    must(&**store, vec![], vec![put("w/a", "skipped")]).await;
    must(&**store, vec![], vec![put("w/a", "seen")]).await;
    assert_eq!(future.next().await.unwrap(), [event(107, Some("seen"))]);
}

async fn a_watch_keeps_commits_whole(store: Engine) {
    for n in 0..600 {
        must(&**store, vec![], vec![put("w/a", &n.to_string()), put("w/b", &n.to_string())]).await;
    }
    let mut watch = store.watch("w/", 1);
    let mut seen = 0;
    while seen < 1200 {
        let events = watch.next().await.unwrap();
        for pair in events.chunks(2) {
            assert_eq!((pair[0].key.as_str(), pair[1].key.as_str()), ("w/a", "w/b"));
            assert_eq!((pair[0].revision, &pair[0].value), (pair[1].revision, &pair[1].value));
        }
        seen += events.len();
    }
}

async fn a_watch_that_is_too_late_is_told(store: Engine) {
    for _ in 0..3 {
        must(&**store, vec![], vec![put("w", "")]).await;
    }
    store.compact(START).await.unwrap();
    assert_eq!(store.compact(START + Duration::minutes(10)).await.unwrap(), 3);
    let error = store.watch("", 3).next().await.unwrap_err();
    assert!(matches!(error, StoreError::Compacted { requested: 3, oldest: 4 }), "{error:?}");
    let mut watch = store.watch("", 4);
    must(&**store, vec![], vec![put("w", "new")]).await;
    assert_eq!(watch.next().await.unwrap().len(), 1);
}

async fn a_lease_has_one_holder(store: Engine) {
    let ttl = Duration::minutes(1);
    let mut takers = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let store = Arc::clone(&store);
        takers.spawn(async move { store.lease("rotate", ttl, START).await.unwrap() });
    }
    let mut held: Vec<_> = takers.join_all().await.into_iter().flatten().collect();
    assert_eq!(held.len(), 1);
    let lease = held.pop().unwrap();
    assert_eq!((lease.name(), lease.expires()), ("rotate", START + ttl));
    assert!(store.lease("other", ttl, START).await.unwrap().is_some());

    let lease = store.renew(lease, ttl, START + Duration::seconds(50)).await.unwrap().unwrap();
    assert!(store.lease("rotate", ttl, START + Duration::seconds(70)).await.unwrap().is_none());
    // Run out, taken by another, lost.
    let next = store.lease("rotate", ttl, START + Duration::seconds(110)).await.unwrap().unwrap();
    assert!(store.renew(lease, ttl, START + Duration::seconds(111)).await.unwrap().is_none());
    store.release(next).await.unwrap();
    assert!(store.lease("rotate", ttl, START + Duration::seconds(112)).await.unwrap().is_some());
}

fn note(outbox: &str, text: &str) -> Write {
    Write::Note { outbox: outbox.to_owned(), bytes: text.into() }
}

async fn notes(store: &dyn Store, outbox: &str, after: Revision, limit: usize) -> Vec<(Revision, String)> {
    let notes = store.notes(outbox, after, limit).await.unwrap();
    notes.into_iter().map(|note| (note.revision, String::from_utf8(note.bytes).unwrap())).collect()
}

async fn a_note_goes_with_its_commit(store: Engine) {
    let found = |notes: &[(Revision, &str)]| notes.iter().map(|(n, text)| (*n, (*text).to_owned())).collect::<Vec<_>>();
    assert!(notes(&**store, "log", 0, 9).await.is_empty());
    assert_eq!(must(&**store, vec![], vec![put("a", "1"), note("log", "one")]).await, 1);
    let refused = store.commit(vec![absent("a")], vec![put("b", "1"), note("log", "never")]).await.unwrap();
    assert!(matches!(refused, Outcome::Conflict { .. }));
    // Alone it is a commit like another.
    assert_eq!(must(&**store, vec![], vec![note("log", "two")]).await, 2);
    must(&**store, vec![], vec![note("other", "theirs")]).await;
    must(&**store, vec![], vec![put("a", "2")]).await;
    // One of two would be lost.
    let two = vec![put("b", "1"), note("log", "former"), note("other", "theirs"), note("log", "later")];
    let refused = store.commit(vec![], two).await.unwrap_err().to_string();
    assert_eq!(refused, "a commit leaves two notes in the outbox `log`, which keeps one of each");
    must(&**store, vec![], vec![note("log", "five")]).await;
    assert_eq!(notes(&**store, "log", 0, 9).await, found(&[(1, "one"), (2, "two"), (5, "five")]));
    assert_eq!(notes(&**store, "log", 1, 1).await, found(&[(2, "two")]));
    assert_eq!(notes(&**store, "other", 0, 9).await, found(&[(3, "theirs")]));
    store.forget_notes("log", 2).await.unwrap();
    store.forget_notes("log", 1).await.unwrap();
    assert_eq!(notes(&**store, "log", 0, 9).await, found(&[(5, "five")]));
    must(&**store, vec![], vec![put("a", "3")]).await;
    assert_eq!(notes(&**store, "log", 0, 9).await, found(&[(5, "five")]));
    assert_eq!(notes(&**store, "other", 0, 9).await, found(&[(3, "theirs")]));
    // It is no key, and no watch sees it.
    assert_eq!(keys(&**store, "", None, 9, None).await, ["a"]);
    let mut watch = store.watch("", 1);
    let seen: Vec<_> = watch.next().await.unwrap().into_iter().map(|event| event.revision).collect();
    assert_eq!(seen, [1, 4, 6]);
}

async fn what_was_read_last_is_never_older_than_a_commit(store: Engine) {
    let twins = ["twin/a", "twin/b"];
    let write = |n: u64| twins.map(|key| put(key, &n.to_string())).to_vec();
    must(&**store, vec![], write(1)).await;
    let answered = Arc::new(std::sync::atomic::AtomicU64::new(1));
    let mut readers = tokio::task::JoinSet::new();
    for n in 0..4 {
        let (store, answered) = (Arc::clone(&store), Arc::clone(&answered));
        readers.spawn(async move {
            let mut last = 0;
            while last < 400 {
                // As those do who read two records one after the other, in either order.
                for key in [twins[n % 2], twins[1 - n % 2]] {
                    let floor = answered.load(std::sync::atomic::Ordering::SeqCst);
                    let entry = store.get(key).await.unwrap().unwrap();
                    let found: u64 = String::from_utf8(entry.value).unwrap().parse().unwrap();
                    assert!(found >= floor, "{found} was read after {floor} was answered");
                    assert!(found >= last, "{found} was read after {last} was");
                    assert!(store.revision() >= entry.revision);
                    last = found;
                }
                tokio::task::yield_now().await;
            }
        });
    }
    for n in 2..=400 {
        must(&**store, vec![], write(n)).await;
        answered.store(n, std::sync::atomic::Ordering::SeqCst);
        tokio::task::yield_now().await;
    }
    readers.join_all().await;
}

/// One step of a random history.
#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Guard>, Vec<Write>),
    Range(String, Option<String>, usize, Option<Revision>),
    Watch(String, Revision),
    Compact(i64),
    Notes(Revision, usize),
    Forget(Revision),
}

fn step() -> impl Strategy<Value = Step> {
    let key = || prop::sample::select(vec!["", "a", "a/", "a/b", "a/c", "b", "é"]).prop_map(str::to_owned);
    let revision = || 0..30_u64;
    let guard = prop_oneof![
        key().prop_map(Guard::Absent),
        (key(), revision()).prop_map(|(key, revision)| Guard::At(key, revision)),
        (key(), revision()).prop_map(|(prefix, since)| Guard::Unchanged { prefix, since }),
    ];
    let write = prop_oneof![
        1 => any::<u8>().prop_map(|byte| Write::Note { outbox: "o".to_owned(), bytes: vec![byte] }),
        3 => (key(), prop::collection::vec(any::<u8>(), 0..3)).prop_map(|(key, value)| Write::Put(key, value)),
        1 => key().prop_map(Write::Delete),
    ];
    prop_oneof![
        6 => (prop::collection::vec(guard, 0..2), prop::collection::vec(write, 0..4)).prop_map(|(guards, writes)| Step::Commit(guards, writes)),
        3 => (key(), prop::option::of(key()), 0..5_usize, prop::option::of(revision()))
            .prop_map(|(prefix, after, limit, at)| Step::Range(prefix, after, limit, at)),
        1 => (key(), revision()).prop_map(|(prefix, from)| Step::Watch(prefix, from)),
        1 => (0..20_i64).prop_map(Step::Compact),
        1 => (revision(), 0..4_usize).prop_map(|(after, limit)| Step::Notes(after, limit)),
        1 => revision().prop_map(Step::Forget),
    ]
}

/// What a store answers to a step, as text.
async fn answer(store: &dyn Store, step: Step, minutes: &mut i64) -> String {
    match step {
        Step::Commit(guards, writes) => format!("{:?}", store.commit(guards, writes).await),
        Step::Range(prefix, after, limit, at) => {
            format!("{:?}", store.range(&prefix, after.as_deref(), limit, at).await)
        }
        Step::Watch(prefix, from) => {
            let mut watch = store.watch(&prefix, from);
            let mut seen = Vec::new();
            // Everything that is there, until it would wait.
            while watch.position() <= store.revision() {
                let next = tokio::time::timeout(std::time::Duration::ZERO, watch.next()).await;
                seen.push(format!("{next:?}"));
                if matches!(next, Ok(Err(_)) | Err(_)) {
                    break;
                }
            }
            seen.join(" ")
        }
        Step::Notes(after, limit) => format!("{:?}", store.notes("o", after, limit).await),
        Step::Forget(to) => {
            // Of what has not happened nothing is forgotten.
            format!("{:?}", store.forget_notes("o", to.min(store.revision())).await)
        }
        Step::Compact(passed) => {
            *minutes += passed;
            format!("{:?}", store.compact(START + Duration::minutes(*minutes)).await)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_engines_agree(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (memory, sqlite) = (memory(), sqlite());
            let (mut theirs, mut ours) = (0, 0);
            for step in steps {
                let expected = answer(&**memory, step.clone(), &mut theirs).await;
                let found = answer(&**sqlite, step.clone(), &mut ours).await;
                assert_eq!(expected, found, "{step:?}");
                assert_eq!(memory.revision(), sqlite.revision());
            }
        });
    }
}
