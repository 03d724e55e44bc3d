//! Why an HTTPS request got no answer: what a person at the other end of the line wants to know.

use std::error::Error as StdError;
use std::io;

use rustls::{AlertDescription, CertificateError};

/// What failed. The text says what, without the URL, which whoever asked knows; what to do depends on the program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoAnswer {
    /// No answer in time.
    #[error("it took too long")]
    TimedOut,
    /// The host has no address.
    #[error("its name cannot be resolved: {0}")]
    Name(String),
    /// There is a machine, and no program.
    #[error("connection refused: nothing listens there")]
    NothingListens,
    /// There is no way to it.
    #[error("cannot connect: {0}")]
    Unconnected(String),
    /// It hung up while TLS was being agreed on.
    #[error("TLS: the other side closed the connection")]
    TlsClosed,
    /// It speaks something else.
    #[error("TLS: the other side does not speak it")]
    NotTls,
    /// Its certificate is somebody else's.
    #[error("TLS: its certificate is for another name")]
    OtherName,
    /// Its certificate was valid.
    #[error("TLS: its certificate expired")]
    Expired,
    /// Its certificate will be valid.
    #[error("TLS: its certificate is not valid yet")]
    NotYetValid,
    /// No authority that is trusted signed its certificate.
    #[error("TLS: no authority that is trusted stands behind its certificate")]
    UnknownIssuer,
    /// Something else is wrong with its certificate.
    #[error("TLS: its certificate is refused: {0}")]
    Certificate(String),
    /// It refuses the certificate that was shown to it, or that none was.
    #[error("TLS: the other side refuses the client certificate ({0})")]
    ClientCertificate(String),
    /// TLS failed otherwise.
    #[error("TLS: {0}")]
    Tls(String),
    /// It hung up instead of answering.
    #[error("it closed the connection without an answer")]
    Closed,
    /// Something else.
    #[error("the connection broke: {0}")]
    Broken(String),
}

impl NoAnswer {
    /// From what the HTTP client says.
    #[must_use]
    pub fn of(error: &reqwest::Error) -> Self {
        if let Some(tls) = find::<rustls::Error>(error) {
            return Self::tls(tls);
        }
        match io_kind(error) {
            _ if error.is_timeout() => Self::TimedOut,
            _ if error.is_dns() => Self::Name(innermost(error)),
            Some(io::ErrorKind::ConnectionRefused) if error.is_connect() => Self::NothingListens,
            Some(io::ErrorKind::UnexpectedEof) if error.is_connect() => Self::TlsClosed,
            _ if error.is_connect() => Self::Unconnected(innermost(error)),
            Some(io::ErrorKind::UnexpectedEof) => Self::Closed,
            _ => Self::Broken(innermost(error)),
        }
    }

    fn tls(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(reason) => match reason {
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Self::OtherName,
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
                CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownIssuer,
                other => Self::Certificate(other.to_string()),
            },
            rustls::Error::InvalidMessage(_) => Self::NotTls,
            rustls::Error::AlertReceived(alert) => match alert {
                AlertDescription::CertificateExpired => Self::ClientCertificate("it expired".to_owned()),
                AlertDescription::CertificateRevoked => Self::ClientCertificate("it was revoked".to_owned()),
                AlertDescription::CertificateRequired => Self::ClientCertificate("there is none".to_owned()),
                AlertDescription::BadCertificate
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::UnknownCA => Self::ClientCertificate(format!("{alert:?}")),
                other => Self::Tls(format!("the other side ended the handshake: {other:?}")),
            },
            other => Self::Tls(other.to_string()),
        }
    }
}

/// The first cause of this type. An `io::Error` hides what it wraps from `source`, so it is opened.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    causes(error).find_map(<dyn StdError>::downcast_ref)
}

/// The kind of the innermost `io::Error`: the outer ones wrap it as `Other`.
fn io_kind(error: &(dyn StdError + 'static)) -> Option<io::ErrorKind> {
    causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).last().map(io::Error::kind)
}

fn innermost(error: &(dyn StdError + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

/// The error and what caused it, one behind the other, those in an [`io::Error`] included.
pub fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped as &(dyn StdError + 'static)),
        None => error.source(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tls_says_is_told_apart() {
        let shown = |error: rustls::Error| NoAnswer::tls(&error).to_string();
        assert_eq!(shown(CertificateError::Expired.into()), "TLS: its certificate expired");
        assert_eq!(
            shown(CertificateError::BadSignature.into()),
            "TLS: no authority that is trusted stands behind its certificate"
        );
        assert_eq!(
            shown(rustls::Error::AlertReceived(AlertDescription::CertificateExpired)),
            "TLS: the other side refuses the client certificate (it expired)"
        );
        assert_eq!(shown(rustls::Error::HandshakeNotComplete), "TLS: handshake not complete");
    }

    #[test]
    fn causes_inside_of_io_errors_are_found() {
        let error = io::Error::other(io::Error::new(io::ErrorKind::ConnectionRefused, "no"));
        assert_eq!((io_kind(&error), innermost(&error)), (Some(io::ErrorKind::ConnectionRefused), "no".to_owned()));
        let error = io::Error::other(rustls::Error::DecryptError);
        assert_eq!(find::<rustls::Error>(&error), Some(&rustls::Error::DecryptError));
    }
}
