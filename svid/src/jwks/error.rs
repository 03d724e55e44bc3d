//! What is wrong with a key set, and with an entry of it.

use std::fmt;

use keyward_keys::{Algorithm, ErrorKind};

use super::KeyUse;

/// Why a key set cannot be read, or a key not be published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwksError {
    /// The document is longer than the limit. Nothing of it was read.
    #[error("a key set of {length} bytes is longer than the limit of {limit}")]
    TooLong {
        /// Bytes of the document.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The document is not a JSON object.
    #[error("the key set is not a JSON object, fault at line {line}, column {column}")]
    Json {
        /// Line from 1.
        line: usize,
        /// Byte of the line from 1.
        column: usize,
    },
    /// A member name occurs twice in the document's outer object.
    #[error("member `{name}` occurs twice in the key set")]
    Duplicate {
        /// The name, shortened and escaped.
        name: String,
    },
    /// There is no member `keys`, or it is not a list (RFC 7517 §5.1).
    #[error("the key set has no list `keys`")]
    NoKeys,
    /// There are more entries than the limit.
    #[error("the key set has more than {limit} keys")]
    TooMany {
        /// Entries allowed.
        limit: usize,
    },
    /// The key cannot be published for JWT-SVIDs under this algorithm (JWT-SVID §2.1).
    #[error("a key of type `{kty}` with algorithm `{algorithm}` cannot verify JWT-SVIDs")]
    Algorithm {
        /// The algorithm asked for.
        algorithm: Algorithm,
        /// The `kty` of the key.
        kty: &'static str,
    },
    /// A JWK to publish is no usable key.
    #[error("not a usable key")]
    Key(#[source] keyward_keys::Error),
    /// A key is published without a name.
    #[error("a published key needs a key ID")]
    KeyId,
}

impl JwksError {
    /// Whether the document was malformed or the key was refused.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TooLong { .. } | Self::Json { .. } | Self::Duplicate { .. } | Self::NoKeys | Self::TooMany { .. } => {
                ErrorKind::Malformed
            }
            Self::Key(error) => error.kind(),
            Self::Algorithm { .. } | Self::KeyId => ErrorKind::Misconfigured,
        }
    }
}

/// An entry of a key set that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// Its place in `keys`, from 0.
    pub index: usize,
    /// Its `kid`, if it has a readable one; shortened and escaped.
    pub kid: Option<String>,
    /// Why it was not taken.
    pub reason: SkipReason,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {}", self.index)?;
        if let Some(kid) = &self.kid {
            write!(f, " `{kid}`")?;
        }
        write!(f, " skipped: {}", self.reason)
    }
}

/// Why an entry of a key set was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SkipReason {
    /// A member name occurs twice in it (RFC 7517 §4).
    Duplicate {
        /// The name, shortened and escaped.
        name: String,
    },
    /// Its `use` is for something else, or missing where it is required.
    Use {
        /// Its `use`, shortened and escaped.
        found: Option<String>,
        /// What was asked for.
        wanted: KeyUse,
    },
    /// Its `use` is not one that a SPIFFE bundle knows, or it has none (SPIFFE Trust Domain and Bundle §4.2.2).
    UnknownUse {
        /// Its `use`, shortened and escaped.
        found: Option<String>,
    },
    /// It has no certificate in `x5c` (X509-SVID §6.2).
    NoCertificate,
    /// The first of its `x5c` is not a certificate of an authority (X509-SVID §6.2).
    #[cfg(feature = "x509")]
    Certificate(crate::x509::Error),
    /// The key of its certificate is another than the entry's own (RFC 7517 §4.7).
    CertificateKey,
    /// It has no `kid` where one is required.
    NoKeyId,
    /// Its `key_ops` do not hold `verify` (RFC 7517 §4.3).
    KeyOps,
    /// Its `alg` is not one of JWT-SVID's nine, or does not fit the key (JWT-SVID §2.1).
    Algorithm {
        /// Its `alg`, shortened and escaped.
        found: String,
    },
    /// Its `kty` is not known, such as one of a signature scheme to come.
    UnknownKeyType {
        /// Its `kty`, shortened and escaped.
        kty: String,
    },
    /// Its key is of a type that none of the nine algorithms uses, such as Ed25519.
    KeyType {
        /// Its `kty`.
        kty: &'static str,
    },
    /// It is not a usable public key: an unknown curve, a missing or wrong member, an RSA modulus below 2048 bits.
    Key(keyward_keys::Error),
    /// It is not an object, a member has the wrong JSON type, or it holds a private key.
    Malformed,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate { name } => write!(f, "member `{name}` occurs twice"),
            Self::Use { found: Some(found), wanted } => {
                write!(f, "its use is `{found}`, not `{}`", wanted.as_str())
            }
            Self::Use { found: None, wanted } => write!(f, "it has no use, `{}` is required", wanted.as_str()),
            Self::UnknownUse { found: Some(found) } => write!(f, "its use `{found}` is unknown"),
            Self::UnknownUse { found: None } => f.write_str("it has no use"),
            Self::NoCertificate => f.write_str("it has no certificate"),
            #[cfg(feature = "x509")]
            Self::Certificate(error) => error.fmt(f),
            Self::CertificateKey => f.write_str("its certificate is for another key"),
            Self::NoKeyId => f.write_str("it has no key ID"),
            Self::KeyOps => f.write_str("its operations do not hold `verify`"),
            Self::Algorithm { found } => {
                write!(f, "its algorithm `{found}` is not one for JWT-SVIDs or not one for the key")
            }
            Self::UnknownKeyType { kty } => write!(f, "its key type `{kty}` is unknown"),
            Self::KeyType { kty } => write!(f, "a key of type `{kty}` cannot verify JWT-SVIDs"),
            Self::Key(error) => error.fmt(f),
            Self::Malformed => f.write_str("it is not a well-formed key"),
        }
    }
}
