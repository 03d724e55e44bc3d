//! Request bodies: JSON, read strictly.

use axum::{
    body::{Bytes, HttpBody as _},
    extract::{FromRequest, Request},
    http::{StatusCode, header},
};
use keyward_config_tree::{Document, FieldError, Reason, strict::Reader};
use serde::{Deserializer, de::DeserializeOwned};
use serde_json::Value;

use super::error::{Answer, ApiError};

/// The longest body that is read: 1 MiB.
pub const LIMIT: usize = 1 << 20;

/// A JSON body as a `T`. An absent or empty body counts as `null`, so that an `Option` is `None`; its content type does not
/// matter then.
pub struct JsonBody<T>(pub T);

/// How JSON becomes a type.
pub trait Manner {
    /// Reads it.
    ///
    /// # Errors
    /// Those of the JSON.
    fn read<'de, T: DeserializeOwned, D: Deserializer<'de>>(json: D) -> Result<T, D::Error>;

    /// The fields of a body whose content type is that of a form, if it is read as one.
    fn form(_: &[u8]) -> Option<Value> {
        None
    }
}

/// As the type has it.
pub struct Exact;

impl Manner for Exact {
    fn read<'de, T: DeserializeOwned, D: Deserializer<'de>>(json: D) -> Result<T, D::Error> {
        T::deserialize(json)
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        extract::<Exact, T, S>(request, state).await.map(Self)
    }
}

/// What is read from the JSON of a body; of `null` where there is none.
///
/// # Errors
/// 400, 413 or 415.
pub async fn extract<M: Manner, T: DeserializeOwned, S: Send + Sync>(request: Request, state: &S) -> Answer<T> {
    let kind = content_type(&request).map(str::to_owned);
    let bytes = read(request, state).await?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return value::<M, T>(&Value::Null).map_err(|_| ApiError::invalid("a JSON body is required"));
    }
    match kind {
        Some(kind) if !is_json(&kind) => Err(unsupported(&kind, "application/json")),
        Some(kind) if is_form(&kind) => match M::form(&bytes) {
            Some(fields) => value::<M, T>(&fields),
            None => parse::<M, T>(&bytes),
        },
        _ => parse::<M, T>(&bytes),
    }
}

/// What is read from a value that was a body already.
///
/// # Errors
/// 400.
pub fn value<M: Manner, T: DeserializeOwned>(value: &Value) -> Answer<T> {
    M::read(Reader::new(value)).map_err(|failure| refused(failure.into()))
}

/// The bytes of a body, at most [`LIMIT`].
///
/// # Errors
/// 413, or the connection broke.
pub async fn read<S: Send + Sync>(request: Request, state: &S) -> Answer<Bytes> {
    read_up_to(LIMIT, request, state).await
}

/// The bytes of a body, of which the router lets through at most `limit`.
///
/// # Errors
/// 413, or the connection broke.
pub async fn read_up_to<S: Send + Sync>(limit: usize, request: Request, state: &S) -> Answer<Bytes> {
    let too_long = || {
        let text = format!("the body is longer than {limit} bytes: send it in parts, and a long document as several");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, text)
    };
    // Before any of it is read, so that a client that asks first (RFC 9110 §10.1.1) need not send it.
    if request.body().size_hint().lower() > limit as u64 {
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
        || is_form(&kind)
}

fn is_form(kind: &str) -> bool {
    kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// `application/yaml` (RFC 9512) and what it was called before.
pub fn is_yaml(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    matches!(kind.as_str(), "application/yaml" | "application/x-yaml" | "text/yaml" | "text/x-yaml")
        || kind.starts_with("application/") && kind.ends_with("+yaml")
}

/// A JSON object (or `null`) as a `T`, whose members occur once.
///
/// # Errors
/// 400, without any of the values.
pub fn parse<M: Manner, T: DeserializeOwned>(bytes: &[u8]) -> Answer<T> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    // It would be taken for the values of the fields in their order.
    let is_list = bytes.trim_ascii_start().first() == Some(&b'[');
    let read = if is_list { None } else { M::read(&mut json).and_then(|value| json.end().map(|()| value)).ok() };
    // Nobody but a refused one pays for knowing where it is.
    read.ok_or_else(|| match serde_json::from_slice(bytes) {
        Err(error) => ApiError::invalid(format!("the JSON body is refused: {error}")),
        Ok(found) => match value::<M, T>(&found) {
            Err(refusal) => refusal,
            Ok(_) if is_list => {
                ApiError::invalid("the JSON body is refused: a list; write an object, `{\"name\": value}`")
            }
            Ok(_) => repeated(bytes),
        },
    })
}

/// 400 for a field. The text never repeats a value: it may be a secret.
fn refused(error: FieldError) -> ApiError {
    let error = keyward_config_tree::Error::from(error);
    let info = serde_json::to_value(&error).unwrap_or(Value::Null);
    ApiError::invalid(format!("the JSON body is refused: {error}")).with_info(info)
}

/// 400 for a field that is there twice, which a value that was read whole does not show, by the name that it has there.
fn repeated(bytes: &[u8]) -> ApiError {
    let twice = Document::from_json(bytes).err().filter(|error| matches!(error.reason(), Reason::Duplicate { .. }));
    match twice.as_ref().and_then(keyward_config_tree::Error::field) {
        Some(field) => refused(FieldError::new(field.clone(), "there twice; remove one")),
        None => ApiError::invalid("the JSON body is refused: it does not fit"),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Sample {
        #[serde(alias = "count")]
        number: u8,
        #[serde(default)]
        inner: Vec<Sample>,
    }

    #[test]
    fn errors_name_the_field_and_never_a_value() {
        let text = |json: &str| parse::<Exact, Sample>(json.as_bytes()).unwrap_err().message().to_owned();
        for (json, refusal) in [
            (r#"{"nunber":1}"#, "field `nunber`: unknown; write `number`, or one of `count`, `number`, `inner`"),
            (
                r#"{"number":"hunter2"}"#,
                "field `number`: text where a whole number from 0 to 255 belongs; write a whole number from 0 to 255",
            ),
            (
                r#"{"number":"a\"hunter2"}"#,
                "field `number`: text where a whole number from 0 to 255 belongs; write a whole number from 0 to 255",
            ),
            (r#"{"number":256}"#, "field `number`: out of range; write a whole number from 0 to 255"),
            (r#"{"number":1,"inner":[{"number":2},{}]}"#, "field `inner[1].number`: missing; add it"),
            (r#"{"number":1,"number":2}"#, "field `number`: there twice; remove one"),
            (r#"{"count":1,"count":2}"#, "field `count`: there twice; remove one"),
            (r#"{"count":1,"number":2}"#, "field `number`: there by two of its names; remove one"),
            (r#"{"number":"hunter2","number":2}"#, "field `number`: there twice; remove one"),
            (r#"{"count":1,"inner":[{"count":2,"c\u006funt":3}]}"#, "field `inner[0].count`: there twice; remove one"),
            ("{}", "field `number`: missing; add it"),
            (
                " [7]",
                "a list where a block of fields belongs; write fields, one indented `name: value` per line or `{\"name\": value}`",
            ),
            (
                "7",
                "a whole number where a block of fields belongs; write fields, one indented `name: value` per line or `{\"name\": value}`",
            ),
            (
                "null",
                "nothing where a block of fields belongs; write fields, one indented `name: value` per line or `{\"name\": value}`",
            ),
            ("{", "EOF while parsing an object at line 1 column 1"),
            ("{} x", "trailing characters at line 1 column 4"),
        ] {
            assert_eq!(text(json), format!("the JSON body is refused: {refusal}"), "{json}");
        }
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
