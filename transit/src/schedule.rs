//! When versions are created and how long two of them overlap.

mod overlap;
mod timeline;

use keyward_config_values::{Duration, moment};
use keyward_keys::ErrorKind;

use crate::AutoRotate;

pub use overlap::{CLOCK_SKEW, DISTRIBUTION_DELAY, Overlap};
pub use timeline::Timeline;

/// A rotation schedule that no verifier can notice: made by [`Schedule::new`] or from an
/// [`AutoRotate`] document, which check it.
///
/// ```
/// use keyward_transit::{AutoRotate, Schedule};
///
/// let text = r#"{"rotate-after": "30d", "activate-after": "1d",
///                "deprecate-after": "2d", "invalidate-after": "2d"}"#;
/// let document: AutoRotate = serde_json::from_str(text)?;
/// let schedule = Schedule::try_from(document)?;
/// let timeline = schedule.validate("1d".parse()?)?;
/// assert_eq!(timeline.invalid.to_string(), "35d"); // 30d + 1d + 2d + 2d
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    rotate_after: Duration,
    overlap: Overlap,
}

impl Schedule {
    /// A schedule from its four offsets.
    ///
    /// # Errors
    /// - [`ScheduleError::ActivatesTooSoon`] unless `activate_after ≥ max-age of the key set +
    ///   distribution delay (60 s) + clock skew (60 s)`.
    /// - [`ScheduleError::RotatesTooSoon`] unless `rotate_after > activate_after + deprecate_after
    ///   + invalidate_after`, so that at most two versions are published.
    pub fn new(
        rotate_after: Duration,
        activate_after: Duration,
        deprecate_after: Duration,
        invalidate_after: Duration,
    ) -> Result<Self, ScheduleError> {
        let overlap = Overlap { activate_after, deprecate_after, invalidate_after };
        let schedule = Self { rotate_after, overlap };
        if activate_after < overlap.stale_copies() {
            return Err(ScheduleError::ActivatesTooSoon {
                found: activate_after,
                timeline: Box::new(schedule.timeline()),
            });
        }
        if rotate_after <= overlap.total() {
            return Err(ScheduleError::RotatesTooSoon {
                found: rotate_after,
                overlap: overlap.total(),
                timeline: Box::new(schedule.timeline()),
            });
        }
        Ok(schedule)
    }

    /// How long after a version its successor is created.
    pub fn rotate_after(&self) -> Duration {
        self.rotate_after
    }

    /// How two versions overlap.
    pub fn overlap(&self) -> Overlap {
        self.overlap
    }

    /// The life of a version, as offsets from its creation.
    pub fn timeline(&self) -> Timeline {
        Timeline::new(Some(self.rotate_after), self.overlap)
    }

    /// Checks the schedule against the longest life of a token that is signed with it, and answers
    /// the timeline.
    ///
    /// # Errors
    /// [`ScheduleError::InvalidatesTooSoon`] unless `invalidate-after ≥ longest_token_life +
    /// clock skew (60 s)`.
    pub fn validate(&self, longest_token_life: Duration) -> Result<Timeline, ScheduleError> {
        self.overlap.check_tokens_of(Some(self.rotate_after), longest_token_life)?;
        Ok(self.timeline())
    }
}

impl TryFrom<AutoRotate> for Schedule {
    type Error = ScheduleError;

    fn try_from(document: AutoRotate) -> Result<Self, ScheduleError> {
        Schedule::new(
            document.rotate_after,
            document.activate_after,
            document.deprecate_after,
            document.invalidate_after,
        )
    }
}

/// Why a schedule would break a verifier. Each text ends with the computed [`Timeline`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// A verifier could hold a key set from before the version was published when it signs.
    #[error(
        "`activate-after` is {found}, but must be at least 2m39s, so that every cached key set \
         (for a quarter of it, at most 1h) is renewed, after 60s of distribution and 60s of clock \
         skew, before a new version signs; {timeline}"
    )]
    ActivatesTooSoon {
        /// The offset given.
        found: Duration,
        /// What would happen.
        timeline: Box<Timeline>,
    },
    /// More than two versions would be published.
    #[error(
        "`rotate-after` is {found}, but must be longer than {overlap}, the sum of \
         `activate-after`, `deprecate-after` and `invalidate-after`, so that at most two versions \
         are published; {timeline}"
    )]
    RotatesTooSoon {
        /// The offset given.
        found: Duration,
        /// The sum that it must exceed.
        overlap: Duration,
        /// What would happen.
        timeline: Box<Timeline>,
    },
    /// A token could outlive the key that verifies it.
    #[error(
        "`invalidate-after` is {found}, but must be at least {needed}: a token lives up to \
         {longest_token_life} and clocks may differ by 60s; {timeline}"
    )]
    InvalidatesTooSoon {
        /// The offset given.
        found: Duration,
        /// The shortest that would do.
        needed: Duration,
        /// The longest life of a token.
        longest_token_life: Duration,
        /// What would happen.
        timeline: Box<Timeline>,
    },
    /// The schedule is long enough, but a version that still signs has an end that was fixed by an
    /// earlier schedule, and tokens of this life could outlive it.
    #[error(
        "a token that lives {longest_token_life} could outlive version {version}, which verifies \
         for {found} after its last signature, as an earlier schedule fixed it; allow such tokens \
         from {} on", moment(*.from)
    )]
    FixedTooSoon {
        /// The version that ends too soon.
        version: u32,
        /// How long it verifies after the last signature that a site may make.
        found: time::Duration,
        /// The longest life of a token.
        longest_token_life: Duration,
        /// When no site signs with that version any more.
        from: time::OffsetDateTime,
    },
}

impl ScheduleError {
    /// The class of the error: always [`ErrorKind::Misconfigured`].
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Misconfigured
    }

    /// The computed timeline, where the schedule itself is at fault.
    pub fn timeline(&self) -> Option<&Timeline> {
        match self {
            ScheduleError::ActivatesTooSoon { timeline, .. }
            | ScheduleError::RotatesTooSoon { timeline, .. }
            | ScheduleError::InvalidatesTooSoon { timeline, .. } => Some(timeline),
            ScheduleError::FixedTooSoon { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn d(text: &str) -> Duration {
        text.parse().unwrap()
    }

    fn schedule(rotate: &str, activate: &str, deprecate: &str, invalidate: &str) -> Result<Schedule, ScheduleError> {
        Schedule::new(d(rotate), d(activate), d(deprecate), d(invalidate))
    }

    #[test]
    fn the_usual_schedule_allows_tokens_of_a_day() {
        let usual = schedule("30d", "1d", "2d", "2d").unwrap();
        assert_eq!(usual.overlap(), Overlap::default());
        assert_eq!(usual.overlap().jwks_max_age(), Duration::HOUR);
        let timeline = usual.validate(Duration::DAY).unwrap();
        assert_eq!(
            timeline.to_string(),
            "the life of a version:\n  \
             0s   created     published, does not sign\n  \
             1d   active      signs\n  \
             30d  rotated     its successor is created\n  \
             31d  superseded  signs only at a cut-off site\n  \
             33d  deprecated  verifies only\n  \
             35d  invalid     not published, does not verify"
        );
        assert_eq!(
            serde_json::to_string(&timeline).unwrap(),
            concat!(
                r#"{"activates":"1d","rotated":"30d","superseded":"31d","deprecated":"33d","#,
                r#""invalid":"35d","jwks-max-age":"1h","cut-off-allowance":"3d"}"#
            )
        );
    }

    #[test]
    fn tokens_that_outlive_their_key_are_refused_with_the_timeline() {
        let usual = schedule("30d", "1d", "2d", "2d").unwrap();
        assert!(usual.validate(d("1d23h59m")).is_ok());
        let error = usual.validate(d("1d23h59m1s")).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with(
                "`invalidate-after` is 2d, but must be at least 2d1s: a token lives up to 1d23h59m1s and clocks may \
                 differ by 60s; the life of a version:\n  0s   created"
            ),
            "{text}"
        );
        assert_eq!(error.timeline(), Some(&usual.timeline()));
        assert_eq!(error.kind(), ErrorKind::Misconfigured);

        let text = Overlap::default().check_tokens(d("3d")).unwrap_err().to_string();
        assert!(text.contains("\n  rotation + 1d  superseded  signs only at a cut-off site"), "{text}");
    }

    #[test]
    fn a_version_is_published_before_it_signs() {
        assert!(schedule("30d", "2m39s", "2d", "2d").is_ok());
        let error = schedule("30d", "2m38s", "2d", "2d").unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("`activate-after` is 2m38s, but must be at least 2m39s, so that"), "{text}");
        assert!(text.contains("\n  2m38s"), "{text}");
        assert_eq!(schedule("30d", "2m39s", "2d", "2d").unwrap().overlap().jwks_max_age(), d("39s"));
        assert_eq!(schedule("30d", "4h4s", "2d", "2d").unwrap().overlap().jwks_max_age(), Duration::HOUR);
    }

    #[test]
    fn at_most_two_versions_overlap() {
        assert!(schedule("5d1s", "1d", "2d", "2d").is_ok());
        let error = schedule("5d", "1d", "2d", "2d").unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("`rotate-after` is 5d, but must be longer than 5d, the sum of"), "{text}");
        assert!(text.contains("\n  5d   rotated     its successor is created"), "{text}");
        // Sums beyond the longest duration are refused, not wrapped.
        assert!(schedule("36500d", "36500d", "36500d", "36500d").is_err());
    }

    proptest! {
        #[test]
        fn what_is_accepted_keeps_the_rules(
            rotate in 1..200_000u64, activate in 1..50_000u64, deprecate in 1..50_000u64,
            invalidate in 1..50_000u64, life in 1..60_000u64,
        ) {
            let secs = |s| Duration::from_secs(s).unwrap();
            let max_age = (activate / 4).min(3600);
            let sound = activate >= max_age + 60 + 60 && rotate > activate + deprecate + invalidate;
            let made = Schedule::new(secs(rotate), secs(activate), secs(deprecate), secs(invalidate));
            prop_assert_eq!(made.is_ok(), sound);
            if let Ok(schedule) = made {
                prop_assert_eq!(schedule.validate(secs(life)).is_ok(), invalidate >= life + 60);
                let timeline = schedule.timeline();
                prop_assert_eq!(timeline.invalid, secs(rotate + activate + deprecate + invalidate));
                prop_assert_eq!(Schedule::try_from(AutoRotate::from(schedule)), Ok(schedule));
            }
        }
    }
}
