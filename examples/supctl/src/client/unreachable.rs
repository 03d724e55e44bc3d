//! No answer, or not one of a tower: what exactly failed, and what to do.

use std::error::Error as StdError;
use std::io;

use rustls::CertificateError;

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
        let (what, remedy) = if let Some(tls) = find::<rustls::Error>(error) {
            tls_failure(tls, tower, has_ca)
        } else if error.is_timeout() {
            ("it took too long".to_owned(), "check that the tower runs and that no firewall is between".to_owned())
        } else if error.is_dns() {
            (format!("its name cannot be resolved: {}", innermost(error)), "check the host name in --tower".to_owned())
        } else if error.is_connect() {
            let what = match io_kind(error) {
                Some(io::ErrorKind::ConnectionRefused) => "connection refused: nothing listens there".to_owned(),
                Some(io::ErrorKind::UnexpectedEof) => "TLS: the other side closed the connection".to_owned(),
                _ => format!("cannot connect: {}", innermost(error)),
            };
            (what, "check that the tower runs, and --tower or KEYWARD_TOWER".to_owned())
        } else if io_kind(error) == Some(io::ErrorKind::UnexpectedEof) {
            ("it closed the connection without an answer".to_owned(), "look into the tower's log".to_owned())
        } else {
            (
                format!("the connection broke: {}", innermost(error)),
                "check that --tower is the URL of a control tower, with https://".to_owned(),
            )
        };
        Self { tower: tower.to_string(), what, remedy }
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

fn tls_failure(error: &rustls::Error, tower: &TowerUrl, has_ca: bool) -> (String, String) {
    let this_ca = "pass the CA of this tower, for example --ca tower-data/ca.pem";
    let (what, remedy) = match error {
        rustls::Error::InvalidCertificate(reason) => match reason {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
                format!("TLS: its certificate is not for `{}`", tower.authority()),
                "use a name that the certificate has, or start the tower with --external-url",
            ),
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                ("TLS: its certificate expired".to_owned(), "check the clocks of both machines, or restart the tower")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                ("TLS: its certificate is not valid yet".to_owned(), "check the clocks of both machines")
            }
            CertificateError::BadSignature if has_ca => {
                ("TLS: its certificate is not signed by the given CA".to_owned(), this_ca)
            }
            CertificateError::UnknownIssuer if has_ca => {
                ("TLS: its certificate is not signed by the given CA".to_owned(), this_ca)
            }
            CertificateError::UnknownIssuer => {
                ("TLS: its certificate is signed by a CA that this machine does not trust".to_owned(), this_ca)
            }
            other => (format!("TLS: its certificate is refused: {other}"), this_ca),
        },
        rustls::Error::InvalidMessage(_) => (
            "TLS: the other side does not speak it".to_owned(),
            "check host and port in --tower, or whether it is http://",
        ),
        other => (format!("TLS: {other}"), this_ca),
    };
    (what, remedy.to_owned())
}

/// The first cause of this type. An `io::Error` hides what it wraps from `source`, so it is opened.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        next = cause(error);
    }
    None
}

/// The kind of the innermost `io::Error`: the outer ones wrap it as `Other`.
fn io_kind(error: &(dyn StdError + 'static)) -> Option<io::ErrorKind> {
    let (mut kind, mut next) = (None, Some(error));
    while let Some(error) = next {
        kind = error.downcast_ref::<io::Error>().map(io::Error::kind).or(kind);
        next = cause(error);
    }
    kind
}

fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(inner) = cause(last) {
        last = inner;
    }
    last.to_string()
}

fn cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

/// An error with all its causes.
pub(crate) fn causes(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = cause(error);
    while let Some(inner) = next {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        next = cause(inner);
    }
    text
}
