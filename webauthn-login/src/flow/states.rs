//! Where a login can stand.

use core::fmt;
use std::collections::BTreeSet;

use keyward_config_values::Name;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::begin::Audience;
use super::outcome::{Next, Outcome, Write};
use crate::external::PendingExternal;
use crate::method::{Method, Proofs};
use crate::passkey::{PendingAuthentication, PendingRegistration, UserHandle};
use crate::session::SessionRecord;
use crate::totp::SharedSecret;
use crate::user::UserRecord;
use crate::{Authenticator, Email, Identity, Key, NextPath, Realm, Reason};

/// A login that stands at `S`. Every step takes it by value, so that none can be taken twice:
///
/// ```compile_fail
/// # use keyward_webauthn_login::*;
/// # fn twice(flow: Flow<Ready>, realm: &Realm, user: UserRecord, rng: &mut impl rand_core::CryptoRng, now: time::OffsetDateTime) {
/// let once = flow.finish(realm, Some(user.clone()), rng, now);
/// let twice = flow.finish(realm, Some(user), rng, now); // use of moved value: `flow`
/// # }
/// ```
///
/// Between two requests it is a [`crate::CeremonyRecord`], which is taken once too: each step's writes delete it, guarded by
/// the revision that it was read at.
#[must_use = "a login that is dropped is over"]
pub struct Flow<S> {
    pub(crate) common: Common,
    pub(crate) state: S,
}

/// What a login has wherever it stands.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Common {
    /// Where it was read from; to be deleted by the next step.
    #[serde(skip)]
    pub(crate) stored: Option<Key>,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) expires: OffsetDateTime,
    /// The tenant that was named: the login ends in it or not at all.
    pub(crate) tenant: Option<Name>,
    pub(crate) next: NextPath,
    pub(crate) audience: Audience,
    pub(crate) authenticator: Authenticator,
    pub(crate) attempts: u8,
    /// When the provider asked who it is, if it said so.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    pub(crate) asked: Option<OffsetDateTime>,
    pub(crate) step_up: Option<StepUp>,
    /// What an enrolment link lets set up, and asks for.
    pub(crate) link: BTreeSet<Method>,
    /// Something was set up in this login: nothing more is offered.
    pub(crate) enrolled: bool,
}

/// A login inside a session.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct StepUp {
    pub(crate) session: Key,
    pub(crate) who: Who,
    /// Where something is set up inside of the session and nobody proves themselves again: it goes on as it is.
    #[serde(default)]
    pub(crate) kept: Option<SessionRecord>,
}

/// A user as they were when something was proved.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Who {
    pub(crate) identity: Identity,
    handle: UserHandle,
    epoch: u64,
}

impl Who {
    pub(crate) fn of(user: &UserRecord) -> Self {
        Self { identity: user.identity().clone(), handle: user.handle(), epoch: user.epoch() }
    }

    pub(crate) fn same_user(&self, other: &Self) -> bool {
        self.identity == other.identity && self.handle == other.handle
    }

    /// The user as they are now, if nothing happened that ends a login.
    pub(crate) fn still(&self, user: Option<UserRecord>) -> Result<UserRecord, Reason> {
        let user = user.filter(|user| *user.identity() == self.identity && user.handle() == self.handle);
        match user {
            None => Err(Reason::Changed),
            Some(user) if user.locked().is_some() => Err(Reason::Locked),
            Some(user) if user.epoch() != self.epoch => Err(Reason::Changed),
            Some(user) => Ok(user),
        }
    }
}

/// The first page: nothing is known yet. Its challenge is for passkeys that the browser offers by itself.
#[derive(Clone, Serialize, Deserialize)]
pub struct Begun {
    pub(crate) passkey: PendingAuthentication,
}

/// Somebody was named. Nothing says whether they exist.
#[derive(Clone, Serialize, Deserialize)]
pub struct Identified {
    /// What was typed, without capitals; canonical where it is an address.
    pub(crate) typed: String,
    pub(crate) email: Option<Email>,
    pub(crate) passkey: PendingAuthentication,
}

/// The password was that of several users with one address: which tenant?
#[derive(Clone, Serialize, Deserialize)]
pub struct Choosing {
    pub(crate) candidates: Vec<Who>,
    pub(crate) proofs: Proofs,
}

/// Something was proved, more is needed.
#[derive(Clone, Serialize, Deserialize)]
pub struct Second {
    pub(crate) who: Who,
    pub(crate) proofs: Proofs,
    pub(crate) wanted: Method,
    /// Whether the login could end without it.
    pub(crate) optional: bool,
    pub(crate) passkey: Option<PendingAuthentication>,
}

/// A passkey is being made.
#[derive(Clone, Serialize, Deserialize)]
pub struct EnrollingPasskey {
    pub(crate) who: Who,
    pub(crate) proofs: Proofs,
    pub(crate) pending: PendingRegistration,
    pub(crate) optional: bool,
}

/// A one-time password is being set up.
#[derive(Clone, Serialize, Deserialize)]
pub struct EnrollingTotp {
    pub(crate) who: Who,
    pub(crate) proofs: Proofs,
    pub(crate) secret: SharedSecret,
    pub(crate) optional: bool,
}

/// A password is being set.
#[derive(Clone, Serialize, Deserialize)]
pub struct SettingPassword {
    pub(crate) who: Who,
    pub(crate) proofs: Proofs,
}

/// The browser was sent to a provider.
#[derive(Clone, Serialize, Deserialize)]
pub struct AtProvider {
    pub(crate) email: Option<Email>,
    pub(crate) pending: PendingExternal,
}

/// Everything is proved; the user may set up more, or go on.
#[derive(Clone, Serialize, Deserialize)]
pub struct Ready {
    pub(crate) who: Who,
    pub(crate) proofs: Proofs,
    pub(crate) offers: Vec<Method>,
}

macro_rules! states {
    ($($state:ident: $doc:literal),+ $(,)?) => {
        /// A login wherever it stands, as it comes out of the storage.
        #[must_use = "a login that is dropped is over"]
        #[expect(clippy::large_enum_variant, reason = "there is one for each request, and it is taken apart at once")]
        pub enum AnyFlow {
            $(#[doc = $doc] $state(Flow<$state>),)+
        }

        /// The same, stored.
        #[derive(Clone, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub(crate) enum State {
            $($state(Box<$state>),)+
        }

        $(
            impl From<Flow<$state>> for AnyFlow {
                fn from(flow: Flow<$state>) -> Self {
                    Self::$state(flow)
                }
            }

            impl fmt::Debug for Flow<$state> {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(concat!("Flow<", stringify!($state), ">"))
                }
            }
        )+

        impl AnyFlow {
            pub(crate) fn into_parts(self) -> (Common, State) {
                match self {
                    $(Self::$state(flow) => (flow.common, State::$state(Box::new(flow.state))),)+
                }
            }

            pub(crate) fn from_parts(common: Common, state: State) -> Self {
                match state {
                    $(State::$state(state) => Self::$state(Flow { common, state: *state }),)+
                }
            }

            pub(crate) fn common(&self) -> &Common {
                match self {
                    $(Self::$state(flow) => &flow.common,)+
                }
            }
        }

        impl fmt::Debug for AnyFlow {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$state(flow) => flow.fmt(f),)+
                }
            }
        }
    };
}

states! {
    Begun: "The first page.",
    Identified: "Somebody was named.",
    Choosing: "Which tenant?",
    Second: "More is needed.",
    EnrollingPasskey: "A passkey is being made.",
    EnrollingTotp: "A one-time password is being set up.",
    SettingPassword: "A password is being set.",
    AtProvider: "The browser was sent to a provider.",
    Ready: "Everything is proved.",
}

impl AnyFlow {
    /// When the login is over whatever happens.
    #[must_use]
    pub fn expires(&self) -> OffsetDateTime {
        self.common().expires
    }

    /// The tenant that was named, whose login it is alone.
    #[must_use]
    pub fn tenant(&self) -> Option<&Name> {
        self.common().tenant.as_ref()
    }

    /// Where to go when it is through.
    #[must_use]
    pub fn next(&self) -> &NextPath {
        &self.common().next
    }

    /// The session inside of which it goes on, where it is no login of its own.
    #[must_use]
    pub fn session(&self) -> Option<Key> {
        self.common().step_up.as_ref().map(|step_up| step_up.session)
    }

    /// What the person is told of a failure after which the login stands here. Whoever makes a passkey has entered nothing and is to choose
    /// nothing else.
    #[must_use]
    pub fn told(&self, reason: Reason) -> &'static str {
        match self {
            Self::EnrollingPasskey(_) if !reason.is_told() => {
                "the passkey was not made; try again, or with another device"
            }
            _ => reason.told(),
        }
    }

    /// The user whom something was proved of, to be looked up for the next step.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        match self {
            Self::Second(flow) => Some(&flow.state.who.identity),
            Self::EnrollingPasskey(flow) => Some(&flow.state.who.identity),
            Self::EnrollingTotp(flow) => Some(&flow.state.who.identity),
            Self::SettingPassword(flow) => Some(&flow.state.who.identity),
            Self::Ready(flow) => Some(&flow.state.who.identity),
            Self::Begun(_) | Self::Identified(_) | Self::Choosing(_) | Self::AtProvider(_) => None,
        }
    }
}

/// More failures than this end a login.
const MAX_ATTEMPTS: u8 = 10;

impl<S> Flow<S> {
    pub(crate) fn is_expired(&self, now: OffsetDateTime) -> bool {
        now >= self.common.expires
    }

    /// When its first page was shown.
    pub(crate) fn began(&self, realm: &Realm) -> OffsetDateTime {
        let lasts = i64::try_from(realm.settings.login_time.as_secs()).unwrap_or(i64::MAX);
        self.common.expires.saturating_sub(time::Duration::seconds(lasts))
    }

    /// Ends the login.
    pub(crate) fn over(mut self, reason: Reason) -> Outcome {
        let writes = self.common.end();
        Outcome::new(Next::Over(reason), writes).refused(reason)
    }

    /// Stays where it is after a failure, but not for ever.
    pub(crate) fn again(mut self, reason: Reason) -> Outcome
    where
        AnyFlow: From<Self>,
    {
        self.common.attempts = self.common.attempts.saturating_add(1);
        if self.common.attempts >= MAX_ATTEMPTS {
            let writes = self.common.end();
            return Outcome::new(Next::Over(Reason::TooManyAttempts), writes).refused(reason);
        }
        let writes = self.common.end();
        Outcome::new(Next::Continue(self.into()), writes).refused(reason)
    }

    /// Another state of the same login.
    pub(crate) fn to<T>(self, state: T) -> Flow<T> {
        Flow { common: self.common, state }
    }
}

impl Common {
    /// The record that the login was read from is taken.
    pub(crate) fn end(&mut self) -> Vec<Write> {
        self.stored.take().map(Write::EndCeremony).into_iter().collect()
    }
}
