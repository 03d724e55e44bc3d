//! What a login leaves for later commands: `keyward/supctl.json` in the user's configuration directory, the directory
//! 0700, the file 0600, replaced as a whole.

use std::borrow::Cow;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::environment::Environment;
use crate::error::Error;
use crate::secret::Secret;
use crate::tower::{Ca, TowerUrl};

/// The newest layout of the file that is understood here.
const FORMAT: u32 = 1;

/// A saved login.
#[derive(Debug)]
pub(crate) struct Session {
    /// Where the token is good; it is sent nowhere else
    pub(crate) tower: TowerUrl,
    /// What vouches for that tower
    pub(crate) ca: Option<Ca>,
    /// The tenant logged in to, when it was named
    pub(crate) tenant: Option<String>,
    /// The token, until the logout
    pub(crate) token: Option<Secret>,
    /// When it expires (RFC 3339), as the tower said
    pub(crate) expires: Option<String>,
}

/// The place of the file.
#[derive(Debug)]
pub(crate) struct SessionFile(PathBuf);

#[derive(Serialize, Deserialize)]
struct Record<'a> {
    format: u32,
    tower: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
}

impl SessionFile {
    /// Where it is for this user.
    pub(crate) fn of(environment: &Environment) -> Result<Self, Error> {
        let dir = environment.config_dir.as_ref().ok_or_else(|| {
            Error::usage("there is no configuration directory", "set HOME, or XDG_CONFIG_HOME to an absolute path")
        })?;
        Ok(Self(dir.join("keyward").join("supctl.json")))
    }

    /// The path, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Reads it; a file that others can read is made private first.
    pub(crate) fn load(&self) -> Result<Option<Session>, Error> {
        let text = match fs::read_to_string(&self.0) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file("read", &self.0)(error)),
        };
        let mode = fs::metadata(&self.0).map_err(Error::file("read", &self.0))?.permissions().mode();
        if mode & 0o077 != 0 {
            fs::set_permissions(&self.0, fs::Permissions::from_mode(0o600))
                .map_err(Error::file("make private", &self.0))?;
        }
        parse(&text).map(Some).map_err(|why| {
            Error::usage(
                format!("`{}`: {why}", self.0.display()),
                "log in again with `supctl login`, or remove the file",
            )
        })
    }

    /// Writes it: beside the old one, synced, then in its place.
    pub(crate) fn save(&self, session: &Session) -> Result<(), Error> {
        let record = Record {
            format: FORMAT,
            tower: session.tower.to_string().into(),
            ca: session.ca.as_ref().and_then(Ca::to_text).map(str::to_owned),
            tenant: session.tenant.clone(),
            token: session.token.as_ref().map(|token| token.expose().into()),
            expires: session.expires.clone(),
        };
        let failed = |error| Error::file("write", &self.0)(error);
        let text = Zeroizing::new(serde_json::to_vec_pretty(&record).map_err(|error| failed(error.into()))?);
        self.replace(&text).map_err(failed)
    }

    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        let dir = self.0.parent().ok_or(io::ErrorKind::InvalidInput)?;
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
        let beside = dir.join(format!(".supctl.json.{}", std::process::id()));
        // Left over from a process that was killed and had the same id.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&beside, &self.0)
        })();
        if written.is_err() {
            // The first failure is the one to report.
            let _ = fs::remove_file(&beside);
        }
        written
    }
}

fn parse(text: &str) -> Result<Session, String> {
    // The format is looked at first: a newer file may differ in everything else.
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let Format { format } = serde_json::from_str(text).map_err(|_| "not a saved login".to_owned())?;
    if format > FORMAT {
        return Err(format!("written by a newer supctl (format {format}, known up to {FORMAT})"));
    }
    // The error of serde is not shown: it could quote the token.
    let record: Record<'_> = serde_json::from_str(text).map_err(|_| "not a saved login".to_owned())?;
    Ok(Session {
        tower: TowerUrl::parse(&record.tower).map_err(|error| error.to_string())?,
        ca: record.ca.as_deref().map(Ca::from_text),
        tenant: record.tenant,
        token: record.token.map(|token| Secret::new(token.into_owned())),
        expires: record.expires,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(token: &str) -> Session {
        Session {
            tower: TowerUrl::parse("https://localhost:4646").unwrap(),
            ca: Some(Ca::from_text("/ca.pem")),
            tenant: Some("default".to_owned()),
            token: Some(Secret::new(token.to_owned())),
            expires: None,
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn saved_privately_and_read_back() {
        let home = tempfile::tempdir().unwrap();
        let environment = Environment { config_dir: Some(home.path().join("config")), ..Environment::default() };
        let file = SessionFile::of(&environment).unwrap();
        assert!(file.load().unwrap().is_none());
        file.save(&session("one")).unwrap();
        file.save(&session("two")).unwrap();
        assert_eq!(mode(file.path()), 0o600);
        assert_eq!(mode(file.path().parent().unwrap()), 0o700);
        let read = file.load().unwrap().unwrap();
        assert_eq!(read.token.unwrap().expose(), "two");
        assert_eq!(read.tower.to_string(), "https://localhost:4646");
        assert_eq!(read.ca, Some(Ca::File("/ca.pem".into())));
        assert_eq!(fs::read_dir(file.path().parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
        file.save(&Session { token: None, ..session("three") }).unwrap();
        assert!(file.load().unwrap().unwrap().token.is_none());
        assert!(!fs::read_to_string(file.path()).unwrap().contains("token"));
    }

    #[test]
    fn a_file_that_others_can_read_is_made_private() {
        let home = tempfile::tempdir().unwrap();
        let environment = Environment { config_dir: Some(home.path().to_owned()), ..Environment::default() };
        let file = SessionFile::of(&environment).unwrap();
        file.save(&session("one")).unwrap();
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).unwrap();
        file.load().unwrap().unwrap();
        assert_eq!(mode(file.path()), 0o600);
    }

    #[test]
    fn a_newer_format_is_refused_and_nothing_is_quoted() {
        assert_eq!(parse(r#"{"format":2}"#).unwrap_err(), "written by a newer supctl (format 2, known up to 1)");
        assert_eq!(parse(r#"{"format":1,"tower":"hunter2","token":7}"#).unwrap_err(), "not a saved login");
        assert!(!format!("{:?}", session("hunter2")).contains("hunter2"));
    }
}
