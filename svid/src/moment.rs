//! Times as errors print them.

use time::{OffsetDateTime, UtcOffset};

/// RFC 3339 in UTC, to the second. `keyward-config-values` has the same for all others; whoever only verifies does without that crate.
pub(crate) fn moment(at: &OffsetDateTime) -> String {
    let at = at.checked_to_offset(UtcOffset::UTC).unwrap_or(*at);
    let (date, time) = (at.date(), at.time());
    let (month, (hour, minute, second)) = (u8::from(date.month()), time.as_hms());
    format!("{:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", date.year(), date.day())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_form_of_all_others(nanoseconds in -377_705_116_800_000_000_000_i128..253_402_300_800_000_000_000) {
            let at = OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).unwrap();
            prop_assert_eq!(moment(&at), keyward_config_values::moment(at));
        }
    }
}
