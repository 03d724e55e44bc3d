//! Steps with a passkey.

use rand_core::CryptoRng;
use time::OffsetDateTime;

use super::advance::advance;
use super::begin::matches;
use super::outcome::{Next, Outcome, Write};
use super::states::{AnyFlow, Begun, Flow, Identified, Second};
use crate::method::Proof;
use crate::passkey::{Allowed, AuthenticationResponse, PendingAuthentication, Signal, StoredPasskey};
use crate::user::UserRecord;
use crate::{Error, Realm, Reason};

/// Checks a response for that user, and brings the passkey's record up to date.
///
/// For a passkey that is not registered the same work is done with a key that nobody has: the time does not tell which of the
/// identifiers that step 1 listed are real.
fn verify(
    realm: &Realm,
    pending: PendingAuthentication,
    user: Option<UserRecord>,
    response: &AuthenticationResponse,
    unknown: Reason,
    now: OffsetDateTime,
) -> Result<UserRecord, (Reason, Option<UserRecord>)> {
    let rp = &realm.relying_party;
    let stored = user.as_ref().and_then(|user| user.passkey_of(response)).cloned();
    let known = stored.is_some();
    let passkey = stored.unwrap_or_else(|| StoredPasskey::nobodys(&response.passkey(), now));
    let verified = pending.finish(rp, &passkey, response, now);
    let Some(mut user) = user else {
        return Err((unknown, None));
    };
    if !known {
        return Err((Reason::UnknownPasskey, Some(user)));
    }
    // W3C WebAuthn §7.2, step 6: the handle, where there is one, is the owner's.
    if response.names_user() && response.user_handle() != Some(user.handle()) {
        return Err((Reason::WrongUserHandle, Some(user)));
    }
    let used = match verified {
        Ok(used) => used,
        Err(reason) => return Err((reason, Some(user))),
    };
    if user.locked().is_some() {
        return Err((Reason::Locked, Some(user)));
    }
    let id = used.id();
    if let Some(slot) = user.data.passkeys.iter_mut().find(|passkey| passkey.is(&id)) {
        *slot = used;
    }
    Ok(user)
}

impl<S> Flow<S> {
    /// After a good response: its challenge is gone, the passkey's record is stored.
    fn passkey_proved(
        mut self,
        realm: &Realm,
        user: UserRecord,
        mut proofs: crate::Proofs,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<Outcome, Error> {
        let mut writes = self.common.end();
        writes.push(Write::PutUser(user.clone()));
        proofs.insert(Proof::Passkey);
        let mut outcome = advance(realm, self.common, user, proofs, rng, now)?;
        outcome.prepend(writes);
        Ok(outcome)
    }

    /// After a bad one: the next try has another challenge.
    fn another_challenge(self, reason: Reason, user: Option<UserRecord>) -> Outcome
    where
        AnyFlow: From<Self>,
    {
        let outcome = self.again(reason);
        match user {
            Some(user) => outcome.about(user.identity()),
            None => outcome,
        }
    }
}

impl Flow<Begun> {
    /// A passkey that the browser offered by itself on the first page. `user` is the one with the response's
    /// [`AuthenticationResponse::user_handle`].
    ///
    /// # Errors
    ///
    /// [`Error::Internal`].
    pub fn passkey(
        mut self,
        realm: &Realm,
        response: &AuthenticationResponse,
        user: Option<UserRecord>,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<Outcome, Error> {
        if self.is_expired(now) {
            return Ok(self.over(Reason::Expired));
        }
        // W3C WebAuthn §7.2, step 6: nobody was named before, so the response must name somebody.
        let named = response.user_handle();
        let user = user.filter(|user| named == Some(user.handle()));
        let fresh = PendingAuthentication::begin(&realm.relying_party, Allowed::Autofill)?;
        let pending = std::mem::replace(&mut self.state.passkey, fresh);
        // Never into another tenant than the one of the URL.
        let foreign = match (&self.common.tenant, &user) {
            (Some(tenant), Some(user)) => *tenant != user.identity().tenant,
            _ => false,
        };
        match verify(realm, pending, user, response, Reason::UnknownPasskey, now) {
            Ok(user) if foreign => Ok(self.another_challenge(Reason::CrossTenant, Some(user))),
            Ok(user) => self.passkey_proved(realm, user, [].into(), rng, now),
            Err((reason, user)) => {
                let mut outcome = self.another_challenge(reason, user);
                if reason == Reason::UnknownPasskey && !matches!(outcome.next, Next::LoggedIn(_)) {
                    // The browser holds it already, so this tells it nothing but to stop offering it.
                    outcome.signal = Some(Signal::SignalUnknownCredential {
                        rp_id: realm.relying_party.id().to_owned(),
                        credential_id: response.passkey(),
                    });
                }
                Ok(outcome)
            }
        }
    }
}

impl Flow<Identified> {
    /// Step 3 with a passkey, and no password. `users` are those of [`Flow::lookup`].
    ///
    /// # Errors
    ///
    /// [`Error::Internal`].
    pub fn passkey(
        mut self,
        realm: &Realm,
        response: &AuthenticationResponse,
        users: Vec<UserRecord>,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<Outcome, Error> {
        if self.is_expired(now) {
            return Ok(self.over(Reason::Expired));
        }
        let (email, tenant) = (self.state.email.as_ref(), self.common.tenant.as_ref());
        // Where one address is in several tenants, the passkey says which: by its handle, else by its identifier.
        let user = users
            .into_iter()
            .filter(|user| matches(user, email, tenant))
            .find(|user| response.user_handle() == Some(user.handle()) || user.passkey_of(response).is_some());
        let fresh = self.state.passkey.again(&realm.relying_party)?;
        let pending = std::mem::replace(&mut self.state.passkey, fresh);
        match verify(realm, pending, user, response, Reason::UnknownUser, now) {
            Ok(user) => self.passkey_proved(realm, user, [].into(), rng, now),
            Err((reason, user)) => Ok(self.another_challenge(reason, user)),
        }
    }
}

impl Flow<Second> {
    /// A passkey after another proof.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`].
    pub fn passkey(
        mut self,
        realm: &Realm,
        response: &AuthenticationResponse,
        user: Option<UserRecord>,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<Outcome, Error> {
        let user = match self.user(user, now) {
            Ok(user) => user,
            Err(reason) => return Ok(self.end(reason)),
        };
        let Some(pending) = self.state.passkey.take() else {
            return Ok(self.again(Reason::NotOffered).about(user.identity()));
        };
        self.state.passkey = Some(pending.again(&realm.relying_party)?);
        match verify(realm, pending, Some(user), response, Reason::UnknownUser, now) {
            Ok(user) => {
                let proofs = self.state.proofs.clone();
                self.passkey_proved(realm, user, proofs, rng, now)
            }
            Err((reason, user)) => Ok(self.another_challenge(reason, user)),
        }
    }
}
