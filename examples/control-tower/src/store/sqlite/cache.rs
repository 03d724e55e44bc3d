//! What was read last, so that the records that every login needs are not read anew for each; and that there is none under a
//! key, which many requests ask too.
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
    young: HashMap<String, Option<Entry>>,
    /// Read in the generation before, and not since.
    old: HashMap<String, Option<Entry>>,
    /// What `young` takes.
    bytes: usize,
    /// The keys of the commits that are being made visible.
    changing: HashSet<String>,
    commits: u64,
}

impl Cache {
    /// What is kept of a key; else the ticket for what will be read.
    pub(super) fn get(&self, key: &str) -> Result<Option<Entry>, Ticket> {
        let mut state = self.state();
        if let Some(entry) = state.young.get(key) {
            return Ok(entry.clone());
        }
        match state.old.remove_entry(key) {
            Some((key, entry)) => {
                state.keep(key, entry.clone());
                Ok(entry)
            }
            None => Err(Ticket(state.commits)),
        }
    }

    /// Keeps what was read, unless a commit came between.
    pub(super) fn put(&self, ticket: Ticket, key: &str, entry: Option<&Entry>) {
        let mut state = self.state();
        let is_small = entry.is_none_or(|entry| entry.value.len() <= LARGEST);
        if ticket == Ticket(state.commits) && !state.changing.contains(key) && is_small {
            state.keep(key.to_owned(), entry.cloned());
        }
    }

    /// Takes out what is about to change; to be called before it can be seen.
    pub(super) fn begin<'a>(&self, writes: impl Iterator<Item = &'a Write>) {
        let mut state = self.state();
        for key in writes.filter_map(Write::key) {
            if let Some(entry) = state.young.remove(key) {
                state.bytes = state.bytes.saturating_sub(size(key, entry.as_ref()));
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
    fn keep(&mut self, key: String, entry: Option<Entry>) {
        let size = size(&key, entry.as_ref());
        if self.bytes + size > GENERATION {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        self.bytes += size;
        if let Some(before) = self.young.get(&key) {
            self.bytes = self.bytes.saturating_sub(self::size(&key, before.as_ref()));
        }
        self.young.insert(key, entry);
    }
}

fn size(key: &str, entry: Option<&Entry>) -> usize {
    key.len() + entry.map_or(0, |entry| entry.key.len() + entry.value.len()) + OVERHEAD
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

    fn put(cache: &Cache, ticket: Ticket, key: &str, revision: u64) {
        cache.put(ticket, key, Some(&entry(key, revision)));
    }

    #[test]
    fn what_was_read_is_kept_until_it_changes() {
        let cache = Cache::default();
        put(&cache, ticket(&cache, "a"), "a", 1);
        put(&cache, ticket(&cache, "b"), "b", 1);
        assert_eq!(cache.get("a"), Ok(Some(entry("a", 1))));
        for write in [Write::Put("a".into(), vec![]), Write::Delete("a".into())] {
            let now = ticket(&cache, "none");
            put(&cache, now, "a", 1);
            cache.begin([write].iter());
            assert!(cache.get("a").is_err());
            cache.end();
            assert!(cache.get("a").is_err());
            assert_eq!(cache.get("b"), Ok(Some(entry("b", 1))), "nobody changed it");
        }
    }

    #[test]
    fn what_was_read_before_or_during_a_commit_is_not_kept() {
        let cache = Cache::default();
        let write = [Write::Put("a".into(), vec![])];
        let before = ticket(&cache, "a");
        cache.begin(write.iter());
        // It may be from before the commit, whenever it was read.
        put(&cache, before, "a", 1);
        let during = ticket(&cache, "a");
        put(&cache, during, "a", 1);
        assert!(cache.get("a").is_err());
        cache.end();
        put(&cache, before, "a", 1);
        put(&cache, during, "a", 1);
        assert!(cache.get("a").is_err());
        put(&cache, ticket(&cache, "a"), "a", 2);
        assert_eq!(cache.get("a"), Ok(Some(entry("a", 2))));
    }

    #[test]
    fn it_is_bounded_and_what_is_used_stays() {
        let cache = Cache::default();
        put(&cache, ticket(&cache, "hot"), "hot", 1);
        for n in 0..100_000 {
            let key = format!("token/{n}");
            put(&cache, ticket(&cache, &key), &key, 1);
            assert_eq!(cache.get("hot"), Ok(Some(entry("hot", 1))));
        }
        let size = |(key, entry): (&String, &Option<Entry>)| size(key, entry.as_ref());
        let state = cache.state();
        let bytes: usize = state.young.iter().chain(&state.old).map(size).sum();
        assert!(bytes <= 2 * GENERATION, "{bytes}");
        assert!(state.young.iter().map(size).sum::<usize>() <= state.bytes);
        let large = Entry { value: vec![0; LARGEST + 1], ..entry("large", 1) };
        drop(state);
        cache.put(ticket(&cache, "large"), "large", Some(&large));
        assert!(cache.get("large").is_err());
    }

    #[test]
    fn that_there_is_none_is_kept_until_there_is_one() {
        let cache = Cache::default();
        cache.put(ticket(&cache, "a"), "a", None);
        assert_eq!(cache.get("a"), Ok(None));
        let before = ticket(&cache, "b");
        cache.begin([Write::Put("a".into(), vec![]), Write::Put("b".into(), vec![])].iter());
        cache.put(before, "b", None);
        assert!(cache.get("a").is_err() && cache.get("b").is_err());
        cache.end();
        cache.put(before, "b", None);
        assert!(cache.get("a").is_err() && cache.get("b").is_err());
    }
}
