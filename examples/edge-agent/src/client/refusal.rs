//! The tower's no: `{"errors":[{"error-message": "…", "error-info": {"code": "…"}}]}`.

use std::fmt;

use reqwest::StatusCode;
use serde::Deserialize;

/// A refusal in the tower's own words, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    message: String,
    code: Option<String>,
}

#[derive(Deserialize)]
struct Body {
    errors: Vec<Fault>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Fault {
    error_message: String,
    #[serde(default)]
    error_info: Info,
}

#[derive(Deserialize, Default)]
struct Info {
    #[serde(default)]
    code: Option<String>,
}

impl Refusal {
    /// Reads the body of an answer that is no success; `None` for one that is not a tower's.
    pub(crate) fn read(status: StatusCode, body: &[u8]) -> Option<Self> {
        let Body { errors } = serde_json::from_slice(body).ok()?;
        let code = errors.iter().find_map(|fault| fault.error_info.code.clone());
        let message = errors.into_iter().map(|fault| fault.error_message).collect::<Vec<_>>().join("; ");
        (!message.is_empty() && !status.is_success()).then_some(Self { message, code })
    }

    /// The tower's word for it, which does not change.
    pub(crate) fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// Whether an operator removed the host.
    pub(crate) fn is_removal(&self) -> bool {
        self.code() == Some("removed")
    }

    /// What to do, for somebody at the host.
    pub(crate) fn remedy(&self) -> Option<&str> {
        let new_script = "have an operator issue a new install script for this host, and run it";
        Some(match self.code()? {
            "missing" | "malformed" | "not-for-call-home" | "unknown-authority" | "no-scope" | "expired"
            | "revoked" | "already-used" | "unknown" | "too-broad" | "wrong-host" | "wrong-site" => new_script,
            "unwanted" => {
                "remove certificate.pem and key.pem from call-home/ in the state directory, and call home again"
            }
            "not-yet-valid" => "set the clock of this host or of the tower, and call home again",
            "duplicate" => {
                "if this is the right host, have an operator release the other one; else give this one an id of its own with --host-id-file"
            }
            "removed" | "released" => {
                "if that was a mistake, have an operator release the host, and run a new install script"
            }
            "unclaimed-disabled" => "have an operator list the host-id at a site, and call home again",
            "header-from-stranger" | "header-unexpected" | "header-repeated" | "header-malformed" | "disagree" => {
                "have an operator compare the load balancer with the tower's call-home settings (lb-mode, lb-addresses)"
            }
            _ => return None,
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.code {
            Some(code) => write!(f, " ({code})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Option<Refusal> {
        Refusal::read(StatusCode::FORBIDDEN, body.as_bytes())
    }

    #[test]
    fn the_towers_words_are_kept() {
        let refusal = read(r#"{"errors":[{"error-message":"it expired","error-info":{"code":"expired"}}]}"#).unwrap();
        assert_eq!(refusal.to_string(), "it expired (expired)");
        assert!(refusal.remedy().unwrap().contains("new install script") && !refusal.is_removal());
        assert_eq!(read(r#"{"errors":[{"error-message":"no"}]}"#).unwrap().remedy(), None);
    }

    #[test]
    fn what_is_not_a_towers_is_no_refusal() {
        for body in ["", "<html>", "{}", r#"{"errors":[]}"#, r#"{"errors":["no"]}"#] {
            assert_eq!(read(body), None, "{body}");
        }
    }
}
