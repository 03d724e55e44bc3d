//! What can be wrong with values, documents and stored records.
//!
//! A step of a login that does not succeed is no error but an outcome: see [`crate::Reason`].

use keyward_config_values::ErrorKind;
use keyward_config_values::record::RecordError;

/// An error of this crate. No text contains a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What was given as an email address is none that this crate takes.
    #[error("`{input}` is no email address: {problem}")]
    Email {
        /// The text, shortened.
        input: String,
        /// What is wrong with it, and what to write.
        problem: &'static str,
    },
    /// What was given as the name of a method is none.
    #[error("`{input}` is no method; write `password`, `totp` or `passkey`")]
    Method {
        /// The text, shortened.
        input: String,
    },
    /// What was given as an authenticator is none.
    #[error("`{input}` is no authenticator; write `strongbox` or the name of a provider")]
    Authenticator {
        /// The text, shortened.
        input: String,
    },
    /// A login URL that is none.
    #[error(
        "this is not a login URL: {problem}; write `/login/<tenant>/<email>` or `/login/<tenant>/<email>/<authenticator>`"
    )]
    LoginUrl {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A place to go after the login that is not inside the site.
    #[error("`next` must be a path inside this site: {problem}")]
    Next {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A new password that is not accepted.
    #[error("the password is not accepted: {problem}")]
    NewPassword {
        /// What is wrong with it, and what to do.
        problem: &'static str,
    },
    /// A stored password hash that is not argon2 in the PHC form.
    #[error("a password hash is written in the PHC form of argon2, with at most 1 GiB, 16 passes and 16 lanes")]
    PasswordHash,
    /// A text from the browser that is no answer of WebAuthn.
    #[error("not a WebAuthn {expected} response: {problem}")]
    Response {
        /// `registration` or `authentication`.
        expected: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The relying party that was configured cannot work.
    #[error("relying party `{rp_id}`: {problem}")]
    RelyingParty {
        /// The identifier, a domain.
        rp_id: String,
        /// What is wrong, and what to do.
        problem: &'static str,
    },
    /// A name that people read, and that would not read as what it is.
    #[error(
        "what people read has at most 128 characters, each of which is seen as what it is: none of them controls, hides or turns text"
    )]
    DisplayName,
    /// A name of a passkey that is not accepted.
    #[error(
        "the name of a passkey has 1 to 64 characters, each of which is seen as what it is: none of them controls, hides or turns text"
    )]
    PasskeyName,
    /// A passkey that is not there.
    #[error("the user has no such passkey")]
    NoSuchPasskey,
    /// A change that would leave an enforced method without what proves it.
    #[error("the user's policy enforces this method; an administrator has to lift that first")]
    Enforced,
    /// A change that needs a login more recent than this one.
    #[error("this needs a login of the last {seconds} seconds; log in again")]
    StepUp {
        /// The greatest age.
        seconds: u64,
    },
    /// A setting out of its bounds.
    #[error("`{setting}` must be {bounds}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// What it may be.
        bounds: &'static str,
    },
    /// A provider of logins that cannot be used as it is configured.
    #[error("provider `{provider}`: {problem}")]
    Provider {
        /// Its name.
        provider: String,
        /// What is wrong, and what to do.
        problem: &'static str,
    },
    /// A key that is not 64 lower-case hexadecimal digits.
    #[error("a key is 64 lower-case hexadecimal digits")]
    Key,
    /// A stored record is not read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Something of the cryptography did not work that no caller can cause.
    #[error("{what} failed")]
    Internal {
        /// What it was.
        what: &'static str,
    },
}

impl Error {
    /// Who has to act: the caller (`Malformed`, `Refused`) or the operator (`Misconfigured`).
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Record(error) => error.kind(),
            Self::RelyingParty { .. } | Self::Setting { .. } | Self::Provider { .. } | Self::Internal { .. } => {
                ErrorKind::Misconfigured
            }
            Self::NewPassword { .. } | Self::NoSuchPasskey | Self::Enforced | Self::StepUp { .. } => ErrorKind::Refused,
            _ => ErrorKind::Malformed,
        }
    }
}

/// The beginning of what was given, for an error's text.
pub(crate) fn excerpt(input: &str) -> String {
    const SHOWN: usize = 64;
    let mut text: String = input.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if input.chars().nth(SHOWN).is_some() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_kinds() {
        let newer = Error::from(RecordError::NewerFormat { record: "user", found: 3, known: 1 });
        assert_eq!(newer.to_string(), "the stored user has format 3, this release knows formats up to 1");
        assert_eq!(newer.kind(), ErrorKind::Misconfigured);
        assert_eq!(
            Error::StepUp { seconds: 300 }.to_string(),
            "this needs a login of the last 300 seconds; log in again"
        );
        assert_eq!(Error::Enforced.kind(), ErrorKind::Refused);
        assert_eq!(Error::Method { input: "sms".into() }.kind(), ErrorKind::Malformed);
        assert_eq!(excerpt("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(excerpt(&"x".repeat(100)), format!("{}…", "x".repeat(64)));
    }
}
