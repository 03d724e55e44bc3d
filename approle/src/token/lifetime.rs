//! How long a login or a refresh makes a token live.

use keyward_config_values::Duration;
use serde::{Deserialize, Serialize};

use crate::Limits;

/// The durations of a role or user that decide how long a token lives.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Lifetime {
    /// What a login gives, and a refresh that asks for nothing.
    pub(crate) ttl: Option<Duration>,
    /// Makes the token periodic: no refresh gives more.
    pub(crate) period: Option<Duration>,
    /// No login and no refresh gives more.
    pub(crate) max_ttl: Option<Duration>,
    /// The cap of the SVIDs that come with the token.
    pub(crate) svid_ttl: Option<Duration>,
}

impl Lifetime {
    /// What one login (no increment) or refresh gives: min(increment, period, max-ttl, system's
    /// maximum, SVID's cap). What is left of the explicit maximum is up to the caller.
    pub(crate) fn span(&self, increment: Option<Duration>, limits: &Limits) -> Duration {
        let asked = increment.or(self.ttl).or(self.period).unwrap_or(limits.default_ttl);
        asked.min(self.longest(limits))
    }

    /// The most that any increment can give.
    pub(crate) fn longest(&self, limits: &Limits) -> Duration {
        [self.period, self.max_ttl, self.svid_ttl].into_iter().flatten().fold(limits.max_ttl, Ord::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::duration;

    #[test]
    fn the_shortest_of_all_that_is_set() {
        let limits = Limits::default();
        let lifetime = |ttl: &str, period: &str, max_ttl: &str, svid_ttl: &str| {
            let read = |text: &str| (!text.is_empty()).then(|| duration(text));
            Lifetime { ttl: read(ttl), period: read(period), max_ttl: read(max_ttl), svid_ttl: read(svid_ttl) }
        };
        for (lifetime, increment, span) in [
            (lifetime("", "", "", ""), "", "1h"),
            (lifetime("", "", "", ""), "2h", "2h"),
            (lifetime("", "", "", ""), "60d", "32d"),
            (lifetime("5m", "", "", ""), "", "5m"),
            (lifetime("5m", "", "", ""), "10m", "10m"),
            (lifetime("5m", "", "8m", ""), "10m", "8m"),
            (lifetime("", "1d", "", ""), "", "1d"),
            (lifetime("", "1d", "", ""), "2d", "1d"),
            (lifetime("", "1d", "", ""), "1m", "1m"),
            (lifetime("1h", "1d", "", ""), "", "1h"),
            (lifetime("1h", "1d", "", ""), "2h", "2h"),
            (lifetime("", "60d", "", ""), "", "32d"),
            (lifetime("", "3d", "", "1d"), "", "1d"),
            (lifetime("", "", "30m", ""), "", "30m"),
        ] {
            let increment = (!increment.is_empty()).then(|| duration(increment));
            assert_eq!(lifetime.span(increment, &limits), duration(span), "{lifetime:?}");
        }
    }
}
