//! The policies of a tenant, made ready once per change of its configuration.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use keyward_approle::{PolicyConfig, PolicySet};
use keyward_config_values::Name;

use crate::{
    app::App,
    db::DbError,
    layout,
    store::{Revision, snapshot},
};

/// Policy sets by tenant, each with the revision of the configuration that it was made of.
#[derive(Default)]
pub struct Cache(Mutex<HashMap<Name, (Revision, Arc<PolicySet>)>>);

/// The policies of a tenant as they are now.
///
/// # Errors
/// Those of the store.
pub async fn of(app: &App, tenant: &Name) -> Result<Arc<PolicySet>, DbError> {
    let head = app.db.store().get(&layout::config_head(tenant)).await?.map_or(0, |entry| entry.revision);
    {
        let cache = app.policies.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((revision, set)) = cache.get(tenant)
            && *revision == head
        {
            return Ok(Arc::clone(set));
        }
    }
    let mut set = PolicySet::new();
    let (_, entries) = snapshot(&**app.db.store(), &layout::document(tenant, "strongbox/policies/")).await?;
    for entry in entries {
        let key = entry.key.clone();
        let opened = app.db.open(entry).await?;
        let damaged = |reason: String| DbError::Damaged { key: key.clone(), reason };
        let policy: PolicyConfig = serde_json::from_slice(&opened.value).map_err(|error| damaged(error.to_string()))?;
        set.insert(&policy).map_err(|error| damaged(error.to_string()))?;
    }
    let set = Arc::new(set);
    let mut cache = app.policies.0.lock().unwrap_or_else(PoisonError::into_inner);
    cache.insert(tenant.clone(), (head, Arc::clone(&set)));
    Ok(set)
}
