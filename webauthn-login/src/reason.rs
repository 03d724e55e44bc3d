//! Why a step did not succeed.

use core::fmt;

/// What a person is told when a step fails on what they presented, whatever was wrong.
pub const LOGIN_REFUSED: &str = "that did not work; check what you entered, or choose another way to log in";

/// Why a step failed, for the audit log. The person is told [`LOGIN_REFUSED`] alone where [`Reason::is_told`] says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The login was not finished in time.
    Expired,
    /// The presented value does not belong to this login.
    ForeignCeremony,
    /// Too many attempts in one login.
    TooManyAttempts,
    /// No such user, or none with this method.
    UnknownUser,
    /// A wrong password.
    WrongPassword,
    /// The password that somebody else chose was to be set again.
    SamePassword,
    /// A wrong one-time password.
    WrongCode,
    /// What was entered at the setting up of a one-time password is not what the application should show.
    NotConfirmed,
    /// A one-time password that was used before.
    CodeUsed,
    /// A wrong or used recovery code.
    WrongRecoveryCode,
    /// The administrator locked the user.
    Locked,
    /// The user, or what proves who they are, was changed in the middle of the login.
    Changed,
    /// A user or a credential of another tenant.
    CrossTenant,
    /// The response names another user than the one the passkey belongs to.
    WrongUserHandle,
    /// No such passkey, or one that was removed.
    UnknownPasskey,
    /// The response was made for another challenge.
    WrongChallenge,
    /// The response was made for another origin.
    WrongOrigin,
    /// The response was made inside a frame of another site.
    CrossOrigin,
    /// The response was made for another relying party.
    WrongRelyingParty,
    /// The response is of another type.
    WrongType,
    /// The authenticator did not verify its user.
    NotVerified,
    /// The signature does not fit.
    WrongSignature,
    /// The counter did not grow: there may be a copy of the passkey.
    CounterWentBack,
    /// The backup state of a passkey contradicts what it was registered with.
    BackupState,
    /// The passkey is registered already.
    AlreadyRegistered,
    /// The user has as many passkeys as there can be.
    TooManyPasskeys,
    /// The response is otherwise not acceptable.
    BadResponse,
    /// What the policy enforces is missing, and nothing of this login may set it up.
    EnrolmentNeeded,
    /// The step is not one that the policy leaves open at this point.
    NotOffered,
    /// The authenticator cannot be used now.
    Unavailable,
    /// The answer of the provider belongs to another login, or comes from another provider.
    MixUp,
    /// The provider let nobody in.
    Declined,
    /// The provider's answer is not bound to a user.
    NotBound,
    /// The provider was told to ask who it is anew, and has not, or does not say so.
    NotAsked,
    /// The enrolment link was used, has expired or was never made.
    BadLink,
    /// The form was not made by this site for this browser.
    ForgedForm,
    /// The session has ended.
    SessionEnded,
}

impl Reason {
    /// A short name, for logs and metrics.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::ForeignCeremony => "foreign-ceremony",
            Self::TooManyAttempts => "too-many-attempts",
            Self::UnknownUser => "unknown-user",
            Self::WrongPassword => "wrong-password",
            Self::SamePassword => "same-password",
            Self::WrongCode => "wrong-code",
            Self::NotConfirmed => "not-confirmed",
            Self::CodeUsed => "code-used",
            Self::WrongRecoveryCode => "wrong-recovery-code",
            Self::Locked => "locked",
            Self::Changed => "changed",
            Self::CrossTenant => "cross-tenant",
            Self::WrongUserHandle => "wrong-user-handle",
            Self::UnknownPasskey => "unknown-passkey",
            Self::WrongChallenge => "wrong-challenge",
            Self::WrongOrigin => "wrong-origin",
            Self::CrossOrigin => "cross-origin",
            Self::WrongRelyingParty => "wrong-relying-party",
            Self::WrongType => "wrong-type",
            Self::NotVerified => "not-verified",
            Self::WrongSignature => "wrong-signature",
            Self::CounterWentBack => "counter-went-back",
            Self::BackupState => "backup-state",
            Self::AlreadyRegistered => "already-registered",
            Self::TooManyPasskeys => "too-many-passkeys",
            Self::BadResponse => "bad-response",
            Self::EnrolmentNeeded => "enrolment-needed",
            Self::NotOffered => "not-offered",
            Self::Unavailable => "unavailable",
            Self::MixUp => "mix-up",
            Self::Declined => "declined",
            Self::NotBound => "not-bound",
            Self::NotAsked => "not-asked",
            Self::BadLink => "bad-link",
            Self::ForgedForm => "forged-form",
            Self::SessionEnded => "session-ended",
        }
    }

    /// Whether the person may be told this reason. The others would tell a stranger who exists and what they use; that they are nobody here
    /// tells whoever proved at a provider who they are nothing of others.
    #[must_use]
    pub fn is_told(self) -> bool {
        matches!(
            self,
            Self::Expired
                | Self::TooManyAttempts
                | Self::SamePassword
                | Self::NotConfirmed
                | Self::AlreadyRegistered
                | Self::TooManyPasskeys
                | Self::EnrolmentNeeded
                | Self::Unavailable
                | Self::Declined
                | Self::NotBound
                | Self::NotAsked
                | Self::BadLink
                | Self::ForgedForm
                | Self::SessionEnded
        )
    }

    /// What the person is told.
    ///
    /// ```
    /// # use keyward_webauthn_login::{LOGIN_REFUSED, Reason};
    /// assert_eq!(Reason::UnknownUser.told(), LOGIN_REFUSED);
    /// assert_eq!(Reason::Locked.told(), LOGIN_REFUSED);
    /// assert_eq!(Reason::Expired.told(), "the login took too long, or is finished already; start again");
    /// ```
    #[must_use]
    pub fn told(self) -> &'static str {
        if self.is_told() { self.text() } else { LOGIN_REFUSED }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Expired => "the login took too long, or is finished already; start again",
            Self::ForeignCeremony => "the value belongs to another login",
            Self::TooManyAttempts => "too many attempts; start again",
            Self::UnknownUser => "no such user, or not with this method",
            Self::WrongPassword => "wrong password",
            Self::SamePassword => "this is the password that you were given; choose another one",
            Self::WrongCode => "wrong one-time password",
            Self::NotConfirmed => {
                "this is not what the application shows; enter the six digits that it shows now, and see that your telephone's clock is right"
            }
            Self::CodeUsed => "the one-time password was used before",
            Self::WrongRecoveryCode => "wrong or used recovery code",
            Self::Locked => "the user is locked",
            Self::Changed => "the user was changed meanwhile",
            Self::CrossTenant => "a user or a passkey of another tenant",
            Self::WrongUserHandle => "the user handle is another user's",
            Self::UnknownPasskey => "the passkey is not registered",
            Self::WrongChallenge => "the response was made for another challenge",
            Self::WrongOrigin => "the response was made for another origin",
            Self::CrossOrigin => "the response was made inside a frame of another site",
            Self::WrongRelyingParty => "the response was made for another relying party",
            Self::WrongType => "the response is of another type",
            Self::NotVerified => "the authenticator did not verify its user",
            Self::WrongSignature => "the signature is wrong",
            Self::CounterWentBack => "the signature counter did not grow",
            Self::BackupState => "the backup state contradicts the registration",
            Self::AlreadyRegistered => "this passkey is registered already",
            Self::TooManyPasskeys => "there are as many passkeys as there can be; remove one first",
            Self::BadResponse => "the response is not acceptable",
            Self::EnrolmentNeeded => {
                "a method that is enforced has to be set up; ask an administrator for an enrolment link"
            }
            Self::NotOffered => "the method is not offered at this point",
            Self::Unavailable => "this way to log in is not available now",
            Self::MixUp => "the provider's answer belongs to another login",
            Self::Declined => "the provider did not let you in; start again, or log in another way",
            Self::NotBound => {
                "nobody here is known by your login at the provider; ask an administrator to bind it to you, or log in another way"
            }
            Self::NotAsked => "the provider did not ask who you are again; prove it in another way",
            Self::BadLink => "the link was used, has expired or is unknown; ask for another one",
            Self::ForgedForm => "the form is too old or not from this site; load the page again",
            Self::SessionEnded => "the session has ended; log in again",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_told_that_says_who_exists() {
        let quiet = [
            Reason::UnknownUser,
            Reason::WrongPassword,
            Reason::Locked,
            Reason::UnknownPasskey,
            Reason::WrongUserHandle,
            Reason::CrossTenant,
            Reason::CounterWentBack,
            Reason::Changed,
            Reason::WrongCode,
            Reason::CodeUsed,
        ];
        for reason in quiet {
            assert_eq!(reason.told(), LOGIN_REFUSED, "{reason}");
        }
        assert_eq!(Reason::BadLink.told(), Reason::BadLink.to_string());
        assert_eq!(Reason::CounterWentBack.code(), "counter-went-back");
    }
}
