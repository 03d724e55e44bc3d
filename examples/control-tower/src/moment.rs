//! Times as people and programs read them: RFC 3339, to the second. What is stored has them as they were.

use serde::{Serialize as _, Serializer};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A time in words.
pub fn text(at: OffsetDateTime) -> String {
    // A year beyond 9999 has no form, and comes from nowhere.
    at.replace_nanosecond(0).unwrap_or(at).format(&Rfc3339).unwrap_or_default()
}

/// For `#[serde(serialize_with)]`.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(at: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    text(*at).serialize(serializer)
}

/// For `#[serde(serialize_with)]`, where there may be none.
///
/// # Errors
/// Those of the serializer.
pub fn serialize_some<S: Serializer>(at: &Option<OffsetDateTime>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(text).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn seconds_suffice() {
        assert_eq!(text(datetime!(2026-03-01 12:00:00.123456789 UTC)), "2026-03-01T12:00:00Z");
    }
}
