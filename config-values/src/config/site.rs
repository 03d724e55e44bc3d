//! A site.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{LabelName, LabelValue, ListedHost, VariableKey, VariableValue};
use crate::{Bindings, Error, Name};

/// The most labels, variables or host-ids of one site.
const MAX_ENTRIES: usize = 10_000;

/// A site: the document `system/sites/<name>`.
///
/// ```
/// use keyward_config_values::config::SiteConfig;
///
/// let site: SiteConfig = serde_json::from_str(
///     r#"{"name": "north", "labels": {"region": "eu"}, "variables": {"uplink": "wan0"}, "host-ids": ["4c4c4544-0051"]}"#,
/// )?;
/// site.validate()?;
/// assert_eq!(site.bindings().get(&"site.label.region".parse()?), Some("eu"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct SiteConfig {
    /// Its name, unique in its tenant.
    pub name: Name,
    /// What it is grouped by. Each is a variable `site.label.<name>`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<LabelName, LabelValue>,
    /// Variables that hold here in the place of the tenant's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<VariableKey, VariableValue>,
    /// Hosts that are of this site when they call home. They are secrets: what is kept of each is its hash.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_ids: Vec<ListedHost>,
}

impl SiteConfig {
    /// A site of which nothing else is known.
    #[must_use]
    pub fn new(name: Name) -> Self {
        Self { name, labels: BTreeMap::new(), variables: BTreeMap::new(), host_ids: Vec::new() }
    }

    /// Checks what the types of the fields do not.
    ///
    /// # Errors
    /// [`Error::Entries`] for more than 10,000 labels, variables or host-ids, [`Error::HostIdTwice`].
    pub fn validate(&self) -> Result<(), Error> {
        for (field, found) in
            [("labels", self.labels.len()), ("variables", self.variables.len()), ("host-ids", self.host_ids.len())]
        {
            if found > MAX_ENTRIES {
                return Err(Error::Entries { field, found });
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        match self.host_ids.iter().position(|id| !seen.insert(id)) {
            Some(index) => Err(Error::HostIdTwice { index }),
            None => Ok(()),
        }
    }

    /// The variables that are built in for whatever is at this site: `site`, and `site.label.<name>` for each label.
    #[must_use]
    pub fn bindings(&self) -> Bindings {
        let mut bindings = Bindings::default();
        // Each of these is the name of a variable: that of a label is made so that it is.
        let mut set = |name: String, value: &str| name.parse().map(|name| bindings.set(name, value)).ok();
        set("site".to_owned(), self.name.as_str());
        for (label, value) in &self.labels {
            set(format!("site.label.{label}"), value.as_str());
        }
        bindings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_says_where() {
        let refused = |json: &str| {
            let read = serde_json::from_str::<SiteConfig>(json).map_err(|error| error.to_string());
            read.and_then(|site| site.validate().map_err(|error| error.to_string())).unwrap_err()
        };
        assert_eq!(
            refused(r#"{"name":"n","host-ids":["a","b","a"]}"#),
            "the host-id at `host-ids[2]` is listed before; remove one"
        );
        assert!(refused(r#"{"name":"n","variables":{"tenant":"x"}}"#).contains("`tenant`: built in"));
        assert!(refused(r#"{"name":"n","labels":{"A":"x"}}"#).contains("not the name of a label"));
        let error = refused(r#"{"name":"n","host-ids":["se cret"]}"#);
        assert!(
            error.starts_with("a host-id is 1 to 255 visible ASCII characters") && !error.contains("cret"),
            "{error}"
        );
        let mut site = SiteConfig::new("n".parse().unwrap());
        site.host_ids = (0..10_001).map(|n| n.to_string().parse().unwrap()).collect();
        assert_eq!(site.validate().unwrap_err().to_string(), "`host-ids` has 10001 entries; write at most 10000");
    }

    #[test]
    fn the_document_goes_through_serde_both_ways_and_binds_its_labels() {
        let json = r#"{"name":"n","labels":{"region":"eu"},"variables":{"dns":"1"},"host-ids":["h"]}"#;
        let site: SiteConfig = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&site).unwrap(), json);
        let shown: Vec<_> = site.bindings().iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(shown, ["site=n", "site.label.region=eu"]);
        assert_eq!(serde_json::to_string(&SiteConfig::new("n".parse().unwrap())).unwrap(), r#"{"name":"n"}"#);
    }
}
