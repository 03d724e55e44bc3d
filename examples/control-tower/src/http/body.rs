//! Request bodies: JSON, read strictly.

use axum::{
    body::{Bytes, HttpBody as _},
    extract::{FromRequest, Request},
    http::{StatusCode, header},
};
use serde::de::DeserializeOwned;

use super::error::{Answer, ApiError};

/// JSON that is being read.
type Json<'a> = serde_json::Deserializer<serde_json::de::SliceRead<'a>>;

/// The longest body that is read: 1 MiB.
pub const LIMIT: usize = 1 << 20;

/// A JSON body as a `T`. An absent or empty body counts as `null`, so that an `Option` is `None`; its content type does not
/// matter then.
pub struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        extract(request, state, |json| T::deserialize(json)).await.map(Self)
    }
}

/// What is read from the JSON of a body; of `null` where there is none.
///
/// # Errors
/// 400, 413 or 415.
pub async fn extract<S: Send + Sync, T>(
    request: Request,
    state: &S,
    from: impl Fn(&mut Json<'_>) -> serde_json::Result<T>,
) -> Answer<T> {
    let kind = content_type(&request).map(str::to_owned);
    let bytes = read(request, state).await?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return from(&mut Json::from_slice(b"null")).map_err(|_| ApiError::invalid("a JSON body is required"));
    }
    if let Some(kind) = kind
        && !is_json(&kind)
    {
        return Err(unsupported(&kind, "application/json"));
    }
    parse(&bytes, from)
}

/// The bytes of a body, at most [`LIMIT`].
///
/// # Errors
/// 413, or the connection broke.
pub async fn read<S: Send + Sync>(request: Request, state: &S) -> Answer<Bytes> {
    let too_long = || ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is longer than {LIMIT} bytes"));
    // Before any of it is read, so that a client that asks first (RFC 9110 §10.1.1) need not send it.
    if request.body().size_hint().lower() > LIMIT as u64 {
        return Err(too_long());
    }
    Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_long(),
        _ => ApiError::invalid("the body did not arrive whole"),
    })
}

/// The media type of a request, without its parameters.
pub fn content_type(request: &Request) -> Option<&str> {
    let value = request.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or(value).trim())
}

/// 415 with what would do.
pub fn unsupported(found: &str, expected: &str) -> ApiError {
    let found: String = found.chars().take(80).collect();
    ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        format!("content type `{found}` is not understood here: send `{expected}`"),
    )
}

/// `application/json` and what builds on it (RFC 6839 §3.1).
pub fn is_json(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    kind == "application/json" || kind.starts_with("application/") && kind.ends_with("+json")
        // What a client sends that says nothing about a body that it nevertheless has.
        || kind == "application/x-www-form-urlencoded"
}

/// `application/yaml` (RFC 9512) and what it was called before.
pub fn is_yaml(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    matches!(kind.as_str(), "application/yaml" | "application/x-yaml" | "text/yaml" | "text/x-yaml")
        || kind.starts_with("application/") && kind.ends_with("+yaml")
}

/// A JSON object (or `null`) as a `T`, whose members occur once.
fn parse<T>(bytes: &[u8], from: impl Fn(&mut Json<'_>) -> serde_json::Result<T>) -> Answer<T> {
    // A list would be taken for the values of the fields in their order.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(ApiError::invalid("the JSON body is refused: write an object such as {\"name\": …}, not a list"));
    }
    let mut json = Json::from_slice(bytes);
    from(&mut json).and_then(|value| json.end().map(|()| value)).map_err(|error| refused(&error))
}

/// 400 for JSON. The text never repeats a value: it may be a secret.
pub fn refused(error: &serde_json::Error) -> ApiError {
    let text = error.to_string();
    let what = match error.classify() {
        serde_json::error::Category::Data => without_values(&text),
        _ => text,
    };
    ApiError::invalid(format!("the JSON body is refused: {what}"))
}

/// serde quotes the value that it did not expect; what is in double quotes goes. The value may hold quotes itself, escaped.
fn without_values(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '"' {
            kept.push(c);
            continue;
        }
        kept.push('…');
        while let Some(c) = rest.next() {
            match c {
                '"' => break,
                '\\' => drop(rest.next()),
                _ => {}
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Sample {
        number: u8,
    }

    #[test]
    fn errors_name_the_field_and_never_a_value() {
        let text =
            |json: &str| parse(json.as_bytes(), |json| Sample::deserialize(json)).unwrap_err().message().to_owned();
        assert!(text(r#"{"nunber":1}"#).contains("unknown field `nunber`, expected `number`"));
        let secret = text(r#"{"number":"hunter2"}"#);
        assert!(!secret.contains("hunter2") && secret.contains("expected u8"), "{secret}");
        let secret = text(r#"{"number":"a\"hunter2"}"#);
        assert!(!secret.contains("hunter2") && secret.contains("expected u8"), "{secret}");
        assert!(text(r#"{"number":1,"number":2}"#).contains("duplicate field `number`"));
        assert!(text("{").contains("EOF"));
    }

    #[test]
    fn a_list_is_no_object() {
        let text =
            |json: &str| parse(json.as_bytes(), |json| Sample::deserialize(json)).unwrap_err().message().to_owned();
        assert!(text(" [7]").ends_with("write an object such as {\"name\": …}, not a list"));
    }

    #[test]
    fn what_counts_as_json() {
        for yes in
            ["application/json", "Application/JSON", "application/merge-patch+json", "application/json-patch+json"]
        {
            assert!(is_json(yes), "{yes}");
        }
        for no in ["text/plain", "application/yaml", "text/json+x"] {
            assert!(!is_json(no), "{no}");
        }
    }
}
