//! What is stored of a user.

mod change;
#[cfg(feature = "config")]
mod config;

use core::fmt;
use std::collections::BTreeSet;

use keyward_config_values::Name;
use keyward_config_values::record::{self, Format};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use self::change::hash_new_password;
#[cfg(feature = "config")]
pub use self::config::{ExternalConfig, InitialPassword, UserConfig};
use crate::method::{Has, Method};
use crate::passkey::{
    AuthenticationResponse, MAX_PASSKEYS, PasskeyId, PasskeyView, StoredPasskey, Subject, UserHandle, placeholder,
};
use crate::password::PasswordHash;
use crate::recovery::StoredCodes;
use crate::totp::StoredTotp;
use crate::{Error, Identity};

const RECORD: &str = "user";
const FORMAT: u32 = 1;

/// What is stored of a user: who they are, what their policy enforces, and what proves them. It holds the secret of the one-time
/// password, so the embedder seals it before it stores it. Replicated to a site, it is all the site needs.
///
/// The embedder keeps two indexes beside it: from [`UserRecord::handle`] to the identity, for passkeys that the browser offers
/// by itself, and from (tenant, issuer, subject) of each [`Binding`] to the identity.
#[derive(Clone)]
pub struct UserRecord {
    pub(crate) data: Box<Data>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Data {
    format: Format<FORMAT>,
    pub(crate) identity: Identity,
    pub(crate) handle: UserHandle,
    #[serde(default)]
    pub(crate) display_name: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created: OffsetDateTime,
    /// Grows whenever sessions and logins that are under way must not survive.
    pub(crate) epoch: u64,
    pub(crate) enforced: BTreeSet<Method>,
    /// What may be set up with a first proof alone, because it never was.
    pub(crate) open: BTreeSet<Method>,
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub(crate) locked: Option<OffsetDateTime>,
    #[serde(default)]
    pub(crate) password: Option<PasswordHash>,
    /// Somebody else knows the password: a person who logs in with it sets another one first.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub(crate) temporary: bool,
    #[serde(default)]
    pub(crate) totp: Option<StoredTotp>,
    #[serde(default)]
    pub(crate) recovery: StoredCodes,
    #[serde(default)]
    pub(crate) passkeys: Vec<StoredPasskey>,
    /// What the list of step 1 has in the places of passkeys that were removed, the last one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    removed: Vec<PasskeyId>,
    #[serde(default)]
    pub(crate) bindings: Vec<Binding>,
    #[serde(default)]
    pub(crate) policies: Vec<Name>,
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub(crate) last_login: Option<OffsetDateTime>,
    /// When they last did not want what a login offered to set up.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    pub(crate) declined: Option<OffsetDateTime>,
}

/// A user at a provider: its issuer and subject (OpenID Connect Core §2: the two alone are stable and unique, an email address
/// is neither).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Binding {
    /// The provider by its name here.
    pub provider: Name,
    /// The provider's `iss`.
    pub issuer: String,
    /// The user's `sub`.
    pub subject: String,
}

impl UserRecord {
    /// A user who has nothing yet. What is enforced may be set up at the first login.
    #[must_use]
    pub fn create(
        identity: Identity,
        enforced: BTreeSet<Method>,
        policies: Vec<Name>,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Self {
        Self {
            data: Box::new(Data {
                format: Format,
                identity,
                handle: UserHandle::generate(rng),
                display_name: None,
                created: now,
                epoch: 1,
                open: enforced.clone(),
                enforced,
                locked: None,
                password: None,
                temporary: false,
                totp: None,
                recovery: StoredCodes::default(),
                passkeys: Vec::new(),
                removed: Vec::new(),
                bindings: Vec::new(),
                policies,
                last_login: None,
                declined: None,
            }),
        }
    }

    /// Who it is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.data.identity
    }

    /// The name by which authenticators know the user. Another user of the same name has another one.
    #[must_use]
    pub fn handle(&self) -> UserHandle {
        self.data.handle
    }

    /// What people read.
    #[must_use]
    pub fn display_name(&self) -> &str {
        self.data.display_name.as_deref().unwrap_or(self.data.identity.email.as_str())
    }

    /// Removes a passkey; its place in the list of step 1 is not given back.
    pub(crate) fn take_passkey(&mut self, place: usize) {
        let passkey = self.data.passkeys.remove(place);
        self.data.removed.insert(0, placeholder(&self.data.handle, &passkey.id()));
        self.data.removed.truncate(MAX_PASSKEYS);
    }

    /// What the list of step 1 has in the places of passkeys that were removed.
    pub(crate) fn removed_passkeys(&self) -> &[PasskeyId] {
        &self.data.removed
    }

    /// What every login must prove.
    #[must_use]
    pub fn enforced(&self) -> &BTreeSet<Method> {
        &self.data.enforced
    }

    /// What may be set up with a first proof alone.
    #[must_use]
    pub fn open(&self) -> &BTreeSet<Method> {
        &self.data.open
    }

    /// What the user has.
    #[must_use]
    pub fn has(&self) -> Has {
        Has {
            password: self.data.password.is_some(),
            totp: self.data.totp.is_some(),
            passkey: !self.data.passkeys.is_empty(),
        }
    }

    /// Since when an administrator keeps the user out.
    #[must_use]
    pub fn locked(&self) -> Option<OffsetDateTime> {
        self.data.locked
    }

    /// The names of the user's policies.
    #[must_use]
    pub fn policies(&self) -> &[Name] {
        &self.data.policies
    }

    /// The users at providers that are this one.
    #[must_use]
    pub fn bindings(&self) -> &[Binding] {
        &self.data.bindings
    }

    /// The user's passkeys.
    pub fn passkeys(&self) -> impl Iterator<Item = PasskeyView<'_>> {
        self.data.passkeys.iter().map(StoredPasskey::view)
    }

    /// How many recovery codes are left.
    #[must_use]
    pub fn recovery_codes_left(&self) -> usize {
        self.data.recovery.left()
    }

    /// Whether somebody else chose the password, so that a person who logs in with it has to set another one.
    #[must_use]
    pub fn password_is_temporary(&self) -> bool {
        self.data.temporary
    }

    /// When the record was made.
    #[must_use]
    pub fn created(&self) -> OffsetDateTime {
        self.data.created
    }

    /// When somebody last logged in as the user.
    #[must_use]
    pub fn last_login(&self) -> Option<OffsetDateTime> {
        self.data.last_login
    }

    /// A number that grows when sessions and logins under way end: at a lock, a new password, a reset, a stricter policy.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.data.epoch
    }

    pub(crate) fn subject(&self) -> Subject<'_> {
        Subject {
            identity: &self.data.identity,
            handle: &self.data.handle,
            display_name: self.display_name(),
            passkeys: &self.data.passkeys,
        }
    }

    /// The passkey that a response is of.
    pub(crate) fn passkey_of(&self, response: &AuthenticationResponse) -> Option<&StoredPasskey> {
        let id = response.passkey();
        self.data.passkeys.iter().find(|passkey| passkey.is(&id))
    }

    /// The record to be sealed and stored, guarded by the revision that it was read at.
    ///
    /// # Errors
    ///
    /// [`Error::Record`] when a time cannot be written.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        Ok(record::encode(RECORD, &*self.data)?)
    }

    /// Reads a stored record.
    ///
    /// # Errors
    ///
    /// [`Error::Record`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Ok(record::decode(RECORD, FORMAT, bytes).map(|data| Self { data: Box::new(data) })?)
    }
}

impl fmt::Debug for UserRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserRecord")
            .field("identity", &self.data.identity)
            .field("enforced", &self.data.enforced)
            .field("locked", &self.data.locked)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, name, rng};

    pub(super) fn user(enforced: &[Method]) -> UserRecord {
        let identity = Identity::new("ann@example.com".parse().unwrap(), name("b2"));
        UserRecord::create(identity, enforced.iter().copied().collect(), vec![name("reader")], &mut rng(1), at(0))
    }

    #[test]
    fn stored_and_read_again_and_not_shown() {
        let user = user(&[Method::Totp]);
        let bytes = user.encode().unwrap();
        let read = UserRecord::decode(&bytes).unwrap();
        assert_eq!(read.encode().unwrap(), bytes);
        assert_eq!(read.open(), &BTreeSet::from([Method::Totp]));
        assert_eq!(
            UserRecord::decode(br#"{"format":2}"#).unwrap_err().to_string(),
            "the stored user has format 2, this release knows formats up to 1"
        );
        assert!(!format!("{user:?}").contains("password"));
    }
}
