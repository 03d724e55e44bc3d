//! How the host stands: what `status` shows, and what a restart needs to know. Identities and keys have files of their own.

use keyward_config_values::Name;
use keyward_svid::HttpsUrl;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

const FORMAT: u32 = 1;

/// The state of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct State {
    /// How far it has come.
    pub(crate) phase: Phase,
    /// Since when.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<OffsetDateTime>,
    /// The hash of the host-id, by which the tower shows the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    /// Where the tower's API is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tower_url: Option<HttpsUrl>,
    /// The site that it was claimed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) site: Option<Name>,
    /// When the identity is to be renewed.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub(crate) renew_at: Option<OffsetDateTime>,
    /// When it tries again, while it waits.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub(crate) next_try: Option<OffsetDateTime>,
    /// When the tower last answered.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub(crate) last_contact: Option<OffsetDateTime>,
    /// What went wrong last; gone when something went right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_error: Option<Trouble>,
    /// The SHA-256 of the call-home certificate that the host was registered with: that one is used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) used_up: Option<String>,
}

/// How far a host has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    /// It never called home.
    #[default]
    New,
    /// It calls home, and was not answered yet.
    Calling,
    /// The tower knows it, and nobody has claimed it.
    Unclaimed,
    /// It has an identity.
    Claimed,
    /// It had one, which expired before it could be renewed.
    Expired,
    /// The tower refused it.
    Refused,
    /// An operator removed it.
    Removed,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trouble {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) at: OffsetDateTime,
    /// The tower's word for it, where it refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<String>,
    /// In words.
    pub(crate) message: String,
}

impl State {
    /// Whether the tower knows the host.
    pub(crate) fn is_registered(&self) -> bool {
        self.waits() || self.phase == Phase::Claimed
    }

    /// Whether the tower knows the host, which has no identity. One that is claimed and has none loses it at this moment: what it
    /// comes to, only the agent that is at it knows.
    pub(crate) fn waits(&self) -> bool {
        matches!(self.phase, Phase::Unclaimed | Phase::Expired)
    }

    /// Goes on to a phase; one that it is in already goes on since it began.
    pub(crate) fn enter(&mut self, phase: Phase, now: OffsetDateTime) {
        if self.phase != phase || self.since.is_none() {
            (self.phase, self.since) = (phase, Some(now));
        }
    }

    /// The tower answered.
    pub(crate) fn heard(&mut self, now: OffsetDateTime) {
        (self.last_contact, self.last_error, self.next_try) = (Some(now), None, None);
    }

    /// The file's text.
    pub(crate) fn to_record(&self) -> String {
        let record = Record { format: FORMAT, state: self.clone() };
        // Nothing in it can fail to be JSON.
        serde_json::to_string_pretty(&record).unwrap_or_default() + "\n"
    }

    /// Reads the file's text; the error continues a sentence that begins with the file.
    pub(crate) fn from_record(text: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let Head { format } = serde_json::from_slice(text).map_err(|_| "is no state of an edge-agent".to_owned())?;
        if format > FORMAT {
            return Err(format!("was written by a newer edge-agent (format {format}, known up to {FORMAT})"));
        }
        let record: Record = serde_json::from_slice(text).map_err(|error| format!("cannot be read: {error}"))?;
        Ok(record.state)
    }
}

#[derive(Serialize, Deserialize)]
struct Record {
    format: u32,
    state: State,
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn it_is_read_as_it_is_written() {
        let mut state = State::default();
        state.enter(Phase::Unclaimed, datetime!(2026-03-01 12:00 UTC));
        state.last_error =
            Some(Trouble { at: datetime!(2026-03-01 12:01 UTC), code: None, message: "no answer".to_owned() });
        assert_eq!(State::from_record(state.to_record().as_bytes()), Ok(state.clone()));
        state.enter(Phase::Unclaimed, datetime!(2026-03-02 12:00 UTC));
        assert_eq!(state.since, Some(datetime!(2026-03-01 12:00 UTC)));
        assert_eq!(
            State::from_record(br#"{"format":2,"state":7}"#).unwrap_err(),
            "was written by a newer edge-agent (format 2, known up to 1)"
        );
        assert_eq!(State::from_record(b"{}").unwrap_err(), "is no state of an edge-agent");
    }

    #[test]
    fn a_claimed_host_without_identity_does_not_wait_to_be_claimed() {
        let mut state = State::default();
        for (phase, is_registered, waits) in [
            (Phase::Unclaimed, true, true),
            (Phase::Claimed, true, false),
            (Phase::Expired, true, true),
            (Phase::Refused, false, false),
            (Phase::Removed, false, false),
        ] {
            state.enter(phase, datetime!(2026-03-01 12:00 UTC));
            assert_eq!((state.is_registered(), state.waits()), (is_registered, waits), "{phase:?}");
        }
    }
}
