//! Two ends in one process.

use std::sync::Arc;

use keyward_svid::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use keyward_svid::tls::SvidSource;
use keyward_svid::tls::rustls::client::ClientConnection;
use keyward_svid::tls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use keyward_svid::tls::rustls::server::ServerConnection;
use keyward_svid::tls::rustls::time_provider::TimeProvider;
use keyward_svid::tls::rustls::{CertificateError, ClientConfig, Error, ServerConfig};
use keyward_svid::x509::X509Bundle;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};
use time::{Duration, OffsetDateTime};

pub(crate) const WEB: &str = "spiffe://td.example/web";
pub(crate) const DB: &str = "spiffe://td.example/db";

pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// The authority of a trust domain.
pub(crate) struct Domain {
    name: String,
    params: CertificateParams,
    key: KeyPair,
    certificate: CertificateDer<'static>,
}

fn params(id: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = now() - Duration::MINUTE;
    params.not_after = now() + Duration::HOUR;
    params.subject_alt_names = vec![SanType::URI(id.try_into().unwrap())];
    params
}

impl Domain {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = params(&format!("spiffe://{name}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { name: name.to_owned(), params, key, certificate }
    }

    pub(crate) fn bundle(&self) -> X509Bundle {
        X509Bundle::new(self.name.parse().unwrap(), [self.certificate.clone()]).unwrap()
    }

    pub(crate) fn issue(&self, id: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let mut params = params(id);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        let leaf = params.signed_by(&key, &issuer).unwrap().der().clone();
        (vec![leaf], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
    }

    /// A source with an SVID of this domain and its bundle.
    pub(crate) fn source(&self, id: &str) -> SvidSource {
        let source = SvidSource::new(provider());
        self.renew(&source, id);
        source.set_bundles([self.bundle()]);
        source
    }

    pub(crate) fn renew(&self, source: &SvidSource, id: &str) {
        let (chain, key) = self.issue(id);
        source.set_svid(chain, key).unwrap();
    }
}

#[derive(Debug)]
struct Standing(OffsetDateTime);

impl TimeProvider for Standing {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.unix_timestamp()).unwrap();
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
    }
}

pub(crate) struct Ends {
    pub(crate) client: ClientConnection,
    pub(crate) server: ServerConnection,
}

/// A handshake to its end, or what the end that refused says.
pub(crate) fn connect(client: &ClientConfig, server: &ServerConfig) -> Result<Ends, Error> {
    connect_at(client, server, now())
}

pub(crate) fn connect_at(client: &ClientConfig, server: &ServerConfig, now: OffsetDateTime) -> Result<Ends, Error> {
    let (mut client, mut server) = (client.clone(), server.clone());
    client.time_provider = Arc::new(Standing(now));
    server.time_provider = Arc::new(Standing(now));
    let name = ServerName::try_from("name.of.nobody").unwrap();
    let client = ClientConnection::new(Arc::new(client), name).unwrap();
    let server = ServerConnection::new(Arc::new(server)).unwrap();
    let mut ends = Ends { client, server };
    // The client is done before the server has judged its certificate: go on until nobody has anything to say.
    for _ in 0..10 {
        let mut wire = Vec::new();
        while ends.client.wants_write() {
            ends.client.write_tls(&mut wire).unwrap();
        }
        ends.server.read_tls(&mut wire.as_slice()).unwrap();
        ends.server.process_new_packets()?;
        let mut wire = Vec::new();
        while ends.server.wants_write() {
            ends.server.write_tls(&mut wire).unwrap();
        }
        ends.client.read_tls(&mut wire.as_slice()).unwrap();
        ends.client.process_new_packets()?;
    }
    assert!(!ends.client.is_handshaking() && !ends.server.is_handshaking());
    Ok(ends)
}

/// What our verifier said.
pub(crate) fn refusal(result: Result<Ends, Error>) -> keyward_svid::tls::Error {
    match result.err() {
        Some(Error::InvalidCertificate(CertificateError::Other(other))) => {
            other.0.downcast_ref::<keyward_svid::tls::Error>().unwrap().clone()
        }
        other => panic!("{other:?}"),
    }
}
