//! A tower made of a thread: it answers every request by a function and keeps what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// `POST /v1/bulk`
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }
}

/// What to answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

/// JSON with a status.
pub(crate) fn json(status: u16, body: &str) -> Reply {
    text(status, "application/json", body)
}

/// Any content with a status.
pub(crate) fn text(status: u16, kind: &str, body: &str) -> Reply {
    Reply { status, headers: vec![("content-type", kind.to_owned())], body: body.to_owned() }
}

impl Reply {
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// The tower.
pub(crate) struct Mock {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Mock {
    /// Over plain HTTP.
    pub(crate) fn http(answer: impl Fn(&Asked) -> Reply + Send + 'static) -> Self {
        Self::start("http", answer, |stream, serve| serve(&mut BufReader::new(stream)))
    }

    /// Over TLS, with a certificate of this CA for this name.
    pub(crate) fn https(ca: &Authority, name: &str, answer: impl Fn(&Asked) -> Reply + Send + 'static) -> Self {
        Self::showing(ca, CertificateParams::new(vec![name.to_owned()]).unwrap(), answer)
    }

    /// Over TLS, with such a certificate of this CA.
    pub(crate) fn showing(
        ca: &Authority,
        certificate: CertificateParams,
        answer: impl Fn(&Asked) -> Reply + Send + 'static,
    ) -> Self {
        let config = Arc::new(ca.server(&certificate));
        Self::start("https", answer, move |stream, serve| {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            serve(&mut BufReader::new(StreamOwned::new(connection, stream)));
        })
    }

    fn start(
        scheme: &str,
        answer: impl Fn(&Asked) -> Reply + Send + 'static,
        wrap: impl Fn(TcpStream, &dyn Fn(&mut dyn Conversation)) + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("{scheme}://localhost:{}", listener.local_addr().unwrap().port());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        // Ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                wrap(stream.unwrap(), &|conversation| {
                    if let Some(request) = read(conversation) {
                        kept.lock().unwrap().push(request.clone());
                        let reply = answer(&request);
                        // A client that has gone is what some tests are about.
                        let _ = conversation.send(&bytes(&reply));
                    }
                });
            }
        });
        Self { url, asked }
    }

    /// Everything it was asked.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The one request it was asked.
    pub(crate) fn only(&self) -> Asked {
        let asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked[0].clone()
    }
}

/// Reading lines and bytes, writing bytes, whatever is below.
trait Conversation: BufRead {
    fn send(&mut self, bytes: &[u8]) -> std::io::Result<()>;
}

impl<S: Read + Write> Conversation for BufReader<S> {
    fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.get_mut().write_all(bytes)?;
        self.get_mut().flush()
    }
}

fn read(conversation: &mut dyn Conversation) -> Option<Asked> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        // A failed handshake or a closed connection.
        if conversation.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut first = lines.first()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(key, value)| (key.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(key, _)| key == "content-length").map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    conversation.read_exact(&mut body).ok()?;
    Some(Asked { method, target, headers, body: String::from_utf8(body).unwrap() })
}

fn bytes(reply: &Reply) -> Vec<u8> {
    let mut head =
        format!("HTTP/1.1 {} X\r\nconnection: close\r\ncontent-length: {}\r\n", reply.status, reply.body.len());
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    format!("{head}\r\n{}", reply.body).into_bytes()
}

/// A CA of its own.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "test tower");
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// Its certificate in a file.
    pub(crate) fn file(&self, dir: &Path) -> PathBuf {
        let path = dir.join("ca.pem");
        std::fs::write(&path, &self.pem).unwrap();
        path
    }

    fn server(&self, certificate: &CertificateParams) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let certificate = certificate.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .unwrap()
    }
}
