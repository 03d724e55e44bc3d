//! The bundles of trust domains: the tenant's own, and those of trust domains that it federates with.

use std::sync::Arc;

use keyward_config_values::Name;
use keyward_spiffe_id::TrustDomain;
use keyward_svid::JwtBundle;

use crate::{
    app::App,
    http::error::{Answer, ApiError},
    identity::Identity,
    tenant::Tenant,
};

/// The keys of a trust domain that a tenant knows: its own, or one that it federates with. Without any the
/// reason, for the audit log.
///
/// # Errors
/// Those of the store.
pub async fn bundle(app: &App, tenant: &Name, trust_domain: &TrustDomain) -> Answer<Result<Arc<JwtBundle>, String>> {
    let identity = Identity::load(&app.db, tenant).await?;
    let stored = Tenant::by_id(&app.db, tenant.as_str()).await?;
    let name = stored.ok_or_else(|| ApiError::internal("a tenant is gone"))?.value.name.clone();
    if identity.trust_domain(app, &name).is_ok_and(|own| own == *trust_domain) {
        let set = identity.key_set(app.clock.now())?;
        return Ok(match set {
            Some((set, _)) => Ok(Arc::new(JwtBundle::new(trust_domain.clone(), set))),
            None => Err(format!("no key of `{trust_domain}`, the tenant's own trust domain, is published yet")),
        });
    }
    Ok(Err(format!("`{trust_domain}` is neither the tenant's own trust domain nor one that it federates with")))
}
