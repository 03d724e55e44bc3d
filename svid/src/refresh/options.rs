//! How often, and for how long.

use keyward_keys::ErrorKind;
use time::Duration;

/// How often a document is fetched, and for how long the last one serves. [`Default`] is what suits a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefreshOptions {
    /// Time between two fetches where the document asks for none; 5 minutes by default (SPIFFE Federation §4.1).
    pub default_interval: Duration,
    /// The shortest time between two fetches, whatever the document asks for; also the time after which a first
    /// fetch that failed is tried again. A minute by default.
    pub min_interval: Duration,
    /// The longest time between two fetches, whatever the document asks for: what was revoked is served no longer
    /// than that while the source answers. An hour by default.
    pub max_interval: Duration,
    /// From this age on a document is not served, 24 hours by default. Where `min_interval` allows it, four
    /// fetches are tried before; at least one always is.
    pub max_age: Duration,
    /// How long a fetch may take before it counts as failed; 30 seconds by default.
    pub timeout: Duration,
    /// The shortest time between the begin of a fetch and the next that an unknown key may cause; 30 seconds by
    /// default, and never more than `min_interval`.
    pub cooldown: Duration,
}

impl Default for RefreshOptions {
    fn default() -> Self {
        Self {
            default_interval: Duration::minutes(5),
            min_interval: Duration::MINUTE,
            max_interval: Duration::HOUR,
            max_age: Duration::DAY,
            timeout: Duration::seconds(30),
            cooldown: Duration::seconds(30),
        }
    }
}

/// Why [`RefreshOptions`] are refused, or a stored record is not taken up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefreshError {
    /// A time is below a second.
    #[error("{option} of {found} is below a second")]
    TooShort {
        /// Which one.
        option: &'static str,
        /// Its value.
        found: Duration,
    },
    /// A time is longer than another that it must not exceed.
    #[error("{option} of {found} is longer than {other} of {limit}")]
    TooLong {
        /// Which one.
        option: &'static str,
        /// Its value.
        found: Duration,
        /// Which other one.
        other: &'static str,
        /// The value of that.
        limit: Duration,
    },
    /// A stored record cannot be read.
    #[error("the record of a fetched document is damaged")]
    Record,
    /// A newer release wrote the stored record.
    #[error("the record has format {found}, but this release knows formats up to {known}")]
    RecordFormat {
        /// The format of the record.
        found: u32,
        /// The newest format known.
        known: u32,
    },
}

impl RefreshError {
    /// Misconfigured for options, malformed or unavailable for records.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TooShort { .. } | Self::TooLong { .. } => ErrorKind::Misconfigured,
            Self::Record => ErrorKind::Malformed,
            Self::RecordFormat { .. } => ErrorKind::Unavailable,
        }
    }
}

impl RefreshOptions {
    /// To fetch always after this time, whatever the document asks for; the cooldown is no longer than that.
    pub fn every(interval: Duration) -> Self {
        let default = Self::default();
        Self {
            default_interval: interval,
            min_interval: interval,
            max_interval: interval,
            cooldown: default.cooldown.min(interval),
            ..default
        }
    }

    pub(crate) fn validate(&self) -> Result<(), RefreshError> {
        for (option, found) in [
            ("the shortest interval", self.min_interval),
            ("the timeout", self.timeout),
            ("the cooldown", self.cooldown),
        ] {
            if found < Duration::SECOND {
                return Err(RefreshError::TooShort { option, found });
            }
        }
        for (option, found, other, limit) in [
            ("the shortest interval", self.min_interval, "the default interval", self.default_interval),
            ("the default interval", self.default_interval, "the longest interval", self.max_interval),
            ("the cooldown", self.cooldown, "the shortest interval", self.min_interval),
            ("the shortest interval", self.min_interval, "half of the maximum age", self.max_age / 2),
        ] {
            if found > limit {
                return Err(RefreshError::TooLong { option, found, other, limit });
            }
        }
        Ok(())
    }

    /// The time to the next fetch after one that brought a document with this hint. A hint above a quarter of the
    /// maximum age would let one missed fetch or two end the service.
    pub(super) fn interval(&self, hint: Option<Duration>) -> Duration {
        let wanted = hint.unwrap_or(self.default_interval).min(self.max_interval).min(self.max_age / 4);
        wanted.max(self.min_interval)
    }
}
