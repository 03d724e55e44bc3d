//! What can be wrong with a token, and what can go wrong in making one.

use std::fmt;

use keyward_keys::{Algorithm, ErrorKind};
use keyward_spiffe_id::TrustDomain;
use time::{Duration, OffsetDateTime};

use crate::json::Fault;
use crate::moment::moment;

/// The three parts of a compact JWS (RFC 7515 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part {
    /// The protected header.
    Header,
    /// The payload, which holds the claims.
    Claims,
    /// The signature.
    Signature,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Claims => "claims",
            Self::Signature => "signature",
        })
    }
}

/// What is wrong with a header member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeaderProblem {
    /// It is required and absent (RFC 7515 §4.1.1).
    Missing,
    /// It is not one of `alg`, `kid`, `typ` (JWT-SVID §2).
    NotAllowed,
    /// Its value is not a string (RFC 7515 §4.1).
    NotAString,
    /// Its value is none of those allowed (JWT-SVID §2.3).
    Value,
    /// It names extensions that must be understood and are not (RFC 7515 §4.1.11).
    Critical,
}

impl fmt::Display for HeaderProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "is missing",
            Self::NotAllowed => "is not allowed, only `alg`, `kid` and `typ` are",
            Self::NotAString => "is not a string",
            Self::Value => "has a value that is not allowed",
            Self::Critical => "demands extensions that are not understood",
        })
    }
}

/// What is wrong with a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClaimProblem {
    /// It is required and absent (JWT-SVID §3).
    Missing,
    /// Its value has the wrong JSON type, for example a time with a fraction or in quotes.
    Type,
    /// It is an empty list.
    Empty,
    /// It has more elements than this.
    TooMany(usize),
    /// It is a time outside the years that can be represented.
    OutOfRange,
    /// It must not be there (WIT-SVID §3.8).
    NotAllowed,
}

impl fmt::Display for ClaimProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is missing"),
            Self::Type => f.write_str("has the wrong type"),
            Self::Empty => f.write_str("is empty"),
            Self::TooMany(limit) => write!(f, "has more than {limit} elements"),
            Self::OutOfRange => f.write_str("is out of range"),
            Self::NotAllowed => f.write_str("is not allowed"),
        }
    }
}

/// Why a token was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The token is longer than the verifier's limit. Nothing of it was read.
    #[error("a token of {length} bytes is longer than the limit of {limit}")]
    TooLong {
        /// Bytes of the token.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The token is not a compact JWS (JWT-SVID §5.1).
    #[error("a token has three parts between dots, this one has {parts}")]
    NotCompact {
        /// How many parts it has.
        parts: usize,
    },
    /// A part is empty or not strict base64url without padding (RFC 7515 §2).
    #[error("the {part} part of the token is not base64url without padding")]
    Encoding {
        /// The part.
        part: Part,
    },
    /// A part is not a JSON object.
    #[error("the {part} part of the token is not a JSON object, fault at column {column}")]
    Json {
        /// The part.
        part: Part,
        /// Where the reading stopped, counted in bytes of its line from 1.
        column: usize,
    },
    /// A member name occurs twice in one object (RFC 7515 §4, RFC 7519 §4).
    #[error("member `{name}` occurs twice in the {part} part of the token")]
    Duplicate {
        /// The part.
        part: Part,
        /// The name, shortened and escaped.
        name: String,
    },
    /// The algorithm is not accepted (JWT-SVID §2.1 and §4, or the verifier's own choice).
    #[error("signature algorithm `{algorithm}` is not accepted")]
    Algorithm {
        /// What the header asks for, shortened and escaped.
        algorithm: String,
    },
    /// A header member is missing, not allowed or has a wrong value (JWT-SVID §2).
    #[error("header member `{member}` {problem}")]
    Header {
        /// The member's name, shortened and escaped.
        member: String,
        /// What is wrong with it.
        problem: HeaderProblem,
    },
    /// A claim is missing or has a wrong type or size (JWT-SVID §3).
    #[error("claim `{claim}` {problem}")]
    Claim {
        /// The claim's name.
        claim: &'static str,
        /// What is wrong with it.
        problem: ClaimProblem,
    },
    /// `sub` is not a SPIFFE ID (JWT-SVID §3.1).
    #[error("claim `sub` is not a SPIFFE ID")]
    Subject(#[source] keyward_spiffe_id::Error),
    /// The subject belongs to another trust domain than the keys do.
    #[error("the subject belongs to trust domain `{found}`, the keys to `{expected}`")]
    TrustDomain {
        /// The trust domain of the key set.
        expected: TrustDomain,
        /// The trust domain of `sub`.
        found: TrustDomain,
    },
    /// The key set holds no key that the header names and that fits the algorithm.
    #[error("no key fits {} and algorithm `{algorithm}`", KidText(.kid.as_deref()))]
    NoKey {
        /// The `kid` of the header, shortened and escaped.
        kid: Option<String>,
        /// The algorithm of the header.
        algorithm: Algorithm,
    },
    /// The signature is not one of the key over this header and these claims.
    #[error("the signature does not verify")]
    Signature,
    /// The token is meant for somebody else (JWT-SVID §3.2).
    #[error("the token is not meant for this audience, but for {}", Listed(.found))]
    Audience {
        /// The audiences of the token, shortened and escaped.
        found: Vec<String>,
    },
    /// The token has expired; at the very second of `exp` it has (RFC 7519 §4.1.4).
    #[error("the token expired at {}, it is {}", moment(.not_after), moment(.now))]
    Expired {
        /// The time of the verification.
        now: OffsetDateTime,
        /// `exp`.
        not_after: OffsetDateTime,
    },
    /// The token is not valid yet (RFC 7519 §4.1.5).
    #[error("the token is not valid before {}, it is {}", moment(.not_before), moment(.now))]
    NotYetValid {
        /// The time of the verification.
        now: OffsetDateTime,
        /// `nbf`.
        not_before: OffsetDateTime,
    },
}

impl VerifyError {
    /// Whether the token was malformed or well-formed and refused.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TooLong { .. }
            | Self::NotCompact { .. }
            | Self::Encoding { .. }
            | Self::Json { .. }
            | Self::Duplicate { .. }
            | Self::Header { .. }
            | Self::Claim { .. }
            | Self::Subject(_) => ErrorKind::Malformed,
            Self::Algorithm { .. }
            | Self::TrustDomain { .. }
            | Self::NoKey { .. }
            | Self::Signature
            | Self::Audience { .. }
            | Self::Expired { .. }
            | Self::NotYetValid { .. } => ErrorKind::Refused,
        }
    }
}

/// Why a [`Verifier`](super::Verifier) cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifierError {
    /// No audience was given, so that no token could ever be accepted (JWT-SVID §3.2).
    #[error("a verifier needs at least one audience, and none may be empty")]
    Audience,
    /// No algorithm was given, or one that JWT-SVID §2.1 does not allow.
    #[error("a verifier accepts at least one of the nine algorithms of JWT-SVID and no other")]
    Algorithm,
    /// The leeway is negative or too large.
    #[error("a leeway of {leeway} is not between 0 s and {limit}")]
    Leeway {
        /// The leeway given.
        leeway: Duration,
        /// The largest one allowed.
        limit: Duration,
    },
}

impl VerifierError {
    /// Always [`ErrorKind::Misconfigured`].
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Misconfigured
    }
}

/// Why a token was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MintError {
    /// The algorithm is not one of the nine of JWT-SVID §2.1.
    #[error(
        "a key for `{algorithm}` cannot sign JWT-SVIDs: the standard allows RS, ES and PS algorithms only, \
         use a key of type rsa-2048 or ecdsa-p256"
    )]
    Algorithm {
        /// The signer's algorithm.
        algorithm: Algorithm,
    },
    /// The signer has no key ID, by which a verifier finds the key.
    #[error("a signing key needs a key ID")]
    KeyId,
    /// There is no audience, an empty one, or too many (JWT-SVID §3.2).
    #[error("a token needs 1 to {limit} audiences, none of them empty, and was asked for {count}")]
    Audience {
        /// How many were given.
        count: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// The lifetime is below a second, or ends beyond the years that can be represented.
    #[error("a lifetime of {lifetime} is not possible")]
    Lifetime {
        /// The lifetime asked for.
        lifetime: Duration,
    },
    /// The token may not outlive a moment that has passed.
    #[error("a token cannot be issued at {}: its authority ends at {}", moment(.now), moment(.not_after))]
    AuthorityEnded {
        /// The time of issuing.
        now: OffsetDateTime,
        /// The moment that no token may outlive.
        not_after: OffsetDateTime,
    },
    /// The token would be longer than any verifier must read.
    #[error("a token of {length} bytes is longer than the limit of {limit}")]
    TooLong {
        /// Bytes of the token.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The signature attached has a length that the algorithm cannot produce.
    #[error("a signature for `{algorithm}` has {expected}, this one has {found} bytes")]
    SignatureLength {
        /// The algorithm of the header.
        algorithm: Algorithm,
        /// What it should have.
        expected: &'static str,
        /// What it has.
        found: usize,
    },
    /// The ECDSA signature attached is not DER.
    #[error("the signature is not a DER-encoded ECDSA signature for `{algorithm}`")]
    SignatureDer {
        /// The algorithm of the header.
        algorithm: Algorithm,
    },
    /// The signer answers for another key or algorithm than when its header was encoded.
    #[error("the signer changed its key, encode its header anew")]
    SignerChanged,
    /// The signer failed.
    #[error("signing failed")]
    Signer(#[source] keyward_keys::Error),
}

impl MintError {
    /// Whose fault it is: the request's, the configuration's or the signer's.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Algorithm { .. } | Self::KeyId => ErrorKind::Misconfigured,
            Self::Audience { .. } | Self::Lifetime { .. } | Self::TooLong { .. } => ErrorKind::Malformed,
            Self::SignatureLength { .. } | Self::SignatureDer { .. } => ErrorKind::Malformed,
            Self::AuthorityEnded { .. } => ErrorKind::Refused,
            Self::SignerChanged => ErrorKind::Unavailable,
            Self::Signer(error) => error.kind(),
        }
    }
}

/// Turns a reader's failure into ours: the noted fault says what serde's text cannot.
pub(crate) fn json_error(part: Part, error: &serde_json::Error, fault: Option<Fault>) -> VerifyError {
    match fault {
        Some(fault) if error.is_data() => match (part, fault) {
            (part, Fault::Duplicate(name)) => VerifyError::Duplicate { part, name },
            (Part::Header, Fault::Type(member)) => {
                VerifyError::Header { member: member.to_owned(), problem: HeaderProblem::NotAString }
            }
            (_, Fault::Type(claim)) => VerifyError::Claim { claim, problem: ClaimProblem::Type },
            (_, Fault::TooMany(claim, limit)) => VerifyError::Claim { claim, problem: ClaimProblem::TooMany(limit) },
        },
        _ => VerifyError::Json { part, column: error.column() },
    }
}

struct KidText<'a>(Option<&'a str>);

impl fmt::Display for KidText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(kid) => write!(f, "key ID `{kid}`"),
            None => f.write_str("a token without key ID"),
        }
    }
}

struct Listed<'a>(&'a [String]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}`{item}`")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thrown_anywhere<T: std::error::Error + Send + Sync + 'static>() {}

    #[test]
    fn errors_travel() {
        thrown_anywhere::<VerifyError>();
        thrown_anywhere::<VerifierError>();
        thrown_anywhere::<MintError>();
    }

    #[test]
    fn texts_and_kinds_of_refusals() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let cases = [
            (
                VerifyError::TooLong { length: 66_560, limit: 65_536 },
                "a token of 66560 bytes is longer than the limit of 65536",
                ErrorKind::Malformed,
            ),
            (
                VerifyError::NotCompact { parts: 5 },
                "a token has three parts between dots, this one has 5",
                ErrorKind::Malformed,
            ),
            (
                VerifyError::Encoding { part: Part::Signature },
                "the signature part of the token is not base64url without padding",
                ErrorKind::Malformed,
            ),
            (
                VerifyError::Json { part: Part::Claims, column: 7 },
                "the claims part of the token is not a JSON object, fault at column 7",
                ErrorKind::Malformed,
            ),
            (
                VerifyError::Duplicate { part: Part::Header, name: "alg".into() },
                "member `alg` occurs twice in the header part of the token",
                ErrorKind::Malformed,
            ),
            (
                VerifyError::Algorithm { algorithm: "none".into() },
                "signature algorithm `none` is not accepted",
                ErrorKind::Refused,
            ),
            (
                VerifyError::Header { member: "crit".into(), problem: HeaderProblem::NotAllowed },
                "header member `crit` is not allowed, only `alg`, `kid` and `typ` are",
                ErrorKind::Malformed,
            ),
            (
                VerifyError::Claim { claim: "exp", problem: ClaimProblem::Type },
                "claim `exp` has the wrong type",
                ErrorKind::Malformed,
            ),
            (
                VerifyError::Claim { claim: "aud", problem: ClaimProblem::TooMany(32) },
                "claim `aud` has more than 32 elements",
                ErrorKind::Malformed,
            ),
            (
                VerifyError::NoKey { kid: Some("k1".into()), algorithm: Algorithm::Es256 },
                "no key fits key ID `k1` and algorithm `ES256`",
                ErrorKind::Refused,
            ),
            (
                VerifyError::NoKey { kid: None, algorithm: Algorithm::Es256 },
                "no key fits a token without key ID and algorithm `ES256`",
                ErrorKind::Refused,
            ),
            (VerifyError::Signature, "the signature does not verify", ErrorKind::Refused),
            (
                VerifyError::Audience { found: vec!["a".into(), "b".into()] },
                "the token is not meant for this audience, but for `a`, `b`",
                ErrorKind::Refused,
            ),
            (
                VerifyError::Expired { now, not_after: now },
                "the token expired at 1970-01-01T00:00:00Z, it is 1970-01-01T00:00:00Z",
                ErrorKind::Refused,
            ),
            (
                VerifyError::NotYetValid { now, not_before: now + Duration::DAY },
                "the token is not valid before 1970-01-02T00:00:00Z, it is 1970-01-01T00:00:00Z",
                ErrorKind::Refused,
            ),
        ];
        for (error, text, kind) in cases {
            assert_eq!(error.to_string(), text);
            assert_eq!(error.kind(), kind, "{text}");
        }
    }

    #[test]
    fn texts_of_minting() {
        assert_eq!(
            MintError::Algorithm { algorithm: Algorithm::EdDsa }.to_string(),
            "a key for `EdDSA` cannot sign JWT-SVIDs: the standard allows RS, ES and PS algorithms only, \
             use a key of type rsa-2048 or ecdsa-p256"
        );
        let now = OffsetDateTime::UNIX_EPOCH;
        assert_eq!(
            MintError::AuthorityEnded { now, not_after: now - Duration::SECOND }.to_string(),
            "a token cannot be issued at 1970-01-01T00:00:00Z: its authority ends at 1969-12-31T23:59:59Z"
        );
        assert_eq!(
            MintError::Audience { count: 0, limit: 32 }.to_string(),
            "a token needs 1 to 32 audiences, none of them empty, and was asked for 0"
        );
        assert_eq!(
            MintError::SignatureLength { algorithm: Algorithm::Es256, expected: "64 bytes", found: 71 }.to_string(),
            "a signature for `ES256` has 64 bytes, this one has 71 bytes"
        );
        assert_eq!(
            VerifierError::Leeway { leeway: Duration::minutes(5), limit: Duration::MINUTE }.to_string(),
            "a leeway of 5m is not between 0 s and 1m"
        );
    }
}
