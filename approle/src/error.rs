//! What can be wrong with documents, values and stored records.
//!
//! Refused logins and tokens are not errors but decisions: see [`crate::Reason`].

use core::fmt;

use keyward_config_values::record::RecordError;
use keyward_config_values::{Cidr, Duration, ErrorKind, Name, VariableName};

use crate::policy::{PatternProblem, VaultPolicyError};

/// An error of this crate. No text contains a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A document has fields that cannot be accepted.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// A role-id has the wrong length or holds a character outside visible ASCII.
    #[error("a role-id is 1 to 255 visible ASCII characters")]
    RoleId,
    /// An accessor is not 32 lower-case hexadecimal digits.
    #[error("an accessor is 32 lower-case hexadecimal digits")]
    Accessor,
    /// A supplied secret-id is shorter than 128 bits.
    #[error("a supplied secret-id has {bits} bits, at least {minimum} are needed")]
    SecretIdTooShort {
        /// Length of what was supplied, in bits.
        bits: usize,
        /// The least length, in bits.
        minimum: usize,
    },
    /// A supplied secret-id is too long.
    #[error("a supplied secret-id has {bytes} bytes, at most {maximum} are allowed")]
    SecretIdTooLong {
        /// Length of what was supplied, in bytes.
        bytes: usize,
        /// The greatest length, in bytes.
        maximum: usize,
    },
    /// A supplied secret-id holds a control character.
    #[error("a supplied secret-id must not hold control characters")]
    SecretIdControl,
    /// A chosen token is too short, too long, or holds what none can hold.
    #[error("a chosen token has 16 to 1024 visible ASCII characters, none of them a `.`")]
    TokenId,
    /// A path pattern cannot be accepted.
    #[error("invalid path pattern `{pattern}`: {problem}")]
    Pattern {
        /// The pattern as it was given.
        pattern: String,
        /// What is wrong with it.
        problem: PatternProblem,
    },
    /// The name of a field that is to be hidden cannot be accepted.
    #[error(
        "a hidden field is named by words of letters, digits, `-` and `_`, joined by dots, at most 8; write one such as `data` or `auto-rotate.rotate-after`"
    )]
    HiddenField,
    /// The path of a request is not in the canonical form that policies are written for.
    #[error("a path to be authorized starts with `/`, has no empty, `.` or `..` segment and no escapes")]
    RequestPath,
    /// A token whose uses are counted was to make another one, which could be used without end.
    #[error("a token with a limited number of uses makes no other tokens")]
    Counted,
    /// A batch token was to make another one.
    #[error("a batch token makes no other tokens")]
    Batch,
    /// A batch token was to be an orphan.
    #[error("a batch token is made as a child: nothing else could end an orphan before its time")]
    Orphan,
    /// A token has as many ancestors as there can be.
    #[error("a token has at most {maximum} ancestors; make an orphan, or use one of them")]
    Ancestors {
        /// The greatest number.
        maximum: usize,
    },
    /// A stored record is not read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl Error {
    /// Who has to act: the caller (`Malformed`; `Refused` for what the presented token cannot do) or the
    /// operator (`Misconfigured`).
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Record(error) => error.kind(),
            Self::Counted | Self::Batch | Self::Orphan | Self::Ancestors { .. } => ErrorKind::Refused,
            _ => ErrorKind::Malformed,
        }
    }
}

/// Everything that is wrong with one document: at least one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    problems: Vec<FieldError>,
}

impl Invalid {
    /// `Ok` when nothing was found.
    pub(crate) fn check(problems: Vec<FieldError>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self { problems }) }
    }

    /// The fields and what is wrong with each, in the order of the document.
    #[must_use]
    pub fn problems(&self) -> &[FieldError] {
        &self.problems
    }

    /// Always [`ErrorKind::Malformed`]: the document has to be changed.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Malformed
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl core::error::Error for Invalid {}

/// One field of a document and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    field: String,
    problem: Problem,
}

impl FieldError {
    pub(crate) fn new(field: impl Into<String>, problem: Problem) -> Self {
        Self { field: field.into(), problem }
    }

    /// The field as the document names it, for example `token-spiffe-jwt.jwt-audiences`.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }

    /// What is wrong with it.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.problem
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.field, self.problem)
    }
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A duration is longer than another one allows.
    #[error("is `{value}`, longer than {of} (`{limit}`)")]
    LongerThan {
        /// The duration of the field.
        value: Duration,
        /// The longest one allowed.
        limit: Duration,
        /// Where the limit comes from.
        of: Limit,
    },
    /// A number of uses is greater than the role allows; 0 means unlimited.
    #[error("is {value}, the role allows at most {limit}")]
    MoreUses {
        /// The number of the field.
        value: u32,
        /// The greatest number allowed.
        limit: u32,
    },
    /// A token was asked to give what it does not have itself.
    #[error("names `{policy}`, which the token that asks does not have")]
    NotHeld {
        /// The policy.
        policy: Name,
    },
    /// A range is not inside those that are allowed.
    #[error("names `{range}`, which is not inside {of}")]
    Outside {
        /// The range.
        range: Cidr,
        /// Where the allowed ones are.
        of: Limit,
    },
    /// A variable that is built in by its first word, and that nobody ever has.
    #[error(
        "has `${{{variable}}}`, which never has a value: built in are `tenant`, `approle`, `user`, `site`, `site.label.<name>`, `metadata.<key>`, `spiffe-id`, `spiffe-id.trust-domain` and `spiffe-id.path[0]`"
    )]
    NeverBound {
        /// The variable.
        variable: VariableName,
    },
    /// It is for administrators.
    #[error("can be chosen by an administrator alone")]
    AdministratorOnly,
    /// A policy of Vault or OpenBao that cannot be said in rules.
    #[error("cannot be understood: {error}")]
    VaultPolicy {
        /// Why not.
        error: VaultPolicyError,
    },
    /// The text and the rules of a policy differ.
    #[error("comes to other rules than those of `rest-api.rules`: leave it out, or write what it comes to")]
    OtherRules,
    /// A list has too few or too many entries.
    #[error("has {found} entries, {minimum} to {maximum} are allowed")]
    Entries {
        /// Number of entries found.
        found: usize,
        /// Least number allowed.
        minimum: usize,
        /// Greatest number allowed.
        maximum: usize,
    },
    /// An entry occurs twice.
    #[error("names `{entry}` twice")]
    Twice {
        /// The repeated entry.
        entry: String,
    },
    /// An entry is the same as an earlier one of the list.
    #[error("is `{entry}`, as an earlier one is")]
    Again {
        /// The repeated entry.
        entry: String,
    },
    /// A pattern is of another trust domain than the document.
    #[error("is of the trust domain `{found}`, the document is for `{expected}`")]
    TrustDomain {
        /// That of the pattern.
        found: String,
        /// That of the document.
        expected: String,
    },
    /// A text is empty, too long or holds control characters.
    #[error("must be 1 to {maximum} bytes without control characters")]
    Text {
        /// Greatest length in bytes.
        maximum: usize,
    },
    /// A value that serves as a secret is too short for one.
    #[error("has {bits} bits, at least {minimum} are needed where it serves as the secret")]
    TooShort {
        /// Length in bits.
        bits: usize,
        /// Least length in bits.
        minimum: usize,
    },
    /// Two fields that exclude each other are both set.
    #[error("cannot be set together with `{other}`")]
    Excludes {
        /// The other field.
        other: &'static str,
    },
    /// The names, ranges and metadata that a batch token would carry are too long together.
    #[error("would put {found} bytes of policies, ranges and metadata into each token, at most {maximum} are allowed")]
    TooMuchForBatch {
        /// Their length.
        found: usize,
        /// The greatest length.
        maximum: usize,
    },
    /// The field or value is known and belongs to a later release.
    #[error("is not supported by this release")]
    NotSupported,
    /// A name that is built in.
    #[error("is `{name}`, which is built in and cannot be configured")]
    BuiltIn {
        /// The name.
        name: Name,
    },
    /// A replaced document has another name than the one it replaces.
    #[error("is `{found}`, but the role's name is `{expected}`")]
    Renamed {
        /// The name in the document.
        found: Name,
        /// The name it must have.
        expected: Name,
    },
}

/// Where the limit of a duration comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// Another field of the same document.
    Field(&'static str),
    /// A field of the role that the request is for.
    Role(&'static str),
    /// A limit that is the same for everyone.
    Fixed(&'static str),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, "`{name}`"),
            Self::Role(name) => write!(f, "the role's `{name}`"),
            Self::Fixed(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_say_who_has_to_act() {
        assert_eq!(Error::RoleId.kind(), ErrorKind::Malformed);
        assert_eq!(Error::RequestPath.kind(), ErrorKind::Malformed);
        assert_eq!(Error::from(RecordError::Damaged { record: "role" }).kind(), ErrorKind::Misconfigured);
    }

    #[test]
    fn fields_can_be_read_one_by_one() {
        assert!(Invalid::check(Vec::new()).is_ok());
        let problems = vec![
            FieldError::new("a", Problem::NotSupported),
            FieldError::new("b.c", Problem::Twice { entry: "d".to_owned() }),
        ];
        let invalid = Invalid::check(problems).unwrap_err();
        let fields: Vec<&str> = invalid.problems().iter().map(FieldError::field).collect();
        assert_eq!(fields, ["a", "b.c"]);
        assert_eq!(invalid.problems()[0].problem(), &Problem::NotSupported);
        let text = "`a` is not supported by this release; `b.c` names `d` twice";
        assert_eq!(invalid.to_string(), text);
        assert_eq!(Error::from(invalid).to_string(), text);
    }

    #[test]
    fn errors_travel() {
        fn travels<T: Send + Sync + 'static>() {}
        travels::<Error>();
        travels::<Invalid>();
        travels::<crate::Reason>();
    }
}
