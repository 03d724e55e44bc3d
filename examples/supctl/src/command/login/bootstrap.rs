//! The line of JSON that a tower prints at its first start.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::body;
use crate::error::Error;
use crate::secret::Secret;

/// No line of a tower is longer, and nothing endless is read.
const MAX_LINES: usize = 1000;

/// Where a new tower is and how its administrator logs in.
#[derive(Debug)]
pub(super) struct Bootstrap {
    pub(super) url: String,
    /// Path of the CA file
    pub(super) ca_cert: Option<String>,
    pub(super) tenant: String,
    pub(super) username: String,
    pub(super) password: Secret,
    /// Others than the owner can read the file, and the password in it
    pub(super) exposed: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Line {
    url: String,
    #[serde(default)]
    ca_cert: Option<String>,
    tenant: String,
    username: String,
    password: String,
}

impl Bootstrap {
    /// Finds the line in a file, or in standard input as soon as it comes: the tower goes on running behind the pipe.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        if body::is_stdin(path) {
            Self::find(io::stdin().lock(), path)
        } else {
            let file = File::open(path).map_err(Error::file("read", path))?;
            let metadata = file.metadata().map_err(Error::file("read", path))?;
            let found = Self::find(BufReader::new(file), path)?;
            Ok(Self { exposed: metadata.is_file() && metadata.permissions().mode() & 0o044 != 0, ..found })
        }
    }

    fn find(reader: impl BufRead, path: &Path) -> Result<Self, Error> {
        for line in reader.lines().take(MAX_LINES) {
            let line = Zeroizing::new(line.map_err(Error::file("read", path))?);
            if let Ok(Line { url, ca_cert, tenant, username, password }) = serde_json::from_str(&line) {
                return Ok(Self { url, ca_cert, tenant, username, password: Secret::new(password), exposed: false });
            }
        }
        Err(Error::usage(
            format!("`{}` has no line of a first start", path.display()),
            "it is printed once, by `control-tower --output json` or `control-tower init`; later, `control-tower reset-admin` prints a new one",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"url":"https://localhost:1","ca-cert":"/ca.pem","tenant":"default","tenant-id":"1","username":"admin","password":"hunter2"}"#;

    #[test]
    fn the_line_is_found_among_others() {
        let text = format!("{{\"level\":\"info\"}}\nhello\n{LINE}\nready\n");
        let found = Bootstrap::find(text.as_bytes(), Path::new("-")).unwrap();
        assert_eq!((found.url.as_str(), found.tenant.as_str()), ("https://localhost:1", "default"));
        assert_eq!(found.password.expose(), "hunter2");
        assert!(!format!("{found:?}").contains("hunter2"));
    }

    #[test]
    fn no_line_is_an_error_that_quotes_nothing() {
        let error = Bootstrap::find("hunter2\n".as_bytes(), Path::new("tower.json")).unwrap_err();
        assert_eq!(error.to_string(), "`tower.json` has no line of a first start");
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}
