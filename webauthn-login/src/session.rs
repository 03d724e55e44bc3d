//! Sessions: what a login leaves behind.

use core::fmt;

use keyward_config_values::Duration;
use keyward_config_values::record::{self, Format};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::method::{Proof, Proofs};
use crate::passkey::UserHandle;
use crate::settings::after;
use crate::user::UserRecord;
use crate::{Authenticator, Client, Error, Identity, Key, LoginSettings, Reason, Token};

const RECORD: &str = "session";
/// 2: what it was begun with.
const FORMAT: u32 = 2;

/// What is stored of a session, under the [`Key`] of its token. The token is made when the login is through, never before:
/// what a browser brought along becomes no session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SessionRecord {
    format: Format<FORMAT>,
    key: Key,
    identity: Identity,
    handle: UserHandle,
    epoch: u64,
    authenticator: Authenticator,
    proofs: Proofs,
    #[serde(with = "time::serde::rfc3339")]
    authenticated: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    seen: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    expires: OffsetDateTime,
    /// When a provider had asked the person, if it said so and nothing else was proved: it may know the browser, and not ask again.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    asked: Option<OffsetDateTime>,
    /// Not said of those of earlier releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<Client>,
}

/// How much older than now the time of last use may be before it is worth a write.
const SEEN_STEP: time::Duration = time::Duration::MINUTE;

impl SessionRecord {
    pub(crate) fn begin(
        user: &UserRecord,
        authenticator: Authenticator,
        proofs: Proofs,
        settings: &LoginSettings,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> (Token, Self) {
        let token = Token::generate(rng);
        let session = Self {
            format: Format,
            key: token.key(),
            identity: user.identity().clone(),
            handle: user.handle(),
            epoch: user.epoch(),
            authenticator,
            proofs,
            authenticated: now,
            seen: now,
            expires: after(now, settings.session_time),
            asked: None,
            client: None,
        };
        (token, session)
    }

    /// The same, begun by a provider that said when it asked.
    pub(crate) fn asked(self, asked: Option<OffsetDateTime>) -> Self {
        Self { asked, ..self }
    }

    /// The key that it is stored under.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key
    }

    /// Whose it is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What was proved.
    #[must_use]
    pub fn proofs(&self) -> &Proofs {
        &self.proofs
    }

    /// Who verified it.
    #[must_use]
    pub fn authenticator(&self) -> &Authenticator {
        &self.authenticator
    }

    /// When the login was.
    #[must_use]
    pub fn authenticated(&self) -> OffsetDateTime {
        self.authenticated
    }

    /// When it was last used, to a minute.
    #[must_use]
    pub fn seen(&self) -> OffsetDateTime {
        self.seen
    }

    /// What it was begun with, if the embedder said.
    #[must_use]
    pub fn client(&self) -> Option<&Client> {
        self.client.as_ref()
    }

    /// Says what it is begun with, before it is stored. One that goes on from another keeps what that was begun with.
    pub fn begun_with(&mut self, client: Client) {
        self.client.get_or_insert(client);
    }

    /// When it ends, whatever is done in it.
    #[must_use]
    pub fn expires(&self) -> OffsetDateTime {
        self.expires
    }

    /// Whether the session is good: not over, of this very user, who is not locked and was not changed in a way that ends
    /// sessions. `Some` is the record to be stored when its time of last use moved on; that write need not be waited for.
    ///
    /// # Errors
    ///
    /// [`Reason::SessionEnded`], or [`Reason::Locked`], which is not told.
    pub fn check(
        &self,
        user: Option<&UserRecord>,
        settings: &LoginSettings,
        now: OffsetDateTime,
    ) -> Result<Option<Self>, Reason> {
        let Some(user) = user.filter(|user| self.is_of(user)) else {
            return Err(Reason::SessionEnded);
        };
        if user.locked().is_some() {
            return Err(Reason::Locked);
        }
        if now >= self.expires || now >= after(self.seen, settings.session_idle) {
            return Err(Reason::SessionEnded);
        }
        Ok((now - self.seen >= SEEN_STEP).then(|| Self { seen: now, ..self.clone() }))
    }

    fn is_of(&self, user: &UserRecord) -> bool {
        self.identity == *user.identity() && self.handle == user.handle() && self.epoch == user.epoch()
    }

    /// The permission to change what proves the user, if the login was recent: not only the session, where a provider alone verified it. It
    /// may have asked long before, and one that does not say when it did (`auth_time`, OpenID Connect Core §2) says nothing of it.
    ///
    /// # Errors
    ///
    /// [`Error::StepUp`]: log in again, see [`crate::Realm::step_up`].
    pub fn fresh(&self, max_age: Duration, now: OffsetDateTime) -> Result<Fresh, Error> {
        let since = match self.asked {
            Some(asked) => asked.min(self.authenticated),
            None if self.proofs.iter().all(|proof| *proof == Proof::External) => {
                return Err(Error::StepUp { seconds: max_age.as_secs() });
            }
            None => self.authenticated,
        };
        Fresh::since(since, max_age, now)
    }

    /// The same session with another token, after the user changed what proves them: end the former one and begin this one in
    /// the commit that stores the user. It lasts no longer than the former one.
    #[must_use]
    pub fn rotate(&self, user: &UserRecord, rng: &mut impl CryptoRng) -> (Token, Self) {
        let token = Token::generate(rng);
        let session = Self { key: token.key(), epoch: user.epoch(), ..self.clone() };
        (token, session)
    }

    /// The same after something was set up inside of it: as old as before, and with what was proved of that.
    pub(crate) fn go_on(
        &self,
        user: &UserRecord,
        proofs: Proofs,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> (Token, Self) {
        let (token, session) = self.rotate(user, rng);
        (token, Self { proofs, seen: now, ..session })
    }

    /// The record to be stored.
    ///
    /// # Errors
    ///
    /// [`Error::Record`] when a time cannot be written.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        Ok(record::encode(RECORD, self)?)
    }

    /// Reads a stored record.
    ///
    /// # Errors
    ///
    /// [`Error::Record`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Ok(record::decode(RECORD, FORMAT, bytes)?)
    }
}

/// The proof that the user logged in a moment ago; see [`SessionRecord::fresh`].
#[derive(Debug)]
pub struct Fresh(());

impl Fresh {
    /// That a login is recent which left something else than a session behind, such as a token of a program.
    ///
    /// # Errors
    ///
    /// [`Error::StepUp`].
    pub fn since(authenticated: OffsetDateTime, max_age: Duration, now: OffsetDateTime) -> Result<Self, Error> {
        if now >= authenticated && now < after(authenticated, max_age) {
            Ok(Self(()))
        } else {
            Err(Error::StepUp { seconds: max_age.as_secs() })
        }
    }

    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        Self(())
    }
}

impl fmt::Display for SessionRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session of {}", self.identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, name, rng};

    fn user() -> UserRecord {
        let identity = Identity::new("ann@example.com".parse().unwrap(), name("b2"));
        UserRecord::create(identity, [].into(), Vec::new(), &mut rng(1), at(0))
    }

    fn session(user: &UserRecord) -> (Token, SessionRecord) {
        let proofs = [Proof::Password].into();
        SessionRecord::begin(user, Authenticator::Strongbox, proofs, &LoginSettings::default(), &mut rng(2), at(0))
    }

    #[test]
    fn it_ends_by_age_by_idleness_and_with_its_user() {
        let mut user = user();
        let settings = LoginSettings::default();
        let (token, session) = session(&user);
        assert_eq!(session.key(), token.key());
        assert_eq!(session.check(Some(&user), &settings, at(59)), Ok(None));
        let moved = session.check(Some(&user), &settings, at(60)).unwrap().unwrap();
        assert_eq!(moved.seen(), at(60));
        assert_eq!(session.check(Some(&user), &settings, at(3600)), Err(Reason::SessionEnded));
        assert!(moved.check(Some(&user), &settings, at(3600)).is_ok());
        let late = SessionRecord { seen: at(43_199), ..session.clone() };
        assert_eq!(late.check(Some(&user), &settings, at(43_200)), Err(Reason::SessionEnded));
        assert_eq!(session.check(None, &settings, at(1)), Err(Reason::SessionEnded));
        let again = UserRecord::create(user.identity().clone(), [].into(), Vec::new(), &mut rng(9), at(0));
        assert_eq!(
            session.check(Some(&again), &settings, at(1)),
            Err(Reason::SessionEnded),
            "a later user of that name"
        );
        user.lock(at(1));
        assert!(session.check(Some(&user), &settings, at(2)).is_err());
        user.unlock();
        assert_eq!(session.check(Some(&user), &settings, at(2)), Err(Reason::SessionEnded), "a lock ends it for good");
    }

    #[test]
    fn another_token_after_a_change() {
        let mut user = user();
        let (token, session) = session(&user);
        user.lock(at(1));
        user.unlock();
        let (other, rotated) = session.rotate(&user, &mut rng(3));
        assert_ne!(other.key(), token.key());
        assert_eq!((rotated.expires(), rotated.authenticated()), (session.expires(), session.authenticated()));
        assert!(rotated.check(Some(&user), &LoginSettings::default(), at(2)).is_ok());
    }

    #[test]
    fn what_needs_a_recent_login() {
        let (_, session) = session(&user());
        let age = "5m".parse().unwrap();
        assert!(session.fresh(age, at(299)).is_ok());
        assert_eq!(session.fresh(age, at(300)).unwrap_err(), Error::StepUp { seconds: 300 });
        assert!(session.fresh(age, at(-1)).is_err(), "from the future");
    }

    #[test]
    fn stored_and_read_again_without_the_token() {
        let (token, session) = session(&user());
        let bytes = session.encode().unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(token.expose()));
        assert_eq!(SessionRecord::decode(&bytes).unwrap(), session);
        let newer = SessionRecord::decode(br#"{"format":3}"#).unwrap_err();
        assert_eq!(newer.to_string(), "the stored session has format 3, this release knows formats up to 2");
    }

    #[test]
    fn what_it_was_begun_with_stays_and_earlier_releases_did_not_say() {
        let user = user();
        let (_, mut session) = session(&user);
        let earlier = String::from_utf8(session.encode().unwrap()).unwrap().replace("\"format\":2", "\"format\":1");
        assert_eq!(SessionRecord::decode(earlier.as_bytes()).unwrap().client(), None);
        let client = Client::new("Firefox/145.0 (Linux)", Some([192, 0, 2, 1].into()));
        session.begun_with(client.clone());
        let read = SessionRecord::decode(&session.encode().unwrap()).unwrap();
        assert_eq!(read.client(), Some(&client));
        let (_, mut rotated) = read.rotate(&user, &mut rng(3));
        rotated.begun_with(Client::new("", None));
        assert_eq!(rotated.client(), Some(&client));
    }
}
