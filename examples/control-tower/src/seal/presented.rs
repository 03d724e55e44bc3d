//! What a setting or somebody gives: a kept key, or a passphrase.

use std::path::Path;

use keyward_transit::{Passphrase, RecordError, SealKey, SealKind};
use zeroize::Zeroizing;

use super::{KeptKey, SealError};
use crate::{
    config::{PassphraseSource, SealChoice},
    data_dir::{self, DataDirError},
};

/// What a setting gives. It is read once: standard input says a passphrase only once.
#[derive(Debug)]
pub enum Presented {
    /// A kept key; none where a key file does not exist.
    Key(Option<KeptKey>),
    /// A passphrase; none where somebody is to send it.
    Passphrase(Option<Passphrase>),
}

impl Presented {
    /// Reads it.
    ///
    /// # Errors
    /// [`SealError`]: it cannot be read, or is nothing that seals.
    pub fn read(choice: &SealChoice) -> Result<Self, SealError> {
        match choice {
            SealChoice::Passphrase(source) => source.read().map(Self::Passphrase),
            _ => KeptKey::read(choice).map(Self::Key),
        }
    }

    /// Reads it for a store that is to be begun.
    ///
    /// # Errors
    /// Those of [`read`](Self::read); a passphrase that somebody is to send has to be chosen first.
    pub fn read_to_begin(choice: &SealChoice) -> Result<Self, SealError> {
        match Self::read(choice)? {
            Self::Passphrase(None) => Err(SealError::NotInitialised),
            presented => Ok(presented),
        }
    }
}

/// A key or a passphrase, as somebody sends it to a sealed tower: 64 hex digits for a kept key, or the line of a key file.
///
/// # Errors
/// [`SealError::Weak`], [`SealError::Malformed`]: it cannot be right.
pub fn derive(kind: &SealKind, text: Zeroizing<Vec<u8>>) -> Result<SealKey, SealError> {
    match kind {
        SealKind::Passphrase(parameters) => Ok(passphrase(text, || "`passphrase`".to_owned())?.derive(parameters)?),
        _ => {
            let kept = KeptKey::from_credential(Path::new("key"), text)?;
            Ok(kept.ok_or(RecordError::Refused)?.key)
        }
    }
}

/// The first line of a private file, or of standard input where the path is `-`, as a passphrase.
///
/// # Errors
/// The file cannot be read, is not private, or its line is too short.
pub fn read_passphrase(path: &Path) -> Result<Passphrase, SealError> {
    let io = |source| DataDirError::Io { path: path.to_owned(), source };
    let bytes = if path == Path::new("-") {
        let mut line = Zeroizing::new(Vec::with_capacity(1024));
        std::io::BufRead::read_until(&mut std::io::stdin().lock(), b'\n', &mut line).map_err(io)?;
        line
    } else {
        data_dir::read_private(path, data_dir::LARGEST)?.ok_or_else(|| io(std::io::ErrorKind::NotFound.into()))?
    };
    first_line(bytes, || match path.to_str() {
        Some("-") => "standard input".to_owned(),
        _ => format!("`{}`", path.display()),
    })
}

fn passphrase(bytes: Zeroizing<Vec<u8>>, from: impl FnOnce() -> String) -> Result<Passphrase, SealError> {
    Passphrase::new(bytes).map_err(|problem| SealError::Weak { from: from(), problem })
}

fn first_line(mut bytes: Zeroizing<Vec<u8>>, from: impl FnOnce() -> String) -> Result<Passphrase, SealError> {
    if let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
        bytes.truncate(end);
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    passphrase(bytes, from)
}

impl PassphraseSource {
    /// The passphrase, unless somebody is to send it.
    ///
    /// # Errors
    /// It cannot be read, or is too short.
    pub fn read(&self) -> Result<Option<Passphrase>, SealError> {
        match self {
            Self::Call => Ok(None),
            Self::File(path) => read_passphrase(path).map(Some),
            Self::SystemdCredential { name, directory } => {
                let missing = || SealError::NoPassphrase { name: name.clone() };
                let path = directory.as_ref().ok_or_else(missing)?.join(name);
                let bytes = data_dir::read_credential(&path)?.ok_or_else(missing)?;
                first_line(bytes, || format!("the systemd credential `{name}`")).map(Some)
            }
        }
    }
}
