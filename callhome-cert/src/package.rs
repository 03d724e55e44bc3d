//! The call-home package as an archive, for whoever installs hosts otherwise than by the script.

use std::fmt;

use keyward_keys::Zeroizing;
use time::OffsetDateTime;

const BLOCK: usize = 512;
/// Where the files are, as in a host's state directory.
const DIRECTORY: &str = "call-home";

/// A tar archive (POSIX.1-2017, pax, ustar) of the files that a host calls home with, below `call-home/`, for nobody but their owner.
/// It may hold a private key: it is shown to whoever ordered it, once, and `Debug` shows nothing of it.
pub struct Package(Zeroizing<Vec<u8>>);

impl Package {
    /// Of these names and texts.
    pub(crate) fn new<'a>(files: impl Iterator<Item = (&'a str, &'a str)>, now: OffsetDateTime) -> Self {
        // As large as it gets: a buffer that grows leaves copies behind.
        let files: Vec<_> = files.collect();
        let most = files.iter().map(|(_, text)| text.len() + 2 * BLOCK).sum::<usize>() + 3 * BLOCK;
        let mut archive = Zeroizing::new(Vec::with_capacity(most));
        archive.extend(header(&format!("{DIRECTORY}/"), 0, 0o700, b'5', now));
        for (name, text) in files {
            archive.extend(header(&format!("{DIRECTORY}/{name}"), text.len(), 0o600, b'0', now));
            archive.extend_from_slice(text.as_bytes());
            let padded = archive.len().next_multiple_of(BLOCK);
            archive.resize(padded, 0);
        }
        // Two blocks of zeros end it.
        let end = archive.len() + 2 * BLOCK;
        archive.resize(end, 0);
        Self(archive)
    }

    /// The archive.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Package").finish_non_exhaustive()
    }
}

fn header(name: &str, size: usize, mode: u32, kind: u8, now: OffsetDateTime) -> Vec<u8> {
    let field = |text: &str, length: usize| {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(length, 0);
        bytes
    };
    let octal = |number: u64, length: usize| field(&format!("{number:0width$o}", width = length - 1), length);
    let time = u64::try_from(now.unix_timestamp()).unwrap_or(0);
    let size = u64::try_from(size).unwrap_or(0);
    let before = [field(name, 100), octal(mode.into(), 8), octal(0, 8), octal(0, 8), octal(size, 12), octal(time, 12)];
    let behind = [field("ustar", 6), b"00".to_vec(), field("root", 32), field("root", 32), octal(0, 8), octal(0, 8)];
    let mut header = before.concat();
    // The checksum counts as blanks while it is made.
    let blank = [b"        ".to_vec(), vec![kind], field("", 100)].concat();
    let tail = behind.concat();
    let sum: u64 = header.iter().chain(&blank).chain(&tail).map(|byte| u64::from(*byte)).sum();
    header.extend(field(&format!("{sum:06o}"), 7));
    header.push(b' ');
    header.extend(blank.into_iter().skip(8));
    header.extend(tail);
    header.resize(BLOCK, 0);
    header
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "tar is a program that reads files")]
mod tests {
    use super::*;

    #[test]
    fn tar_reads_it() {
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        let long = "x".repeat(1000);
        let package = Package::new([("tower-url", "https://a\n"), ("key.pem", long.as_str())].into_iter(), now);
        assert_eq!(package.as_bytes().len() % BLOCK, 0);
        assert_eq!(format!("{package:?}"), "Package(..)");
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("package.tar"), package.as_bytes()).unwrap();
        let output = std::process::Command::new("tar")
            .args(["-xvf", "package.tar"])
            .current_dir(directory.path())
            .output()
            .expect("`tar` is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "call-home/\ncall-home/tower-url\ncall-home/key.pem\n");
        assert_eq!(std::fs::read_to_string(directory.path().join("call-home/key.pem")).unwrap(), long);
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |name: &str| directory.path().join(name).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("call-home"), mode("call-home/tower-url")), (0o700, 0o600));
    }
}
