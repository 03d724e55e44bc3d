//! `/v1/transit/backup` and `/v1/transit/restore`.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::super::{
    super::{
        caller::Caller,
        error::{Answer, ApiError},
        params::Path,
        transit::backup::{Form, commit_restore, made, read},
    },
    answer,
    body::VaultBody,
    fields::flag,
};
use crate::{app::App, changes::Permitted};

/// `GET /v1/transit/backup/<name>`: every version's key as text, recorded before it is answered.
///
/// # Errors
/// 400 unless the key is exportable and allows it.
pub async fn backup(State(app): State<Arc<App>>, caller: Caller, Path(name): Path<String>) -> Answer {
    let ring = super::used(&app, &caller, &name).await?.value;
    let text = made(&app, &caller, &ring, Form::Plaintext).await?;
    Ok(answer::data(json!({ "backup": *text })))
}

/// A key as text.
#[derive(Deserialize)]
pub struct RestoreBody {
    backup: Zeroizing<String>,
    /// Where the path has none.
    name: Option<String>,
    #[serde(default, deserialize_with = "flag")]
    force: bool,
}

/// `POST /v1/transit/restore`: under the name that is given, or that the backup has.
///
/// # Errors
/// 400.
pub async fn restore(State(app): State<Arc<App>>, caller: Caller, VaultBody(body): VaultBody<RestoreBody>) -> Answer {
    let name = body.name.as_deref().filter(|name| !name.is_empty());
    restored(&app, &caller, name, &body).await
}

/// `POST /v1/transit/restore/<name>`.
///
/// # Errors
/// 400.
pub async fn restore_as(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    VaultBody(body): VaultBody<RestoreBody>,
) -> Answer {
    restored(&app, &caller, Some(&name), &body).await
}

async fn restored(app: &App, caller: &Caller, name: Option<&str>, body: &RestoreBody) -> Answer {
    let name = name.map(str::parse).transpose();
    let name = name.map_err(|error: keyward_config_values::Error| ApiError::invalid(error.to_string()))?;
    let ring = read(app, caller, &body.backup, name).await?;
    commit_restore(app, caller, ring, body.force, Permitted::Before).await?;
    Ok(answer::nothing())
}
