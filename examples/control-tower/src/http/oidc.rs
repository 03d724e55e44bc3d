//! What strangers read to verify our tokens. All of it is public.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    body::JsonBody,
    error::{Answer, ApiError},
    params::{Path, Query},
};
use crate::{
    app::App,
    db::Stored,
    identity::Identity,
    tenant::{self, Tenant},
};

/// `GET /<tenant-id>/.well-known/openid-configuration`.
///
/// # Errors
/// 404 for an unknown tenant, and until the tenant publishes a key.
pub async fn discovery(State(app): State<Arc<App>>, Path(tenant): Path<String>, headers: HeaderMap) -> Answer {
    let identity = of(&app, &tenant).await?;
    let now = app.clock.now();
    let (Some(document), Some((_, max_age))) = (identity.discovery(&app, now)?, identity.key_set(now)?) else {
        return Err(nothing_yet());
    };
    Ok(cached(document.to_json(), max_age, &headers))
}

/// `GET /<tenant-id>/jwks`.
///
/// # Errors
/// 404 for an unknown tenant, and until the tenant publishes a key, so that nobody caches an empty set.
pub async fn jwks(State(app): State<Arc<App>>, Path(tenant): Path<String>, headers: HeaderMap) -> Answer {
    let (set, max_age) = of(&app, &tenant).await?.key_set(app.clock.now())?.ok_or_else(nothing_yet)?;
    Ok(cached(set.to_json(), max_age, &headers))
}

/// `GET /<tenant-id>/authorize`: client libraries demand that discovery names an endpoint to log in at; there is none.
///
/// # Errors
/// Always 400.
pub async fn authorize() -> Answer {
    Err(ApiError::invalid("this issuer has no login of its own: its tokens are issued to workloads"))
}

/// Names a tenant, in the query or in the body.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct TenantQuery {
    tenant: Option<String>,
}

impl TenantQuery {
    /// This one, or where it names none another.
    pub(super) fn or(self, other: Option<Self>) -> Self {
        Self { tenant: self.tenant.or(other.unwrap_or_default().tenant) }
    }

    /// The tenant, by default `default`; `nothing_yet` is the answer where there is none.
    pub(super) async fn find(self, app: &App, nothing_yet: fn() -> ApiError) -> Answer<Stored<Arc<Tenant>>> {
        let tenant = self.tenant.as_deref().unwrap_or(tenant::DEFAULT);
        Tenant::find(&app.db, tenant).await?.ok_or_else(nothing_yet)
    }
}

/// `POST|GET /v1/get-spiffe-jwks?tenant=`, the tenant being a name or an id.
///
/// # Errors
/// As [`jwks`].
pub async fn get_spiffe_jwks(
    State(app): State<Arc<App>>,
    Query(query): Query<TenantQuery>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<Option<TenantQuery>>,
) -> Answer {
    let tenant = query.or(body).find(&app, nothing_yet).await?;
    let identity = Identity::load(&app.db, &tenant.value.id).await?;
    let (set, max_age) = identity.key_set(app.clock.now())?.ok_or_else(nothing_yet)?;
    let set = serde_json::to_value(&set).map_err(ApiError::internal)?;
    Ok(cached(Json(json!({ "jwks": set })).0.to_string(), max_age, &headers))
}

async fn of(app: &App, tenant: &str) -> Answer<Identity> {
    let tenant = Tenant::by_id(&app.db, tenant).await?.ok_or_else(nothing_yet)?;
    Ok(Identity::load(&app.db, &tenant.value.id).await?)
}

/// One answer for an unknown tenant and for one without keys.
fn nothing_yet() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "no signing key is published here")
}

/// JSON that may be kept for a while, with an entity tag of its content (RFC 9110 §8.8.3).
pub(super) fn cached(json: String, max_age: u64, request: &HeaderMap) -> Response {
    let mut response = tagged(json, &format!("public, max-age={max_age}"), request);
    // Browsers verify tokens too; everything here is public.
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// JSON with an entity tag of its content, or that it is the same as before.
pub(super) fn tagged(json: String, cache: &str, request: &HeaderMap) -> Response {
    let digest = keyward_keys::sha256(json.as_bytes());
    let tag: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}\"");
    let matches = request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|candidate| candidate.trim().trim_start_matches("W/") == tag || candidate.trim() == "*");
    let mut headers = HeaderMap::new();
    if let (Ok(tag), Ok(cache)) = (HeaderValue::from_str(&tag), HeaderValue::from_str(cache)) {
        headers.insert(header::ETAG, tag);
        headers.insert(header::CACHE_CONTROL, cache);
    }
    if matches {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    (headers, json).into_response()
}
