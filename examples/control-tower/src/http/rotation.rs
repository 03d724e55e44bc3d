//! Rotations on request, of keys and of authorities: what they are asked for, and what they answer.

use axum::{Json, response::IntoResponse as _};
use serde::{Deserialize, Deserializer, de};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::error::{Answer, ApiError};
use crate::rings::{Kept, Rotated, Rotation};

/// `rotate`, whose body may be absent.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RotateBody {
    #[serde(deserialize_with = "compromised")]
    compromised: bool,
}

fn compromised<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    bool::deserialize(deserializer).map_err(|_| de::Error::custom("`compromised` is `true` or `false`"))
}

impl RotateBody {
    /// What is asked for.
    pub fn rotation(&self) -> Rotation {
        if self.compromised { Rotation::Compromised } else { Rotation::Orderly }
    }
}

/// The state after it, and in `replaced` what became of compromised versions: `cached-until` and `cached-for` (seconds) say how
/// long verifiers may go on accepting them, because they hold keys that they fetched before.
///
/// # Errors
/// A time that cannot be written.
pub fn answer<K: Kept>(mut state: Value, rotated: &Rotated<K>, now: OffsetDateTime) -> Answer {
    if let (Some(replaced), Some(fields)) = (&rotated.replaced, state.as_object_mut()) {
        // Of a key that the tower publishes nowhere nobody has a copy.
        let note = match replaced.cached_until.filter(|_| rotated.kept.is_published()) {
            Some(until) => json!({
                "version": replaced.version, "dropped": replaced.dropped,
                "cached-until": until.format(&Rfc3339).map_err(ApiError::internal)?,
                "cached-for": (until - now).whole_seconds().max(0),
            }),
            None => json!({ "version": replaced.version, "dropped": replaced.dropped }),
        };
        fields.insert("replaced".to_owned(), note);
    }
    Ok(Json(state).into_response())
}
