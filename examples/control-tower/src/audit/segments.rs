//! The files of the log: named by their first record's number, read without loading more than a line.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    AuditError, Since, StoredRecord,
    record::{self, SCHEMA},
};
use crate::store::Note;

/// By so much a record may stand behind later ones.
const LAG: time::Duration = time::Duration::MINUTE;

/// What the directory holds, after the unfinished end was cut off.
pub(super) struct Segments {
    pub(super) directory: PathBuf,
    /// The file to go on with, and its length.
    pub(super) last: Option<(PathBuf, u64)>,
    pub(super) next_seq: u64,
    pub(super) torn: u64,
}

/// The name of the file that begins with a record.
pub(super) fn name(first_seq: u64) -> String {
    // As many digits as the largest number has, so that names sort as numbers.
    format!("{first_seq:020}.jsonl")
}

/// The number in such a name.
pub(super) fn first_seq(name: &str) -> Option<u64> {
    name.strip_suffix(".jsonl")?.parse().ok()
}

/// The files with the numbers of their first records, oldest first.
pub(super) fn list(directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for file in fs::read_dir(directory)? {
        let path = file?.path();
        if let Some(first) = path.file_name().and_then(|name| name.to_str()).and_then(first_seq) {
            found.push((first, path));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Opens a file of the log for appending, made with mode 0600 where it does not exist.
pub(super) fn open_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

impl Segments {
    pub(super) fn open(directory: &Path) -> Result<Self, AuditError> {
        let write = |error| AuditError::Write(Arc::new(error));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(write)?;
        let files = list(directory).map_err(|error| AuditError::Read(Arc::new(error)))?;
        let mut torn = 0;
        // The last file may be empty, or hold nothing but a torn line.
        let Some((first, path)) = files.into_iter().next_back() else {
            return Ok(Self { directory: directory.to_owned(), last: None, next_seq: 1, torn });
        };
        let mut file = OpenOptions::new().read(true).write(true).open(&path).map_err(write)?;
        let (length, next_seq) = cut(&mut file, first, &mut torn)?;
        Ok(Self { directory: directory.to_owned(), last: Some((path, length)), next_seq, torn })
    }
}

/// Cuts the file behind its last whole record; answers its length and the number of the next record.
fn cut(file: &mut File, first: u64, torn: &mut u64) -> Result<(u64, u64), AuditError> {
    let read = |error| AuditError::Read(Arc::new(error));
    let length = file.metadata().map_err(read)?.len();
    let mut good = 0;
    let mut next_seq = first;
    let mut reader = BufReader::new(&mut *file);
    let mut line = Vec::new();
    let mut bad = 0;
    loop {
        line.clear();
        let read_bytes = reader.read_until(b'\n', &mut line).map_err(read)?;
        if read_bytes == 0 {
            break;
        }
        match record::parse(&line) {
            Some((schema, ..)) if schema > SCHEMA => {
                return Err(AuditError::NewerSchema { found: schema, known: SCHEMA });
            }
            // What follows a damaged line was written later: only the damage at the very end is cut off.
            Some((_, seq, ..)) if line.ends_with(b"}\n") => {
                good = reader.stream_position().map_err(read)?;
                next_seq = seq + 1;
                bad = 0;
            }
            _ => bad += 1,
        }
    }
    if good < length {
        *torn += bad;
        let write = |error| AuditError::Write(Arc::new(error));
        file.set_len(good).map_err(write)?;
        file.sync_all().map_err(write)?;
    }
    Ok((good, next_seq))
}

/// Leaves of the notes those that the log has not. Lines that belong to a change are in the order of the changes, so that reading
/// ends where an older one stands.
pub(super) fn missing(directory: &Path, mut notes: Vec<Note>) -> io::Result<Vec<Note>> {
    let Some(first) = notes.first().map(|note| note.revision) else { return Ok(notes) };
    for (_, path) in list(directory)?.into_iter().rev() {
        let mut lines = BufReader::new(File::open(path)?);
        let mut line = Vec::new();
        let mut older = false;
        while !notes.is_empty() {
            line.clear();
            if lines.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            let Some((_, _, Some(revision), rest)) = record::parse(&line) else { continue };
            older |= revision < first;
            // A restored log may know another commit by this number.
            let rest = rest.strip_suffix(b"\n").unwrap_or(rest);
            if let Some(note) = notes.iter_mut().find(|note| note.revision == revision) {
                // The last run may have been killed between two lines of one commit.
                note.bytes = record::rests(&note.bytes).filter(|known| *known != rest).collect::<Vec<_>>().join(&b'\n');
            }
            notes.retain(|note| !note.bytes.is_empty());
        }
        if older || notes.is_empty() {
            break;
        }
    }
    Ok(notes)
}

/// The records since a number or time, of one tenant or all, and the number to go on at where only so many lines were looked at.
pub(super) fn read(
    directory: &Path,
    since: Since,
    tenant: Option<&str>,
    limit: usize,
    look: usize,
) -> io::Result<(Vec<StoredRecord>, Option<u64>)> {
    let files = list(directory)?;
    let (mut found, mut looked) = (Vec::new(), 0);
    let named = tenant.map(|tenant| format!("\"tenant\":\"{tenant}\""));
    let others = |line: &[u8]| {
        let named = named.as_ref().map(String::as_bytes);
        named.is_some_and(|named| !line.windows(named.len()).any(|part| part == named))
    };
    for (_, path) in files.get(start(&files, since)?..).unwrap_or_default() {
        let mut lines = BufReader::new(File::open(path)?);
        let mut line = Vec::new();
        while found.len() < limit {
            line.clear();
            lines.read_until(b'\n', &mut line)?;
            if !line.ends_with(b"\n") {
                // The end, or a line that is just being written.
                break;
            }
            if let (Since::Seq(since), Some((_, seq, ..))) = (since, record::parse(&line))
                && seq < since
            {
                continue;
            }
            looked += 1;
            // Most are somebody else's, and not worth reading.
            if let Some((_, seq, ..)) = record::parse(&line).filter(|_| others(&line)) {
                if looked >= look {
                    return Ok((found, Some(seq + 1)));
                }
                continue;
            }
            let record: StoredRecord = match serde_json::from_slice(&line) {
                Ok(record) => record,
                Err(error) => {
                    tracing::warn!(file = %path.display(), %error, "left out a damaged line of the audit log");
                    continue;
                }
            };
            let early = matches!(since, Since::Time(since) if record.time < since);
            let next = record.seq + 1;
            if !early && tenant.is_none_or(|tenant| tenant == record.tenant) {
                found.push(record);
            }
            if looked >= look {
                return Ok((found, Some(next)));
            }
        }
    }
    Ok((found, None))
}

/// The index of the first file to look into.
fn start(files: &[(u64, PathBuf)], since: Since) -> io::Result<usize> {
    let next_files = files.get(1..).unwrap_or_default();
    match since {
        Since::Start => Ok(0),
        Since::Seq(seq) => Ok(next_files.partition_point(|(first, _)| *first <= seq)),
        Since::Time(time) => {
            let mut index = 0;
            for (_, path) in next_files {
                if first_time(path)?.is_none_or(|first| first.saturating_add(LAG) >= time) {
                    break;
                }
                index += 1;
            }
            Ok(index)
        }
    }
}

/// The time of a file's first record.
fn first_time(path: &Path) -> io::Result<Option<time::OffsetDateTime>> {
    let mut line = Vec::new();
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(0))?;
    BufReader::new(file.take(1 << 20)).read_until(b'\n', &mut line)?;
    Ok(serde_json::from_slice::<StoredRecord>(&line).ok().map(|record| record.time))
}
