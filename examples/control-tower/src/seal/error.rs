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
    /// The file holds something else.
    #[error("`{path}` is not a key file: {problem} in line {line}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Too easy to guess.
    #[error(transparent)]
    Weak(#[from] WeakPassphrase),
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
