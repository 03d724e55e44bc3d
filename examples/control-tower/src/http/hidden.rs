//! Answers without the fields that are hidden from whoever asked.

use axum::{
    body::{Body, to_bytes},
    http::header,
    response::Response,
};
use keyward_approle::Visibility;
use keyward_config_tree::without_hidden;
use serde_json::Value;

use super::{
    body,
    error::{Answer, ApiError},
};

/// A value without what is hidden.
pub(super) fn leave_out(value: Value, hidden: &Visibility) -> Value {
    without_hidden(value, &|way| hidden.hides(way))
}

/// An answer without what is hidden. What is not JSON has no fields.
///
/// # Errors
/// 500 for a body that cannot be read, of which nothing is shown.
pub(super) async fn in_answer(response: Response, hidden: &Visibility) -> Answer {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !response.status().is_success() || !body::is_json(kind.split(';').next().unwrap_or(kind).trim()) {
        return Ok(response);
    }
    let (mut parts, whole) = response.into_parts();
    // It was made here, in memory.
    let bytes = to_bytes(whole, usize::MAX).await.map_err(ApiError::internal)?;
    let value = serde_json::from_slice(&bytes).map_err(ApiError::internal)?;
    let shown = serde_json::to_vec(&leave_out(value, hidden)).map_err(ApiError::internal)?;
    parts.headers.remove(header::CONTENT_LENGTH);
    Ok(Response::from_parts(parts, Body::from(shown)))
}
