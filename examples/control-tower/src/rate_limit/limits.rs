//! The limits as they are configured.

use std::{fmt, str::FromStr};

use serde::Deserialize;

use super::{FAILURE, bucket::Rate};

/// What each client may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Failed logins of one address.
    pub failed_logins: Rate,
    /// Requests of one address without a token, or with one that is not known to be good; also logins.
    pub requests: Rate,
    /// Requests with one token.
    pub tokens: Rate,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            failed_logins: Rate::fixed(20, 400),
            requests: Rate::fixed(20_000, 100_000),
            tokens: Rate::fixed(20_000, 100_000),
        }
    }
}

impl Limits {
    /// The rate of logins in points, of which a failed one costs [`FAILURE`].
    pub(super) fn login_points(&self) -> Rate {
        let points = |logins: u32| logins.saturating_mul(FAILURE);
        Rate::new(points(self.failed_logins.per_second()), points(self.failed_logins.burst()))
            .unwrap_or(self.failed_logins)
    }
}

/// The limits, or none: `off`, or `failed-logins=20/s:400,requests=20000/s:100000,tokens=20000/s:100000`, of which what is left out
/// is as it is here. The number behind the colon is how many there may be at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct RateLimit(Option<Limits>);

impl RateLimit {
    /// No limits.
    pub const OFF: Self = Self(None);

    /// The limits, if there are any.
    #[must_use]
    pub fn limits(self) -> Option<Limits> {
        self.0
    }
}

impl Default for RateLimit {
    fn default() -> Self {
        Self(Some(Limits::default()))
    }
}

/// Why limits are none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitsError {
    /// Nothing of that name is limited.
    #[error("`{given}` is not limited: write `failed-logins`, `requests` or `tokens`, or `off` alone")]
    Name {
        /// What was given.
        given: String,
    },
    /// Not a rate.
    #[error("`{given}` is no rate: write it as `20/s:400`, two numbers from 1 to 4000000")]
    Rate {
        /// What was given.
        given: String,
    },
}

impl FromStr for RateLimit {
    type Err = LimitsError;

    fn from_str(text: &str) -> Result<Self, LimitsError> {
        if text == "off" {
            return Ok(Self::OFF);
        }
        let mut limits = Limits::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let place = match name {
                "failed-logins" => &mut limits.failed_logins,
                "requests" => &mut limits.requests,
                "tokens" => &mut limits.tokens,
                _ => return Err(LimitsError::Name { given: name.to_owned() }),
            };
            *place = read(value).ok_or_else(|| LimitsError::Rate { given: value.to_owned() })?;
        }
        Ok(Self(Some(limits)))
    }
}

fn read(text: &str) -> Option<Rate> {
    const MOST: u32 = 4_000_000;
    let (rate, burst) = text.split_once(':')?;
    let number = |text: &str| text.parse::<u32>().ok().filter(|number| (1..=MOST).contains(number));
    Rate::new(number(rate.strip_suffix("/s")?)?, number(burst)?)
}

impl TryFrom<String> for RateLimit {
    type Error = LimitsError;

    fn try_from(text: String) -> Result<Self, LimitsError> {
        text.parse()
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Limits { failed_logins, requests, tokens }) = self.0 else { return f.write_str("off") };
        for (separator, name, rate) in
            [("", "failed-logins", failed_logins), (",", "requests", requests), (",", "tokens", tokens)]
        {
            write!(f, "{separator}{name}={}/s:{}", rate.per_second(), rate.burst())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_and_written() {
        let default = "failed-logins=20/s:400,requests=20000/s:100000,tokens=20000/s:100000";
        for (text, canonical) in [
            ("", default),
            (default, default),
            ("off", "off"),
            ("requests=5/s:9", "failed-logins=20/s:400,requests=5/s:9,tokens=20000/s:100000"),
            (
                "tokens=1/s:1, failed-logins=4000000/s:1",
                "failed-logins=4000000/s:1,requests=20000/s:100000,tokens=1/s:1",
            ),
        ] {
            let limit: RateLimit = text.parse().unwrap();
            assert_eq!(limit.to_string(), canonical);
            assert_eq!(canonical.parse(), Ok(limit));
        }
        assert_eq!(RateLimit::default().to_string(), default);
        let refused = |text: &str| text.parse::<RateLimit>().unwrap_err().to_string();
        assert_eq!(
            refused("logins=1/s:1"),
            "`logins` is not limited: write `failed-logins`, `requests` or `tokens`, or `off` alone"
        );
        for value in ["", "0/s:1", "1/s:0", "1:1", "1/s", "4000001/s:1", "-1/s:1", "1/m:1"] {
            let text = refused(&format!("tokens={value}"));
            assert_eq!(text, format!("`{value}` is no rate: write it as `20/s:400`, two numbers from 1 to 4000000"));
        }
    }
}
