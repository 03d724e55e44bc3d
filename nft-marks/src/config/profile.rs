//! What a tenant may use.

use keyward_config_values::{Bindings, Name};
use serde::{Deserialize, Serialize};

use crate::{
    DEFAULT_MAX_RANGES, ExpandError, Expansion, PortsExpression, ProtocolExpression, RangeExpression, RangeSet,
    RangeSpec,
};

/// The most ranges of a tenant, where its profile says nothing: a tenth of what a site has room for.
const DEFAULT_MOST: usize = DEFAULT_MAX_RANGES / 10;

/// What a tenant may use: the document `resource-profiles/<name>`.
///
/// ```
/// use keyward_nft_marks::config::ResourceProfileConfig;
///
/// let profile: ResourceProfileConfig = serde_json::from_str(r#"{
///     "name": "small",
///     "ingress": { "ranges": ["10.${site-number}.0.0/24"], "protocols": ["tcp"], "ports": ["80", "8000-8999"] }
/// }"#)?;
/// let mut values = keyward_config_values::Bindings::default();
/// values.set("site-number".parse()?, "7");
/// assert_eq!(profile.allowed(&values, 100)?.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct ResourceProfileConfig {
    /// Its name.
    pub name: Name,
    /// Where applications of the tenant may be reached; nowhere, where it says nothing.
    #[serde(default)]
    pub ingress: IngressAllowance,
}

/// Where applications may be reached.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct IngressAllowance {
    /// The addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<RangeExpression>,
    /// Protocols of the ranges that say none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protocols: Vec<ProtocolExpression>,
    /// Ports of the ranges that say none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortsExpression>,
    /// The most ranges that documents of the tenant come to at a site; 10,000 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ranges: Option<u32>,
}

impl ResourceProfileConfig {
    /// One that allows nothing.
    #[must_use]
    pub fn new(name: Name) -> Self {
        Self { name, ingress: IngressAllowance::default() }
    }

    /// The most ranges that a tenant has at a site.
    #[must_use]
    pub fn max_ranges(&self) -> usize {
        self.ingress.max_ranges.map_or(DEFAULT_MOST, |max| usize::try_from(max).unwrap_or(usize::MAX))
    }

    /// What it is called in errors, and in [`Expansion::inside`].
    #[must_use]
    pub fn path(&self) -> String {
        format!("resource-profiles/{}", self.name)
    }

    /// What it allows with these values, at most `max` ranges.
    ///
    /// # Errors
    /// As [`Expansion::new`] and [`Expansion::into_set`].
    pub fn allowed(&self, values: &Bindings, max: usize) -> Result<RangeSet, ExpandError> {
        let IngressAllowance { ranges, protocols, ports, max_ranges: _ } = self.ingress.clone();
        Expansion::new(&self.path(), &RangeSpec { ranges, protocols, ports }, values, max)?.into_set()
    }
}
