//! Where in its life a version stands: a pure function of fixed times.

use std::fmt;

use serde::Serialize;
use time::OffsetDateTime;

/// The phases of a version, in the order in which it passes through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Phase {
    /// Created and published; does not sign yet.
    Pending,
    /// Signs and encrypts. Exactly one version of a ring is active.
    Active,
    /// Its successor is active; signs only at a site that has not heard of the successor.
    Superseded,
    /// Verifies only.
    Deprecated,
    /// Not published, does not verify. In a ring that encrypts it still decrypts until trimmed.
    Invalid,
}

impl Phase {
    /// Whether a version in this phase signs at a tower.
    pub const fn signs(self) -> bool {
        matches!(self, Phase::Active)
    }

    /// Whether a signature may still be made in this phase by a site that was cut off before it
    /// could hear of the successor.
    pub const fn signs_at_cut_off_site(self) -> bool {
        matches!(self, Phase::Active | Phase::Superseded)
    }

    /// Whether the public key is published, which is also whether signatures verify.
    pub const fn is_published(self) -> bool {
        !matches!(self, Phase::Invalid)
    }

    /// The name used in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Phase::Pending => "pending",
            Phase::Active => "active",
            Phase::Superseded => "superseded",
            Phase::Deprecated => "deprecated",
            Phase::Invalid => "invalid",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The absolute times of a version's transitions.
///
/// The commit that creates a version fixes its own `created` and `activates`; the commit that
/// creates its successor fixes the other three. A time that is not fixed yet is `None`: the
/// transition has not happened, whatever the clock says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transitions {
    /// When the version was created, which is also when it was published.
    pub created: OffsetDateTime,
    /// From when it signs.
    pub activates: OffsetDateTime,
    /// From when its successor signs instead.
    pub superseded: Option<OffsetDateTime>,
    /// From when no site signs with it any more.
    pub deprecated: Option<OffsetDateTime>,
    /// From when it is not published and does not verify.
    pub invalid: Option<OffsetDateTime>,
}

impl Transitions {
    /// The transitions of a version without a successor.
    pub fn new(created: OffsetDateTime, activates: OffsetDateTime) -> Self {
        Self { created, activates, superseded: None, deprecated: None, invalid: None }
    }

    /// The phase at `now`. A transition happens at its very second: at `activates` the version is
    /// active.
    pub fn phase(&self, now: OffsetDateTime) -> Phase {
        let passed = |time: Option<OffsetDateTime>| time.is_some_and(|time| time <= now);
        if passed(self.invalid) {
            Phase::Invalid
        } else if passed(self.deprecated) {
            Phase::Deprecated
        } else if passed(self.superseded) {
            Phase::Superseded
        } else if self.activates <= now {
            Phase::Active
        } else {
            Phase::Pending
        }
    }

    /// The first transition after `now`, if one is fixed.
    pub fn next(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        [Some(self.activates), self.superseded, self.deprecated, self.invalid]
            .into_iter()
            .flatten()
            .filter(|time| *time > now)
            .min()
    }

    /// Ends the version's life at `at` at the latest.
    pub(crate) fn end(&mut self, at: OffsetDateTime) {
        self.activates = self.activates.min(at);
        for time in [&mut self.superseded, &mut self.deprecated, &mut self.invalid] {
            *time = Some(time.map_or(at, |fixed| fixed.min(at)));
        }
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;
    use time::macros::datetime;

    use super::*;

    const T: OffsetDateTime = datetime!(2026-03-01 00:00 UTC);

    fn complete() -> Transitions {
        Transitions {
            superseded: Some(T + Duration::days(31)),
            deprecated: Some(T + Duration::days(33)),
            invalid: Some(T + Duration::days(35)),
            ..Transitions::new(T, T + Duration::days(1))
        }
    }

    #[test]
    fn each_transition_happens_at_its_very_second() {
        let times = complete();
        let cases = [
            (0, Phase::Pending),
            (1, Phase::Active),
            (31, Phase::Superseded),
            (33, Phase::Deprecated),
            (35, Phase::Invalid),
        ];
        let mut before = Phase::Pending;
        for (day, phase) in cases {
            let at = T + Duration::days(day);
            assert_eq!(times.phase(at - Duration::NANOSECOND), before, "before day {day}");
            assert_eq!(times.phase(at), phase, "day {day}");
            before = phase;
        }
        assert_eq!(times.phase(T + Duration::days(4000)), Phase::Invalid);
    }

    #[test]
    fn without_a_successor_a_version_stays_active() {
        let times = Transitions::new(T, T);
        assert_eq!(times.phase(T + Duration::days(9999)), Phase::Active);
        assert_eq!(times.next(T), None);
    }

    #[test]
    fn the_next_transition_is_the_first_in_the_future() {
        let times = complete();
        assert_eq!(times.next(T), Some(times.activates));
        assert_eq!(times.next(times.activates), times.superseded);
        assert_eq!(times.next(T + Duration::days(34)), times.invalid);
        assert_eq!(times.next(T + Duration::days(35)), None);
    }

    #[test]
    fn an_ended_version_is_invalid_and_stays_in_order() {
        let mut times = complete();
        let end = T + Duration::days(32);
        times.end(end);
        assert_eq!(times.phase(end), Phase::Invalid);
        assert_eq!(times.superseded, Some(T + Duration::days(31)));
        assert_eq!(times.deprecated, Some(end));
    }

    #[test]
    fn only_what_the_table_of_phases_says_signs_and_verifies() {
        use Phase::{Active, Deprecated, Invalid, Pending, Superseded};
        let row = |phase: Phase| (phase.signs(), phase.signs_at_cut_off_site(), phase.is_published());
        assert_eq!(row(Pending), (false, false, true));
        assert_eq!(row(Active), (true, true, true));
        assert_eq!(row(Superseded), (false, true, true));
        assert_eq!(row(Deprecated), (false, false, true));
        assert_eq!(row(Invalid), (false, false, false));
        assert_eq!(Superseded.to_string(), serde_json::to_value(Superseded).unwrap());
    }
}
