//! `POST /v1/bulk`: many documents, all or none.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    response::IntoResponse as _,
};
use keyward_config_tree::Bulk;

use super::{
    body,
    caller::Caller,
    config::Mode,
    error::{Answer, ApiError},
    params::Query,
};
use crate::{app::App, changes};

/// Applies a stream of YAML documents with `x-path` and `x-operation`.
///
/// # Errors
/// The first mistake with document, line, path, field and remedy; nothing was changed then.
pub async fn apply(State(app): State<Arc<App>>, caller: Caller, Query(mode): Query<Mode>, request: Request) -> Answer {
    let kind = body::content_type(&request).map(str::to_owned);
    if let Some(kind) = kind
        && !body::is_yaml(&kind)
        && !body::is_json(&kind)
    {
        return Err(body::unsupported(&kind, "application/yaml"));
    }
    let bytes = body::read(request, &()).await?;
    let bulk = Bulk::parse(&bytes).map_err(ApiError::from).inspect_err(|error| {
        if !mode.is_dry_run() {
            changes::note_refusal(&app, &caller, error);
        }
    })?;
    let applied = changes::apply(&app, &caller, &bulk, None, mode).await?;
    Ok(Json(applied).into_response())
}
