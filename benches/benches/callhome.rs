//! Calling home: issuing a certificate with its key, beside what cannot be done without (a new key and one signature), and
//! deciding on one that is presented, beside the two verifications in it; and all that is decided of a host at the door, its
//! certificate request included, beside the TLS handshake that it comes with.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::disallowed_types)]

use std::hint::black_box;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use criterion::{Criterion, criterion_group, criterion_main};
use keyward_callhome_cert::{
    CallHomeSettings, CallHomeVerifier, Decision, HostHash, Knock, OnRecord, Order, Scope, decide,
};
use keyward_keys::{Algorithm, KeySigner, KeyType, PrivateKey, Signer as _};
use keyward_svid::X509Bundle;
use keyward_svid::x509::Purpose;
use keyward_svid::x509::authority::{Authority, AuthorityRequest, CertificateRequest, Subject};
use rand_core::CryptoRng;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::{ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection};
use time::{Duration, OffsetDateTime};

fn signer() -> KeySigner {
    KeySigner::new(PrivateKey::generate(KeyType::EcdsaP256).unwrap(), Algorithm::Es256, None).unwrap()
}

fn authority(rng: &mut impl CryptoRng, now: OffsetDateTime) -> Authority<KeySigner> {
    let signer = signer();
    let public_key = signer.public_key().clone();
    let mut request =
        AuthorityRequest::new("tower.example.org".parse().unwrap(), Subject::default(), now + Duration::days(90));
    (request.purpose, request.path_len) = (Purpose::Client, Some(0));
    Authority::self_signed(signer, &public_key, &request, rng, now).unwrap()
}

fn callhome(criterion: &mut Criterion) {
    let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let authority = authority(&mut rng, now);
    let host = HostHash::of(&"4c4c4544-0051-3510-8052-b4c04f4a3132".parse().unwrap());
    let order = Order::new(Scope::Host(host.clone()));
    let (certificate, entry) = order.issue_with_key(&authority, &mut rng, now).unwrap();
    let tbs = certificate.svid().chain().first().unwrap().to_vec();

    let mut group = criterion.benchmark_group("callhome/issue");
    let random = SystemRandom::new();
    let raw = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    group.bench_function("raw key and signature", |bencher| {
        bencher.iter(|| {
            black_box(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap());
            raw.sign(&random, black_box(&tbs)).unwrap()
        });
    });
    group.bench_function("keyward", |bencher| {
        bencher.iter(|| black_box(&order).issue_with_key(&authority, &mut rng, now).unwrap());
    });
    group.finish();

    let bundle = X509Bundle::new("tower.example.org".parse().unwrap(), [authority.certificate().clone()]).unwrap();
    let settings = CallHomeSettings::default();
    let signature = authority.signer().sign(&tbs).unwrap();
    let mut group = criterion.benchmark_group("callhome/admit");
    group.bench_function("raw verification", |bencher| {
        bencher.iter(|| {
            authority.signer().public_key().verify(Algorithm::Es256, black_box(&tbs), black_box(&signature)).unwrap()
        });
    });
    group.bench_function("keyward", |bencher| {
        bencher.iter(|| {
            // One that remembers nothing.
            let verifier = CallHomeVerifier::new(bundle.clone());
            let presented = verifier.verify(black_box(certificate.svid().chain()), now).unwrap();
            let address = [192, 0, 2, 7].into();
            let knock = Knock { certificate: Some(&presented), ..Knock::new(&host, "thumbprint", address) };
            decide(&settings, &knock, OnRecord { entry: Some(&entry), ..OnRecord::default() }, now).unwrap()
        });
    });
    group.finish();
}

/// Both ends of a handshake in memory, in which both show a certificate and neither remembers a session.
struct Ends {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

#[derive(Debug)]
struct At(OffsetDateTime);

impl rustls::time_provider::TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(self.0.unix_timestamp().try_into().ok()?)))
    }
}

impl Ends {
    fn new(chain: &[CertificateDer<'static>], key: &PrivateKeyDer<'static>, ca: &[u8], now: OffsetDateTime) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let own_key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
        let (mut servers, mut clients) = (RootCertStore::empty(), RootCertStore::empty());
        servers.add(own.cert.der().clone()).unwrap();
        clients.add(ca.to_vec().into()).unwrap();
        let verifier =
            rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(clients), Arc::clone(&provider));
        let mut server = ServerConfig::builder_with_details(Arc::clone(&provider), Arc::new(At(now)))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(vec![own.cert.der().clone()], own_key)
            .unwrap();
        server.send_tls13_tickets = 0;
        let mut client = ClientConfig::builder_with_details(provider, Arc::new(At(now)))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(servers)
            .with_client_auth_cert(chain.to_vec(), key.clone_key())
            .unwrap();
        client.resumption = rustls::client::Resumption::disabled();
        Self { client: Arc::new(client), server: Arc::new(server) }
    }

    /// What the client showed.
    fn shake(&self) -> Vec<CertificateDer<'static>> {
        let client = ClientConnection::new(Arc::clone(&self.client), "localhost".try_into().unwrap()).unwrap();
        let mut client = Connection::from(client);
        let mut server = Connection::from(ServerConnection::new(Arc::clone(&self.server)).unwrap());
        let mut wire = Vec::new();
        while client.is_handshaking() || server.is_handshaking() {
            for turn in 0..2 {
                let (from, to) = if turn == 0 { (&mut client, &mut server) } else { (&mut server, &mut client) };
                wire.clear();
                while from.wants_write() {
                    from.write_tls(&mut wire).unwrap();
                }
                let mut left = wire.as_slice();
                while !left.is_empty() {
                    to.read_tls(&mut left).unwrap();
                    to.process_new_packets().unwrap();
                }
            }
        }
        server.peer_certificates().unwrap().iter().map(|one| one.clone().into_owned()).collect()
    }
}

/// A host that nobody knows, from its first packet to the record that is to be stored.
fn door(criterion: &mut Criterion) {
    // Its certificate is from now; the one of the server is rcgen's, from 1975 on.
    let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let authority = authority(&mut rng, now);
    let host = HostHash::of(&"4c4c4544-0051-3510-8052-b4c04f4a3132".parse().unwrap());
    let (certificate, entry) = Order::new(Scope::Host(host.clone())).issue_with_key(&authority, &mut rng, now).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(certificate.key_der().unwrap().to_vec()));
    let ends = Ends::new(certificate.svid().chain(), &key, authority.certificate(), now);
    let own = signer();
    let request = CertificateRequest::sign(&own, own.public_key(), None, [""; 0]).unwrap().to_pem();
    let bundle = X509Bundle::new("tower.example.org".parse().unwrap(), [authority.certificate().clone()]).unwrap();
    let settings = CallHomeSettings::default();

    let mut group = criterion.benchmark_group("callhome/door");
    group.bench_function("raw handshake", |bencher| bencher.iter(|| ends.shake()));
    group.bench_function("keyward, the handshake included", |bencher| {
        bencher.iter(|| {
            let presented = CallHomeVerifier::new(bundle.clone()).verify(&ends.shake(), now).unwrap();
            let request = CertificateRequest::from_pem(&request).unwrap();
            let thumbprint = request.public_key().thumbprint();
            let knock =
                Knock { certificate: Some(&presented), ..Knock::new(&host, &thumbprint, [192, 0, 2, 7].into()) };
            let known = OnRecord { entry: Some(&entry), ..OnRecord::default() };
            match decide(&settings, &knock, known, now).unwrap() {
                Decision::Registered { record, .. } => record.to_record().unwrap(),
                other => panic!("{other:?}"),
            }
        });
    });
    group.finish();
}

criterion_group!(benches, callhome, door);
criterion_main!(benches);
