//! What a sealed tower answers: that it lives, that it is sealed, and to whoever has the passphrase.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use keyward_transit::SealKind;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{
    body::{self, JsonBody},
    error::{Answer, ApiError, SEALED},
    operations,
    params::Query,
    peer::Peer,
    vault::{
        self,
        body::VaultBody,
        sys::{self, HealthQuery},
    },
};
use crate::{app::App, gate::Gate, pages::assets};

/// The routes of a sealed tower.
pub fn router(gate: Arc<Gate>) -> Router {
    let router = Router::new()
        .route("/live", get(operations::live))
        // For the page that says so.
        .route("/assets/{file}", get(assets::serve))
        .route("/v1/state/system/seal", get(state))
        .route("/v1/state/system/seal/unseal", post(unseal_sealed).layer(middleware::from_fn(end_connection)))
        .route("/v1/sys/init", get(sys::initialized))
        .route("/v1/sys/health", get(health))
        .route("/v1/sys/seal-status", get(|| async { seal_status(true) }))
        .route("/v1/sys/leader", get(sys::leader))
        .route("/v1/sys/unseal", post(vault_unseal_sealed).layer(middleware::from_fn(end_connection)))
        .fallback(refusal)
        .method_not_allowed_fallback(refusal)
        .layer(DefaultBodyLimit::max(body::LIMIT))
        .with_state(gate);
    Router::new().fallback_service(router).layer(middleware::from_fn(vault::surface))
}

/// The answer ends the connection: the buffers of an open one hold what was sent, and nothing else that comes may ever cover it.
pub async fn end_connection(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The routes where nothing is to be had from a sealed tower.
pub fn refusals() -> Router {
    Router::new().fallback(refusal)
}

async fn refusal() -> ApiError {
    ApiError::unavailable(SEALED)
}

/// A passphrase, or the key of a seal that is not one.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct UnsealBody {
    passphrase: Option<Zeroizing<String>>,
    key: Option<Zeroizing<String>>,
}

impl UnsealBody {
    fn text(self) -> Answer<Zeroizing<Vec<u8>>> {
        match (self.passphrase, self.key) {
            (Some(text), None) | (None, Some(text)) => Ok(bytes(text)),
            _ => Err(ApiError::invalid("give either `passphrase` or `key`")),
        }
    }
}

/// The same memory.
fn bytes(mut text: Zeroizing<String>) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(std::mem::take(&mut *text).into_bytes())
}

/// What clients of Vault send.
#[derive(Deserialize)]
pub struct VaultUnsealBody {
    key: Option<Zeroizing<String>>,
    #[serde(default)]
    reset: bool,
}

/// `GET /v1/state/system/seal` of a sealed tower.
async fn state(State(gate): State<Arc<Gate>>) -> Answer {
    let kind = match gate.kind().await? {
        SealKind::Passphrase(_) => "passphrase",
        _ => "key",
    };
    Ok(Json(json!({"sealed": true, "kind": kind})).into_response())
}

async fn unseal_sealed(
    State(gate): State<Arc<Gate>>,
    Peer(source): Peer,
    JsonBody(body): JsonBody<UnsealBody>,
) -> Answer {
    gate.unseal(body.text()?, source).await?;
    Ok(Json(json!({"sealed": false})).into_response())
}

/// `POST /v1/state/system/seal/unseal` of a tower that is not sealed: nothing happens, whatever is sent.
///
/// # Errors
/// None.
pub async fn unseal() -> Answer {
    Ok(Json(json!({"sealed": false})).into_response())
}

async fn vault_unseal_sealed(
    State(gate): State<Arc<Gate>>,
    Peer(source): Peer,
    VaultBody(body): VaultBody<VaultUnsealBody>,
) -> Answer {
    match body.key {
        _ if body.reset => seal_status(true),
        None => Err(ApiError::invalid("'key' must be specified in request body as JSON, or 'reset' set to true")),
        Some(key) => {
            let unsealed = gate.unseal(bytes(key), source).await;
            unsealed.map_err(|error| match error.status() {
                // As they answer it.
                StatusCode::UNAUTHORIZED => error.with_status(StatusCode::BAD_REQUEST),
                _ => error,
            })?;
            seal_status(false)
        }
    }
}

/// `POST /v1/sys/unseal` of a tower that is not sealed.
///
/// # Errors
/// None.
pub async fn vault_unseal(State(app): State<Arc<App>>) -> Answer {
    sys::seal_status(State(app)).await
}

fn seal_status(sealed: bool) -> Answer {
    Ok(Json(sys::seal_status_fields(sealed)).into_response())
}

async fn health(State(gate): State<Arc<Gate>>, Query(query): Query<HealthQuery>) -> Answer {
    let mut fields: Value = sys::health_fields(gate.now().unix_timestamp());
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("sealed".to_owned(), true.into());
        fields.insert("standby".to_owned(), true.into());
    }
    query.answer(true, &fields)
}
