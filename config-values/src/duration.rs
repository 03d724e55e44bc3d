//! A length of time as operators write it: `30d`, `1h30m`.

use crate::Error;
use crate::text::excerpt;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// The units, from large to small, with their lengths in seconds.
const UNITS: [(char, u64); 5] = [('w', 7 * 86_400), ('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// A positive length of time in whole seconds, at most 36,500 days.
///
/// Written as whole numbers with the units `w`, `d`, `h`, `m` and `s`, from large to small and each at
/// most once: `30d`, `1h30m`, `2w`. A day is 86,400 seconds. The canonical form uses days and smaller units, each below the next larger one
/// (`2w` is shown as `14d`, `90m` as `1h30m`).
///
/// ```
/// use keyward_config_values::Duration;
/// let d: Duration = "90m".parse()?;
/// assert_eq!(d.to_string(), "1h30m");
/// assert_eq!(d, Duration::MINUTE.saturating_mul(90));
/// # Ok::<(), keyward_config_values::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(u64);

impl Duration {
    /// The shortest: one second.
    pub const MIN: Duration = Duration(1);
    /// The longest: 36,500 days. Added to any date of our age it stays within what `time` can hold.
    pub const MAX: Duration = Duration(36_500 * 86_400);
    /// One second.
    pub const SECOND: Duration = Duration(1);
    /// One minute.
    pub const MINUTE: Duration = Duration(60);
    /// One hour.
    pub const HOUR: Duration = Duration(3_600);
    /// One day of 86,400 seconds.
    pub const DAY: Duration = Duration(86_400);

    /// A duration of so many seconds.
    ///
    /// # Errors
    /// [`Error::DurationZero`] and [`Error::DurationTooLong`].
    pub fn from_secs(seconds: u64) -> Result<Self, Error> {
        Self::bounded(seconds, || format!("{seconds}s"))
    }

    /// The length in seconds, never 0.
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// As a [`time::Duration`], to be added to a date.
    pub const fn to_time(self) -> time::Duration {
        // In range: at most `MAX` seconds.
        time::Duration::seconds(self.0 as i64)
    }

    /// So many times as long, kept between [`MIN`](Self::MIN) and [`MAX`](Self::MAX); a constant such as 30 days is
    /// `Duration::DAY.saturating_mul(30)`.
    pub const fn saturating_mul(self, factor: u32) -> Self {
        Self::clamped(self.0.saturating_mul(factor as u64))
    }

    /// The sum, at most [`MAX`](Self::MAX).
    pub const fn saturating_add(self, other: Self) -> Self {
        Self::clamped(self.0.saturating_add(other.0))
    }

    const fn clamped(seconds: u64) -> Self {
        if seconds < Self::MIN.0 {
            Self::MIN
        } else if seconds > Self::MAX.0 {
            Self::MAX
        } else {
            Self(seconds)
        }
    }

    fn bounded(seconds: u64, input: impl FnOnce() -> String) -> Result<Self, Error> {
        if seconds == 0 {
            Err(Error::DurationZero { input: input() })
        } else if seconds > Self::MAX.0 {
            Err(Error::DurationTooLong { input: input() })
        } else {
            Ok(Self(seconds))
        }
    }
}

impl FromStr for Duration {
    type Err = Error;

    fn from_str(input: &str) -> Result<Self, Error> {
        let form = || Error::DurationForm { input: excerpt(input) };
        let too_long = || Error::DurationTooLong { input: excerpt(input) };
        if input.is_empty() {
            return Err(form());
        }
        if input.bytes().all(|b| b.is_ascii_digit()) {
            return Err(if input.len() > 20 { too_long() } else { Error::DurationUnit { number: input.to_owned() } });
        }
        let mut total: u64 = 0;
        let mut rest = input;
        let mut units = UNITS.iter();
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            let Some(unit) = tail.chars().next() else {
                return Err(form());
            };
            if number.is_empty() || !UNITS.iter().any(|(u, _)| *u == unit) {
                return Err(form());
            }
            // The iterator only moves on, so a unit that is not ahead is out of order or there twice.
            let Some((_, seconds)) = units.find(|(u, _)| *u == unit) else {
                return Err(Error::DurationOrder { input: excerpt(input) });
            };
            total = number
                .parse::<u64>()
                .ok()
                .and_then(|n| n.checked_mul(*seconds))
                .and_then(|n| n.checked_add(total))
                .ok_or_else(too_long)?;
            rest = tail.get(unit.len_utf8()..).unwrap_or_default();
        }
        Self::bounded(total, || excerpt(input))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        // No weeks: `30d` stays `30d`.
        for (unit, seconds) in UNITS.iter().skip(1) {
            let count = rest / seconds;
            rest %= seconds;
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}

impl From<Duration> for time::Duration {
    fn from(duration: Duration) -> Self {
        duration.to_time()
    }
}

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> Self {
        Self::from_secs(duration.0)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not `deserialize_str`: a bare number must reach the visitor to get its remedy.
        deserializer.deserialize_any(DurationVisitor)
    }
}

struct DurationVisitor;

impl Visitor<'_> for DurationVisitor {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as `30d` or `1h30m`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Duration, E> {
        // Digits alone never parse: the error is the remedy.
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Duration, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Duration, E> {
        self.visit_str(&number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refusal(input: &str) -> String {
        input.parse::<Duration>().unwrap_err().to_string()
    }

    #[test]
    fn accepts_what_operators_write() {
        for (text, seconds) in [
            ("1s", 1),
            ("30d", 2_592_000),
            ("1h30m", 5_400),
            ("90m", 5_400),
            ("2w", 1_209_600),
            ("1w1d1h1m1s", 694_861),
            ("0d1s", 1),
            ("36500d", 3_153_600_000),
        ] {
            assert_eq!(text.parse::<Duration>().unwrap().as_secs(), seconds, "{text}");
        }
    }

    #[test]
    fn shows_the_canonical_form() {
        for (text, canonical) in [("30d", "30d"), ("2w", "14d"), ("24h", "1d"), ("90m", "1h30m"), ("3601s", "1h1s")] {
            assert_eq!(text.parse::<Duration>().unwrap().to_string(), canonical);
        }
    }

    #[test]
    fn refusals_name_the_remedy() {
        assert_eq!(refusal("30"), "`30`: a unit is missing; write `30s`, `30m`, `30h` or `30d`");
        assert_eq!(
            refusal("30x"),
            "`30x`: not a duration; write whole numbers with the units `w`, `d`, `h`, `m` and `s`, such as `30d` or `1h30m`"
        );
        for bad in ["", " 1d", "1d ", "-1d", "+1d", "1.5h", "d", "1D", "1h30", "1 d", "１d", "1dé"] {
            assert!(refusal(bad).contains("not a duration"), "{bad}");
        }
        for bad in ["30m1h", "1h1h", "1s1w"] {
            assert_eq!(
                refusal(bad),
                format!("`{bad}`: units go from large to small, each at most once; write `1d12h` or `1h30m`")
            );
        }
        assert_eq!(
            refusal("0s"),
            "`0s`: a duration is at least one second; write `1s` or more, or leave the field out"
        );
        for bad in ["36501d", "99999999999999999999w", "18446744073709551615w1s", "1w18446744073709551615s"] {
            assert_eq!(refusal(bad), format!("`{bad}`: longer than the longest duration; write `36500d` or less"));
        }
        assert_eq!(refusal(&"9".repeat(100_000)).chars().filter(|c| *c == '9').count(), 64);
    }

    #[test]
    fn serde_goes_through_the_same_door() {
        let d: Duration = serde_json::from_str("\"36h\"").unwrap();
        assert_eq!(serde_json::to_string(&d).unwrap(), "\"1d12h\"");
        let text = |json: &str| serde_json::from_str::<Duration>(json).unwrap_err().to_string();
        assert!(text("30").starts_with("`30`: a unit is missing; write `30s`"));
        assert!(text("-3").starts_with("`-3`: not a duration"));
        assert!(text("1.5").starts_with("`1.5`: not a duration"));
        assert!(text("true").contains("expected a duration such as `30d` or `1h30m`"));
        assert!(text("\"0s\"").contains("at least one second"));
    }

    #[test]
    fn arithmetic_stays_in_range() {
        assert_eq!(Duration::DAY.saturating_mul(30).to_string(), "30d");
        assert_eq!(Duration::DAY.saturating_mul(0), Duration::MIN);
        assert_eq!(Duration::MAX.saturating_mul(u32::MAX), Duration::MAX);
        assert_eq!(Duration::MAX.saturating_add(Duration::DAY), Duration::MAX);
        assert_eq!(Duration::from_secs(60), Ok(Duration::MINUTE));
        assert!(Duration::from_secs(0).is_err());
        assert!(Duration::from_secs(u64::MAX).is_err());
        assert_eq!(Duration::HOUR.to_time(), time::Duration::HOUR);
    }

    proptest! {
        #[test]
        fn parsing_what_is_shown_gives_the_same(seconds in 1..=Duration::MAX.0) {
            let d = Duration::from_secs(seconds).unwrap();
            prop_assert_eq!(d.to_string().parse::<Duration>().unwrap(), d);
        }

        #[test]
        fn any_text_is_answered(text in "\\PC*") {
            if let Ok(d) = text.parse::<Duration>() {
                prop_assert_eq!(d.to_string().parse::<Duration>().unwrap(), d);
            }
        }
    }
}
