//! Users, for their administrators.

use std::{collections::BTreeSet, sync::Arc};

use axum::{Json, extract::State, response::IntoResponse as _};
use keyward_approle::Operation;
use keyward_config_values::Duration;
use keyward_webauthn_login::Method;
use serde::Deserialize;
use serde_json::json;

use super::{
    body::JsonBody,
    caller::Caller,
    error::{Answer, ApiError},
    params::{Path, Query},
    token,
};
use crate::{
    app::App,
    login::{people, providers},
    moment,
};

/// The most of one answer.
const MOST: usize = 1000;

/// `?after=&limit=`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Page {
    after: String,
    limit: Option<usize>,
}

/// `GET /v1/state/strongbox/authentication/users?after=&limit=`: those with a document, and others such as the first administrator.
///
/// # Errors
/// 403.
pub async fn all(State(app): State<Arc<App>>, caller: Caller, Query(page): Query<Page>) -> Answer {
    let limit = page.limit.unwrap_or(MOST).clamp(1, MOST);
    let (users, more) = people::list(&app, &caller, &page.after, limit).await?;
    let next = users.last().filter(|_| more).map(|user| user.name.clone());
    Ok(Json(json!({ "users": users, "next": next })).into_response())
}

/// `GET /v1/state/strongbox/authentication/users/<email>`.
///
/// # Errors
/// 403, 404.
pub async fn one(State(app): State<Arc<App>>, caller: Caller, Path(name): Path<String>) -> Answer {
    Ok(Json(people::one(&app, &caller, &name).await?).into_response())
}

/// `POST …/<email>/{reset,enrolment-link}`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct LinkBody {
    methods: Option<BTreeSet<Method>>,
    ttl: Option<Duration>,
}

/// `POST …/<email>/<operation>`: `lock`, `unlock`, `remove`; `reset {methods?, ttl?}` takes methods away and answers an enrolment link,
/// `enrolment-link {methods?, ttl?}` answers one alone.
///
/// # Errors
/// 403, 404, 422.
pub async fn operate(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((name, operation)): Path<(String, String)>,
    JsonBody(body): JsonBody<Option<LinkBody>>,
) -> Answer {
    // By the path as it is written here: an escape makes another one of it.
    caller.permit(&app, Operation::Execute, &format!("{}/{name}/{operation}", people::PATH)).await?;
    match operation.as_str() {
        "lock" | "unlock" => people::set_locked(&app, &caller, &name, operation == "lock").await?,
        "remove" => people::remove(&app, &caller, &name).await?,
        "reset" | "enrolment-link" => {
            let LinkBody { methods, ttl } = body.unwrap_or_default();
            let link = people::link(&app, &caller, &name, methods, ttl, operation == "reset").await?;
            let answer =
                json!({ "url": link.url.as_str(), "expires": moment::text(link.expires), "methods": link.methods });
            return Ok(token::answer(&answer));
        }
        _ => return Err(ApiError::not_found(format_args!("`{operation}`"))),
    }
    Ok(Json(json!({})).into_response())
}

/// `GET /v1/state/strongbox/authentication/oidc/<name>`.
///
/// # Errors
/// 404.
pub async fn provider(State(app): State<Arc<App>>, caller: Caller, Path(name): Path<String>) -> Answer {
    let state = providers::state(&app, caller.tenant(), &name).await?;
    Ok(Json(state.ok_or_else(|| ApiError::not_found(format_args!("the provider `{name}`")))?).into_response())
}
