//! The one transition: from what was proved to what comes next.

use std::collections::BTreeSet;
use std::sync::Arc;

use rand_core::CryptoRng;
use time::OffsetDateTime;

use super::begin::Audience;
use super::outcome::{LoggedIn, Next, Outcome, Write};
use super::states::{AnyFlow, Common, EnrollingPasskey, EnrollingTotp, Flow, Ready, Second, SettingPassword, Who};
use crate::method::{Method, Missing, Proof, Proofs, missing};
use crate::passkey::{Allowed, PendingAuthentication, PendingRegistration, StoredPasskey};
use crate::remembered::{DeviceToken, RememberedLogin};
use crate::session::SessionRecord;
use crate::settings::after;
use crate::totp::{SharedSecret, TotpSecret};
use crate::user::UserRecord;
use crate::{Error, Realm, Reason};

impl Outcome {
    pub(crate) fn prepend(&mut self, writes: Vec<Write>) {
        let rest = std::mem::replace(&mut self.writes, writes);
        self.writes.extend(rest);
    }
}

/// What is missing, with the user's policy as it is now and what an enrolment link asks for.
pub(crate) fn still_missing(common: &Common, user: &UserRecord, proofs: &Proofs) -> Option<Missing> {
    let has = user.has();
    let asked = common.link.iter().copied();
    let enforced: BTreeSet<Method> = user.enforced().iter().copied().chain(asked.clone()).collect();
    let open: BTreeSet<Method> = user.open().iter().copied().chain(asked).collect();
    missing(&enforced, has, &open, proofs).or_else(|| {
        // Nobody goes on with a password that somebody else chose.
        let known_to_others = user.data.temporary && proofs.contains(&Proof::Password);
        (known_to_others && common.audience == Audience::Browser).then_some(Missing::Enrol(Method::Password))
    })
}

/// Why this login is none for that user, whatever they prove.
fn barred(common: &Common, user: &UserRecord) -> Option<Reason> {
    let foreign = common.tenant.as_ref().is_some_and(|tenant| *tenant != user.identity().tenant)
        || common.step_up.as_ref().is_some_and(|step_up| !step_up.who.same_user(&Who::of(user)));
    match (user.locked(), foreign) {
        (Some(_), _) => Some(Reason::Locked),
        (None, true) => Some(Reason::CrossTenant),
        (None, false) => None,
    }
}

/// Goes where the policy says. Nothing else decides, and there is no other way to the end.
pub(crate) fn advance(
    realm: &Realm,
    common: Common,
    user: UserRecord,
    proofs: Proofs,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<Outcome, Error> {
    let identity = user.identity().clone();
    if let Some(reason) = barred(&common, &user) {
        return over(common, reason).map(|outcome| outcome.about(&identity));
    }
    let outcome = match still_missing(&common, &user, &proofs) {
        None => complete(realm, common, user, proofs, true, rng, now),
        Some(Missing::Refused(_)) => over(common, Reason::EnrolmentNeeded),
        Some(Missing::Prove(method)) => prove(realm, common, &user, proofs, method, false),
        Some(Missing::Enrol(_)) if common.audience == Audience::Client => over(common, Reason::EnrolmentNeeded),
        Some(Missing::Enrol(method)) => enrol(realm, common, &user, proofs, method, false, rng),
    };
    outcome.map(|outcome| outcome.about(&identity))
}

fn over(common: Common, reason: Reason) -> Result<Outcome, Error> {
    Ok(Flow { common, state: () }.over(reason))
}

fn go_on(flow: impl Into<AnyFlow>) -> Outcome {
    Outcome::new(Next::Continue(flow.into()), Vec::new())
}

/// Asks for a proof that the user has.
pub(crate) fn prove(
    realm: &Realm,
    common: Common,
    user: &UserRecord,
    proofs: Proofs,
    wanted: Method,
    optional: bool,
) -> Result<Outcome, Error> {
    if common.audience == Audience::Client && wanted == Method::Passkey {
        return over(common, Reason::NotOffered);
    }
    // Whoever is asked for a one-time password may use a passkey too.
    let ids: Vec<_> = user.data.passkeys.iter().map(StoredPasskey::id).collect();
    let passkey = if ids.is_empty() || (wanted != Method::Passkey && proofs.contains(&Proof::Passkey)) {
        None
    } else {
        Some(PendingAuthentication::begin(&realm.relying_party, Allowed::Listed(ids))?)
    };
    let state = Second { who: Who::of(user), proofs, wanted, optional, passkey };
    Ok(go_on(Flow { common, state }))
}

/// Begins to set a method up.
pub(crate) fn enrol(
    realm: &Realm,
    common: Common,
    user: &UserRecord,
    proofs: Proofs,
    method: Method,
    optional: bool,
    rng: &mut impl CryptoRng,
) -> Result<Outcome, Error> {
    let who = Who::of(user);
    // Who has just set a password in the place of one that others know has set up nothing yet.
    let enrolled = common.enrolled || method != Method::Password || !user.data.temporary;
    let common = Common { enrolled, ..common };
    Ok(match method {
        Method::Password => go_on(Flow { common, state: SettingPassword { who, proofs } }),
        Method::Totp => {
            let secret = SharedSecret(Arc::new(TotpSecret::generate(rng)));
            go_on(Flow { common, state: EnrollingTotp { who, proofs, secret, optional } })
        }
        Method::Passkey => {
            let pending = PendingRegistration::begin(&realm.relying_party, &user.subject())?;
            go_on(Flow { common, state: EnrollingPasskey { who, proofs, pending, optional } })
        }
    })
}

/// Nothing is missing: the user is offered what they have not, or is logged in.
pub(crate) fn complete(
    realm: &Realm,
    common: Common,
    user: UserRecord,
    proofs: Proofs,
    offer: bool,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<Outcome, Error> {
    let offers = offers(realm, &common, &user, &proofs, now);
    if offer && !offers.is_empty() {
        let state = Ready { who: Who::of(&user), proofs, offers };
        return Ok(go_on(Flow { common, state }));
    }
    log_in(realm, common, user, proofs, rng, now)
}

fn offers(realm: &Realm, common: &Common, user: &UserRecord, proofs: &Proofs, now: OffsetDateTime) -> Vec<Method> {
    let declined = user.data.declined.is_some_and(|declined| now < after(declined, realm.settings.offer_again));
    let asks = common.audience == Audience::Browser
        && common.step_up.is_none()
        && !common.enrolled
        && !declined
        && realm.settings.offer_enrolment;
    // Who logged in at a provider, or with a passkey, is not asked for a password's second factor.
    if !asks || !proofs.contains(&Proof::Password) {
        return Vec::new();
    }
    let has = user.has();
    let mut offers = Vec::new();
    if !has.passkey {
        offers.push(Method::Passkey);
    }
    if !has.totp && !has.passkey {
        offers.push(Method::Totp);
    }
    offers
}

/// The end. The user's record is part of the commit, guarded by the revision that everything was decided on: a lock or a change of the
/// policy that came in between makes the commit fail.
fn log_in(
    realm: &Realm,
    mut common: Common,
    mut user: UserRecord,
    proofs: Proofs,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<Outcome, Error> {
    // Asked again here, whatever led here.
    if let Some(reason) = barred(&common, &user) {
        return over(common, reason);
    }
    if still_missing(&common, &user, &proofs).is_some() {
        return over(common, Reason::Changed);
    }
    let mut writes = common.end();
    writes.extend(common.step_up.as_ref().map(|step_up| Write::EndSession(step_up.session)));
    let (token, session) = match common.step_up.as_ref().and_then(|step_up| step_up.kept.as_ref()) {
        Some(former) if now >= former.expires() => return over(common, Reason::SessionEnded),
        Some(former) => former.go_on(&user, proofs, rng, now),
        None => {
            user.data.last_login = Some(now);
            // Whoever proved something here was asked now.
            let asked = common.asked.filter(|_| proofs.iter().all(|proof| *proof == Proof::External));
            let begun = SessionRecord::begin(&user, common.authenticator.clone(), proofs, &realm.settings, rng, now);
            (begun.0, begun.1.asked(asked))
        }
    };
    let logged_in = LoggedIn {
        token,
        session: session.clone(),
        device: DeviceToken::issue(user.identity(), &realm.secret, rng),
        remember: RememberedLogin { identity: user.identity().clone(), authenticator: common.authenticator },
        next: common.next,
    };
    writes.push(Write::PutUser(user));
    writes.push(Write::BeginSession(Box::new(session)));
    Ok(Outcome::new(Next::LoggedIn(Box::new(logged_in)), writes))
}

impl Flow<Ready> {
    /// What the user may set up now.
    #[must_use]
    pub fn offers(&self) -> &[Method] {
        &self.state.offers
    }

    /// Ends the login: what was offered is not wanted now, and not offered again for a while (`offer-again`). `user` is read anew: a
    /// lock or a stricter policy since then counts.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`].
    pub fn finish(
        mut self,
        realm: &Realm,
        user: Option<UserRecord>,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<Outcome, Error> {
        let mut user = match self.user(user, now) {
            Ok(user) => user,
            Err(reason) => {
                let identity = self.state.who.identity.clone();
                return Ok(self.over(reason).about(&identity));
            }
        };
        user.data.declined = Some(now);
        let writes = self.common.end();
        let identity = user.identity().clone();
        let mut outcome = match still_missing(&self.common, &user, &self.state.proofs) {
            None => complete(realm, self.common, user, self.state.proofs, false, rng, now)?,
            Some(_) => advance(realm, self.common, user, self.state.proofs, rng, now)?,
        };
        outcome.prepend(writes);
        Ok(outcome.about(&identity))
    }

    /// Sets up one of the [`Flow::offers`] before the end.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`].
    pub fn set_up(
        mut self,
        realm: &Realm,
        method: Method,
        user: Option<UserRecord>,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<Outcome, Error> {
        let identity = self.state.who.identity.clone();
        if !self.state.offers.contains(&method) {
            return Ok(self.again(Reason::NotOffered).about(&identity));
        }
        let user = match self.user(user, now) {
            Ok(user) => user,
            Err(reason) => return Ok(self.over(reason).about(&identity)),
        };
        let writes = self.common.end();
        let mut outcome = match still_missing(&self.common, &user, &self.state.proofs) {
            None => enrol(realm, self.common, &user, self.state.proofs, method, true, rng)?,
            Some(_) => advance(realm, self.common, user, self.state.proofs, rng, now)?,
        };
        outcome.prepend(writes);
        Ok(outcome.about(&identity))
    }

    fn user(&self, user: Option<UserRecord>, now: OffsetDateTime) -> Result<UserRecord, Reason> {
        if self.is_expired(now) { Err(Reason::Expired) } else { self.state.who.still(user) }
    }
}
