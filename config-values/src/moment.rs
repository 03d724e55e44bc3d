//! Times as people and programs read them.

use time::{OffsetDateTime, UtcOffset};

/// A time as answers, errors and logs have it: RFC 3339 in UTC, to the second, and never later than it is.
///
/// ```
/// use keyward_config_values::moment;
/// use time::{Duration, OffsetDateTime};
///
/// let at = OffsetDateTime::from_unix_timestamp(1_800_000_000)?;
/// assert_eq!(moment(at + Duration::milliseconds(999)), "2027-01-15T08:00:00Z");
/// # Ok::<(), time::error::ComponentRange>(())
/// ```
pub fn moment(at: OffsetDateTime) -> String {
    let at = at.checked_to_offset(UtcOffset::UTC).unwrap_or(at);
    let (date, time) = (at.date(), at.time());
    let (month, (hour, minute, second)) = (u8::from(date.month()), time.as_hms());
    format!("{:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", date.year(), date.day())
}

#[cfg(test)]
mod tests {
    use time::{Duration, macros::datetime};

    use super::*;

    #[test]
    fn they_are_of_one_form() {
        assert_eq!(moment(datetime!(2026-03-01 12:00:00.123456789 UTC)), "2026-03-01T12:00:00Z");
        assert_eq!(moment(datetime!(2026-03-01 01:02:03 +02:00)), "2026-02-28T23:02:03Z");
        assert_eq!(moment(datetime!(9999-12-31 23:59:59.9 UTC)), "9999-12-31T23:59:59Z");
        assert_eq!(moment(OffsetDateTime::UNIX_EPOCH - Duration::MILLISECOND), "1969-12-31T23:59:59Z");
    }
}
