//! The documents `firewall`, `ingress/<name>` and `resource-profiles/<name>`, and what they come to at a site and on a host.

mod firewall;
mod host;
mod ingress;
mod profile;
mod site;
mod text;

pub use firewall::{ClassValues, ConfigError, FirewallConfig};
pub use host::{HostFirewall, HostIngress, HostLeftOut};
pub use ingress::IngressConfig;
pub use profile::{IngressAllowance, ResourceProfileConfig};
pub use site::{Allowance, LeftOut, Placed, SiteError, SiteIngress, TenantIngress};
