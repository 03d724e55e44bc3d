//! Setting up a passkey or a one-time password in the middle of a login.

use std::sync::Arc;

use rand_core::CryptoRng;
use time::OffsetDateTime;

use super::advance::{advance, complete, prove, still_missing};
use super::outcome::{Outcome, Write};
use super::states::{EnrollingPasskey, EnrollingTotp, Flow};
use crate::method::{Method, Proof};
use crate::passkey::{PasskeyName, PendingRegistration, RegistrationResponse};
use crate::recovery::StoredCodes;
use crate::totp::{SharedSecret, StoredTotp};
use crate::user::UserRecord;
use crate::{Error, Realm, Reason};

impl Flow<EnrollingPasskey> {
    /// Registers the passkey that the browser made; then it is used to log in with.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`].
    pub fn register(
        mut self,
        realm: &Realm,
        user: Option<UserRecord>,
        response: &RegistrationResponse,
        name: PasskeyName,
        now: OffsetDateTime,
    ) -> Result<Outcome, Error> {
        let identity = self.state.who.identity.clone();
        if self.is_expired(now) {
            return Ok(self.over(Reason::Expired).about(&identity));
        }
        let mut user = match self.state.who.still(user) {
            Ok(user) => user,
            Err(reason) => return Ok(self.over(reason).about(&identity)),
        };
        // Another challenge for another try.
        let fresh = PendingRegistration::begin(&realm.relying_party, &user.subject())?;
        let pending = std::mem::replace(&mut self.state.pending, fresh);
        let passkey = match pending.finish(&realm.relying_party, &user.data.passkeys, response, name, now) {
            Ok(passkey) => passkey,
            Err(reason) => return Ok(self.again(reason).about(&identity)),
        };
        user.data.passkeys.push(passkey);
        user.data.open.remove(&Method::Passkey);
        let mut writes = self.common.end();
        writes.push(Write::PutUser(user.clone()));
        let signal = user.accepted_passkeys(&realm.relying_party);
        let EnrollingPasskey { proofs, optional, .. } = self.state;
        let mut outcome = prove(realm, self.common, &user, proofs, Method::Passkey, optional)?;
        outcome.prepend(writes);
        outcome.signal = Some(signal);
        Ok(outcome.about(&identity))
    }

    /// Goes on without, where nothing asks for it.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`].
    pub fn skip(
        self,
        realm: &Realm,
        user: Option<UserRecord>,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<Outcome, Error> {
        let (who, proofs) = (self.state.who.clone(), self.state.proofs.clone());
        skip(self, &who, proofs, realm, user, rng, now)
    }
}

impl Flow<EnrollingTotp> {
    /// Confirms with a code that the application holds the secret. The recovery codes are in the outcome, to be shown once.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`].
    pub fn confirm(
        mut self,
        realm: &Realm,
        user: Option<UserRecord>,
        code: &str,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<Outcome, Error> {
        let identity = self.state.who.identity.clone();
        if self.is_expired(now) {
            return Ok(self.over(Reason::Expired).about(&identity));
        }
        let mut user = match self.state.who.still(user) {
            Ok(user) => user,
            Err(reason) => return Ok(self.over(reason).about(&identity)),
        };
        let Some(step) = self.state.secret.0.matches(code, now) else {
            return Ok(self.again(Reason::NotConfirmed).about(&identity));
        };
        let secret = SharedSecret(Arc::clone(&self.state.secret.0));
        user.data.totp = Some(StoredTotp::confirmed(secret, step, now));
        user.data.open.remove(&Method::Totp);
        let (stored, codes) = StoredCodes::generate(&user.data.handle, rng);
        user.data.recovery = stored;
        let mut writes = self.common.end();
        writes.push(Write::PutUser(user.clone()));
        let mut proofs = self.state.proofs;
        proofs.insert(Proof::Totp);
        let mut outcome = advance(realm, self.common, user, proofs, rng, now)?;
        outcome.prepend(writes);
        outcome.recovery_codes = Some(codes);
        Ok(outcome)
    }

    /// Goes on without, where nothing asks for it.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`].
    pub fn skip(
        self,
        realm: &Realm,
        user: Option<UserRecord>,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<Outcome, Error> {
        let (who, proofs) = (self.state.who.clone(), self.state.proofs.clone());
        skip(self, &who, proofs, realm, user, rng, now)
    }
}

fn skip<S>(
    mut flow: Flow<S>,
    who: &super::states::Who,
    proofs: crate::Proofs,
    realm: &Realm,
    user: Option<UserRecord>,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<Outcome, Error>
where
    super::AnyFlow: From<Flow<S>>,
{
    if flow.is_expired(now) {
        return Ok(flow.over(Reason::Expired).about(&who.identity));
    }
    let mut user = match who.still(user) {
        Ok(user) => user,
        Err(reason) => return Ok(flow.over(reason).about(&who.identity)),
    };
    if flow.common.step_up.is_none() {
        user.data.declined = Some(now);
    }
    if still_missing(&flow.common, &user, &proofs).is_some() {
        return Ok(flow.again(Reason::NotOffered).about(&who.identity));
    }
    let writes = flow.common.end();
    let mut outcome = complete(realm, flow.common, user, proofs, false, rng, now)?;
    outcome.prepend(writes);
    Ok(outcome.about(&who.identity))
}
