//! What a tower answers when it did what was asked.

use crate::value::{Object, Value};

/// A success.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The HTTP status: 201 means created
    pub(crate) status: u16,
    /// The revision of the document (its entity tag without quotes)
    pub(crate) revision: Option<String>,
    /// The SHA-256 of a script, in hexadecimal, as the tower made it
    pub(crate) script_digest: Option<String>,
    /// The body
    pub(crate) content: Content,
}

/// The body of an answer.
#[derive(Debug, PartialEq)]
pub(crate) enum Content {
    /// No body
    Empty,
    /// JSON
    Json(Value),
    /// Anything else that is text: an install script, metrics
    Text(String),
}

impl Content {
    /// Reads the bytes by their content type; what claims to be JSON has to be it.
    pub(crate) fn read(kind: &str, body: Vec<u8>) -> Result<Self, String> {
        if body.is_empty() {
            return Ok(Self::Empty);
        }
        // `application/json`, `application/problem+json`, `application/jwk-set+json`
        let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if essence.ends_with("/json") || essence.ends_with("+json") {
            return serde_json::from_slice(&body)
                .map(Self::Json)
                .map_err(|error| format!("the answer is broken JSON: {error}"));
        }
        match String::from_utf8(body) {
            Ok(text) if essence.is_empty() => Ok(serde_json::from_str(&text).map_or(Self::Text(text), Self::Json)),
            Ok(text) => Ok(Self::Text(text)),
            Err(_) => Err(format!("the answer is `{essence}`, which is no text")),
        }
    }

    /// Whether there is nothing in it to read.
    pub(crate) fn says_nothing(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Json(value) => value.as_object().is_some_and(Object::is_empty),
            Self::Text(_) => false,
        }
    }

    /// The JSON, when it is that.
    pub(crate) fn as_json(&self) -> Option<&Value> {
        match self {
            Self::Json(value) => Some(value),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_by_content_type() {
        assert_eq!(Content::read("application/json", Vec::new()), Ok(Content::Empty));
        assert_eq!(
            Content::read("application/jwk-set+json; charset=utf-8", b"1".to_vec()),
            Ok(Content::Json(Value::Number(1.into())))
        );
        assert_eq!(Content::read("text/x-shellscript", b"12".to_vec()), Ok(Content::Text("12".to_owned())));
        assert_eq!(
            Content::read("application/json", b"<html>".to_vec()),
            Err("the answer is broken JSON: expected value at line 1 column 1".to_owned())
        );
        assert_eq!(
            Content::read("application/octet-stream", vec![0xff]),
            Err("the answer is `application/octet-stream`, which is no text".to_owned())
        );
    }
}
