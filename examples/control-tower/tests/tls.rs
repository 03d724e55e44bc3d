//! The API's certificates, and the listener that serves them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::disallowed_methods)]

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::ConnectInfo,
    routing::{get, post},
};
use control_tower::{
    clock::Clock,
    config::{ExternalUrl, TlsFiles},
    server::{self, ClientChain, Drain, Front, Limits, Rules},
    store::{Memory, Store},
    tls::{Authority, Demand, Tls},
};
use keyward_transit::{Kek, KekSet};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use time::{OffsetDateTime, macros::datetime};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

const START: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

fn keks() -> KekSet {
    KekSet::new(Kek::from_bytes(1, &[7; 32]).unwrap())
}

fn external(host: &str) -> ExternalUrl {
    format!("https://{host}").parse().unwrap()
}

fn client(ca: &str) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Does the chain verify for the name at a time, as a client sees it?
fn verifies(tls: &Tls, ca: &str, name: &str, at: OffsetDateTime) -> bool {
    use rustls::client::{WebPkiServerVerifier, danger::ServerCertVerifier};
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let at = rustls::pki_types::UnixTime::since_unix_epoch(Duration::from_secs(at.unix_timestamp() as u64));
    let chain = tls.chain();
    verifier.verify_server_cert(&chain[0], &chain[1..], &ServerName::try_from(name).unwrap(), &[], at).is_ok()
}

#[tokio::test]
async fn the_authority_is_stored_sealed_and_shared() {
    let store = Memory::new();
    let keks = keks();
    let (one, other) =
        tokio::join!(Authority::load_or_create(&store, &keks, START), Authority::load_or_create(&store, &keks, START),);
    let ca = one.unwrap().certificate_pem();
    assert_eq!(other.unwrap().certificate_pem(), ca);
    let stored = store.range("", None, 10, None).await.unwrap();
    assert_eq!(stored.len(), 1);
    assert!(!stored[0].value.windows(5).any(|bytes| bytes == b"\"key\""), "sealed");
    assert!(
        Authority::load_or_create(&store, &KekSet::new(Kek::from_bytes(1, &[8; 32]).unwrap()), START).await.is_err()
    );

    // Near its end there is a new certificate for the same key, and the old one is trusted until it ends.
    let later = START + time::Duration::days(9 * 365);
    let renewed = Authority::load_or_create(&store, &keks, later).await.unwrap();
    let new_ca = renewed.certificate_pem();
    assert_ne!(new_ca, ca);
    let tls = Tls::from_authority(renewed, external("tower.example.com"), later).unwrap();
    assert!(verifies(&tls, &ca, "localhost", later) && verifies(&tls, &new_ca, "localhost", later));
}

#[tokio::test]
async fn own_certificates_carry_every_name_and_are_renewed() {
    let store = Memory::new();
    let authority = Authority::load_or_create(&store, &keks(), START).await.unwrap();
    let tls = Tls::from_authority(authority, external("tower.example.com"), START).unwrap();
    let ca = tls.ca_pem().unwrap();
    for name in ["localhost", "127.0.0.1", "::1", "tower.example.com"] {
        assert!(verifies(&tls, &ca, name, START), "{name}");
    }
    assert!(!verifies(&tls, &ca, "example.com", START));
    let first = tls.chain();
    assert!(!tls.refresh(START + time::Duration::days(59)).unwrap());
    assert_eq!(tls.chain(), first);
    let late = START + time::Duration::days(61);
    assert!(tls.refresh(late).unwrap());
    assert_ne!(tls.chain(), first);
    assert!(verifies(&tls, &ca, "localhost", late + time::Duration::days(80)));
    assert!(!tls.refresh(late).unwrap());
    // A clock that was wrong by years, and was set right.
    assert!(tls.refresh(START - time::Duration::days(1)).unwrap());

    let authority = Authority::load_or_create(&store, &keks(), START).await.unwrap();
    let address = Tls::from_authority(authority, "https://[2001:db8::7]:1".parse().unwrap(), START).unwrap();
    assert!(verifies(&address, &ca, "2001:db8::7", START) && verifies(&address, &ca, "localhost", START));
}

/// Writes a self-signed certificate and its key, and answers the certificate.
fn write_pair(files: &TlsFiles) -> String {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(&files.cert, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    made.cert.pem()
}

#[test]
fn the_operators_files_are_read_again_when_they_change() {
    let dir = tempfile::tempdir().unwrap();
    let files = TlsFiles { cert: dir.path().join("cert.pem"), key: dir.path().join("key.pem") };
    let in_form = |path: &Path, problem: &str| format!("`{}`: {problem}", path.display());
    std::fs::write(&files.cert, "").unwrap();
    std::fs::write(&files.key, "").unwrap();
    let error = Tls::from_files(files.clone()).unwrap_err().to_string();
    assert_eq!(error, in_form(&files.cert, "holds no certificate in PEM form"));
    let first = write_pair(&files);
    let tls = Tls::from_files(files.clone()).unwrap();
    assert_eq!(tls.ca_pem(), None);
    assert!(!tls.refresh(START).unwrap());
    let served = |pem: &str| tls.chain() == [CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()];
    assert!(served(&first));

    // Half replaced: the present pair stays until the other half comes.
    let old_key = std::fs::read(&files.key).unwrap();
    let second = write_pair(&files);
    let new_key = std::fs::read(&files.key).unwrap();
    std::fs::write(&files.key, old_key).unwrap();
    let error = tls.refresh(START).unwrap_err().to_string();
    assert!(error.contains("do not belong together"), "{error}");
    assert!(served(&first));
    std::fs::write(&files.key, new_key).unwrap();
    assert!(tls.refresh(START).unwrap());
    assert!(served(&second));
    std::fs::remove_file(&files.key).unwrap();
    assert!(tls.refresh(START).is_err());
    assert!(served(&second));
}

/// A running server.
struct Running {
    address: SocketAddr,
    ca: String,
    stop: Option<oneshot::Sender<()>>,
    ended: tokio::task::JoinHandle<Drain>,
}

async fn start(router: Router, limits: Limits) -> Running {
    let store = Memory::new();
    let now = Clock::system().now();
    let authority = Authority::load_or_create(&store, &keks(), now).await.unwrap();
    let tls = Tls::from_authority(authority, ExternalUrl::localhost(1), now).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let trusted = vec!["127.0.0.0/8".parse().unwrap()];
    let serving = server::serve(listener, tls.server_config(), router, limits, trusted, async { drop(stopped.await) });
    Running { address, ca: tls.ca_pem().unwrap(), stop: Some(stop), ended: tokio::spawn(serving) }
}

impl Running {
    async fn connect(&self) -> tokio_rustls::client::TlsStream<TcpStream> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(client(&self.ca)));
        connector.connect("localhost".try_into().unwrap(), stream).await.unwrap()
    }

    /// Sends a text and reads until the server closes.
    async fn exchange(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        // A server that cuts off need not take all of it, nor say goodbye.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    async fn stop(&mut self) -> Drain {
        self.stop.take().unwrap().send(()).unwrap();
        (&mut self.ended).await.unwrap()
    }
}

fn router() -> Router {
    Router::new()
        .route("/who", get(|ConnectInfo(client): ConnectInfo<SocketAddr>| async move { client.ip().to_string() }))
        .route("/length", post(|body: Bytes| async move { body.len().to_string() }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_served_with_the_clients_address() {
    let mut server = start(router(), Limits::default()).await;
    let answer = server.exchange("GET /who HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("127.0.0.1"), "{answer}");
    let forwarded = "GET /who HTTP/1.1\r\nhost: x\r\nx-forwarded-for: 192.0.2.9\r\nconnection: close\r\n\r\n";
    assert!(server.exchange(forwarded).await.ends_with("192.0.2.9"));
    assert_eq!(server.stop().await, Drain::Complete);
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_slow_and_the_many_are_bounded() {
    let mut limits = Limits::default();
    limits.connections = 2;
    limits.handshake = Duration::from_millis(500);
    limits.head = Duration::from_millis(500);
    limits.request = Duration::from_millis(500);
    let mut server = start(router(), limits).await;
    // A handshake that never begins, a head that never ends: closed, and their slots are free again.
    for _ in 0..3 {
        let mut silent = TcpStream::connect(server.address).await.unwrap();
        assert_eq!(silent.read(&mut [0; 1]).await.unwrap(), 0);
        assert_eq!(server.exchange("GET /who HTTP/1.1\r\nhost:").await, "");
    }
    // A body that never comes is told so.
    let answer = server.exchange("POST /length HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc").await;
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
    assert!(answer.ends_with(r#"{"errors":[{"error-message":"the request took too long","error-info":{}}]}"#));
    let long = format!("GET /who HTTP/1.1\r\nhost: x\r\nlong: {}\r\n\r\n", "x".repeat(300 << 10));
    assert!(server.exchange(&long).await.starts_with("HTTP/1.1 431 "));
    assert_eq!(server.stop().await, Drain::Complete);
}

/// A PROXY header of version 2: that a connection over IPv6 is of somebody (HAProxy, "The PROXY protocol", §2.2).
fn proxied(source: std::net::Ipv6Addr) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24".to_vec();
    header.extend(source.octets());
    header.extend([0; 15]);
    header.extend([1, 0, 1, 0x12, 0x34]);
    header
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_client_does_not_have_all_connections() {
    let tls = {
        let (store, now) = (Memory::new(), Clock::system().now());
        let authority = Authority::load_or_create(&store, &keks(), now).await.unwrap();
        Tls::from_authority(authority, ExternalUrl::localhost(1), now).unwrap()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let settings = serde_json::json!({"lb-addresses": ["127.0.0.0/8"], "proxy-protocol": "required"});
    let rules = Rules { proxied: Some(Arc::new(serde_json::from_value(settings).unwrap())), ..Rules::default() };
    let refused = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&refused);
    let front = Front::new(move || rules.clone(), move |source, code, _| seen.lock().unwrap().push((source, code)));
    let mut limits = Limits::default();
    limits.connections_of_one = 2;
    tokio::spawn(server::serve(listener, tls.server_config(), router(), limits, front, std::future::pending()));
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client(&tls.ca_pem().unwrap())));
    let connect = async |source: &str| {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(&proxied(source.parse().unwrap())).await?;
        connector.connect("localhost".try_into().unwrap(), stream).await
    };
    // Of one /64 two; then it is closed before TLS begins, while others come in.
    let first = connect("2001:db8::1").await.unwrap();
    let _second = connect("2001:db8::2").await.unwrap();
    assert!(connect("2001:db8::3").await.is_err());
    assert_eq!(*refused.lock().unwrap(), [("2001:db8::3".parse().unwrap(), "too-many-connections")]);
    let _other = connect("2001:db8:0:1::1").await.unwrap();
    // And once one is closed there is a place again.
    drop(first);
    while connect("2001:db8::3").await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn running_requests_are_finished_and_idle_connections_closed() {
    let (go, wait) = oneshot::channel::<()>();
    let (arrived, has_arrived) = oneshot::channel::<()>();
    let once = Arc::new(Mutex::new(Some((arrived, wait))));
    let router = router().route(
        "/slow",
        get(move || async move {
            let (arrived, wait) = once.lock().unwrap().take().unwrap();
            arrived.send(()).unwrap();
            wait.await.unwrap();
            "finished"
        }),
    );
    let mut server = start(router, Limits::default()).await;
    let mut idle = server.connect().await;
    idle.write_all(b"GET /who HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(idle.read(&mut [0; 1024]).await.unwrap() > 0);
    let handshaking = TcpStream::connect(server.address).await.unwrap();
    let mut busy = server.connect().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    has_arrived.await.unwrap();
    server.stop.take().unwrap().send(()).unwrap();
    // The idle one is closed at once, while the busy one still waits.
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap_or(0), 0);
    go.send(()).unwrap();
    let mut answer = Vec::new();
    let _ = busy.read_to_end(&mut answer).await;
    assert!(String::from_utf8(answer).unwrap().ends_with("finished"));
    assert_eq!((&mut server.ended).await.unwrap(), Drain::Complete);
    drop(handshaking);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_finish_is_cut_off() {
    let (arrived, has_arrived) = oneshot::channel::<()>();
    let once = Arc::new(Mutex::new(Some(arrived)));
    let router = Router::new().route(
        "/never",
        get(move || async move {
            once.lock().unwrap().take().unwrap().send(()).unwrap();
            std::future::pending::<()>().await;
        }),
    );
    let mut limits = Limits::default();
    limits.drain = Duration::from_millis(20);
    let mut server = start(router, limits).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /never HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    has_arrived.await.unwrap();
    assert_eq!(server.stop().await, Drain::CutOff(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_was_asked_for_reaches_the_handler_unless_it_is_a_proxys() {
    let store = Memory::new();
    let now = Clock::system().now();
    let authority = Authority::load_or_create(&store, &keks(), now).await.unwrap();
    let tls = Tls::from_authority(authority, ExternalUrl::localhost(1), now).unwrap();
    let shown = |chain: ClientChain| async move { format!("{} certificates", chain.0.map_or(0, |chain| chain.len())) };
    let router = Router::new().route("/chain", get(shown));
    let pair = rcgen::generate_simple_self_signed(["anybody".to_owned()]).unwrap();
    let ca = CertificateDer::from_pem_slice(tls.ca_pem().unwrap().as_bytes()).unwrap();
    for (asks, trusted, expected) in [(true, "192.0.2.1", 1), (true, "127.0.0.0/8", 0), (false, "192.0.2.1", 0)] {
        let config = match asks {
            true => tls.server_config_asking(&Vec::new().into(), Demand::Asked),
            false => tls.server_config(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let trusted: Vec<keyward_config_values::Cidr> = vec![trusted.parse().unwrap()];
        tokio::spawn(server::serve(
            listener,
            config,
            router.clone(),
            Limits::default(),
            trusted,
            std::future::pending(),
        ));
        let mut roots = rustls::RootCertStore::empty();
        roots.add(ca.clone()).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(pair.signing_key.serialize_der()).unwrap();
        let client =
            rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_client_auth_cert(vec![pair.cert.der().clone()], key)
                .unwrap();
        let client = Arc::new(client);
        // Twice: what is not resumed is shown again.
        for _ in 0..2 {
            let stream = TcpStream::connect(address).await.unwrap();
            let connector = tokio_rustls::TlsConnector::from(Arc::clone(&client));
            let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
            let request = "GET /chain HTTP/1.1\r\nhost: x\r\nx-forwarded-client-cert: abc\r\nconnection: close\r\n\r\n";
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            let answer = String::from_utf8(answer).unwrap();
            assert!(answer.ends_with(&format!("{expected} certificates")), "{asks} {expected}: {answer}");
        }
    }
    // The same issuers, the same configuration.
    let issuers: control_tower::tls::Issuers = vec![vec![0x30, 0x00]].into();
    let config = |demand| tls.server_config_asking(&issuers, demand);
    assert!(Arc::ptr_eq(&config(Demand::Asked), &config(Demand::Asked)));
    assert!(!Arc::ptr_eq(&config(Demand::Asked), &config(Demand::Required)));
}
