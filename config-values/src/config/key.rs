//! What documents may call variables and labels.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::excerpt;
use crate::{Error, VariableName};

/// The name of a variable that a document gives a value: one without an index that is not built in.
///
/// ```
/// use keyward_config_values::config::VariableKey;
/// let key: VariableKey = "uplink.region".parse()?;
/// assert_eq!(key.name().as_str(), "uplink.region");
/// assert_eq!(
///     "site.label.region".parse::<VariableKey>().unwrap_err().to_string(),
///     "`site.label.region`: built in, and not for a document to set: names that begin with `tenant`, `approle`, `user`, \
///      `site`, `spiffe-id` or `metadata` say who asks; choose another one"
/// );
/// # Ok::<(), keyward_config_values::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VariableKey(VariableName);

/// The name of a label: as that of a variable, without an index, at most 200 characters. The label `region` of a site is the
/// variable `site.label.region`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelName(VariableName);

impl VariableKey {
    /// The variable.
    pub fn name(&self) -> &VariableName {
        &self.0
    }
}

impl LabelName {
    /// The most characters of one.
    pub const MAX_LEN: usize = 200;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for VariableKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let name: VariableName = text.parse()?;
        if name.is_built_in() {
            return Err(Error::VariableBuiltIn { input: excerpt(text) });
        }
        if name.index().is_some() {
            return Err(Error::VariableIndexed { input: excerpt(text) });
        }
        Ok(Self(name))
    }
}

impl FromStr for LabelName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.parse::<VariableName>() {
            Ok(name) if text.len() <= Self::MAX_LEN && name.index().is_none() => Ok(Self(name)),
            _ => Err(Error::LabelName { input: excerpt(text) }),
        }
    }
}

macro_rules! as_text {
    ($($name:ident),+) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

as_text!(VariableKey, LabelName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_says_who_asks_can_be_set() {
        for built_in in [
            "tenant",
            "approle",
            "site",
            "user",
            "spiffe-id",
            "spiffe-id.path[0]",
            "site.label.a",
            "metadata.pod",
            "user.x",
        ] {
            let error = built_in.parse::<VariableKey>().unwrap_err().to_string();
            assert!(error.contains("built in"), "{error}");
        }
        for own in ["region", "sites", "tenant-name", "spiffe", "meta.data", "x.site"] {
            assert_eq!(own.parse::<VariableKey>().unwrap().to_string(), own);
        }
        assert_eq!(
            "a[0]".parse::<VariableKey>().unwrap_err().to_string(),
            "`a[0]`: an index is for using an item of a list; write the name without it, and a list as the value"
        );
    }

    #[test]
    fn a_label_is_the_end_of_a_variable() {
        let longest = "x".repeat(LabelName::MAX_LEN);
        for good in ["region", "location.city", "a_b-c", &longest] {
            let label: LabelName = good.parse().unwrap();
            assert!(format!("site.label.{label}").parse::<VariableName>().is_ok());
        }
        for bad in ["", "Region", "a/b", "a[0]", &format!("{longest}x")] {
            let error = bad.parse::<LabelName>().unwrap_err().to_string();
            assert!(error.ends_with("write one such as `region` or `location.city`"), "{error}");
        }
    }
}
