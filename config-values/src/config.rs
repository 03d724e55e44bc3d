//! Documents that give variables their values: those of a tenant, and those of a site.

mod host_id;
mod key;
mod site;
mod value;
mod variable;

pub use host_id::{HostId, ListedHost};
pub use key::{LabelName, VariableKey};
pub use site::SiteConfig;
pub use value::{LabelValue, VariableValue};
pub use variable::{VariableConfig, Variables};
