//! A store that takes sealed records under the current key alone.

use std::sync::Arc;

use keyward_transit::{reseal, sealed_under};
use time::OffsetDateTime;

use super::{Keyring, KeyringError, Opened};
use crate::{
    layout, random,
    store::{Entry, Fut, Guard, Note, Outcome, Revision, SharedStore, Store, StoreError, Watch, Write},
};

/// Each commit with a sealed record is guarded by the revision of the keyring. When that moved, the records are sealed anew
/// and the commit is tried again: its caller need not know.
pub struct Fenced {
    inner: SharedStore,
    keyring: Arc<Keyring>,
}

impl Fenced {
    /// Around a store, with its keyring.
    #[must_use]
    pub fn new(keyring: Arc<Keyring>) -> Self {
        Self { inner: Arc::clone(&keyring.store), keyring }
    }

    async fn fenced(&self, guards: Vec<Guard>, writes: Vec<Write>) -> Result<Outcome, StoreError> {
        let mut keys = self.keyring.opened().map_err(store_error)?;
        loop {
            let Some(writes) = under_current(&keys, &writes) else {
                // Sealed so long ago that its key is gone: what it was decided on is as old.
                return Ok(Outcome::Conflict { key: layout::KEYRING.to_owned() });
            };
            let mut guards = guards.clone();
            guards.push(Guard::At(layout::KEYRING.to_owned(), keys.revision()));
            match self.inner.commit(guards, writes).await? {
                Outcome::Conflict { key } if key == layout::KEYRING => {
                    let fresh = self.keyring.refresh().await.map_err(store_error)?;
                    if fresh.revision() <= keys.revision() {
                        // The store goes back, or its caller has a guard of its own on the keyring.
                        return Ok(Outcome::Conflict { key });
                    }
                    keys = fresh;
                }
                outcome => return Ok(outcome),
            }
        }
    }
}

fn store_error(error: KeyringError) -> StoreError {
    match error {
        KeyringError::Store(error) => error,
        KeyringError::Locked => StoreError::Sealed,
        error => StoreError::Damaged { detail: error.to_string() },
    }
}

/// The writes with every sealed record under the current key; nothing when one does not open.
fn under_current(keys: &Opened, writes: &[Write]) -> Option<Vec<Write>> {
    let current = keys.keks().current().version();
    let one = |write: &Write| match write {
        Write::Put(key, value) if layout::is_sealed(key, value) && sealed_under(value) != Some(current) => {
            let value = reseal(keys.keks(), key, value, &mut random::rng()).ok()?;
            Some(Write::Put(key.clone(), value))
        }
        write => Some(write.clone()),
    };
    writes.iter().map(one).collect()
}

impl Store for Fenced {
    fn commit<'a>(&'a self, guards: Vec<Guard>, writes: Vec<Write>) -> Fut<'a, Outcome> {
        let seals = |write: &Write| matches!(write, Write::Put(key, value) if layout::is_sealed(key, value));
        if writes.iter().any(seals) { Box::pin(self.fenced(guards, writes)) } else { self.inner.commit(guards, writes) }
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
