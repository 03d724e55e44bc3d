//! Why a certificate, a chain or a bundle is refused.

use std::fmt;

use keyward_keys::ErrorKind;
use keyward_spiffe_id::{SpiffeId, TrustDomain};
use time::OffsetDateTime;

use crate::moment::moment;

/// What keeps a certificate from being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// Something in it is not the DER of RFC 5280 §4.1.
    NotDer,
    /// Bytes follow it.
    TrailingBytes,
    /// It is longer than 65,535 bytes.
    TooLong,
    /// It is not of version 3 (RFC 5280 §4.1.2.1).
    Version,
    /// Its serial number has more than 20 bytes, or is not DER (RFC 5280 §4.1.2.2, X.690 §8.3.2).
    Serial,
    /// It names two signature algorithms (RFC 5280 §4.1.1.2).
    Algorithm,
    /// Its validity cannot be read (RFC 5280 §4.1.2.5).
    Validity,
    /// It has more than 32 extensions.
    TooManyExtensions,
    /// It has an extension twice (RFC 5280 §4.2).
    DuplicateExtension,
    /// Its KeyUsage cannot be read, or says nothing (RFC 5280 §4.2.1.3).
    KeyUsage,
    /// Its BasicConstraints cannot be read, or limit paths without `cA` (RFC 5280 §4.2.1.9).
    BasicConstraints,
    /// Its ExtendedKeyUsage cannot be read (RFC 5280 §4.2.1.12).
    ExtendedKeyUsage,
    /// Its SubjectAltName cannot be read (RFC 5280 §4.2.1.6).
    SubjectAltName,
    /// Its NameConstraints cannot be read, or constrain URIs to what is no host (RFC 5280 §4.2.1.10).
    NameConstraints,
}

impl fmt::Display for CertificateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotDer => "it is not DER",
            Self::TrailingBytes => "bytes follow it",
            Self::TooLong => "it is longer than 65535 bytes",
            Self::Version => "it is not of version 3",
            Self::Serial => "its serial number is not a number of 1 to 20 bytes",
            Self::Algorithm => "it names two signature algorithms",
            Self::Validity => "its validity cannot be read",
            Self::TooManyExtensions => "it has more than 32 extensions",
            Self::DuplicateExtension => "it has an extension twice",
            Self::KeyUsage => "its KeyUsage cannot be read",
            Self::BasicConstraints => "its BasicConstraints cannot be read",
            Self::ExtendedKeyUsage => "its ExtendedKeyUsage cannot be read",
            Self::SubjectAltName => "its SubjectAltName cannot be read",
            Self::NameConstraints => "its NameConstraints cannot be read",
        })
    }
}

/// What keeps a certificate from being the leaf of an X.509-SVID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LeafProblem {
    /// `cA` is set: signing certificates do not authenticate (X509-SVID §3.2, §5.2).
    Ca,
    /// `keyCertSign` is set (X509-SVID §5.2).
    KeyCertSign,
    /// `cRLSign` is set (X509-SVID §5.2).
    CrlSign,
    /// KeyUsage is absent or not critical (X509-SVID §4.3; strict mode).
    KeyUsage,
    /// `digitalSignature` is not set (X509-SVID §4.3; strict mode).
    DigitalSignature,
    /// ExtendedKeyUsage is there without both `id-kp-serverAuth` and `id-kp-clientAuth` (X509-SVID §4.4; strict mode).
    ExtendedKeyUsage,
    /// ExtendedKeyUsage is not `id-kp-clientAuth` alone, where certificates of clients are asked for (RFC 5280 §4.2.1.12).
    Purpose,
    /// It lacks an identifier of its own key or of its issuer's (RFC 5280 §4.2.1.1, §4.2.1.2), where certificates of
    /// clients are asked for.
    KeyIdentifiers,
    /// The subject is empty and SubjectAltName not critical (X509-SVID §3.1, RFC 5280 §4.2.1.6; strict mode).
    SubjectAltName,
    /// It has a critical extension that is not known here (RFC 5280 §4.2).
    UnknownExtension,
}

impl fmt::Display for LeafProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ca => "it is a CA's",
            Self::KeyCertSign => "its key may sign certificates",
            Self::CrlSign => "its key may sign revocation lists",
            Self::KeyUsage => "it has no critical KeyUsage",
            Self::DigitalSignature => "its KeyUsage lacks digitalSignature",
            Self::ExtendedKeyUsage => "its ExtendedKeyUsage lacks serverAuth or clientAuth",
            Self::Purpose => "its ExtendedKeyUsage is not clientAuth alone",
            Self::KeyIdentifiers => "it does not identify its own key and its issuer's",
            Self::SubjectAltName => "its subject is empty and its SubjectAltName is not critical",
            Self::UnknownExtension => "it has an unknown critical extension",
        })
    }
}

/// What keeps a certificate from signing X.509-SVIDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignerProblem {
    /// `cA` is not set (X509-SVID §4.1).
    NotCa,
    /// KeyUsage is there without `keyCertSign` (X509-SVID §4.3, RFC 5280 §6.1.4 (n)).
    KeyCertSign,
    /// KeyUsage is absent or not critical (X509-SVID §4.3; strict mode, intermediates).
    KeyUsage,
    /// Its SPIFFE ID has a path (X509-SVID §3.2).
    Path,
    /// Its URI is not the ID of the trust domain (X509-SVID §3.2; strict mode, intermediates).
    Uri,
    /// It has more than one URI (X509-SVID §2).
    UriCount,
    /// Its list of permitted SPIFFE IDs cannot be read (see [`delegation`](super::delegation)).
    PermittedIds,
    /// It has a critical extension that is not known here (RFC 5280 §4.2).
    UnknownExtension,
}

impl fmt::Display for SignerProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotCa => "it is not a CA's",
            Self::KeyCertSign => "its key may not sign certificates",
            Self::KeyUsage => "it has no critical KeyUsage",
            Self::Path => "its SPIFFE ID has a path",
            Self::Uri => "its URI is not the ID of the trust domain",
            Self::UriCount => "it has more than one URI",
            Self::PermittedIds => "its list of permitted SPIFFE IDs cannot be read",
            Self::UnknownExtension => "it has an unknown critical extension",
        })
    }
}

/// Why a certificate, a chain or a bundle was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no certificate.
    #[error("there is no certificate")]
    Empty,
    /// The chain has more certificates than the verifier's limit. None was read.
    #[error("a chain of {length} certificates is longer than the limit of {limit}")]
    ChainLength {
        /// How many it has.
        length: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// All certificates together, or a document of them, are larger than the limit. None was read.
    #[error("{length} bytes of certificates are more than the limit of {limit}")]
    TooLarge {
        /// Bytes of all.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The text is not PEM (RFC 7468), or has no certificate in it.
    #[error("the text is not PEM with certificates in it")]
    Pem,
    /// A certificate cannot be read.
    #[error("certificate {position} is malformed: {problem}")]
    Certificate {
        /// Its place in the chain or list, counted from 1; in a chain the first is the leaf.
        position: usize,
        /// What is wrong with it.
        problem: CertificateProblem,
    },
    /// An SVID has exactly one URI, of whatever scheme (X509-SVID §2).
    #[error("an SVID names exactly one URI, this certificate names {found}")]
    UriCount {
        /// How many it has.
        found: usize,
    },
    /// The URI is not a SPIFFE ID, or that of a signing authority (X509-SVID §5.2).
    #[error("the URI of the certificate is not the SPIFFE ID of a workload")]
    Id(#[source] keyward_spiffe_id::Error),
    /// The certificate is not the leaf of an SVID.
    #[error("the certificate is not one to authenticate with: {problem}")]
    Leaf {
        /// What is wrong with it.
        problem: LeafProblem,
    },
    /// A certificate above the leaf, or in a bundle, may not sign SVIDs.
    #[error("a certificate that signs is not one to sign SVIDs with: {problem}")]
    Signer {
        /// What is wrong with it.
        problem: SignerProblem,
    },
    /// The SVID belongs to another trust domain than the bundle does.
    #[error("the certificate belongs to trust domain `{found}`, the bundle to `{expected}`")]
    TrustDomain {
        /// The trust domain of the bundle.
        expected: TrustDomain,
        /// The trust domain of the SVID.
        found: TrustDomain,
    },
    /// There is no bundle for the trust domain of the SVID.
    #[error("there is no bundle for trust domain `{trust_domain}`")]
    NoBundle {
        /// The trust domain of the SVID.
        trust_domain: TrustDomain,
    },
    /// No path of signing certificates leads to an authority of the trust domain's bundle (RFC 5280 §6).
    #[error("no authority of trust domain `{trust_domain}` stands behind the certificate")]
    UnknownAuthority {
        /// The trust domain of the SVID.
        trust_domain: TrustDomain,
    },
    /// A certificate of the path, the authority's included, is over.
    #[error("a certificate expired at {}, it is {}", moment(.not_after), moment(.now))]
    Expired {
        /// The time of verification.
        now: OffsetDateTime,
        /// The last second of its validity.
        not_after: OffsetDateTime,
    },
    /// A certificate of the path, the authority's included, is not valid yet.
    #[error("a certificate is not valid before {}, it is {}", moment(.not_before), moment(.now))]
    NotYetValid {
        /// The time of verification.
        now: OffsetDateTime,
        /// The first second of its validity.
        not_before: OffsetDateTime,
    },
    /// A signature does not verify with the key of the issuer.
    #[error("a signature on the path does not verify")]
    Signature,
    /// A signature algorithm is not accepted: only ECDSA on NIST curves, RSA and Ed25519, with SHA-2, are.
    #[error("a signature algorithm on the path is not accepted")]
    Algorithm,
    /// The path is longer than a `pathLenConstraint` allows (RFC 5280 §4.2.1.9), or than six intermediates.
    #[error("the path has more intermediates than it may")]
    PathLength,
    /// A name is outside the constraints of a certificate above (RFC 5280 §4.2.1.10).
    #[error("a name is outside the name constraints above it")]
    NameConstraint,
    /// The ID is none of those that an intermediate may sign for (see [`delegation`](super::delegation)).
    #[error("`{id}` is none of the IDs that its issuer may sign for")]
    NotPermitted {
        /// The ID of the leaf.
        id: SpiffeId,
    },
    /// The certificates lead into more paths than are tried.
    #[error("there are too many paths to try")]
    TooManyPaths,
    /// The key of the leaf is not accepted.
    #[error("the key of the certificate is not accepted")]
    PublicKey(#[source] keyward_keys::Error),
    /// Path validation refused for a reason that has no variant of its own.
    #[error("the path is not valid")]
    Path,
}

impl Error {
    /// Whose fault it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Empty | Self::ChainLength { .. } | Self::TooLarge { .. } | Self::Pem | Self::Certificate { .. } => {
                ErrorKind::Malformed
            }
            Self::PublicKey(error) => error.kind(),
            _ => ErrorKind::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_kinds() {
        let (now, td) = (OffsetDateTime::UNIX_EPOCH, "td".parse::<TrustDomain>().unwrap());
        let (not_after, not_before) = (now, now);
        for (error, text, kind) in [
            (Error::Empty, "there is no certificate", ErrorKind::Malformed),
            (
                Error::ChainLength { length: 17, limit: 16 },
                "a chain of 17 certificates is longer than the limit of 16",
                ErrorKind::Malformed,
            ),
            (
                Error::TooLarge { length: 70_000, limit: 65_536 },
                "70000 bytes of certificates are more than the limit of 65536",
                ErrorKind::Malformed,
            ),
            (Error::Pem, "the text is not PEM with certificates in it", ErrorKind::Malformed),
            (
                Error::Certificate { position: 1, problem: CertificateProblem::Version },
                "certificate 1 is malformed: it is not of version 3",
                ErrorKind::Malformed,
            ),
            (
                Error::UriCount { found: 0 },
                "an SVID names exactly one URI, this certificate names 0",
                ErrorKind::Refused,
            ),
            (
                Error::Id(keyward_spiffe_id::Error::EmptyTrustDomain),
                "the URI of the certificate is not the SPIFFE ID of a workload",
                ErrorKind::Refused,
            ),
            (
                Error::Leaf { problem: LeafProblem::Ca },
                "the certificate is not one to authenticate with: it is a CA's",
                ErrorKind::Refused,
            ),
            (
                Error::Signer { problem: SignerProblem::NotCa },
                "a certificate that signs is not one to sign SVIDs with: it is not a CA's",
                ErrorKind::Refused,
            ),
            (
                Error::TrustDomain { expected: td.clone(), found: "other".parse().unwrap() },
                "the certificate belongs to trust domain `other`, the bundle to `td`",
                ErrorKind::Refused,
            ),
            (
                Error::NoBundle { trust_domain: td.clone() },
                "there is no bundle for trust domain `td`",
                ErrorKind::Refused,
            ),
            (
                Error::UnknownAuthority { trust_domain: td },
                "no authority of trust domain `td` stands behind the certificate",
                ErrorKind::Refused,
            ),
            (
                Error::Expired { now, not_after },
                "a certificate expired at 1970-01-01T00:00:00Z, it is 1970-01-01T00:00:00Z",
                ErrorKind::Refused,
            ),
            (
                Error::NotYetValid { now, not_before },
                "a certificate is not valid before 1970-01-01T00:00:00Z, it is 1970-01-01T00:00:00Z",
                ErrorKind::Refused,
            ),
            (Error::Signature, "a signature on the path does not verify", ErrorKind::Refused),
            (Error::Algorithm, "a signature algorithm on the path is not accepted", ErrorKind::Refused),
            (Error::PathLength, "the path has more intermediates than it may", ErrorKind::Refused),
            (Error::NameConstraint, "a name is outside the name constraints above it", ErrorKind::Refused),
            (
                Error::NotPermitted { id: "spiffe://td/a".parse().unwrap() },
                "`spiffe://td/a` is none of the IDs that its issuer may sign for",
                ErrorKind::Refused,
            ),
            (Error::TooManyPaths, "there are too many paths to try", ErrorKind::Refused),
            (
                Error::PublicKey(keyward_keys::Error::RsaSize { bits: 1024, accepted: "2048 to 8192" }),
                "the key of the certificate is not accepted",
                ErrorKind::Refused,
            ),
            (Error::Path, "the path is not valid", ErrorKind::Refused),
        ] {
            assert_eq!(error.to_string(), text);
            assert_eq!(error.kind(), kind, "{text}");
        }
        fn thrown_anywhere<T: std::error::Error + Send + Sync + 'static>() {}
        thrown_anywhere::<Error>();
    }

    #[test]
    fn texts_of_problems() {
        use CertificateProblem as C;
        for (problem, text) in [
            (C::NotDer, "it is not DER"),
            (C::TrailingBytes, "bytes follow it"),
            (C::TooLong, "it is longer than 65535 bytes"),
            (C::Version, "it is not of version 3"),
            (C::Serial, "its serial number is not a number of 1 to 20 bytes"),
            (C::Algorithm, "it names two signature algorithms"),
            (C::Validity, "its validity cannot be read"),
            (C::TooManyExtensions, "it has more than 32 extensions"),
            (C::DuplicateExtension, "it has an extension twice"),
            (C::KeyUsage, "its KeyUsage cannot be read"),
            (C::BasicConstraints, "its BasicConstraints cannot be read"),
            (C::ExtendedKeyUsage, "its ExtendedKeyUsage cannot be read"),
            (C::SubjectAltName, "its SubjectAltName cannot be read"),
            (C::NameConstraints, "its NameConstraints cannot be read"),
        ] {
            assert_eq!(problem.to_string(), text);
        }
        use LeafProblem as L;
        for (problem, text) in [
            (L::Ca, "it is a CA's"),
            (L::KeyCertSign, "its key may sign certificates"),
            (L::CrlSign, "its key may sign revocation lists"),
            (L::KeyUsage, "it has no critical KeyUsage"),
            (L::DigitalSignature, "its KeyUsage lacks digitalSignature"),
            (L::ExtendedKeyUsage, "its ExtendedKeyUsage lacks serverAuth or clientAuth"),
            (L::SubjectAltName, "its subject is empty and its SubjectAltName is not critical"),
            (L::UnknownExtension, "it has an unknown critical extension"),
        ] {
            assert_eq!(problem.to_string(), text);
        }
        use SignerProblem as S;
        for (problem, text) in [
            (S::NotCa, "it is not a CA's"),
            (S::KeyCertSign, "its key may not sign certificates"),
            (S::KeyUsage, "it has no critical KeyUsage"),
            (S::Path, "its SPIFFE ID has a path"),
            (S::Uri, "its URI is not the ID of the trust domain"),
            (S::UriCount, "it has more than one URI"),
            (S::PermittedIds, "its list of permitted SPIFFE IDs cannot be read"),
            (S::UnknownExtension, "it has an unknown critical extension"),
        ] {
            assert_eq!(problem.to_string(), text);
        }
    }
}
