//! Reading what others name: a file may have no end.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The bytes of a file, if there are no more than that.
///
/// # Errors
/// The system refuses, or it is longer ([`io::ErrorKind::FileTooLarge`]).
pub fn file(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    all(File::open(path)?, most)
}

/// The text of a file, if it is no longer than that.
///
/// # Errors
/// As [`file()`]; [`io::ErrorKind::InvalidData`] where it is not UTF-8.
pub fn text(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(file(path, most)?).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))
}

/// Everything that there is to read, if it is no more than that.
///
/// # Errors
/// As [`file()`].
pub fn all(from: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    into(&mut bytes, from, most)?;
    Ok(bytes)
}

/// The same into a buffer of one's own, which is empty.
///
/// # Errors
/// As [`file()`].
pub fn into(bytes: &mut Vec<u8>, from: impl Read, most: u64) -> io::Result<()> {
    from.take(most.saturating_add(1)).read_to_end(bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is longer than {}", size(most))));
    }
    Ok(())
}

fn size(bytes: u64) -> String {
    match (bytes >> 20, bytes >> 10) {
        (0, 0) => format!("{bytes} bytes"),
        (0, kib) => format!("{kib} KiB"),
        (mib, _) => format!("{mib} MiB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_read_than_may_be() {
        assert_eq!(all(&b"abc"[..], 3).unwrap(), b"abc");
        let error = all(&b"abcd"[..], 3).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string()),
            (io::ErrorKind::FileTooLarge, "it is longer than 3 bytes".into())
        );
        let error = file(Path::new("/dev/zero"), 1 << 20).unwrap_err();
        assert_eq!(error.to_string(), "it is longer than 1 MiB");
        assert_eq!(text(Path::new("/dev/null"), 0).unwrap(), "");
        assert_eq!(file(Path::new("/nonexistent"), 1).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
