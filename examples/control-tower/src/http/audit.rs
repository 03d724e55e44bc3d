//! Reading the audit log.

use std::sync::Arc;

use axum::{Json, extract::State, response::IntoResponse as _};
use serde::Deserialize;
use serde_json::json;

use super::{
    caller::Caller,
    error::{Answer, ApiError},
    params::Query,
};
use crate::{
    app::App,
    audit::{AuditError, Since},
};

/// The most records of one answer, and how many there are when nothing is said.
const MOST: usize = 1000;
const USUAL: usize = 100;
/// How many lines of the log are looked at for one answer, whosoever they are: `next` leads on.
const LOOK: usize = 100_000;

/// `?since=&limit=`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Page {
    since: Option<String>,
    limit: Option<usize>,
}

/// `GET /v1/state/audit?since=&limit=`: the tenant's records, oldest first. `since` is a record's number or a time. There may be more
/// behind `next` than what is answered, even where that is less than what was asked for.
///
/// # Errors
/// 400 for a `since` that is neither; 503 when the log cannot be read.
pub async fn read(State(app): State<Arc<App>>, caller: Caller, Query(page): Query<Page>) -> Answer {
    let since = match page.since.as_deref() {
        Some(text) => text.parse::<Since>().map_err(|error| ApiError::invalid(error.to_string()))?,
        None => Since::Start,
    };
    let limit = page.limit.unwrap_or(USUAL).clamp(1, MOST);
    let failed = |error: AuditError| {
        tracing::error!(%error, "audit");
        ApiError::unavailable("the audit log cannot be read now")
    };
    app.relay_audit().await.map_err(failed)?;
    let read = app.audit.read_some(since, Some(caller.tenant().to_string()), limit, LOOK).await;
    let (records, more) = read.map_err(failed)?;
    let next = match (records.last(), since) {
        _ if more.is_some() => more,
        (Some(last), _) => Some(last.seq + 1),
        // Nothing yet: the same place again.
        (None, Since::Seq(seq)) => Some(seq),
        (None, _) => None,
    };
    Ok(Json(json!({ "records": records, "next": next })).into_response())
}
