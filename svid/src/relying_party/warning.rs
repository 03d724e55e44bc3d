//! What a relying party would refuse, and the remedy.

use std::fmt;

use keyward_keys::Algorithm;
use time::Duration;

use super::RelyingParty;

/// One thing that a relying party would refuse. The text names the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// The signing algorithm is not accepted.
    Algorithm {
        /// Who refuses.
        party: RelyingParty,
        /// The algorithm of the tokens.
        algorithm: Algorithm,
        /// What would be accepted.
        accepted: &'static [Algorithm],
    },
    /// Tokens carry no `iss`.
    NoIssuer {
        /// Who refuses.
        party: RelyingParty,
    },
    /// The issuer is not an `https` URL without query and fragment.
    IssuerUrl {
        /// Who refuses.
        party: RelyingParty,
        /// The issuer of the tokens.
        issuer: String,
    },
    /// The issuer names a port.
    IssuerPort {
        /// Who refuses.
        party: RelyingParty,
        /// The port.
        port: u16,
    },
    /// The issuer is on this machine, where the relying party cannot fetch anything.
    IssuerLocal {
        /// Who refuses.
        party: RelyingParty,
        /// The host of the issuer.
        host: String,
    },
    /// The issuer is too long.
    IssuerLength {
        /// Who refuses.
        party: RelyingParty,
        /// Its bytes.
        length: usize,
        /// Bytes accepted.
        limit: usize,
    },
    /// Tokens and discovery document name different issuers.
    IssuerMismatch {
        /// Who refuses.
        party: RelyingParty,
        /// `iss` of the tokens.
        issuer: String,
        /// `issuer` of the document.
        discovery: String,
    },
    /// The subject is too short or too long.
    SubjectLength {
        /// Who refuses.
        party: RelyingParty,
        /// Its bytes.
        length: usize,
        /// The fewest accepted.
        min: usize,
        /// The most accepted.
        max: usize,
    },
    /// There is more than one audience.
    AudienceCount {
        /// Who refuses.
        party: RelyingParty,
        /// How many there are.
        count: usize,
    },
    /// The audience that the relying party expects is not there.
    Audience {
        /// Who refuses.
        party: RelyingParty,
        /// What it expects.
        expected: &'static str,
    },
    /// Tokens live too long.
    Lifetime {
        /// Who refuses.
        party: RelyingParty,
        /// How long they live.
        lifetime: Duration,
        /// How long they may.
        limit: Duration,
    },
    /// The token is too long.
    TokenLength {
        /// Who refuses.
        party: RelyingParty,
        /// Its bytes.
        length: usize,
        /// Bytes accepted.
        limit: usize,
    },
    /// The key set publishes too many keys of a type.
    TooManyKeys {
        /// Who refuses.
        party: RelyingParty,
        /// The `kty`.
        kty: &'static str,
        /// How many there are.
        count: usize,
        /// How many are read.
        limit: usize,
    },
    /// Tokens carry no `kid`.
    NoKeyId {
        /// Who refuses.
        party: RelyingParty,
    },
    /// Tokens carry no `iat`.
    NoIssuedAt {
        /// Who refuses.
        party: RelyingParty,
    },
}

impl Warning {
    /// Who refuses.
    pub fn party(&self) -> RelyingParty {
        match self {
            Self::Algorithm { party, .. }
            | Self::NoIssuer { party }
            | Self::IssuerUrl { party, .. }
            | Self::IssuerPort { party, .. }
            | Self::IssuerLocal { party, .. }
            | Self::IssuerLength { party, .. }
            | Self::IssuerMismatch { party, .. }
            | Self::SubjectLength { party, .. }
            | Self::AudienceCount { party, .. }
            | Self::Audience { party, .. }
            | Self::Lifetime { party, .. }
            | Self::TokenLength { party, .. }
            | Self::TooManyKeys { party, .. }
            | Self::NoKeyId { party }
            | Self::NoIssuedAt { party } => *party,
        }
    }

    /// A stable name in kebab-case, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Algorithm { .. } => "algorithm",
            Self::NoIssuer { .. } => "no-issuer",
            Self::IssuerUrl { .. } => "issuer-url",
            Self::IssuerPort { .. } => "issuer-port",
            Self::IssuerLocal { .. } => "issuer-local",
            Self::IssuerLength { .. } => "issuer-length",
            Self::IssuerMismatch { .. } => "issuer-mismatch",
            Self::SubjectLength { .. } => "subject-length",
            Self::AudienceCount { .. } => "audience-count",
            Self::Audience { .. } => "audience",
            Self::Lifetime { .. } => "lifetime",
            Self::TokenLength { .. } => "token-length",
            Self::TooManyKeys { .. } => "too-many-keys",
            Self::NoKeyId { .. } => "no-key-id",
            Self::NoIssuedAt { .. } => "no-issued-at",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Algorithm { party, algorithm, accepted } => {
                write!(f, "{party} accepts ")?;
                for (index, name) in accepted.iter().enumerate() {
                    write!(f, "{}{name}", if index == 0 { "" } else { ", " })?;
                }
                write!(f, " only: sign with a key for one of these instead of {algorithm}")
            }
            Self::NoIssuer { party } => {
                write!(f, "{party} finds the keys by the issuer and tokens have none: set `jwt-issuer`")
            }
            Self::IssuerUrl { party, issuer } => write!(
                f,
                "{party} fetches the keys from an https URL without query and fragment: change issuer `{issuer}`"
            ),
            Self::IssuerPort { party, port } => {
                write!(f, "{party} accepts no port in an issuer: serve it on 443 and leave out `:{port}`")
            }
            Self::IssuerLocal { party, host } => {
                write!(f, "{party} cannot fetch the keys from `{host}`: use an issuer with a public host name")
            }
            Self::IssuerLength { party, length, limit } => {
                write!(f, "{party} accepts issuers of up to {limit} bytes: shorten this one of {length}")
            }
            Self::IssuerMismatch { party, issuer, discovery } => write!(
                f,
                "{party} compares issuers byte by byte: tokens say `{issuer}`, discovery says `{discovery}`, make them equal"
            ),
            Self::SubjectLength { party, length, min, max } => write!(
                f,
                "{party} accepts subjects of {min} to {max} bytes: shorten trust domain or name, this one has {length}"
            ),
            Self::AudienceCount { party, count } => {
                write!(
                    f,
                    "{party} accepts exactly one audience: ask for a token of its own instead of {count} audiences in one"
                )
            }
            Self::Audience { party, expected } => write!(f, "{party} expects the audience `{expected}`: add it"),
            Self::Lifetime { party, lifetime, limit } => {
                write!(f, "{party} accepts tokens that live up to {limit}: shorten the lifetime of {lifetime}")
            }
            Self::TokenLength { party, length, limit } => write!(
                f,
                "{party} accepts tokens of up to {limit} characters: leave out audiences or shorten names, this one has {length}"
            ),
            Self::TooManyKeys { party, kty, count, limit } => {
                write!(f, "{party} reads up to {limit} {kty} keys: publish fewer than these {count}, rotate less often")
            }
            Self::NoKeyId { party } => write!(f, "{party} finds the key by `kid`: give the signing key one"),
            Self::NoIssuedAt { party } => write!(f, "{party} demands `iat`: add it to the tokens"),
        }
    }
}
