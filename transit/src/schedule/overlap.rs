//! How long two versions overlap, and what may rely on that.

use keyward_config_values::Duration;

use super::{ScheduleError, Timeline};

/// How far two clocks may differ: one minute.
pub const CLOCK_SKEW: Duration = Duration::MINUTE;

/// How long a stored version may take to reach every server of the key set: one minute.
pub const DISTRIBUTION_DELAY: Duration = Duration::MINUTE;

/// The longest `max-age` of a served key set.
const LONGEST_MAX_AGE: Duration = Duration::HOUR;

/// How a version and its successor overlap: the successor is published for `activate-after` before
/// it signs; then the old version signs at cut-off sites for `deprecate-after`; then it verifies
/// for `invalidate-after`. The offsets are cumulative.
///
/// The default, 1d/2d/2d, is how a ring without `auto-rotate` is rotated when it signs JWTs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlap {
    pub(super) activate_after: Duration,
    pub(super) deprecate_after: Duration,
    pub(super) invalidate_after: Duration,
}

impl Default for Overlap {
    fn default() -> Self {
        let two_days = Duration::DAY.saturating_mul(2);
        Self { activate_after: Duration::DAY, deprecate_after: two_days, invalidate_after: two_days }
    }
}

impl Overlap {
    /// How long a version is published before it signs.
    pub fn activate_after(&self) -> Duration {
        self.activate_after
    }

    /// How long a superseded version may still sign at a cut-off site.
    pub fn deprecate_after(&self) -> Duration {
        self.deprecate_after
    }

    /// How long a version verifies after the last signature that a site may make with it.
    pub fn invalidate_after(&self) -> Duration {
        self.invalidate_after
    }

    /// The same overlap with another time for which a version verifies when it signs no more: longer, for what lives
    /// longer than a day.
    #[must_use]
    pub fn with_invalidate_after(self, invalidate_after: Duration) -> Self {
        Self { invalidate_after, ..self }
    }

    /// The `max-age` of a key set that holds versions with this overlap: `activate-after / 4`, at
    /// most an hour.
    ///
    /// No transition shortens it. A copy fetched just before a version was published expires
    /// before that version signs, because `activate-after` is at least the `max-age`, the
    /// distribution delay and the clock skew together; and a copy that still holds a version that
    /// has become invalid since verifies nothing that anybody signs.
    pub fn jwks_max_age(&self) -> Duration {
        let quarter = self.activate_after.as_secs() / 4;
        Duration::from_secs(quarter).unwrap_or(Duration::MIN).min(LONGEST_MAX_AGE)
    }

    /// For how long after its last contact a site may sign: `activate-after + deprecate-after`.
    pub fn cut_off_allowance(&self) -> Duration {
        self.activate_after.saturating_add(self.deprecate_after)
    }

    /// From the creation of a successor until the version is invalid.
    pub fn total(&self) -> Duration {
        self.cut_off_allowance().saturating_add(self.invalidate_after)
    }

    /// How long a key set fetched just before a change may be relied upon after it: its `max-age`,
    /// the distribution delay and the clock skew.
    pub(crate) fn stale_copies(&self) -> Duration {
        self.jwks_max_age().saturating_add(DISTRIBUTION_DELAY).saturating_add(CLOCK_SKEW)
    }

    /// Checks that a token signed in the last moment by the slowest site verifies for its whole
    /// life: `invalidate-after ≥ longest_token_life + clock skew`.
    ///
    /// # Errors
    /// [`ScheduleError::InvalidatesTooSoon`], which prints the timeline.
    pub fn check_tokens(&self, longest_token_life: Duration) -> Result<(), ScheduleError> {
        self.check_tokens_of(None, longest_token_life)
    }

    pub(super) fn check_tokens_of(
        &self,
        rotate_after: Option<Duration>,
        longest_token_life: Duration,
    ) -> Result<(), ScheduleError> {
        let needed = longest_token_life.saturating_add(CLOCK_SKEW);
        if self.invalidate_after >= needed {
            return Ok(());
        }
        Err(ScheduleError::InvalidatesTooSoon {
            found: self.invalidate_after,
            needed,
            longest_token_life,
            timeline: Box::new(Timeline::new(rotate_after, *self)),
        })
    }
}
