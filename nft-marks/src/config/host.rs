//! The firewall of one host, ready to be loaded.

use keyward_config_values::{Bindings, Name};
use serde::{Deserialize, Serialize};

use super::{ConfigError, FirewallConfig, LeftOut, Placed, SiteIngress};
use crate::{Expansion, Firewall, RangeExpression, RangeSpec};

/// The newest form of the document.
const FORMAT: u32 = 1;

/// What a host loads: the firewall of its site and the ingress of all tenants there, with no variable left.
///
/// ```
/// use keyward_config_values::Bindings;
/// use keyward_nft_marks::config::{FirewallConfig, HostFirewall, SiteIngress};
///
/// let config: FirewallConfig = serde_json::from_str(r#"{"control-inbound": ["10.${site-number}.0.1 tcp 4647"]}"#)?;
/// let mut values = Bindings::default();
/// values.set("site-number".parse()?, "7");
/// let host = HostFirewall::new("north".parse()?, &config, &values, &SiteIngress::new(&[], 100))?;
/// let json = serde_json::to_string(&host)?;
/// assert_eq!(json, r#"{"format":1,"site":"north","firewall":{"control-inbound":["10.7.0.1 tcp 4647"]},"ingress":[],"left-out":[]}"#);
///
/// let read: HostFirewall = serde_json::from_str(&json)?;
/// assert!(read.firewall()?.table().to_string().contains("10.7.0.1 . tcp . 4647"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct HostFirewall {
    /// Of which form this is.
    format: u32,
    /// The site of the host.
    pub site: Name,
    /// The firewall, without variables.
    pub firewall: FirewallConfig,
    /// Where applications are reached.
    pub ingress: Vec<HostIngress>,
    /// What is not let in, and why.
    #[serde(default)]
    pub left_out: Vec<HostLeftOut>,
}

/// Where one application is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct HostIngress {
    /// The tenant whose it is; nothing for whoever runs the platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Name>,
    /// The name of the document.
    pub name: Name,
    /// The application.
    pub application: Name,
    /// The ranges, without variables.
    pub ranges: Vec<RangeExpression>,
}

/// A document that is not let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct HostLeftOut {
    /// The tenant whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Name>,
    /// The name of the document.
    pub name: Name,
    /// Why.
    pub problem: String,
}

impl HostFirewall {
    /// The firewall of a site's hosts, with the site's values.
    ///
    /// # Errors
    /// As [`FirewallConfig::resolve`].
    pub fn new(
        site: Name,
        firewall: &FirewallConfig,
        values: &Bindings,
        ingress: &SiteIngress,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            format: FORMAT,
            site,
            firewall: firewall.resolve(values)?,
            ingress: ingress.placed().iter().map(HostIngress::new).collect(),
            left_out: ingress.left_out().iter().map(HostLeftOut::new).collect(),
        })
    }

    /// The firewall.
    ///
    /// # Errors
    /// What is wrong with the document first; nothing with one that [`new`](Self::new) made.
    pub fn firewall(&self) -> Result<Firewall, ConfigError> {
        if self.format > FORMAT {
            return Err(ConfigError::Format { found: self.format, newest: FORMAT });
        }
        let (values, max) = (Bindings::default(), self.firewall.max_ranges());
        let mut all = Expansion::default();
        for HostIngress { tenant, name, ranges, .. } in &self.ingress {
            let of = tenant.as_ref().map(|tenant| format!("{tenant}: ")).unwrap_or_default();
            let spec = RangeSpec { ranges: ranges.clone(), ..RangeSpec::default() };
            all.append(Expansion::new(&format!("{of}ingress/{name}"), &spec, &values, max)?);
        }
        self.firewall.firewall(all, &values)
    }
}

impl HostIngress {
    fn new(placed: &Placed) -> Self {
        Self {
            tenant: placed.tenant.clone(),
            name: placed.name.clone(),
            application: placed.application.clone(),
            ranges: placed.ranges().iter().filter_map(|range| range.written().parse().ok()).collect(),
        }
    }
}

impl HostLeftOut {
    fn new(left: &LeftOut) -> Self {
        Self { tenant: left.tenant.clone(), name: left.name.clone(), problem: left.error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Allowance, IngressConfig, TenantIngress};

    #[test]
    fn what_is_written_for_a_host_is_read_as_the_same_firewall() {
        let ingress: Vec<IngressConfig> = serde_json::from_str(
            r#"[{"name":"a","application":"a","ranges":["10.0.0.0/8 icmp","2001:db8::1-2001:db8::9 udp any","0.0.0.0/0 sctp 5-7","10.0.0.1 tcp ${port}"]}]"#,
        )
        .unwrap();
        let config: FirewallConfig = serde_json::from_str(
            r#"{"workload-interfaces":["kw*"],"workload-egress":["0.0.0.0/0 tcp ${port}"],"control-outbound":["10.0.0.${port} any any"],"rest":"drop-all","max-ranges":50}"#,
        )
        .unwrap();
        let mut values = Bindings::default();
        values.set("port[0]".parse().unwrap(), "80");
        values.set("port[1]".parse().unwrap(), "82");
        let all = [TenantIngress { tenant: None, ingress: &ingress, values: &values, allowance: Allowance::Anything }];
        let site = SiteIngress::new(&all, 100);
        let host = HostFirewall::new("north".parse().unwrap(), &config, &values, &site).unwrap();
        let expansion = ingress[0].expand(&values, 100).unwrap();
        let expected = config.firewall(expansion, &values).unwrap();
        let json = serde_json::to_string(&host).unwrap();
        assert!(!json.contains('$'), "{json}");
        let read: HostFirewall = serde_json::from_str(&json).unwrap();
        assert_eq!((read.firewall().unwrap(), read), (expected, host));
        let newer: HostFirewall = serde_json::from_str(&json.replace("\"format\":1", "\"format\":2")).unwrap();
        assert_eq!(
            newer.firewall().unwrap_err().to_string(),
            "the firewall has the format 2, but this program knows 1 at most; update it"
        );
    }
}
