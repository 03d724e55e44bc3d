//! What was read last, so that the records that every login needs are not read anew for each.
//!
//! An answer from here is one that the database would have given. Before a commit becomes visible, its keys are taken out and
//! are read from the database until it is over; and what was read before or during a commit is not kept, as it may be from
//! before it. So nobody sees the state before a commit after anybody saw the one behind it.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{Entry, Write};

/// The most bytes that are kept in each of the two generations.
const GENERATION: usize = 2 << 20;
/// What is larger is read anew each time.
const LARGEST: usize = 64 << 10;
/// About what an entry takes beside its key and value.
const OVERHEAD: usize = 120;

/// Says what had been committed when a read began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Read since the generation began.
    young: HashMap<String, Entry>,
    /// Read in the generation before, and not since.
    old: HashMap<String, Entry>,
    /// What `young` takes.
    bytes: usize,
    /// The keys of the commits that are being made visible.
    changing: HashSet<String>,
    commits: u64,
}

impl Cache {
    /// What is kept of a key; else the ticket for what will be read.
    pub(super) fn get(&self, key: &str) -> Result<Entry, Ticket> {
        let mut state = self.state();
        if let Some(entry) = state.young.get(key) {
            return Ok(entry.clone());
        }
        match state.old.remove(key) {
            Some(entry) => {
                state.keep(entry.clone());
                Ok(entry)
            }
            None => Err(Ticket(state.commits)),
        }
    }

    /// Keeps what was read, unless a commit came between.
    pub(super) fn put(&self, ticket: Ticket, entry: &Entry) {
        let mut state = self.state();
        if ticket == Ticket(state.commits) && !state.changing.contains(&entry.key) && entry.value.len() <= LARGEST {
            state.keep(entry.clone());
        }
    }

    /// Takes out what is about to change; to be called before it can be seen.
    pub(super) fn begin<'a>(&self, writes: impl Iterator<Item = &'a Write>) {
        let mut state = self.state();
        for key in writes.filter_map(Write::key) {
            if let Some(entry) = state.young.remove(key) {
                state.bytes = state.bytes.saturating_sub(size(&entry));
            }
            state.old.remove(key);
            state.changing.insert(key.to_owned());
        }
    }

    /// What was begun can be seen by everybody, or has failed.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.changing.clear();
        state.commits = state.commits.wrapping_add(1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn keep(&mut self, entry: Entry) {
        let size = size(&entry);
        if self.bytes + size > GENERATION {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        self.bytes += size;
        if let Some(before) = self.young.insert(entry.key.clone(), entry) {
            self.bytes = self.bytes.saturating_sub(self::size(&before));
        }
    }
}

fn size(entry: &Entry) -> usize {
    2 * entry.key.len() + entry.value.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, revision: u64) -> Entry {
        Entry { key: key.to_owned(), value: revision.to_string().into_bytes(), revision }
    }

    fn ticket(cache: &Cache, key: &str) -> Ticket {
        cache.get(key).unwrap_err()
    }

    #[test]
    fn what_was_read_is_kept_until_it_changes() {
        let cache = Cache::default();
        cache.put(ticket(&cache, "a"), &entry("a", 1));
        cache.put(ticket(&cache, "b"), &entry("b", 1));
        assert_eq!(cache.get("a"), Ok(entry("a", 1)));
        for write in [Write::Put("a".into(), vec![]), Write::Delete("a".into())] {
            let now = ticket(&cache, "none");
            cache.put(now, &entry("a", 1));
            cache.begin([write].iter());
            assert!(cache.get("a").is_err());
            cache.end();
            assert!(cache.get("a").is_err());
            assert_eq!(cache.get("b"), Ok(entry("b", 1)), "nobody changed it");
        }
    }

    #[test]
    fn what_was_read_before_or_during_a_commit_is_not_kept() {
        let cache = Cache::default();
        let write = [Write::Put("a".into(), vec![])];
        let before = ticket(&cache, "a");
        cache.begin(write.iter());
        // It may be from before the commit, whenever it was read.
        cache.put(before, &entry("a", 1));
        let during = ticket(&cache, "a");
        cache.put(during, &entry("a", 1));
        assert!(cache.get("a").is_err());
        cache.end();
        cache.put(before, &entry("a", 1));
        cache.put(during, &entry("a", 1));
        assert!(cache.get("a").is_err());
        cache.put(ticket(&cache, "a"), &entry("a", 2));
        assert_eq!(cache.get("a"), Ok(entry("a", 2)));
    }

    #[test]
    fn it_is_bounded_and_what_is_used_stays() {
        let cache = Cache::default();
        cache.put(ticket(&cache, "hot"), &entry("hot", 1));
        for n in 0..100_000 {
            let key = format!("token/{n}");
            cache.put(ticket(&cache, &key), &entry(&key, 1));
            assert_eq!(cache.get("hot"), Ok(entry("hot", 1)));
        }
        let state = cache.state();
        let bytes: usize = state.young.values().chain(state.old.values()).map(size).sum();
        assert!(bytes <= 2 * GENERATION, "{bytes}");
        assert!(state.young.values().map(size).sum::<usize>() <= state.bytes);
        let large = Entry { value: vec![0; LARGEST + 1], ..entry("large", 1) };
        drop(state);
        cache.put(ticket(&cache, "large"), &large);
        assert!(cache.get("large").is_err());
    }
}
