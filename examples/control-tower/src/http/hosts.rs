//! Hosts that called home, for operators: those that wait, and all of them.

use std::sync::Arc;

use axum::{Json, extract::State, response::IntoResponse as _};
use keyward_callhome_cert::HostHash;
use keyward_config_values::Name;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    body::JsonBody,
    caller::Caller,
    error::{Answer, ApiError},
    params::{Path, Query},
};
use crate::{
    app::App,
    call_home::{self, Shown},
};

/// The most hosts of one answer, and how many there are when nothing is said.
const MOST: usize = 1000;

/// `GET /v1/state/system/unclaimed-hosts`: those that wait, those that have the host-id of another one, and some of those that had to
/// make room.
///
/// # Errors
/// Those of the store.
pub async fn unclaimed(State(app): State<Arc<App>>) -> Answer {
    let hosts = call_home::unclaimed(&app).await?;
    let duplicates = call_home::duplicates(&app).await?;
    let displaced = call_home::made_room(&app).await?;
    Ok(Json(json!({"unclaimed-hosts": hosts, "duplicates": duplicates, "displaced": displaced})).into_response())
}

/// For which site, and which machine.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ClaimBody {
    site: Name,
    /// The thumbprint of its key, as it was shown: then no other machine is claimed that has the host-id by now.
    #[serde(default)]
    key: Option<String>,
}

/// `POST /v1/state/system/unclaimed-hosts/<id>/claim {site, key?}`.
///
/// # Errors
/// 404 for the host, 422 for a site that does not exist, 409 when it is another one's or has another key.
pub async fn claim(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<ClaimBody>,
) -> Answer {
    let record = call_home::claim(&app, &caller, &id, &body.site, body.key.as_deref()).await?;
    Ok(Json(Shown::new(&record)).into_response())
}

/// `?limit=&after=`: at most so many hosts behind one.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PageQuery {
    limit: Option<usize>,
    after: Option<String>,
}

impl PageQuery {
    /// So many behind one; empty for the first.
    pub fn behind(after: &str, limit: usize) -> Self {
        Self { limit: Some(limit), after: Some(after.to_owned()) }
    }
}

#[derive(Serialize)]
struct Listed {
    hosts: Vec<Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<HostHash>,
}

/// `GET /v1/state/system/hosts`: every host that called home and was not released, by the hashes of their host-ids; `next` is where the
/// next page begins.
///
/// # Errors
/// 400 for an `after` that is no host's.
pub async fn all(State(app): State<Arc<App>>, Query(page): Query<PageQuery>) -> Answer {
    let after = page.after.filter(|after| !after.is_empty());
    let after: Option<HostHash> = after.map(|after| after.parse()).transpose()?;
    let limit = page.limit.unwrap_or(MOST).clamp(1, MOST);
    let (hosts, more) = call_home::page(&app, after.as_ref(), limit).await?;
    let next = hosts.last().filter(|_| more).map(|host| host.id.clone());
    Ok(Json(Listed { hosts, next }).into_response())
}

/// `GET /v1/state/system/hosts/<id>`.
///
/// # Errors
/// 404.
pub async fn one(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer {
    let record = call_home::host(&app, &id).await?;
    Ok(Json(Shown::new(&record.value)).into_response())
}

/// `POST …/<id>/release`: what is known of the host is forgotten, its identity counts no more, and it may call home again.
///
/// # Errors
/// 404.
pub async fn release(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Answer {
    call_home::release(&app, &caller, &id).await?;
    Ok(Json(json!({})).into_response())
}

/// `POST …/<id>/remove`: its identity counts no more, and it may not call home.
///
/// # Errors
/// 404.
pub async fn remove(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Answer {
    let record = call_home::remove(&app, &caller, &id).await?;
    Ok(Json(Shown::new(&record)).into_response())
}

impl From<keyward_config_values::Error> for ApiError {
    fn from(error: keyward_config_values::Error) -> Self {
        Self::invalid(error.to_string())
    }
}
