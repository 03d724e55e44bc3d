//! The shapes of answers.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::{
    error::{Answer, ApiError, Messages},
    listing::Listed,
};
use crate::random;

/// What there is instead of a moment.
pub const NEVER: &str = "0001-01-01T00:00:00Z";

/// 200 with `data`.
pub fn data(data: impl Serialize) -> Response {
    with_status(StatusCode::OK, data)
}

/// `data` under another status: of a batch some of whose items failed.
pub fn with_status(status: StatusCode, data: impl Serialize) -> Response {
    let envelope = Envelope {
        request_id: random::uuid(),
        lease_id: "",
        renewable: false,
        lease_duration: 0,
        data,
        wrap_info: (),
        warnings: (),
        auth: (),
    };
    respond(status, &envelope)
}

/// What is around every answer.
#[derive(Serialize)]
struct Envelope<T> {
    request_id: String,
    lease_id: &'static str,
    renewable: bool,
    lease_duration: u32,
    data: T,
    wrap_info: (),
    warnings: (),
    auth: (),
}

/// 200 with `data`, whose fields stand beside it too.
pub(super) fn data_twice(data: Map<String, Value>) -> Response {
    let mut fields = data.clone();
    fields.insert("data".to_owned(), data.into());
    fields.insert("auth".to_owned(), Value::Null);
    envelope(StatusCode::OK, fields.into())
}

/// 200 with `auth`: a token.
pub fn auth(auth: Value) -> Response {
    envelope(StatusCode::OK, json!({ "data": null, "auth": auth }))
}

/// 200 with `wrap_info`: the answer waits elsewhere.
pub(super) fn wrap_info(info: Value) -> Response {
    envelope(StatusCode::OK, json!({ "data": null, "auth": null, "wrap_info": info }))
}

/// The names below a path.
///
/// # Errors
/// 404 without a message where there are none.
pub fn names(names: Vec<String>) -> Answer {
    if names.is_empty() { Err(missing()) } else { Ok(data(json!({ "keys": names }))) }
}

/// The names of a page.
///
/// # Errors
/// As [`names`].
pub fn listed(listed: Listed) -> Answer {
    match listed.warning() {
        Some(warning) => Ok(warned(json!({ "keys": listed.names }), [warning])),
        None => names(listed.names),
    }
}

/// 200 with `data`, and with what may surprise.
pub(super) fn warned(data: Value, warnings: impl IntoIterator<Item = impl Into<String>>) -> Response {
    let warnings: Vec<String> = warnings.into_iter().map(Into::into).collect();
    let warnings = if warnings.is_empty() { Value::Null } else { warnings.into() };
    envelope(StatusCode::OK, json!({ "data": data, "auth": null, "warnings": warnings }))
}

/// 204.
pub fn nothing() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// 404 without a message: what is read is not there.
pub fn missing() -> ApiError {
    ApiError::several(StatusCode::NOT_FOUND, [])
}

fn envelope(status: StatusCode, mut fields: Value) -> Response {
    if let Some(fields) = fields.as_object_mut() {
        for (name, value) in [
            ("request_id", random::uuid().into()),
            ("lease_id", "".into()),
            ("renewable", false.into()),
            ("lease_duration", 0.into()),
            ("wrap_info", Value::Null),
            ("warnings", Value::Null),
        ] {
            fields.entry(name).or_insert(value);
        }
    }
    respond(status, &fields)
}

fn respond(status: StatusCode, body: &impl Serialize) -> Response {
    let mut response = (status, Json(body)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A refusal as these clients read it: texts alone, and fewer statuses.
pub(super) fn in_their_shape(response: Response) -> Response {
    let Some(Messages(messages)) = response.extensions().get().cloned() else { return response };
    let status = match response.status() {
        // They know no difference between a token that does not count and one that may not.
        StatusCode::UNAUTHORIZED => StatusCode::FORBIDDEN,
        StatusCode::CONFLICT
        | StatusCode::PRECONDITION_FAILED
        | StatusCode::UNSUPPORTED_MEDIA_TYPE
        | StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
        status => status,
    };
    let messages = match response.status() {
        StatusCode::UNAUTHORIZED => vec!["permission denied".to_owned()],
        _ => messages,
    };
    let mut answer = (status, Json(json!({ "errors": messages }))).into_response();
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for name in [header::ALLOW, header::RETRY_AFTER, header::CONNECTION] {
        if let Some(value) = response.headers().get(&name) {
            answer.headers_mut().insert(name, value.clone());
        }
    }
    answer
}
