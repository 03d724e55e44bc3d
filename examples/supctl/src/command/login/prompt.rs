//! Asking for what must not stand on the command line: at a terminal without echo, else line by line from standard
//! input.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::Path;

use keyward_base::bounded;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::secret::Secret;
use crate::tower::TowerUrl;

/// No password and no passphrase is longer.
const LONGEST: u64 = 64 << 10;

/// Standard input as it was found.
pub(in crate::command) struct Prompt {
    terminal: bool,
}

impl Prompt {
    /// Looks at standard input.
    pub(in crate::command) fn new() -> Self {
        Self { terminal: io::stdin().is_terminal() }
    }

    /// Whether somebody can be asked.
    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Asks who logs in; only a person can be asked.
    pub(super) fn username(&mut self, tower: &TowerUrl) -> Result<String, Error> {
        if !self.terminal {
            return Err(Error::usage("no username is given", "add --username, or --bootstrap FILE for a new tower"));
        }
        // The question is no data, so it is not on standard output.
        let mut err = io::stderr().lock();
        let _ = write!(err, "Username at {}: ", tower.authority()).and_then(|()| err.flush());
        let line = line()?;
        non_empty(Secret::new(line.trim().to_owned()), "the username").map(|name| name.expose().to_owned())
    }

    /// Asks for a secret.
    pub(in crate::command) fn secret(&mut self, question: &str, what: &str) -> Result<Secret, Error> {
        let secret = if self.terminal {
            rpassword::prompt_password(question).map(Secret::new).map_err(Error::file("read", "the terminal"))?
        } else {
            Secret::new(line()?.as_str().to_owned())
        };
        non_empty(secret, what)
    }
}

/// The first line of a file.
pub(in crate::command) fn password_file(path: &Path) -> Result<Secret, Error> {
    let text = Zeroizing::new(bounded::text(path, LONGEST).map_err(Error::file("read", path))?);
    non_empty(Secret::new(text.lines().next().unwrap_or_default().to_owned()), "the password")
}

fn line() -> Result<Zeroizing<String>, Error> {
    let mut line = Zeroizing::new(String::new());
    io::stdin().lock().take(LONGEST).read_line(&mut line).map_err(Error::file("read", "standard input"))?;
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    Ok(line)
}

fn non_empty(secret: Secret, what: &str) -> Result<Secret, Error> {
    if secret.expose().is_empty() {
        return Err(Error::usage(
            format!("{what} is empty"),
            "try again; a pipe gives it as a line, or use --password-file",
        ));
    }
    Ok(secret)
}
