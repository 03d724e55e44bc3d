//! What stands in the path and in the query, refused in the one shape of errors where it cannot be read.

use axum::{
    extract::{FromRequestParts, Path as AxumPath, Query as AxumQuery},
    http::request::Parts,
};
use serde::de::DeserializeOwned;

use super::error::ApiError;

/// The variable segments of a path, decoded.
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match AxumPath::from_request_parts(parts, state).await {
            Ok(AxumPath(segments)) => Ok(Self(segments)),
            Err(_) => Err(ApiError::invalid("the path, once its escapes are decoded, is not UTF-8")),
        }
    }
}

/// The query as a `T`.
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match AxumQuery::from_request_parts(parts, state).await {
            Ok(AxumQuery(query)) => Ok(Self(query)),
            Err(rejection) => {
                let text = rejection.body_text();
                let reason = text.split_once("string: ").map_or(text.as_str(), |(_, reason)| reason);
                Err(ApiError::invalid(format!("the query is refused: {reason}")))
            }
        }
    }
}
