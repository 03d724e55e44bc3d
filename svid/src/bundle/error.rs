//! What is wrong with a bundle or a map of bundles.

use keyward_keys::ErrorKind;
use keyward_spiffe_id::TrustDomain;

use crate::jwks::JwksError;
use crate::x509;

/// Why a bundle or a map of bundles cannot be read, published or taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The document is no key set that can be read, or a key of it cannot be published.
    #[error(transparent)]
    Keys(JwksError),
    /// A member is no integer from 0 to 2⁶⁴ − 1 (SPIFFE Trust Domain and Bundle §4.1.1, §4.1.2).
    #[error("member `{member}` of the bundle is not an integer from 0 to 18446744073709551615")]
    Integer {
        /// Which one.
        member: &'static str,
    },
    /// A certificate is none of an authority that can be published.
    #[error("an authority cannot be published")]
    Authority(#[source] x509::Error),
    /// Two keys have the same name (WIT-SVID §6.1).
    #[cfg(feature = "wit")]
    #[error("two keys of the bundle have the key ID `{kid}`")]
    KeyIdTwice {
        /// The name, shortened and escaped.
        kid: String,
    },
    /// The bundle belongs to another trust domain.
    #[error("the bundle belongs to trust domain `{found}`, not to `{expected}`")]
    TrustDomain {
        /// The one that was asked for.
        expected: TrustDomain,
        /// The one of the bundle.
        found: TrustDomain,
    },
    /// The bundle is older than the one held, or than one held before (SPIFFE Federation §4.2).
    #[error("bundle {offered} of trust domain `{trust_domain}` is older than bundle {held}, the latest known")]
    Rollback {
        /// Whose bundles.
        trust_domain: TrustDomain,
        /// The highest sequence number known, in most cases that of the bundle held.
        held: u64,
        /// The one of the bundle refused.
        offered: u64,
    },
    /// The map is longer than the limit. Nothing of it was read.
    #[error("a bundle map of {length} bytes is longer than the limit of {limit}")]
    MapTooLong {
        /// Bytes of the document.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The map is not a JSON object.
    #[error("the bundle map is not a JSON object, fault at line {line}, column {column}")]
    MapJson {
        /// Line from 1.
        line: usize,
        /// Byte of the line from 1.
        column: usize,
    },
    /// There is no member `trust_domains`, or it is not an object (SPIFFE Trust Domain and Bundle §5.1.1).
    #[error("the bundle map has no object `trust_domains`")]
    NoTrustDomains,
    /// A member stands twice in the map; of trust domains this is refused by the standard (SPIFFE Trust Domain and
    /// Bundle §5.1.1).
    #[error("`{name}` stands twice in the bundle map")]
    MapDuplicate {
        /// The name, shortened and escaped.
        name: String,
    },
    /// The name of a bundle is no trust domain.
    #[error("a bundle of the map has no trust domain for its name")]
    MapName(#[source] keyward_spiffe_id::Error),
    /// There are more bundles than the limit.
    #[error("the bundle map has more than {limit} trust domains")]
    MapTooMany {
        /// Bundles allowed.
        limit: usize,
    },
    /// One bundle of a map is refused, and the map with it.
    #[error("the bundle of trust domain `{trust_domain}` is refused")]
    MapBundle {
        /// Whose bundle.
        trust_domain: TrustDomain,
        /// Why.
        #[source]
        source: Box<Error>,
    },
}

impl Error {
    /// Whether the document was malformed, the bundle refused, or what was to be published is at fault.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Keys(error) => error.kind(),
            Self::MapBundle { source, .. } => source.kind(),
            Self::TrustDomain { .. } | Self::Rollback { .. } => ErrorKind::Refused,
            Self::Authority(_) => ErrorKind::Misconfigured,
            #[cfg(feature = "wit")]
            Self::KeyIdTwice { .. } => ErrorKind::Misconfigured,
            Self::Integer { .. }
            | Self::MapTooLong { .. }
            | Self::MapJson { .. }
            | Self::NoTrustDomains
            | Self::MapDuplicate { .. }
            | Self::MapName(_)
            | Self::MapTooMany { .. } => ErrorKind::Malformed,
        }
    }
}
