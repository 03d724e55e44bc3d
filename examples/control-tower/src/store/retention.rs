//! How long history is kept.

use std::collections::VecDeque;

use time::{Duration, OffsetDateTime};

use super::Revision;

/// History younger than this can be read and watched.
pub const HISTORY: Duration = Duration::minutes(10);

/// Which revision was the latest when: commits carry no time, so each compaction leaves a mark for a later one.
#[derive(Debug, Default)]
pub(crate) struct Retention {
    marks: VecDeque<(OffsetDateTime, Revision)>,
}

impl Retention {
    /// Notes that `latest` is the latest revision `now`; answers up to which revision the history is old enough to go.
    pub(crate) fn mark(&mut self, latest: Revision, now: OffsetDateTime) -> Option<Revision> {
        // A clock that went back must not keep history until it has caught up.
        for (time, _) in &mut self.marks {
            *time = (*time).min(now);
        }
        self.marks.push_back((now, latest));
        let mut old = None;
        while let Some(&(time, revision)) = self.marks.front() {
            if now - time < HISTORY {
                break;
            }
            old = Some(revision);
            self.marks.pop_front();
        }
        old
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn history_goes_after_ten_minutes() {
        let start = datetime!(2026-03-01 12:00 UTC);
        let mut retention = Retention::default();
        assert_eq!(retention.mark(5, start), None);
        assert_eq!(retention.mark(7, start + Duration::minutes(5)), None);
        assert_eq!(retention.mark(9, start + Duration::minutes(10)), Some(5));
        assert_eq!(retention.mark(9, start + Duration::days(1)), Some(9));
    }

    #[test]
    fn a_clock_that_goes_back_keeps_no_history_for_longer() {
        let start = datetime!(2026-03-01 12:00 UTC);
        let mut retention = Retention::default();
        assert_eq!(retention.mark(5, start + Duration::days(30)), None);
        assert_eq!(retention.mark(6, start), None);
        assert_eq!(retention.mark(7, start + Duration::minutes(10)), Some(6));
    }
}
