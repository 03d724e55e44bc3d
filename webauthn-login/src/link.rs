//! Enrolment links: how an administrator lets somebody set up what proves them.

use keyward_config_values::Duration;
use keyward_config_values::record::{self, Format};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use time::OffsetDateTime;

use crate::method::Method;
use crate::passkey::UserHandle;
use crate::settings::after;
use crate::user::UserRecord;
use crate::{Error, Identity, Key, LoginSettings, Token};

const RECORD: &str = "enrolment link";
const FORMAT: u32 = 1;

/// What is stored of an enrolment link, under the [`Key`] of its token. It works once: opening it deletes the record, guarded
/// by the revision that it was read at. It opens the setting up of the methods that it names, and stands in for none that
/// the user still has.
///
/// Programs that look at mail follow links, so a page that is only fetched must not open it: let the person press a button.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct EnrolmentLink {
    format: Format<FORMAT>,
    key: Key,
    identity: Identity,
    handle: UserHandle,
    epoch: u64,
    methods: BTreeSet<Method>,
    #[serde(with = "time::serde::rfc3339")]
    expires: OffsetDateTime,
}

impl EnrolmentLink {
    /// A link for that user. `lasts` is cut to [`LoginSettings::link_time`].
    #[must_use]
    pub fn issue(
        user: &UserRecord,
        methods: BTreeSet<Method>,
        lasts: Duration,
        settings: &LoginSettings,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> (Token, Self) {
        let token = Token::generate(rng);
        let link = Self {
            format: Format,
            key: token.key(),
            identity: user.identity().clone(),
            handle: user.handle(),
            epoch: user.epoch(),
            methods,
            expires: after(now, lasts.min(settings.link_time)),
        };
        (token, link)
    }

    /// The key that it is stored under.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key
    }

    /// Whom it is for.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// When it stops working.
    #[must_use]
    pub fn expires(&self) -> OffsetDateTime {
        self.expires
    }

    /// What it lets set up.
    #[must_use]
    pub fn methods(&self) -> &BTreeSet<Method> {
        &self.methods
    }

    /// Whether it is for this very user, as they were when it was made: whatever ends sessions ends links too.
    pub(crate) fn is_of(&self, user: &UserRecord) -> bool {
        self.identity == *user.identity() && self.handle == user.handle() && self.epoch == user.epoch()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, name, rng};

    #[test]
    fn short_lived_and_stored_without_its_token() {
        let identity = Identity::new("ann@example.com".parse().unwrap(), name("b2"));
        let user = UserRecord::create(identity, [].into(), Vec::new(), &mut rng(1), at(0));
        let settings = LoginSettings::default();
        let week = "7d".parse().unwrap();
        let (token, link) = EnrolmentLink::issue(&user, [Method::Passkey].into(), week, &settings, &mut rng(2), at(0));
        assert_eq!(link.expires(), at(86_400), "cut to what the settings allow");
        let bytes = link.encode().unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(token.expose()));
        assert_eq!(EnrolmentLink::decode(&bytes).unwrap(), link);
        assert!(link.is_of(&user));
    }
}
