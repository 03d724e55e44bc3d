//! A tower of few words, inside the test's own process.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use keyward_keys::{Algorithm, KeySigner, KeyType, PrivateKey, PublicKey};
use keyward_svid::tls::DeferredVerifier;
use keyward_svid::x509::authority::{Authority, AuthorityRequest, CertificateRequest, LeafRequest, Subject};
use keyward_svid::x509::chain_to_pem;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The host that it calls everybody.
pub(crate) const ID: &str = "spiffe://td.example/site/oslo/host/0a";

/// What an agent asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) body: Value,
    /// The certificate that it showed.
    pub(crate) shown: Option<CertificateDer<'static>>,
}

/// What it is answered; `None`: the connection is closed.
pub(crate) type Reply = Option<(u16, &'static str, Value)>;
type Script = dyn FnMut(&Asked, &Issuer) -> Reply + Send;

/// The authority of the trust domain.
pub(crate) struct Issuer(Authority<KeySigner>);

impl Issuer {
    fn new() -> Self {
        let signer = KeySigner::new(PrivateKey::generate(KeyType::EcdsaP256).unwrap(), Algorithm::Es256, None).unwrap();
        let key = signer.public_key().clone();
        let now = OffsetDateTime::now_utc();
        let request =
            AuthorityRequest::new("td.example".parse().unwrap(), Subject::default(), now + Duration::days(90));
        Self(Authority::self_signed(signer, &key, &request, &mut rand::rng(), now).unwrap())
    }

    /// The answer that a claimed host gets, with an SVID that lives so long.
    pub(crate) fn claimed(&self, asked: &Asked, lives: Duration) -> Value {
        let request = CertificateRequest::from_pem(asked.body["csr"].as_str().unwrap()).unwrap();
        self.claimed_for(request.public_key(), lives)
    }

    pub(crate) fn claimed_for(&self, key: &PublicKey, lives: Duration) -> Value {
        let now = OffsetDateTime::now_utc();
        let leaf = LeafRequest::new(ID.parse().unwrap(), key, lives).unwrap();
        let issued = self.0.issue(&leaf, &mut rand::rng(), now).unwrap();
        let text = |at: OffsetDateTime| at.format(&Rfc3339).unwrap();
        json!({
            "state": "claimed", "site": "oslo", "spiffe-id": ID,
            "x509-svid": {"cert": issued.chain_pem()},
            "bundle": chain_to_pem([self.0.certificate()]),
            "tower-url": "https://elsewhere.example", "expires": text(issued.not_after()),
            "renew-at": text(now + lives / 2),
        })
    }
}

/// It waits to be claimed, and asks again after a second.
pub(crate) fn unclaimed() -> Reply {
    Some((202, "", json!({"state": "unclaimed", "retry-after": 1})))
}

/// The usual refusal.
pub(crate) fn refused(code: &str, message: &str) -> Reply {
    Some((403, "", json!({"errors": [{"error-message": message, "error-info": {"code": code}}]})))
}

/// It serves until the test's process ends.
pub(crate) struct Fake {
    pub(crate) url: String,
    pub(crate) ca: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    /// Answers what this says.
    pub(crate) fn answering(script: impl FnMut(&Asked, &Issuer) -> Reply + Send + 'static) -> Self {
        Self::showing(rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap(), script)
    }

    /// The same with such a certificate, signed by itself.
    pub(crate) fn showing(
        certificate: rcgen::CertificateParams,
        script: impl FnMut(&Asked, &Issuer) -> Reply + Send + 'static,
    ) -> Self {
        let key_pair = rcgen::KeyPair::generate().unwrap();
        let certificate = certificate.self_signed(&key_pair).unwrap();
        let ca = certificate.pem();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = Arc::new(DeferredVerifier::new(&provider, []));
        let key = PrivateKeyDer::try_from(key_pair.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.unwrap().with_client_cert_verifier(verifier);
        let config = config.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let own_url = url.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                listener.set_nonblocking(true).unwrap();
                let listener = TcpListener::from_std(listener).unwrap();
                let mut teller = Teller { script: Box::new(script), issuer: Issuer::new(), url: own_url, log };
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    // One after the other; whoever breaks off is no reason to end.
                    let _ = serve(&acceptor, stream, &mut teller).await;
                }
            });
        });
        Self { url, ca, asked }
    }

    /// What it was asked so far.
    pub(crate) fn asked(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.asked.lock().unwrap()
    }
}

struct Teller {
    script: Box<Script>,
    issuer: Issuer,
    url: String,
    log: Arc<Mutex<Vec<Asked>>>,
}

async fn serve(acceptor: &tokio_rustls::TlsAcceptor, stream: TcpStream, teller: &mut Teller) -> io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let shown =
        stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).map(|one| one.clone().into_owned());
    let mut bytes = Vec::new();
    let (head, body) = loop {
        let mut chunk = [0; 4096];
        let length = stream.read(&mut chunk).await?;
        if length == 0 {
            return Ok(());
        }
        bytes.extend(&chunk[..length]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let header = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
            // A question for a document has no body.
            if body.len() == header.map_or(0, |length| length.parse::<usize>().unwrap()) {
                break (head.to_owned(), body.to_owned());
            }
        }
    };
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let asked = Asked { path, body: serde_json::from_str(&body).unwrap_or(Value::Null), shown };
    let reply = (teller.script)(&asked, &teller.issuer);
    teller.log.lock().unwrap().push(asked);
    let Some((status, headers, mut body)) = reply else { return Ok(()) };
    if body.get("tower-url").is_some() {
        body["tower-url"] = teller.url.clone().into();
    }
    let body = if let Value::String(text) = body { text } else { body.to_string() };
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}
