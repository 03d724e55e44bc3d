//! The configuration tree: one document at a time.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use keyward_config_tree::{Bulk, Document, IfMatch, Item, Operation, Path, Revision, Schema};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    body,
    caller::Caller,
    error::{Answer, ApiError, Status},
    hidden,
    listing::{self, Page},
    params::{Path as UrlPath, Query},
};
use crate::{
    app::App,
    call_home,
    changes::{self, Applied, Condition, Precondition},
    layout,
};

impl From<keyward_config_tree::Error> for ApiError {
    fn from(error: keyward_config_tree::Error) -> Self {
        use keyward_config_tree::Reason;
        let status = match error.reason() {
            Reason::Exists | Reason::Referred { .. } => StatusCode::CONFLICT,
            Reason::NotFound { .. } => StatusCode::NOT_FOUND,
            Reason::MissingReference { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Reason::Hidden | Reason::HiddenInside => StatusCode::FORBIDDEN,
            _ => match Status::from(error.kind()).0 {
                StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
                status => status,
            },
        };
        let info = serde_json::to_value(&error).unwrap_or(Value::Null);
        Self::new(status, error.to_string()).with_info(info)
    }
}

/// `?validate=true`: a dry run. `?force=true`: a tenant goes with all that it has.
///
/// Nothing else is understood, so that a dry run that is misspelt changes nothing either.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mode {
    validate: bool,
    force: bool,
}

impl Mode {
    /// Whether nothing is to be changed.
    pub fn is_dry_run(&self) -> bool {
        self.validate
    }

    /// Whether a tenant that is not empty may be removed.
    pub fn is_forced(&self) -> bool {
        self.force
    }
}

fn parse(path: &str) -> Answer<Path> {
    path.parse().map_err(|error: keyward_config_tree::PathError| ApiError::invalid(error.to_string()))
}

fn entity_tag(revision: u64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(tag) = HeaderValue::from_str(&Revision::new(revision).to_string()) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers
}

/// `If-Match`, or `If-None-Match: *` (RFC 9110 §13.1).
fn condition(headers: &HeaderMap) -> Answer<Option<Condition>> {
    if let Some(value) = headers.get(header::IF_NONE_MATCH) {
        if value.as_bytes() != b"*" || headers.contains_key(header::IF_MATCH) {
            return Err(ApiError::invalid("`If-None-Match` of a change must be `*`, without `If-Match`"));
        }
        return Ok(Some(Condition::Absent));
    }
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().map_err(|_| ApiError::invalid("`If-Match` is no text"))?;
    let condition: IfMatch =
        text.parse().map_err(|error: keyward_config_tree::RevisionError| ApiError::invalid(error.to_string()))?;
    Ok(Some(Condition::Match(condition)))
}

/// `GET /v1/config/<path>`: the document with its revision as `ETag`; of a collection the names, a page at a time
/// (`?limit=&after=`, and `Link` to the next).
///
/// # Errors
/// 404.
pub async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    UrlPath(path): UrlPath<String>,
    Query(page): Query<Page>,
) -> Answer {
    let path = parse(&path)?;
    caller.permit(&app, keyward_approle::Operation::Read, &format!("/v1/config/{path}")).await?;
    if app.schema(caller.tenant()).is_collection(&path) {
        let prefix = format!("{}/", layout::document(caller.tenant(), path.as_str()));
        return listing::names(&app, &prefix, page).await?.answer(&format!("/v1/config/{path}"));
    }
    let key = layout::document(caller.tenant(), path.as_str());
    let stored = app.db.get(&key).await?.ok_or_else(|| ApiError::not_found(format_args!("`{path}`")))?;
    let mut value: Value = serde_json::from_slice(&stored.value).map_err(ApiError::internal)?;
    // Of sites that were stored before host-ids were kept as hashes.
    call_home::hashed_value(&path, &mut value);
    let standing = caller.standing(&app).await?;
    if let Some(hidden) = standing.hidden(keyward_approle::Operation::Read, &format!("/v1/config/{path}"))? {
        value = hidden::leave_out(value, &hidden);
    }
    Ok((entity_tag(stored.revision), Json(value)).into_response())
}

/// `PUT` replaces, `PATCH` merges (RFC 7396), `POST` on a collection, or on the path of a document, creates.
///
/// # Errors
/// 400 with the field; 404 for a merge, 409 for a creation; 412 when the revision moved.
pub async fn write(
    State(app): State<Arc<App>>,
    caller: Caller,
    UrlPath(path): UrlPath<String>,
    Query(mode): Query<Mode>,
    request: Request,
) -> Answer {
    let operation = match *request.method() {
        Method::PUT => Operation::Replace,
        Method::PATCH => Operation::Merge,
        _ => Operation::Create,
    };
    let condition = condition(request.headers())?;
    let item = item(app.schema(caller.tenant()), parse(&path)?, operation, request).await.inspect_err(|error| {
        if !mode.is_dry_run() {
            changes::note_refusal(&app, &caller, error);
        }
    })?;
    let precondition = precondition(&caller, item.path(), condition);
    let applied = changes::apply(&app, &caller, &Bulk::from(item), precondition, mode).await?;
    Ok(answer(&applied))
}

/// `DELETE`.
///
/// # Errors
/// 404; 409 while another document refers to it, or where it is a tenant that is not empty; 412 when the revision moved.
pub async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    UrlPath(path): UrlPath<String>,
    Query(mode): Query<Mode>,
    headers: HeaderMap,
) -> Answer {
    let path = parse(&path)?;
    let precondition = precondition(&caller, &path, condition(&headers)?);
    let bulk = Bulk::from(Item::delete(path));
    let applied = changes::apply(&app, &caller, &bulk, precondition, mode).await?;
    Ok(answer(&applied))
}

/// What a body asks for. Without a content type it is JSON.
async fn item(schema: &Schema, path: Path, operation: Operation, request: Request) -> Answer<Item> {
    let kind = body::content_type(&request).unwrap_or("application/json").to_owned();
    let bytes = body::read(request, &()).await?;
    if body::is_yaml(&kind) {
        let path = target(schema, path, operation, || Document::from_yaml(&bytes))?;
        return Ok(Item::from_yaml(path, operation, &bytes)?);
    }
    if !body::is_json(&kind) {
        return Err(body::unsupported(&kind, "application/json"));
    }
    let path = target(schema, path, operation, || Document::from_json(&bytes))?;
    Ok(Item::from_json(path, operation, &bytes)?)
}

/// The document's own path, where a creation names only the collection.
fn target(
    schema: &Schema,
    path: Path,
    operation: Operation,
    document: impl FnOnce() -> Result<Document, keyward_config_tree::Error>,
) -> Answer<Path> {
    if operation == Operation::Create && schema.is_collection(&path) {
        return Ok(schema.path_in(&path, &document()?)?);
    }
    Ok(path)
}

fn precondition(caller: &Caller, path: &Path, condition: Option<Condition>) -> Option<Precondition> {
    let condition = condition?;
    Some(Precondition { key: layout::document(caller.tenant(), path.as_str()), condition })
}

fn answer(applied: &Applied) -> Response {
    let created = applied.documents.first().is_some_and(|document| document.effect == "created") && !applied.dry_run;
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    let headers = applied.revision.map(entity_tag).unwrap_or_default();
    (status, headers, Json(json!(applied))).into_response()
}
