//! Steps with a password. The work of hashing is handed out, so that no step takes long.

use rand_core::CryptoRng;
use time::OffsetDateTime;

use super::advance::advance;
use super::begin::matches;
use super::outcome::{Next, Outcome, Write};
use super::states::{Choosing, Flow, Identified, Second, SettingPassword, Who};
use crate::limits::Admitted;
use crate::method::{Method, Proof};
use crate::password::{HashJob, Hashed, Password, recipe_for};
use crate::user::UserRecord;
use crate::{Error, Realm, Reason};

/// A password that was typed, while its hash is being made.
#[must_use = "the attempt was counted"]
pub struct PasswordAttempt {
    step: Step,
    users: Vec<UserRecord>,
}

enum Step {
    First(Flow<Identified>),
    Second(Flow<Second>),
}

impl Flow<Identified> {
    /// Step 3 with a password: run the job, then [`PasswordAttempt::finish`]. For an address that nobody has there is a job too, and
    /// for one in many tenants a single one.
    ///
    /// `users` are those of [`Flow::lookup`].
    pub fn password(
        self,
        realm: &Realm,
        users: Vec<UserRecord>,
        password: Password,
        _admitted: Admitted,
    ) -> (HashJob, PasswordAttempt) {
        let (email, tenant) = (self.state.email.as_ref(), self.common.tenant.as_ref());
        let users: Vec<UserRecord> = users.into_iter().filter(|user| matches(user, email, tenant)).collect();
        let stored = users.iter().filter_map(|user| user.data.password.as_ref()).map(|hash| hash.recipe.clone());
        let job = HashJob::new(password, recipe_for(&self.state.typed, &realm.secret), stored);
        (job, PasswordAttempt { step: Step::First(self), users })
    }
}

impl Flow<Second> {
    /// A password that is enforced, after another proof.
    pub fn password(
        self,
        realm: &Realm,
        user: Option<UserRecord>,
        password: Password,
        _admitted: Admitted,
    ) -> (HashJob, PasswordAttempt) {
        let email = self.state.who.identity.email.as_str();
        let stored = user.iter().filter_map(|user| user.data.password.as_ref()).map(|hash| hash.recipe.clone());
        let job = HashJob::new(password, recipe_for(email, &realm.secret), stored);
        (job, PasswordAttempt { step: Step::Second(self), users: user.into_iter().collect() })
    }
}

impl PasswordAttempt {
    /// The same with the users read anew, of the same look-up: hashing took a while, and what is decided is committed against the
    /// revisions that were read.
    pub fn with_users(self, users: Vec<UserRecord>) -> Self {
        let users = match &self.step {
            Step::First(flow) => {
                let (email, tenant) = (flow.state.email.as_ref(), flow.common.tenant.as_ref());
                users.into_iter().filter(|user| matches(user, email, tenant)).collect()
            }
            Step::Second(_) => users,
        };
        Self { step: self.step, users }
    }

    /// Decides, when the hash has been made.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`].
    pub fn finish(
        self,
        realm: &Realm,
        hashed: Hashed,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<Outcome, Error> {
        match self.step {
            Step::First(flow) => first(flow, self.users, realm, hashed, rng, now),
            Step::Second(flow) => second(flow, self.users, realm, hashed, rng, now),
        }
    }
}

fn is_right(user: &UserRecord, hashed: &Hashed) -> bool {
    user.data.password.as_ref().is_some_and(|stored| hashed.is(stored))
}

fn first(
    mut flow: Flow<Identified>,
    users: Vec<UserRecord>,
    realm: &Realm,
    hashed: Hashed,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<Outcome, Error> {
    if flow.is_expired(now) {
        return Ok(flow.over(Reason::Expired));
    }
    let known = users.first().map(|user| user.identity().clone());
    let (right, wrong): (Vec<_>, Vec<_>) = users.into_iter().partition(|user| is_right(user, &hashed));
    let locked = !right.is_empty();
    let mut right: Vec<UserRecord> = right.into_iter().filter(|user| user.locked().is_none()).collect();
    let Some(user) = right.pop() else {
        let reason = match (locked, wrong.is_empty()) {
            (true, _) => Reason::Locked,
            (false, true) => Reason::UnknownUser,
            (false, false) => Reason::WrongPassword,
        };
        let outcome = flow.again(reason);
        return Ok(match &known {
            Some(identity) => outcome.about(identity),
            None => outcome,
        });
    };
    let writes = flow.common.end();
    if !right.is_empty() {
        right.push(user);
        right.sort_by(|a, b| a.identity().cmp(b.identity()));
        let candidates = right.iter().map(Who::of).collect();
        let flow = flow.to(Choosing { candidates, proofs: [Proof::Password].into() });
        return Ok(Outcome::new(Next::Continue(flow.into()), writes));
    }
    let old = user.data.password.as_ref().is_some_and(crate::password::PasswordHash::needs_rehash);
    let rehash = old.then(|| {
        let recipe = recipe_for(user.identity().email.as_str(), &realm.secret);
        HashJob::new(hashed.password, recipe, None)
    });
    let mut outcome = advance(realm, flow.common, user, [Proof::Password].into(), rng, now)?;
    outcome.prepend(writes);
    outcome.rehash = rehash;
    Ok(outcome)
}

fn second(
    mut flow: Flow<Second>,
    users: Vec<UserRecord>,
    realm: &Realm,
    hashed: Hashed,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<Outcome, Error> {
    let user = match flow.user(users.into_iter().next(), now) {
        Ok(user) => user,
        Err(reason) => return Ok(flow.end(reason)),
    };
    let identity = user.identity().clone();
    if flow.state.wanted != Method::Password {
        return Ok(flow.again(Reason::NotOffered).about(&identity));
    }
    if !is_right(&user, &hashed) {
        return Ok(flow.again(Reason::WrongPassword).about(&identity));
    }
    let writes = flow.common.end();
    let mut proofs = flow.state.proofs;
    proofs.insert(Proof::Password);
    let mut outcome = advance(realm, flow.common, user, proofs, rng, now)?;
    outcome.prepend(writes);
    Ok(outcome)
}

/// A new password, while its hash is being made.
#[must_use = "a password is set when its hash is stored"]
pub struct NewPasswordAttempt {
    flow: Flow<SettingPassword>,
}

impl Flow<SettingPassword> {
    /// Whether a password may be set; say so before the step is taken.
    ///
    /// # Errors
    ///
    /// [`Error::NewPassword`].
    pub fn check(&self, password: &Password) -> Result<(), Error> {
        password.check_new(&self.state.who.identity.email)
    }

    /// Sets a password: run the job, then [`NewPasswordAttempt::finish`].
    ///
    /// # Errors
    ///
    /// [`Error::NewPassword`]; the login stays where it is stored.
    pub fn password(self, realm: &Realm, password: Password) -> Result<(HashJob, NewPasswordAttempt), Error> {
        self.check(&password)?;
        let recipe = recipe_for(self.state.who.identity.email.as_str(), &realm.secret);
        Ok((HashJob::new(password, recipe, None), NewPasswordAttempt { flow: self }))
    }
}

impl NewPasswordAttempt {
    /// Stores the hash and goes on.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`].
    pub fn finish(
        self,
        realm: &Realm,
        user: Option<UserRecord>,
        hashed: &Hashed,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<Outcome, Error> {
        let mut flow = self.flow;
        let identity = flow.state.who.identity.clone();
        if flow.is_expired(now) {
            return Ok(flow.over(Reason::Expired).about(&identity));
        }
        let mut user = match flow.state.who.still(user) {
            Ok(user) => user,
            Err(reason) => return Ok(flow.over(reason).about(&identity)),
        };
        if user.data.temporary && user.password_is(hashed) {
            return Ok(flow.again(Reason::SamePassword).about(&identity));
        }
        user.set_password(hashed);
        let mut writes = flow.common.end();
        writes.push(Write::PutUser(user.clone()));
        let mut proofs = flow.state.proofs;
        proofs.insert(Proof::Password);
        let mut outcome = advance(realm, flow.common, user, proofs, rng, now)?;
        outcome.prepend(writes);
        Ok(outcome)
    }
}

impl UserRecord {
    /// Stores the hash of the same password with the present parameters, see [`Outcome::rehash`]. The caller makes sure that the
    /// record still has the password that was checked: commit against the revision of the login's own write.
    pub fn set_rehashed(&mut self, hashed: &Hashed) {
        if let Some(hash) = hashed.to_store()
            && self.data.password.as_ref().is_some_and(crate::password::PasswordHash::needs_rehash)
        {
            self.data.password = Some(hash);
        }
    }
}
