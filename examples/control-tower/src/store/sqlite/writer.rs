//! The one thread that writes: a batch of commits is one transaction. Should one of them fail in the middle, the transaction is
//! rolled back, and each of them gets a transaction of its own.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, TryRecvError},
    },
};

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{Guard, Options, Outcome, Revision, Status, StoreError, Write, sql};
use crate::{batch::Gather, store::bounds};

/// What is asked of the writer.
pub(super) enum Message {
    Commit(Job),
    /// Forget history up to a revision; answers the oldest readable one.
    Compact {
        to: Revision,
        reply: oneshot::Sender<Result<Revision, StoreError>>,
    },
}

/// One commit.
pub(super) struct Job {
    pub(super) guards: Vec<Guard>,
    pub(super) writes: Vec<Write>,
    pub(super) reply: oneshot::Sender<Result<Outcome, StoreError>>,
    /// Its place in the queue, given back when it is answered.
    pub(super) _slot: OwnedSemaphorePermit,
}

/// History is deleted in steps of so many changes, one per batch, so that no commit waits long for it.
const COMPACTION_STEP: usize = 1024;

pub(super) struct Writer {
    connection: Connection,
    queue: Receiver<Message>,
    gather: Gather,
    options: Options,
    status: Arc<Status>,
    revision: Revision,
    compacted: Revision,
    /// History up to `compacted` is still to be deleted.
    forgetting: bool,
    /// About how many pages the log holds that are not in the database.
    log_pages: u64,
    /// The next commit begins the log afresh, which takes a sync more.
    fresh_log: bool,
    /// By outbox, up to where its notes are deleted.
    deleted_notes: BTreeMap<String, Revision>,
}

/// A commit as the transaction left it.
enum Applied {
    Conflict(String),
    Held,
    Wrote,
}

/// A transaction before its commit.
struct Filled {
    outcomes: Vec<Result<Outcome, StoreError>>,
    /// The latest revision, once it is committed.
    revision: Revision,
    /// Changes deleted from the history.
    deleted: usize,
    /// Notes deleted.
    forgotten: Vec<(String, Revision)>,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        queue: Receiver<Message>,
        revision: Revision,
        compacted: Revision,
        options: Options,
        status: Arc<Status>,
    ) -> Self {
        Self {
            connection,
            queue,
            gather: Gather::default(),
            options,
            status,
            revision,
            compacted,
            // A compaction may have been cut short.
            forgetting: true,
            log_pages: 0,
            fresh_log: true,
            deleted_notes: BTreeMap::new(),
        }
    }

    /// Serves until the last handle is dropped.
    pub(super) fn run(mut self) {
        while let Some(batch) = self.next() {
            self.serve(batch);
            if self.log_pages >= self.options.checkpoint_pages {
                self.checkpoint();
            }
        }
        // Else the next start finds them once more.
        if let Err(error) = self.delete_last_notes() {
            tracing::debug!(%error, "notes stay in the store until the next start");
        }
    }

    fn delete_last_notes(&mut self) -> Result<(), StoreError> {
        let forgotten = self.forgotten_notes();
        if forgotten.is_empty() || self.status.broken.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.execute("BEGIN IMMEDIATE")?;
        let deleted = self.delete_notes(&forgotten);
        if deleted.is_err() {
            self.rollback();
        }
        deleted?;
        self.execute("COMMIT")
    }

    fn execute(&self, sql: &str) -> Result<(), StoreError> {
        let run = |sql| -> rusqlite::Result<()> {
            self.connection.prepare_cached(sql)?.execute([])?;
            Ok(())
        };
        run(sql).map_err(typed)
    }

    fn next(&mut self) -> Option<Vec<Message>> {
        let first = if self.forgetting && !self.status.broken.load(Ordering::Relaxed) {
            match self.queue.try_recv() {
                Ok(message) => message,
                Err(TryRecvError::Empty) => return Some(Vec::new()),
                Err(TryRecvError::Disconnected) => return None,
            }
        } else {
            self.queue.recv().ok()?
        };
        let mut batch = vec![first];
        self.gather.fill(&mut batch, &self.queue);
        Some(batch)
    }

    fn serve(&mut self, batch: Vec<Message>) {
        let mut jobs = Vec::with_capacity(batch.len());
        let mut compactions = Vec::new();
        for message in batch {
            match message {
                Message::Commit(job) => jobs.push(job),
                Message::Compact { to, reply } => compactions.push((to, reply)),
            }
        }
        let compact_to = compactions.iter().map(|(to, _)| *to).max().unwrap_or(0).max(self.compacted);
        let outcomes = self.transact(&jobs, compact_to);
        let compacted = match &outcomes {
            Ok(_) => Ok(self.compacted),
            Err(error) => Err(again(error)),
        };
        match outcomes {
            Ok(outcomes) => {
                for (job, outcome) in jobs.into_iter().zip(outcomes) {
                    answer(job.reply, outcome);
                }
            }
            Err(error) => {
                for job in jobs {
                    answer(job.reply, Err(again(&error)));
                }
            }
        }
        for (_, reply) in compactions {
            answer(reply, compacted.as_ref().copied().map_err(again));
        }
    }

    /// Runs the jobs and a step of compaction in one transaction. An error means that none of them happened.
    fn transact(&mut self, jobs: &[Job], compact_to: Revision) -> Result<Vec<Result<Outcome, StoreError>>, StoreError> {
        if self.status.broken.load(Ordering::Relaxed) {
            return Err(StoreError::Broken);
        }
        self.execute("BEGIN IMMEDIATE")?;
        let filled = match self.fill(jobs, compact_to) {
            Ok(filled) => filled,
            Err(error) => {
                self.rollback();
                if jobs.len() < 2 {
                    return Err(error);
                }
                // One of them is to blame, and the others have nothing to do with it.
                let alone = |job| {
                    self.transact(std::slice::from_ref(job), self.compacted)?.pop().unwrap_or(Ok(Outcome::Unknown))
                };
                return Ok(jobs.iter().map(alone).collect());
            }
        };
        let Filled { outcomes, revision, deleted, forgotten } = filled;
        let more = deleted == COMPACTION_STEP;
        if revision == self.revision && compact_to == self.compacted && deleted == 0 {
            // Nothing was written: nothing to sync.
            self.rollback();
            self.forgetting = false;
            return Ok(outcomes);
        }
        self.status.cache.begin(jobs.iter().flat_map(|job| &job.writes));
        let committed = self.execute("COMMIT");
        self.status.cache.end();
        if let Err(error) = committed {
            return self.commit_failed(jobs.len(), error);
        }
        self.status.syncs.fetch_add(1 + u64::from(std::mem::take(&mut self.fresh_log)), Ordering::Relaxed);
        self.deleted_notes.extend(forgotten);
        self.compacted = compact_to;
        self.forgetting = more;
        if revision != self.revision {
            self.revision = revision;
            self.status.latest.send_replace(revision);
        }
        Ok(outcomes)
    }

    /// The body of the transaction.
    fn fill(&mut self, jobs: &[Job], compact_to: Revision) -> Result<Filled, StoreError> {
        let mut revision = self.revision;
        let mut outcomes = Vec::with_capacity(jobs.len());
        for job in jobs {
            let outcome = match self.apply(job, revision.saturating_add(1))? {
                Applied::Conflict(key) => Outcome::Conflict { key },
                Applied::Held => Outcome::Committed(revision),
                Applied::Wrote => {
                    revision = revision.saturating_add(1);
                    Outcome::Committed(revision)
                }
            };
            outcomes.push(Ok(outcome));
        }
        if compact_to > self.compacted {
            self.set_meta("compacted", compact_to)?;
        }
        let deleted = if self.forgetting || compact_to > self.compacted { self.forget(compact_to)? } else { 0 };
        let mut forgotten = Vec::new();
        if revision != self.revision {
            self.set_meta("revision", revision)?;
            forgotten = self.forgotten_notes();
            self.delete_notes(&forgotten)?;
        }
        Ok(Filled { outcomes, revision, deleted, forgotten })
    }

    fn apply(&mut self, job: &Job, revision: Revision) -> Result<Applied, StoreError> {
        for guard in &job.guards {
            if !self.holds(guard)? {
                return Ok(Applied::Conflict(guard.key().to_owned()));
            }
        }
        if job.writes.is_empty() {
            return Ok(Applied::Held);
        }
        for write in &job.writes {
            self.write(write, revision).map_err(typed)?;
        }
        self.log_pages = self.log_pages.saturating_add(pages(&job.writes));
        Ok(Applied::Wrote)
    }

    fn write(&self, write: &Write, revision: Revision) -> rusqlite::Result<()> {
        match write {
            Write::Put(key, value) => put_or_delete(&self.connection, key, Some(value.as_slice()), revision),
            Write::Delete(key) => put_or_delete(&self.connection, key, None, revision),
            Write::Note { outbox, bytes } => {
                self.connection
                    .prepare_cached("INSERT INTO note (outbox, revision, bytes) VALUES (?1, ?2, ?3)")?
                    .execute(params![outbox, sql(revision), bytes])?;
                Ok(())
            }
        }
    }

    /// What is forgotten and not deleted.
    fn forgotten_notes(&self) -> Vec<(String, Revision)> {
        let forgotten = self.status.forgotten();
        let fresh =
            forgotten.iter().filter(|(outbox, to)| self.deleted_notes.get(*outbox).is_none_or(|done| done < to));
        fresh.map(|(outbox, to)| (outbox.clone(), *to)).collect()
    }

    fn delete_notes(&self, forgotten: &[(String, Revision)]) -> Result<(), StoreError> {
        for (outbox, to) in forgotten {
            let delete = || -> rusqlite::Result<usize> {
                self.connection
                    .prepare_cached("DELETE FROM note WHERE outbox = ?1 AND revision <= ?2")?
                    .execute(params![outbox, sql(*to)])
            };
            delete().map_err(typed)?;
        }
        Ok(())
    }

    fn holds(&self, guard: &Guard) -> Result<bool, StoreError> {
        let current = |key: &str| -> Result<Option<i64>, StoreError> {
            let mut statement = self.connection.prepare_cached("SELECT revision FROM entry WHERE key = ?1")?;
            Ok(statement.query_row([key.as_bytes()], |row| row.get(0)).optional()?)
        };
        match guard {
            Guard::Absent(key) => Ok(current(key)?.is_none()),
            Guard::At(key, revision) => Ok(current(key)? == Some(sql(*revision))),
            Guard::Unchanged { prefix, since } => {
                if *since < self.compacted {
                    return Ok(false);
                }
                let (low, high) = bounds(prefix);
                let mut statement = self.connection.prepare_cached(
                    "SELECT NOT EXISTS (SELECT 1 FROM history WHERE revision > ?1 AND key >= ?2 AND key < ?3)",
                )?;
                Ok(statement.query_row(params![sql(*since), low, high], |row| row.get(0))?)
            }
        }
    }

    fn set_meta(&self, name: &str, value: Revision) -> Result<(), StoreError> {
        let mut statement =
            self.connection.prepare_cached("UPDATE meta SET value = ?2 WHERE name = ?1").map_err(typed)?;
        statement.execute(params![name, sql(value)]).map_err(typed)?;
        Ok(())
    }

    /// Deletes a step of the history that nobody can ask for any more; answers how many changes that were.
    fn forget(&mut self, to: Revision) -> Result<usize, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached(
                "DELETE FROM history WHERE (revision, key) IN
                 (SELECT revision, key FROM history WHERE revision <= ?1 ORDER BY revision, key LIMIT ?2)",
            )
            .map_err(typed)?;
        let deleted = statement.execute(params![sql(to), COMPACTION_STEP as i64]).map_err(typed)?;
        self.log_pages = self.log_pages.saturating_add(deleted as u64 / 8);
        Ok(deleted)
    }

    fn rollback(&mut self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            self.broken(&error);
        }
    }

    /// A full disk is known to have changed nothing. After any other failure, above all of the sync, the log may or may not
    /// be whole on the disk, and only reading it afresh after a restart will tell.
    fn commit_failed(
        &mut self,
        jobs: usize,
        error: StoreError,
    ) -> Result<Vec<Result<Outcome, StoreError>>, StoreError> {
        self.rollback();
        match error {
            StoreError::Full => Err(StoreError::Full),
            error => {
                self.broken(&error);
                Ok((0..jobs).map(|_| Ok(Outcome::Unknown)).collect())
            }
        }
    }

    fn broken(&self, error: &dyn std::error::Error) {
        tracing::error!(%error, "the store accepts no change until a restart");
        self.status.broken.store(true, Ordering::Relaxed);
    }

    /// Moves the log into the database, as far as no reader still needs it: a sync of the log, one of the database.
    fn checkpoint(&mut self) {
        self.log_pages = 0;
        let result = self
            .connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)));
        match result {
            Ok((logged, moved)) => {
                self.fresh_log = logged == moved;
                self.status.syncs.fetch_add(2, Ordering::Relaxed);
            }
            // The log keeps everything: only its size suffers.
            Err(error) => tracing::warn!(%error, "cannot move the store's log into the database"),
        }
    }
}

fn put_or_delete(connection: &Connection, key: &str, value: Option<&[u8]>, revision: Revision) -> rusqlite::Result<()> {
    // What was there before goes into the history: once, should the commit write the key twice.
    let remember = match value {
        Some(_) => {
            "INSERT OR IGNORE INTO history (revision, key, old_revision, old_value)
             SELECT ?1, ?2, entry.revision, entry.value FROM (SELECT 1) LEFT JOIN entry ON entry.key = ?2"
        }
        None => {
            "INSERT OR IGNORE INTO history (revision, key, old_revision, old_value)
             SELECT ?1, key, revision, value FROM entry WHERE key = ?2"
        }
    };
    connection.prepare_cached(remember)?.execute(params![sql(revision), key.as_bytes()])?;
    match value {
        Some(value) => connection
            .prepare_cached(
                "INSERT INTO entry (key, revision, value) VALUES (?1, ?2, ?3)
                 ON CONFLICT (key) DO UPDATE SET revision = excluded.revision, value = excluded.value",
            )?
            .execute(params![key.as_bytes(), sql(revision), value])?,
        None => connection.prepare_cached("DELETE FROM entry WHERE key = ?1")?.execute([key.as_bytes()])?,
    };
    Ok(())
}

/// About how many pages of the log the writes take: a leaf of each tree, and what is too long for one.
fn pages(writes: &[Write]) -> u64 {
    writes.iter().fold(2, |sum, write| match write {
        Write::Put(_, value) => sum + 2 + value.len() as u64 / 4096,
        Write::Delete(_) => sum + 2,
        Write::Note { bytes, .. } => sum + bytes.len() as u64 / 4096,
    })
}

fn typed(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full,
        Some(ErrorCode::DatabaseCorrupt) => StoreError::Damaged { detail: error.to_string() },
        _ => StoreError::Engine(error),
    }
}

/// The same error for each of the callers that it concerns.
fn again(error: &StoreError) -> StoreError {
    match error {
        StoreError::Full => StoreError::Full,
        StoreError::Broken => StoreError::Broken,
        StoreError::Damaged { detail } => StoreError::Damaged { detail: detail.clone() },
        StoreError::Engine(rusqlite::Error::SqliteFailure(code, text)) => {
            StoreError::Engine(rusqlite::Error::SqliteFailure(*code, text.clone()))
        }
        other => StoreError::Damaged { detail: other.to_string() },
    }
}

/// A caller that went away does not want its answer.
fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    drop(reply.send(value));
}
