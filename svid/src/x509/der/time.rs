//! Validity times (RFC 5280 §4.1.2.5): UTCTime through 2049, GeneralizedTime from 2050 on.

use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

use super::tag;

/// Reads a `Time`: seconds present, `Z` at the end, each form in its own years.
pub(super) fn read(tag: u8, content: &[u8]) -> Option<OffsetDateTime> {
    let digits = content.strip_suffix(b"Z")?;
    let (year, rest) = match (tag, digits.len()) {
        (tag::UTC_TIME, 12) => {
            let (year, rest) = digits.split_at_checked(2)?;
            let year = number(year)?;
            (if year >= 50 { 1900 + year } else { 2000 + year }, rest)
        }
        (tag::GENERALIZED_TIME, 14) => {
            let (year, rest) = digits.split_at_checked(4)?;
            let year = number(year)?;
            // §4.1.2.5: dates through 2049 MUST be UTCTime.
            if year < 2050 {
                return None;
            }
            (year, rest)
        }
        _ => return None,
    };
    let mut pairs = rest.chunks(2).map(number);
    let mut next = || u8::try_from(pairs.next()??).ok();
    let (month, day, hour, minute, second) = (next()?, next()?, next()?, next()?, next()?);
    let date = Date::from_calendar_date(i32::from(year), Month::try_from(month).ok()?, day).ok()?;
    Some(date.with_time(Time::from_hms(hour, minute, second).ok()?).assume_utc())
}

fn number(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0_u16, |sum, digit| {
        digit.is_ascii_digit().then(|| sum.wrapping_mul(10).wrapping_add(u16::from(digit - b'0')))
    })
}

/// Tag and content of a time, down to the second; the year 9999 is the last.
pub(super) fn write(time: OffsetDateTime) -> Option<(u8, Vec<u8>)> {
    let time = time.to_offset(UtcOffset::UTC);
    let year = u16::try_from(time.year()).ok().filter(|year| (1950..=9999).contains(year))?;
    let mut content = Vec::with_capacity(15);
    let tag = if year < 2050 {
        tag::UTC_TIME
    } else {
        pair(&mut content, year / 100);
        tag::GENERALIZED_TIME
    };
    pair(&mut content, year % 100);
    let month: u8 = time.month().into();
    for number in [month, time.day(), time.hour(), time.minute(), time.second()] {
        pair(&mut content, u16::from(number));
    }
    content.push(b'Z');
    Some((tag, content))
}

fn pair(content: &mut Vec<u8>, number: u16) {
    for digit in [number / 10, number % 10] {
        content.push(b'0' + (digit % 10) as u8);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn the_form_changes_with_the_year_2050() {
        for (time, tag, text) in [
            (datetime!(1950-01-01 00:00 UTC), tag::UTC_TIME, "500101000000Z"),
            (datetime!(2049-12-31 23:59:59 UTC), tag::UTC_TIME, "491231235959Z"),
            (datetime!(2050-01-01 00:00 UTC), tag::GENERALIZED_TIME, "20500101000000Z"),
            (datetime!(9999-12-31 23:59:59 UTC), tag::GENERALIZED_TIME, "99991231235959Z"),
        ] {
            assert_eq!(write(time), Some((tag, text.as_bytes().to_vec())));
            assert_eq!(read(tag, text.as_bytes()), Some(time));
        }
        assert_eq!(write(datetime!(1949-12-31 23:59:59 UTC)), None);
    }

    #[test]
    fn other_forms_are_refused() {
        for (tag, text) in [
            (tag::GENERALIZED_TIME, "20491231235959Z"),
            (tag::UTC_TIME, "4912312359Z"),
            (tag::UTC_TIME, "491231235959+0000"),
            (tag::UTC_TIME, "491231235959"),
            (tag::UTC_TIME, "491331235959Z"),
            (tag::UTC_TIME, "491231245959Z"),
            (tag::UTC_TIME, "49123123595xZ"),
            (tag::GENERALIZED_TIME, "20500101000000.5Z"),
            (tag::INTEGER, "491231235959Z"),
        ] {
            assert_eq!(read(tag, text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(seconds in -631_152_000_i64..253_402_300_800) {
            let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            let (tag, content) = write(time).unwrap();
            prop_assert_eq!(read(tag, &content), Some(time));
        }
    }
}
