//! The one map from errors to HTTP, and the one shape of an error body.

use axum::{
    Extension, Json,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::{db::DbError, keyring::KeyringError, store::StoreError};

/// What a sealed tower answers.
pub const SEALED: &str = "the tower is sealed: unseal it with `supctl unseal` or `POST /v1/sys/unseal`";

/// A refusal as a client sees it. It never holds a secret, nor more about a failed login than that it failed.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    problems: Vec<(String, Option<Value>)>,
    /// In seconds.
    retry_after: Option<u64>,
}

/// The texts of a refusal, beside its response, for whoever has to give it another shape.
#[derive(Clone, Debug)]
pub struct Messages(pub Vec<String>);

/// What every handler answers with.
pub type Answer<T = Response> = Result<T, ApiError>;

impl ApiError {
    /// One message under a status.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, problems: vec![(message.into(), None)], retry_after: None }
    }

    /// The same with data that a program can read.
    #[must_use]
    pub fn with_info(mut self, info: Value) -> Self {
        if let Some((_, slot)) = self.problems.last_mut() {
            *slot = Some(info);
        }
        self
    }

    /// Several messages under one status.
    pub fn several(status: StatusCode, problems: impl IntoIterator<Item = (String, Option<Value>)>) -> Self {
        Self { status, problems: problems.into_iter().collect(), retry_after: None }
    }

    /// 400: the request makes no sense.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 401: no credentials, or none that count.
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    /// 404.
    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("{what} does not exist"))
    }

    /// 409.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    /// 422: understood, and not applicable.
    pub fn inapplicable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    /// 503: the tower cannot do it now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// 429: it could be done after that time (RFC 9110 §10.2.3, in whole seconds).
    pub fn too_many(message: impl Into<String>, wait: std::time::Duration) -> Self {
        let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1);
        Self { retry_after: Some(seconds), ..Self::new(StatusCode::TOO_MANY_REQUESTS, message) }
    }

    /// 500, with the reason in the log alone.
    pub fn internal(reason: impl std::fmt::Display) -> Self {
        tracing::error!(%reason, "internal error");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error; the tower's log has the reason")
    }

    /// The same under another status.
    #[must_use]
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The word for the reason, where a document or a body was refused.
    pub fn reason(&self) -> Option<&str> {
        let (_, info) = self.problems.first()?;
        info.as_ref()?.get("reason")?.as_str()
    }

    /// The data of the first message.
    pub fn info(&self) -> Option<&Value> {
        self.problems.first().and_then(|(_, info)| info.as_ref())
    }

    /// The first message.
    pub fn message(&self) -> &str {
        self.problems.first().map_or("", |(message, _)| message)
    }
}

/// The four kinds that every library error has, as statuses.
macro_rules! kinds {
    ($($kind:path),+ $(,)?) => {$(
        impl From<$kind> for Status {
            fn from(kind: $kind) -> Self {
                use $kind as Kind;
                Self(match kind {
                    Kind::Malformed => StatusCode::BAD_REQUEST,
                    Kind::Refused | Kind::Misconfigured => StatusCode::UNPROCESSABLE_ENTITY,
                    _ => StatusCode::SERVICE_UNAVAILABLE,
                })
            }
        }
    )+};
}

/// The status that a kind of error has where nothing else is said.
pub struct Status(pub StatusCode);

kinds!(keyward_keys::ErrorKind, keyward_config_values::ErrorKind, keyward_config_tree::ErrorKind);

impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Store(error) => error.into(),
            DbError::Locked => Self::unavailable(SEALED),
            error => Self::internal(error),
        }
    }
}

impl From<KeyringError> for ApiError {
    fn from(error: KeyringError) -> Self {
        match error {
            KeyringError::Overtaken | KeyringError::TooMany { .. } => Self::conflict(error.to_string()),
            error => DbError::from(error).into(),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::Sealed) {
            return Self::unavailable(SEALED);
        }
        tracing::error!(%error, "store");
        Self::unavailable("the store does not take changes now; nothing was changed")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let messages = Messages(self.problems.iter().map(|(message, _)| message.clone()).collect());
        let errors: Vec<Value> = self
            .problems
            .into_iter()
            .map(|(message, info)| json!({"error-message": message, "error-info": info.unwrap_or_else(|| json!({}))}))
            .collect();
        let mut headers = HeaderMap::new();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        (self.status, headers, Extension(messages), Json(json!({ "errors": errors }))).into_response()
    }
}
