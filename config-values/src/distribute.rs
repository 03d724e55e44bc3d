//! Where a document is to be known.

use crate::text::excerpt;
use crate::{Error, Name};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// Where a document is to be known beyond the place that holds the configuration: `to: all`, `to: sites`
/// or `deployments: [payments]`. Without it a document stays where it is.
///
/// What it names may not exist yet: nobody checks it against anything. As a word it is `all`,
/// `sites` or `deployments:payments,billing`.
///
/// ```
/// use keyward_config_values::Distribute;
/// let d: Distribute = serde_json::from_str(r#"{"deployments": ["payments"]}"#).unwrap();
/// assert_eq!(d.to_string(), "deployments:payments");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
#[non_exhaustive]
pub enum Distribute {
    /// Everywhere.
    All,
    /// To every site.
    Sites,
    /// To the sites where one of these deployments runs; never empty, no name twice.
    Deployments(Vec<Name>),
}

impl Distribute {
    /// To the sites where one of these deployments runs.
    ///
    /// # Errors
    /// [`Error::DistributeForm`] without a name, [`Error::DistributeTwice`] with one twice.
    pub fn deployments(names: impl IntoIterator<Item = Name>) -> Result<Self, Error> {
        let names: Vec<Name> = names.into_iter().collect();
        if names.is_empty() {
            return Err(Error::DistributeForm { found: "no deployment in `deployments`" });
        }
        let mut seen = BTreeSet::new();
        for name in &names {
            if !seen.insert(name) {
                return Err(Error::DistributeTwice { name: name.to_string() });
            }
        }
        Ok(Self::Deployments(names))
    }
}

/// What the document looks like; its fields are the ones that a reader of unknown fields sees.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Distribute", rename_all = "kebab-case")]
struct Document {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<To>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deployments: Option<Vec<Name>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum To {
    All,
    Sites,
}

impl TryFrom<Document> for Distribute {
    type Error = Error;

    fn try_from(document: Document) -> Result<Self, Error> {
        match (document.to, document.deployments) {
            (Some(To::All), None) => Ok(Self::All),
            (Some(To::Sites), None) => Ok(Self::Sites),
            (None, Some(names)) => Self::deployments(names),
            (Some(_), Some(_)) => Err(Error::DistributeForm { found: "both `to` and `deployments`" }),
            (None, None) => Err(Error::DistributeForm { found: "neither `to` nor `deployments`" }),
        }
    }
}

impl From<Distribute> for Document {
    fn from(distribute: Distribute) -> Self {
        let (to, deployments) = match distribute {
            Distribute::All => (Some(To::All), None),
            Distribute::Sites => (Some(To::Sites), None),
            Distribute::Deployments(names) => (None, Some(names)),
        };
        Self { to, deployments }
    }
}

impl FromStr for Distribute {
    type Err = Error;

    fn from_str(input: &str) -> Result<Self, Error> {
        match input {
            "all" => Ok(Self::All),
            "sites" => Ok(Self::Sites),
            _ => {
                let names = input
                    .strip_prefix("deployments:")
                    .ok_or_else(|| Error::DistributeWord { input: excerpt(input) })?;
                let names: Vec<Name> = names.split(',').map(str::parse).collect::<Result<_, _>>()?;
                Self::deployments(names)
            }
        }
    }
}

impl fmt::Display for Distribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Sites => f.write_str("sites"),
            Self::Deployments(names) => {
                f.write_str("deployments:")?;
                for (at, name) in names.iter().enumerate() {
                    if at > 0 {
                        f.write_str(",")?;
                    }
                    write!(f, "{name}")?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(json: &str) -> Result<Distribute, String> {
        serde_json::from_str(json).map_err(|e| e.to_string())
    }

    #[test]
    fn documents_round_trip() {
        for json in [r#"{"to":"all"}"#, r#"{"to":"sites"}"#, r#"{"deployments":["payments","billing"]}"#] {
            let d = read(json).unwrap();
            assert_eq!(serde_json::to_string(&d).unwrap(), json);
        }
    }

    #[test]
    fn refusals_name_the_remedy() {
        let starts = |json: &str, text: &str| {
            let error = read(json).unwrap_err();
            assert!(error.starts_with(text), "{error}");
        };
        starts(
            "{}",
            "neither `to` nor `deployments`; write one of `to: all`, `to: sites` or `deployments: [payments]`",
        );
        starts(r#"{"to":"all","deployments":["a"]}"#, "both `to` and `deployments`; write one of");
        starts(r#"{"deployments":[]}"#, "no deployment in `deployments`; write one of");
        starts(r#"{"deployments":["a","a"]}"#, "`a`: listed twice in `deployments`; remove one");
        starts(r#"{"to":"sties"}"#, "unknown variant `sties`, expected `all` or `sites`");
        assert_eq!(
            "everywhere".parse::<Distribute>().unwrap_err().to_string(),
            "`everywhere`: not a distribution; write `all`, `sites` or `deployments:` with names separated by commas"
        );
        assert!("deployments:".parse::<Distribute>().is_err());
        assert!("deployments:a,a".parse::<Distribute>().is_err());
    }

    proptest! {
        #[test]
        fn parsing_what_is_shown_gives_the_same(names in proptest::collection::btree_set("[a-z0-9]{1,8}", 0..5)) {
            let d = if names.is_empty() {
                Distribute::All
            } else {
                Distribute::deployments(names.iter().map(|n| n.parse().unwrap())).unwrap()
            };
            prop_assert_eq!(d.to_string().parse::<Distribute>().unwrap(), d.clone());
            let json = serde_json::to_string(&d).unwrap();
            prop_assert_eq!(serde_json::from_str::<Distribute>(&json).unwrap(), d);
        }
    }
}
