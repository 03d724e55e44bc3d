//! The audit log: every login, issue, change and refusal, as append-only files of JSON lines with a versioned schema.
//!
//! [`Audit::append`] resolves once the record is on the disk. Callers append first, then commit, then answer: nothing
//! happens without its record. (A crash between the two leaves the record of a change that did not happen; the other order
//! would leave a change without a record.) One thread writes, so that many records share one sync.
//!
//! [`Audit::append_refusal`] never waits: what an attacker can cause in any number must not cost a sync each. A refusal is
//! synced within a second, and one that finds the buffer full is counted and the count is logged.

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
    /// The log is being closed.
    #[error("the audit log is closed")]
    Closed,
}

/// Sizes of the log.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AuditOptions {
    /// A file that would grow beyond so many bytes is followed by the next.
    pub file_bytes: u64,
    /// Refusals that may wait to be written.
    pub refusal_buffer: usize,
}

impl Default for AuditOptions {
    fn default() -> Self {
        Self { file_bytes: 8 << 20, refusal_buffer: 4096 }
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
    refusal_buffer: usize,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    last_seq: AtomicU64,
    syncs: AtomicU64,
    dropped: AtomicU64,
    torn: AtomicU64,
    waiting_refusals: AtomicUsize,
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
        let writer = Writer::open(segments, messages, options, Arc::clone(&counts))?;
        let thread = thread::Builder::new()
            .name("audit-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| AuditError::Write(Arc::new(error)))?;
        Ok(Self(Arc::new(Handle {
            directory: directory.to_owned(),
            queue: Some(queue),
            thread: Some(thread),
            refusal_buffer: options.refusal_buffer,
            counts,
        })))
    }

    /// Records and answers the record's number once it is on the disk.
    ///
    /// # Errors
    /// The record is not in the log, and what it is about must not happen.
    pub async fn append(&self, record: AuditRecord) -> Result<u64, AuditError> {
        let (reply, answer) = oneshot::channel();
        self.0.send(Message::Append { record, reply })?;
        answer.await.unwrap_or(Err(AuditError::Closed))
    }

    /// Records a refusal soon, without waiting, or counts it as dropped.
    pub fn append_refusal(&self, record: AuditRecord) {
        let counts = &self.0.counts;
        let took_place = counts.waiting_refusals.fetch_update(Ordering::AcqRel, Ordering::Acquire, |waiting| {
            (waiting < self.0.refusal_buffer).then_some(waiting + 1)
        });
        if took_place.is_err() || self.0.send(Message::Refusal(record)).is_err() {
            counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// At most `limit` records since a number or a time, oldest first: those of one tenant, or of all. Includes everything
    /// that was appended, or refused without being dropped, before the call.
    ///
    /// # Errors
    /// [`AuditError::Read`], or what the queue's flush meets.
    pub async fn read(
        &self,
        since: Since,
        tenant: Option<String>,
        limit: usize,
    ) -> Result<Vec<StoredRecord>, AuditError> {
        self.flush().await?;
        let directory = self.0.directory.clone();
        // Reads up to a whole file: not for a worker of the runtime.
        tokio::task::spawn_blocking(move || segments::read(&directory, since, tenant.as_deref(), limit))
            .await
            .map_err(|error| AuditError::Read(Arc::new(std::io::Error::other(error))))?
            .map_err(|error| AuditError::Read(Arc::new(error)))
    }

    /// Resolves once everything handed over before is on the disk, refusals too.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub async fn flush(&self) -> Result<(), AuditError> {
        let (reply, answer) = oneshot::channel();
        self.0.send(Message::Flush { reply })?;
        answer.await.unwrap_or(Err(AuditError::Closed))
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
    /// [`AuditError::Broken`] after a sync failed.
    pub fn health(&self) -> Result<(), AuditError> {
        if self.0.counts.broken.load(Ordering::Relaxed) { Err(AuditError::Broken) } else { Ok(()) }
    }
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
