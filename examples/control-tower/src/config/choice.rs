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

/// What protects the keys that seal secrets at rest.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum SealChoice {
    /// A key in a file of mode 0600.
    KeyFile(PathBuf),
    /// A key that systemd hands to the service.
    SystemdCredential {
        /// The credential's name.
        name: String,
        /// Where systemd puts credentials; not part of the setting.
        directory: Option<PathBuf>,
    },
    /// A passphrase.
    Passphrase(PassphraseSource),
}

/// Where a passphrase comes from. Which of them may change from start to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PassphraseSource {
    /// Somebody sends it to the tower, which is sealed until then.
    Call,
    /// A file of mode 0600, `-` for standard input.
    File(PathBuf),
    /// systemd hands it to the service.
    SystemdCredential {
        /// The credential's name.
        name: String,
        /// Where systemd puts credentials; not part of the setting.
        directory: Option<PathBuf>,
    },
}

/// The credential with the key, where none is named.
const KEY_CREDENTIAL: &str = "keyward-seal";
/// The credential with the passphrase, where none is named.
const PASSPHRASE_CREDENTIAL: &str = "keyward-passphrase";

impl SealChoice {
    /// The same, with the directory that systemd puts credentials in.
    #[must_use]
    pub fn with_credentials(mut self, from: Option<&std::path::Path>) -> Self {
        match &mut self {
            Self::SystemdCredential { directory, .. }
            | Self::Passphrase(PassphraseSource::SystemdCredential { directory, .. }) => {
                *directory = from.map(std::path::Path::to_owned);
            }
            Self::KeyFile(_) | Self::Passphrase(_) => {}
        }
        self
    }
}

/// Why a choice is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is {problem}: use {choices}")]
pub struct ChoiceError {
    given: String,
    problem: &'static str,
    choices: &'static str,
}

const SEALS: &str = "key-file:PATH, systemd-credential[:NAME], passphrase, passphrase:file:PATH or \
                     passphrase:systemd-credential[:NAME]";

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
        let refuse = |problem| ChoiceError { given: text.to_owned(), problem, choices: SEALS };
        // A name is a file's name, too (systemd.exec(5)).
        let name = |name: &str| match name {
            "." | ".." => Err(refuse("without a name")),
            name if name.contains('/') => Err(refuse("with a path for a name")),
            name => Ok(name.to_owned()),
        };
        let (kind, rest) = text.split_once(':').map_or((text, None), |(kind, rest)| (kind, Some(rest)));
        match (kind, rest) {
            ("key-file", None | Some("")) => Err(refuse("without a path")),
            ("key-file", Some(path)) => Ok(Self::KeyFile(path.into())),
            ("systemd-credential", None | Some("")) => {
                Ok(Self::SystemdCredential { name: KEY_CREDENTIAL.to_owned(), directory: None })
            }
            ("systemd-credential", Some(given)) => Ok(Self::SystemdCredential { name: name(given)?, directory: None }),
            ("passphrase", None) => Ok(Self::Passphrase(PassphraseSource::Call)),
            ("passphrase", Some(source)) => match source.split_once(':').unwrap_or((source, "")) {
                ("file", "") => Err(refuse("without a path")),
                ("file", path) => Ok(Self::Passphrase(PassphraseSource::File(path.into()))),
                ("systemd-credential", given) => {
                    let given = if given.is_empty() { PASSPHRASE_CREDENTIAL } else { given };
                    let (name, directory) = (name(given)?, None);
                    Ok(Self::Passphrase(PassphraseSource::SystemdCredential { name, directory }))
                }
                // Perhaps the passphrase itself, which belongs into no list of processes and no message.
                _ => Err(ChoiceError { given: "passphrase:…".to_owned(), problem: "not a source", choices: SEALS }),
            },
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
            Self::SystemdCredential { name, .. } => write!(f, "systemd-credential:{name}"),
            Self::Passphrase(PassphraseSource::Call) => f.write_str("passphrase"),
            Self::Passphrase(PassphraseSource::File(path)) => write!(f, "passphrase:file:{}", path.display()),
            Self::Passphrase(PassphraseSource::SystemdCredential { name, .. }) => {
                write!(f, "passphrase:systemd-credential:{name}")
            }
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
        for text in [
            "key-file:kek.key",
            "systemd-credential:seal",
            "passphrase",
            "passphrase:file:phrase.txt",
            "passphrase:systemd-credential:phrase",
        ] {
            assert_eq!(text.parse::<SealChoice>().unwrap().to_string(), text);
        }
        let named = |text: &str| text.parse::<SealChoice>().unwrap().to_string();
        assert_eq!(named("systemd-credential"), "systemd-credential:keyward-seal");
        assert_eq!(named("passphrase:systemd-credential"), "passphrase:systemd-credential:keyward-passphrase");
    }

    #[test]
    fn others_are_refused_by_name() {
        let store = |text: &str| text.parse::<StoreChoice>().unwrap_err().to_string();
        assert_eq!(store("etcd://h:2379"), "`etcd://h:2379` is not built in: use sqlite:PATH or memory:");
        assert_eq!(store("tower.db"), "`tower.db` is not a store: use sqlite:PATH or memory:");
        assert_eq!(store("sqlite:"), "`sqlite:` is without a path: use sqlite:PATH or memory:");
        let seal = |text: &str| text.parse::<SealChoice>().unwrap_err().to_string();
        assert_eq!(
            seal("kek.key"),
            "`kek.key` is not a seal: use key-file:PATH, systemd-credential[:NAME], passphrase, passphrase:file:PATH or \
             passphrase:systemd-credential[:NAME]"
        );
        assert!(seal("key-file").starts_with("`key-file` is without a path: "));
        assert!(seal("passphrase:file:").starts_with("`passphrase:file:` is without a path: "));
        assert!(seal("systemd-credential:a/b").starts_with("`systemd-credential:a/b` is with a path for a name: "));
        // What may be the passphrase itself is not repeated.
        assert!(seal("passphrase:hunter2").starts_with("`passphrase:…` is not a source: "));
    }
}
