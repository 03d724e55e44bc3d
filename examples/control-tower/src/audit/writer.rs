//! The thread that writes: a batch of records is one write and one sync.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use time::OffsetDateTime;
use tokio::sync::oneshot;

use super::{
    AuditError, AuditOptions, AuditOutcome, AuditRecord, Counts,
    segments::{self, Segments},
};
use crate::batch::Gather;

/// What is asked of the writer.
pub(super) enum Message {
    Append { record: AuditRecord, reply: oneshot::Sender<Result<u64, AuditError>> },
    Refusal(AuditRecord),
    Flush { reply: oneshot::Sender<Result<(), AuditError>> },
}

/// How long refusals may lie unsynced.
const LINGER: Duration = Duration::from_secs(1);

/// A file of the log, or what a test puts in its place.
pub(super) trait LogFile: Send {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    fn sync(&mut self) -> io::Result<()>;
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

impl LogFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

type Open = Box<dyn FnMut(&Path) -> io::Result<Box<dyn LogFile>> + Send>;

pub(super) struct Writer {
    queue: Receiver<Message>,
    gather: Gather,
    options: AuditOptions,
    counts: Arc<Counts>,
    directory: PathBuf,
    open: Open,
    file: Box<dyn LogFile>,
    length: u64,
    next_seq: u64,
    unsynced: bool,
    /// How many dropped refusals the log knows of.
    told_dropped: u64,
}

/// Makes or opens a file and syncs the directory, so that the file is found after a crash.
fn open_durably(path: &Path) -> io::Result<Box<dyn LogFile>> {
    let file = segments::open_append(path)?;
    if let Some(directory) = path.parent() {
        File::open(directory)?.sync_all()?;
    }
    Ok(Box::new(file))
}

/// What is to be answered once a batch is on the disk.
#[derive(Default)]
struct Replies {
    appends: Vec<(u64, oneshot::Sender<Result<u64, AuditError>>)>,
    flushes: Vec<oneshot::Sender<Result<(), AuditError>>>,
    refusals: u64,
}

impl Writer {
    pub(super) fn open(
        segments: Segments,
        queue: Receiver<Message>,
        options: AuditOptions,
        counts: Arc<Counts>,
    ) -> Result<Self, AuditError> {
        Self::open_with(segments, queue, options, counts, Box::new(open_durably))
    }

    fn open_with(
        segments: Segments,
        queue: Receiver<Message>,
        options: AuditOptions,
        counts: Arc<Counts>,
        mut open: Open,
    ) -> Result<Self, AuditError> {
        let Segments { directory, last, next_seq, .. } = segments;
        let (path, length) = last.unwrap_or_else(|| (directory.join(segments::name(next_seq)), 0));
        let file = open(&path).map_err(|error| AuditError::Write(Arc::new(error)))?;
        Ok(Self {
            queue,
            gather: Gather::default(),
            options,
            counts,
            directory,
            open,
            file,
            length,
            next_seq,
            unsynced: false,
            told_dropped: 0,
        })
    }

    /// Serves until the last handle is dropped.
    pub(super) fn run(mut self) {
        loop {
            let first = if self.unsynced {
                self.queue.recv_timeout(LINGER)
            } else {
                self.queue.recv().map_err(RecvTimeoutError::from)
            };
            match first {
                Ok(message) => {
                    let mut batch = vec![message];
                    self.gather.fill(&mut batch, &self.queue);
                    self.serve(batch);
                }
                Err(RecvTimeoutError::Timeout) => drop(self.sync()),
                Err(RecvTimeoutError::Disconnected) => {
                    drop(self.sync());
                    return;
                }
            }
        }
    }

    fn serve(&mut self, batch: Vec<Message>) {
        let mut bytes = Vec::new();
        let mut replies = Replies::default();
        let mut seq = self.next_seq;
        let mut told_dropped = self.told_dropped;
        for message in batch {
            let (record, reply) = match message {
                Message::Flush { reply } => {
                    replies.flushes.push(reply);
                    continue;
                }
                Message::Append { record, reply } => (record, Some(reply)),
                Message::Refusal(record) => {
                    self.counts.waiting_refusals.fetch_sub(1, Ordering::AcqRel);
                    (record, None)
                }
            };
            let dropped = self.counts.dropped.load(Ordering::Relaxed);
            if dropped > told_dropped && add(&mut bytes, &mut seq, drops(dropped - told_dropped, record.time)).is_ok() {
                told_dropped = dropped;
            }
            match (add(&mut bytes, &mut seq, record), reply) {
                (Ok(number), Some(reply)) => replies.appends.push((number, reply)),
                (Ok(_), None) => replies.refusals += 1,
                (Err(error), Some(reply)) => drop(reply.send(Err(error))),
                (Err(_), None) => drop(self.counts.dropped.fetch_add(1, Ordering::Relaxed)),
            }
        }
        let result = self.write(&bytes, seq).and_then(|()| {
            self.told_dropped = told_dropped;
            let must_sync = !replies.appends.is_empty() || !replies.flushes.is_empty();
            if must_sync { self.sync() } else { Ok(()) }
        });
        if result.is_err() {
            self.counts.dropped.fetch_add(replies.refusals, Ordering::Relaxed);
        }
        for (number, reply) in replies.appends {
            // A caller that went away does not want its answer.
            drop(reply.send(result.clone().map(|()| number)));
        }
        for reply in replies.flushes {
            drop(reply.send(result.clone()));
        }
    }

    /// Writes whole lines, or nothing.
    fn write(&mut self, bytes: &[u8], next_seq: u64) -> Result<(), AuditError> {
        if self.counts.broken.load(Ordering::Relaxed) {
            return Err(AuditError::Broken);
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let added = bytes.len() as u64;
        if self.length > 0 && self.length + added > self.options.file_bytes {
            self.rotate()?;
        }
        if let Err(error) = self.file.append(bytes) {
            tracing::error!(%error, "cannot write the audit log");
            if let Err(error) = self.file.truncate(self.length) {
                // The file may end in half a line now, and the next write would join it.
                return Err(self.broken(&error));
            }
            return Err(AuditError::Write(Arc::new(error)));
        }
        self.length += added;
        self.next_seq = next_seq;
        self.unsynced = true;
        self.counts.last_seq.store(next_seq - 1, Ordering::Relaxed);
        Ok(())
    }

    fn rotate(&mut self) -> Result<(), AuditError> {
        self.sync()?;
        let path = self.directory.join(segments::name(self.next_seq));
        self.file = (self.open)(&path).map_err(|error| AuditError::Write(Arc::new(error)))?;
        self.length = 0;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), AuditError> {
        if self.counts.broken.load(Ordering::Relaxed) {
            return Err(AuditError::Broken);
        }
        if self.unsynced {
            self.file.sync().map_err(|error| self.broken(&error))?;
            self.unsynced = false;
            self.counts.syncs.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// After a failed sync the system may have forgotten what it did not write: the next sync would lie.
    fn broken(&self, error: &io::Error) -> AuditError {
        tracing::error!(%error, "the audit log accepts nothing until a restart");
        self.counts.broken.store(true, Ordering::Relaxed);
        AuditError::Broken
    }
}

/// Adds the line of a record and answers its number. A time outside the years 0 to 9999 has no line (RFC 3339).
fn add(bytes: &mut Vec<u8>, seq: &mut u64, record: AuditRecord) -> Result<u64, AuditError> {
    let line = record.line(*seq).map_err(|error| AuditError::Write(Arc::new(error.into())))?;
    bytes.extend(line);
    bytes.push(b'\n');
    let number = *seq;
    *seq += 1;
    Ok(number)
}

fn drops(count: u64, now: OffsetDateTime) -> AuditRecord {
    AuditRecord::new("", "audit-refusals-dropped", AuditOutcome::Failed, "audit", "", now).with("count", count)
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use time::macros::datetime;

    use super::*;

    /// A disk that can be full, and whose sync can fail.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<State>>);

    #[derive(Default)]
    struct State {
        bytes: Vec<u8>,
        space: usize,
        sync_fails: bool,
        syncs: usize,
    }

    impl LogFile for Disk {
        fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
            let mut state = self.0.lock().unwrap();
            let fits = bytes.len().min(state.space);
            state.space -= fits;
            state.bytes.extend(&bytes[..fits]);
            if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }

        fn sync(&mut self) -> io::Result<()> {
            let mut state = self.0.lock().unwrap();
            state.syncs += 1;
            if state.sync_fails { Err(io::ErrorKind::Other.into()) } else { Ok(()) }
        }

        fn truncate(&mut self, length: u64) -> io::Result<()> {
            self.0.lock().unwrap().bytes.truncate(length as usize);
            Ok(())
        }
    }

    fn writer(disk: &Disk) -> Writer {
        let segments = Segments { directory: "unused".into(), last: None, next_seq: 1, torn: 0 };
        let disk = disk.clone();
        let open: Open = Box::new(move |_| Ok(Box::new(disk.clone())));
        let (_, queue) = mpsc::channel();
        Writer::open_with(segments, queue, AuditOptions::default(), Arc::default(), open).unwrap()
    }

    fn record(subject: &str) -> AuditRecord {
        let now = datetime!(2026-03-01 12:00 UTC);
        AuditRecord::new("default", "login", AuditOutcome::Success, subject, "192.0.2.1", now)
    }

    fn append(writer: &mut Writer, subject: &str) -> Result<u64, AuditError> {
        let (reply, mut answer) = oneshot::channel();
        writer.serve(vec![Message::Append { record: record(subject), reply }]);
        answer.try_recv().unwrap()
    }

    #[test]
    fn a_full_disk_refuses_and_leaves_no_half_line() {
        let disk = Disk::default();
        disk.0.lock().unwrap().space = 400;
        let mut writer = writer(&disk);
        assert_eq!(append(&mut writer, "first").unwrap(), 1);
        assert_eq!(append(&mut writer, "second").unwrap(), 2);
        let error = append(&mut writer, &"x".repeat(300)).unwrap_err();
        assert_eq!(error.to_string(), "cannot write the audit log: no storage space");
        writer.serve(vec![Message::Refusal(record("refused"))]);
        assert_eq!(writer.counts.dropped.load(Ordering::Relaxed), 1);
        disk.0.lock().unwrap().space = 10_000;
        // The drop is told before the next record.
        assert_eq!(append(&mut writer, "third").unwrap(), 4);
        let text = String::from_utf8(disk.0.lock().unwrap().bytes.clone()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[2].contains("audit-refusals-dropped") && lines[2].contains("\"count\":1"));
        assert!(lines[3].contains("\"seq\":4") && lines[3].contains("third") && text.ends_with("}\n"));
    }

    #[test]
    fn a_failed_sync_ends_it() {
        let disk = Disk::default();
        disk.0.lock().unwrap().space = 10_000;
        let mut writer = writer(&disk);
        append(&mut writer, "first").unwrap();
        disk.0.lock().unwrap().sync_fails = true;
        assert!(matches!(append(&mut writer, "second"), Err(AuditError::Broken)));
        disk.0.lock().unwrap().sync_fails = false;
        assert!(matches!(append(&mut writer, "third"), Err(AuditError::Broken)));
    }

    #[test]
    fn a_batch_shares_one_sync_and_refusals_need_none() {
        let disk = Disk::default();
        disk.0.lock().unwrap().space = 1 << 20;
        let mut writer = writer(&disk);
        let mut answers = Vec::new();
        let mut batch = vec![Message::Refusal(record("refused"))];
        for _ in 0..64 {
            let (reply, answer) = oneshot::channel();
            batch.push(Message::Append { record: record("someone"), reply });
            answers.push(answer);
        }
        writer.serve(batch);
        assert_eq!(disk.0.lock().unwrap().syncs, 1);
        for (n, answer) in answers.iter_mut().enumerate() {
            assert_eq!(answer.try_recv().unwrap().unwrap(), n as u64 + 2);
        }
        writer.serve((0..64).map(|_| Message::Refusal(record("refused"))).collect());
        assert_eq!(disk.0.lock().unwrap().syncs, 1);
    }

    #[test]
    fn a_record_without_a_line_is_not_said_to_be_there() {
        let disk = Disk::default();
        disk.0.lock().unwrap().space = 10_000;
        let mut writer = writer(&disk);
        let (reply, mut answer) = oneshot::channel();
        let late = AuditRecord { time: datetime!(2026-03-01 12:00 +0).replace_year(-5).unwrap(), ..record("someone") };
        writer.serve(vec![Message::Append { record: late, reply }]);
        assert!(matches!(answer.try_recv().unwrap(), Err(AuditError::Write(_))));
        assert_eq!(append(&mut writer, "next").unwrap(), 1);
    }
}
