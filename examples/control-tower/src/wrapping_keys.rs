//! The key under which keys from elsewhere travel to a tenant, made when it is first asked for.

use std::sync::Arc;

use keyward_config_values::Name;
use keyward_transit::WrappingKey;

use crate::{
    app::{Actor, App, Commit},
    db::DbError,
    http::error::{Answer, ApiError},
    layout, random,
    store::{Guard, Write},
};

/// A tenant's.
///
/// # Errors
/// Those of the store, or of making one.
pub async fn of(app: &App, tenant: &Name, actor: &Actor) -> Answer<Arc<WrappingKey>> {
    if let Some(key) = stored(app, tenant).await? {
        return Ok(key);
    }
    // It takes a processor seconds: whoever comes meanwhile gets this one.
    let _making = app.making_wrapping_key.lock().await;
    loop {
        if let Some(key) = stored(app, tenant).await? {
            return Ok(key);
        }
        let key = app.compute(WrappingKey::generate).await??;
        let place = layout::wrapping_key(tenant);
        let sealed = key
            .to_sealed(app.db.keyring().opened()?.keks().current(), &place, &mut random::rng())
            .map_err(ApiError::internal)?;
        let audit = actor.did("wrapping-key-make", app.clock.now());
        // Another tower may have been faster.
        let _: Commit = app.commit(vec![Guard::Absent(place.clone())], vec![Write::Put(place, sealed)], audit).await?;
    }
}

async fn stored(app: &App, tenant: &Name) -> Result<Option<Arc<WrappingKey>>, DbError> {
    let stored = app.db.load_sealed(&layout::wrapping_key(tenant), WrappingKey::from_sealed).await?;
    Ok(stored.map(|stored| stored.value))
}
