//! The only `now()` of a program.
//!
//! Everything below takes the time as an argument; this is where it comes from. A clock made by [`Clock::fixed`] or
//! [`Clock::adjustable`] is moved by hand, which lets a test live through a year in a second.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Instant,
};

use time::{Duration, OffsetDateTime};

/// A source of the current time; clones follow the same hand.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    System,
    /// The system's time, or a fixed one, plus milliseconds.
    Moved {
        base: Option<OffsetDateTime>,
        offset: AtomicI64,
    },
    #[cfg(feature = "test-clock")]
    File(file::OffsetFile),
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(Kind::System))
    }

    /// A clock that stands still at `at` until [`advance`](Self::advance) moves it.
    #[must_use]
    pub fn fixed(at: OffsetDateTime) -> Self {
        Self(Arc::new(Kind::Moved { base: Some(at), offset: AtomicI64::new(0) }))
    }

    /// The system's clock plus an offset, at first none, that [`advance`](Self::advance) changes.
    #[must_use]
    pub fn adjustable() -> Self {
        Self(Arc::new(Kind::Moved { base: None, offset: AtomicI64::new(0) }))
    }

    /// The system's clock plus the offset in a file, read again at each call: seconds, or a duration such as `+30d` or `-1h30m`.
    ///
    /// # Errors
    /// The file cannot be read now, or does not hold an offset.
    #[cfg(feature = "test-clock")]
    pub fn from_offset_file(path: &std::path::Path) -> Result<Self, ClockError> {
        Ok(Self(Arc::new(Kind::File(file::OffsetFile::open(path)?))))
    }

    /// The time now, in UTC.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system for the time")]
    pub fn now(&self) -> OffsetDateTime {
        match &*self.0 {
            Kind::System => OffsetDateTime::now_utc(),
            Kind::Moved { base, offset } => {
                let offset = Duration::milliseconds(offset.load(Ordering::SeqCst));
                base.unwrap_or_else(OffsetDateTime::now_utc).saturating_add(offset)
            }
            #[cfg(feature = "test-clock")]
            Kind::File(file) => OffsetDateTime::now_utc().saturating_add(file.offset()),
        }
    }

    /// For how long it has been going on, by a clock that nobody sets: for rates. Where it stands still, it does that too.
    #[must_use]
    pub fn uptime(&self) -> std::time::Duration {
        static BEGUN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        match &*self.0 {
            Kind::Moved { base: Some(_), .. } => (self.now() - OffsetDateTime::UNIX_EPOCH).unsigned_abs(),
            _ => monotonic().saturating_duration_since(*BEGUN.get_or_init(monotonic)),
        }
    }

    /// Moves the clock, also backwards, by whole milliseconds. Only clocks made by [`fixed`](Self::fixed) and
    /// [`adjustable`](Self::adjustable) move; answers whether this one does.
    pub fn advance(&self, by: Duration) -> bool {
        match &*self.0 {
            Kind::Moved { offset, .. } => {
                let by = i64::try_from(by.whole_milliseconds()).unwrap_or(if by.is_negative() {
                    i64::MIN
                } else {
                    i64::MAX
                });
                offset.fetch_add(by, Ordering::SeqCst);
                true
            }
            _ => false,
        }
    }
}

/// The monotonic clock, for measuring how long something takes and for waiting.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that asks the system for the monotonic time")]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// Why an offset file is of no use.
#[cfg(feature = "test-clock")]
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClockError {
    /// It cannot be read.
    #[error("cannot read the clock offset from `{path}`: {source}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It holds something else.
    #[error("`{text}` is not a clock offset: write seconds, or a duration such as `+30d`")]
    Malformed {
        /// What it holds.
        text: String,
    },
}

#[cfg(feature = "test-clock")]
mod file {
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicI64, Ordering};

    use time::Duration;

    use super::ClockError;

    /// A file with an offset. Reading it takes microseconds, so it is read every time: no change is ever missed.
    #[derive(Debug)]
    pub(super) struct OffsetFile {
        path: PathBuf,
        last: AtomicI64,
    }

    impl OffsetFile {
        pub(super) fn open(path: &Path) -> Result<Self, ClockError> {
            let first = read(path)?;
            Ok(Self { path: path.to_owned(), last: AtomicI64::new(first) })
        }

        /// The offset now; the last good one while the file is being replaced or holds nonsense.
        pub(super) fn offset(&self) -> Duration {
            match read(&self.path) {
                Ok(seconds) => self.last.store(seconds, Ordering::SeqCst),
                Err(error) => tracing::warn!(%error, "test clock keeps its last offset"),
            }
            Duration::seconds(self.last.load(Ordering::SeqCst))
        }
    }

    fn read(path: &Path) -> Result<i64, ClockError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ClockError::Unreadable { path: path.display().to_string(), source })?;
        parse(text.trim()).ok_or_else(|| ClockError::Malformed { text: text.trim().chars().take(40).collect() })
    }

    fn parse(text: &str) -> Option<i64> {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        // Digits first: neither a number nor a duration starts with another sign.
        digits.starts_with(|c: char| c.is_ascii_digit()).then_some(())?;
        let seconds = match digits.parse::<i64>() {
            Ok(seconds) => seconds,
            Err(_) => i64::try_from(digits.parse::<keyward_config_values::Duration>().ok()?.as_secs()).ok()?,
        };
        // Far enough for every test, and no sum leaves the calendar.
        (seconds <= 100 * 366 * 86_400).then_some(sign * seconds)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn offsets_are_seconds_or_durations() {
            assert_eq!(parse("0"), Some(0));
            assert_eq!(parse("+30d"), Some(30 * 86_400));
            assert_eq!(parse("-1h30m"), Some(-5_400));
            assert_eq!(parse("90"), Some(90));
            for bad in ["", "+", "--5", "+-5", "soon", "999999999999"] {
                assert_eq!(parse(bad), None, "{bad}");
            }
        }

        #[test]
        fn the_file_is_followed_and_nonsense_ignored() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("offset");
            std::fs::write(&path, "+1d\n").unwrap();
            let file = OffsetFile::open(&path).unwrap();
            assert_eq!(file.offset(), Duration::days(1));
            std::fs::write(&path, "+2d").unwrap();
            assert_eq!(file.offset(), Duration::days(2));
            std::fs::write(&path, "nonsense").unwrap();
            assert_eq!(file.offset(), Duration::days(2));
            assert_eq!(
                OffsetFile::open(&path).unwrap_err().to_string(),
                "`nonsense` is not a clock offset: write seconds, or a duration such as `+30d`"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_fixed_clock_moves_by_hand_alone() {
        let start = datetime!(2026-03-01 12:00 UTC);
        let clock = Clock::fixed(start);
        let other = clock.clone();
        assert_eq!(clock.now(), start);
        assert!(other.advance(Duration::days(400)));
        assert_eq!(clock.now(), start + Duration::days(400));
        assert!(clock.advance(Duration::seconds(-1)));
        assert_eq!(other.now(), start + Duration::days(400) - Duration::seconds(1));
    }

    #[test]
    fn the_system_clock_does_not_move() {
        let clock = Clock::system();
        let before = clock.now();
        assert!(!clock.advance(Duration::days(1)));
        assert!(clock.now() - before < Duration::days(1));
    }
}
