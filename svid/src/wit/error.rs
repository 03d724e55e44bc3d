//! What can be wrong with a WIT-SVID or a proof, and what can go wrong in making one.

use std::fmt;

use keyward_keys::{Algorithm, ErrorKind};
use time::{Duration, OffsetDateTime};

use crate::jwks::{KeyUse, SkipReason};
use crate::jwt;
use crate::moment::moment;

/// Why the confirmation (`cnf`) of a WIT-SVID is of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfirmationProblem {
    /// It has no `jwk` (WIT-SVID §3.2).
    NoKey,
    /// It names its key in more than one way (RFC 7800 §3.1).
    SeveralKeys,
    /// The key has no `alg` (draft-ietf-wimse-workload-creds §5.1).
    NoAlgorithm,
    /// The key is not a usable one of an allowed algorithm, or holds a private key.
    Key(SkipReason),
}

impl fmt::Display for ConfirmationProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey => f.write_str("has no `jwk`"),
            Self::SeveralKeys => f.write_str("names more than one key"),
            Self::NoAlgorithm => f.write_str("holds a key without `alg`"),
            Self::Key(reason) => write!(f, "holds a key that is not usable: {reason}"),
        }
    }
}

/// What is wrong with the tie between a proof and another token of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BindingProblem {
    /// The request has the token, the proof does not cover it.
    Missing,
    /// The proof covers another token.
    Mismatch,
    /// The proof covers a token that the request does not have, or that the recipient does not know.
    Unexpected,
}

impl fmt::Display for BindingProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "is missing for a token of the request",
            Self::Mismatch => "is not the hash of the token of the request",
            Self::Unexpected => "covers a token that the request does not have",
        })
    }
}

/// Why a WIT-SVID or a proof was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// What can be wrong with any signed token: form, header, claims, key, signature, times, audience.
    #[error(transparent)]
    Token(#[from] jwt::VerifyError),
    /// The confirmation is of no use (WIT-SVID §3.2).
    #[error("claim `cnf` {problem}")]
    Confirmation {
        /// What is wrong with it.
        problem: ConfirmationProblem,
    },
    /// The proof is not signed with the algorithm that the WIT-SVID confirms (draft-ietf-wimse-wpt §2).
    #[error("the proof is signed with `{found}`, the WIT-SVID confirms a key for `{expected}`")]
    ProofAlgorithm {
        /// `cnf.jwk.alg` of the WIT-SVID.
        expected: Algorithm,
        /// `alg` of the proof.
        found: Algorithm,
    },
    /// `wth` of the proof is the hash of another WIT-SVID.
    #[error("the proof belongs to another WIT-SVID")]
    OtherToken,
    /// The proof would serve for too long (draft-ietf-wimse-wpt §2).
    #[error("the proof ends at {}, none may end after {}", moment(.expires), moment(.latest))]
    ProofTooLong {
        /// `exp` of the proof.
        expires: OffsetDateTime,
        /// What was the latest allowed.
        latest: OffsetDateTime,
    },
    /// `ath`, `tth` or an entry of `oth` does not fit the tokens of the request.
    #[error("claim `{claim}` {problem}")]
    Binding {
        /// `ath`, `tth`, or `oth` and the entry's name, shortened and escaped.
        claim: String,
        /// What is wrong.
        problem: BindingProblem,
    },
}

impl VerifyError {
    /// Whether what came in was malformed or well-formed and refused.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Token(error) => error.kind(),
            Self::Confirmation { .. } => ErrorKind::Malformed,
            Self::ProofAlgorithm { .. } | Self::OtherToken | Self::ProofTooLong { .. } | Self::Binding { .. } => {
                ErrorKind::Refused
            }
        }
    }
}

/// Why a verifier or a bundle cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifierError {
    /// The options for tokens are out of bounds.
    #[error(transparent)]
    Token(#[from] jwt::VerifierError),
    /// The longest life of a proof is out of bounds.
    #[error("a proof may live for 1 s to {limit}, not for {lifetime}")]
    ProofLifetime {
        /// The lifetime given.
        lifetime: Duration,
        /// The largest one allowed.
        limit: Duration,
    },
    /// The keys are not there for WIT-SVIDs.
    #[error("keys for `{}` do not verify WIT-SVIDs, keys for `wit-svid` do", .found.as_str())]
    KeyUse {
        /// What they are there for.
        found: KeyUse,
    },
}

impl VerifierError {
    /// Always [`ErrorKind::Misconfigured`].
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Misconfigured
    }
}

/// Why a WIT-SVID or a proof was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MintError {
    /// What can go wrong with any token: lifetime, length, key ID, signer.
    #[error(transparent)]
    Token(#[from] jwt::MintError),
    /// The algorithm is none of the nine of WIT-SVID §2.3 and §3.2.
    #[error("a key for `{algorithm}` can neither sign WIT-SVIDs nor be confirmed by them")]
    Algorithm {
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// The key to confirm is not one for the algorithm.
    #[error("a key of type `{kty}` cannot be confirmed for `{algorithm}`")]
    ConfirmationAlgorithm {
        /// The algorithm.
        algorithm: Algorithm,
        /// The `kty` of the key.
        kty: &'static str,
    },
    /// The issuer is an `https` URL, with which a WIT-SVID could pass for an ID token (WIT-SVID §3.7).
    #[error("the issuer of a WIT-SVID must not be an https URL")]
    Issuer,
    /// What the prover holds is not a WIT-SVID.
    #[error("not a WIT-SVID")]
    Wit(#[source] VerifyError),
    /// The signer's key is not the one that the WIT-SVID confirms.
    #[error("the signer's key is not the one that the WIT-SVID confirms")]
    OtherKey,
    /// A proof lives for a short time, which this is not.
    #[error("a proof may live for 1 s to {limit}, not for {lifetime}")]
    ProofLifetime {
        /// The lifetime asked for.
        lifetime: Duration,
        /// The largest one allowed.
        limit: Duration,
    },
    /// The WIT-SVID is over, and its key must not be used any more (draft-ietf-wimse-wpt §3.2).
    #[error("the WIT-SVID expired at {}, it is {}", moment(.not_after), moment(.now))]
    Expired {
        /// The time of proving.
        now: OffsetDateTime,
        /// `exp` of the WIT-SVID.
        not_after: OffsetDateTime,
    },
}

impl MintError {
    /// Whose fault it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Token(error) => error.kind(),
            Self::Algorithm { .. } | Self::ConfirmationAlgorithm { .. } | Self::Issuer | Self::OtherKey => {
                ErrorKind::Misconfigured
            }
            Self::Wit(_) | Self::ProofLifetime { .. } => ErrorKind::Malformed,
            Self::Expired { .. } => ErrorKind::Refused,
        }
    }
}
