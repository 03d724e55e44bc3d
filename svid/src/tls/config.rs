//! Configurations for rustls.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::server::NoServerSessionStorage;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ConfigBuilder, ServerConfig, SupportedProtocolVersion, WantsVerifier};

use super::peers::Peers;
use super::source::SvidSource;
use super::verifier::PeerVerifier;
use crate::x509::X509VerifyOptions;

/// A client's configuration: talks to `servers` alone, and shows the source's SVID where it is asked, if there is one.
///
/// # Errors
/// When the source's provider does not do TLS 1.3.
pub fn client_config(source: &SvidSource, servers: Peers) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(Arc::clone(source.provider()));
    let verifier = PeerVerifier::new(source.clone(), servers, X509VerifyOptions::default());
    let mut config = builder
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(source.clone()));
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    Ok(config)
}

/// A server's configuration: talks to `clients` alone, which must show an SVID.
///
/// # Errors
/// When the source's provider does not do TLS 1.3.
pub fn server_config(source: &SvidSource, clients: Peers) -> Result<ServerConfig, rustls::Error> {
    let verifier = PeerVerifier::new(source.clone(), clients, X509VerifyOptions::default());
    let builder = server_builder(source, &[&TLS13])?.with_client_cert_verifier(Arc::new(verifier));
    Ok(without_resumption(builder.with_cert_resolver(Arc::new(source.clone()))))
}

/// The configuration of a server that shows its SVID and asks nobody for one, as a bundle endpoint is (SPIFFE
/// Federation §5.2.2, `https_spiffe`). It does TLS 1.2 besides 1.3, as Mozilla's "intermediate" compatibility, which §5
/// demands of bundle endpoints, has it: nobody is verified here who could be verified wrongly.
///
/// # Errors
/// When the source's provider does neither.
pub fn open_server_config(source: &SvidSource) -> Result<ServerConfig, rustls::Error> {
    let builder = server_builder(source, &[&TLS13, &TLS12])?.with_no_client_auth();
    Ok(without_resumption(builder.with_cert_resolver(Arc::new(source.clone()))))
}

fn server_builder(
    source: &SvidSource,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<ConfigBuilder<ServerConfig, WantsVerifier>, rustls::Error> {
    ServerConfig::builder_with_provider(Arc::clone(source.provider())).with_protocol_versions(versions)
}

/// A session that is resumed skips the verification of the peer.
fn without_resumption(mut config: ServerConfig) -> ServerConfig {
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config
}
