//! Backup and restore: one sealed file with the store, the audit log and, if it is sealed under a passphrase, the key file.
//!
//! - Sealed under the key of the tower's seal (without a passphrase): a restore needs that key, so keep a copy of it elsewhere.
//! - Sealed under a passphrase: a restore needs the passphrase alone, for the key is inside. Where the tower's seal is itself a
//!   passphrase, which is kept nowhere, the restored tower asks for that one as before.
//!
//! The key-encryption keys are in the store, so a backup opens what was sealed when it was made, whatever is rotated later.
//!
//! The store is copied in one read transaction, so a running tower goes on. The log is copied after it: what the copied store
//! holds is in the copied log.
//!
//! ```text
//! keyward-backup 1 ⏎
//! {"created":…,"sealed-with":…,"content-key":…} ⏎       the head, see `envelope`
//! chunks of 64 KiB, sealed under the content key         the stream, see `stream`
//!   in them: name, size and bytes of each file
//! ```

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use time::OffsetDateTime;

use keyward_transit::{Argon2id, WeakPassphrase};

pub use keyward_transit::Passphrase;

use self::{
    envelope::Head,
    stream::{SealedReader, SealedWriter},
};
use crate::{
    audit,
    config::{Config, SealChoice, StoreChoice},
    data_dir::{self, DataDirError},
    random, restored,
    seal::{KeptKey, SealError},
    store::{StoreError, sqlite},
};

mod envelope;
mod stream;

/// The name of the store in a backup, and in the data directory.
const STORE: &str = "tower.db";
/// The name of the key file.
const KEY_FILE: &str = "kek.key";

/// Why there is no backup, or nothing was restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// There is nothing to keep.
    #[error("a store in memory cannot be backed up or restored: use --store sqlite:PATH")]
    Memory,
    /// The store cannot be copied, or the copy is damaged.
    #[error("the store: {0}")]
    Store(#[from] StoreError),
    /// The key file cannot be used.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] DataDirError),
    /// A backup is never written over another one.
    #[error("`{path}` exists, and is not written over: name another file, or move that one away")]
    Exists {
        /// What was given.
        path: PathBuf,
    },
    /// The file is no backup.
    #[error("`{path}` is not a backup of a control tower")]
    NotABackup {
        /// What was given.
        path: PathBuf,
    },
    /// Written by a newer version of the program.
    #[error("the backup has format {found}, this program knows formats up to {known}: use the newer program")]
    NewerFormat {
        /// The number in the file.
        found: u32,
        /// The newest known one.
        known: u32,
    },
    /// It was sealed under a passphrase.
    #[error("the backup is sealed under a passphrase: give it with --passphrase-file")]
    NeedsPassphrase,
    /// It was sealed under the tower's key.
    #[error("the backup is sealed under the tower's key: give its key file with --seal key-file:PATH")]
    NeedsKey,
    /// Another key or passphrase, or somebody changed the file.
    #[error("the backup does not open: another {with}, or the file was changed")]
    DoesNotOpen {
        /// "key" or "passphrase".
        with: &'static str,
    },
    /// The file ends too early, goes on too long, or was changed in the middle.
    #[error("the backup is damaged: {problem}")]
    Damaged {
        /// What is wrong.
        problem: &'static str,
    },
    /// Too easy to guess.
    #[error(transparent)]
    WeakPassphrase(#[from] WeakPassphrase),
    /// The tower has no key that the backup could be sealed under.
    #[error(
        "the tower is sealed by a passphrase, so the backup needs one, too: give it with --passphrase-file (it may be the same)"
    )]
    NoKey,
    /// What a passphrase is to become a key by.
    #[error("the passphrase: {0}")]
    Derivation(#[from] keyward_transit::RecordError),
    /// There is something already.
    #[error("`{path}` is not empty: restore into a new directory")]
    NotEmpty {
        /// The data directory.
        path: PathBuf,
    },
    /// Something was left by a restore that was cut short.
    #[error("`{path}` is left from an interrupted restore: remove it first")]
    Leftover {
        /// The directory.
        path: PathBuf,
    },
    /// Encrypting failed.
    #[error("the cryptography failed: {0}")]
    Crypto(#[from] keyward_keys::Error),
    /// The system refuses.
    #[error("`{path}`: {source}")]
    Io {
        /// What was worked on.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Bytes of the files in the backup.
    pub bytes: u64,
    /// Their number.
    pub files: usize,
    /// When the backup was made.
    pub created: OffsetDateTime,
    /// Whether the key file is in it.
    pub has_key: bool,
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    move |source| BackupError::Io { path: path.to_owned(), source }
}

/// Writes a sealed backup of the tower into a new file. The tower may be running.
///
/// # Errors
/// [`BackupError`]; then no file is left.
pub fn write(
    config: &Config,
    file: &Path,
    passphrase: Option<&Passphrase>,
    now: OffsetDateTime,
) -> Result<Report, BackupError> {
    let StoreChoice::Sqlite(store) = &config.store else { return Err(BackupError::Memory) };
    // Names of their own: what a backup left that was cut off is in the way of no later one.
    let unique = random::uuid();
    let mut partial = Temporary::new(with_suffix(file, &format!(".{unique}.partial")));
    let mut copy = Temporary::new(config.data_dir.join(format!("backup-{unique}.db")));
    // Never over an older backup; checked again by nobody, but then two backups of one name run at once.
    if fs::exists(file).map_err(at(file))? {
        return Err(BackupError::Exists { path: file.to_owned() });
    }
    let output =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial.path).map_err(at(&partial.path))?;
    partial.made = true;
    copy.made = true;
    sqlite::copy(store, &copy.path)?;
    sqlite::check(&copy.path)?;

    let kept = KeptKey::read(&config.seal)?;
    let (head, content_key) = match (passphrase, &kept) {
        (Some(passphrase), _) => {
            let parameters = Argon2id::generate(&mut random::rng());
            Head::new(&passphrase.derive(&parameters)?, Some(parameters), now)?
        }
        (None, Some(kept)) => Head::new(kept.key(), None, now)?,
        (None, None) => return Err(missing(&config.seal)),
    };
    let mut output = SealedWriter::new(BufWriter::new(output), content_key, &head).map_err(at(&partial.path))?;
    let mut report = Report { bytes: 0, files: 0, created: now, has_key: passphrase.is_some() && kept.is_some() };
    add(&mut output, &mut report, STORE, &copy.path)?;
    if let Some(kept) = kept.filter(|_| passphrase.is_some()) {
        add_bytes(&mut output, &mut report, KEY_FILE, kept.text())?;
    }
    let log = config.data_dir.join(audit::DIRECTORY);
    for name in audit::file_names(&log).map_err(at(&log))? {
        add(&mut output, &mut report, &format!("{}/{name}", audit::DIRECTORY), &log.join(&name))?;
    }
    // No name: the end.
    let output = output.write_all(&0_u16.to_be_bytes()).and_then(|()| output.finish());
    output.and_then(|output| output.into_inner()?.sync_all()).map_err(at(&partial.path))?;
    fs::rename(&partial.path, file).map_err(at(file))?;
    partial.made = false;
    data_dir::sync_parent(file)?;
    Ok(report)
}

fn missing(seal: &SealChoice) -> BackupError {
    match seal {
        SealChoice::KeyFile(path) => SealError::Missing { path: path.clone() }.into(),
        _ => BackupError::NoKey,
    }
}

/// Adds a file as long as it is now; the last one of the log may grow meanwhile.
fn add(output: &mut SealedWriter, report: &mut Report, name: &str, path: &Path) -> Result<(), BackupError> {
    let file = File::open(path).map_err(at(path))?;
    let size = file.metadata().map_err(at(path))?.len();
    add_from(output, report, name, size, file).map_err(at(path))
}

fn add_bytes(output: &mut SealedWriter, report: &mut Report, name: &str, bytes: &[u8]) -> Result<(), BackupError> {
    add_from(output, report, name, bytes.len() as u64, bytes).map_err(at(Path::new(name)))
}

fn add_from(output: &mut SealedWriter, report: &mut Report, name: &str, size: u64, from: impl Read) -> io::Result<()> {
    let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
    output
        .write_all(&length.to_be_bytes())
        .and_then(|()| output.write_all(name.as_bytes()))
        .and_then(|()| output.write_all(&size.to_be_bytes()))
        .and_then(|()| io::copy(&mut from.take(size), output))
        .and_then(|copied| if copied == size { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) })?;
    report.bytes += size;
    report.files += 1;
    Ok(())
}

/// Makes a data directory from a backup. It appears whole, under its name, at the very end.
///
/// # Errors
/// [`BackupError`]; then the data directory is as it was.
pub fn restore(config: &Config, file: &Path, passphrase: Option<&Passphrase>) -> Result<Report, BackupError> {
    let target = &config.data_dir;
    if let Ok(mut entries) = fs::read_dir(target)
        && entries.next().is_some()
    {
        return Err(BackupError::NotEmpty { path: target.clone() });
    }
    let input = File::open(file).map_err(at(file))?;
    let (head, rest) = Head::read(BufReader::new(input), file)?;
    let content_key = match (head.needs_passphrase(), passphrase) {
        (true, Some(passphrase)) => head.open_with_passphrase(passphrase)?,
        (true, None) => return Err(BackupError::NeedsPassphrase),
        (false, _) => {
            let kept = KeptKey::read(&config.seal)?.ok_or(BackupError::NeedsKey)?;
            head.open_with_key(kept.key())?
        }
    };

    let mut staging = Temporary::new(with_suffix(target, ".restoring"));
    if fs::exists(&staging.path).map_err(at(&staging.path))? {
        return Err(BackupError::Leftover { path: staging.path.clone() });
    }
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).map_err(at(parent))?;
    }
    fs::DirBuilder::new().mode(0o700).create(&staging.path).map_err(at(&staging.path))?;
    staging.made = true;
    let mut input = SealedReader::new(rest, content_key, &head);
    let mut report = Report { bytes: 0, files: 0, created: head.created(), has_key: false };
    while extract(&mut input, &mut report, &staging.path)? {}
    input.finish()?;
    let store = staging.path.join(STORE);
    sqlite::check(&store)?;
    restored::end(&store, head.created())?;
    match fs::remove_dir(target) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(at(target)(error)),
    }
    fs::rename(&staging.path, target).map_err(at(target))?;
    staging.made = false;
    data_dir::sync_parent(target)?;
    Ok(report)
}

/// Extracts the next file; whether there was one.
fn extract(input: &mut SealedReader, report: &mut Report, directory: &Path) -> Result<bool, BackupError> {
    let mut length = [0; 2];
    input.read_exact(&mut length).map_err(stream::problem)?;
    let length = u16::from_be_bytes(length);
    if length == 0 {
        return Ok(false);
    }
    let mut name = vec![0; length.into()];
    let mut size = [0; 8];
    input.read_exact(&mut name).and_then(|()| input.read_exact(&mut size)).map_err(stream::problem)?;
    let size = u64::from_be_bytes(size);
    let name = String::from_utf8(name).ok().filter(|name| is_expected(name));
    let name = name.ok_or(BackupError::Damaged { problem: "a file of an unknown name" })?;

    report.has_key |= name == KEY_FILE;
    let path = directory.join(name);
    if let Some(parent) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(at(parent))?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(at(&path))?;
    // An error of the stream looks like one of the file here; both stop it.
    let copied = io::copy(&mut input.take(size), &mut file).map_err(stream::problem_or(&path))?;
    if copied != size {
        return Err(BackupError::Damaged { problem: "it ends too early" });
    }
    file.sync_all().map_err(at(&path))?;
    data_dir::sync_parent(&path)?;
    report.bytes += size;
    report.files += 1;
    Ok(true)
}

/// Names that a backup may hold: whoever made it, nothing is written elsewhere.
fn is_expected(name: &str) -> bool {
    name == STORE
        || name == KEY_FILE
        || name.strip_prefix(audit::DIRECTORY).and_then(|name| name.strip_prefix('/')).is_some_and(audit::is_file_name)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    // A trailing slash would put the suffix inside.
    let mut name: PathBuf = path.components().collect();
    name.as_mut_os_string().push(suffix);
    name
}

/// Something that is removed unless it became what it was made for.
struct Temporary {
    path: PathBuf,
    made: bool,
}

impl Temporary {
    fn new(path: PathBuf) -> Self {
        Self { path, made: false }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.made {
            let removed = if self.path.is_dir() { fs::remove_dir_all(&self.path) } else { fs::remove_file(&self.path) };
            match removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(path = %self.path.display(), %error, "cannot be removed");
                }
                _ => {}
            }
        }
    }
}
