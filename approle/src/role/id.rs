//! Role-ids.

use core::fmt;
use core::str::FromStr;

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::Error;

/// The longest role-id in bytes.
const MAX_LENGTH: usize = 255;

/// A role-id: 1 to 255 visible ASCII characters (0x21 to 0x7e).
///
/// It names a role and is half of a login. In a role with `weak-secret-id` it is the whole login, so
/// that `Debug` shows none and comparison is in constant time.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoleId(String);

impl RoleId {
    /// 128 random bits in the grouping of a UUID (RFC 9562 §4; all bits are random, as other AppRole
    /// servers have it).
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        let mut text = base16ct::lower::encode_string(&bytes);
        for position in [20, 16, 12, 8] {
            text.insert(position, '-');
        }
        Self(text)
    }

    /// The role-id as it is presented.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Length in bits, which is no measure of its entropy.
    pub(crate) fn bits(&self) -> usize {
        self.0.len() * 8
    }
}

impl PartialEq for RoleId {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for RoleId {}

impl FromStr for RoleId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for RoleId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        let visible = text.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
        if visible && (1..=MAX_LENGTH).contains(&text.len()) { Ok(Self(text)) } else { Err(Error::RoleId) }
    }
}

impl From<RoleId> for String {
    fn from(role_id: RoleId) -> Self {
        role_id.0
    }
}

impl fmt::Debug for RoleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoleId(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rng;

    #[test]
    fn generated_ones_look_like_a_uuid_and_differ() {
        let mut rng = rng(1);
        let one = RoleId::generate(&mut rng);
        let two = RoleId::generate(&mut rng);
        assert_ne!(one, two);
        let groups: Vec<usize> = one.as_str().split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12]);
        assert_eq!(one.as_str().parse::<RoleId>().unwrap(), one);
        assert_eq!(format!("{one:?}"), "RoleId(..)");
    }

    #[test]
    fn only_visible_ascii() {
        for good in ["a", "!~", &"x".repeat(255)] {
            assert_eq!(good.parse::<RoleId>().unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a\0b", "a\n", "é", &"x".repeat(256)] {
            let error = bad.parse::<RoleId>().unwrap_err();
            assert_eq!(error.to_string(), "a role-id is 1 to 255 visible ASCII characters");
        }
    }
}
