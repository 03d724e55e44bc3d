//! Whose a directory is, and those above it.

use std::{
    fmt, fs, io,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
};

use super::{DataDirError, at};

/// How many links a path may go through, as on Linux.
const MOST_LINKS: usize = 40;

/// Who may write to what they should not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Writers {
    /// Everybody.
    Everybody,
    /// A group that is not this user's.
    Group,
}

impl Writers {
    /// What takes it from them.
    pub(super) fn mode(self) -> &'static str {
        match self {
            Self::Everybody => "o-w",
            Self::Group => "g-w",
        }
    }
}

impl fmt::Display for Writers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Everybody => "everybody",
            Self::Group => "another group",
        })
    }
}

/// Whether nobody else can put something in the place of what is written to a directory, or in that of the directory or one above it, there
/// or still to be made. Links on the way are followed, and where they lead is looked at likewise.
///
/// # Errors
/// [`DataDirError::NotOwn`]: it is a link, somebody else's, or one that everybody or another group writes to;
/// [`DataDirError::Swappable`]: one above it is.
pub fn must_be_own(path: &Path) -> Result<(), DataDirError> {
    let whole = std::path::absolute(path).map_err(at(path))?;
    let user = User { id: rustix::process::geteuid().as_raw(), group: rustix::process::getegid().as_raw() };
    // Steps have no slashes: with one at its end a link would be the directory that it leads to.
    let mut ahead = backwards(&whole);
    let (mut place, mut links) = (PathBuf::from("/"), 0);
    while let Some(step) = ahead.pop() {
        if step == Path::new("/") {
            place = step;
            continue;
        }
        if step == Path::new("..") {
            place.pop();
            continue;
        }
        user.must_hold(&place, &step)?;
        let next = place.join(&step);
        let metadata = match fs::symlink_metadata(&next) {
            Ok(metadata) => metadata,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(());
            }
            Err(error) => return Err(at(&next)(error)),
        };
        if !metadata.is_symlink() {
            place = next;
            continue;
        }
        let not_own = |problem| Err(DataDirError::NotOwn { path: next.clone(), problem });
        links += 1;
        match () {
            () if ahead.is_empty() => return not_own("is a symbolic link: name the directory that it leads to"),
            () if user.is_another(&metadata) => return not_own("is a symbolic link of another user"),
            () if links > MOST_LINKS => return not_own("is one of too many symbolic links"),
            () => ahead.extend(backwards(&fs::read_link(&next).map_err(at(&next))?)),
        }
    }
    user.must_own(&place)
}

/// The steps of a path, the first one last.
fn backwards(path: &Path) -> Vec<PathBuf> {
    path.components()
        .rev()
        .filter(|step| *step != Component::CurDir)
        .map(|step| PathBuf::from(step.as_os_str()))
        .collect()
}

/// Whoever runs this.
struct User {
    id: u32,
    group: u32,
}

impl User {
    /// Whether something belongs to somebody else than this user and root.
    fn is_another(&self, metadata: &fs::Metadata) -> bool {
        metadata.uid() != self.id && metadata.uid() != 0
    }

    /// Who else may write to something.
    fn writers(&self, metadata: &fs::Metadata) -> Option<Writers> {
        match metadata.mode() {
            mode if mode & 0o002 != 0 => Some(Writers::Everybody),
            // Many have a group of their own, which is theirs.
            mode if mode & 0o020 != 0 && metadata.gid() != self.group => Some(Writers::Group),
            _ => None,
        }
    }

    /// Whether nobody else replaces what is in a directory. Where it is sticky, nobody replaces what is somebody else's.
    fn must_hold(&self, directory: &Path, below: &Path) -> Result<(), DataDirError> {
        let metadata = fs::metadata(directory).map_err(at(directory))?;
        if self.is_another(&metadata) {
            let problem = "belongs to another user: run this as that user, or name a directory elsewhere";
            return Err(DataDirError::NotOwn { path: directory.to_owned(), problem });
        }
        match self.writers(&metadata).filter(|_| metadata.mode() & 0o1000 == 0) {
            Some(by) => Err(DataDirError::Swappable { path: directory.to_owned(), by, below: below.to_owned() }),
            None => Ok(()),
        }
    }

    /// Whether nobody else writes to a directory.
    fn must_own(&self, directory: &Path) -> Result<(), DataDirError> {
        let metadata = fs::metadata(directory).map_err(at(directory))?;
        let problem = match self.writers(&metadata).filter(|_| metadata.is_dir()) {
            _ if metadata.uid() != self.id => {
                "belongs to another user: run this as that user, or name a directory of your own"
            }
            Some(Writers::Everybody) => "may be written to by everybody: name a directory of your own",
            Some(Writers::Group) => "may be written to by another group: name a directory of your own",
            None => return Ok(()),
        };
        Err(DataDirError::NotOwn { path: directory.to_owned(), problem })
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    use super::*;

    fn problem(path: &Path) -> Result<(), String> {
        must_be_own(path).map_err(|error| error.to_string())
    }

    /// Gives it away, which root alone can do.
    fn give(path: &Path, user: Option<u32>, group: Option<u32>) -> bool {
        rustix::process::geteuid().is_root() && std::os::unix::fs::chown(path, user, group).is_ok()
    }

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn it_is_the_users_own() {
        let root = tempfile::tempdir().unwrap();
        let (path, link) = (root.path().join("own"), root.path().join("link"));
        assert_eq!((problem(&path), problem(&path.join("deeper"))), (Ok(()), Ok(())));
        fs::create_dir(&path).unwrap();
        assert_eq!(problem(&path), Ok(()));
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let expected = format!("`{}` is a symbolic link: name the directory that it leads to", link.display());
        assert_eq!(problem(&link), Err(expected));
        set(&path, 0o1777);
        assert!(problem(&path).unwrap_err().ends_with("may be written to by everybody: name a directory of your own"));
        // With a slash at its end it is the same link.
        assert!(problem(&link.join("")).unwrap_err().contains("is a symbolic link"));
        set(&path, 0o770);
        assert_eq!(problem(&path), Ok(()));
        if give(&path, None, Some(65534)) {
            assert!(problem(&path).unwrap_err().contains("may be written to by another group"));
            set(&path, 0o750);
            assert_eq!(problem(&path), Ok(()));
        }
        if give(&path, Some(65534), None) {
            for place in [path.clone(), path.join("made")] {
                assert!(problem(&place).unwrap_err().contains("belongs to another user"), "{}", place.display());
            }
        }
    }

    #[test]
    fn nobody_else_replaces_one_above_it() {
        let root = tempfile::tempdir().unwrap();
        let (shared, link) = (root.path().join("shared"), root.path().join("link"));
        let state = shared.join("deep/state");
        fs::create_dir_all(&state).unwrap();
        std::os::unix::fs::symlink("shared/../shared/deep", &link).unwrap();
        let ways =
            [state.clone(), shared.join("deep/to-come/state"), link.join("state"), shared.join("deep/.././deep/state")];
        assert!(ways.iter().all(|way| problem(way) == Ok(())), "{:?}", ways.each_ref().map(|way| problem(way)));
        set(&shared, 0o757);
        let expected = format!(
            "everybody may replace `deep` in `{0}`, which is on the way: run `chmod o-w {0}`, or name a directory elsewhere",
            shared.display()
        );
        for way in &ways {
            assert_eq!(problem(way), Err(expected.clone()), "{}", way.display());
        }
        // What is in a sticky one is its owner's.
        set(&shared, 0o1777);
        assert_eq!(problem(&state), Ok(()));
        set(&shared, 0o775);
        assert_eq!(problem(&state), Ok(()));
        if give(&shared, None, Some(65534)) {
            assert!(problem(&state).unwrap_err().contains("another group may replace `deep`"));
            assert!(problem(&link.join("state")).unwrap_err().contains("run `chmod g-w "));
        }
        set(&shared, 0o1777);
        if give(&shared.join("deep"), Some(65534), None) {
            assert!(problem(&state).unwrap_err().contains("belongs to another user"));
        }
    }

    #[test]
    fn links_that_lead_to_each_other_end() {
        let root = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("b", root.path().join("a")).unwrap();
        std::os::unix::fs::symlink("a", root.path().join("b")).unwrap();
        assert!(problem(&root.path().join("a/state")).unwrap_err().ends_with("is one of too many symbolic links"));
    }
}
