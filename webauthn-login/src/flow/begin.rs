//! How a login begins.

use std::borrow::Cow;

use keyward_config_values::Name;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::advance::{advance, enrol};
use super::outcome::{Next, Outcome, Write};
use super::states::{Begun, Choosing, Common, Flow, Identified, StepUp, Who};
use crate::link::EnrolmentLink;
use crate::method::{Method, Proof};
use crate::passkey::{Allowed, PasskeyId, PendingAuthentication, allow_list};
use crate::readable::misleads;
use crate::session::{Fresh, SessionRecord};
use crate::settings::after;
use crate::user::UserRecord;
use crate::{Authenticator, Email, Error, Key, NextPath, Realm, Reason};

/// Who logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Audience {
    /// A person at a page. They can be asked for more, and set things up.
    Browser,
    /// A program with what it was given, in one request: nothing is offered, nothing is set up.
    Client,
}

/// What a login begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// Who logs in.
    pub audience: Audience,
    /// The tenant that a login URL names, or the one of a host name: the login ends in it or not at all.
    pub tenant: Option<Name>,
    /// Where to go afterwards.
    pub next: NextPath,
}

impl Start {
    /// A person at the first page.
    #[must_use]
    pub fn browser() -> Self {
        Self { audience: Audience::Browser, tenant: None, next: NextPath::default() }
    }

    /// A program.
    #[must_use]
    pub fn client() -> Self {
        Self { audience: Audience::Client, ..Self::browser() }
    }
}

/// What somebody typed in step 1: who they say they are. Anything can be typed; what is no address is nobody's, and costs the
/// same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typed {
    text: String,
    email: Option<Email>,
    tenant: Option<Name>,
    tenant_is_none: bool,
}

impl Typed {
    /// `email` and `tenant` as they were typed; an empty tenant is none.
    #[must_use]
    pub fn new(email: &str, tenant: &str) -> Self {
        let parsed: Option<Email> = email.trim().parse().ok();
        let text = parsed.as_ref().map_or_else(
            || email.trim().to_lowercase().chars().filter(|c| !misleads(*c)).take(Email::MAX_LEN).collect(),
            |email| email.as_str().to_owned(),
        );
        let tenant_typed = tenant.trim();
        let tenant = tenant_typed.to_ascii_lowercase().parse().ok();
        Self { text, email: parsed, tenant_is_none: !tenant_typed.is_empty() && tenant.is_none(), tenant }
    }

    /// What to look up: every user with this address, in this tenant where one is named. `None` looks up nothing, and the
    /// embedder looks up something all the same, so that the time does not tell.
    #[must_use]
    pub fn lookup(&self) -> Option<(&Email, Option<&Name>)> {
        self.email.as_ref().filter(|_| !self.tenant_is_none).map(|email| (email, self.tenant.as_ref()))
    }

    /// The text that histories of attempts are kept by, for addresses that exist and others.
    #[must_use]
    pub fn history_key(&self) -> &str {
        &self.text
    }
}

impl Realm {
    fn common(&self, start: Start, now: OffsetDateTime) -> Common {
        Common {
            stored: None,
            expires: after(now, self.settings.login_time),
            tenant: start.tenant,
            next: start.next,
            audience: start.audience,
            authenticator: Authenticator::Strongbox,
            attempts: 0,
            asked: None,
            step_up: None,
            link: [].into(),
            enrolled: false,
        }
    }

    /// Begins a login.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`].
    pub fn begin(&self, start: Start, now: OffsetDateTime) -> Result<Flow<Begun>, Error> {
        let passkey = PendingAuthentication::begin(&self.relying_party, Allowed::Autofill)?;
        Ok(Flow { common: self.common(start, now), state: Begun { passkey } })
    }

    /// Begins a login inside a session, for what needs a recent one: the same user proves themselves again, and the session goes on
    /// under another token.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`].
    pub fn step_up(
        &self,
        session: &SessionRecord,
        user: &UserRecord,
        next: NextPath,
        now: OffsetDateTime,
    ) -> Result<Flow<Identified>, Error> {
        let start = Start { tenant: Some(user.identity().tenant.clone()), next, ..Start::browser() };
        let mut flow = self.begin(start, now)?;
        flow.common.step_up = Some(StepUp { session: session.key(), who: Who::of(user), kept: None });
        let typed = Typed {
            text: user.identity().email.to_string(),
            email: Some(user.identity().email.clone()),
            tenant: Some(user.identity().tenant.clone()),
            tenant_is_none: false,
        };
        flow.identified(self, typed, std::slice::from_ref(user), now)
    }

    /// Begins to set up a method inside a session whose login is recent: another passkey, a one-time password on another
    /// telephone, a password. It ends like a login, with the session under another token; it is as old, and lasts no longer, than
    /// it was and did before, because nobody has proved themselves again.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`].
    #[expect(clippy::too_many_arguments, reason = "one step, its event and its surroundings")]
    pub fn set_up(
        &self,
        session: &SessionRecord,
        _fresh: Fresh,
        user: &UserRecord,
        method: Method,
        next: NextPath,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<Outcome, Error> {
        if let Err(reason) = session.check(Some(user), &self.settings, now) {
            return Ok(Outcome::new(Next::Over(reason), Vec::new()).refused(reason).about(user.identity()));
        }
        let start = Start { tenant: Some(user.identity().tenant.clone()), next, ..Start::browser() };
        let mut common = self.common(start, now);
        common.step_up = Some(StepUp { session: session.key(), who: Who::of(user), kept: Some(session.clone()) });
        common.authenticator = session.authenticator().clone();
        enrol(self, common, user, session.proofs().clone(), method, true, rng)
    }

    /// Opens an enrolment link: `link` is what is stored under the key of the presented value, `user` the one it is for. Opening
    /// deletes it, so a page that is only fetched must not do it.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`].
    pub fn open_link(
        &self,
        link: Option<&EnrolmentLink>,
        presented: &str,
        user: Option<UserRecord>,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<Outcome, Error> {
        let refused = |reason| Ok(Outcome::new(Next::Over(Reason::BadLink), Vec::new()).refused(reason));
        let Some(link) = link.filter(|link| link.key() == Key::of(presented) && now < link.expires()) else {
            return refused(Reason::BadLink);
        };
        let Some(user) = user.filter(|user| link.is_of(user)) else {
            return refused(Reason::Changed);
        };
        let start = Start { tenant: Some(user.identity().tenant.clone()), ..Start::browser() };
        let mut common = self.common(start, now);
        common.link = link.methods().clone();
        let mut outcome = advance(self, common, user, [Proof::EnrolmentLink].into(), rng, now)?;
        outcome.writes.insert(0, Write::EndLink(link.key()));
        Ok(outcome)
    }
}

impl Flow<Begun> {
    /// Step 1: somebody says who they are. The answer has one shape for everybody: it names as many passkeys for an address in
    /// no tenant as for one in several, and does the same work.
    ///
    /// `users` are those of [`Typed::lookup`].
    ///
    /// # Errors
    ///
    /// [`Error::Internal`].
    pub fn identify(
        mut self,
        realm: &Realm,
        typed: Typed,
        users: &[UserRecord],
        now: OffsetDateTime,
    ) -> Result<Outcome, Error> {
        if self.is_expired(now) {
            return Ok(self.over(Reason::Expired));
        }
        let writes = self.common.end();
        let flow = self.identified(realm, typed, users, now)?;
        Ok(Outcome::new(Next::Continue(flow.into()), writes))
    }

    fn identified(
        mut self,
        realm: &Realm,
        typed: Typed,
        users: &[UserRecord],
        now: OffsetDateTime,
    ) -> Result<Flow<Identified>, Error> {
        // What is typed cannot leave the tenant of the login URL, only name one where there is none.
        let conflict = match (&self.common.tenant, &typed.tenant) {
            (Some(named), Some(typed)) => named != typed,
            _ => false,
        };
        if self.common.tenant.is_none() {
            self.common.tenant = typed.tenant;
        }
        let email = typed.email.filter(|_| !conflict && !typed.tenant_is_none);
        let tenant = self.common.tenant.as_ref();
        let named: Vec<_> = users.iter().filter(|user| matches(user, email.as_ref(), tenant)).collect();
        let mut passkeys: Vec<_> = named.iter().flat_map(|user| &user.data.passkeys).collect();
        passkeys.sort_by_key(|passkey| std::cmp::Reverse(passkey.last_used.unwrap_or(passkey.created)));
        let passkeys = passkeys.iter().map(|passkey| passkey.credential.cred_id.as_slice());
        let removed = named.iter().flat_map(|user| user.removed_passkeys());
        let taken = passkeys.chain(removed.map(PasskeyId::as_bytes)).map(Cow::Borrowed);
        let list = allow_list(&realm.secret, &typed.text, taken, now);
        let passkey = PendingAuthentication::begin(&realm.relying_party, Allowed::Listed(list))?;
        Ok(self.to(Identified { typed: typed.text, email, passkey }))
    }
}

/// Whether a user is one of those who were named. What the caller passes is not believed.
pub(crate) fn matches(user: &UserRecord, email: Option<&Email>, tenant: Option<&Name>) -> bool {
    email == Some(&user.identity().email) && tenant.is_none_or(|tenant| *tenant == user.identity().tenant)
}

impl Flow<Identified> {
    /// What to look up for the next step.
    #[must_use]
    pub fn lookup(&self) -> Option<(&Email, Option<&Name>)> {
        self.state.email.as_ref().map(|email| (email, self.common.tenant.as_ref()))
    }

    /// The text that histories of attempts are kept by.
    #[must_use]
    pub fn history_key(&self) -> &str {
        &self.state.typed
    }
}

impl Flow<Choosing> {
    /// The tenants to choose from.
    pub fn tenants(&self) -> impl Iterator<Item = &Name> {
        self.state.candidates.iter().map(|who| &who.identity.tenant)
    }

    /// The address that was proved.
    #[must_use]
    pub fn email(&self) -> Option<&Email> {
        self.state.candidates.first().map(|who| &who.identity.email)
    }

    /// The tenant is chosen, after the password was proved. `user` is the one with the address in that tenant.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`].
    pub fn choose(
        mut self,
        realm: &Realm,
        tenant: &Name,
        user: Option<UserRecord>,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<Outcome, Error> {
        if self.is_expired(now) {
            return Ok(self.over(Reason::Expired));
        }
        let Some(who) = self.state.candidates.iter().find(|who| who.identity.tenant == *tenant).cloned() else {
            return Ok(self.again(Reason::CrossTenant));
        };
        let user = match who.still(user) {
            Ok(user) => user,
            Err(reason) => return Ok(self.over(reason).about(&who.identity)),
        };
        let writes = self.common.end();
        let mut outcome = advance(realm, self.common, user, self.state.proofs, rng, now)?;
        outcome.prepend(writes);
        Ok(outcome)
    }
}
