//! Why an HTTPS request got no answer: what a person at the other end of the line wants to know.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{AlertDescription, CertificateError};
use time::OffsetDateTime;

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
    /// Its certificate is not to be trusted.
    #[error("TLS: its certificate {0}")]
    Certificate(Untrusted),
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
    /// What to do about the other side, a tower, where that does not depend on who asks.
    #[must_use]
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Certificate(untrusted) => untrusted.remedy(),
            _ => None,
        }
    }

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
            rustls::Error::InvalidCertificate(reason) => Self::Certificate(Untrusted::of(reason)),
            rustls::Error::InvalidMessage(_) => Self::NotTls,
            rustls::Error::AlertReceived(alert) => match alert {
                AlertDescription::CertificateExpired => Self::ClientCertificate("it expired".to_owned()),
                AlertDescription::CertificateRevoked => Self::ClientCertificate("it was revoked".to_owned()),
                AlertDescription::CertificateRequired => Self::ClientCertificate("there is none".to_owned()),
                AlertDescription::BadCertificate
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::UnknownCA => Self::ClientCertificate(words(&format!("{alert:?}"))),
                other => Self::Tls(format!("the other side ended the handshake: {}", words(&format!("{other:?}")))),
            },
            other => Self::Tls(other.to_string()),
        }
    }
}

/// What is wrong with the certificate of a server; continues a sentence that begins with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Untrusted {
    /// It is somebody else's.
    #[error("is for another name")]
    OtherName,
    /// It is nobody's: what stands in its subject alone counts no more (RFC 9525 §4.1).
    #[error("has no name of a server (no subjectAltName)")]
    NoName,
    /// It was valid.
    #[error("expired")]
    Expired,
    /// It will be valid.
    #[error("is not valid yet")]
    NotYetValid,
    /// No authority that is trusted signed it.
    #[error("was signed by no authority that is trusted")]
    UnknownIssuer,
    /// It is one to sign others with, and not one to be shown by a server (RFC 5280 §4.2.1.9).
    #[error("is an authority's own (CA:TRUE), and none for a server")]
    Authority,
    /// It is for something else.
    #[error("is not one for servers (its extended key usage lacks serverAuth)")]
    Purpose,
    /// It is of a time before extensions, names among them.
    #[error("is of X.509 version 1, which has no names of servers")]
    Version,
    /// One of those that signed it may not.
    #[error("was signed by one that is no authority, or not for so long a chain")]
    Issuer,
    /// It is signed in a way that nobody should trust.
    #[error("is signed with an algorithm that is not accepted")]
    Algorithm,
    /// It was revoked.
    #[error("was revoked")]
    Revoked,
    /// It cannot be read.
    #[error("cannot be read")]
    Malformed,
    /// Something else.
    #[error("is refused: {0}")]
    Other(String),
}

impl Untrusted {
    /// From what rustls says.
    #[must_use]
    pub fn of(error: &CertificateError) -> Self {
        match error {
            CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => Self::NoName,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Self::OtherName,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownIssuer,
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => Self::Purpose,
            CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => Self::Algorithm,
            CertificateError::Revoked => Self::Revoked,
            CertificateError::BadEncoding => Self::Malformed,
            // What rustls has no name for is webpki's.
            CertificateError::Other(other) => match other.0.downcast_ref::<webpki::Error>() {
                Some(webpki::Error::CaUsedAsEndEntity) => Self::Authority,
                Some(webpki::Error::EndEntityUsedAsCa | webpki::Error::PathLenConstraintViolated) => Self::Issuer,
                Some(webpki::Error::UnsupportedCertVersion) => Self::Version,
                Some(error) => Self::Other(words(&format!("{error:?}"))),
                None => Self::Other(other.0.to_string()),
            },
            other => Self::Other(words(&format!("{other:?}"))),
        }
    }

    /// What clients will say to a server that shows this certificate, whoever signed it and whatever they call the server.
    #[must_use]
    pub fn foreseen(certificate: &CertificateDer<'_>, now: OffsetDateTime) -> Option<Self> {
        let at = UnixTime::since_unix_epoch(Duration::from_secs(now.unix_timestamp().try_into().unwrap_or_default()));
        // Without an authority nothing is verified, and what the certificate itself says is looked at first.
        let usage = webpki::KeyUsage::server_auth();
        let error = webpki::EndEntityCert::try_from(certificate)
            .and_then(|leaf| leaf.verify_for_usage(&[], &[], &[], at, usage, None, None).map(drop))
            .err()?;
        match error {
            webpki::Error::CaUsedAsEndEntity => Some(Self::Authority),
            webpki::Error::UnsupportedCertVersion => Some(Self::Version),
            webpki::Error::CertExpired { .. } => Some(Self::Expired),
            webpki::Error::CertNotValidYet { .. } => Some(Self::NotYetValid),
            webpki::Error::RequiredEkuNotFoundContext(_) => Some(Self::Purpose),
            _ => None,
        }
    }

    /// What to do where the server is a tower, and that does not depend on who asks.
    #[must_use]
    pub fn remedy(&self) -> Option<&'static str> {
        Some(match self {
            Self::OtherName => {
                "use a name that the certificate has, or start the tower with --external-url, whose name its own certificate gets"
            }
            Self::Expired => "check the clocks of both machines, or give the tower a new certificate",
            Self::NotYetValid => "check the clocks of both machines",
            Self::UnknownIssuer => return None,
            _ => {
                "give the tower a --tls-cert that is made for servers, with CA:FALSE and its name as subjectAltName; without --tls-cert it makes one"
            }
        })
    }
}

/// The name of a variant as words.
fn words(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 8);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && words.ends_with(|before: char| before.is_ascii_lowercase()) {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
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
            "TLS: its certificate was signed by no authority that is trusted"
        );
        assert_eq!(
            shown(rustls::Error::AlertReceived(AlertDescription::CertificateExpired)),
            "TLS: the other side refuses the client certificate (it expired)"
        );
        assert_eq!(
            shown(rustls::Error::AlertReceived(AlertDescription::HandshakeFailure)),
            "TLS: the other side ended the handshake: handshake failure"
        );
        assert_eq!(shown(rustls::Error::HandshakeNotComplete), "TLS: handshake not complete");
    }

    /// As rustls wraps what only webpki has a name for.
    fn unnamed(error: webpki::Error) -> Untrusted {
        Untrusted::of(&CertificateError::Other(rustls::OtherError(std::sync::Arc::new(error))))
    }

    #[test]
    fn what_is_wrong_with_a_certificate_is_said_in_words_with_what_to_do() {
        for error in [
            webpki::Error::CaUsedAsEndEntity,
            webpki::Error::UnsupportedCertVersion,
            webpki::Error::PathLenConstraintViolated,
            webpki::Error::UnsupportedCriticalExtension,
            webpki::Error::NameConstraintViolation,
        ] {
            let untrusted = unnamed(error.clone());
            let text = format!("{untrusted}; {}", untrusted.remedy().unwrap());
            assert!(!text.contains(&format!("{error:?}")) && !text.contains("Other"), "{text}");
            assert!(text.contains("--tls-cert"), "{text}");
        }
        let authority = unnamed(webpki::Error::CaUsedAsEndEntity);
        assert_eq!(authority.to_string(), "is an authority's own (CA:TRUE), and none for a server");
        assert_eq!(
            unnamed(webpki::Error::NameConstraintViolation).to_string(),
            "is refused: name constraint violation"
        );
        let expected = rustls::pki_types::ServerName::try_from("tower.example").unwrap();
        let nameless = CertificateError::NotValidForNameContext { expected, presented: vec![] };
        assert_eq!(Untrusted::of(&nameless).to_string(), "has no name of a server (no subjectAltName)");
    }

    #[test]
    fn what_clients_will_say_is_foreseen() {
        let now = OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000);
        let made = |change: fn(&mut rcgen::CertificateParams)| {
            let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            change(&mut params);
            params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap()
        };
        let said = |change| Untrusted::foreseen(made(change).der(), now);
        assert_eq!(said(|_| ()), None);
        assert_eq!(said(|it| it.is_ca = rcgen::IsCa::ExplicitNoCa), None);
        let authority = |it: &mut rcgen::CertificateParams| {
            it.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        };
        assert_eq!(said(authority), Some(Untrusted::Authority));
        assert_eq!(said(|it| it.not_after = rcgen::date_time_ymd(2020, 1, 1)), Some(Untrusted::Expired));
        assert_eq!(said(|it| it.not_before = rcgen::date_time_ymd(3000, 1, 1)), Some(Untrusted::NotYetValid));
        let clients = |it: &mut rcgen::CertificateParams| {
            it.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        };
        assert_eq!(said(clients), Some(Untrusted::Purpose));
    }

    #[test]
    fn causes_inside_of_io_errors_are_found() {
        let error = io::Error::other(io::Error::new(io::ErrorKind::ConnectionRefused, "no"));
        assert_eq!((io_kind(&error), innermost(&error)), (Some(io::ErrorKind::ConnectionRefused), "no".to_owned()));
        let error = io::Error::other(rustls::Error::DecryptError);
        assert_eq!(find::<rustls::Error>(&error), Some(&rustls::Error::DecryptError));
    }
}
