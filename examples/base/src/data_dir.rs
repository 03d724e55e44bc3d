//! The directory that holds everything of one program: private, and used by one process at a time.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::bounded;

mod own;

pub use own::{Writers, must_be_own};

/// How long a private file is at most, in bytes, of which nobody makes a large one: some times what a tower or an operator may give.
pub const LARGEST: u64 = 8 << 20;

/// Why the directory, or a file in it, is not to be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataDirError {
    /// Another process has it.
    #[error("the data directory `{path}` is in use by another {program} (process {holder})")]
    Locked {
        /// The directory.
        path: PathBuf,
        /// The name of the program.
        program: &'static str,
        /// The process that holds it, as it wrote into the lock file.
        holder: String,
    },
    /// Another process has the store, which lies elsewhere.
    #[error("the store `{path}` is in use by another {program} (process {holder})")]
    StoreLocked {
        /// The store.
        path: PathBuf,
        /// The name of the program.
        program: &'static str,
        /// The process that holds it, as it wrote into the lock file.
        holder: String,
    },
    /// There is something else of that name.
    #[error("`{path}` is not a directory")]
    NotADirectory {
        /// What was given.
        path: PathBuf,
    },
    /// A private file that others could read.
    #[error("`{path}` has mode {mode:04o}: make it private with `chmod 600 {path}`")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// What is put there could be somebody else's affair.
    #[error("`{path}` {problem}")]
    NotOwn {
        /// The directory.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: &'static str,
    },
    /// What is put below it could be replaced.
    #[error("{by} may replace `{below}` in `{path}`, which is on the way: run `chmod {} {path}`, or name a directory elsewhere", .by.mode())]
    Swappable {
        /// A directory above.
        path: PathBuf,
        /// Who may.
        by: Writers,
        /// What is next in it.
        below: PathBuf,
    },
    /// The system refuses.
    #[error("`{path}`: {source}")]
    Io {
        /// What was worked on.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The directory, locked until this is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// A file that one process uses at a time, wherever it lies: locked until this is dropped, by a file beside it.
#[derive(Debug)]
pub struct StoreLock {
    _lock: File,
}

impl StoreLock {
    /// Locks it for this program. It need not exist yet.
    ///
    /// # Errors
    /// [`DataDirError::StoreLocked`] when another process has it.
    pub fn take(path: &Path, program: &'static str) -> Result<Self, DataDirError> {
        // By whichever name it is reached, it is one.
        let mut beside = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).into_os_string();
        beside.push("-lock");
        let held = |holder| DataDirError::StoreLocked { path: path.to_owned(), program, holder };
        Ok(Self { _lock: lock(Path::new(&beside), held)? })
    }
}

/// Locks a file, which is made where there is none, and says in it who has it.
fn lock(path: &Path, held: impl FnOnce(String) -> DataDirError) -> Result<File, DataDirError> {
    let mut lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(at(path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // It only makes the message better.
            let _ = (&lock).take(64).read_to_string(&mut holder);
            return Err(held(holder.trim().to_owned()));
        }
        Err(TryLockError::Error(error)) => return Err(at(path)(error)),
    }
    lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id())).map_err(at(path))?;
    Ok(lock)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> DataDirError {
    move |source| DataDirError::Io { path: path.to_owned(), source }
}

impl DataDir {
    /// Makes the directory with mode 0700, or takes an existing one and makes it so, and locks it for this program.
    ///
    /// # Errors
    /// [`DataDirError::Locked`] when another process has it.
    pub fn open(path: &Path, program: &'static str) -> Result<Self, DataDirError> {
        make(path)?;
        let held = |holder| DataDirError::Locked { path: path.to_owned(), program, holder };
        let lock = lock(&path.join("lock"), held)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts a file that clients may read in place of whatever is there, whole and synced, with mode 0644.
    ///
    /// # Errors
    /// The system refuses.
    pub fn write_public(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, DataDirError> {
        let path = self.path.join(name);
        replace(&path, bytes, 0o644)?;
        Ok(path)
    }
}

/// Makes a directory with mode 0700, those above it as the system does, or tightens an existing one.
///
/// # Errors
/// There is something else of that name, or the system refuses.
pub fn make(path: &Path) -> Result<(), DataDirError> {
    make_if(path, |_| Ok(()))
}

/// The same where what is there then has to be as it should: what is not is left as it is.
fn make_if(path: &Path, check: impl FnOnce(&Path) -> Result<(), DataDirError>) -> Result<(), DataDirError> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(at(parent))?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => sync_parent(path)?,
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(at(path)(error)),
        Err(_) => {}
    }
    check(path)?;
    let metadata = fs::metadata(path).map_err(at(path))?;
    if !metadata.is_dir() {
        return Err(DataDirError::NotADirectory { path: path.to_owned() });
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "the data directory was open to others: its mode is 0700 now");
        fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(at(path))?;
    }
    Ok(())
}

/// As [`make`] where nobody else can put another one in its place: looked at before anything is made and once it is there, as others may
/// have made it meanwhile, and no way is looked at farther than it is there.
///
/// # Errors
/// Those of [`must_be_own`] and [`make`].
pub fn make_own(path: &Path) -> Result<(), DataDirError> {
    must_be_own(path)?;
    make_if(path, must_be_own)
}

/// Reads a private file that is no longer than `most`; `None` where there is none.
///
/// # Errors
/// [`DataDirError::Exposed`] when its mode is not 0600 (or 0400); it is longer, or the system refuses.
pub fn read_private(path: &Path, most: u64) -> Result<Option<Zeroizing<Vec<u8>>>, DataDirError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(path)(error)),
    };
    let metadata = file.metadata().map_err(at(path))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & !0o600 != 0 {
        return Err(DataDirError::Exposed { path: path.to_owned(), mode });
    }
    read_whole(&file, path, most).map(Some)
}

/// Reads a credential that systemd gave the service, no longer than [`LARGEST`]; `None` where there is none. Who may read it is
/// systemd's affair: where it grants that by access control lists, the mode says something else.
///
/// # Errors
/// It is longer, or the system refuses.
pub fn read_credential(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, DataDirError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(path)(error)),
    };
    read_whole(&file, path, LARGEST).map(Some)
}

fn read_whole(file: &File, path: &Path, most: u64) -> Result<Zeroizing<Vec<u8>>, DataDirError> {
    let length = file.metadata().map_err(at(path))?.len().min(most);
    // As large as the file from the start: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or(0).saturating_add(1)));
    bounded::into(&mut bytes, file, most).map_err(at(path))?;
    Ok(bytes)
}

/// Removes a file, for good: synced with its directory. One that is not there is removed already.
///
/// # Errors
/// The system refuses.
pub fn remove(path: &Path) -> Result<(), DataDirError> {
    match fs::remove_file(path) {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(at(path)(error)),
    }
}

/// Writes a new private file, mode 0600, synced with its directory; an existing one is left alone. A crash leaves it whole or
/// not there.
///
/// # Errors
/// The file exists, or the system refuses.
pub fn create_private(path: &Path, bytes: &[u8]) -> Result<(), DataDirError> {
    let temporary = write_beside(path, bytes, 0o600)?;
    // Unlike a renaming, this never replaces a file.
    let linked = fs::hard_link(&temporary, path).map_err(at(path));
    fs::remove_file(&temporary).map_err(at(&temporary))?;
    linked?;
    sync_parent(path)
}

/// Puts a private file in place of whatever is there, so that a crash leaves one of the two whole.
///
/// # Errors
/// The system refuses.
pub fn replace_private(path: &Path, bytes: &[u8]) -> Result<(), DataDirError> {
    replace(path, bytes, 0o600)
}

/// The same with a file that everybody may read.
///
/// # Errors
/// The system refuses.
pub fn replace_public(path: &Path, bytes: &[u8]) -> Result<(), DataDirError> {
    replace(path, bytes, 0o644)
}

/// Puts a file in place of another, so that a crash leaves one of the two whole.
fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), DataDirError> {
    let temporary = write_beside(path, bytes, mode)?;
    fs::rename(&temporary, path).map_err(at(path))?;
    sync_parent(path)
}

/// Writes and syncs what is to come to a path under another name, which is answered; what a crash left of it is overwritten.
fn write_beside(path: &Path, bytes: &[u8], mode: u32) -> Result<PathBuf, DataDirError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&temporary)
        .map_err(at(&temporary))?;
    file.set_permissions(Permissions::from_mode(mode))
        .and_then(|()| file.write_all(bytes))
        .and_then(|()| file.sync_all())
        .map_err(at(&temporary))?;
    Ok(temporary)
}

/// Syncs the directory that a path is in, so that the path is found after a crash.
///
/// # Errors
/// The system refuses.
pub fn sync_parent(path: &Path) -> Result<(), DataDirError> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent).and_then(|directory| directory.sync_all()).map_err(at(parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn it_is_private_and_for_one_process() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("deep/tower-data");
        let first = DataDir::open(&path, "control-tower").unwrap();
        assert_eq!((mode(&path), mode(&path.join("lock"))), (0o700, 0o600));
        let error = DataDir::open(&path, "control-tower").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "the data directory `{}` is in use by another control-tower (process {})",
                path.display(),
                std::process::id()
            )
        );
        drop(first);
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        let second = DataDir::open(&path, "control-tower").unwrap();
        assert_eq!(mode(&path), 0o700);
        let ca = second.write_public("ca.pem", b"one").unwrap();
        second.write_public("ca.pem", b"two").unwrap();
        assert_eq!((mode(&ca), fs::read(&ca).unwrap()), (0o644, b"two".to_vec()));
        assert_eq!(fs::read_dir(&path).unwrap().count(), 2);
    }

    #[test]
    fn what_is_made_is_looked_at_once_it_is_there() {
        let root = tempfile::tempdir().unwrap();
        let shared = root.path().join("shared");
        fs::create_dir(&shared).unwrap();
        let way = root.path().join("to-come/../shared/state");
        make_own(&way).unwrap();
        fs::remove_dir(shared.join("state")).unwrap();
        fs::remove_dir(root.path().join("to-come")).unwrap();
        fs::set_permissions(&shared, Permissions::from_mode(0o757)).unwrap();
        assert!(must_be_own(&way).is_ok());
        let error = make_own(&way).unwrap_err().to_string();
        assert!(error.starts_with("everybody may replace `state` in "), "{error}");
    }

    #[test]
    fn one_that_somebody_else_made_meanwhile_is_left_as_it_is() {
        let root = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (root.path().join("state"), root.path().join("elsewhere"));
        let open = |path: &Path| fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(&elsewhere).unwrap();
        open(&elsewhere);
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        let refused = make_if(&path, must_be_own).unwrap_err().to_string();
        assert!(refused.ends_with("is a symbolic link: name the directory that it leads to"), "{refused}");
        assert_eq!(mode(&elsewhere), 0o755);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        open(&path);
        // Only root gives something away.
        if rustix::process::geteuid().is_root() && std::os::unix::fs::chown(&path, Some(65534), None).is_ok() {
            let refused = make_if(&path, must_be_own).unwrap_err().to_string();
            assert!(refused.contains("belongs to another user"), "{refused}");
            assert_eq!(mode(&path), 0o755);
        }
    }

    #[test]
    fn a_file_is_no_directory() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        fs::write(&path, "").unwrap();
        assert_eq!(
            DataDir::open(&path, "control-tower").unwrap_err().to_string(),
            format!("`{}` is not a directory", path.display())
        );
    }

    #[test]
    fn private_files_stay_private() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("key");
        let read = |path: &Path| read_private(path, 6);
        assert!(read(&path).unwrap().is_none());
        create_private(&path, b"secret").unwrap();
        assert_eq!((mode(&path), read(&path).unwrap().unwrap().as_slice()), (0o600, &b"secret"[..]));
        // Nor is one read that does not end.
        let too_long = format!("`{}`: it is longer than 5 bytes", path.display());
        assert_eq!(read_private(&path, 5).unwrap_err().to_string(), too_long);
        // What a crash left of an earlier try is in nobody's way.
        fs::write(root.path().join("key.new"), "half a key, and longer than a whole one").unwrap();
        assert!(create_private(&path, b"other").unwrap_err().to_string().contains("File exists"));
        assert_eq!((fs::read(&path).unwrap(), fs::read_dir(root.path()).unwrap().count()), (b"secret".to_vec(), 1));
        for exposed in [0o640, 0o604, 0o644, 0o700] {
            fs::set_permissions(&path, Permissions::from_mode(exposed)).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("`{0}` has mode {exposed:04o}: make it private with `chmod 600 {0}`", path.display())
            );
        }
        fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        assert!(read(&path).is_ok());
    }
}
