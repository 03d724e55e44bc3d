//! What an authority refuses, and why.

use keyward_keys::{Algorithm, ErrorKind};
use keyward_spiffe_id::{SpiffeId, TrustDomain};
use time::{Duration, OffsetDateTime};

use super::subject::{SubjectField, SubjectProblem};
use crate::moment::moment;

/// Why an authority did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A field of a subject is out of its bounds (RFC 5280 appendix A.1).
    #[error("`{field}` {problem}")]
    Subject {
        /// The field.
        field: SubjectField,
        /// What is wrong with it.
        problem: SubjectProblem,
    },
    /// The `ttl` of an authority is out of its bounds.
    #[cfg(any(feature = "config", feature = "transit"))]
    #[error("`ttl` is {found}, but {least} to {most} are allowed")]
    AuthorityTtl {
        /// The value.
        found: keyward_config_values::Duration,
        /// The shortest.
        least: keyward_config_values::Duration,
        /// The longest.
        most: keyward_config_values::Duration,
    },
    /// A certificate shall live for a time that is not allowed.
    #[error("a life of {} seconds was asked for, but {} to {} are allowed", .asked.whole_seconds(), .least.whole_seconds(), .most.whole_seconds())]
    Ttl {
        /// The life asked for.
        asked: Duration,
        /// The shortest.
        least: Duration,
        /// The longest.
        most: Duration,
    },
    /// A DNS name is none that a certificate may hold (RFC 5280 §4.2.1.6).
    #[error("`{name}` is not a DNS name")]
    DnsName {
        /// The name, shortened and escaped.
        name: String,
    },
    /// More elements than allowed, or none where one is needed.
    #[error("{found} {what} were given, but {least} to {most} are allowed")]
    Count {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// The fewest.
        least: usize,
        /// The most.
        most: usize,
    },
    /// The ID is not one of a workload: a leaf's ID has a path (X509-SVID §5.2).
    #[error("the ID of an X.509-SVID has a path, `{id}` has none")]
    NoPath {
        /// The ID.
        id: SpiffeId,
    },
    /// The authority belongs to another trust domain.
    #[error("the authority is one of trust domain `{expected}`, not of `{found}`")]
    TrustDomain {
        /// The authority's.
        expected: TrustDomain,
        /// That of the ID or pattern.
        found: TrustDomain,
    },
    /// The authority was delegated for other IDs.
    #[error("the authority may not issue for `{id}`: no pattern of its delegation matches")]
    NotPermitted {
        /// The ID.
        id: SpiffeId,
    },
    /// A serial number is none (RFC 5280 §4.1.2.2).
    #[error("a serial number is 1 to 20 bytes in hexadecimal")]
    Serial,
    /// A time lies where no certificate and no revocation list can name it (RFC 5280 §4.1.2.5).
    #[error("{what} lies outside the years 1950 to 9999")]
    Time {
        /// Which one.
        what: &'static str,
    },
    /// The authority's certificate allows no further authority below it (RFC 5280 §4.2.1.9).
    #[error("the authority may issue leaves only, its path length is 0")]
    NoDelegation,
    /// The authority's certificate is not valid yet.
    #[error("the authority is not valid before {}, now is {}", moment(.not_before), moment(.now))]
    NotYetValid {
        /// The time of the request.
        now: OffsetDateTime,
        /// When its validity begins.
        not_before: OffsetDateTime,
    },
    /// The authority's life is over, or too little of it is left for another certificate.
    #[error("the authority ends at {}, now is {}", moment(.not_after), moment(.now))]
    Ended {
        /// The time of the request.
        now: OffsetDateTime,
        /// From when it issues nothing.
        not_after: OffsetDateTime,
    },
    /// The key and the certificate, or the key and the algorithm, do not belong together.
    #[error("the key is not that of the certificate")]
    KeyMismatch,
    /// A certificate cannot be that of an authority, or a chain is none.
    #[error("the certificate cannot be an authority's: {problem}")]
    Certificate {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A certificate of an authority cannot be read.
    #[error(transparent)]
    Unreadable(crate::x509::Error),
    /// A certificate request is not what it claims to be (RFC 2986).
    #[error("the certificate request {problem}")]
    Request {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Whoever made the certificate request has not shown to own its key (RFC 2986 §4.2).
    #[error("the certificate request is not signed with its own key")]
    ProofOfPossession,
    /// The signer signs with another algorithm than the certificates say.
    #[error("the signer signs with `{found}`, but the authority's certificates say `{expected}`")]
    SignerChanged {
        /// The algorithm of the authority.
        expected: Algorithm,
        /// That of the signer.
        found: Algorithm,
    },
    /// The key, the signer or the crypto backend failed.
    #[error(transparent)]
    Keys(#[from] keyward_keys::Error),
    /// The ring of an authority refused or failed.
    #[cfg(feature = "transit")]
    #[error(transparent)]
    Ring(#[from] keyward_transit::Error),
    /// No authority is chosen, or the one that is named is not at hand.
    #[cfg(feature = "transit")]
    #[error("there is no `issuing-ca` to issue with")]
    NoAuthority,
}

impl Error {
    /// The field of the configuration document that is to be changed, where one is at fault.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::Subject { field, .. } => Some(field.as_str()),
            #[cfg(any(feature = "config", feature = "transit"))]
            Self::AuthorityTtl { .. } => Some("ttl"),
            _ => None,
        }
    }

    /// Whose fault it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::DnsName { .. } | Self::Request { .. } | Self::Serial => ErrorKind::Malformed,
            Self::Ttl { .. }
            | Self::Count { .. }
            | Self::Time { .. }
            | Self::NoPath { .. }
            | Self::TrustDomain { .. }
            | Self::NotPermitted { .. }
            | Self::ProofOfPossession => ErrorKind::Refused,
            Self::Subject { .. }
            | Self::NoDelegation
            | Self::KeyMismatch
            | Self::Certificate { .. }
            | Self::SignerChanged { .. } => ErrorKind::Misconfigured,
            Self::NotYetValid { .. } | Self::Ended { .. } => ErrorKind::Unavailable,
            #[cfg(any(feature = "config", feature = "transit"))]
            Self::AuthorityTtl { .. } => ErrorKind::Misconfigured,
            Self::Unreadable(error) => error.kind(),
            Self::Keys(error) => error.kind(),
            #[cfg(feature = "transit")]
            Self::Ring(error) => error.kind(),
            #[cfg(feature = "transit")]
            Self::NoAuthority => ErrorKind::Misconfigured,
        }
    }
}
