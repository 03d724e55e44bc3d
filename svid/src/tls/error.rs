//! Why a peer is refused, or material is not taken.

use std::sync::Arc;

use keyward_keys::ErrorKind;
use keyward_spiffe_id::SpiffeId;
use rustls::{CertificateError, OtherError};

use crate::x509;

/// Why a peer is refused, or an SVID is not taken into a source. In a failed handshake it is found inside
/// `rustls::Error::InvalidCertificate(CertificateError::Other(_))`.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The peer showed no certificate.
    #[error("the peer showed no certificate")]
    NoCertificate,
    /// The certificates make no SVID that could be verified.
    #[error("the X.509-SVID is refused")]
    Svid(#[from] x509::Error),
    /// The peer is who it says, and is not the one to talk to.
    #[error("`{id}` is not among the peers allowed")]
    NotAllowed {
        /// Who the peer is.
        id: SpiffeId,
    },
    /// The key cannot be used, or is not that of the certificate.
    #[error("the private key cannot be used")]
    PrivateKey(#[source] rustls::Error),
}

impl Error {
    /// Whose fault it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoCertificate | Self::NotAllowed { .. } => ErrorKind::Refused,
            Self::Svid(error) => error.kind(),
            Self::PrivateKey(_) => ErrorKind::Misconfigured,
        }
    }
}

impl From<Error> for rustls::Error {
    fn from(error: Error) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_kinds() {
        for (error, text, kind) in [
            (Error::NoCertificate, "the peer showed no certificate", ErrorKind::Refused),
            (Error::Svid(x509::Error::Empty), "the X.509-SVID is refused", ErrorKind::Malformed),
            (
                Error::NotAllowed { id: "spiffe://td/a".parse().unwrap() },
                "`spiffe://td/a` is not among the peers allowed",
                ErrorKind::Refused,
            ),
            (
                Error::PrivateKey(rustls::Error::General("any".into())),
                "the private key cannot be used",
                ErrorKind::Misconfigured,
            ),
        ] {
            assert_eq!(error.to_string(), text);
            assert_eq!(error.kind(), kind);
        }
        let inside = rustls::Error::from(Error::NoCertificate).to_string();
        assert!(inside.contains("NoCertificate"), "{inside}");
    }
}
