//! What agents on one host leave each other: whose turn it is, and what waits to be confirmed.
//!
//! It is of one network namespace, as the table is, and gone when the host starts again, as the table is: so it lives under
//! `/run`, in a directory per namespace.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use keyward_base::data_dir;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use time::OffsetDateTime;

use crate::error::Error;

/// For how long another agent is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(100);
const FORMAT: u32 = 1;

/// The directory of this network namespace.
#[derive(Debug, Clone)]
pub(crate) struct Place(PathBuf);

/// Held by the one agent that changes the table.
#[derive(Debug)]
pub(crate) struct Turn(#[expect(dead_code, reason = "the lock ends with it")] File);

/// A change that is rolled back unless somebody confirms it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Pending {
    format: u32,
    /// Which change.
    pub(crate) id: String,
    /// When it is rolled back.
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) deadline: OffsetDateTime,
    /// The table as it was, as nft listed it; nothing where there was none.
    pub(crate) before: Option<String>,
}

/// A change that was rolled back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct RolledBack {
    format: u32,
    /// Which change.
    pub(crate) id: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) at: OffsetDateTime,
}

impl Place {
    /// Makes the directory.
    ///
    /// # Errors
    /// It cannot be made, mostly by somebody who is not root; or it is somebody else's.
    pub(crate) fn open(run_dir: &Path) -> Result<Self, Error> {
        let unusable = |error: io::Error, path: &Path| {
            let what = format!("cannot use `{}`: {error}", path.display());
            Error::usage(what, "run it as root, or name another directory with --run-dir, the same for each command")
        };
        let own = Path::new("/proc/self/ns/net");
        let namespace = std::fs::metadata(own).map_err(|error| unusable(error, own))?.ino();
        let path = run_dir.join(format!("firewall-{namespace}"));
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o755).create(run_dir);
        made.map_err(|error| unusable(error, run_dir))?;
        match std::fs::DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(unusable(error, &path)),
            _ => {}
        }
        // What is kept there is loaded as it is, and others may have made it where everybody may.
        data_dir::must_be_own(&path)?;
        Ok(Self(path))
    }

    /// The change that waits to be confirmed, for whoever only looks: where nothing can be read there is none.
    pub(crate) fn look(run_dir: &Path) -> Option<Pending> {
        let namespace = std::fs::metadata("/proc/self/ns/net").ok()?.ino();
        Self(run_dir.join(format!("firewall-{namespace}"))).pending().ok().flatten()
    }

    /// Waits until no other agent changes the table.
    ///
    /// # Errors
    /// One still does after half a minute.
    pub(crate) fn turn(&self) -> Result<Turn, Error> {
        let path = self.0.join("lock");
        let failed =
            |error: io::Error| Error::usage(format!("cannot lock `{}`: {error}", path.display()), "run it as root");
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = opened.map_err(failed)?;
        let mut waited = Duration::ZERO;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(failed(error)),
                Err(TryLockError::WouldBlock) if waited < PATIENCE => {
                    waited += STEP;
                    pause(STEP);
                }
                Err(TryLockError::WouldBlock) => {
                    let mut holder = String::new();
                    let _ = file.read_to_string(&mut holder);
                    return Err(Error::usage(
                        format!("another edge-agent, process {}, is changing the firewall", holder.trim()),
                        "wait until it is done, or end it",
                    ));
                }
            }
        }
        // Who has it is for people.
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Turn(file))
    }

    /// The change that waits to be confirmed.
    pub(crate) fn pending(&self) -> Result<Option<Pending>, Error> {
        self.read("pending.json")
    }

    /// What was rolled back, if no other change came after it.
    pub(crate) fn rolled_back(&self) -> Result<Option<RolledBack>, Error> {
        self.read("rolled-back.json")
    }

    /// Says that a change waits.
    pub(crate) fn wait_for(&self, pending: &Pending) -> Result<(), Error> {
        self.write("pending.json", pending)
    }

    /// Says that it does not wait any more.
    pub(crate) fn settle(&self) -> Result<(), Error> {
        self.remove("pending.json")
    }

    /// Says that the last change is another one than what was rolled back.
    pub(crate) fn forget(&self) -> Result<(), Error> {
        self.remove("rolled-back.json")
    }

    /// Says that a change was rolled back.
    pub(crate) fn note(&self, rolled_back: &RolledBack) -> Result<(), Error> {
        self.write("rolled-back.json", rolled_back)
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let path = self.0.join(name);
        let unreadable = |problem: String| {
            Error::usage(
                format!("cannot read `{}`: {problem}", path.display()),
                "remove it; what it waited for is not rolled back then",
            )
        };
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| unreadable(error.to_string())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unreadable(error.to_string())),
        }
    }

    fn remove(&self, name: &str) -> Result<(), Error> {
        let path = self.0.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unwritable(&path, &error)),
            _ => Ok(()),
        }
    }

    /// All of it or nothing, whenever this process dies.
    fn write(&self, name: &str, value: &impl Serialize) -> Result<(), Error> {
        let (path, new) = (self.0.join(name), self.0.join(format!("{name}.new")));
        let written = || -> io::Result<()> {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(&serde_json::to_vec(value)?)?;
            file.sync_all()?;
            std::fs::rename(&new, &path)
        };
        written().map_err(|error| unwritable(&path, &error))
    }
}

/// Waits for nothing that ever comes.
pub(crate) fn pause(time: Duration) {
    let (_nobody, nothing) = mpsc::channel::<()>();
    let _ = nothing.recv_timeout(time);
}

fn unwritable(path: &Path, error: &io::Error) -> Error {
    Error::usage(format!("cannot write `{}`: {error}", path.display()), "make room for it")
}

impl Pending {
    /// A change that waits until then.
    pub(crate) fn new(id: String, deadline: OffsetDateTime, before: Option<String>) -> Self {
        Self { format: FORMAT, id, deadline, before }
    }
}

impl RolledBack {
    /// A change that was rolled back just now.
    pub(crate) fn new(id: String, at: OffsetDateTime) -> Self {
        Self { format: FORMAT, id, at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_else_put_there_is_not_used() {
        let root = tempfile::tempdir().unwrap();
        let path = Place::open(root.path()).unwrap().0;
        std::fs::rename(&path, root.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink(root.path().join("elsewhere"), &path).unwrap();
        assert!(Place::open(root.path()).unwrap_err().to_string().contains("is a symbolic link"));
    }

    #[test]
    fn there_is_one_turn_and_what_waits_is_found() {
        let root = tempfile::tempdir().unwrap();
        let place = Place::open(&root.path().join("run")).unwrap();
        let turn = place.turn().unwrap();
        let file = File::open(place.0.join("lock")).unwrap();
        assert!(matches!(file.try_lock(), Err(TryLockError::WouldBlock)));
        assert_eq!(std::fs::read_to_string(place.0.join("lock")).unwrap(), format!("{}\n", std::process::id()));
        drop(turn);
        drop(place.turn().unwrap());

        assert_eq!(place.pending().unwrap(), None);
        let pending = Pending::new("1".to_owned(), OffsetDateTime::UNIX_EPOCH, Some("table".to_owned()));
        place.wait_for(&pending).unwrap();
        assert_eq!(place.pending().unwrap(), Some(pending));
        place.settle().unwrap();
        place.settle().unwrap();
        assert_eq!(place.pending().unwrap(), None);
        std::fs::write(place.0.join("pending.json"), "{").unwrap();
        assert!(place.pending().unwrap_err().to_string().starts_with("cannot read"));
    }
}
