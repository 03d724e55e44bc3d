//! The tower's no: `{"errors":[{"error-message": "…", "error-info": {…}}]}`.

use std::fmt;

use reqwest::StatusCode;

use super::Content;
use crate::value::{Object, Value};

/// A refusal, with everything the tower said about it.
#[derive(Debug, PartialEq)]
pub(crate) struct Refusal {
    /// The HTTP status
    pub(crate) status: StatusCode,
    /// At least one
    pub(crate) faults: Vec<Fault>,
    /// What to do, when the status says it
    pub(crate) remedy: Option<&'static str>,
    /// What the request was made from, when its errors name lines of it
    pub(crate) source: Option<Source>,
}

/// A file that a request was made from.
#[derive(Debug, PartialEq)]
pub(crate) struct Source {
    /// The file, as the operator named it
    pub(crate) name: String,
    /// Its text
    pub(crate) text: String,
}

/// One of the tower's errors.
#[derive(Debug, PartialEq)]
pub(crate) struct Fault {
    /// `error-message`
    pub(crate) message: String,
    /// `error-info`: `document`, `line`, `column`, `path`, `field`, `remedy`, …
    pub(crate) info: Object,
}

impl Refusal {
    /// Reads the body of an answer that is not a success.
    pub(crate) fn new(status: StatusCode, content: Option<&Content>, with_token: bool) -> Self {
        let listed = content.and_then(Content::as_json).and_then(Value::as_object).and_then(|body| body.get("errors"));
        let mut faults: Vec<Fault> =
            listed.and_then(Value::as_array).unwrap_or_default().iter().filter_map(Fault::read).collect();
        if faults.is_empty() {
            faults
                .push(Fault { message: format!("the answer was {status}, without a reason"), info: Object::default() });
        }
        let remedy = match status {
            StatusCode::UNAUTHORIZED if with_token => Some("token expired: run supctl login"),
            StatusCode::UNAUTHORIZED => Some("not logged in: run supctl login"),
            StatusCode::PRECONDITION_FAILED => {
                Some("somebody changed it meanwhile: look at it with supctl show --revision")
            }
            _ => None,
        };
        Self { status, faults, remedy, source: None }
    }
}

impl Fault {
    fn read(error: &Value) -> Option<Self> {
        match error {
            // The Vault-compatible surface lists plain strings.
            Value::String(message) => Some(Self { message: message.clone(), info: Object::default() }),
            Value::Object(error) => Some(Self {
                message: error.text("error-message")?.to_owned(),
                info: error.get("error-info").and_then(Value::as_object).cloned().unwrap_or_default(),
            }),
            _ => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, fault) in self.faults.iter().enumerate() {
            if number > 0 {
                f.write_str("; ")?;
            }
            f.write_str(&fault.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str, with_token: bool) -> Refusal {
        let content = Content::read("application/json", body.as_bytes().to_vec()).ok();
        Refusal::new(StatusCode::from_u16(status).unwrap(), content.as_ref(), with_token)
    }

    #[test]
    fn every_error_is_kept() {
        let refusal = read(
            422,
            r#"{"errors":[{"error-message":"one","error-info":{"line":3}},"two",{"error-message":"three"}]}"#,
            true,
        );
        assert_eq!(refusal.to_string(), "one; two; three");
        assert_eq!(refusal.faults[0].info.count("line"), Some(3));
        assert_eq!(refusal.remedy, None);
    }

    #[test]
    fn a_refusal_without_a_reason_still_says_something() {
        assert_eq!(read(502, "<html>", true).to_string(), "the answer was 502 Bad Gateway, without a reason");
        assert_eq!(read(404, "{}", true).to_string(), "the answer was 404 Not Found, without a reason");
    }

    #[test]
    fn unauthorised_means_log_in() {
        assert_eq!(read(401, "{}", true).remedy, Some("token expired: run supctl login"));
        assert_eq!(read(401, "{}", false).remedy, Some("not logged in: run supctl login"));
    }
}
