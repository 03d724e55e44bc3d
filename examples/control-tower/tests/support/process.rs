//! The program itself: started on a free port of the loopback interface, talked to over TLS, stopped or killed.
//!
//! A test takes it with `#[path = "support/process.rs"] mod process;`. Tests of other packages do, too: they find the program where
//! theirs are.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use reqwest::{Client, Method, RequestBuilder, StatusCode, header::HeaderMap};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// The configuration of the AWS walk.
pub const WALK: &str = include_str!("../../../aws-federation.yaml");

/// A drain ends within ten seconds; the rest is for a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// The program with these arguments and nothing of the test's environment.
pub fn program(args: &[&str]) -> Command {
    let beside = || std::env::current_exe().unwrap().parent().unwrap().with_file_name("control-tower");
    let mut command = Command::new(option_env!("CARGO_BIN_EXE_control-tower").map_or_else(beside, PathBuf::from));
    command.env_clear().args(args);
    command
}

/// Runs the program to its end, which is to come.
pub fn run(args: &[&str]) -> Output {
    let mut command = program(args);
    let process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = process.id();
    let (end, ended) = mpsc::channel();
    std::thread::spawn(move || end.send(process.wait_with_output()));
    let Ok(output) = ended.recv_timeout(2 * PATIENCE) else {
        signal(pid, "KILL");
        panic!("{args:?} does not end");
    };
    output.unwrap()
}

/// A signal by its name, such as `TERM`.
pub fn signal(pid: u32, name: &str) {
    let sent = Command::new("sh").arg("-c").arg(format!("kill -{name} {pid}")).status().unwrap();
    assert!(sent.success(), "kill -{name} {pid}");
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("{} {:?}", self.status, self.text()))
    }

    /// The answer of a success.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert!(self.status.is_success(), "{} {}", self.status, self.text());
        self.json()
    }

    /// The first message of a refusal, whose shape is the documented one.
    #[track_caller]
    pub fn refused(&self, status: u16) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self.message()
    }

    /// The first message of a refusal, whatever its status.
    #[track_caller]
    pub fn message(&self) -> String {
        assert!(self.status.is_client_error() || self.status.is_server_error(), "{} {}", self.status, self.text());
        let errors = self.json()["errors"].as_array().unwrap_or_else(|| panic!("{}", self.text())).clone();
        assert!(!errors.is_empty(), "{}", self.text());
        let message = errors[0]["error-message"].as_str().unwrap_or_else(|| panic!("{}", self.text()));
        assert!(!message.is_empty());
        message.to_owned()
    }
}

/// How to talk to a tower, whether it is there or not.
#[derive(Clone)]
pub struct Api {
    pub url: String,
    pub client: Client,
    ca: Vec<u8>,
}

/// A connection, as bytes.
pub struct Connection(tokio_rustls::client::TlsStream<TcpStream>);

impl Connection {
    /// Sends as much as the other end takes: it may have heard enough.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.0.write_all(bytes.as_ref()).await;
        let _ = self.0.flush().await;
    }

    /// Everything until the other end closes.
    pub async fn rest(&mut self) -> String {
        let mut answer = Vec::new();
        let read = self.0.read_to_end(&mut answer);
        // One that cuts off need not say goodbye.
        let _ = tokio::time::timeout(PATIENCE, read).await.expect("it closes the connection");
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// A running tower; killed when it is dropped.
pub struct Tower {
    /// Until it was waited for.
    process: Option<Child>,
    pid: u32,
    /// What it printed when it was ready.
    pub line: Value,
    pub api: Api,
    pub data_dir: PathBuf,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<()>>,
    log: Arc<Mutex<Vec<u8>>>,
}

/// What is left of a tower that was stopped.
pub struct Ended {
    pub status: ExitStatus,
    /// Standard output behind the first line.
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub took: Duration,
}

impl Tower {
    /// Starts on a data directory and waits for the line that says how to reach it.
    pub fn start(data_dir: &Path) -> Self {
        Self::start_with(data_dir, &[])
    }

    /// [`start`](Self::start) with further arguments.
    pub fn start_with(data_dir: &Path, args: &[&str]) -> Self {
        let common = ["--data-dir", data_dir.to_str().unwrap(), "--listen", "127.0.0.1:0", "--output", "json"];
        Self::spawn(data_dir, program(&common).args(args))
    }

    /// Starts whatever runs the program in the end.
    pub fn spawn(data_dir: &Path, command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        // Read all the time, so that a full pipe does not stop the tower.
        let mut errors = process.stderr.take().unwrap();
        let sink = Arc::clone(&log);
        let stderr = std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(length @ 1..) = errors.read(&mut chunk) {
                sink.lock().unwrap().extend(&chunk[..length]);
            }
        });
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let stdout = std::thread::spawn(move || {
            let mut rest = Vec::new();
            let _ = output.read_to_end(&mut rest);
            rest
        });
        let line: Value = serde_json::from_str(&line).unwrap_or_else(|error| {
            let _ = process.wait();
            panic!("{line:?}: {error}; {}", String::from_utf8_lossy(&log.lock().unwrap()))
        });
        let url = line["url"].as_str().unwrap().to_owned();
        let ca = fs::read(line["ca-cert"].as_str().unwrap()).unwrap();
        let (api, data_dir) = (Api { url, client: client(&ca), ca }, data_dir.to_owned());
        let pid = process.id();
        Self { process: Some(process), pid, line, api, data_dir, stdout: Some(stdout), stderr: Some(stderr), log }
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// A fresh client, with connections of its own.
    pub fn fresh_client(&self) -> Client {
        client(&fs::read(self.line["ca-cert"].as_str().unwrap()).unwrap())
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&self.log.lock().unwrap()).into_owned()
    }

    /// Resident memory in KiB: now, and the most since [`forget_peak`](Self::forget_peak).
    pub fn memory(&self) -> (u64, u64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        let size = |name| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        (size("VmRSS:"), size("VmHWM:"))
    }

    /// Begins to look for the most resident memory (proc(5), `clear_refs`).
    pub fn forget_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.pid), "5").unwrap();
    }

    /// A number that it counts.
    pub async fn metric(&self, name: &str) -> u64 {
        let text = self.call("GET", "/metrics", None, None).await.text();
        let line = text.lines().find(|line| line.split(' ').next() == Some(name));
        line.unwrap_or_else(|| panic!("{text}")).rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// Logs the first administrator in, with the password of the first start.
    pub async fn administrator(&self) -> String {
        self.log_in_as_admin(self.line["password"].as_str().expect("the first start")).await
    }

    /// It answers, and takes changes.
    pub async fn assert_alive(&self) {
        assert_eq!(self.call("GET", "/ready", None, None).await.ok(), json!({"ready": true}), "{}", self.log());
    }

    /// `kill -9`, at once.
    pub fn kill(mut self) -> Ended {
        self.process.as_mut().unwrap().kill().unwrap();
        self.ended(Instant::now())
    }

    /// Asks it to stop with SIGTERM and waits until it has.
    pub fn stop(mut self) -> Ended {
        let begun = Instant::now();
        signal(self.pid, "TERM");
        self.ended(begun)
    }

    fn ended(&mut self, begun: Instant) -> Ended {
        let mut process = self.process.take().unwrap();
        let (end, ended) = mpsc::channel();
        std::thread::spawn(move || end.send(process.wait()));
        let Ok(status) = ended.recv_timeout(PATIENCE) else {
            signal(self.pid, "KILL");
            panic!("it does not end: {}", self.log());
        };
        let took = begun.elapsed();
        let stdout = self.stdout.take().unwrap().join().unwrap();
        self.stderr.take().unwrap().join().unwrap();
        let stderr = self.log.lock().unwrap().clone();
        Ended { status: status.unwrap(), stdout, stderr, took }
    }
}

impl std::ops::Deref for Tower {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

impl Drop for Tower {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Api {
    /// The port that the tower listens on.
    pub fn port(&self) -> u16 {
        self.url.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// A connection of its own, for what no client would send.
    pub async fn connect(&self) -> Connection {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&self.ca).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.unwrap().with_root_certificates(roots).with_no_client_auth();
        let stream = TcpStream::connect(("127.0.0.1", self.port())).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        Connection(connector.connect("localhost".try_into().unwrap(), stream).await.unwrap())
    }

    /// Sends bytes, and reads until the tower closes the connection; the bytes should ask it to.
    pub async fn exchange(&self, request: impl AsRef<[u8]>) -> String {
        let mut connection = self.connect().await;
        connection.send(request).await;
        connection.rest().await
    }

    /// A request to a path, with a token if one is given.
    pub fn request(&self, method: &str, path: &str, token: Option<&str>) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.client.request(method, format!("{}{path}", self.url));
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn call(&self, method: &str, path: &str, token: Option<&str>, body: Option<Value>) -> Reply {
        self.try_call(method, path, token, body).await.unwrap()
    }

    /// [`call`](Self::call) to a tower that may be gone.
    pub async fn try_call(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> reqwest::Result<Reply> {
        let request = self.request(method, path, token);
        try_send(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
    }

    pub async fn get(&self, path: &str, token: &str) -> Reply {
        self.call("GET", path, Some(token), None).await
    }

    pub async fn post(&self, path: &str, token: &str, body: Value) -> Reply {
        self.call("POST", path, Some(token), Some(body)).await
    }

    pub async fn bulk(&self, token: &str, yaml: &str) -> Reply {
        self.try_bulk(token, yaml).await.unwrap()
    }

    pub async fn try_bulk(&self, token: &str, yaml: &str) -> reqwest::Result<Reply> {
        let request = self.request("POST", "/v1/bulk", Some(token));
        try_send(request.header("content-type", "application/yaml").body(yaml.to_owned())).await
    }

    pub async fn log_in_as_admin(&self, password: &str) -> String {
        let body = json!({"username": "admin", "password": password});
        let answer = self.call("POST", "/v1/login", None, Some(body)).await.ok();
        answer["token"].as_str().unwrap().to_owned()
    }

    /// A role's role-id and a new secret-id.
    pub async fn secret(&self, token: &str, role: &str, request: Value) -> (String, String) {
        let base = format!("/v1/state/strongbox/authentication/approles/{role}");
        let state = self.get(&base, token).await.ok();
        let secret = self.post(&format!("{base}/generate-secret-id"), token, request).await.ok();
        (state["role-id"].as_str().unwrap().to_owned(), secret["secret-id"].as_str().unwrap().to_owned())
    }

    pub async fn log_in(&self, role_id: &str, secret_id: &str) -> Reply {
        self.call("POST", "/v1/approle-login", None, Some(json!({"role-id": role_id, "secret-id": secret_id}))).await
    }
}

/// A client that trusts one authority and nothing else.
pub fn client(ca: &[u8]) -> Client {
    // Another test of this process may have been first.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let ca = reqwest::Certificate::from_pem(ca).unwrap();
    Client::builder().tls_certs_only([ca]).no_proxy().timeout(Duration::from_secs(60)).build().unwrap()
}

/// Sends and reads the whole answer.
pub async fn send(request: RequestBuilder) -> Reply {
    try_send(request).await.unwrap()
}

/// [`send`] to a tower that may be gone.
pub async fn try_send(request: RequestBuilder) -> reqwest::Result<Reply> {
    let answer = request.send().await?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    Ok(Reply { status, headers, bytes: answer.bytes().await?.to_vec() })
}

/// How often a long test repeats: the full count with `KEYWARD_FULL=1`.
pub fn rounds(usual: usize, full: usize) -> usize {
    if std::env::var("KEYWARD_FULL").is_ok_and(|value| value == "1") { full } else { usual }
}
