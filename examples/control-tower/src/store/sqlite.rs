//! The embedded default: one SQLite database in WAL mode with `synchronous=FULL`.
//!
//! One thread writes. It runs the commits that are queued as savepoints of one transaction, each seeing the earlier ones, and
//! answers them after the sync, so that many commits share one sync.
//!
//! Reads run where they are called, on a connection taken from a small pool. In WAL mode a reader waits for nobody, and a read
//! by key takes a few microseconds, mostly from the page cache: less than handing it to another thread and back would cost,
//! and too short to matter to the other tasks of the worker that runs it. No connection is held across an `await`. What is read
//! over and over comes from memory: this process is the only one that writes.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use time::OffsetDateTime;
use tokio::sync::{Semaphore, oneshot, watch};

use self::{
    cache::Cache,
    writer::{Job, Message, Writer},
};
use super::{
    Entry, Event, Fut, Guard, Note, Outcome, Revision, Store, StoreError, Watch, Write, one_note_each,
    retention::Retention, watch::History,
};

mod cache;
mod read;
mod schema;
mod writer;

/// Commits that may wait in the queue; further callers wait before it.
const QUEUE: usize = 1024;
/// Connections kept for the next reader.
const IDLE_READERS: usize = 8;

/// Settings that only tests change.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Options {
    /// After about how many written pages the log is moved into the database.
    pub checkpoint_pages: u64,
    /// The most pages the database may have, to try a full disk.
    pub max_pages: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self { checkpoint_pages: 1000, max_pages: None }
    }
}

/// A store in one SQLite file; clones are handles to the same store. Dropping the last handle finishes what is queued.
#[derive(Clone, Debug)]
pub struct Sqlite(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    path: PathBuf,
    /// Present until dropped.
    queue: Option<mpsc::Sender<Message>>,
    thread: Option<thread::JoinHandle<()>>,
    slots: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
    retention: Mutex<Retention>,
    status: Arc<Status>,
}

/// What the writer and the others tell each other.
#[derive(Debug)]
struct Status {
    latest: watch::Sender<Revision>,
    cache: Cache,
    /// By outbox, up to where its notes were dropped, if perhaps not on the disk as yet.
    forgotten: Mutex<BTreeMap<String, Revision>>,
    syncs: AtomicU64,
    broken: AtomicBool,
}

impl Sqlite {
    /// Opens the database, or makes it with mode 0600 where there is none.
    ///
    /// # Errors
    /// [`StoreError::NewerFormat`], [`StoreError::Foreign`] or [`StoreError::Damaged`] when the file is not to be touched.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, Options::default())
    }

    /// [`open`](Self::open) with other settings.
    ///
    /// # Errors
    /// As there.
    pub fn open_with(path: &Path, options: Options) -> Result<Self, StoreError> {
        let (connection, revision, compacted) = schema::open(path, options)?;
        let status = Arc::new(Status {
            latest: watch::Sender::new(revision),
            cache: Cache::default(),
            forgotten: Mutex::default(),
            syncs: AtomicU64::new(0),
            broken: AtomicBool::new(false),
        });
        let (queue, messages) = mpsc::channel();
        let writer = Writer::new(connection, messages, revision, compacted, options, Arc::clone(&status));
        let thread = thread::Builder::new().name("store-writer".to_owned()).spawn(move || writer.run())?;
        Ok(Self(Arc::new(Handle {
            path: path.to_owned(),
            queue: Some(queue),
            thread: Some(thread),
            slots: Arc::new(Semaphore::new(QUEUE)),
            idle: Mutex::default(),
            retention: Mutex::default(),
            status,
        })))
    }

    /// Writes a consistent copy of the database, as of now, into a new file. Neither readers nor writers wait for it.
    ///
    /// # Errors
    /// The file exists already, or cannot be written.
    pub fn copy_to(&self, file: &Path) -> Result<(), StoreError> {
        self.0.read(|connection| read::copy_to(connection, file))
    }
}

/// Writes a consistent copy of the database at `path`, which another process may be using, into a new file.
///
/// # Errors
/// There is no store at `path`, or the copy cannot be written.
pub fn copy(path: &Path, file: &Path) -> Result<(), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    schema::identify(&connection, path)?;
    read::copy_to(&connection, file)
}

/// Reads the whole database and answers what is wrong with it, if anything.
///
/// # Errors
/// [`StoreError::Damaged`] with the first finding.
pub fn check(path: &Path) -> Result<(), StoreError> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    schema::check(&connection, "integrity_check")
}

/// Takes everything below these prefixes, and below these names in each place right under `of`, out of a database that nobody uses, and
/// leaves notes there: keys that hold nothing. Every prefix ends with a slash.
///
/// # Errors
/// It cannot be written.
pub fn strip(path: &Path, prefixes: &[&str], (of, names): (&str, &[&str]), notes: &[&str]) -> Result<(), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    let change = connection.transaction()?;
    for place in places(&change, of)? {
        for name in names {
            remove(&change, &format!("{place}{name}"))?;
        }
    }
    for prefix in prefixes {
        remove(&change, prefix)?;
    }
    let revision = "SELECT value FROM meta WHERE name = 'revision'";
    let insert = format!("INSERT OR REPLACE INTO entry VALUES (?1, ({revision}), x'')");
    for note in notes {
        change.execute(&insert, (note.as_bytes(),))?;
    }
    Ok(change.commit()?)
}

/// What is right under a prefix, each with a slash at its end: one look for each of them.
fn places(connection: &Connection, of: &str) -> Result<Vec<String>, StoreError> {
    let mut first = connection.prepare("SELECT key FROM entry WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT 1")?;
    let (mut places, mut from) = (Vec::new(), of.to_owned());
    loop {
        let found =
            first.query_row((from.as_bytes(), end(of).as_bytes()), |row| row.get::<_, Vec<u8>>(0)).optional()?;
        let Some(key) = found else { return Ok(places) };
        let key = String::from_utf8_lossy(&key).into_owned();
        let rest = key.strip_prefix(of).unwrap_or_default();
        from = match rest.split_once('/') {
            Some((name, _)) => {
                let place = format!("{of}{name}/");
                let from = end(&place);
                places.push(place);
                from
            }
            None => format!("{key}\0"),
        };
    }
}

fn remove(connection: &Connection, prefix: &str) -> Result<(), StoreError> {
    let range = (prefix.as_bytes(), end(prefix));
    connection.execute("DELETE FROM entry WHERE key >= ?1 AND key < ?2", (range.0, range.1.as_bytes()))?;
    Ok(())
}

/// Behind everything below a prefix: after a slash the next character is a zero.
fn end(prefix: &str) -> String {
    format!("{}0", prefix.trim_end_matches('/'))
}

impl Status {
    fn forgotten(&self) -> MutexGuard<'_, BTreeMap<String, Revision>> {
        self.forgotten.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handle {
    fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => schema::open_reader(&self.path)?,
        };
        let result = read(&connection);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // A connection that failed, or is one too many, is closed.
        if idle.len() < IDLE_READERS && !matches!(result, Err(StoreError::Engine(_))) {
            idle.push(connection);
        }
        result
    }

    /// Raises [`Store::revision`] to what a read has shown. A commit is visible to readers a moment before its writer can say so;
    /// whoever saw it and then took a [`snapshot`](crate::store::snapshot) would get the picture before it.
    fn shown(&self, revision: Revision) {
        if revision > *self.status.latest.borrow() {
            self.status.latest.send_if_modified(|latest| {
                let raises = revision > *latest;
                *latest = revision.max(*latest);
                raises
            });
        }
    }

    fn send(&self, message: Message) -> Result<(), StoreError> {
        self.queue.as_ref().ok_or(StoreError::Closed)?.send(message).map_err(|_| StoreError::Closed)
    }

    async fn commit(&self, guards: Vec<Guard>, writes: Vec<Write>) -> Result<Outcome, StoreError> {
        one_note_each(&writes)?;
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        self.send(Message::Commit(Job { guards, writes, reply, _slot: slot }))?;
        // The writer answers all that it took; if it died, nobody knows.
        answer.await.unwrap_or(Ok(Outcome::Unknown))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // The readers before the writer, which ends without the queue: the last connection moves the log into the database, and
        // one that only reads cannot.
        self.idle.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
        self.queue.take();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's writer ended by a panic");
        }
    }
}

impl Store for Sqlite {
    fn get<'a>(&'a self, key: &'a str) -> Fut<'a, Option<Entry>> {
        Box::pin(async move {
            let cache = &self.0.status.cache;
            let ticket = match cache.get(key) {
                Ok(known) => return Ok(known),
                Err(ticket) => ticket,
            };
            let (entry, revision) = self.0.read(|connection| {
                let entry = read::get(connection, key)?;
                // That it is not there was shown too: perhaps by the latest commit.
                let revision =
                    entry.as_ref().map_or_else(|| schema::meta(connection, "revision"), |entry| Ok(entry.revision))?;
                Ok((entry, revision))
            })?;
            self.0.shown(revision);
            cache.put(ticket, key, entry.as_ref());
            Ok(entry)
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
            let (entries, revision) = self.0.read(|connection| {
                let entries = read::range(connection, prefix, after, limit, at)?;
                Ok((entries, at.map_or_else(|| schema::meta(connection, "revision"), Ok)?))
            })?;
            self.0.shown(revision);
            Ok(entries)
        })
    }

    fn commit<'a>(&'a self, guards: Vec<Guard>, writes: Vec<Write>) -> Fut<'a, Outcome> {
        Box::pin(self.0.commit(guards, writes))
    }

    fn notes<'a>(&'a self, outbox: &'a str, after: Revision, limit: usize) -> Fut<'a, Vec<Note>> {
        Box::pin(async move {
            let after = self.0.status.forgotten().get(outbox).map_or(after, |forgotten| after.max(*forgotten));
            let notes = self.0.read(|connection| read::notes(connection, outbox, after, limit))?;
            if let Some(last) = notes.last() {
                self.0.shown(last.revision);
            }
            Ok(notes)
        })
    }

    fn forget_notes<'a>(&'a self, outbox: &'a str, to: Revision) -> Fut<'a, ()> {
        Box::pin(async move {
            // They leave the disk with the next commit.
            let mut forgotten = self.0.status.forgotten();
            let place = forgotten.entry(outbox.to_owned()).or_default();
            *place = to.max(*place);
            Ok(())
        })
    }

    fn watch(&self, prefix: &str, from: Revision) -> Watch {
        Watch::new(Arc::new(self.clone()), self.0.status.latest.subscribe(), prefix, from)
    }

    fn revision(&self) -> Revision {
        *self.0.status.latest.borrow()
    }

    fn compact<'a>(&'a self, now: OffsetDateTime) -> Fut<'a, Revision> {
        let old = self.0.retention.lock().unwrap_or_else(PoisonError::into_inner).mark(self.revision(), now);
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            self.0.send(Message::Compact { to: old.unwrap_or(0), reply })?;
            answer.await.unwrap_or(Err(StoreError::Closed))
        })
    }

    fn syncs(&self) -> u64 {
        self.0.status.syncs.load(Ordering::Relaxed)
    }

    fn health(&self) -> Result<(), StoreError> {
        if self.0.status.broken.load(Ordering::Relaxed) { Err(StoreError::Broken) } else { Ok(()) }
    }
}

impl History for Sqlite {
    fn changes<'a>(&'a self, prefix: &'a str, from: Revision, to: Revision) -> Fut<'a, Vec<Event>> {
        Box::pin(async move { self.0.read(|connection| read::changes(connection, prefix, from, to)) })
    }
}

/// A revision as SQLite stores it. It would take 292,000 years of a commit per microsecond to leave the range.
fn sql(revision: Revision) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}
