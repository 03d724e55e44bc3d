//! The one reader of the environment, apart from the flags that name a variable of their own (`cli`).

use std::env;
use std::path::PathBuf;

use crate::secret::Secret;

/// What the environment says.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    /// `KEYWARD_TOKEN`: a token to use instead of the saved one.
    pub(crate) token: Option<Secret>,
    /// The user's configuration directory: `XDG_CONFIG_HOME` when it is absolute, else `HOME/.config`
    /// (XDG Base Directory Specification: a relative path is to be ignored).
    pub(crate) config_dir: Option<PathBuf>,
    /// `NO_COLOR` is set and not empty, or the terminal is `dumb`.
    pub(crate) no_color: bool,
}

impl Environment {
    /// Reads it.
    #[expect(clippy::disallowed_methods, reason = "this is the one door")]
    pub(crate) fn read() -> Self {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let xdg = set("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let home = || set("HOME").map(|home| PathBuf::from(home).join(".config"));
        Self {
            token: env::var("KEYWARD_TOKEN").ok().filter(|token| !token.trim().is_empty()).map(trimmed),
            config_dir: xdg.or_else(home),
            no_color: set("NO_COLOR").is_some() || set("TERM").is_some_and(|term| term == "dumb"),
        }
    }
}

fn trimmed(token: String) -> Secret {
    Secret::new(token.trim().to_owned())
}
