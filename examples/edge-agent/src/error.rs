//! What can go wrong, and the exit code of each.

use std::io;

use keyward_base::data_dir::DataDirError;

use crate::client::Refusal;
use crate::config::ConfigError;

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The settings are of no use.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Something on the host cannot be used as it is.
    #[error("{message}")]
    Usage {
        /// What is wrong
        message: String,
        /// What to do
        remedy: String,
    },
    /// A file of the state directory.
    #[error(transparent)]
    File(#[from] DataDirError),
    /// The tower said no.
    #[error("the tower refuses this host: {0}")]
    Refused(Box<Refusal>),
    /// The host's `nft`.
    #[error(transparent)]
    Nft(#[from] crate::firewall::NftError),
    /// `--wait` is over.
    #[error("gave up after {waited}: {why}")]
    GaveUp {
        /// How long it tried
        waited: String,
        /// What it waited for
        why: String,
    },
    /// The operating system refuses what every program needs.
    #[error("{0}")]
    System(#[source] io::Error),
}

impl Error {
    /// Something on the host cannot be used, and what to do about it.
    pub(crate) fn usage(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), remedy: remedy.into() }
    }

    /// What to do, where that can be said.
    pub(crate) fn remedy(&self) -> Option<&str> {
        match self {
            Self::Usage { remedy, .. } => Some(remedy),
            Self::Nft(error) => Some(error.remedy()),
            Self::Refused(refusal) => refusal.remedy(),
            _ => None,
        }
    }

    /// 1 refused, 2 usage, or a file that cannot be used, 3 no answer, or not yet.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(_) => 1,
            Self::Nft(_) | Self::Config(_) | Self::Usage { .. } | Self::File(_) | Self::System(_) => 2,
            Self::GaveUp { .. } => 3,
        }
    }
}
