//! How a user proves who they are, and what has been proved.

use core::fmt;
use core::str::FromStr;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::error::excerpt;

/// A method of this system that a policy can enforce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Method {
    /// A password.
    Password,
    /// A one-time password by time (RFC 6238).
    Totp,
    /// A passkey (WebAuthn).
    Passkey,
}

impl Method {
    fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Totp => "totp",
            Self::Passkey => "passkey",
        }
    }
}

impl FromStr for Method {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        [Self::Password, Self::Totp, Self::Passkey]
            .into_iter()
            .find(|method| method.as_str() == text)
            .ok_or_else(|| Error::Method { input: excerpt(text) })
    }
}

impl TryFrom<String> for Method {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Method> for String {
    fn from(method: Method) -> Self {
        method.as_str().to_owned()
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something that was proved in a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Proof {
    /// The password.
    Password,
    /// A one-time password.
    Totp,
    /// A recovery code, which stands in for a one-time password and for nothing else.
    RecoveryCode,
    /// A passkey, with its user verified.
    Passkey,
    /// A login at a provider, bound to the user by issuer and subject.
    External,
    /// A single-use link from an administrator. It opens the setting up of methods, and stands in for none of them.
    EnrolmentLink,
}

/// What was proved in one login.
pub type Proofs = BTreeSet<Proof>;

/// What is still missing, in the order it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// The user has it and must prove it.
    Prove(Method),
    /// The user must set it up first, and this login may do so.
    Enrol(Method),
    /// The user must have it, has not, and this login may not set it up.
    Refused(Method),
}

/// What a user has, as far as the decision needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Has {
    /// A password.
    pub password: bool,
    /// A one-time password.
    pub totp: bool,
    /// At least one passkey.
    pub passkey: bool,
}

impl Has {
    fn method(self, method: Method) -> bool {
        match method {
            Method::Password => self.password,
            Method::Totp => self.totp,
            Method::Passkey => self.passkey,
        }
    }
}

/// The one rule of what a login needs. Pure, and asked again at every transition and at the end.
///
/// - There must be a first proof: password, passkey, provider or enrolment link. Without one nothing else matters, and the link alone
///   is not enough at the end, nor for setting anything up beside a passkey or password that the user still has.
/// - Whatever is enforced must be proved, however the login began. A recovery code stands in for a one-time password.
/// - A one-time password that the user set up is asked for after a password, also where nothing enforces it. After a
///   passkey it is not, unless it is enforced: a passkey with a verified user is two factors already.
/// - What is enforced and missing may be set up where `open` names it, and is then proved. Otherwise the login is refused.
///
/// `None` means that the login is complete.
///
/// ```
/// # use keyward_webauthn_login::{Has, Method, Missing, Proof, missing};
/// let has = Has { password: true, totp: false, passkey: false };
/// let enforced = [Method::Passkey].into();
/// let open = [Method::Passkey].into();
/// // First login of a user for whom passkeys are enforced: the password is right, a passkey has to be made.
/// let proofs = [Proof::Password].into();
/// assert_eq!(missing(&enforced, has, &open, &proofs), Some(Missing::Enrol(Method::Passkey)));
/// // Later, when the passkey is gone, the password alone makes no other one.
/// assert_eq!(missing(&enforced, has, &[].into(), &proofs), Some(Missing::Refused(Method::Passkey)));
/// ```
#[must_use]
pub fn missing(enforced: &BTreeSet<Method>, has: Has, open: &BTreeSet<Method>, proofs: &Proofs) -> Option<Missing> {
    let proved = |method| match method {
        Method::Password => proofs.contains(&Proof::Password),
        Method::Totp => proofs.contains(&Proof::Totp) || proofs.contains(&Proof::RecoveryCode),
        Method::Passkey => proofs.contains(&Proof::Passkey),
    };
    let begun = [Proof::Password, Proof::Passkey, Proof::External, Proof::EnrolmentLink];
    if !begun.iter().any(|proof| proofs.contains(proof)) {
        return Some(Missing::Prove(Method::Password));
    }
    let second = has.totp && !proved(Method::Passkey);
    // What can be proved is asked for before anything is set up: a stolen password alone sets nothing up beside a one-time
    // password that guards it.
    let needed = |method| enforced.contains(&method) || (method == Method::Totp && second);
    let order = [Method::Password, Method::Totp, Method::Passkey];
    let lacking = || order.into_iter().filter(|&method| needed(method) && !proved(method));
    if let Some(method) = lacking().find(|&method| has.method(method)) {
        return Some(Missing::Prove(method));
    }
    // So is who has but a link: it sets nothing up beside what the user still has, for whoever else comes by it.
    let shown = [Proof::Password, Proof::Passkey, Proof::External].iter().any(|proof| proofs.contains(proof));
    let first = match (has.passkey, has.password) {
        (true, _) => Some(Method::Passkey),
        (false, true) => Some(Method::Password),
        (false, false) => None,
    };
    if let Some(method) = first.filter(|_| !shown) {
        return Some(Missing::Prove(method));
    }
    if let Some(method) = lacking().next() {
        return Some(if open.contains(&method) { Missing::Enrol(method) } else { Missing::Refused(method) });
    }
    (!shown).then_some(Missing::Refused(Method::Password))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Has = Has { password: true, totp: false, passkey: false };

    fn ask(enforced: &[Method], has: Has, open: &[Method], proofs: &[Proof]) -> Option<Missing> {
        missing(
            &enforced.iter().copied().collect(),
            has,
            &open.iter().copied().collect(),
            &proofs.iter().copied().collect(),
        )
    }

    #[test]
    fn names() {
        for method in [Method::Password, Method::Totp, Method::Passkey] {
            assert_eq!(method.to_string().parse::<Method>().unwrap(), method);
        }
        assert_eq!(
            "sms".parse::<Method>().unwrap_err().to_string(),
            "`sms` is no method; write `password`, `totp` or `passkey`"
        );
    }

    #[test]
    fn without_a_first_proof_nothing_is_complete() {
        for proofs in [&[][..], &[Proof::Totp], &[Proof::RecoveryCode], &[Proof::Totp, Proof::RecoveryCode]] {
            assert_eq!(ask(&[], NOTHING, &[], proofs), Some(Missing::Prove(Method::Password)));
        }
        for first in [Proof::Password, Proof::Passkey, Proof::External] {
            assert_eq!(ask(&[], NOTHING, &[], &[first]), None);
        }
    }

    #[test]
    fn no_way_in_leads_around_an_enforced_passkey() {
        let has = Has { password: true, totp: true, passkey: true };
        for first in [Proof::Password, Proof::External, Proof::EnrolmentLink] {
            for second in [Proof::Totp, Proof::RecoveryCode] {
                assert_eq!(ask(&[Method::Passkey], has, &[], &[first, second]), Some(Missing::Prove(Method::Passkey)));
            }
        }
        // Nor may one who lost it make another with what else they have.
        let lost = Has { passkey: false, ..has };
        let rest = [Proof::Password, Proof::Totp];
        assert_eq!(ask(&[Method::Passkey], lost, &[], &rest), Some(Missing::Refused(Method::Passkey)));
        assert_eq!(ask(&[Method::Passkey], has, &[], &[Proof::Passkey]), None);
    }

    #[test]
    fn a_one_time_password_guards_the_password_and_a_passkey_needs_no_guard() {
        let has = Has { password: true, totp: true, passkey: true };
        assert_eq!(ask(&[], has, &[], &[Proof::Password]), Some(Missing::Prove(Method::Totp)));
        assert_eq!(ask(&[], has, &[], &[Proof::External]), Some(Missing::Prove(Method::Totp)));
        assert_eq!(ask(&[], has, &[], &[Proof::Password, Proof::RecoveryCode]), None);
        assert_eq!(ask(&[], has, &[], &[Proof::Passkey]), None);
        assert_eq!(ask(&[Method::Totp], has, &[], &[Proof::Passkey]), Some(Missing::Prove(Method::Totp)));
    }

    #[test]
    fn a_link_alone_lets_nobody_in() {
        let link = [Proof::EnrolmentLink];
        assert_eq!(ask(&[], NOTHING, &[], &link), Some(Missing::Prove(Method::Password)));
        let passkey = Has { passkey: true, ..NOTHING };
        assert_eq!(ask(&[], passkey, &[], &link), Some(Missing::Prove(Method::Passkey)));
        let nothing = Has { password: false, ..NOTHING };
        assert_eq!(ask(&[], nothing, &[], &link), Some(Missing::Refused(Method::Password)));
        // A one-time password that was just set up is no first proof either.
        let totp = Has { totp: true, ..NOTHING };
        let both = [Proof::EnrolmentLink, Proof::Totp];
        assert_eq!(ask(&[], totp, &[], &both), Some(Missing::Prove(Method::Password)));
    }

    #[test]
    fn a_link_sets_nothing_up_beside_what_there_is() {
        let (link, all) = ([Proof::EnrolmentLink], [Method::Password, Method::Totp, Method::Passkey]);
        let password = Has { passkey: false, ..NOTHING };
        let passkey = Has { password: false, passkey: true, ..NOTHING };
        assert_eq!(ask(&[Method::Totp], password, &all, &link), Some(Missing::Prove(Method::Password)));
        assert_eq!(ask(&[Method::Passkey], password, &all, &link), Some(Missing::Prove(Method::Password)));
        assert_eq!(ask(&[Method::Password], passkey, &all, &link), Some(Missing::Prove(Method::Passkey)));
        let shown = [Proof::EnrolmentLink, Proof::Password];
        assert_eq!(ask(&[Method::Passkey], password, &all, &shown), Some(Missing::Enrol(Method::Passkey)));
    }

    #[test]
    fn what_can_be_proved_is_asked_for_before_anything_is_set_up() {
        let has = Has { password: true, totp: true, passkey: false };
        let both = [Method::Totp, Method::Passkey];
        assert_eq!(ask(&both, has, &both, &[Proof::Password]), Some(Missing::Prove(Method::Totp)));
        let after = [Proof::Password, Proof::Totp];
        assert_eq!(ask(&both, has, &both, &after), Some(Missing::Enrol(Method::Passkey)));
    }
}
