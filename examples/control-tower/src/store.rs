//! The storage trait and its contract, the same for every engine: bytes in, bytes out.
//!
//! One store-wide counter, the [`Revision`], grows by one with every commit that writes. A commit lists guards (what its
//! caller read and relies on) and writes; either all guards hold and all writes happen, or nothing does. Everything else is
//! made of that: taking something once is a guarded delete, a lock is a guarded put, expiry is a time-ordered key swept in
//! small steps. Secrets are sealed before they come here.
//!
//! A commit may leave a note in an outbox: durable with the commit or not there at all, numbered by its revision, and kept until
//! whoever empties the outbox has put it elsewhere. So what has to follow a commit, such as its audit record, needs no sync of its
//! own and is never lost.
//!
//! Keys are ordered by their UTF-8 bytes. A prefix is bytes too: `a` covers `a`, `a/b` and `ab`; end it with `/` for a folder.

use std::{future::Future, pin::Pin, sync::Arc};

use time::{Duration, OffsetDateTime};

mod error;
mod lease;
pub mod memory;
mod retention;
pub mod sqlite;
mod watch;

pub use self::{error::StoreError, lease::Lease, memory::Memory, retention::HISTORY, sqlite::Sqlite, watch::Watch};

/// The number of a commit: 1 is the first, 0 the empty store.
pub type Revision = u64;

/// A store shared by everything in the process.
pub type SharedStore = Arc<dyn Store>;

/// What every call of a store answers with.
pub type Fut<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// One stored value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// Its bytes.
    pub value: Vec<u8>,
    /// The revision of its last change.
    pub revision: Revision,
}

/// What a commit relies on; checked against the state just before the commit's own writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guard {
    /// The key does not exist.
    Absent(String),
    /// The key exists and was last changed by this revision.
    At(String, Revision),
    /// No key under the prefix was put or deleted after the revision. For a plan made from a whole
    /// [`range`](Store::range); a revision whose history is gone counts as a conflict.
    Unchanged {
        /// The prefix that was read.
        prefix: String,
        /// The revision at which it was read.
        since: Revision,
    },
}

impl Guard {
    /// The guard that an entry read a moment ago, or its absence, is still so.
    #[must_use]
    pub fn seen(key: &str, entry: Option<&Entry>) -> Self {
        match entry {
            Some(entry) => Self::At(key.to_owned(), entry.revision),
            None => Self::Absent(key.to_owned()),
        }
    }

    /// The key or prefix that the guard is about.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Absent(key) | Self::At(key, _) | Self::Unchanged { prefix: key, .. } => key,
        }
    }
}

/// One change of a commit. Writes happen in order; of two on one key the later stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Creates or replaces.
    Put(String, Vec<u8>),
    /// Removes; nothing happens where there is nothing.
    Delete(String),
    /// Leaves a note in an outbox: one at most, as notes are numbered by commits. It has no key, no history, and no watch sees it.
    Note {
        /// The outbox. Each has one reader.
        outbox: String,
        /// The note.
        bytes: Vec<u8>,
    },
}

impl Write {
    /// The key that is changed; a note has none.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Put(key, _) | Self::Delete(key) => Some(key),
            Self::Note { .. } => None,
        }
    }
}

/// One note of an outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The commit that left it.
    pub revision: Revision,
    /// The note.
    pub bytes: Vec<u8>,
}

/// How a commit ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// All writes are durable under this revision. (Without writes: the guards held at this revision.)
    Committed(Revision),
    /// A guard did not hold, the first of them on this key or prefix; nothing was changed.
    Conflict {
        /// The key or prefix of the guard.
        key: String,
    },
    /// The answer was lost: the writes are either all durable or none. Read again before deciding.
    Unknown,
}

/// One change as a [`Watch`] reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The commit that made the change.
    pub revision: Revision,
    /// What was changed.
    pub key: String,
    /// The new value; `None` when the key was deleted.
    pub value: Option<Vec<u8>>,
}

/// A store. Reads never wait for writes; a commit is answered after it is on the disk (where the engine has one).
///
/// A commit whose future is dropped once it was handed over may still happen.
pub trait Store: Send + Sync + 'static {
    /// The value of a key now.
    fn get<'a>(&'a self, key: &'a str) -> Fut<'a, Option<Entry>>;

    /// At most `limit` entries whose keys start with `prefix` and come after the key `after`, in key order: now, or as they were
    /// `at` a revision. Take [`revision`](Self::revision) first and pass it with every page for one consistent picture.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] when the history of `at` is gone, [`StoreError::Future`] when it has not happened.
    fn range<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
        at: Option<Revision>,
    ) -> Fut<'a, Vec<Entry>>;

    /// All of the writes if every guard holds, else nothing. An error means that nothing was changed.
    fn commit<'a>(&'a self, guards: Vec<Guard>, writes: Vec<Write>) -> Fut<'a, Outcome>;

    /// At most `limit` notes of an outbox that were left by commits after a revision, in the order of the commits.
    fn notes<'a>(&'a self, outbox: &'a str, after: Revision, limit: usize) -> Fut<'a, Vec<Note>>;

    /// Drops the notes of an outbox up to a revision. It waits for no sync: after a crash they may be there again.
    fn forget_notes<'a>(&'a self, outbox: &'a str, to: Revision) -> Fut<'a, ()>;

    /// The changes under `prefix` from revision `from` (inclusive) on, past ones first, each exactly once and in order.
    fn watch(&self, prefix: &str, from: Revision) -> Watch;

    /// The latest committed revision: never less than what a read that has ended has shown.
    fn revision(&self) -> Revision;

    /// Forgets history older than [`HISTORY`]; to be called about once a minute. Answers the oldest revision still readable.
    fn compact<'a>(&'a self, now: OffsetDateTime) -> Fut<'a, Revision>;

    /// Syncs to disk so far, for the benches and metrics. Zero for an engine without a disk.
    fn syncs(&self) -> u64;

    /// Why commits are refused, if they are: for readiness.
    ///
    /// # Errors
    /// [`StoreError::Broken`] after a sync failed, [`StoreError::Closed`] while shutting down.
    fn health(&self) -> Result<(), StoreError>;

    /// Takes the lease `name` for `ttl` unless someone holds it: for work that one of several towers should do. A lease saves
    /// work, it does not protect data: that is what guards are for.
    fn lease<'a>(&'a self, name: &'a str, ttl: Duration, now: OffsetDateTime) -> Fut<'a, Option<Lease>> {
        Box::pin(lease::take(self, name, ttl, now))
    }

    /// Extends a lease to `now + ttl`; `None` when it was lost meanwhile.
    fn renew<'a>(&'a self, lease: Lease, ttl: Duration, now: OffsetDateTime) -> Fut<'a, Option<Lease>> {
        Box::pin(lease::renew(self, lease, ttl, now))
    }

    /// Gives a lease back early. Nothing happens when it was lost meanwhile.
    fn release<'a>(&'a self, lease: Lease) -> Fut<'a, ()> {
        Box::pin(lease::release(self, lease))
    }
}

/// Every entry under a prefix as of one revision, and that revision: what [`Guard::Unchanged`] wants.
///
/// # Errors
/// Those of [`Store::range`].
pub async fn snapshot(store: &dyn Store, prefix: &str) -> Result<(Revision, Vec<Entry>), StoreError> {
    let mut scan = Scan::new(store, prefix);
    let mut entries = Vec::new();
    while let Some(page) = scan.next().await? {
        entries.extend(page);
    }
    Ok((scan.at, entries))
}

/// Every entry under a prefix as of one revision, a page at a time: for what may be too much to hold at once.
pub struct Scan<'a> {
    store: &'a dyn Store,
    prefix: &'a str,
    at: Revision,
    after: Option<String>,
    ended: bool,
}

impl<'a> Scan<'a> {
    const PAGE: usize = 256;

    /// As of now.
    pub fn new(store: &'a dyn Store, prefix: &'a str) -> Self {
        Self { store, prefix, at: store.revision(), after: None, ended: false }
    }

    /// The next page, which may be empty; `None` behind the last.
    ///
    /// # Errors
    /// Those of [`Store::range`].
    pub async fn next(&mut self) -> Result<Option<Vec<Entry>>, StoreError> {
        if self.ended {
            return Ok(None);
        }
        let page = self.store.range(self.prefix, self.after.as_deref(), Self::PAGE, Some(self.at)).await?;
        self.ended = page.len() < Self::PAGE;
        self.after = page.last().map(|entry| entry.key.clone());
        Ok(Some(page))
    }

    /// What of each key follows the prefix.
    ///
    /// # Errors
    /// Those of [`Store::range`].
    pub async fn names(mut self) -> Result<Vec<String>, StoreError> {
        let mut names = Vec::new();
        while let Some(page) = self.next().await? {
            names.extend(page.iter().filter_map(|entry| entry.key.strip_prefix(self.prefix)).map(str::to_owned));
        }
        Ok(names)
    }
}

/// Refuses a commit that leaves an outbox two notes: the second would stand in the place of the first, which nobody would miss.
fn one_note_each(writes: &[Write]) -> Result<(), StoreError> {
    let outboxes = writes.iter().filter_map(|write| match write {
        Write::Note { outbox, .. } => Some(outbox.as_str()),
        Write::Put(..) | Write::Delete(_) => None,
    });
    let mut seen = Vec::new();
    for outbox in outboxes {
        if seen.contains(&outbox) {
            return Err(StoreError::TwoNotes { outbox: outbox.to_owned() });
        }
        seen.push(outbox);
    }
    Ok(())
}

/// The bytes `low <= key < high` that are the keys under a prefix. UTF-8 has no byte 255, so the last byte has a successor.
fn bounds(prefix: &str) -> (Vec<u8>, Vec<u8>) {
    let low = prefix.as_bytes().to_vec();
    let mut high = low.clone();
    match high.last_mut() {
        Some(last) => *last = last.saturating_add(1),
        None => high.push(u8::MAX),
    }
    (low, high)
}
