//! Moments: sums that do not overflow, and the one way to write them in answers.

use keyward_config_values::Duration;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Duration as Span, OffsetDateTime, PrimitiveDateTime, UtcOffset};

/// RFC 3339 in UTC with three digits of a second. Python before 3.11 reads no other number of digits
/// than three and six.
const ANSWER: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// `moment + duration`, at most the end of the year 9999.
pub(crate) fn after(moment: OffsetDateTime, duration: Duration) -> OffsetDateTime {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    after_span(moment, Span::seconds(seconds))
}

/// `moment + span`, at most the end of the year 9999.
pub(crate) fn after_span(moment: OffsetDateTime, span: Span) -> OffsetDateTime {
    moment.checked_add(span).unwrap_or(PrimitiveDateTime::MAX.assume_utc())
}

/// As answers have it. Rounded down, so that a caller never believes an expiry later than the real one.
pub(crate) fn text(moment: OffsetDateTime) -> String {
    // Fails for years outside 0 to 9999 alone, which no clock and no sum of ours gives.
    moment.to_offset(UtcOffset::UTC).format(ANSWER).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, duration};

    #[test]
    fn sums_saturate() {
        assert_eq!(after(at(0), duration("1h")), at(3600));
        let end = PrimitiveDateTime::MAX.assume_utc();
        assert_eq!(after(end, duration("1h")), end);
        assert_eq!(text(end), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn answers_are_rounded_down_to_milliseconds_in_utc() {
        let moment = at(0) + Span::nanoseconds(1_999_999_999);
        assert_eq!(text(moment), "2027-01-15T08:00:01.999Z");
        assert_eq!(text(at(0).to_offset(UtcOffset::from_hms(2, 0, 0).unwrap())), "2027-01-15T08:00:00.000Z");
    }
}
