//! The number of what a tenant publishes.
//!
//! Key rings, authorities and the state of issuing are records of their own, and some of what verifiers read changes by time
//! alone. A verifier that has the number `n` must be right to ignore whatever has not a greater one (SPIFFE Trust Domain and
//! Bundle §4.1.1), so every commit that may change the published set goes through one record: it is guarded by it and raises
//! it. A number is microseconds since 1970: the record's, or the time since then at which something was over.

use std::sync::Arc;

use keyward_config_values::Name;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    app::App,
    db::{Db, DbError, Stored},
    http::error::{Answer, ApiError},
    layout,
    store::{Guard, Write},
};

const FORMAT: u32 = 1;

/// The stored number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Publication {
    format: u32,
    sequence: u64,
}

/// What a commit needs that changes what is published.
#[must_use]
pub struct Change {
    guard: Guard,
    write: Write,
}

impl Publication {
    /// As it is stored; `None` before anything was published, or since a release that did not count.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn load(db: &Db, tenant: &Name) -> Result<Option<Stored<Arc<Self>>>, DbError> {
        db.load(&layout::publication(tenant), Self::decode).await
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let read: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if read.format > FORMAT {
            return Err(format!("format {} is of a newer program", read.format));
        }
        Ok(read)
    }

    /// The number after another change at `now`, greater than any that was answered until then.
    fn next(stored: Option<Self>, now: OffsetDateTime) -> Self {
        let sequence = stored.map_or(0, |stored| stored.sequence).max(micros(now)).saturating_add(1);
        Self { format: FORMAT, sequence }
    }

    /// The time to look at what is published: the later of `now` and the last change, so that a clock that was set back does not
    /// bring back what was dropped.
    pub fn effective(stored: Option<Self>, now: OffsetDateTime) -> OffsetDateTime {
        stored.map_or(now, |stored| now.max(time_of(stored.sequence)))
    }

    /// The number of what is published, given when that changed by time alone.
    pub fn sequence(stored: Option<Self>, changed: Option<OffsetDateTime>) -> u64 {
        stored.map_or(0, |stored| stored.sequence).max(changed.map_or(0, micros))
    }
}

impl Change {
    /// Makes it part of a commit.
    pub fn add_to(self, guards: &mut Vec<Guard>, writes: &mut Vec<Write>) {
        guards.push(self.guard);
        writes.push(self.write);
    }
}

/// What a commit needs that changes what a tenant publishes.
///
/// # Errors
/// Those of the store.
pub async fn changes(app: &App, tenant: &Name, now: OffsetDateTime) -> Answer<Change> {
    let stored = Publication::load(&app.db, tenant).await?;
    let key = layout::publication(tenant);
    let next = Publication::next(stored.as_ref().map(|stored| *stored.value), now);
    let bytes = serde_json::to_vec(&next).map_err(ApiError::internal)?;
    let guard = stored.map_or_else(|| Guard::Absent(key.clone()), |stored| stored.guard());
    Ok(Change { guard, write: app.db.put(key, &bytes)? })
}

fn micros(time: OffsetDateTime) -> u64 {
    u64::try_from(time.unix_timestamp_nanos() / 1000).unwrap_or(0)
}

fn time_of(micros: u64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use time::{Duration, macros::datetime};

    use super::*;

    #[test]
    fn the_number_grows_with_every_change_whatever_the_clock_does() {
        let now = datetime!(2026-03-01 00:00 UTC);
        let first = Publication::next(None, now);
        assert_eq!(first.sequence, 1_772_323_200_000_001);
        let same_moment = Publication::next(Some(first), now);
        let set_back = Publication::next(Some(same_moment), now - Duration::HOUR);
        let later = Publication::next(Some(set_back), now + Duration::HOUR);
        let numbers = [first, same_moment, set_back, later].map(|publication| publication.sequence);
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        // Greater than what time alone had made of the one before, up to the same microsecond.
        assert!(later.sequence > Publication::sequence(Some(set_back), Some(now + Duration::HOUR)));
        // What was dropped by the last change stays dropped.
        assert!(Publication::effective(Some(later), now) > now + Duration::HOUR);
        assert_eq!(Publication::effective(Some(first), now + Duration::DAY), now + Duration::DAY);
    }

    #[test]
    fn a_newer_format_is_not_read() {
        let error = Publication::decode(br#"{"format":2,"sequence":5}"#).unwrap_err();
        assert_eq!(error, "format 2 is of a newer program");
    }
}
