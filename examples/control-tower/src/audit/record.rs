//! One record, as it is handed in and as it is stored.

use std::{borrow::Cow, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::store::Revision;

/// The schema that is written.
pub(super) const SCHEMA: u64 = 1;

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditOutcome {
    /// It was permitted and is done.
    Success,
    /// It was refused.
    Refused,
    /// It was permitted and failed.
    Failed,
}

/// What is to be recorded. Never a secret: what goes in here can be read by whoever may read the log.
#[derive(Clone, Debug, Serialize)]
pub struct AuditRecord {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub time: OffsetDateTime,
    /// The tenant it happened in.
    pub tenant: String,
    /// What, for example `approle-login`.
    pub event: Cow<'static, str>,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// Who: a user, an AppRole, a task of the tower.
    pub subject: String,
    /// The address it came from, empty for the tower itself.
    pub source: String,
    /// What else belongs to the event.
    pub detail: Map<String, Value>,
    /// What is told of the same change elsewhere.
    #[serde(skip)]
    pub(super) told: Option<Box<AuditRecord>>,
}

impl AuditRecord {
    /// A record without details.
    #[must_use]
    pub fn new(
        tenant: impl Into<String>,
        event: impl Into<Cow<'static, str>>,
        outcome: AuditOutcome,
        subject: impl Into<String>,
        source: impl Into<String>,
        now: OffsetDateTime,
    ) -> Self {
        Self {
            time: now,
            tenant: tenant.into(),
            event: event.into(),
            outcome,
            subject: subject.into(),
            source: source.into(),
            detail: Map::new(),
            told: None,
        }
    }

    /// With what another tenant is told of the same change: a second record, which is part of the commit as the first one is.
    #[must_use]
    pub fn telling(self, other: Self) -> Self {
        Self { told: Some(Box::new(other)), ..self }
    }

    /// Adds a detail.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.detail.insert(name.to_owned(), value.into());
        self
    }

    /// What a commit leaves for the log: the rest of the line, and behind an end of line that of what is told elsewhere.
    pub(super) fn note(&self) -> serde_json::Result<Vec<u8>> {
        let mut note = self.rest()?;
        if let Some(told) = &self.told {
            note.push(b'\n');
            note.extend(told.rest()?);
        }
        Ok(note)
    }

    /// The rest of a line, from the time on: what does not depend on where in the log it stands. A time outside the years 0 to
    /// 9999 has none (RFC 3339).
    pub(super) fn rest(&self) -> serde_json::Result<Vec<u8>> {
        let mut object = serde_json::to_vec(self)?;
        object.remove(0);
        Ok(object)
    }
}

/// The rests of lines in what a commit left. (No line of JSON has an end of line in it.)
pub(super) fn rests(note: &[u8]) -> impl Iterator<Item = &[u8]> {
    note.split(|byte| *byte == b'\n').filter(|rest| !rest.is_empty())
}

/// The line of a record, with its end.
pub(super) fn line(seq: u64, revision: Option<Revision>, rest: &[u8]) -> Vec<u8> {
    let mut line = format!("{{\"v\":{SCHEMA},\"seq\":{seq},").into_bytes();
    if let Some(revision) = revision {
        line.extend_from_slice(format!("\"revision\":{revision},").as_bytes());
    }
    line.extend_from_slice(rest);
    line.push(b'\n');
    line
}

/// Schema, number, revision and rest of a line: the writer's order of fields is fixed.
pub(super) fn parse(line: &[u8]) -> Option<(u64, u64, Option<Revision>, &[u8])> {
    let (schema, after) = number(line, b"{\"v\":")?;
    let (seq, after) = number(after, b"\"seq\":")?;
    match number(after, b"\"revision\":") {
        Some((revision, rest)) => Some((schema, seq, Some(revision), rest)),
        None => Some((schema, seq, None, after)),
    }
}

/// The number behind a field's name, and what follows its comma.
fn number<'a>(text: &'a [u8], name: &[u8]) -> Option<(u64, &'a [u8])> {
    let text = text.strip_prefix(name)?;
    let end = text.iter().take(21).position(|byte| *byte == b',')?;
    let (digits, rest) = text.split_at(end);
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, rest.get(1..)?))
}

/// One record of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredRecord {
    /// The number of the schema.
    pub v: u64,
    /// Its number: the first record's is 1, the next one's is one more.
    pub seq: u64,
    /// The revision of the store that the change made; a refusal has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub time: OffsetDateTime,
    /// The tenant it happened in.
    pub tenant: String,
    /// What.
    pub event: String,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// Who.
    pub subject: String,
    /// The address it came from.
    pub source: String,
    /// What else belongs to the event.
    pub detail: Map<String, Value>,
}

/// Where reading begins. From text: a number is a record's number, anything else a time (RFC 3339).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Since {
    /// At the oldest record.
    #[default]
    Start,
    /// At the record with this number.
    Seq(u64),
    /// At the first file that may hold records of this time or later; earlier records are left out.
    Time(OffsetDateTime),
}

/// Neither a number nor a time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is neither a record's number nor a time such as `2026-03-01T12:00:00Z`")]
pub struct ParseSinceError {
    given: String,
}

impl FromStr for Since {
    type Err = ParseSinceError;

    fn from_str(text: &str) -> Result<Self, ParseSinceError> {
        if let Ok(seq) = text.parse() {
            return Ok(Self::Seq(seq));
        }
        OffsetDateTime::parse(text, &Rfc3339)
            .map(Self::Time)
            .map_err(|_| ParseSinceError { given: text.chars().take(40).collect() })
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn the_schema_is_this() {
        let record = AuditRecord::new(
            "default",
            "approle-login",
            AuditOutcome::Refused,
            "payments",
            "192.0.2.7",
            datetime!(2026-03-01 12:00:00.5 UTC),
        )
        .with("reason", "expired")
        .with("uses-left", 0);
        let rest = record.rest().unwrap();
        let text = |line| String::from_utf8(line).unwrap();
        let refusal = text(line(7, None, &rest));
        assert_eq!(
            refusal,
            r#"{"v":1,"seq":7,"time":"2026-03-01T12:00:00.5Z","tenant":"default","event":"approle-login","outcome":"refused","subject":"payments","source":"192.0.2.7","detail":{"reason":"expired","uses-left":0}}"#.to_owned() + "\n"
        );
        let change = text(line(8, Some(12), &rest));
        assert_eq!(change, refusal.replace(r#""seq":7,"#, r#""seq":8,"revision":12,"#));
        for (line, seq, revision) in [(refusal, 7, None), (change, 8, Some(12))] {
            let read: StoredRecord = serde_json::from_str(&line).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap() + "\n", line);
            let end = [&rest, b"\n".as_slice()].concat();
            assert_eq!(parse(line.as_bytes()), Some((1, seq, revision, end.as_slice())));
        }
        assert_eq!(parse(br#"{"v":1,"seq":7"#), None);
    }

    #[test]
    fn since_is_a_number_or_a_time() {
        assert_eq!("42".parse(), Ok(Since::Seq(42)));
        assert_eq!("2026-03-01T12:00:00Z".parse(), Ok(Since::Time(datetime!(2026-03-01 12:00 UTC))));
        assert_eq!(
            "yesterday".parse::<Since>().unwrap_err().to_string(),
            "`yesterday` is neither a record's number nor a time such as `2026-03-01T12:00:00Z`"
        );
    }
}
