//! The thread that writes: the notes of many commits, and the refusals between them, are one write and one sync.

use std::{
    collections::VecDeque,
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
    AuditError, AuditOptions, AuditOutcome, AuditRecord, Counts, record,
    segments::{self, Segments},
};
use crate::store::{Note, Revision};

/// What is asked of the writer.
pub(super) enum Message {
    /// Write what commits left, and the refusals up to a revision of the store, and sync.
    Relay { notes: Vec<Note>, through: Revision, reply: oneshot::Sender<Result<(), AuditError>> },
    /// Write a refusal with what follows, behind what was committed before it.
    Refusal { record: AuditRecord, after: Revision },
}

/// How long refusals may lie here or unsynced, should nobody relay.
const LINGER: Duration = Duration::from_secs(2);

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
    /// Refusals, each with the revision that it came behind.
    waiting: VecDeque<(Revision, AuditRecord)>,
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
            waiting: VecDeque::new(),
            options,
            counts,
            directory,
            open,
            file,
            length,
            next_seq,
            // Nobody knows whether the last run came to it.
            unsynced: true,
            told_dropped: 0,
        })
    }

    /// Serves until the last handle is dropped.
    pub(super) fn run(mut self) {
        loop {
            let message = if self.unsynced || !self.waiting.is_empty() {
                self.queue.recv_timeout(LINGER)
            } else {
                self.queue.recv().map_err(RecvTimeoutError::from)
            };
            match message {
                Ok(message) => self.serve(message),
                Err(RecvTimeoutError::Timeout) => drop(self.relay(Vec::new(), Revision::MAX)),
                Err(RecvTimeoutError::Disconnected) => {
                    drop(self.relay(Vec::new(), Revision::MAX));
                    return;
                }
            }
        }
    }

    fn serve(&mut self, message: Message) {
        match message {
            Message::Relay { notes, through, reply } => {
                // A caller that went away does not want its answer.
                drop(reply.send(self.relay(notes, through)));
            }
            Message::Refusal { record, after } => {
                self.waiting.push_back((after, record));
                // Rather out of their order than not at all.
                if self.waiting.len() * 2 > self.options.refusal_buffer {
                    drop(self.append(Vec::new(), Revision::MAX));
                }
            }
        }
    }

    fn relay(&mut self, notes: Vec<Note>, through: Revision) -> Result<(), AuditError> {
        self.append(notes, through)?;
        self.sync()
    }

    /// Writes notes and the refusals up to a revision in the order in which they happened; all of them or none. A note that was
    /// written already, because whoever brought it did not wait for the answer, is left out.
    fn append(&mut self, notes: Vec<Note>, through: Revision) -> Result<(), AuditError> {
        let mut lines = Lines { bytes: Vec::new(), seq: self.next_seq, told_dropped: self.told_dropped, refusals: 0 };
        let mut relayed = self.counts.relayed.load(Ordering::Acquire);
        for note in notes {
            if note.revision > relayed {
                self.refusals_before(note.revision, &mut lines);
                for rest in record::rests(&note.bytes) {
                    lines.add(Some(note.revision), rest);
                }
                relayed = note.revision;
            }
        }
        self.refusals_before(through.saturating_add(1), &mut lines);
        let result = self.write(&lines.bytes, lines.seq);
        self.counts.waiting_refusals.fetch_sub(lines.refusals, Ordering::AcqRel);
        match &result {
            Ok(()) => {
                self.told_dropped = lines.told_dropped;
                self.counts.relayed.store(relayed, Ordering::Release);
            }
            Err(_) => drop(self.counts.dropped.fetch_add(lines.refusals as u64, Ordering::Relaxed)),
        }
        result
    }

    fn refusals_before(&mut self, revision: Revision, lines: &mut Lines) {
        while self.waiting.front().is_some_and(|(after, _)| *after < revision || revision == Revision::MAX) {
            let Some((_, record)) = self.waiting.pop_front() else { return };
            lines.refusals += 1;
            let dropped = self.counts.dropped.load(Ordering::Relaxed);
            if dropped > lines.told_dropped
                && let Ok(rest) = drops(dropped - lines.told_dropped, record.time).rest()
            {
                lines.add(None, &rest);
                lines.told_dropped = dropped;
            }
            match record.rest() {
                Ok(rest) => lines.add(None, &rest),
                Err(_) => drop(self.counts.dropped.fetch_add(1, Ordering::Relaxed)),
            }
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
        self.set_unsynced(true);
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
            self.set_unsynced(false);
            self.counts.syncs.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn set_unsynced(&mut self, unsynced: bool) {
        self.unsynced = unsynced;
        self.counts.unsynced.store(unsynced, Ordering::Relaxed);
    }

    /// After a failed sync the system may have forgotten what it did not write: the next sync would lie.
    fn broken(&self, error: &io::Error) -> AuditError {
        tracing::error!(%error, "the audit log accepts nothing until a restart");
        self.counts.broken.store(true, Ordering::Relaxed);
        AuditError::Broken
    }
}

/// Lines that are to be written.
struct Lines {
    bytes: Vec<u8>,
    /// The number of the next.
    seq: u64,
    told_dropped: u64,
    /// How many refusals are among them, or had no line.
    refusals: usize,
}

impl Lines {
    fn add(&mut self, revision: Option<Revision>, rest: &[u8]) {
        self.bytes.extend(record::line(self.seq, revision, rest));
        self.seq += 1;
    }
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

    fn note(revision: Revision, subject: &str) -> Note {
        Note { revision, bytes: record(subject).rest().unwrap() }
    }

    fn refuse(writer: &mut Writer, subject: &str, after: Revision) {
        writer.counts.waiting_refusals.fetch_add(1, Ordering::AcqRel);
        writer.serve(Message::Refusal { record: record(subject), after });
    }

    /// Number, revision and subject of each line.
    fn lines(disk: &Disk) -> Vec<(u64, Option<u64>, String)> {
        let text = String::from_utf8(disk.0.lock().unwrap().bytes.clone()).unwrap();
        assert!(text.is_empty() || text.ends_with("}\n"));
        let read = text.lines().map(|line| serde_json::from_str::<crate::audit::StoredRecord>(line).unwrap());
        read.map(|record| (record.seq, record.revision, record.subject)).collect()
    }

    #[test]
    fn a_full_disk_refuses_and_leaves_no_half_line() {
        let disk = Disk::default();
        disk.0.lock().unwrap().space = 400;
        let mut writer = writer(&disk);
        writer.relay(vec![note(1, "first"), note(2, "second")], 2).unwrap();
        let notes = vec![note(3, &"x".repeat(300))];
        let error = writer.relay(notes.clone(), 3).unwrap_err();
        assert_eq!(error.to_string(), "cannot write the audit log: no storage space");
        refuse(&mut writer, "refused", 3);
        writer.relay(Vec::new(), 3).unwrap_err();
        assert_eq!(writer.counts.dropped.load(Ordering::Relaxed), 1);
        disk.0.lock().unwrap().space = 10_000;
        // The note comes again, and the drop is told before the next refusal.
        refuse(&mut writer, "another", 3);
        writer.relay(notes, 3).unwrap();
        let found = lines(&disk);
        let numbers: Vec<_> = found.iter().map(|(seq, revision, _)| (*seq, *revision)).collect();
        assert_eq!(numbers, [(1, Some(1)), (2, Some(2)), (3, Some(3)), (4, None), (5, None)]);
        assert_eq!((found[3].2.as_str(), found[4].2.as_str()), ("audit", "another"));
    }

    #[test]
    fn a_failed_sync_ends_it() {
        let disk = Disk::default();
        disk.0.lock().unwrap().space = 10_000;
        let mut writer = writer(&disk);
        writer.relay(vec![note(1, "first")], 1).unwrap();
        disk.0.lock().unwrap().sync_fails = true;
        assert!(matches!(writer.relay(vec![note(2, "second")], 2), Err(AuditError::Broken)));
        disk.0.lock().unwrap().sync_fails = false;
        assert!(matches!(writer.relay(vec![note(3, "third")], 3), Err(AuditError::Broken)));
    }

    #[test]
    fn commits_and_refusals_stand_in_the_order_in_which_they_happened() {
        let disk = Disk::default();
        disk.0.lock().unwrap().space = 1 << 20;
        let mut writer = writer(&disk);
        refuse(&mut writer, "before", 0);
        refuse(&mut writer, "between", 1);
        refuse(&mut writer, "later", 3);
        writer.relay(vec![note(1, "one"), note(2, "two")], 2).unwrap();
        assert_eq!(disk.0.lock().unwrap().syncs, 1);
        // Brought again by somebody who did not wait for the answer.
        writer.relay(vec![note(2, "two"), note(3, "three")], 3).unwrap();
        let subjects: Vec<_> = lines(&disk).into_iter().map(|(_, _, subject)| subject).collect();
        assert_eq!(subjects, ["before", "one", "between", "two", "three", "later"]);
        assert_eq!(writer.counts.waiting_refusals.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn many_refusals_are_written_without_a_sync() {
        let disk = Disk::default();
        disk.0.lock().unwrap().space = 10 << 20;
        let mut writer = writer(&disk);
        (0..4096).for_each(|_| refuse(&mut writer, "refused", 7));
        assert!(lines(&disk).len() > 2000);
        assert_eq!(disk.0.lock().unwrap().syncs, 0);
    }

    #[test]
    fn a_refusal_without_a_line_is_told() {
        let disk = Disk::default();
        disk.0.lock().unwrap().space = 10_000;
        let mut writer = writer(&disk);
        let late = AuditRecord { time: datetime!(2026-03-01 12:00 +0).replace_year(-5).unwrap(), ..record("someone") };
        writer.counts.waiting_refusals.fetch_add(1, Ordering::AcqRel);
        writer.serve(Message::Refusal { record: late, after: 0 });
        refuse(&mut writer, "next", 0);
        writer.relay(Vec::new(), 0).unwrap();
        let subjects: Vec<_> = lines(&disk).into_iter().map(|(_, _, subject)| subject).collect();
        assert_eq!(subjects, ["audit", "next"]);
    }
}
