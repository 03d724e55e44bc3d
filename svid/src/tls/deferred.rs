//! Asking for a certificate in the handshake, and judging it after.

use rustls::DistinguishedName;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::possession::verify_possession;

/// For servers most of whose clients have no SVID: asks for a certificate, demands none unless told to, and
/// takes any.
///
/// The handshake proves that the client holds the leaf's key, **and nothing else**: anybody makes a certificate with
/// anybody's ID in it. Whoever lets the chain count verifies it first, where it counts, with
/// [`X509Verifier::verify_with`](crate::X509Verifier::verify_with) and `connection.peer_certificates()`. Sessions are to
/// be resumed no more than elsewhere: see [`server_config`](super::server_config).
#[derive(Debug, Clone)]
pub struct DeferredVerifier {
    hints: Vec<DistinguishedName>,
    algorithms: WebPkiSupportedAlgorithms,
    demands: bool,
}

impl DeferredVerifier {
    /// The most bytes of hints that are sent to each client.
    pub const MAX_HINT_BYTES: usize = 16 << 10;

    /// A verifier that hints at authorities by their subjects, each a DER `Name` (RFC 8446 §4.2.4): clients with several
    /// certificates choose by it, and browsers show no others. Beyond [`MAX_HINT_BYTES`](Self::MAX_HINT_BYTES) none is
    /// sent, which means any.
    pub fn new(provider: &CryptoProvider, hints: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let hints: Vec<Vec<u8>> = hints.into_iter().collect();
        let bytes: usize = hints.iter().map(|hint| hint.len() + 2).sum();
        let hints = if bytes > Self::MAX_HINT_BYTES { Vec::new() } else { hints };
        Self {
            hints: hints.into_iter().map(DistinguishedName::from).collect(),
            algorithms: provider.signature_verification_algorithms,
            demands: false,
        }
    }

    /// The same, and a handshake without a certificate fails. Any will still do.
    #[must_use]
    pub fn demanding(self) -> Self {
        Self { demands: true, ..self }
    }
}

impl ClientCertVerifier for DeferredVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.demands
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    verify_possession!();
}
