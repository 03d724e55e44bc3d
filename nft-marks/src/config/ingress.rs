//! Where an application is reached.

use keyward_config_values::{Bindings, Name};
use serde::{Deserialize, Serialize};

use crate::{ExpandError, Expansion, PortsExpression, ProtocolExpression, RangeExpression, RangeSpec};

/// Where an application is reached: the document `ingress/<name>`. The application may come to exist later.
///
/// ```
/// use keyward_nft_marks::config::IngressConfig;
///
/// let ingress: IngressConfig = serde_json::from_str(r#"{
///     "name": "web",
///     "application": "shop",
///     "ranges": ["10.${site-number}.0.10-10.${site-number}.0.19"],
///     "protocols": ["tcp"],
///     "ports": [80, 443]
/// }"#)?;
/// let mut values = keyward_config_values::Bindings::default();
/// values.set("site-number".parse()?, "7");
/// let expansion = ingress.expand(&values, 100)?;
/// assert_eq!(expansion.ranges()[1].to_string(), "10.7.0.10-10.7.0.19 . tcp . 443");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct IngressConfig {
    /// Its name, unique in its tenant.
    pub name: Name,
    /// The application that is reached.
    pub application: Name,
    /// The addresses at which it is reached.
    pub ranges: Vec<RangeExpression>,
    /// Protocols of the ranges that say none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protocols: Vec<ProtocolExpression>,
    /// Ports of the ranges that say none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortsExpression>,
}

impl IngressConfig {
    /// One without ranges.
    #[must_use]
    pub fn new(name: Name, application: Name) -> Self {
        Self { name, application, ranges: Vec::new(), protocols: Vec::new(), ports: Vec::new() }
    }

    /// What it is called in errors.
    #[must_use]
    pub fn path(&self) -> String {
        format!("ingress/{}", self.name)
    }

    /// The ranges with these values, at most `max`. Whether they lie inside the tenant's profile says
    /// [`Expansion::inside`].
    ///
    /// # Errors
    /// As [`Expansion::new`].
    pub fn expand(&self, values: &Bindings, max: usize) -> Result<Expansion, ExpandError> {
        let Self { name: _, application: _, ranges, protocols, ports } = self.clone();
        Expansion::new(&self.path(), &RangeSpec { ranges, protocols, ports }, values, max)
    }
}
