//! The values that variables in policies have for whoever asks.

use keyward_approle::Subject;
use keyward_config_values::{Bindings, Name};

use crate::{
    app::App,
    http::error::{Answer, ApiError},
    tenant::Tenant,
};

/// What says who asks: `tenant`, and what [`Subject::bindings`] has.
///
/// # Errors
/// Those of the store.
pub async fn of(app: &App, tenant: &Name, subject: &Subject) -> Answer<Bindings> {
    let mut bindings = subject.bindings();
    let tenant = Tenant::by_id(&app.db, tenant.as_str()).await?;
    let name = tenant.ok_or_else(|| ApiError::internal("a token's tenant is gone"))?.value.name.to_string();
    bindings.set("tenant".parse().map_err(ApiError::internal)?, name);
    Ok(bindings)
}
