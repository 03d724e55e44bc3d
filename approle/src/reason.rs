//! Why a login or a token was refused.

use keyward_config_values::ErrorKind;
use serde::{Deserialize, Serialize};

/// The one text that every refused AppRole login answers with, whatever the [`Reason`].
pub const LOGIN_REFUSED: &str = "invalid role-id or secret-id";

/// The one text that every refused token answers with, whatever the [`Reason`].
pub const TOKEN_REFUSED: &str = "invalid or expired token";

/// Why a login or a token was refused.
///
/// This is for the audit log. A caller who proved nothing must not be able to tell the reasons
/// apart: answer [`LOGIN_REFUSED`] or [`TOKEN_REFUSED`] instead. `NotRenewable` and `Disabled` are
/// only ever found out by the holder of a valid token, who may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// No role has the presented role-id.
    #[error("no role has this role-id")]
    UnknownRole,
    /// The role exists, the secret-id is not one of its own.
    #[error("the secret-id is not one of this role")]
    WrongSecret,
    /// No token like the one presented is stored: it never was, was revoked, or expired long ago.
    #[error("no such token")]
    UnknownToken,
    /// The secret-id or the token has expired.
    #[error("expired")]
    Expired,
    /// The secret-id or the token has no use left.
    #[error("no use left")]
    UsedUp,
    /// A token that this one was made from was revoked or has expired.
    #[error("a token that it was made from was revoked or has expired")]
    ParentEnded,
    /// The source address is outside the bound ranges.
    #[error("the source address is not allowed")]
    WrongAddress,
    /// No pattern of the configuration matches the SPIFFE ID.
    #[error("no pattern matches the SPIFFE ID")]
    NoPattern,
    /// The token cannot be refreshed.
    #[error("the token is not renewable")]
    NotRenewable,
    /// The role or the user that the token was issued to is gone or disabled.
    #[error("the role or user of the token is gone or disabled")]
    Disabled,
}

impl Reason {
    /// A stable code for the audit log, for example `wrong-address`. Equal to the serialized form.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::UnknownRole => "unknown-role",
            Self::WrongSecret => "wrong-secret",
            Self::UnknownToken => "unknown-token",
            Self::Expired => "expired",
            Self::UsedUp => "used-up",
            Self::ParentEnded => "parent-ended",
            Self::WrongAddress => "wrong-address",
            Self::NoPattern => "no-pattern",
            Self::NotRenewable => "not-renewable",
            Self::Disabled => "disabled",
        }
    }

    /// Always [`ErrorKind::Refused`].
    #[must_use]
    pub fn kind(self) -> ErrorKind {
        ErrorKind::Refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_equal_the_serialized_form_and_differ() {
        let all = [
            Reason::UnknownRole,
            Reason::WrongSecret,
            Reason::UnknownToken,
            Reason::Expired,
            Reason::UsedUp,
            Reason::ParentEnded,
            Reason::WrongAddress,
            Reason::NoPattern,
            Reason::NotRenewable,
            Reason::Disabled,
        ];
        let mut codes = std::collections::BTreeSet::new();
        for reason in all {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.code());
            assert_eq!(reason.kind(), ErrorKind::Refused);
            codes.insert(reason.code());
        }
        assert_eq!(codes.len(), all.len());
    }

    #[test]
    fn texts() {
        assert_eq!(Reason::UnknownRole.to_string(), "no role has this role-id");
        assert_eq!(Reason::WrongSecret.to_string(), "the secret-id is not one of this role");
        assert_eq!(Reason::UnknownToken.to_string(), "no such token");
        assert_eq!(Reason::Expired.to_string(), "expired");
        assert_eq!(Reason::UsedUp.to_string(), "no use left");
        assert_eq!(Reason::ParentEnded.to_string(), "a token that it was made from was revoked or has expired");
        assert_eq!(Reason::WrongAddress.to_string(), "the source address is not allowed");
        assert_eq!(Reason::NoPattern.to_string(), "no pattern matches the SPIFFE ID");
        assert_eq!(Reason::NotRenewable.to_string(), "the token is not renewable");
        assert_eq!(Reason::Disabled.to_string(), "the role or user of the token is gone or disabled");
    }
}
