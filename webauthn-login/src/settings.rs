//! What an operator can set, and what every step needs.

use keyward_config_values::Duration;
use serde::{Deserialize, Serialize};
use time::{Duration as Span, OffsetDateTime, PrimitiveDateTime};

use crate::passkey::RelyingParty;
use crate::{Error, Secret};

/// How long things last. Every field may be left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[non_exhaustive]
pub struct LoginSettings {
    /// How long a login may take from its first page to its end, and a challenge may be answered: 10 minutes; at most 1 hour.
    pub login_time: Duration,
    /// How long a session lasts whatever is done in it: 12 hours; at most 30 days.
    pub session_time: Duration,
    /// How long a session lasts when nothing is done in it: 1 hour; at most as long as a session.
    pub session_idle: Duration,
    /// How long an enrolment link works: 24 hours; at most 7 days.
    pub link_time: Duration,
    /// How recent a login must be for changing what proves who somebody is: 5 minutes; at most 1 hour.
    pub step_up_age: Duration,
    /// Whether a browser is offered to set up a passkey or one-time password at the end of a login: yes.
    pub offer_enrolment: bool,
    /// How long nobody is offered again what they did not want: 90 days; at most 10 years.
    pub offer_again: Duration,
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds).unwrap_or(Duration::MAX)
}

impl Default for LoginSettings {
    fn default() -> Self {
        Self {
            login_time: seconds(600),
            session_time: seconds(43_200),
            session_idle: seconds(3600),
            link_time: seconds(86_400),
            step_up_age: seconds(300),
            offer_enrolment: true,
            offer_again: seconds(90 * 86_400),
        }
    }
}

impl LoginSettings {
    fn check(&self) -> Result<(), Error> {
        let bounds = [
            ("login-time", self.login_time, 3600, "at most `1h`"),
            ("session-time", self.session_time, 30 * 86_400, "at most `30d`"),
            ("session-idle", self.session_idle, self.session_time.as_secs(), "at most `session-time`"),
            ("link-time", self.link_time, 7 * 86_400, "at most `7d`"),
            ("step-up-age", self.step_up_age, 3600, "at most `1h`"),
            ("offer-again", self.offer_again, 3650 * 86_400, "at most `3650d`"),
        ];
        for (setting, value, most, bounds) in bounds {
            if value.as_secs() > most {
                return Err(Error::Setting { setting, bounds });
            }
        }
        Ok(())
    }
}

/// What every step of a login needs: the relying party, the secret and the settings. Made once.
#[derive(Debug)]
pub struct Realm {
    pub(crate) relying_party: RelyingParty,
    pub(crate) secret: Secret,
    pub(crate) settings: LoginSettings,
}

impl Realm {
    /// The three together.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`].
    pub fn new(relying_party: RelyingParty, secret: Secret, settings: LoginSettings) -> Result<Self, Error> {
        settings.check()?;
        Ok(Self { relying_party, secret, settings })
    }

    /// The secret.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &LoginSettings {
        &self.settings
    }

    /// The relying party.
    #[must_use]
    pub fn relying_party(&self) -> &RelyingParty {
        &self.relying_party
    }
}

/// `moment + duration`, at most the end of the year 9999.
pub(crate) fn after(moment: OffsetDateTime, duration: Duration) -> OffsetDateTime {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    moment.checked_add(Span::seconds(seconds)).unwrap_or(PrimitiveDateTime::MAX.assume_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds() {
        assert_eq!(LoginSettings::default().check(), Ok(()));
        let read = |json: &str| serde_json::from_str::<LoginSettings>(json).unwrap();
        assert_eq!(read("{}"), LoginSettings::default());
        let refused = read(r#"{"session-time":"30m"}"#).check().unwrap_err();
        assert_eq!(refused.to_string(), "`session-idle` must be at most `session-time`");
        assert!(read(r#"{"login-time":"2h"}"#).check().is_err());
        assert!(read(r#"{"link-time":"8d"}"#).check().is_err());
    }
}
