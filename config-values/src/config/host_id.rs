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
