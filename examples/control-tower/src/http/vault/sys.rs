//! `/v1/sys`: what a client looks at before it begins, what operators do, and policies.

mod health;
mod mounts;
mod policies;
mod seal;

use serde_json::Value;

use crate::app::App;

pub use health::{HealthQuery, health, health_fields, initialized, leader};
pub use mounts::{enable_login, enable_mount, login, logins, mount, mounts};
pub use policies::{delete_policy, old_policies, old_policy, policies, policy, write_policy};
pub use seal::{key_status, rotate, seal, seal_status, seal_status_fields};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Whose the tower is.
fn add_cluster(fields: &mut Value, app: &App) {
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("cluster_name".to_owned(), app.external_url.host().into());
        fields.insert("cluster_id".to_owned(), app.operators.as_str().into());
    }
}
