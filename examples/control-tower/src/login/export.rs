//! What a site is given of a tenant's users, so that it logs them in by itself while it is cut off.

use std::collections::BTreeSet;

use keyward_config_values::{Distribute, Name};
use keyward_webauthn_login::{Replica, UserConfig};

use super::{providers::ProviderConfig, users};
use crate::{
    app::App,
    documents::{PROVIDERS, USERS},
    http::error::{Answer, ApiError},
    policies,
    tenant::Tenant,
};

/// The users of a tenant whose documents distribute them to a site with these deployments, as they are now. It holds their secrets: it
/// is sealed for whoever gets it.
///
/// # Errors
/// 404 where there is no such tenant; those of the store.
pub async fn for_site(app: &App, tenant: &Name, deployments: &BTreeSet<Name>) -> Answer<Replica> {
    let stored = Tenant::by_id(&app.db, tenant.as_str()).await?;
    let name = stored.ok_or_else(|| ApiError::not_found("the tenant"))?.value.name.clone();
    let goes = |config: &UserConfig| match &config.distribute {
        Some(Distribute::All | Distribute::Sites) => true,
        Some(Distribute::Deployments(named)) => named.iter().any(|named| deployments.contains(named)),
        _ => false,
    };
    let mut records = Vec::new();
    for (_, config) in policies::documents::<UserConfig>(app, tenant, USERS).await? {
        if goes(&config) {
            let user = users::get(&app.db, tenant, config.name.as_str()).await?;
            records.extend(user.map(|user| user.value.record().clone()));
        }
    }
    let providers = policies::documents::<ProviderConfig>(app, tenant, PROVIDERS).await?;
    let providers = providers.into_iter().map(|(_, config)| (config.name.clone(), config.title()));
    Ok(Replica::new(name, app.realm.relying_party(), records, providers))
}
