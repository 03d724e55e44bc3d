//! Asking clients for a certificate without demanding one.

use std::sync::Arc;

use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};

/// The most bytes of names that are sent to clients. Beyond it none are, which means any (RFC 8446 §4.2.4; a list has at most
/// 2^16 bytes, and every client that connects is sent it).
const MOST: usize = 16 << 10;

/// Names of issuers, each a distinguished name in DER, shared with whoever found them out.
pub type Issuers = Arc<[Vec<u8>]>;

/// Takes any certificate, or none. The handshake proves possession of its key; whether it counts is decided where it is used,
/// by the keys and the clock of that moment.
#[derive(Debug)]
pub(super) struct Ask {
    issuers: Issuers,
    shown: Vec<DistinguishedName>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Ask {
    pub(super) fn new(issuers: Issuers, provider: &CryptoProvider) -> Self {
        let bytes: usize = issuers.iter().map(|name| name.len() + 2).sum();
        let shown = issuers.iter().filter(|_| bytes <= MOST).cloned().map(DistinguishedName::from).collect();
        Self { issuers, shown, algorithms: provider.signature_verification_algorithms }
    }

    pub(super) fn is_for(&self, issuers: &Issuers) -> bool {
        Arc::ptr_eq(&self.issuers, issuers) || self.issuers == *issuers
    }
}

impl ClientCertVerifier for Ask {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.shown
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
