//! The variables of a tenant, and what becomes of them at a site.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{SiteConfig, VariableKey, VariableValue};
use crate::{Bindings, VariableName};

/// A variable of a tenant: the document `variables/<name>`.
///
/// ```
/// use keyward_config_values::config::VariableConfig;
/// let variable: VariableConfig = serde_json::from_str(r#"{"name": "region", "value": "eu-north"}"#)?;
/// assert_eq!(variable.value.text(), Some("eu-north"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct VariableConfig {
    /// Its name, unique in its tenant.
    pub name: VariableKey,
    /// Its value, where no site says another.
    pub value: VariableValue,
}

impl VariableConfig {
    /// A variable.
    #[must_use]
    pub fn new(name: VariableKey, value: VariableValue) -> Self {
        Self { name, value }
    }
}

/// The variables that hold somewhere, with values as the documents have them: those of a tenant, and at a site those of the site
/// in their place.
///
/// ```
/// use keyward_config_values::config::{SiteConfig, VariableConfig, Variables};
///
/// let tenant: Vec<VariableConfig> = serde_json::from_str(
///     r#"[{"name": "region", "value": "eu"}, {"name": "dns", "value": ["192.0.2.1", "192.0.2.2"]}]"#,
/// )?;
/// let north: SiteConfig = serde_json::from_str(r#"{"name": "north", "variables": {"region": "eu-north"}}"#)?;
///
/// let variables = Variables::new(tenant).at(&north);
/// let bindings = variables.bindings();
/// assert_eq!(bindings.get(&"region".parse()?), Some("eu-north"));
/// // A list has no value as a whole; its items have.
/// assert_eq!(bindings.get(&"dns".parse()?), None);
/// assert_eq!(bindings.get(&"dns[1]".parse()?), Some("192.0.2.2"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Variables(BTreeMap<VariableName, VariableValue>);

impl Variables {
    /// Those of a tenant.
    #[must_use]
    pub fn new(tenant: impl IntoIterator<Item = VariableConfig>) -> Self {
        Self(tenant.into_iter().map(|variable| (variable.name.name().clone(), variable.value)).collect())
    }

    /// Those at a site: what the site says of a variable takes the place of what the tenant says.
    #[must_use]
    pub fn at(&self, site: &SiteConfig) -> Self {
        let mut all = self.0.clone();
        all.extend(site.variables.iter().map(|(key, value)| (key.name().clone(), value.clone())));
        Self(all)
    }

    /// The value of a variable, given without an index.
    #[must_use]
    pub fn get(&self, name: &VariableName) -> Option<&VariableValue> {
        self.0.get(name)
    }

    /// The variables in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&VariableName, &VariableValue)> {
        self.0.iter()
    }

    /// The values as texts, for a [`Template`](crate::Template): of a list its items, `name[0]` and so on.
    #[must_use]
    pub fn bindings(&self) -> Bindings {
        let mut bindings = Bindings::default();
        for (name, value) in &self.0 {
            if let Some(text) = value.text() {
                bindings.set(name.clone(), text);
                continue;
            }
            for (index, item) in value.items().enumerate() {
                // Too long with its index, it could not be written in a text either.
                if let Ok(name) = format!("{name}[{index}]").parse() {
                    bindings.set(name, item);
                }
            }
        }
        bindings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_a_site_takes_the_place_of_the_whole_list() {
        let tenant: VariableConfig = serde_json::from_str(r#"{"name":"dns","value":["a","b","c"]}"#).unwrap();
        let site: SiteConfig = serde_json::from_str(r#"{"name":"n","variables":{"dns":["x"],"other":"y"}}"#).unwrap();
        let variables = Variables::new([tenant]);
        let at_site = variables.at(&site).bindings();
        let shown: Vec<_> = at_site.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(shown, ["dns[0]=x", "other=y"]);
        assert_eq!(variables.bindings().iter().count(), 3, "elsewhere nothing is changed");
    }
}
