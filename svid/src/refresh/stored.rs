//! A machine that outlives the program.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use super::{DISORDER, Failure, Held, RefreshError, RefreshOptions, Refresher};

/// The format written.
const FORMAT: u32 = 1;

/// The record of a machine and its owner.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Record<O, N = ()> {
    format: u32,
    /// Where the document comes from: a record with another origin than the configured one is not taken up.
    pub(crate) origin: O,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) document: Option<Value>,
    /// What else the owner remembers.
    pub(crate) notes: N,
    refresh: Stored,
}

#[derive(Deserialize)]
struct Head {
    format: u32,
}

impl<O: Serialize, N: Serialize> Record<O, N> {
    /// The record as JSON.
    pub(crate) fn write<T: Serialize>(origin: O, machine: &Refresher<T>, notes: N) -> String {
        let document = machine.latest().and_then(|document| serde_json::to_value(document).ok());
        let record = Self { format: FORMAT, origin, document, notes, refresh: machine.store() };
        // Strings and numbers always become JSON.
        serde_json::to_string(&record).unwrap_or_default()
    }
}

impl<O: DeserializeOwned, N: DeserializeOwned> Record<O, N> {
    /// Reads a record, of this release or one before.
    pub(crate) fn read(json: &[u8]) -> Result<Self, RefreshError> {
        let head: Head = serde_json::from_slice(json).map_err(|_| RefreshError::Record)?;
        if head.format > FORMAT {
            return Err(RefreshError::RecordFormat { found: head.format, known: FORMAT });
        }
        serde_json::from_slice(json).map_err(|_| RefreshError::Record)
    }

    /// The machine, with its document read again.
    pub(crate) fn restore<T>(
        self,
        options: RefreshOptions,
        read: impl FnOnce(&[u8]) -> Option<T>,
        now: OffsetDateTime,
    ) -> Result<Refresher<T>, RefreshError> {
        let document = match self.document {
            Some(document) => Some(read(document.to_string().as_bytes()).ok_or(RefreshError::Record)?),
            None => None,
        };
        Refresher::restore(options, self.refresh, document, now)
    }
}

/// What a machine knows besides its document, for the record of whoever owns it. Whole seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Stored {
    /// What the clock showed when this was made, UNIX time.
    seen: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    fetched: Option<StoredFetch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<StoredFailure>,
    /// Seconds from `seen` to the next fetch.
    wait: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct StoredFetch {
    at: i64,
    /// At the time of `seen`.
    age: i64,
    interval: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct StoredFailure {
    at: i64,
    reason: String,
    count: u32,
}

impl<T> Refresher<T> {
    pub(super) fn store(&self) -> Stored {
        let at = self.steady.elapsed;
        // An age is rounded up, so that no restart makes a document younger.
        let age = |since: Duration| (at - since).whole_seconds().saturating_add(1);
        Stored {
            seen: self.steady.seen.unix_timestamp(),
            fetched: self.held.as_ref().map(|held| StoredFetch {
                at: held.fetched_at.unix_timestamp(),
                age: age(held.since),
                interval: held.interval.whole_seconds(),
            }),
            failure: self.failure.as_ref().map(|failure| StoredFailure {
                at: failure.at.unix_timestamp(),
                reason: failure.reason.clone(),
                count: failure.count,
            }),
            wait: (self.due - at).whole_seconds().max(0),
        }
    }

    /// Goes on where [`store`](Self::store) was. A fetch that was under way is forgotten and due again; after one
    /// that failed the wait goes on, also where there is no document. Where the clock is behind the record, how long the
    /// program was away is unknown: a fetch is due at once.
    pub(super) fn restore(
        options: RefreshOptions,
        stored: Stored,
        value: Option<T>,
        now: OffsetDateTime,
    ) -> Result<Self, RefreshError> {
        let mut machine = Self::new(options, now)?;
        let date = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(now);
        let away = now - date(stored.seen);
        // The steady time begins at `seen` with 0, so that what happened before lies below.
        machine.steady.elapsed = away.max(Duration::ZERO);
        if away >= -DISORDER {
            machine.steady.seen = now.max(date(stored.seen));
            machine.due = Duration::seconds(stored.wait.max(0));
        }
        if let (Some(fetched), Some(value)) = (stored.fetched, value) {
            machine.held = Some(Held {
                value,
                fetched_at: date(fetched.at),
                since: Duration::seconds(fetched.age.max(0).saturating_neg()),
                interval: machine.options.interval(Some(Duration::seconds(fetched.interval.max(0)))),
            });
            // When the last fetch began is forgotten: unknown keys wait as if it had been now.
            machine.began = Some(machine.steady.elapsed);
            let longest = machine.wait(machine.steady.elapsed);
            machine.due = machine.due.min(machine.steady.elapsed.saturating_add(longest));
        } else if stored.failure.is_some() {
            machine.began = Some(machine.steady.elapsed);
            let shortest = machine.steady.elapsed.saturating_add(machine.options.min_interval);
            machine.due = machine.due.min(shortest);
        } else {
            machine.due = Duration::ZERO;
        }
        machine.failure = stored.failure.map(|failure| Failure {
            at: date(failure.at),
            reason: failure.reason,
            count: failure.count,
        });
        Ok(machine)
    }
}
