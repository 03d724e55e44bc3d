//! A long text sealed in chunks: none can be changed, swapped, left out or added, and the end is known for the end.
//!
//! A chunk is its length (the top bit marks the last one) and its AES-256-GCM ciphertext. The nonce is that mark and the
//! chunk's number, which is unique because the key is used for one stream only; the associated data is the head.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    path::Path,
};

use keyward_keys::{AeadKey, sha256};
use zeroize::Zeroizing;

use super::{BackupError, envelope::Head};

const CHUNK: usize = 64 << 10;
const TAG: usize = 16;
const LAST: u32 = 1 << 31;

fn nonce(number: u64, last: bool) -> [u8; 12] {
    let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
    [u8::from(last), 0, 0, 0, a, b, c, d, e, f, g, h]
}

/// Seals what is written.
pub(super) struct SealedWriter {
    output: BufWriter<File>,
    key: AeadKey,
    head: [u8; 32],
    chunk: Zeroizing<Vec<u8>>,
    number: u64,
}

impl SealedWriter {
    pub(super) fn new(mut output: BufWriter<File>, key: AeadKey, head: &Head) -> io::Result<Self> {
        output.write_all(head.text().as_bytes())?;
        let chunk = Zeroizing::new(Vec::with_capacity(CHUNK));
        Ok(Self { output, key, head: sha256(head.text().as_bytes()), chunk, number: 0 })
    }

    /// Writes the last chunk.
    pub(super) fn finish(mut self) -> io::Result<BufWriter<File>> {
        self.seal(true)?;
        Ok(self.output)
    }

    fn seal(&mut self, last: bool) -> io::Result<()> {
        let sealed = self.key.seal(&nonce(self.number, last), &self.head, &self.chunk).map_err(io::Error::other)?;
        let length = u32::try_from(sealed.len()).map_err(io::Error::other)? | if last { LAST } else { 0 };
        self.output.write_all(&length.to_be_bytes())?;
        self.output.write_all(&sealed)?;
        self.chunk.clear();
        self.number += 1;
        Ok(())
    }
}

impl Write for SealedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.chunk.len() == CHUNK {
            self.seal(false)?;
        }
        let taken = bytes.get(..bytes.len().min(CHUNK - self.chunk.len())).unwrap_or(bytes);
        self.chunk.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // A chunk is sealed when it is full or the last one.
        Ok(())
    }
}

/// Opens what was sealed.
pub(super) struct SealedReader {
    input: BufReader<File>,
    key: AeadKey,
    head: [u8; 32],
    chunk: Zeroizing<Vec<u8>>,
    position: usize,
    number: u64,
    ended: bool,
}

/// Why the stream does not go on; travels inside an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Problem(&'static str);

/// The problem of a stream.
pub(super) fn problem(error: io::Error) -> BackupError {
    problem_or(Path::new("backup"))(error)
}

/// The problem of a stream, or of the file that is written from it.
pub(super) fn problem_or(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    move |error| match error.get_ref().and_then(|inner| inner.downcast_ref::<Problem>()) {
        Some(Problem(problem)) => BackupError::Damaged { problem },
        None if error.kind() == io::ErrorKind::UnexpectedEof => BackupError::Damaged { problem: "it ends too early" },
        None => BackupError::Io { path: path.to_owned(), source: error },
    }
}

impl SealedReader {
    pub(super) fn new(input: BufReader<File>, key: AeadKey, head: &Head) -> Self {
        let chunk = Zeroizing::new(Vec::new());
        Self { input, key, head: sha256(head.text().as_bytes()), chunk, position: 0, number: 0, ended: false }
    }

    /// Refuses anything after the end.
    pub(super) fn finish(mut self) -> Result<(), BackupError> {
        let mut one = [0];
        if self.read(&mut one).map_err(problem)? != 0 || self.input.read(&mut one).map_err(problem)? != 0 {
            return Err(BackupError::Damaged { problem: "something follows its end" });
        }
        Ok(())
    }

    fn open(&mut self) -> io::Result<()> {
        let mut length = [0; 4];
        self.input.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length);
        let last = length & LAST != 0;
        let length = (length & !LAST) as usize;
        if !(TAG..=CHUNK + TAG).contains(&length) {
            return Err(io::Error::other(Problem("a chunk has an impossible length")));
        }
        let mut sealed = vec![0; length];
        self.input.read_exact(&mut sealed)?;
        self.chunk = self
            .key
            .open(&nonce(self.number, last), &self.head, &sealed)
            .map_err(|_| io::Error::other(Problem("a chunk does not open")))?;
        self.position = 0;
        self.number += 1;
        self.ended = last;
        Ok(())
    }
}

impl Read for SealedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.position >= self.chunk.len() {
            if self.ended {
                return Ok(0);
            }
            self.open()?;
        }
        let read = self.chunk.get(self.position..).unwrap_or_default().read(buffer)?;
        self.position += read;
        Ok(read)
    }
}
