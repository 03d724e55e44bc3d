//! What strangers read to verify SVIDs of both kinds. All of it is public.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde_json::json;

use super::{
    body::JsonBody,
    error::{Answer, ApiError},
    oidc::{TenantQuery, cached},
    params::{Path, Query},
};
use crate::{
    app::App,
    bundle::{PublishedBundle, published},
    tenant::Tenant,
};

/// `GET /<tenant-id>/spiffe-bundle`: the SPIFFE bundle of the tenant's trust domain (SPIFFE Federation §5.2, `https_web`).
///
/// # Errors
/// 404 for an unknown tenant, and until the tenant publishes a key, so that nobody caches an empty bundle.
pub async fn spiffe_bundle(State(app): State<Arc<App>>, Path(tenant): Path<String>, headers: HeaderMap) -> Answer {
    let tenant = Tenant::by_id(&app.db, &tenant).await?.ok_or_else(nothing_yet)?;
    let PublishedBundle { bundle, max_age, .. } =
        published(&app, &tenant.value, app.clock.now()).await?.ok_or_else(nothing_yet)?;
    Ok(cached(bundle.to_json(), max_age, &headers))
}

/// `POST|GET /v1/get-spiffe-bundle?tenant=`, the tenant being a name or an id: the X.509 authorities in PEM.
///
/// # Errors
/// 404 for an unknown tenant, and until it has an authority.
pub async fn get_spiffe_bundle(
    State(app): State<Arc<App>>,
    Query(query): Query<TenantQuery>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<Option<TenantQuery>>,
) -> Answer {
    let tenant = query.or(body).find(&app, nothing_yet).await?;
    let published = published(&app, &tenant.value, app.clock.now()).await?;
    let PublishedBundle { bundle, max_age, .. } =
        published.filter(|published| published.has_authorities).ok_or_else(nothing_yet)?;
    Ok(cached(json!({ "cert": bundle.to_pem() }).to_string(), max_age, &headers))
}

/// One answer for an unknown tenant and for one without keys.
fn nothing_yet() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "no bundle is published here")
}
