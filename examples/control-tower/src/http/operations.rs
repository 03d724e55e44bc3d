//! For those who run the tower: whether it lives, whether it is ready, what it counts, what it offers.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::IntoResponse as _,
};
use keyward_approle::Operation;
use serde_json::json;

use super::{
    caller,
    error::{Answer, ApiError},
    peer::Peer,
};
use crate::{app::App, metrics, openapi};

/// Where the metrics are.
const METRICS: &str = "/metrics";

/// `GET /live`: the process answers.
///
/// # Errors
/// None.
pub async fn live() -> Answer {
    Ok(Json(json!({"live": true})).into_response())
}

/// `GET /ready`: it takes changes.
///
/// # Errors
/// 503 when the store or the audit log does not.
pub async fn ready(State(app): State<Arc<App>>) -> Answer {
    app.db.store().health()?;
    app.audit.health().map_err(|error| {
        tracing::error!(%error, "audit");
        ApiError::unavailable("the audit log takes no records now")
    })?;
    Ok(Json(json!({"ready": true})).into_response())
}

/// `GET /metrics`, in the text format of Prometheus. Without a token of the tenant `default` that may read it, what names the
/// partners of other tenants is left out.
///
/// # Errors
/// 401 for a token that does not count.
pub async fn metrics(State(app): State<Arc<App>>, peer: Peer, headers: HeaderMap) -> Answer {
    let text = metrics::render(&app, is_operator(&app, &headers, peer).await?).map_err(ApiError::internal)?;
    Ok(([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response())
}

async fn is_operator(app: &App, headers: &HeaderMap, Peer(source): Peer) -> Answer<bool> {
    let Ok(presented) = caller::presented(headers) else { return Ok(false) };
    let caller = caller::identify(app, presented.to_owned(), source, METRICS).await?;
    Ok(app.is_operators(caller.tenant()) && caller.permit(app, Operation::Read, METRICS).await.is_ok())
}

/// `GET /openapi.json`.
///
/// # Errors
/// None.
pub async fn openapi() -> Answer {
    Ok(Json(openapi::document()).into_response())
}

/// `GET /v1/state/system/tasks`: how the background tasks fare.
///
/// # Errors
/// None beyond the token's own.
pub async fn tasks(State(app): State<Arc<App>>) -> Answer {
    Ok(Json(app.tasks.status()).into_response())
}

/// Everything else.
///
/// # Errors
/// Always 404.
pub async fn nothing_here(uri: axum::http::Uri) -> Answer {
    let path: String = uri.path().chars().take(200).collect();
    Err(ApiError::not_found(format_args!("`{path}`")))
}

/// A path that exists, by a method that it does not have.
///
/// # Errors
/// Always 405.
pub async fn wrong_method(method: axum::http::Method, uri: axum::http::Uri) -> Answer {
    let path: String = uri.path().chars().take(200).collect();
    Err(ApiError::new(axum::http::StatusCode::METHOD_NOT_ALLOWED, format!("`{path}` has no method {method}")))
}
