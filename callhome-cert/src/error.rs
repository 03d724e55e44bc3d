//! Why something was not issued or not read.

use keyward_config_values::record::RecordError;
use keyward_keys::ErrorKind;

use crate::Batch;

/// Why a certificate was not issued, or a value or record not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A word is no granularity.
    #[error("`{found}` is no granularity: write `never`, `certificate-only`, `site` or `host-id`")]
    Granularity {
        /// The word, shortened and escaped.
        found: String,
    },
    /// A text is not the hash of a host-id.
    #[error("the hash of a host-id is 64 digits of lower-case hexadecimal")]
    HostHash,
    /// A text is not the id of a batch.
    #[error("the id of a batch is 16 digits of lower-case hexadecimal")]
    Batch,
    /// What a host says of itself cannot be shown.
    #[error("`{field}` is 1 to {most} letters, digits and {others}")]
    About {
        /// The field.
        field: &'static str,
        /// The most characters.
        most: usize,
        /// What else is allowed.
        others: &'static str,
    },
    /// A certificate shall live for too short or too long.
    #[error("`ttl` is {found} seconds, but 60 to {most} (30d) are allowed")]
    Ttl {
        /// Seconds asked for.
        found: u64,
        /// The most seconds.
        most: u64,
    },
    /// A certificate shall be used too often, or never.
    #[error("`max-uses` is {found}, but 1 to {most} are allowed; leave it out for as many as there are hosts")]
    MaxUses {
        /// The number asked for.
        found: u32,
        /// The greatest number.
        most: u32,
    },
    /// All that was issued in the batch is revoked.
    #[error("`batch`: all certificates of `{batch}` are revoked: leave it out, and there is a new one")]
    BatchRevoked {
        /// The batch.
        batch: Batch,
    },
    /// The granularity asks for more than was said, or none.
    #[error("{problem}")]
    Order {
        /// What is wrong.
        problem: &'static str,
    },
    /// The ID of the certificate would be none.
    #[error("the scope does not fit into a SPIFFE ID")]
    Id(#[from] keyward_spiffe_id::Error),
    /// The authority refused or failed.
    #[error(transparent)]
    Authority(#[from] keyward_svid::x509::authority::Error),
    /// The authority is not one for clients alone, or it lets others stand below it.
    #[error("the authority is not one for call-home certificates: it must be for clients alone")]
    WrongAuthority,
    /// A key could not be made or encoded.
    #[error(transparent)]
    Keys(#[from] keyward_keys::Error),
    /// A stored record is not read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A value cannot stand in the install script.
    #[error("`{field}` {problem}")]
    Script {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl Error {
    /// Whose fault it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Granularity { .. } | Self::HostHash | Self::Batch | Self::About { .. } => ErrorKind::Malformed,
            Self::Ttl { .. }
            | Self::MaxUses { .. }
            | Self::BatchRevoked { .. }
            | Self::Order { .. }
            | Self::Id(_)
            | Self::Script { .. } => ErrorKind::Refused,
            Self::WrongAuthority | Self::Record(_) => ErrorKind::Misconfigured,
            Self::Authority(error) => error.kind(),
            Self::Keys(error) => error.kind(),
        }
    }

    pub(crate) fn granularity(text: &str) -> Self {
        Self::Granularity { found: text.chars().take(40).flat_map(char::escape_debug).collect() }
    }
}
