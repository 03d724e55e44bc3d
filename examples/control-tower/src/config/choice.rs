//! Settings that choose one of several engines: `kind:argument`.

use std::{fmt, path::PathBuf, str::FromStr};

use serde::Deserialize;

/// The engine of the store.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum StoreChoice {
    /// A SQLite database in this file.
    Sqlite(PathBuf),
    /// Memory; everything is lost at the end of the process.
    Memory,
}

/// Where the key that seals secrets at rest comes from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum SealChoice {
    /// A file of mode 0600.
    KeyFile(PathBuf),
}

/// Why a choice is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is {problem}: use {choices}")]
pub struct ChoiceError {
    given: String,
    problem: &'static str,
    choices: &'static str,
}

impl FromStr for StoreChoice {
    type Err = ChoiceError;

    fn from_str(text: &str) -> Result<Self, ChoiceError> {
        let refuse = |problem| ChoiceError { given: text.to_owned(), problem, choices: "sqlite:PATH or memory:" };
        match text.split_once(':') {
            Some(("sqlite", "")) => Err(refuse("without a path")),
            Some(("sqlite", path)) => Ok(Self::Sqlite(path.into())),
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("etcd", _)) => Err(refuse("not built in")),
            _ => Err(refuse("not a store")),
        }
    }
}

impl FromStr for SealChoice {
    type Err = ChoiceError;

    fn from_str(text: &str) -> Result<Self, ChoiceError> {
        let refuse = |problem| ChoiceError { given: text.to_owned(), problem, choices: "key-file:PATH" };
        match text.split_once(':').unwrap_or((text, "")) {
            ("key-file", "") => Err(refuse("without a path")),
            ("key-file", path) => Ok(Self::KeyFile(path.into())),
            ("passphrase" | "systemd-credential", _) => Err(refuse("not built in")),
            _ => Err(refuse("not a seal")),
        }
    }
}

impl fmt::Display for StoreChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Memory => f.write_str("memory:"),
        }
    }
}

impl fmt::Display for SealChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyFile(path) => write!(f, "key-file:{}", path.display()),
        }
    }
}

impl TryFrom<String> for StoreChoice {
    type Error = ChoiceError;

    fn try_from(text: String) -> Result<Self, ChoiceError> {
        text.parse()
    }
}

impl TryFrom<String> for SealChoice {
    type Error = ChoiceError;

    fn try_from(text: String) -> Result<Self, ChoiceError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_round_trip() {
        for text in ["sqlite:/var/lib/tower.db", "memory:"] {
            assert_eq!(text.parse::<StoreChoice>().unwrap().to_string(), text);
        }
        assert_eq!("key-file:kek.key".parse::<SealChoice>().unwrap().to_string(), "key-file:kek.key");
    }

    #[test]
    fn others_are_refused_by_name() {
        let store = |text: &str| text.parse::<StoreChoice>().unwrap_err().to_string();
        assert_eq!(store("etcd://h:2379"), "`etcd://h:2379` is not built in: use sqlite:PATH or memory:");
        assert_eq!(store("tower.db"), "`tower.db` is not a store: use sqlite:PATH or memory:");
        assert_eq!(store("sqlite:"), "`sqlite:` is without a path: use sqlite:PATH or memory:");
        let seal = |text: &str| text.parse::<SealChoice>().unwrap_err().to_string();
        assert_eq!(seal("passphrase"), "`passphrase` is not built in: use key-file:PATH");
        assert_eq!(seal("kek.key"), "`kek.key` is not a seal: use key-file:PATH");
    }
}
