//! What can go wrong, and whose fault it is.

use crate::{Algorithm, HashFunction, KeyType};

/// Whose fault an error is: enough to choose between 400, 401 and 500 without a match on variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input is not what it claims to be: wrong syntax, wrong type, wrong length.
    Malformed,
    /// The input is well-formed and was judged: a wrong signature, a key too small.
    Refused,
    /// The program or its configuration asks for something that cannot be.
    Misconfigured,
    /// The operation failed for a reason outside the input; it may succeed later.
    Unavailable,
}

/// Every error of this crate. No text ever holds secret material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name that is no JOSE signature algorithm known here (RFC 7518 §3.1, RFC 8037 §3.1).
    #[error("unknown signature algorithm `{name}`")]
    UnknownAlgorithm {
        /// The name as given, shortened and escaped.
        name: String,
    },
    /// A name that is no key type known here.
    #[error("unknown key type `{name}`: give one of {}", listed())]
    UnknownKeyType {
        /// The name as given, shortened and escaped.
        name: String,
    },
    /// A name that is no hash function known here.
    #[error("unknown hash function `{name}`")]
    UnknownHash {
        /// The name as given, shortened and escaped.
        name: String,
    },
    /// Bytes of a length that cannot be.
    #[error("a {what} of {found} bytes is not accepted, only {accepted}")]
    Length {
        /// What was given.
        what: &'static str,
        /// Its bytes.
        found: usize,
        /// What would be accepted.
        accepted: &'static str,
    },
    /// The bytes are not the encoding they should be.
    #[error("not a valid {what}")]
    Encoding {
        /// The encoding expected, for example ``DER `SubjectPublicKeyInfo` ``.
        what: &'static str,
    },
    /// A key of a type, curve or encoding that is not supported.
    #[error("{what} `{found}` is not supported")]
    Unsupported {
        /// What was looked at, for example `curve`.
        what: &'static str,
        /// What was found there, shortened and escaped.
        found: String,
    },
    /// The RSA modulus has a size that is not accepted.
    #[error("an RSA modulus of {bits} bits is not accepted, only {accepted}")]
    RsaSize {
        /// Bits of the modulus.
        bits: usize,
        /// What would be accepted.
        accepted: &'static str,
    },
    /// The public key's values make no key that could be trusted: an even RSA modulus or exponent, an exponent of 1 or of
    /// more than 33 bits, a modulus from generators known to be broken (CVE-2017-15361), an Ed25519 point of small order, under which anything verifies.
    #[error("the {key} public key is not usable: {reason}")]
    Unusable {
        /// `RSA` or `Ed25519`.
        key: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The coordinates are no point of the curve.
    #[error("the point is not on curve `{curve}`")]
    NotOnCurve {
        /// JOSE name of the curve.
        curve: &'static str,
    },
    /// The private key's parts do not belong together.
    #[error("the private key is not valid")]
    InvalidPrivateKey,
    /// A JWK lacks a member that its `kty` demands.
    #[error("the JWK has no member `{member}`")]
    JwkMissing {
        /// The member's name.
        member: &'static str,
    },
    /// A member of a JWK has a value that cannot be.
    #[error("JWK member `{member}` {reason}")]
    JwkInvalid {
        /// The member's name.
        member: &'static str,
        /// What is wrong with it; never the value.
        reason: &'static str,
    },
    /// The algorithm cannot be used with the key (RFC 7518 §3).
    #[error("algorithm `{algorithm}` does not fit a key of type `{key}`")]
    AlgorithmMismatch {
        /// The algorithm asked for.
        algorithm: Algorithm,
        /// The key's `kty`, or its curve where it has one.
        key: &'static str,
    },
    /// Keys of this type cannot do that.
    #[error("a key of type `{key}` cannot {operation}")]
    CannotDo {
        /// The key's `kty`, or its curve where it has one.
        key: &'static str,
        /// What was asked for.
        operation: &'static str,
    },
    /// The hash function cannot be used there.
    #[error("the hash function `{hash}` cannot be used with {with}")]
    HashMismatch {
        /// The hash function asked for.
        hash: HashFunction,
        /// With what, for example `RSA-OAEP`.
        with: &'static str,
    },
    /// The plaintext is longer than RSA encrypts with this key (RFC 8017 §7.1.1).
    #[error("the plaintext has {found} bytes, but the RSA key encrypts at most {longest}")]
    PlaintextTooLong {
        /// Bytes of the plaintext.
        found: usize,
        /// The most that it may have.
        longest: usize,
    },
    /// A signer without a key ID could not be told apart from another.
    #[error("a key ID must not be empty")]
    EmptyKeyId,
    /// The signature is not one of this key over this message.
    #[error("the signature does not verify")]
    BadSignature,
    /// Decryption failed: wrong key, nonce, associated data or ciphertext. Which one is not said.
    #[error("decryption failed")]
    DecryptionFailed,
    /// The crypto backend failed, for example because the system has no randomness.
    #[error("the crypto backend failed at {operation}")]
    Backend {
        /// What it was doing.
        operation: &'static str,
    },
    /// A [`Signer`](crate::Signer) that is not ours failed. For implementers of that trait; the reason must hold no secret.
    #[error("the signer failed: {reason}")]
    SignerFailed {
        /// The signer's own words.
        reason: String,
    },
}

impl Error {
    /// Whose fault it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownAlgorithm { .. }
            | Self::UnknownKeyType { .. }
            | Self::UnknownHash { .. }
            | Self::Length { .. }
            | Self::Encoding { .. }
            | Self::Unsupported { .. }
            | Self::NotOnCurve { .. }
            | Self::InvalidPrivateKey
            | Self::JwkMissing { .. }
            | Self::JwkInvalid { .. } => ErrorKind::Malformed,
            Self::RsaSize { .. }
            | Self::Unusable { .. }
            | Self::AlgorithmMismatch { .. }
            | Self::CannotDo { .. }
            | Self::HashMismatch { .. }
            | Self::PlaintextTooLong { .. }
            | Self::BadSignature
            | Self::DecryptionFailed => ErrorKind::Refused,
            Self::EmptyKeyId => ErrorKind::Misconfigured,
            Self::Backend { .. } | Self::SignerFailed { .. } => ErrorKind::Unavailable,
        }
    }
}

/// Foreign text as it may stand in an error: at most 64 characters, control characters escaped.
pub(crate) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 64;
    let mut shown: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// What could have been meant.
fn listed() -> String {
    KeyType::ALL.iter().map(|kind| format!("`{kind}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_kinds() {
        let cases = [
            (
                Error::UnknownAlgorithm { name: "none".into() },
                "unknown signature algorithm `none`",
                ErrorKind::Malformed,
            ),
            (
                Error::Encoding { what: "DER `SubjectPublicKeyInfo`" },
                "not a valid DER `SubjectPublicKeyInfo`",
                ErrorKind::Malformed,
            ),
            (
                Error::Unsupported { what: "curve", found: "P-192".into() },
                "curve `P-192` is not supported",
                ErrorKind::Malformed,
            ),
            (
                Error::RsaSize { bits: 1024, accepted: "2048 to 8192" },
                "an RSA modulus of 1024 bits is not accepted, only 2048 to 8192",
                ErrorKind::Refused,
            ),
            (Error::JwkMissing { member: "kty" }, "the JWK has no member `kty`", ErrorKind::Malformed),
            (
                Error::AlgorithmMismatch { algorithm: Algorithm::Es256, key: "P-384" },
                "algorithm `ES256` does not fit a key of type `P-384`",
                ErrorKind::Refused,
            ),
            (
                Error::Length { what: "symmetric key", found: 31, accepted: "32" },
                "a symmetric key of 31 bytes is not accepted, only 32",
                ErrorKind::Malformed,
            ),
            (
                Error::CannotDo { key: "Ed25519", operation: "encrypt" },
                "a key of type `Ed25519` cannot encrypt",
                ErrorKind::Refused,
            ),
            (
                Error::HashMismatch { hash: HashFunction::Sha3_256, with: "RSA-OAEP" },
                "the hash function `sha3-256` cannot be used with RSA-OAEP",
                ErrorKind::Refused,
            ),
            (
                Error::PlaintextTooLong { found: 191, longest: 190 },
                "the plaintext has 191 bytes, but the RSA key encrypts at most 190",
                ErrorKind::Refused,
            ),
            (Error::EmptyKeyId, "a key ID must not be empty", ErrorKind::Misconfigured),
            (Error::BadSignature, "the signature does not verify", ErrorKind::Refused),
            (Error::DecryptionFailed, "decryption failed", ErrorKind::Refused),
            (Error::Backend { operation: "signing" }, "the crypto backend failed at signing", ErrorKind::Unavailable),
            (Error::SignerFailed { reason: "timeout".into() }, "the signer failed: timeout", ErrorKind::Unavailable),
        ];
        for (error, text, kind) in cases {
            assert_eq!(error.to_string(), text);
            assert_eq!(error.kind(), kind);
        }
        fn thrown_anywhere<T: Send + Sync + 'static>() {}
        thrown_anywhere::<Error>();
    }

    #[test]
    fn excerpts_are_short_and_printable() {
        assert_eq!(excerpt("ES256"), "ES256");
        assert_eq!(excerpt("a\nb"), "a\\nb");
        assert_eq!(excerpt(&"x".repeat(64)), "x".repeat(64));
        assert_eq!(excerpt(&"x".repeat(65)), format!("{}…", "x".repeat(64)));
    }
}
