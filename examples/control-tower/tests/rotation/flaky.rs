//! A store that takes changes of key rings badly, and everything else well; or one that only lets others go first.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use control_tower::store::{
    Entry, Fut, Guard, Memory, Note, Outcome, Revision, SharedStore, Store, StoreError, Watch, Write,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use time::OffsetDateTime;

/// Of the commits that write a ring, most fail, are lost, or happen without an answer.
pub(crate) struct Flaky {
    inner: SharedStore,
    rng: Mutex<StdRng>,
    faulty: bool,
    /// How many went wrong.
    pub(crate) faults: AtomicU64,
    /// Commits that were asked for.
    pub(crate) begun: AtomicU64,
    /// Commits that relied on what had changed.
    pub(crate) conflicts: AtomicU64,
}

impl Flaky {
    pub(crate) fn new(seed: u64) -> Self {
        Self { faulty: true, ..Self::polite(seed) }
    }

    /// Without faults. Others have a turn before each commit.
    pub(crate) fn polite(seed: u64) -> Self {
        Self {
            inner: Arc::new(Memory::new()),
            rng: Mutex::new(StdRng::seed_from_u64(seed)),
            faulty: false,
            faults: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            conflicts: AtomicU64::new(0),
        }
    }
}

impl Store for Flaky {
    fn commit<'a>(&'a self, guards: Vec<Guard>, writes: Vec<Write>) -> Fut<'a, Outcome> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        // A ring that is made is made with its document; this is about those that change, and with them what is published.
        let keys: Vec<&str> = writes
            .iter()
            .filter_map(|write| if let Write::Put(key, _) = write { Some(&**key) } else { None })
            .filter(|key| !key.contains("due/"))
            .collect();
        let changes_ring = match keys.as_slice() {
            [ring] => ring.contains("/ring/"),
            [ring, other] => ring.contains("/ring/") && other.ends_with("/publication"),
            _ => false,
        };
        let fault = if changes_ring && self.faulty { self.rng.lock().unwrap().random_range(0..4) } else { 0 };
        self.faults.fetch_add(u64::from(fault > 0), Ordering::Relaxed);
        Box::pin(async move {
            if !self.faulty {
                tokio::task::yield_now().await;
            }
            match fault {
                0 => {
                    let outcome = self.inner.commit(guards, writes).await;
                    self.conflicts
                        .fetch_add(u64::from(matches!(outcome, Ok(Outcome::Conflict { .. }))), Ordering::SeqCst);
                    outcome
                }
                1 => Err(StoreError::Closed),
                2 => Ok(Outcome::Unknown),
                _ => self.inner.commit(guards, writes).await.map(|_| Outcome::Unknown),
            }
        })
    }

    fn get<'a>(&'a self, key: &'a str) -> Fut<'a, Option<Entry>> {
        self.inner.get(key)
    }

    fn range<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
        at: Option<Revision>,
    ) -> Fut<'a, Vec<Entry>> {
        self.inner.range(prefix, after, limit, at)
    }

    fn notes<'a>(&'a self, outbox: &'a str, after: Revision, limit: usize) -> Fut<'a, Vec<Note>> {
        self.inner.notes(outbox, after, limit)
    }

    fn forget_notes<'a>(&'a self, outbox: &'a str, to: Revision) -> Fut<'a, ()> {
        self.inner.forget_notes(outbox, to)
    }

    fn watch(&self, prefix: &str, from: Revision) -> Watch {
        self.inner.watch(prefix, from)
    }

    fn revision(&self) -> Revision {
        self.inner.revision()
    }

    fn compact<'a>(&'a self, now: OffsetDateTime) -> Fut<'a, Revision> {
        self.inner.compact(now)
    }

    fn syncs(&self) -> u64 {
        self.inner.syncs()
    }

    fn health(&self) -> Result<(), StoreError> {
        self.inner.health()
    }
}
