//! What a schedule means: the life of a version, computed.

use std::fmt;

use keyward_config_values::Duration;
use serde::Serialize;

use super::Overlap;

/// The life of a version, computed from a schedule: what a dry run answers and what the error of a
/// refused schedule prints.
///
/// All offsets are counted from the creation of the version. Without `auto-rotate` nobody knows
/// when the successor is created; then `rotated` is absent, and the offsets from `superseded` on
/// are counted from the rotation instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Timeline {
    /// The version signs.
    pub activates: Duration,
    /// Its successor is created and published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotated: Option<Duration>,
    /// Its successor signs; it signs only at cut-off sites.
    pub superseded: Duration,
    /// It verifies only.
    pub deprecated: Duration,
    /// It is not published and does not verify.
    pub invalid: Duration,
    /// The `max-age` with which the key set is served.
    pub jwks_max_age: Duration,
    /// How long a site signs after its last contact.
    pub cut_off_allowance: Duration,
}

impl Timeline {
    pub(super) fn new(rotated: Option<Duration>, overlap: Overlap) -> Self {
        let after_rotation = |offset: Duration| match rotated {
            Some(rotated) => rotated.saturating_add(offset),
            None => offset,
        };
        Self {
            activates: overlap.activate_after(),
            rotated,
            superseded: after_rotation(overlap.activate_after()),
            deprecated: after_rotation(overlap.cut_off_allowance()),
            invalid: after_rotation(overlap.total()),
            jwks_max_age: overlap.jwks_max_age(),
            cut_off_allowance: overlap.cut_off_allowance(),
        }
    }
}

/// A table with one line per transition, without a trailing newline.
impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = if self.rotated.is_some() { "" } else { "rotation + " };
        let mut rows = vec![
            ("0s".to_owned(), "created", "published, does not sign"),
            (self.activates.to_string(), "active", "signs"),
        ];
        if let Some(rotated) = self.rotated {
            rows.push((rotated.to_string(), "rotated", "its successor is created"));
        }
        for (offset, name, meaning) in [
            (self.superseded, "superseded", "signs only at a cut-off site"),
            (self.deprecated, "deprecated", "verifies only"),
            (self.invalid, "invalid", "not published, does not verify"),
        ] {
            rows.push((format!("{since}{offset}"), name, meaning));
        }
        let width = rows.iter().map(|(offset, ..)| offset.len()).max();
        let width = width.unwrap_or_default();
        f.write_str("the life of a version:")?;
        for (offset, name, meaning) in rows {
            write!(f, "\n  {offset:<width$}  {name:<10}  {meaning}")?;
        }
        Ok(())
    }
}
