//! Times as people and programs read them: RFC 3339, to the second. What is stored has them as they were.

pub use keyward_config_values::moment as text;
use serde::{Serialize as _, Serializer};
use time::OffsetDateTime;

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
