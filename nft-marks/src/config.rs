//! The documents `firewall`, `ingress/<name>` and `resource-profiles/<name>`.

mod firewall;
mod ingress;
mod profile;
mod text;

pub use firewall::{ClassValues, ConfigError, FirewallConfig};
pub use ingress::IngressConfig;
pub use profile::{IngressAllowance, ResourceProfileConfig};
