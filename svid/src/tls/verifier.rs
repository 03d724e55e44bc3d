//! Verifying the other side in the handshake.

use keyward_spiffe_id::SpiffeId;
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CommonState, DistinguishedName};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use time::OffsetDateTime;

use super::error::Error;
use super::peers::Peers;
use super::possession::verify_possession;
use super::source::SvidSource;
use crate::x509::{X509Svid, X509Verifier, X509VerifyOptions, peek_id};

/// Verifies servers for a client and clients for a server: an X.509-SVID under the bundle of its own trust domain, of
/// one of the [`Peers`].
#[derive(Debug, Clone)]
pub struct PeerVerifier {
    source: SvidSource,
    peers: Peers,
    verifier: X509Verifier,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PeerVerifier {
    /// A verifier with the bundles that the source has when it is asked.
    pub fn new(source: SvidSource, peers: Peers, options: X509VerifyOptions) -> Self {
        let algorithms = source.provider().signature_verification_algorithms;
        Self { source, peers, verifier: X509Verifier::new(options), algorithms }
    }

    /// Verifies a chain, as it was or will be in a handshake.
    ///
    /// # Errors
    /// [`Error::Svid`] and [`Error::NotAllowed`].
    pub fn verify(&self, chain: &[CertificateDer<'_>], now: OffsetDateTime) -> Result<X509Svid, Error> {
        if chain.is_empty() {
            return Err(Error::NoCertificate);
        }
        let material = self.source.material();
        let svid = self.verifier.verify_with(chain, |trust_domain| material.bundle(trust_domain), now)?;
        if self.peers.allow(svid.id()) { Ok(svid) } else { Err(Error::NotAllowed { id: svid.id().clone() }) }
    }

    /// Verifies the peer of a connection again, with the bundles of now: for connections that stand longer than an SVID
    /// lives, or when a bundle changed.
    ///
    /// # Errors
    /// [`Error::NoCertificate`], and as [`verify`](Self::verify).
    pub fn verify_connection(&self, connection: &CommonState, now: OffsetDateTime) -> Result<X509Svid, Error> {
        self.verify(connection.peer_certificates().unwrap_or_default(), now)
    }

    fn check(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let chain: Vec<CertificateDer<'_>> =
            [leaf].into_iter().chain(intermediates).map(|one| CertificateDer::from(one.as_ref())).collect();
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        // A clock beyond the year 9999 is after everything.
        let now = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(time::PrimitiveDateTime::MAX.assume_utc());
        self.verify(&chain, now).map(drop).map_err(Into::into)
    }
}

/// The ID of the peer of a connection that was made with a [`PeerVerifier`], as of the handshake. `None` when it showed
/// no certificate, or the handshake is not over.
///
/// This reads what the handshake verified; it verifies nothing. With any other verifier, above all the
/// [`DeferredVerifier`](super::DeferredVerifier), it says what the peer claims, no more.
pub fn peer_id(connection: &CommonState) -> Option<SpiffeId> {
    if connection.is_handshaking() {
        return None;
    }
    peek_id(connection.peer_certificates()?.first()?).ok()
}

impl ServerCertVerifier for PeerVerifier {
    /// The server name is not looked at.
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.check(leaf, intermediates, now).map(|()| ServerCertVerified::assertion())
    }

    verify_possession!();
}

impl ClientCertVerifier for PeerVerifier {
    /// None: a client has one SVID, and SVIDs are not told apart by the subjects of their issuers.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.check(leaf, intermediates, now).map(|()| ClientCertVerified::assertion())
    }

    verify_possession!();
}
