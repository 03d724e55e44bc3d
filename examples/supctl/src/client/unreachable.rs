//! No answer, or not one of a tower: what exactly failed, and what to do.

use std::error::Error as StdError;
use std::io;

use keyward_base::no_answer::{NoAnswer, Untrusted, causes as each_cause};

use crate::tower::TowerUrl;

/// Why there is no answer to work with.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no answer from {tower}: {what}")]
pub(crate) struct Unreachable {
    /// Which tower
    tower: String,
    /// What failed
    what: String,
    /// What to do
    pub(crate) remedy: String,
}

impl Unreachable {
    /// From what the HTTP client says: name, connection, TLS, time.
    pub(crate) fn from_error(error: &reqwest::Error, tower: &TowerUrl, has_ca: bool) -> Self {
        let no_answer = NoAnswer::of(error);
        let what = match &no_answer {
            NoAnswer::Certificate(Untrusted::OtherName) => {
                format!("TLS: its certificate is not for `{}`", tower.authority())
            }
            NoAnswer::Certificate(Untrusted::UnknownIssuer) if has_ca => {
                "TLS: its certificate is not signed by the given CA".to_owned()
            }
            NoAnswer::Certificate(Untrusted::UnknownIssuer) => {
                "TLS: its certificate is signed by a CA that this machine does not trust".to_owned()
            }
            other => other.to_string(),
        };
        let remedy = match &no_answer {
            NoAnswer::TimedOut => "check that the tower runs and that no firewall is between",
            NoAnswer::Name(_) => "check the host name in --tower",
            NoAnswer::NothingListens | NoAnswer::Unconnected(_) | NoAnswer::TlsClosed => {
                "check that the tower runs, and --tower or KEYWARD_TOWER"
            }
            NoAnswer::Closed => "look into the tower's log",
            NoAnswer::NotTls => "check host and port in --tower, or whether it is http://",
            NoAnswer::Broken(_) => "check that --tower is the URL of a control tower, with https://",
            other => other.remedy().unwrap_or("pass the CA of this tower, for example --ca tower-data/ca.pem"),
        };
        Self { tower: tower.to_string(), what, remedy: remedy.to_owned() }
    }

    /// The connection broke while the answer was read.
    pub(crate) fn cut(error: &io::Error, tower: &TowerUrl) -> Self {
        Self {
            tower: tower.to_string(),
            what: format!("the answer broke off: {}", causes(error)),
            remedy: "what was asked for may have been done: look with supctl show".to_owned(),
        }
    }

    /// Something answered that is not a tower.
    pub(crate) fn foreign(tower: &TowerUrl, what: impl Into<String>) -> Self {
        Self {
            tower: tower.to_string(),
            what: what.into(),
            remedy: "check that --tower is the URL of a control tower".to_owned(),
        }
    }
}

/// An error with all its causes.
pub(crate) fn causes(error: &(dyn StdError + 'static)) -> String {
    each_cause(error)
        .skip(1)
        .map(ToString::to_string)
        .fold(error.to_string(), |text, inner| if text.ends_with(&inner) { text } else { format!("{text}: {inner}") })
}
