//! Rotations on request, of keys and of authorities: what they are asked for, and what they answer.

use axum::{Json, response::IntoResponse as _};
use keyward_transit::Compromised;
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::error::Answer;
use crate::{
    moment,
    rings::{Kept, Rotated, Rotation},
};

/// `rotate`, whose body may be absent.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RotateBody {
    /// Which versions became known, if any: `true` and `"active"` are one.
    #[serde(deserialize_with = "compromised")]
    compromised: Option<Compromised>,
}

fn compromised<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Compromised>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Bool(false) => Ok(None),
        Value::Bool(true) => Ok(Some(Compromised::Active)),
        Value::String(which) if which == "active" => Ok(Some(Compromised::Active)),
        Value::String(which) if which == "all" => Ok(Some(Compromised::All)),
        _ => Err(de::Error::custom("no known way; write `true` (the active version), `all` or `false`")),
    }
}

impl RotateBody {
    /// What is asked for.
    pub fn rotation(&self) -> Rotation {
        self.compromised.map_or(Rotation::Orderly, Rotation::Compromised)
    }
}

/// The state after it, and in `replaced` what became of compromised versions: `cached-until` and `cached-for` (seconds) say how
/// long verifiers may go on accepting them, because they hold keys that they fetched before; `sites-sign-until` says until when a
/// site that hears nothing of this may sign with them, if one has a copy. Who fetches the keys refuses what it signs.
///
/// # Errors
/// A time that cannot be written.
pub fn answer<K: Kept>(mut state: Value, rotated: &Rotated<K>, now: OffsetDateTime) -> Answer {
    if let (Some(replaced), Some(fields)) = (&rotated.replaced, state.as_object_mut()) {
        // Of a key that the tower publishes nowhere nobody has a copy.
        let mut note = Map::new();
        note.insert("version".to_owned(), replaced.version.into());
        note.insert("dropped".to_owned(), replaced.dropped.clone().into());
        let times = [("cached", replaced.cached_until), ("sites-sign", replaced.sites_sign_until)];
        for (what, until) in times.into_iter().filter(|_| rotated.kept.is_published()) {
            let Some(until) = until else { continue };
            note.insert(format!("{what}-until"), moment::text(until).into());
            note.insert(format!("{what}-for"), (until - now).whole_seconds().max(0).into());
        }
        fields.insert("replaced".to_owned(), note.into());
    }
    Ok(Json(state).into_response())
}
