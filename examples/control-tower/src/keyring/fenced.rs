//! A store that takes sealed records under the current key alone, and to which a record that was only sealed anew is the same.

use std::sync::Arc;

use keyward_transit::{open, reseal, sealed_under};
use time::OffsetDateTime;

use super::{Keyring, KeyringError, Opened};
use crate::{
    layout, random,
    store::{Entry, Fut, Guard, Note, Outcome, Revision, SharedStore, Store, StoreError, Watch, Write},
};

/// Each commit with a sealed record is guarded by the revision of the keyring. When that moved, the records are sealed anew
/// and the commit is tried again: its caller need not know. Nor need whoever guards by a record that came under the current key
/// meanwhile and is otherwise what it was.
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

    async fn fenced(&self, mut guards: Vec<Guard>, writes: Vec<Write>) -> Result<Outcome, StoreError> {
        let seals = |write: &Write| matches!(write, Write::Put(key, value) if layout::is_sealed(key, value));
        let mut keys = match writes.iter().any(seals) {
            true => Some(self.keyring.opened().map_err(store_error)?),
            false => None,
        };
        loop {
            let (mut guards_now, mut writes_now) = (guards.clone(), writes.clone());
            if let Some(keys) = &keys {
                let Some(sealed) = under_current(keys, &writes) else {
                    // Sealed so long ago that its key is gone: what it was decided on is as old.
                    return Ok(Outcome::Conflict { key: layout::KEYRING.to_owned() });
                };
                writes_now = sealed;
                guards_now.push(Guard::At(layout::KEYRING.to_owned(), keys.revision()));
            }
            let conflict = match self.inner.commit(guards_now, writes_now).await? {
                Outcome::Conflict { key } => key,
                outcome => return Ok(outcome),
            };
            if let Some(known) = keys.as_mut().filter(|_| conflict == layout::KEYRING) {
                let fresh = self.keyring.refresh().await.map_err(store_error)?;
                if fresh.revision() <= known.revision() {
                    // Its caller has a guard of its own on the keyring.
                    return Ok(Outcome::Conflict { key: conflict });
                }
                *known = fresh;
            } else if !self.was_only_resealed(&mut guards, &conflict).await? {
                return Ok(Outcome::Conflict { key: conflict });
            }
        }
    }

    /// Whether a record is what its guard says, but for the key that it is sealed under; the guard says so then. Nobody is to
    /// start again for that.
    async fn was_only_resealed(&self, guards: &mut [Guard], conflict: &str) -> Result<bool, StoreError> {
        let guard = guards.iter_mut().find_map(|guard| match guard {
            Guard::At(key, revision) if key == conflict => Some(revision),
            _ => None,
        });
        let Some(seen) = guard else { return Ok(false) };
        let Some(now) = self.inner.get(conflict).await? else { return Ok(false) };
        if now.revision <= *seen || !layout::is_sealed(conflict, &now.value) {
            return Ok(false);
        }
        let keys = self.keyring.refresh().await.map_err(store_error)?;
        let latest = now.revision;
        let mut later = now;
        // Back from change to change, for as long as each did nothing else.
        while later.revision > *seen {
            let before = self.inner.range(conflict, None, 1, Some(later.revision.saturating_sub(1))).await;
            let before = match before {
                Ok(before) => before.into_iter().next().filter(|before| before.key == conflict),
                Err(StoreError::Compacted { .. }) => None,
                Err(error) => return Err(error),
            };
            let Some(before) = before.filter(|before| is_resealed(&keys, before, &later)) else { return Ok(false) };
            later = before;
        }
        let same = later.revision == *seen;
        if same {
            *seen = latest;
        }
        Ok(same)
    }
}

/// Whether one change of a record only brought it under a later key.
fn is_resealed(keys: &Opened, before: &Entry, after: &Entry) -> bool {
    let opened = |entry: &Entry| open(keys.keks(), &entry.key, &entry.value).ok();
    sealed_under(&before.value) < sealed_under(&after.value)
        && opened(before).is_some_and(|before| opened(after).is_some_and(|after| *after == *before))
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
        Box::pin(self.fenced(guards, writes))
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
