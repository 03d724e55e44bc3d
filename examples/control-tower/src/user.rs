//! Users as they are stored: the record of the login with what the tower keeps beside it.

use keyward_webauthn_login::{Identity, PasswordHash, UserRecord};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::{Duration, OffsetDateTime};

/// Of the first administrator.
pub const ADMINISTRATOR: &str = "admin";

/// 1 and 2 had a password and policies alone; [`User::migrate`] makes a record of the present format of them.
const FORMAT: u32 = 3;

/// A stored user.
#[derive(Clone)]
pub struct User {
    record: UserRecord,
    /// Tokens from before a change that ends them do not count: whoever stole one would refresh it for ever.
    tokens_since: OffsetDateTime,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Stored<'a> {
    format: u32,
    #[serde(with = "time::serde::timestamp::milliseconds")]
    tokens_since: OffsetDateTime,
    #[serde(borrow)]
    user: &'a RawValue,
}

/// Of formats 1 and 2.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Former {
    password_hash: PasswordHash,
    policies: Vec<keyward_config_values::Name>,
    #[serde(default, with = "time::serde::timestamp::milliseconds::option")]
    tokens_since: Option<OffsetDateTime>,
}

#[derive(Deserialize)]
struct Probe {
    format: u32,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("record", &self.record).finish_non_exhaustive()
    }
}

impl User {
    /// A new user. Tokens of a former one of the name do not count, nor any of this very millisecond.
    pub fn new(record: UserRecord, now: OffsetDateTime) -> Self {
        Self { record, tokens_since: now.saturating_add(Duration::MILLISECOND) }
    }

    /// The same user with a changed record. What ends sessions (a lock, another password, a stricter policy) ends tokens too; so do
    /// other policies, which tokens carry along.
    #[must_use]
    pub fn changed(&self, record: UserRecord, now: OffsetDateTime) -> Self {
        let ends = record.epoch() != self.record.epoch() || record.policies() != self.record.policies();
        let tokens_since = if ends { self.dated(now).saturating_add(Duration::MILLISECOND) } else { self.tokens_since };
        Self { record, tokens_since }
    }

    /// Who it is, and what proves it.
    pub fn record(&self) -> &UserRecord {
        &self.record
    }

    /// Whether a token that was made then counts.
    pub fn accepts(&self, created: OffsetDateTime) -> bool {
        self.record.locked().is_none() && milliseconds(created) >= milliseconds(self.tokens_since)
    }

    /// When a token of a login at `now` says that it was made: never before the password that it was had with, whatever became of
    /// the clock.
    pub fn dated(&self, now: OffsetDateTime) -> OffsetDateTime {
        self.tokens_since.max(now)
    }

    /// The record to be stored.
    ///
    /// # Errors
    /// None that a user can cause.
    pub fn encode(&self) -> anyhow::Result<Vec<u8>> {
        let user = self.record.encode()?;
        let stored = Stored { format: FORMAT, tokens_since: self.tokens_since, user: serde_json::from_slice(&user)? };
        Ok(serde_json::to_vec(&stored)?)
    }

    /// Reads a stored record.
    ///
    /// # Errors
    /// Damage, or another format than the present one.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let Stored { format, tokens_since, user } = serde_json::from_slice(bytes).map_err(|_| unreadable(bytes))?;
        if format != FORMAT {
            return Err(unreadable(bytes));
        }
        let record = UserRecord::decode(user.get().as_bytes()).map_err(|error| error.to_string())?;
        Ok(Self { record, tokens_since })
    }

    /// A user of an earlier program as one of this; `None` for one of this program.
    ///
    /// # Errors
    /// Damage, or a newer format.
    pub fn migrate(
        bytes: &[u8],
        identity: Identity,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<Option<Self>, String> {
        let Probe { format } = serde_json::from_slice(bytes).map_err(|_| unreadable(bytes))?;
        match format {
            FORMAT => return Ok(None),
            1 | 2 => {}
            _ => return Err(unreadable(bytes)),
        }
        let Former { password_hash, policies, tokens_since } =
            serde_json::from_slice(bytes).map_err(|_| unreadable(bytes))?;
        let mut record = UserRecord::create(identity, [].into(), policies, rng, now);
        record.import_password(password_hash);
        Ok(Some(Self { record, tokens_since: tokens_since.unwrap_or(OffsetDateTime::UNIX_EPOCH) }))
    }
}

fn unreadable(bytes: &[u8]) -> String {
    match serde_json::from_slice(bytes) {
        Ok(Probe { format }) if format > FORMAT => format!("format {format} is of a newer program"),
        _ => "damaged".to_owned(),
    }
}

fn milliseconds(moment: OffsetDateTime) -> i128 {
    moment.unix_timestamp_nanos() / 1_000_000
}

#[cfg(test)]
mod tests {
    use keyward_webauthn_login::{Password, Secret, hash_new_password};
    use time::macros::datetime;

    use super::*;
    use crate::random::rng;

    const NOW: OffsetDateTime = datetime!(2026-03-01 00:00 UTC);
    const HASH: &str = "$argon2id$v=19$m=512,t=2,p=1$c29tZSBzYWx0c29tZQ$bTTWl4DTYfbHOZ5pdLtcMKrNqe5nV8QbHNXcCo2x2K0";

    fn ann() -> Identity {
        Identity::new("ann@example.com".parse().unwrap(), "acme".parse().unwrap())
    }

    fn user() -> User {
        User::new(UserRecord::create(ann(), [].into(), Vec::new(), &mut rng(), NOW), NOW)
    }

    #[test]
    fn what_was_stored_is_read() {
        let user = user();
        let stored = user.encode().unwrap();
        let again = User::decode(&stored).unwrap();
        assert_eq!(again.record().handle(), user.record().handle());
        assert_eq!(again.tokens_since, user.tokens_since);
        let newer = String::from_utf8(stored).unwrap().replacen("\"format\":3", "\"format\":4", 1);
        assert_eq!(User::decode(newer.as_bytes()).unwrap_err(), "format 4 is of a newer program");
        assert_eq!(User::decode(b"{}").unwrap_err(), "damaged");
        assert!(!format!("{user:?}").contains("argon2"));
    }

    #[test]
    fn users_of_earlier_programs_are_brought_along() {
        let migrate = |text: &str| User::migrate(text.as_bytes(), ann(), &mut rng(), NOW);
        let first = migrate(&format!(r#"{{"format":1,"password-hash":"{HASH}","policies":["reader"]}}"#)).unwrap();
        let first = first.unwrap();
        assert!(first.record().has().password && first.record().policies().len() == 1);
        assert!(first.accepts(NOW - Duration::days(900)));
        let since = NOW.unix_timestamp() * 1000;
        let text = format!(r#"{{"format":2,"password-hash":"{HASH}","policies":[],"tokens-since":{since}}}"#);
        let second = migrate(&text).unwrap().unwrap();
        assert!(second.accepts(NOW) && !second.accepts(NOW - Duration::MILLISECOND));
        assert!(User::decode(&second.encode().unwrap()).is_ok());
        assert!(migrate(std::str::from_utf8(&second.encode().unwrap()).unwrap()).unwrap().is_none());
        assert!(migrate(r#"{"format":2,"password-hash":"x","policies":[]}"#).is_err());
        assert!(migrate(r#"{"format":4}"#).unwrap_err().contains("newer"));
    }

    #[test]
    fn what_ends_sessions_ends_tokens() {
        let user = user();
        assert!(!user.accepts(NOW) && user.accepts(user.dated(NOW)));
        let secret = Secret::from_bytes(&[7; 32]);
        let password = Password::new("kessel run in twelve".to_owned());
        let hashed = hash_new_password(password, &ann().email, &secret).unwrap().run().unwrap();
        let later = NOW + Duration::HOUR;
        let mut record = user.record().clone();
        record.set_password(&hashed);
        let with_password = user.changed(record.clone(), later);
        assert!(!with_password.accepts(later) && with_password.accepts(with_password.dated(later)));
        // A clock that was set back makes nothing good again.
        record.lock(NOW);
        let locked = with_password.changed(record.clone(), NOW);
        record.unlock();
        let unlocked = locked.changed(record.clone(), NOW);
        assert!(!locked.accepts(locked.dated(later)), "whatever is presented");
        assert!(!unlocked.accepts(with_password.dated(later)) && unlocked.accepts(unlocked.dated(later)));
        record.set_display_name(Some("Ann".to_owned()));
        assert_eq!(unlocked.changed(record.clone(), later).tokens_since, unlocked.tokens_since);
        record.set_policies(vec!["reader".parse().unwrap()]);
        assert_ne!(unlocked.changed(record, later).tokens_since, unlocked.tokens_since);
    }
}
