//! The engine without a disk: for tests and for trying things out. Everything is lost at the end of the process.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use time::OffsetDateTime;
use tokio::sync::watch;

use super::{
    Entry, Event, Fut, Guard, Note, Outcome, Revision, Store, StoreError, Watch, Write, one_note_each,
    retention::Retention, watch::History,
};

/// A store in memory; clones are handles to the same store.
#[derive(Clone, Debug)]
pub struct Memory(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    latest: watch::Sender<Revision>,
}

/// What a revision made of a key; `None` is a deletion.
type Version = (Revision, Option<Vec<u8>>);

/// Every version of every key, oldest first.
#[derive(Debug, Default)]
struct State {
    versions: BTreeMap<String, Vec<Version>>,
    changes: BTreeMap<Revision, Vec<String>>,
    /// By outbox.
    notes: BTreeMap<String, BTreeMap<Revision, Vec<u8>>>,
    revision: Revision,
    compacted: Revision,
    retention: Retention,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Shared { state: Mutex::default(), latest: watch::Sender::new(0) }))
    }
}

impl Shared {
    /// No code panics while holding the lock, so a poisoned state is a whole one.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ready<'a, T: Send + 'a>(result: Result<T, StoreError>) -> Fut<'a, T> {
    Box::pin(std::future::ready(result))
}

impl Store for Memory {
    fn get<'a>(&'a self, key: &'a str) -> Fut<'a, Option<Entry>> {
        let state = self.0.state();
        ready(Ok(state.versions.get(key).and_then(|versions| entry(key, versions, state.revision))))
    }

    fn range<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
        at: Option<Revision>,
    ) -> Fut<'a, Vec<Entry>> {
        let state = self.0.state();
        let at = at.unwrap_or(state.revision);
        ready(state.readable(at).map(|()| {
            state.under(prefix, after).filter_map(|(key, versions)| entry(key, versions, at)).take(limit).collect()
        }))
    }

    fn commit<'a>(&'a self, guards: Vec<Guard>, writes: Vec<Write>) -> Fut<'a, Outcome> {
        if let Err(error) = one_note_each(&writes) {
            return ready(Err(error));
        }
        let mut state = self.0.state();
        if let Some(failed) = guards.iter().find(|guard| !state.holds(guard)) {
            return ready(Ok(Outcome::Conflict { key: failed.key().to_owned() }));
        }
        if !writes.is_empty() {
            state.apply(writes);
            self.0.latest.send_replace(state.revision);
        }
        ready(Ok(Outcome::Committed(state.revision)))
    }

    fn notes<'a>(&'a self, outbox: &'a str, after: Revision, limit: usize) -> Fut<'a, Vec<Note>> {
        let state = self.0.state();
        let notes = state.notes.get(outbox).into_iter().flat_map(|notes| notes.range(after.saturating_add(1)..));
        ready(Ok(notes.take(limit).map(|(&revision, bytes)| Note { revision, bytes: bytes.clone() }).collect()))
    }

    fn forget_notes<'a>(&'a self, outbox: &'a str, to: Revision) -> Fut<'a, ()> {
        if let Some(notes) = self.0.state().notes.get_mut(outbox) {
            *notes = notes.split_off(&to.saturating_add(1));
        }
        ready(Ok(()))
    }

    fn watch(&self, prefix: &str, from: Revision) -> Watch {
        Watch::new(Arc::new(self.clone()), self.0.latest.subscribe(), prefix, from)
    }

    fn revision(&self) -> Revision {
        self.0.state().revision
    }

    fn compact<'a>(&'a self, now: OffsetDateTime) -> Fut<'a, Revision> {
        let mut state = self.0.state();
        let latest = state.revision;
        if let Some(old) = state.retention.mark(latest, now) {
            state.forget(old);
        }
        ready(Ok(state.compacted))
    }

    fn syncs(&self) -> u64 {
        0
    }

    fn health(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl History for Memory {
    fn changes<'a>(&'a self, prefix: &'a str, from: Revision, to: Revision) -> Fut<'a, Vec<Event>> {
        let state = self.0.state();
        if from <= state.compacted {
            return ready(Err(StoreError::Compacted { requested: from, oldest: state.compacted.saturating_add(1) }));
        }
        let mut events = Vec::new();
        for (&revision, keys) in state.changes.range(from..=to) {
            for key in keys.iter().filter(|key| key.starts_with(prefix)) {
                let value = state
                    .versions
                    .get(key)
                    .and_then(|versions| entry(key, versions, revision))
                    .map(|entry| entry.value);
                events.push(Event { revision, key: key.clone(), value });
            }
        }
        ready(Ok(events))
    }
}

/// The key's value as of a revision.
fn entry(key: &str, versions: &[Version], at: Revision) -> Option<Entry> {
    let (revision, value) = versions.iter().rev().find(|(revision, _)| *revision <= at)?;
    Some(Entry { key: key.to_owned(), value: value.clone()?, revision: *revision })
}

impl State {
    fn readable(&self, at: Revision) -> Result<(), StoreError> {
        if at > self.revision {
            return Err(StoreError::Future { requested: at, latest: self.revision });
        }
        if at < self.compacted {
            return Err(StoreError::Compacted { requested: at, oldest: self.compacted });
        }
        Ok(())
    }

    fn under<'a>(&'a self, prefix: &'a str, after: Option<&'a str>) -> impl Iterator<Item = (&'a str, &'a [Version])> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        self.versions
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(prefix))
            .map(|(key, versions)| (key.as_str(), versions.as_slice()))
    }

    fn current(&self, key: &str) -> Option<Revision> {
        let (revision, value) = self.versions.get(key)?.last()?;
        value.is_some().then_some(*revision)
    }

    fn holds(&self, guard: &Guard) -> bool {
        match guard {
            Guard::Absent(key) => self.current(key).is_none(),
            Guard::At(key, revision) => self.current(key) == Some(*revision),
            Guard::Unchanged { prefix, since } => {
                *since >= self.compacted
                    && self
                        .under(prefix, None)
                        .all(|(_, versions)| versions.last().is_none_or(|(revision, _)| revision <= since))
            }
        }
    }

    fn apply(&mut self, writes: Vec<Write>) {
        self.revision = self.revision.saturating_add(1);
        let mut changed = Vec::new();
        for write in writes {
            let (key, value) = match write {
                Write::Put(key, value) => (key, Some(value)),
                Write::Delete(key) if self.current(&key).is_some() => (key, None),
                Write::Delete(_) => continue,
                Write::Note { outbox, bytes } => {
                    self.notes.entry(outbox).or_default().insert(self.revision, bytes);
                    continue;
                }
            };
            let versions = self.versions.entry(key.clone()).or_default();
            if versions.last().is_some_and(|(revision, _)| *revision == self.revision) {
                versions.pop();
            } else {
                changed.push(key);
            }
            versions.push((self.revision, value));
        }
        changed.sort_unstable();
        self.changes.insert(self.revision, changed);
    }

    /// Drops what only revisions before `old` can see.
    fn forget(&mut self, old: Revision) {
        if old <= self.compacted {
            return;
        }
        self.compacted = old;
        let kept = self.changes.split_off(&old.saturating_add(1));
        for key in std::mem::replace(&mut self.changes, kept).into_values().flatten() {
            let Some(versions) = self.versions.get_mut(&key) else { continue };
            let visible = versions.iter().rposition(|(revision, _)| *revision <= old).unwrap_or(0);
            versions.drain(..visible);
            if matches!(versions.as_slice(), [(revision, None)] if *revision <= old) {
                self.versions.remove(&key);
            }
        }
    }
}
