//! What a ring refuses, and why.

use keyward_config_values::moment;
use keyward_keys::{ErrorKind, HashFunction};
use time::OffsetDateTime;

use crate::{Cipher, OptionError, RecordError, ScheduleError};

/// Why a ring, or the issuing state of a tenant, did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A version is pending already; the next can be created when it is active.
    #[error("version {version} is pending until {}: rotate again after that", moment(*.activates))]
    Pending {
        /// The pending version.
        version: u32,
        /// When it becomes active.
        activates: OffsetDateTime,
    },
    /// The version handed in is not the next one: another commit was faster.
    #[error("version {given} was handed in, but the next version of the ring is {expected}")]
    UnexpectedVersion {
        /// The number handed in.
        given: u32,
        /// The number of the next version.
        expected: u32,
    },
    /// The key handed in is not one of the ring's cipher.
    #[error("the key handed in is no `{cipher}` key")]
    WrongMaterial {
        /// The cipher of the ring.
        cipher: Cipher,
    },
    /// The key handed in is one that the ring had already.
    #[error("the ring already had the key with the ID `{kid}`, and key IDs are never reused")]
    KidReused {
        /// The key ID (RFC 7638 thumbprint).
        kid: String,
    },
    /// A field of the configuration cannot change.
    #[error("`{field}` of a ring cannot change from `{from}` to `{to}`")]
    Immutable {
        /// The field.
        field: &'static str,
        /// Its value.
        from: String,
        /// The value asked for.
        to: String,
    },
    /// Rings of this cipher cannot do that.
    #[error("a ring with the cipher `{cipher}` cannot {operation}")]
    Unsupported {
        /// What was asked for.
        operation: &'static str,
        /// The cipher of the ring.
        cipher: Cipher,
    },
    /// A ring that signs JWTs does nothing else: whoever could have it sign any text could forge identities, and what it
    /// encrypted would be lost with its keys.
    #[error("a ring used as `jwt-signing-key` signs tokens and refuses everything else")]
    SignsJwts,
    /// A ring that derives its keys has no key of its own to do that with.
    #[error("a ring with `derived: true` cannot {operation}")]
    Derived {
        /// What was asked for.
        operation: &'static str,
    },
    /// A context belongs to rings that derive their keys, and to those alone: elsewhere it would bind nothing.
    #[error("a `context` is {}", context(*.derived))]
    Context {
        /// Whether the ring derives its keys.
        derived: bool,
    },
    /// RSA encrypts without associated data, which would bind nothing.
    #[error("a ring with the cipher `{cipher}` takes no associated data")]
    NoAssociatedData {
        /// The cipher of the ring.
        cipher: Cipher,
    },
    /// The version asked for cannot encrypt, sign or make an HMAC, or is not there to be exported.
    #[error("version {version} {reason}")]
    Version {
        /// The version.
        version: u32,
        /// Why not.
        reason: &'static str,
    },
    /// A lowest version that would lock out the active one, or that contradicts the other.
    #[error("`{field}` is {found}, but must be from {least} to {most}")]
    LowestVersion {
        /// The setting.
        field: &'static str,
        /// The value asked for.
        found: u32,
        /// The least that it can be.
        least: u32,
        /// The most that it can be.
        most: u32,
    },
    /// The ring's configuration forbids that.
    #[error("`{field}` of the ring is false, so it does not {operation}")]
    NotAllowed {
        /// The field of the configuration.
        field: &'static str,
        /// What was asked for.
        operation: &'static str,
    },
    /// A name that stands for nothing there.
    #[error("`{found}` is no {what}, only {accepted}")]
    Unknown {
        /// What should be named, for example `marshaling`.
        what: &'static str,
        /// The name given, cut to 40 characters and escaped.
        found: String,
        /// The names that there are.
        accepted: &'static str,
    },
    /// More or fewer bytes than can be had.
    #[error("`{field}` is {found}, but must be {accepted}")]
    Size {
        /// What was given.
        field: &'static str,
        /// Its value.
        found: usize,
        /// What would be accepted.
        accepted: &'static str,
    },
    /// The cipher does not sign with that hash function.
    #[error("a ring with the cipher `{cipher}` does not sign with the hash function `{hash}`")]
    SignOptions {
        /// The cipher of the ring.
        cipher: Cipher,
        /// The hash function asked for.
        hash: HashFunction,
    },
    /// A salt of that length is verified, but not made.
    #[error("a salt of {found} bytes cannot be made, only one as long as the digest, {possible} bytes")]
    SaltLength {
        /// The length asked for.
        found: usize,
        /// That of the digest.
        possible: usize,
    },
    /// The wrapped key is not one for this wrapping key, or wraps no key of the cipher. There is no second reason.
    #[error("the wrapped key cannot be imported as a `{cipher}` key")]
    ImportRefused {
        /// The cipher of the ring.
        cipher: Cipher,
    },
    /// The ring makes no keys.
    #[error("`imported-only` of the ring is true: import the next key instead of rotating")]
    ImportedOnly,
    /// No version is active.
    #[error("no version of ring `{ring}` is active{}", after(.from))]
    NotActive {
        /// The ring.
        ring: String,
        /// From when a version will be, if one exists.
        from: Option<OffsetDateTime>,
    },
    /// The site was without contact for so long that what it signs might not verify.
    #[error("cut off since {}: signing ended at {} and needs contact first", moment(*.last_contact), moment(*.until))]
    CutOff {
        /// The last contact.
        last_contact: OffsetDateTime,
        /// When signing ended.
        until: OffsetDateTime,
    },
    /// The ciphertext is not one that this ring made with this associated data. There is no
    /// second reason.
    #[error("decryption failed")]
    DecryptionFailed,
    /// The signature is not one that this ring made of this message with a version that still
    /// verifies. There is no second reason.
    #[error("the signature does not verify")]
    SignatureRefused,
    /// The text is neither a signature nor an HMAC, of whatever message: told to those alone who ask for it by
    /// [`Verify::check_form`](crate::operation::Verify::check_form).
    #[error("the text cannot be a signature: {problem}")]
    SignatureForm {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The version is in use and cannot be trimmed or destroyed.
    #[error("version {version} is still needed")]
    StillNeeded {
        /// The version.
        version: u32,
    },
    /// The tenant has no `jwt-signing-key`, or the ring that it names is not at hand.
    #[error("there is no `jwt-signing-key` to sign with")]
    NoSigningRing,
    /// The options of the configuration do not go together.
    #[error(transparent)]
    Options(#[from] OptionError),
    /// The ring cannot be written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The schedule would break a verifier.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The key or the crypto backend failed.
    #[error(transparent)]
    Keys(#[from] keyward_keys::Error),
}

fn after(time: &Option<OffsetDateTime>) -> String {
    time.as_ref().map_or_else(String::new, |time| format!(" before {}", moment(*time)))
}

fn context(derived: bool) -> &'static str {
    if derived { "needed: the ring derives its keys" } else { "not taken: the ring does not derive its keys" }
}

impl Error {
    /// The class of the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Pending { .. }
            | Error::UnexpectedVersion { .. }
            | Error::KidReused { .. }
            | Error::SignsJwts
            | Error::Version { .. }
            | Error::NotAllowed { .. }
            | Error::ImportedOnly
            | Error::ImportRefused { .. }
            | Error::DecryptionFailed
            | Error::SignatureRefused
            | Error::StillNeeded { .. } => ErrorKind::Refused,
            Error::Context { .. }
            | Error::NoAssociatedData { .. }
            | Error::LowestVersion { .. }
            | Error::Unknown { .. }
            | Error::Size { .. }
            | Error::SignOptions { .. }
            | Error::SignatureForm { .. }
            | Error::SaltLength { .. } => ErrorKind::Malformed,
            Error::WrongMaterial { .. }
            | Error::Derived { .. }
            | Error::Immutable { .. }
            | Error::Unsupported { .. }
            | Error::NoSigningRing => ErrorKind::Misconfigured,
            Error::NotActive { .. } | Error::CutOff { .. } => ErrorKind::Unavailable,
            Error::Options(error) => error.kind(),
            Error::Record(error) => error.kind(),
            Error::Schedule(error) => error.kind(),
            Error::Keys(error) => error.kind(),
        }
    }

    /// A name that stands for nothing.
    pub(crate) fn unknown(what: &'static str, found: &str, accepted: &'static str) -> Self {
        Error::Unknown { what, found: found.chars().take(40).flat_map(char::escape_debug).collect(), accepted }
    }

    /// Whether the request was fine, but contradicts what another one did before it (409 in HTTP).
    pub fn is_conflict(&self) -> bool {
        matches!(self, Error::Pending { .. } | Error::UnexpectedVersion { .. } | Error::KidReused { .. })
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn texts_and_kinds() {
        let at = datetime!(2026-03-02 00:00 UTC);
        let cases = [
            (
                Error::Pending { version: 2, activates: at },
                "version 2 is pending until 2026-03-02T00:00:00Z: rotate again after that",
                ErrorKind::Refused,
            ),
            (
                Error::UnexpectedVersion { given: 2, expected: 3 },
                "version 2 was handed in, but the next version of the ring is 3",
                ErrorKind::Refused,
            ),
            (
                Error::WrongMaterial { cipher: Cipher::Rsa2048 },
                "the key handed in is no `rsa-2048` key",
                ErrorKind::Misconfigured,
            ),
            (
                Error::Immutable { field: "cipher", from: "ed25519".into(), to: "rsa-2048".into() },
                "`cipher` of a ring cannot change from `ed25519` to `rsa-2048`",
                ErrorKind::Misconfigured,
            ),
            (
                Error::Unsupported { operation: "encrypt", cipher: Cipher::EcdsaP256 },
                "a ring with the cipher `ecdsa-p256` cannot encrypt",
                ErrorKind::Misconfigured,
            ),
            (
                Error::NotActive { ring: "a".into(), from: Some(at) },
                "no version of ring `a` is active before 2026-03-02T00:00:00Z",
                ErrorKind::Unavailable,
            ),
            (
                Error::NotActive { ring: "a".into(), from: None },
                "no version of ring `a` is active",
                ErrorKind::Unavailable,
            ),
            (
                Error::CutOff { last_contact: at, until: at },
                "cut off since 2026-03-02T00:00:00Z: signing ended at 2026-03-02T00:00:00Z and needs contact first",
                ErrorKind::Unavailable,
            ),
            (
                Error::Derived { operation: "sign tokens" },
                "a ring with `derived: true` cannot sign tokens",
                ErrorKind::Misconfigured,
            ),
            (
                Error::Context { derived: true },
                "a `context` is needed: the ring derives its keys",
                ErrorKind::Malformed,
            ),
            (
                Error::Context { derived: false },
                "a `context` is not taken: the ring does not derive its keys",
                ErrorKind::Malformed,
            ),
            (
                Error::NoAssociatedData { cipher: Cipher::Rsa2048 },
                "a ring with the cipher `rsa-2048` takes no associated data",
                ErrorKind::Malformed,
            ),
            (Error::Version { version: 3, reason: "is not active" }, "version 3 is not active", ErrorKind::Refused),
            (
                Error::LowestVersion { field: "min-decryption-version", found: 4, least: 1, most: 3 },
                "`min-decryption-version` is 4, but must be from 1 to 3",
                ErrorKind::Malformed,
            ),
            (
                Error::NotAllowed { field: "exportable", operation: "export keys" },
                "`exportable` of the ring is false, so it does not export keys",
                ErrorKind::Refused,
            ),
            (
                Error::Size { field: "bits", found: 64, accepted: "128, 256 or 512" },
                "`bits` is 64, but must be 128, 256 or 512",
                ErrorKind::Malformed,
            ),
            (
                Error::SignOptions { cipher: Cipher::Rsa2048, hash: HashFunction::Sha3_256 },
                "a ring with the cipher `rsa-2048` does not sign with the hash function `sha3-256`",
                ErrorKind::Malformed,
            ),
            (
                Error::SaltLength { found: 222, possible: 32 },
                "a salt of 222 bytes cannot be made, only one as long as the digest, 32 bytes",
                ErrorKind::Malformed,
            ),
            (
                Error::ImportRefused { cipher: Cipher::Ed25519 },
                "the wrapped key cannot be imported as a `ed25519` key",
                ErrorKind::Refused,
            ),
            (Error::DecryptionFailed, "decryption failed", ErrorKind::Refused),
            (Error::SignatureRefused, "the signature does not verify", ErrorKind::Refused),
            (
                Error::SignatureForm { problem: "it is not base64" },
                "the text cannot be a signature: it is not base64",
                ErrorKind::Malformed,
            ),
            (Error::StillNeeded { version: 1 }, "version 1 is still needed", ErrorKind::Refused),
            (Error::NoSigningRing, "there is no `jwt-signing-key` to sign with", ErrorKind::Misconfigured),
            (
                Error::SignsJwts,
                "a ring used as `jwt-signing-key` signs tokens and refuses everything else",
                ErrorKind::Refused,
            ),
        ];
        for (error, text, kind) in cases {
            assert_eq!(error.to_string(), text);
            assert_eq!(error.kind(), kind, "{error}");
        }
        let error = Error::KidReused { kid: "k".into() };
        assert_eq!(error.to_string(), "the ring already had the key with the ID `k`, and key IDs are never reused");
        assert!(error.is_conflict() && !Error::SignsJwts.is_conflict());
        fn is_ours<T: Send + Sync + 'static>() {}
        is_ours::<Error>();
    }
}
