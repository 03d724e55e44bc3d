//! What can go wrong, and the exit code of each.

use std::io;
use std::path::PathBuf;

use crate::client::{Refusal, Unreachable};

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The command, or a file it names, cannot be used as it is.
    #[error("{message}")]
    Usage {
        /// What is wrong
        message: String,
        /// What to do
        remedy: Option<String>,
    },
    /// A file of the operator cannot be read or written.
    #[error("cannot {action} `{}`: {source}", path.display())]
    File {
        /// `read`, `write`, …
        action: &'static str,
        /// Which file
        path: PathBuf,
        /// Why
        source: io::Error,
    },
    /// The tower said no.
    #[error(transparent)]
    Refused(#[from] Box<Refusal>),
    /// No answer, or not one of a tower.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// Standard output is gone.
    #[error("cannot write the answer: {0}")]
    Output(io::Error),
}

impl Error {
    /// A usage error with what to do about it.
    pub(crate) fn usage(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), remedy: Some(remedy.into()) }
    }

    /// For `map_err` on file operations.
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }

    /// 1 refused, 2 usage, 3 unreachable.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(_) => 1,
            Self::Usage { .. } | Self::File { .. } | Self::Output(_) => 2,
            Self::Unreachable(_) => 3,
        }
    }
}
