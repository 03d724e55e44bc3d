//! Changes to a user: by an administrator, and by the user in an account page.

use std::collections::BTreeSet;

use keyward_config_values::Name;
use rand_core::CryptoRng;
use time::OffsetDateTime;

use super::{Binding, UserRecord};
use crate::method::Method;
use crate::passkey::{PasskeyId, PasskeyName, RelyingParty, Signal};
use crate::password::{HashJob, Hashed, Password, PasswordHash};
use crate::recovery::{RecoveryCodes, StoredCodes};
use crate::secret::Purpose;
use crate::session::Fresh;
use crate::{Email, Error, Secret};

/// By an administrator.
impl UserRecord {
    /// Keeps the user out, whatever they prove, and ends sessions and logins that are under way.
    pub fn lock(&mut self, now: OffsetDateTime) {
        if self.data.locked.is_none() {
            self.data.locked = Some(now);
            self.data.epoch += 1;
        }
    }

    /// Lets the user in again.
    pub fn unlock(&mut self) {
        self.data.locked = None;
    }

    /// Sets what every login must prove. What is new and was never set up may be set up at the next login; logins and sessions
    /// under a laxer policy end.
    pub fn enforce(&mut self, enforced: BTreeSet<Method>) {
        let has = self.has();
        let added: Vec<Method> = enforced.difference(&self.data.enforced).copied().collect();
        for method in &added {
            let there = match method {
                Method::Password => has.password,
                Method::Totp => has.totp,
                Method::Passkey => has.passkey,
            };
            if !there {
                self.data.open.insert(*method);
            }
        }
        self.data.open.retain(|method| enforced.contains(method));
        self.data.enforced = enforced;
        if !added.is_empty() {
            self.data.epoch += 1;
        }
    }

    /// Sets the names of the user's policies.
    pub fn set_policies(&mut self, policies: Vec<Name>) {
        self.data.policies = policies;
    }

    /// Sets what people read.
    pub fn set_display_name(&mut self, name: Option<String>) {
        self.data.display_name = name.filter(|name| !name.is_empty());
    }

    /// Sets the users at providers that are this one.
    pub fn set_bindings(&mut self, bindings: Vec<Binding>) {
        if bindings != self.data.bindings {
            self.data.bindings = bindings;
            self.data.epoch += 1;
        }
    }

    /// Brings a hash along that was made elsewhere.
    pub fn import_password(&mut self, hash: PasswordHash) {
        self.data.password = Some(hash);
        self.data.temporary = false;
        self.data.epoch += 1;
    }

    /// Sets a password that somebody else chose and has handed over. A person who logs in with it sets another one before anything
    /// else; programs go on logging in with it.
    pub fn set_temporary_password(&mut self, hashed: &Hashed) {
        self.set_password(hashed);
        self.data.temporary = self.data.password.is_some();
    }

    /// Takes methods away from one who lost them; an enrolment link sets them up again, and nothing else does. Sessions and logins
    /// under way end.
    pub fn reset(&mut self, methods: &BTreeSet<Method>) {
        if methods.contains(&Method::Password) {
            self.data.password = None;
            self.data.temporary = false;
        }
        if methods.contains(&Method::Totp) {
            self.data.totp = None;
            self.data.recovery = StoredCodes::default();
        }
        if methods.contains(&Method::Passkey) {
            while let Some(last) = self.data.passkeys.len().checked_sub(1) {
                self.take_passkey(last);
            }
        }
        self.data.open.retain(|method| !methods.contains(method));
        self.data.epoch += 1;
    }
}

/// Of a password for that user, the first or another one. Run it, then [`UserRecord::set_password`].
///
/// # Errors
///
/// [`Error::NewPassword`].
pub fn hash_new_password(password: Password, email: &Email, secret: &Secret) -> Result<HashJob, Error> {
    password.check_new(email)?;
    Ok(HashJob::new(password, crate::password::recipe_for(email.as_str(), secret), None))
}

/// By the user, who logged in a moment ago.
impl UserRecord {
    /// Sets the password. Other sessions end; the caller rotates this one.
    pub fn set_password(&mut self, hashed: &Hashed) {
        if let Some(hash) = hashed.to_store() {
            self.data.password = Some(hash);
            self.data.temporary = false;
            self.data.open.remove(&Method::Password);
            self.data.epoch += 1;
        }
    }

    /// Whether the hash is that of the present password: asked for before another one is set.
    #[must_use]
    pub fn password_is(&self, hashed: &Hashed) -> bool {
        self.data.password.as_ref().is_some_and(|stored| hashed.is(stored))
    }

    /// The work of checking the present password.
    pub fn check_password(&self, password: Password, secret: &Secret) -> HashJob {
        let current = crate::password::recipe_for(self.data.identity.email.as_str(), secret);
        HashJob::new(password, current, self.data.password.iter().map(|hash| hash.recipe.clone()))
    }

    /// Names a passkey.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchPasskey`].
    pub fn rename_passkey(&mut self, id: &PasskeyId, name: PasskeyName) -> Result<(), Error> {
        let passkey = self.data.passkeys.iter_mut().find(|passkey| passkey.is(id)).ok_or(Error::NoSuchPasskey)?;
        passkey.name = name;
        Ok(())
    }

    /// Removes a passkey, and says what the page tells the browser.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchPasskey`]; [`Error::Enforced`] for the last one where passkeys are enforced.
    pub fn remove_passkey(&mut self, id: &PasskeyId, rp: &RelyingParty, _fresh: &Fresh) -> Result<Signal, Error> {
        let place = self.data.passkeys.iter().position(|passkey| passkey.is(id)).ok_or(Error::NoSuchPasskey)?;
        let last = self.data.passkeys.len() == 1;
        if last && self.data.enforced.contains(&Method::Passkey) {
            return Err(Error::Enforced);
        }
        if last && self.data.password.is_none() && self.data.bindings.is_empty() {
            // Nobody locks themselves out by one click.
            return Err(Error::Enforced);
        }
        self.take_passkey(place);
        self.data.epoch += 1;
        Ok(self.accepted_passkeys(rp))
    }

    /// What the page tells the browser after passkeys were made or removed.
    #[must_use]
    pub fn accepted_passkeys(&self, rp: &RelyingParty) -> Signal {
        Signal::SignalAllAcceptedCredentials {
            rp_id: rp.id().to_owned(),
            user_id: self.data.handle,
            all_accepted_credential_ids: self.data.passkeys.iter().map(super::StoredPasskey::id).collect(),
        }
    }

    /// What the page tells the browser after the user was renamed.
    #[must_use]
    pub fn current_details(&self, rp: &RelyingParty) -> Signal {
        Signal::SignalCurrentUserDetails {
            rp_id: rp.id().to_owned(),
            user_id: self.data.handle,
            name: format!("{} ({})", self.data.identity.email, self.data.identity.tenant),
            display_name: self.display_name().to_owned(),
        }
    }

    /// Takes the one-time password away, and with it its recovery codes.
    ///
    /// # Errors
    ///
    /// [`Error::Enforced`].
    pub fn remove_totp(&mut self, _fresh: &Fresh) -> Result<(), Error> {
        if self.data.enforced.contains(&Method::Totp) {
            return Err(Error::Enforced);
        }
        self.data.totp = None;
        self.data.recovery = StoredCodes::default();
        self.data.epoch += 1;
        Ok(())
    }

    /// Another set of recovery codes; the former ones no longer work.
    pub fn new_recovery_codes(&mut self, _fresh: &Fresh, rng: &mut impl CryptoRng) -> RecoveryCodes {
        let (stored, codes) = StoredCodes::generate(&self.data.handle, rng);
        self.data.recovery = stored;
        codes
    }

    /// Binds a user at a provider to this one, after a login there in this session.
    pub fn bind(&mut self, binding: Binding, _fresh: &Fresh) {
        if !self.data.bindings.contains(&binding) {
            self.data.bindings.push(binding);
        }
    }
}

impl Secret {
    /// The salt of everybody with that address. It is the same in every tenant, so that a password for an address in many
    /// tenants, in one, or in none costs one hash; and nobody can compute it without the secret.
    pub(crate) fn salt(&self, email: &str) -> [u8; 16] {
        let derived = self.derive(Purpose::Salt, &[email.as_bytes()]);
        let mut salt = [0; 16];
        for (target, byte) in salt.iter_mut().zip(derived) {
            *target = byte;
        }
        salt
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::user;
    use super::*;
    use crate::testing::{at, rng};

    #[test]
    fn a_lock_and_a_stricter_policy_end_what_is_under_way() {
        let mut user = user(&[]);
        let before = user.epoch();
        user.lock(at(5));
        user.lock(at(6));
        assert_eq!((user.locked(), user.epoch()), (Some(at(5)), before + 1));
        user.unlock();
        assert_eq!(user.locked(), None);
        user.enforce([Method::Passkey].into());
        assert_eq!(user.epoch(), before + 2);
        assert!(user.open().contains(&Method::Passkey), "never set up: at the next login");
        user.enforce([].into());
        assert!(user.open().is_empty());
        assert_eq!(user.epoch(), before + 2, "a laxer one ends nothing");
    }

    #[test]
    fn a_reset_leaves_nothing_open() {
        let mut user = user(&[Method::Passkey]);
        user.reset(&[Method::Passkey].into());
        assert!(user.open().is_empty() && !user.has().password);
    }

    #[test]
    fn what_is_enforced_is_not_taken_away() {
        let mut user = user(&[Method::Totp]);
        let fresh = Fresh::for_tests();
        assert_eq!(user.remove_totp(&fresh), Err(Error::Enforced));
        let codes = user.new_recovery_codes(&fresh, &mut rng(1));
        assert_eq!((codes.iter().count(), user.recovery_codes_left()), (10, 10));
        user.enforce([].into());
        assert_eq!(user.remove_totp(&fresh), Ok(()));
        assert_eq!(user.recovery_codes_left(), 0);
        assert_eq!(user.rename_passkey(&"AQID".parse().unwrap(), PasskeyName::default()), Err(Error::NoSuchPasskey));
    }

    #[test]
    fn one_address_has_one_salt() {
        let secret = Secret::from_bytes(&[7; 32]);
        assert_eq!(secret.salt("ann@example.com"), secret.salt("ann@example.com"));
        assert_ne!(secret.salt("ann@example.com"), secret.salt("bob@example.com"));
        assert_ne!(secret.salt("ann@example.com"), Secret::from_bytes(&[8; 32]).salt("ann@example.com"));
    }
}
