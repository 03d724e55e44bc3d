//! The audit log: every login, issue, change and refusal, as append-only files of JSON lines with a versioned schema.
//!
//! The record of a change is part of its commit: a [`note`](Audit::note) in the store's outbox, durable with the change or not
//! there at all, so that no change is without its record, no record without its change, and both share one sync.
//! [`Audit::relay`] then appends what is in the outbox to the files, in the order of the commits and each exactly once, wherever
//! the program was killed: a note leaves the outbox only after the files are synced, and what is in both is found by the revision
//! and content of its line. It runs every second, before the log is read, at the start and at the end.
//!
//! [`Audit::append_refusal`] never waits: what an attacker can cause in any number must not cost a sync each. A refusal goes to the
//! files with the next relay, behind what was committed before it, and one that finds the buffer full is counted and the count is
//! logged.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use tokio::sync::oneshot;

use crate::store::{Note, Revision, Store, StoreError, Write};

pub use self::record::{AuditOutcome, AuditRecord, ParseSinceError, Since, StoredRecord};
use self::{
    segments::Segments,
    writer::{Message, Writer},
};

mod record;
mod segments;
mod writer;

/// The log's directory in the data directory.
pub const DIRECTORY: &str = "audit";

/// Why the log cannot be written or read.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// Nothing was recorded; there may be space again later.
    #[error("cannot write the audit log: {0}")]
    Write(Arc<std::io::Error>),
    /// A sync failed: what the disk holds is only known after a restart.
    #[error("a sync of the audit log to disk failed, nothing is accepted until a restart")]
    Broken,
    /// The log cannot be read.
    #[error("cannot read the audit log: {0}")]
    Read(Arc<std::io::Error>),
    /// Written by a newer version of the program.
    #[error("the audit log has schema {found}, this program knows schemas up to {known}: start the newer program")]
    NewerSchema {
        /// The number in the log.
        found: u64,
        /// The newest known one.
        known: u64,
    },
    /// The last relay failed; there may be space again later.
    #[error("the audit log has fallen behind")]
    Behind,
    /// The store does not say what is to be recorded.
    #[error("cannot read what is to be recorded: {0}")]
    Outbox(Arc<StoreError>),
    /// The log is being closed.
    #[error("the audit log is closed")]
    Closed,
}

/// Notes that are read at a time.
const PAGE: usize = 256;

/// Sizes of the log.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuditOptions {
    /// The store's outbox that this log empties. Towers that share a store have a log and an outbox each.
    pub outbox: String,
    /// A file that would grow beyond so many bytes is followed by the next.
    pub file_bytes: u64,
    /// Refusals that may wait to be written.
    pub refusal_buffer: usize,
}

impl Default for AuditOptions {
    fn default() -> Self {
        Self { outbox: DIRECTORY.to_owned(), file_bytes: 8 << 20, refusal_buffer: 4096 }
    }
}

/// What the log counts, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditStats {
    /// The number of the last record.
    pub last_seq: u64,
    /// Syncs to disk so far.
    pub syncs: u64,
    /// Refusals that found the buffer full or the disk refusing.
    pub refusals_dropped: u64,
    /// Lines cut off at the start because the last run ended while writing them.
    pub torn_lines: u64,
}

/// The log; clones are handles to the same one. Dropping the last handle writes what is queued.
#[derive(Clone, Debug)]
pub struct Audit(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    directory: PathBuf,
    /// Present until dropped.
    queue: Option<mpsc::Sender<Message>>,
    thread: Option<thread::JoinHandle<()>>,
    outbox: String,
    refusal_buffer: usize,
    /// Held by the one who relays; says whether what the last run left was looked at.
    recovered: tokio::sync::Mutex<bool>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    last_seq: AtomicU64,
    syncs: AtomicU64,
    dropped: AtomicU64,
    torn: AtomicU64,
    waiting_refusals: AtomicUsize,
    /// The last commit whose note was written by this run.
    relayed: AtomicU64,
    unsynced: AtomicBool,
    behind: AtomicBool,
    broken: AtomicBool,
}

impl Audit {
    /// Opens the log in a directory, which is made (0700) where it does not exist, and cuts off what the last run did not
    /// finish writing: nobody was told that it was recorded.
    ///
    /// # Errors
    /// [`AuditError::NewerSchema`], or the files cannot be read or written.
    pub fn open(directory: &Path, options: AuditOptions) -> Result<Self, AuditError> {
        let segments = Segments::open(directory)?;
        let counts = Arc::new(Counts::default());
        counts.torn.store(segments.torn, Ordering::Relaxed);
        counts.last_seq.store(segments.next_seq - 1, Ordering::Relaxed);
        if segments.torn > 0 {
            tracing::warn!(lines = segments.torn, "cut off the end of the audit log, which was not wholly written");
        }
        let (queue, messages) = mpsc::channel();
        let AuditOptions { outbox, refusal_buffer, .. } = options.clone();
        let writer = Writer::open(segments, messages, options, Arc::clone(&counts))?;
        let thread = thread::Builder::new()
            .name("audit-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| AuditError::Write(Arc::new(error)))?;
        Ok(Self(Arc::new(Handle {
            directory: directory.to_owned(),
            queue: Some(queue),
            thread: Some(thread),
            outbox,
            refusal_buffer,
            recovered: tokio::sync::Mutex::new(false),
            counts,
        })))
    }

    /// What records a change as part of its commit.
    ///
    /// # Errors
    /// The record cannot be written, and what it is about must not happen.
    pub fn note(&self, record: &AuditRecord) -> Result<Write, AuditError> {
        let bytes = record.note().map_err(|error| AuditError::Write(Arc::new(error.into())))?;
        Ok(Write::Note { outbox: self.0.outbox.clone(), bytes })
    }

    /// Appends to the files what the store's outbox holds, and the refusals until now, and syncs.
    ///
    /// # Errors
    /// Those of the files and the store. Nothing is lost but refusals, which are counted; [`health`](Self::health) fails until it
    /// succeeds.
    pub async fn relay(&self, store: &dyn Store) -> Result<(), AuditError> {
        let result = self.relay_all(store).await;
        self.0.counts.behind.store(result.is_err(), Ordering::Relaxed);
        result
    }

    async fn relay_all(&self, store: &dyn Store) -> Result<(), AuditError> {
        let outbox_failed = |error| AuditError::Outbox(Arc::new(error));
        let Handle { outbox, counts, .. } = &*self.0;
        let mut recovered = self.0.recovered.lock().await;
        let mut after = counts.relayed.load(Ordering::Acquire);
        loop {
            let latest = store.revision();
            let mut notes = store.notes(outbox, after, PAGE).await.map_err(outbox_failed)?;
            let more = notes.len() == PAGE;
            let last = notes.last().map(|note| note.revision);
            if !*recovered {
                notes = self.missing(notes).await?;
            }
            // Of a refusal behind later commits it is not known yet where it stands.
            let through = if more { last.unwrap_or(latest) } else { last.unwrap_or(0).max(latest) };
            let idle = last.is_none()
                && counts.waiting_refusals.load(Ordering::Acquire) == 0
                && !counts.unsynced.load(Ordering::Relaxed);
            if !idle {
                let (reply, answer) = oneshot::channel();
                self.0.send(Message::Relay { notes, through, reply })?;
                answer.await.unwrap_or(Err(AuditError::Closed))?;
            }
            if let Some(last) = last {
                store.forget_notes(outbox, last).await.map_err(outbox_failed)?;
                after = last;
            }
            if !more {
                *recovered = true;
                return Ok(());
            }
        }
    }

    /// Leaves of the notes those that the last run did not write.
    async fn missing(&self, notes: Vec<Note>) -> Result<Vec<Note>, AuditError> {
        let directory = self.0.directory.clone();
        blocking(move || segments::missing(&directory, notes)).await
    }

    /// Records a refusal soon, without waiting, behind what the store has committed; or counts it as dropped.
    pub fn append_refusal(&self, record: AuditRecord, committed: Revision) {
        let counts = &self.0.counts;
        let took_place = counts.waiting_refusals.fetch_update(Ordering::AcqRel, Ordering::Acquire, |waiting| {
            (waiting < self.0.refusal_buffer).then_some(waiting + 1)
        });
        if took_place.is_err() || self.0.send(Message::Refusal { record, after: committed }).is_err() {
            counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// At most `limit` records of the files since a number or a time, oldest first: those of one tenant, or of all. What was just
    /// committed or refused is in them after a [`relay`](Self::relay).
    ///
    /// # Errors
    /// [`AuditError::Read`].
    pub async fn read(
        &self,
        since: Since,
        tenant: Option<String>,
        limit: usize,
    ) -> Result<Vec<StoredRecord>, AuditError> {
        self.read_some(since, tenant, limit, usize::MAX).await.map(|(records, _)| records)
    }

    /// The same of at most `look` lines behind the place where it begins; answers the number to go on at, where there are more.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn read_some(
        &self,
        since: Since,
        tenant: Option<String>,
        limit: usize,
        look: usize,
    ) -> Result<(Vec<StoredRecord>, Option<u64>), AuditError> {
        let directory = self.0.directory.clone();
        blocking(move || segments::read(&directory, since, tenant.as_deref(), limit, look)).await
    }

    /// What the log counts.
    #[must_use]
    pub fn stats(&self) -> AuditStats {
        let counts = &self.0.counts;
        AuditStats {
            last_seq: counts.last_seq.load(Ordering::Relaxed),
            syncs: counts.syncs.load(Ordering::Relaxed),
            refusals_dropped: counts.dropped.load(Ordering::Relaxed),
            torn_lines: counts.torn.load(Ordering::Relaxed),
        }
    }

    /// Why records are refused, if they are: for readiness.
    ///
    /// # Errors
    /// [`AuditError::Broken`] after a sync failed, [`AuditError::Behind`] after a relay failed.
    pub fn health(&self) -> Result<(), AuditError> {
        let counts = &self.0.counts;
        if counts.broken.load(Ordering::Relaxed) {
            return Err(AuditError::Broken);
        }
        if counts.behind.load(Ordering::Relaxed) { Err(AuditError::Behind) } else { Ok(()) }
    }
}

/// Reads up to a whole file and more: not for a worker of the runtime.
async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, AuditError> {
    tokio::task::spawn_blocking(read)
        .await
        .map_err(|error| AuditError::Read(Arc::new(std::io::Error::other(error))))?
        .map_err(|error| AuditError::Read(Arc::new(error)))
}

/// The names of the log's files, oldest first.
///
/// # Errors
/// The directory cannot be read; one that does not exist has none.
pub fn file_names(directory: &Path) -> std::io::Result<Vec<String>> {
    match segments::list(directory) {
        Ok(files) => Ok(files.into_iter().map(|(first, _)| segments::name(first)).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Whether a file of the log may have this name.
#[must_use]
pub fn is_file_name(name: &str) -> bool {
    segments::first_seq(name).is_some_and(|first| segments::name(first) == name)
}

impl Handle {
    fn send(&self, message: Message) -> Result<(), AuditError> {
        self.queue.as_ref().ok_or(AuditError::Closed)?.send(message).map_err(|_| AuditError::Closed)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.queue.take();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the audit log's writer ended by a panic");
        }
    }
}
