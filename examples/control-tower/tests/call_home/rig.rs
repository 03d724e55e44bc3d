//! A tower behind its real listeners, hosts that call home to it, and its operator.

use std::{net::SocketAddr, sync::Arc};

use control_tower::{
    app::App,
    audit::{Audit, AuditOptions},
    clock::Clock,
    gate::{self, Gate, GateParts},
    rate_limit::RateLimit,
    server::{self, Limits, TlsSource},
    store::{Memory, SharedStore, Sqlite},
    tls::{Authority, Tls},
};
use keyward_callhome_cert::{CALL_HOME_PATH, HEADER};
use keyward_keys::{Algorithm, KeySigner, KeyType, PrivateKey};
use keyward_svid::x509::authority::CertificateRequest;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::{Value, json};
use time::Duration;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::support::{self, START};

pub const UNCLAIMED: &str = "/v1/state/system/unclaimed-hosts";
/// The most connections of one client to the call-home listener.
pub const MOST: usize = 4;
pub const HOSTS: &str = "/v1/state/system/hosts";
pub const ISSUE: &str = "/v1/state/system/call-home/issue-call-home-cert";
pub const SCRIPT: &str = "/v1/state/system/call-home/install-script";
pub const REVOKE: &str = "/v1/state/system/call-home/revoke";

/// The tower.
pub struct Rig {
    pub gate: Arc<Gate>,
    pub app: Arc<App>,
    pub api: SocketAddr,
    pub call_home: SocketAddr,
    pub ca: CertificateDer<'static>,
    pub admin: String,
    login: Option<Value>,
    pub store: SharedStore,
    pub directory: Arc<tempfile::TempDir>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{} {}", self.status, self.text()))
    }

    #[track_caller]
    pub fn ok(&self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text());
        self.json()
    }

    /// Status and code of a refusal.
    #[track_caller]
    pub fn refused(&self) -> (u16, String) {
        let body = self.json();
        let code = body["errors"][0]["error-info"]["code"].as_str().unwrap_or_default();
        assert!(self.status >= 400, "{} {body}", self.status);
        (self.status, code.to_owned())
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// A certificate and its key, as a client presents them.
pub type Pair = (Vec<CertificateDer<'static>>, Vec<u8>);

/// How a request goes.
#[derive(Default, Clone)]
pub struct Way {
    pub pair: Option<Pair>,
    pub headers: Vec<(String, String)>,
    /// What is sent before TLS begins.
    pub before: Vec<u8>,
}

impl Way {
    pub fn with(pair: &Pair) -> Self {
        Self { pair: Some(pair.clone()), ..Self::default() }
    }

    pub fn header(mut self, value: impl Into<String>) -> Self {
        self.headers.push((HEADER.to_owned(), value.into()));
        self
    }
}

impl Rig {
    pub async fn start() -> Self {
        Self::over(Arc::new(Memory::new()), Arc::new(tempfile::tempdir().unwrap()), RateLimit::OFF, Clock::fixed(START))
            .await
    }

    pub async fn on_sqlite() -> Self {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let store = Arc::new(Sqlite::open(&directory.path().join("tower.db")).unwrap());
        Self::over(store, directory, RateLimit::OFF, Clock::fixed(START)).await
    }

    pub async fn over(
        store: SharedStore,
        directory: Arc<tempfile::TempDir>,
        rate_limit: RateLimit,
        clock: Clock,
    ) -> Self {
        let mut options = AuditOptions::default();
        options.outbox = "audit".to_owned();
        let audit = Audit::open(&directory.path().join("audit"), options).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = listener.local_addr().unwrap();
        let knocks = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let call_home = knocks.local_addr().unwrap();
        let keyring = support::keyring(Arc::clone(&store)).await;
        let now = Clock::system().now();
        let url: control_tower::config::ExternalUrl = format!("https://localhost:{}", api.port()).parse().unwrap();
        let authority = Authority::load_or_create(&*store, &support::keks(), now).await.unwrap();
        let tls = Arc::new(Tls::from_authority(authority, url.clone(), now).unwrap());
        let ca = CertificateDer::from_pem_slice(tls.ca_pem().unwrap().as_bytes()).unwrap();
        let parts = GateParts {
            clock,
            keyring,
            audit,
            external_url: url,
            tls,
            federation: None,
            call_home: Some(call_home),
            ca_file: Some(directory.path().join("ca.pem")),
            relying_party: None,
            rate_limit,
        };
        let gate = Gate::new(parts).unwrap();
        let credentials = gate.open().await.unwrap();
        let app = gate.app().unwrap();
        let of = Arc::clone(&gate);
        let source = TlsSource::new(move || of.server_config());
        let router = gate::api(&gate);
        tokio::spawn(server::serve(listener, source, router, Limits::default(), Vec::new(), std::future::pending()));
        let of = Arc::clone(&gate);
        let source = TlsSource::new(move || of.call_home_config());
        let (router, front) = (gate::call_home(&gate), gate.call_home_front());
        let mut limits = Limits::default();
        // So many has one client; this machine itself has any number.
        limits.connections_of_one = MOST;
        tokio::spawn(server::serve(knocks, source, router, limits, front, std::future::pending()));
        let login = credentials
            .map(|credentials| json!({"username": credentials.username, "password": credentials.password.as_str()}));
        let mut rig = Self { gate, app, api, call_home, ca, admin: String::new(), login, store, directory };
        rig.log_in().await;
        rig
    }

    /// The administrator, anew.
    pub async fn log_in(&mut self) {
        let Some(body) = &self.login else { return };
        let login = self.send(self.api, "POST", "/v1/login", &Way::default(), Some(body)).await.unwrap().ok();
        self.admin = login["token"].as_str().unwrap().to_owned();
    }

    /// Does what the tasks do after a while.
    pub async fn pass(&mut self, time: Duration) {
        assert!(self.app.clock.advance(time));
        control_tower::tasks::run_due(&self.app).await;
        self.log_in().await;
    }

    pub fn client(&self, pair: Option<&Pair>) -> Arc<ClientConfig> {
        client_config(&self.ca, pair)
    }

    /// One request on a connection of its own.
    pub async fn send(
        &self,
        to: SocketAddr,
        method: &str,
        path: &str,
        way: &Way,
        body: Option<&Value>,
    ) -> std::io::Result<Answer> {
        self.send_text(to, method, path, way, &body.map(Value::to_string).unwrap_or_default()).await
    }

    pub async fn send_text(
        &self,
        to: SocketAddr,
        method: &str,
        path: &str,
        way: &Way,
        body: &str,
    ) -> std::io::Result<Answer> {
        exchange(to, self.client(way.pair.as_ref()), method, path, way, body).await
    }

    /// As the administrator.
    pub async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let authorization = ("authorization".to_owned(), format!("Bearer {}", self.admin));
        let way = Way { headers: vec![authorization], ..Way::default() };
        self.send(self.api, method, path, &way, body.as_ref()).await.unwrap()
    }

    pub async fn get(&self, path: &str) -> Value {
        self.call("GET", path, None).await.ok()
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, Some(body)).await
    }

    pub async fn settings(&self, settings: Value) {
        self.call("PUT", "/v1/config/system/call-home/settings", Some(settings)).await.ok();
    }

    pub async fn verify(&self, granularity: &str) {
        self.settings(json!({"client-certificate": {"verify": granularity}})).await;
    }

    pub async fn site(&self, name: &str, host_ids: &[&str]) {
        let document = json!({"name": name, "labels": {"region": "north"}, "host-ids": host_ids});
        self.call("PUT", &format!("/v1/config/system/sites/{name}"), Some(document)).await.ok();
    }

    /// A certificate with its key, and what was said of it.
    pub async fn issue(&self, body: Value) -> (Pair, Value) {
        let issued = self.post(ISSUE, body).await.ok();
        (unpack(&issued), issued)
    }

    pub async fn knock(&self, host: &Host, way: &Way) -> std::io::Result<Answer> {
        self.send(self.call_home, "POST", CALL_HOME_PATH, way, Some(&host.body())).await
    }

    pub async fn audit(&self) -> Vec<Value> {
        self.app.relay_audit().await.unwrap();
        self.get("/v1/state/audit?limit=1000").await["records"].as_array().unwrap().clone()
    }

    /// The ids of the hosts that wait.
    pub async fn waiting(&self) -> Vec<String> {
        let listed = self.get(UNCLAIMED).await;
        listed["unclaimed-hosts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|host| host["id"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// The certificate and key of a package.
pub fn unpack(issued: &Value) -> Pair {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let archive = STANDARD.decode(issued["b64-tar-package"].as_str().unwrap()).unwrap();
    let file = |name: &str| -> Vec<u8> {
        let mut rest = archive.as_slice();
        while rest.len() >= 512 && rest[0] != 0 {
            let found = std::str::from_utf8(&rest[..100]).unwrap().trim_end_matches('\0');
            let size = std::str::from_utf8(&rest[124..135]).unwrap();
            let size = usize::from_str_radix(size, 8).unwrap();
            if found == format!("call-home/{name}") {
                return rest[512..512 + size].to_vec();
            }
            rest = &rest[512 + size.next_multiple_of(512)..];
        }
        panic!("there is no `{name}` in the package");
    };
    let chain = CertificateDer::pem_slice_iter(&file("certificate.pem")).collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(&file("key.pem")).unwrap();
    (chain, key.secret_der().to_vec())
}

/// A host with its key.
pub struct Host {
    pub id: String,
    pub signer: KeySigner,
    key: Vec<u8>,
}

impl Host {
    pub fn new(id: &str) -> Self {
        let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
        let der = key.to_pkcs8_der().unwrap().to_vec();
        Self { key: der, id: id.to_owned(), signer: KeySigner::new(key, Algorithm::Es256, None).unwrap() }
    }

    pub fn hash(&self) -> String {
        keyward_callhome_cert::HostHash::of(&self.id.parse().unwrap()).to_string()
    }

    pub fn csr(&self) -> String {
        CertificateRequest::sign(&self.signer, self.signer.public_key(), None, [""; 0]).unwrap().to_pem()
    }

    /// Its SVID, in PEM, with its key.
    pub fn pair(&self, svid: &str) -> Pair {
        let chain = CertificateDer::pem_slice_iter(svid.as_bytes()).collect::<Result<Vec<_>, _>>().unwrap();
        (chain, self.key.clone())
    }

    pub fn body(&self) -> Value {
        json!({"host-id": self.id, "csr": self.csr(), "host-name": "edge-7.example", "agent-version": "0.1.0"})
    }
}

/// What a client trusts and presents.
pub fn client_config(ca: &CertificateDer<'static>, pair: Option<&Pair>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    Arc::new(match pair {
        Some((chain, key)) => {
            // Whatever it is: rustls would not present some of what has to be refused.
            let key = PrivateKeyDer::try_from(key.clone()).unwrap();
            let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
            let certified = rustls::sign::CertifiedKey::new(chain.clone(), key);
            builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)))
        }
        None => builder.with_no_client_auth(),
    })
}

/// One request on a connection of its own.
pub async fn exchange(
    to: SocketAddr,
    client: Arc<ClientConfig>,
    method: &str,
    path: &str,
    way: &Way,
    body: &str,
) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(to).await?;
    // As HTTP clients do: else the request waits 40 ms for the other end to acknowledge the handshake's last flight.
    stream.set_nodelay(true)?;
    stream.write_all(&way.before).await?;
    let connector = tokio_rustls::TlsConnector::from(client);
    let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await?;
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    for (name, value) in &way.headers {
        request += &format!("{name}: {value}\r\n");
    }
    if !way.headers.iter().any(|(name, _)| name == "content-type") {
        request += "content-type: application/json\r\n";
    }
    request += &format!("content-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer).await {
        Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => return Err(error),
        _ => {}
    }
    let split = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let head = String::from_utf8_lossy(&answer[..split]).into_owned();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Ok(Answer { status, head, body: answer[split + 4..].to_vec() })
}
