//! How the host stands.

use std::io::Write as _;
use std::process::ExitCode;

use keyward_callhome_cert::HostHash;
use keyward_config_values::Name;
use keyward_config_values::config::HostId;
use keyward_spiffe_id::SpiffeId;
use keyward_svid::HttpsUrl;
use serde::Serialize;
use time::OffsetDateTime;

use crate::config::{Config, Format, Status};
use crate::error::Error;
use crate::host_id;
use crate::state::{Phase, State, Trouble};
use crate::state_dir::Files;
use crate::voice::{length, moment};

/// What is shown: the state, and what the identity itself says.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Shown {
    state: Phase,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    since: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<Name>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spiffe_id: Option<SpiffeId>,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    expires: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tower_url: Option<HttpsUrl>,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    last_contact: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    next_renewal: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    next_try: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<Trouble>,
    /// Of the agent that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<u32>,
}

/// `edge-agent status`
pub(crate) fn command(arguments: &Status, config: &Config) -> Result<ExitCode, Error> {
    let files = Files::of(&config.state_dir);
    let now = config.clock.now();
    let mut shown = Shown::new(files.state()?, files.identity()?, now);
    shown.process = files.process();
    shown.host = shown.host.or_else(|| Some(HostHash::of(&host_id(&files, config)?).to_string()));
    let mut text = match arguments.output {
        Format::Json => serde_json::to_string(&shown).unwrap_or_default(),
        Format::Text => shown.text(now),
    };
    text.push('\n');
    std::io::stdout().write_all(text.as_bytes()).map_err(Error::System)?;
    Ok(ExitCode::from(shown.exit_code()))
}

/// What the host will call home with, if whoever asks may know.
fn host_id(files: &Files, config: &Config) -> Option<HostId> {
    let kept = || files.host_id().ok().flatten().or_else(|| host_id::of_this_machine().ok());
    config.host_id.clone().or_else(kept)
}

impl Shown {
    fn new(state: State, identity: Option<crate::identity::Identity>, now: OffsetDateTime) -> Self {
        let valid = identity.as_ref().map(|identity| identity.is_valid(now));
        let phase = match (state.phase, valid) {
            (_, Some(true)) => Phase::Claimed,
            (_, Some(false)) | (Phase::Claimed, None) => Phase::Expired,
            (phase, None) => phase,
        };
        Self {
            state: phase,
            since: state.since,
            host: state.host,
            site: state.site.filter(|_| phase == Phase::Claimed),
            spiffe_id: identity.as_ref().map(|identity| identity.id().clone()),
            expires: identity.as_ref().map(|identity| identity.svid().not_after()),
            tower_url: state.tower_url,
            last_contact: state.last_contact,
            next_renewal: state.next_try.or(state.renew_at).filter(|_| phase == Phase::Claimed),
            next_try: state.next_try.filter(|_| phase != Phase::Claimed),
            last_error: state.last_error,
            process: None,
        }
    }

    fn exit_code(&self) -> u8 {
        match self.state {
            Phase::Claimed => 0,
            Phase::Refused | Phase::Removed => 1,
            Phase::New | Phase::Calling | Phase::Unclaimed | Phase::Expired => 3,
        }
    }

    fn text(&self, now: OffsetDateTime) -> String {
        let state = match self.state {
            Phase::New => "new: this host never called home",
            Phase::Calling => "calling home: no answer of the tower yet",
            Phase::Unclaimed => "unclaimed: the tower knows this host, and an operator has to claim it",
            Phase::Claimed => "claimed: this host has an identity",
            Phase::Expired => "expired: this host has no identity that is valid",
            Phase::Refused => "refused by the tower",
            Phase::Removed => "removed by an operator",
        };
        let ago = |at: OffsetDateTime| format!("{} ({} ago)", moment(at), length((now - at).max(time::Duration::ZERO)));
        let ahead = |at: OffsetDateTime| match at > now {
            true => format!("{} (in {})", moment(at), length(at - now)),
            false => ago(at),
        };
        let trouble = self.last_error.as_ref().map(|trouble| format!("{}, at {}", trouble.message, moment(trouble.at)));
        let rows = [
            ("state", Some(state.to_owned())),
            ("since", self.since.map(ago)),
            ("site", self.site.as_ref().map(ToString::to_string)),
            ("SPIFFE ID", self.spiffe_id.as_ref().map(ToString::to_string)),
            ("expires", self.expires.map(ahead)),
            ("next renewal", self.next_renewal.map(ahead)),
            ("next try", self.next_try.map(ahead)),
            ("last contact", self.last_contact.map(ago)),
            ("last error", trouble),
            ("agent", Some(self.process.map_or("not running".to_owned(), |process| format!("process {process}")))),
            ("host", self.host.clone()),
            ("tower", self.tower_url.as_ref().map(ToString::to_string)),
        ];
        let shown = rows.into_iter().filter_map(|(name, value)| Some(format!("{name:<13} {}", value?)));
        shown.collect::<Vec<_>>().join("\n")
    }
}
