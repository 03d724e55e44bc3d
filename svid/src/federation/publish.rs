//! What a trust domain owes to those that fetch its bundle.

use std::fmt;

use time::Duration;

use crate::bundle::DEFAULT_REFRESH_HINT;

/// Keys are published too shortly before their first use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublishWarning {
    /// How long a new key is published before it is used.
    pub activate_after: Duration,
    /// The refresh hint of the bundle, in seconds.
    pub refresh_hint: u64,
    /// The largest hint that would do, in seconds.
    pub largest_hint: u64,
}

impl fmt::Display for PublishWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "new keys are published {} seconds before their first use, less than 3 times the refresh hint of {} seconds: \
             others that miss one fetch will refuse them; set the hint to at most {}, or publish earlier",
            self.activate_after.whole_seconds(),
            self.refresh_hint,
            self.largest_hint,
        )
    }
}

/// Whether new keys are published early enough before their first use: the standard recommends 3 to 5 times the refresh
/// hint (SPIFFE Federation §4.1), so that who misses one fetch or two still has them.
///
/// ```
/// use keyward_svid::federation::{hint_fits, suggested_hint};
/// use time::Duration;
///
/// assert!(hint_fits(Duration::DAY, 300).is_ok());
/// let warning = hint_fits(Duration::minutes(10), 300).unwrap_err();
/// assert_eq!(warning.largest_hint, 200);
/// assert_eq!(suggested_hint(Duration::minutes(10)), 120);
/// ```
///
/// # Errors
/// A warning, when it is less than 3 times.
pub fn hint_fits(activate_after: Duration, refresh_hint: u64) -> Result<(), PublishWarning> {
    let seconds = whole_seconds(activate_after);
    if refresh_hint.saturating_mul(3) <= seconds {
        return Ok(());
    }
    Err(PublishWarning { activate_after, refresh_hint, largest_hint: (seconds / 3).max(1) })
}

/// The hint to publish, in seconds: a fifth of the time for which new keys are published before their first use, and at
/// most [`DEFAULT_REFRESH_HINT`], since what is revoked is served as long as nobody comes again.
pub fn suggested_hint(activate_after: Duration) -> u64 {
    (whole_seconds(activate_after) / 5).clamp(1, DEFAULT_REFRESH_HINT)
}

fn whole_seconds(duration: Duration) -> u64 {
    u64::try_from(duration.whole_seconds()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_times_the_hint_is_enough() {
        assert_eq!(hint_fits(Duration::seconds(900), 300), Ok(()));
        let warning = hint_fits(Duration::seconds(899), 300).unwrap_err();
        assert_eq!(
            warning.to_string(),
            "new keys are published 899 seconds before their first use, less than 3 times the refresh hint of 300 \
             seconds: others that miss one fetch will refuse them; set the hint to at most 299, or publish earlier"
        );
        assert_eq!(hint_fits(Duration::seconds(899), warning.largest_hint), Ok(()));
        assert!(hint_fits(Duration::DAY, u64::MAX).is_err());
        assert!(hint_fits(-Duration::DAY, 1).is_err());
    }

    #[test]
    fn the_suggested_hint_fits() {
        for activate_after in [Duration::seconds(5), Duration::MINUTE, Duration::HOUR, Duration::DAY] {
            assert_eq!(hint_fits(activate_after, suggested_hint(activate_after)), Ok(()), "{activate_after}");
        }
        assert_eq!(suggested_hint(Duration::DAY), 300);
        assert_eq!(suggested_hint(Duration::ZERO), 1);
    }
}
