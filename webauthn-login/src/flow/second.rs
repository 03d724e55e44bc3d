//! Steps after the first proof.

use rand_core::CryptoRng;
use time::OffsetDateTime;

use super::advance::{advance, complete, still_missing};
use super::outcome::{Outcome, Write};
use super::states::{Flow, Second};
use crate::limits::Admitted;
use crate::method::{Method, Proof};
use crate::totp::CodeCheck;
use crate::user::UserRecord;
use crate::{Error, Realm, Reason};

impl Flow<Second> {
    /// What is asked for.
    #[must_use]
    pub fn wanted(&self) -> Method {
        self.state.wanted
    }

    pub(crate) fn user(&self, user: Option<UserRecord>, now: OffsetDateTime) -> Result<UserRecord, Reason> {
        if self.is_expired(now) { Err(Reason::Expired) } else { self.state.who.still(user) }
    }

    pub(crate) fn end(self, reason: Reason) -> Outcome {
        let identity = self.state.who.identity.clone();
        self.over(reason).about(&identity)
    }

    /// A one-time password. The matched step is stored with the guard of the user's revision, so that of two logins with one code
    /// one succeeds.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`].
    pub fn totp(
        mut self,
        realm: &Realm,
        user: Option<UserRecord>,
        code: &str,
        _admitted: Admitted,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<Outcome, Error> {
        let mut user = match self.user(user, now) {
            Ok(user) => user,
            Err(reason) => return Ok(self.end(reason)),
        };
        let identity = user.identity().clone();
        let Some(stored) = user.data.totp.as_ref().filter(|_| self.state.wanted == Method::Totp) else {
            return Ok(self.again(Reason::NotOffered).about(&identity));
        };
        match stored.check(code, now) {
            CodeCheck::Wrong => return Ok(self.again(Reason::WrongCode).about(&identity)),
            CodeCheck::Used => return Ok(self.again(Reason::CodeUsed).about(&identity)),
            CodeCheck::Good(after) => user.data.totp = Some(after),
        }
        let writes = self.common.end();
        self.proved(realm, user, Proof::Totp, writes, rng, now)
    }

    /// A recovery code, in place of a one-time password.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`].
    pub fn recovery_code(
        mut self,
        realm: &Realm,
        user: Option<UserRecord>,
        code: &str,
        _admitted: Admitted,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<Outcome, Error> {
        let mut user = match self.user(user, now) {
            Ok(user) => user,
            Err(reason) => return Ok(self.end(reason)),
        };
        let identity = user.identity().clone();
        if self.state.wanted != Method::Totp {
            return Ok(self.again(Reason::NotOffered).about(&identity));
        }
        let Some(left) = user.data.recovery.take(&user.data.handle, code) else {
            return Ok(self.again(Reason::WrongRecoveryCode).about(&identity));
        };
        user.data.recovery = left;
        let writes = self.common.end();
        self.proved(realm, user, Proof::RecoveryCode, writes, rng, now)
    }

    fn proved(
        self,
        realm: &Realm,
        user: UserRecord,
        proof: Proof,
        mut writes: Vec<Write>,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<Outcome, Error> {
        writes.push(Write::PutUser(user.clone()));
        let mut proofs = self.state.proofs;
        proofs.insert(proof);
        let mut outcome = advance(realm, self.common, user, proofs, rng, now)?;
        outcome.prepend(writes);
        Ok(outcome)
    }

    /// Goes on without, where that is possible: a passkey that was made of the user's own accord need not be used at once.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`].
    pub fn skip(
        mut self,
        realm: &Realm,
        user: Option<UserRecord>,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<Outcome, Error> {
        let user = match self.user(user, now) {
            Ok(user) => user,
            Err(reason) => return Ok(self.end(reason)),
        };
        if still_missing(&self.common, &user, &self.state.proofs).is_some() {
            return Ok(self.again(Reason::NotOffered).about(user.identity()));
        }
        let writes = self.common.end();
        let identity = user.identity().clone();
        let mut outcome = complete(realm, self.common, user, self.state.proofs, false, rng, now)?;
        outcome.prepend(writes);
        Ok(outcome.about(&identity))
    }
}
