//! Hosts that called home.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use keyward_config_values::Name;
use keyward_config_values::config::{HostId, ListedHost};
use keyward_config_values::record::{self, Format};
use keyward_keys::sha256;
use keyward_spiffe_id::SpiffeId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;

use crate::admission::{HostState, Knock};
use crate::{AgentVersion, Error, HostName};

/// The SHA-256 of a host-id in lower-case hexadecimal. The host-id is a shared secret and stands in no certificate, record or log;
/// its hash does.
///
/// ```
/// use keyward_callhome_cert::HostHash;
///
/// let hash = HostHash::of(&"4c4c4544-0051".parse()?);
/// assert_eq!(hash.as_str().len(), 64);
/// assert_eq!(hash.as_str().parse::<HostHash>()?, hash);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostHash(String);

impl HostHash {
    /// The hash of this host-id.
    pub fn of(host_id: &HostId) -> Self {
        Self(base16ct::lower::encode_string(&sha256(host_id.as_str().as_bytes())))
    }

    /// The 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What an operator names a host by: its host-id, or the hash of it.
impl From<&ListedHost> for HostHash {
    fn from(listed: &ListedHost) -> Self {
        listed.as_id().map_or_else(|| Self(listed.as_digest().unwrap_or_default().to_owned()), Self::of)
    }
}

impl fmt::Display for HostHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for HostHash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let fits = text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if fits { Ok(Self(text.to_owned())) } else { Err(Error::HostHash) }
    }
}

impl Serialize for HostHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for HostHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

const FORMAT: u32 = 1;
const HOST: &str = "host";

/// What is stored of a host that called home, or of a duplicate of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct HostRecord {
    format: Format<FORMAT>,
    host: HostHash,
    /// The RFC 7638 thumbprint of the key for which it asks an identity: what tells it from a duplicate.
    key: String,
    state: HostState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    /// The site of its certificate, to which alone it may be claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bound_site: Option<Name>,
    address: IpAddr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host_name: Option<HostName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent_version: Option<AgentVersion>,
    #[serde(with = "time::serde::rfc3339")]
    first_seen: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    last_seen: OffsetDateTime,
    /// Absent before it has one, and of hosts that an older release gave theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity: Option<GivenIdentity>,
}

/// The identity that a host was given last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct GivenIdentity {
    /// Its ID.
    pub spiffe_id: SpiffeId,
    /// The end of its SVID.
    #[serde(with = "time::serde::rfc3339")]
    pub expires: OffsetDateTime,
}

impl HostRecord {
    pub(crate) fn new(knock: &Knock<'_>, state: HostState, now: OffsetDateTime) -> Self {
        Self {
            format: Format,
            host: knock.host.clone(),
            key: knock.key.to_owned(),
            state,
            certificate: None,
            bound_site: None,
            address: knock.address.to_canonical(),
            host_name: knock.host_name.cloned(),
            agent_version: knock.agent_version.cloned(),
            first_seen: now,
            last_seen: now,
            identity: None,
        }
    }

    pub(crate) fn with_certificate(mut self, serial: &str, site: Option<&Name>) -> Self {
        self.certificate = Some(serial.to_owned());
        self.bound_site = site.cloned();
        self
    }

    /// Of a host that was here before, and had to make room.
    pub(crate) fn first_seen_with(mut self, earlier: &Self) -> Self {
        self.first_seen = self.first_seen.min(earlier.first_seen);
        self
    }

    /// As a duplicate, which belongs to no site.
    pub(crate) fn unclaimed(mut self) -> Self {
        self.state = HostState::Unclaimed;
        self
    }

    pub(crate) fn seen(mut self, knock: &Knock<'_>, now: OffsetDateTime) -> Self {
        self.last_seen = self.last_seen.max(now);
        self.address = knock.address.to_canonical();
        self.host_name = knock.host_name.cloned().or(self.host_name);
        self.agent_version = knock.agent_version.cloned().or(self.agent_version);
        self
    }

    /// As the newer record of the same host and key has it, but for what became of it and when it was seen first.
    #[must_use]
    pub fn seen_again(mut self, newer: &Self) -> Self {
        self.last_seen = self.last_seen.max(newer.last_seen);
        self.address = newer.address;
        self.host_name = newer.host_name.clone().or(self.host_name);
        self.agent_version = newer.agent_version.clone().or(self.agent_version);
        self
    }

    /// What of it is worth storing, `before` being what is stored: that a host calls again every few seconds is not.
    pub fn news(&self, before: &Self) -> News {
        const SELDOM: time::Duration = time::Duration::MINUTE;
        let about = |record: &Self| (record.address, record.host_name.clone(), record.agent_version.clone());
        if (&self.state, &self.key) != (&before.state, &before.key) {
            News::State
        } else if about(self) != about(before) || self.last_seen - before.last_seen >= SELDOM {
            News::Seen
        } else {
            News::Nothing
        }
    }

    /// The hash of its host-id.
    pub fn host(&self) -> &HostHash {
        &self.host
    }

    /// The thumbprint of the key for which it asks an identity.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What became of it.
    pub fn state(&self) -> &HostState {
        &self.state
    }

    /// The serial number of the certificate that it called home with.
    pub fn certificate(&self) -> Option<&str> {
        self.certificate.as_deref()
    }

    /// The site to which alone it may be claimed.
    pub fn bound_site(&self) -> Option<&Name> {
        self.bound_site.as_ref()
    }

    /// Where it called from last.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// What it calls itself.
    pub fn host_name(&self) -> Option<&HostName> {
        self.host_name.as_ref()
    }

    /// The version of its agent.
    pub fn agent_version(&self) -> Option<&AgentVersion> {
        self.agent_version.as_ref()
    }

    /// When it called first.
    pub fn first_seen(&self) -> OffsetDateTime {
        self.first_seen
    }

    /// When it called last.
    pub fn last_seen(&self) -> OffsetDateTime {
        self.last_seen
    }

    /// The identity that it was given last. Whether it counts is for [`HostPath::check`](crate::HostPath::check) to say.
    pub fn identity(&self) -> Option<&GivenIdentity> {
        self.identity.as_ref()
    }

    /// Takes down which identity it was given, and that it was there for it.
    #[must_use]
    pub fn given(mut self, spiffe_id: SpiffeId, expires: OffsetDateTime, now: OffsetDateTime) -> Self {
        self.last_seen = self.last_seen.max(now);
        self.identity = Some(GivenIdentity { spiffe_id, expires });
        self
    }

    /// Claims it for a site. A claimed host is claimed again for the same site alone.
    ///
    /// # Errors
    /// [`Error::Order`] when it is no unclaimed host, or its certificate is for another site.
    pub fn claim(mut self, site: Name) -> Result<Self, Error> {
        if self.bound_site.as_ref().is_some_and(|bound| *bound != site) {
            return Err(Error::Order { problem: "the host called home with a certificate for another site" });
        }
        match &self.state {
            HostState::Unclaimed => {}
            HostState::Claimed { site: own } if *own == site => {}
            HostState::Claimed { .. } => return Err(Error::Order { problem: "the host is claimed for another site" }),
            HostState::Removed => return Err(Error::Order { problem: "the host was removed: release it first" }),
        }
        self.state = HostState::Claimed { site };
        Ok(self)
    }

    /// Removes it: its identity is refused from now on, and it may not call home.
    #[must_use]
    pub fn remove(mut self) -> Self {
        self.state = HostState::Removed;
        self
    }

    /// The record as it is stored.
    ///
    /// # Errors
    /// [`Error::Record`], which does not happen.
    pub fn to_record(&self) -> Result<Vec<u8>, Error> {
        Ok(record::encode(HOST, self)?)
    }

    /// The host in a record.
    ///
    /// # Errors
    /// [`Error::Record`]: it is of a newer release, or none.
    pub fn from_record(record: &[u8]) -> Result<Self, Error> {
        Ok(record::decode(HOST, FORMAT, record)?)
    }
}

/// What is new in the record of a host that was here before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// What became of it.
    State,
    /// From where and when it called last, and what it says of itself.
    Seen,
    /// Nothing that is worth storing.
    Nothing,
}
