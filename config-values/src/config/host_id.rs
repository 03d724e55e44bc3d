//! What a host is known by before it has an identity.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;

/// The id of a host, which it calls home with: 1 to 255 visible ASCII characters. Whoever knows it can pass for the host until it
/// has called home, so that `Debug` does not show it.
///
/// ```
/// use keyward_config_values::config::HostId;
/// let id: HostId = "4c4c4544-0051".parse()?;
/// assert_eq!((id.as_str(), format!("{id:?}").as_str()), ("4c4c4544-0051", "HostId(..)"));
/// assert!("a b".parse::<HostId>().is_err());
/// # Ok::<(), keyward_config_values::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(String);

impl HostId {
    /// The most characters of one.
    pub const MAX_LEN: usize = 255;

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let fits = (1..=Self::MAX_LEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self(text.to_owned())) } else { Err(Error::HostId) }
    }
}

impl fmt::Debug for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostId(..)")
    }
}

/// A host-id as a document lists it: as it is written there, or as it is kept, which is the text `sha256:` and the 64 hexadecimal
/// digits of its SHA-256. What is kept does not tell the host-id, and may be written back.
///
/// ```
/// use keyward_config_values::config::ListedHost;
/// let id: ListedHost = "4c4c4544-0051".parse()?;
/// assert_eq!(id.as_id().map(|id| id.as_str()), Some("4c4c4544-0051"));
/// let kept: ListedHost = format!("sha256:{}", "0a".repeat(32)).parse()?;
/// assert_eq!((kept.as_id(), kept.as_digest()), (None, Some("0a".repeat(32).as_str())));
/// assert!("sha256:0a".parse::<ListedHost>().is_err());
/// # Ok::<(), keyward_config_values::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListedHost(HostId);

impl ListedHost {
    /// What is before the digits.
    pub const PREFIX: &str = "sha256:";

    /// The one with this digest, in 64 lower-case hexadecimal digits.
    ///
    /// # Errors
    /// [`Error::HostIdDigest`].
    pub fn from_digest(digest: &str) -> Result<Self, Error> {
        format!("{}{digest}", Self::PREFIX).parse()
    }

    /// The host-id, where it is one.
    pub fn as_id(&self) -> Option<&HostId> {
        self.as_digest().is_none().then_some(&self.0)
    }

    /// The digits, where it is kept.
    pub fn as_digest(&self) -> Option<&str> {
        self.0.0.strip_prefix(Self::PREFIX)
    }
}

impl FromStr for ListedHost {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let listed = Self(text.parse()?);
        let is_digest =
            |digits: &str| digits.len() == 64 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if listed.as_digest().is_some_and(|digits| !is_digest(digits)) { Err(Error::HostIdDigest) } else { Ok(listed) }
    }
}

impl Serialize for ListedHost {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ListedHost {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for HostId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for HostId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
