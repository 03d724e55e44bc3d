//! Why there is no key.

use std::path::PathBuf;

use keyward_transit::{RecordError, WeakPassphrase};

use crate::{config::SealChoice, data_dir::DataDirError, keyring::KeyringError};

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] DataDirError),
    /// The file is gone, but there is something that it sealed.
    #[error(
        "the key file `{path}` is missing, and without it the store cannot be opened: bring it back, or restore a backup"
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// A directory, a pipe, a device.
    #[error("`{path}` is not a regular file, as a key file has to be")]
    NotAFile {
        /// What was given.
        path: PathBuf,
    },
    /// systemd gave the service no such credential.
    #[error(
        "there is no systemd credential `{name}`: make one with `head -c 32 /dev/urandom | systemd-creds encrypt \
         --name={name} - /etc/credstore.encrypted/{name}` and add `LoadCredentialEncrypted={name}` to the unit"
    )]
    NoCredential {
        /// Its name.
        name: String,
    },
    /// The same, where a passphrase was to be in it.
    #[error(
        "there is no systemd credential `{name}`: make one with `systemd-ask-password -n | systemd-creds encrypt \
         --name={name} - /etc/credstore.encrypted/{name}` and add `LoadCredentialEncrypted={name}` to the unit"
    )]
    NoPassphrase {
        /// Its name.
        name: String,
    },
    /// The credential is no key, in none of its forms.
    #[error(
        "the systemd credential `{name}` has {found} bytes, and a key has 32, or 64 hex digits, or is the line of a key file: \
         load the one that sealed the data; a new tower's is made with `head -c 32 /dev/urandom | systemd-creds encrypt \
         --name={name} - /etc/credstore.encrypted/{name}`"
    )]
    NoKey {
        /// Its name.
        name: String,
        /// Its length.
        found: usize,
    },
    /// The file holds something else.
    #[error(
        "`{path}` is not a key file: line {line} {problem}, where `1:` and 64 hex digits belong: bring back the copy that you keep \
         of it"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// What is wrong with it.
        problem: LineProblem,
    },
    /// Too easy to guess.
    #[error("{from}: {problem}: choose a longer one")]
    Weak {
        /// Where it was read.
        from: String,
        /// How long it is.
        problem: WeakPassphrase,
    },
    /// The data is sealed by something else than the setting says.
    #[error(
        "the data is sealed by {data}, but --seal says `{choice}`: start with what sealed it, or change that with \
         `control-tower reseal --to {choice}`"
    )]
    OtherKind {
        /// What it is sealed by.
        data: &'static str,
        /// The setting.
        choice: SealChoice,
    },
    /// Another key or passphrase.
    #[error("the store does not open with `{choice}`: another key or passphrase sealed it")]
    DoesNotOpen {
        /// The setting.
        choice: SealChoice,
    },
    /// A passphrase that is given by call is chosen before.
    #[error(
        "nothing is sealed yet, and a passphrase that is given by call has to be chosen first: run `control-tower init \
         --seal passphrase:file:FILE` (`-` is standard input)"
    )]
    NotInitialised,
    /// A command needs the passphrase, and there is nobody to ask.
    #[error("the seal's passphrase is needed: give it with --seal passphrase:file:FILE (`-` is standard input)")]
    NeedsPassphrase,
    /// The keys cannot be used.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The key cannot be used.
    #[error("the seal's key cannot be used: {0}")]
    Key(#[from] RecordError),
}

/// What is wrong with a line of a key file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineProblem {
    /// The file is empty.
    #[error("has no key")]
    Empty,
    /// It is something else.
    #[error("has {length} bytes and no `:`")]
    NoColon {
        /// Its length.
        length: usize,
    },
    /// What stands before the colon.
    #[error("has something else than the number of a version before the `:`")]
    Version,
    /// The key is too short, or too long.
    #[error("has {length} characters behind the `:`")]
    Length {
        /// Its length.
        length: usize,
    },
    /// The key has other characters.
    #[error("has characters behind the `:` that are no hex digits")]
    Digits,
    /// There is one of this version already.
    #[error("has a second key of the same version")]
    Twice,
}
