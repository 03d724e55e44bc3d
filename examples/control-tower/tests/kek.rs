//! Rotation of the key-encryption key, and sealing every record under the new one, when everything that can go wrong does: several
//! processes on one store, each dropped at any step, whose commits fail, are lost, or happen without an answer.
//!
//! Nothing runs by itself here. Every access to the store is a step that a schedule made of a seed gives to one of the
//! processes, so each run can be had again. After each commit the store is looked at as a whole: every record in it, now and in each
//! state that can still be read, is under a key that the keyring of that state or of now has.
//!
//! `KEYWARD_FULL=1` tries 5,000 schedules instead of 50.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use control_tower::{
    db::{Db, DbError},
    keyring::{
        Keyring, KeyringError,
        rewrap::{self, Turn},
    },
    layout,
    store::{
        Entry, Fut, Guard, HISTORY, Memory, Note, Outcome, Revision, SharedStore, Store, StoreError, Watch, Write,
    },
};
use keyward_transit::{Kek, KekSet, Keyring as Stored, RewrapStage, SealKey, SealKind, open, sealed_under};
use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;
use support::{START, Tower};
use time::OffsetDateTime;

/// What all processes of a run share.
struct World {
    store: Memory,
    rng: Mutex<StdRng>,
    /// Of a hundred commits so many go wrong.
    faults: u32,
    /// What the store cannot be read before; as its compaction answered.
    oldest: AtomicU64,
    commits: AtomicU64,
    /// The highest version of a key so far.
    highest: AtomicU64,
}

/// The store as a process sees it: it gives the turn away before each access.
struct Stepping(Arc<World>);

/// Pending once.
#[derive(Default)]
struct Pause(bool);

impl Future for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Store for Stepping {
    fn commit<'a>(&'a self, guards: Vec<Guard>, writes: Vec<Write>) -> Fut<'a, Outcome> {
        Box::pin(async move {
            Pause::default().await;
            let dice = self.0.rng.lock().unwrap().random_range(0..100_u32);
            if dice < self.0.faults {
                match dice % 3 {
                    0 => return Err(StoreError::Full),
                    1 => return Ok(Outcome::Unknown),
                    _ => drop(self.0.store.commit(guards, writes).await?),
                }
                self.0.check();
                return Ok(Outcome::Unknown);
            }
            let outcome = self.0.store.commit(guards, writes).await?;
            self.0.commits.fetch_add(1, Ordering::Relaxed);
            self.0.check();
            // Its answer is a step of its own: others may come in between.
            Pause::default().await;
            Ok(outcome)
        })
    }

    fn get<'a>(&'a self, key: &'a str) -> Fut<'a, Option<Entry>> {
        Box::pin(async move {
            Pause::default().await;
            self.0.store.get(key).await
        })
    }

    fn range<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
        at: Option<Revision>,
    ) -> Fut<'a, Vec<Entry>> {
        Box::pin(async move {
            Pause::default().await;
            self.0.store.range(prefix, after, limit, at).await
        })
    }

    fn notes<'a>(&'a self, outbox: &'a str, after: Revision, limit: usize) -> Fut<'a, Vec<Note>> {
        self.0.store.notes(outbox, after, limit)
    }

    fn forget_notes<'a>(&'a self, outbox: &'a str, to: Revision) -> Fut<'a, ()> {
        self.0.store.forget_notes(outbox, to)
    }

    fn watch(&self, prefix: &str, from: Revision) -> Watch {
        self.0.store.watch(prefix, from)
    }

    fn revision(&self) -> Revision {
        self.0.store.revision()
    }

    fn compact<'a>(&'a self, now: OffsetDateTime) -> Fut<'a, Revision> {
        self.0.store.compact(now)
    }

    fn syncs(&self) -> u64 {
        0
    }

    fn health(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// For futures that are ready at once.
fn now<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits for something"),
    }
}

fn seal_key() -> SealKey {
    SealKey::from_secret(&[5; 32]).unwrap()
}

impl World {
    fn state(&self, at: Option<Revision>) -> Vec<Entry> {
        now(self.store.range("", None, usize::MAX, at)).unwrap()
    }

    fn keys(entries: &[Entry]) -> KekSet {
        let keyring = entries.iter().find(|entry| entry.key == layout::KEYRING).unwrap();
        Stored::decode(&keyring.value).unwrap().open(&seal_key()).unwrap()
    }

    /// Every record opens, in each state that can be read, with the keys that the store has now.
    fn check(&self) {
        let latest = self.store.revision();
        let keys = Self::keys(&self.state(None));
        self.highest.fetch_max(keys.current().version().into(), Ordering::Relaxed);
        // Older states were looked at when they were the latest, but the keys may be others now.
        let oldest = self.oldest.load(Ordering::Relaxed).max(1);
        for at in [oldest, (oldest + latest) / 2, latest] {
            let Ok(entries) = now(self.store.range("", None, usize::MAX, Some(at))) else { continue };
            for entry in entries.iter().filter(|entry| layout::is_sealed(&entry.key, &entry.value)) {
                let opened = open(&keys, &entry.key, &entry.value);
                let (version, has) = (sealed_under(&entry.value), keys.versions());
                let opened = opened.unwrap_or_else(|error| {
                    panic!("{} of revision {at} is under {version:?} of {has:?}: {error}", entry.key)
                });
                assert!(opened.starts_with(entry.key.as_bytes()), "{}", entry.key);
            }
        }
    }
}

/// A process: it writes, rotates and rewraps as it comes, on its own view of the keyring.
async fn process(world: Arc<World>, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let store: SharedStore = Arc::new(Stepping(Arc::clone(&world)));
    let keyring = Arc::new(Keyring::new(store));
    keyring.unlock(seal_key()).await.unwrap();
    let db = Db::new(keyring);
    let mut size = 4;
    loop {
        match rng.random_range(0..100) {
            // Reads a record, decides, and writes it: what every handler does.
            0..40 => {
                let key = format!("t/{:02}", rng.random_range(0..20));
                let found = db.get(&key).await.unwrap_or_else(|error| panic!("{key}: {error}"));
                let content = format!("{key} {}", rng.next_u64());
                let write = match rng.random_range(0..5) {
                    0 => Write::Delete(key.clone()),
                    _ => db.put(key.clone(), content.as_bytes()).unwrap(),
                };
                // Somebody thinks for long now and then: what was sealed is old when it is committed.
                for _ in 0..rng.random_range(0..3) * rng.random_range(0..20) {
                    Pause::default().await;
                }
                let guard = found.map_or(Guard::Absent(key), |found| found.guard());
                let guards = if rng.random() { vec![guard] } else { Vec::new() };
                let _any = db.store().commit(guards, vec![write]).await;
            }
            40..43 => match db.keyring().rotation().await {
                Ok(change) => {
                    let _any = db.store().commit(change.guards, change.writes).await;
                    if rng.random() {
                        db.keyring().refresh().await.unwrap();
                    }
                }
                Err(KeyringError::TooMany { .. }) => {}
                Err(error) => panic!("{error}"),
            },
            43..45 => {
                // Ten minutes pass, and somebody forgets history.
                let minutes = rng.random_range(0..12);
                let mut clock = world.rng.lock().unwrap();
                let _ = clock.next_u32();
                drop(clock);
                let at = START + HISTORY * i32::try_from(world.commits.load(Ordering::Relaxed) + minutes).unwrap();
                let oldest = now(world.store.compact(at)).unwrap();
                world.oldest.fetch_max(oldest, Ordering::Relaxed);
                world.check();
            }
            _ => match rewrap::turn(&db, size, world.oldest.load(Ordering::Relaxed)).await {
                Ok(Turn::Finish(change)) => {
                    let none = change.destroyed.is_empty();
                    let outcome = db.store().commit(change.guards, change.writes).await;
                    assert!(!none || !matches!(outcome, Ok(Outcome::Committed(_))));
                }
                Ok(Turn::Contended) => size = (size / 2).max(1),
                Ok(_) => size = (size * 2).min(8),
                Err(DbError::Store(_)) => {}
                Err(error) => panic!("{error}"),
            },
        }
        Pause::default().await;
    }
}

type Process = Pin<Box<dyn Future<Output = ()>>>;

/// What a run came to: rotations, keys destroyed.
fn run(seed: u64) -> (u64, u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let world = Arc::new(World {
        store: Memory::new(),
        rng: Mutex::new(StdRng::seed_from_u64(seed ^ 1)),
        faults: rng.random_range(0..2) * rng.random_range(0..25),
        oldest: AtomicU64::new(0),
        commits: AtomicU64::new(0),
        highest: AtomicU64::new(1),
    });
    let keyring = Keyring::new(Arc::new(world.store.clone()));
    let first = KekSet::new(Kek::from_bytes(1, &[1; 32]).unwrap());
    now(keyring.create(&first, seal_key(), SealKind::Key)).unwrap();
    let processes = rng.random_range(1..4);
    let start = |rng: &mut StdRng| -> Process { Box::pin(process(Arc::clone(&world), rng.next_u64())) };
    let mut running: Vec<Process> = (0..processes).map(|_| start(&mut rng)).collect();
    let crashes = rng.random_range(0..40);
    for _ in 0..1500 {
        let index = rng.random_range(0..running.len());
        // Dropped wherever it is, and started again.
        if rng.random_range(0..1000) < crashes {
            running[index] = start(&mut rng);
        }
        // Some are slow.
        for _ in 0..rng.random_range(1..6) {
            assert!(running[index].as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
    }
    drop(running);
    world.check();
    let keys = World::keys(&world.state(None));
    // In peace, one process brings it to the end.
    let keyring = Arc::new(Keyring::new(Arc::new(world.store.clone()) as SharedStore));
    now(keyring.unlock(seal_key())).unwrap();
    let db = Db::new(keyring);
    for _ in 0..200 {
        let at = START + HISTORY * 1_000_000;
        let oldest = now(world.store.compact(at)).unwrap();
        let oldest = oldest.max(now(world.store.compact(at + HISTORY)).unwrap());
        world.oldest.fetch_max(oldest, Ordering::Relaxed);
        match now(rewrap::turn(&db, 7, oldest)).unwrap() {
            Turn::Idle => break,
            Turn::Finish(change) => {
                let _any = now(db.store().commit(change.guards, change.writes)).unwrap();
            }
            _ => {}
        }
        world.check();
    }
    let left = World::keys(&world.state(None));
    assert_eq!(left.versions(), [left.current().version()], "seed {seed}");
    assert!(left.current().version() >= keys.current().version());
    if let Some((work, _)) = now(rewrap::progress(&db)).unwrap() {
        assert_eq!((work.stage(), work.target()), (RewrapStage::Done, left.current().version()), "seed {seed}");
    }
    (world.highest.load(Ordering::Relaxed) - 1, u64::from(left.current().version()) - 1)
}

#[test]
fn no_schedule_loses_a_key() {
    let rounds = if std::env::var_os("KEYWARD_FULL").is_some() { 5_000 } else { 50 };
    let (mut rotations, mut destroyed) = (0, 0);
    for seed in 0..rounds {
        let ran = std::panic::catch_unwind(|| run(seed));
        let (rotated, gone) = ran.unwrap_or_else(|_| panic!("seed {seed}"));
        (rotations, destroyed) = (rotations + rotated, destroyed + gone);
    }
    // Else it tried nothing.
    assert!(rotations > rounds && destroyed > rounds, "{rotations} rotations, {destroyed} keys destroyed");
}

#[tokio::test]
async fn everything_that_a_tower_stores_is_sealed_or_known_not_to_be() {
    let tower = Tower::fresh().await;
    let admin = tower.administrator().await;
    tower.bulk(&admin, support::WALK).await.ok();
    let created = tower.post("/v1/config/strongbox/transit-keys", &admin, json!({"name": "orders"})).await;
    assert!(created.status.is_success());
    tower.post("/v1/state/strongbox/token/create", &admin, json!({"ttl": "1h"})).await.ok();
    tower.post("/v1/sys/wrapping/wrap", &admin, json!({"a": 1})).await;
    let store = tower.app.db.store();
    let _lease = store.lease("kek-test", time::Duration::minutes(1), START).await.unwrap();
    let keys = tower.app.db.keyring().opened().unwrap();
    let mut kinds = BTreeMap::new();
    for entry in store.range("", None, usize::MAX, None).await.unwrap() {
        let opens = open(keys.keks(), &entry.key, &entry.value).is_ok();
        assert_eq!(opens, layout::is_sealed(&entry.key, &entry.value), "{}", entry.key);
        *kinds.entry(opens).or_insert(0) += 1;
    }
    assert!(kinds[&true] > 15 && kinds[&false] > 3, "{kinds:?}");
}

#[tokio::test]
async fn a_record_that_was_only_sealed_anew_is_the_same_to_a_guard() {
    let store = Memory::new();
    let db = Db::new(support::keyring(Arc::new(store.clone())).await);
    let put = |content: &str| db.put("t/a".to_owned(), content.as_bytes()).unwrap();
    let commit = async |guards, writes| db.store().commit(guards, writes).await.unwrap();
    let Outcome::Committed(_) = commit(vec![], vec![put("first")]).await else { panic!("it is not stored") };
    let before = db.get("t/a").await.unwrap().unwrap();
    // What is known for long: nothing of then can be read any more.
    for minute in 0..30 {
        store.compact(START + time::Duration::minutes(minute)).await.unwrap();
    }
    for _ in 0..2 {
        let change = db.keyring().rotation().await.unwrap();
        let Outcome::Committed(_) = commit(change.guards, change.writes).await else { panic!("it is not rotated") };
        db.keyring().refresh().await.unwrap();
        while !matches!(rewrap::turn(&db, 4, 0).await.unwrap(), Turn::Waiting) {}
    }
    let after = db.get("t/a").await.unwrap().unwrap();
    assert!(after.revision > before.revision && after.value == before.value);
    // Twice under another key, and the same all the same; a write goes on with the revision that it has now.
    let Outcome::Committed(_) = commit(vec![before.guard()], vec![put("second")]).await else {
        panic!("it was only sealed anew")
    };
    let Outcome::Conflict { key } = commit(vec![before.guard()], vec![put("third")]).await else {
        panic!("it has changed")
    };
    assert_eq!(key, "t/a");
    // Back to what it was is a change, too.
    let Outcome::Committed(_) = commit(vec![], vec![put("first")]).await else { panic!("it is not stored") };
    assert!(matches!(
        commit(vec![before.guard()], vec![Write::Delete("t/a".to_owned())]).await,
        Outcome::Conflict { .. }
    ));
}
