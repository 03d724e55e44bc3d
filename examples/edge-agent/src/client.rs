//! Requests to the tower.

mod refusal;

use std::sync::Arc;
use std::time::Duration;

use keyward_base::no_answer::{NoAnswer, Untrusted};
use keyward_callhome_cert::CallHomeAnswer;
use keyward_keys::{Algorithm, KeySigner, PrivateKey};
use keyward_svid::HttpsUrl;
use keyward_svid::pki_types::{CertificateDer, PrivateKeyDer};
use keyward_svid::x509::authority::CertificateRequest;
use reqwest::header::{ETAG, IF_NONE_MATCH, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Response, StatusCode};
use rustls::client::Resumption;
use serde::Serialize;

pub(crate) use self::refusal::{CALL_HOME_AGAIN, Refusal};
use crate::error::Error;

/// No answer about an identity is longer.
const MAX_ANSWER: usize = 1 << 20;
/// No document is longer: a hundred thousand ranges are 5 MiB.
const MAX_DOCUMENT: usize = 64 << 20;

/// A way to the tower.
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
}

/// An answer to a question for a document.
pub(crate) enum Got {
    /// It is the same as before.
    Unchanged,
    /// It is this, and known by this tag from now on.
    Fresh {
        /// The document
        body: Vec<u8>,
        /// Its `ETag`
        etag: Option<String>,
    },
}

/// Why there is nothing to go on with.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The tower said no, and says it again to whoever asks again.
    Refused(Refusal),
    /// No answer, or one that says nothing about this host.
    Later(Later),
}

/// What may be better another time.
#[derive(Debug)]
pub(crate) struct Later {
    /// In words
    pub(crate) why: String,
    /// For how long the tower wants to be left alone
    pub(crate) asked: Option<Duration>,
}

impl Client {
    /// A way to this tower, which one of these authorities has to know; shows a certificate where there is one.
    pub(crate) fn new(
        tower: &HttpsUrl,
        authorities: &[CertificateDer<'static>],
        shown: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    ) -> Result<Self, Error> {
        let cannot = |error: &dyn std::fmt::Display| {
            Error::usage(
                format!("cannot prepare TLS: {error}"),
                "check the certificates and keys in the state directory",
            )
        };
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(authorities.iter().cloned());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        // Certificates of servers are judged by the system's clock, as everybody's are.
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| cannot(&error))?
            .with_root_certificates(roots);
        let mut tls = match shown {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(|error| cannot(&error))?,
            None => builder.with_no_client_auth(),
        };
        // Each request is a connection of its own, hours apart.
        tls.resumption = Resumption::disabled();
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("edge-agent/", env!("CARGO_PKG_VERSION")))
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .redirect(Policy::none())
            .pool_max_idle_per_host(0)
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(30));
        if is_loopback(tower) {
            http = http.no_proxy();
        }
        let http = http.build().map_err(|error| cannot(&error))?;
        Ok(Self { http, base: tower.as_str().trim_end_matches('/').to_owned() })
    }

    /// Where it leads.
    pub(crate) fn tower(&self) -> &str {
        &self.base
    }

    /// Asks for what both questions are answered with.
    pub(crate) async fn ask(&self, path: &str, request: &impl Serialize) -> Result<CallHomeAnswer, Failure> {
        let sent = self.http.post(format!("{}{path}", self.base)).json(request).send().await;
        let response = sent.map_err(|error| self.no_answer(&error))?;
        let status = response.status();
        let asked = retry_after(&response);
        let body = self.body(response, MAX_ANSWER).await?;
        if status.is_success() {
            return serde_json::from_slice(&body)
                .map_err(|error| self.foreign(format!("a broken answer: {error}"), asked));
        }
        Err(self.failure(status, &body, asked))
    }

    /// Asks for a document, unless it still is the one of that tag (RFC 9110 §13.1.2).
    pub(crate) async fn get(&self, path: &str, tag: Option<&str>) -> Result<Got, Failure> {
        let mut request = self.http.get(format!("{}{path}", self.base));
        if let Some(tag) = tag {
            request = request.header(IF_NONE_MATCH, tag);
        }
        let response = request.send().await.map_err(|error| self.no_answer(&error))?;
        let (status, asked) = (response.status(), retry_after(&response));
        if status == StatusCode::NOT_MODIFIED {
            return Ok(Got::Unchanged);
        }
        let etag = response.headers().get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        let body = self.body(response, MAX_DOCUMENT).await?;
        if status.is_success() {
            return Ok(Got::Fresh { body, etag });
        }
        Err(self.failure(status, &body, asked))
    }

    fn failure(&self, status: StatusCode, body: &[u8], asked: Option<Duration>) -> Failure {
        match Refusal::read(body) {
            // Too many requests, sealed, not ready: another time.
            _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                let said = Refusal::read(body).map_or_else(|| status.to_string(), |refusal| refusal.to_string());
                Failure::Later(Later { why: format!("{} cannot answer now: {said}", self.base), asked })
            }
            Some(refusal) => Failure::Refused(refusal),
            None => self.foreign(format!("{status}, which is no answer of a tower"), asked),
        }
    }

    async fn body(&self, mut response: Response, most: usize) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.no_answer(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() > most {
                return Err(self.foreign(format!("more than {} MiB", most >> 20), None));
            }
        }
        Ok(body)
    }

    fn no_answer(&self, error: &reqwest::Error) -> Failure {
        let no_answer = NoAnswer::of(error);
        let remedy = match &no_answer {
            NoAnswer::Certificate(Untrusted::UnknownIssuer) => {
                Some("run a new install script if the tower has a new authority")
            }
            NoAnswer::ClientCertificate(_) => Some("have an operator issue a new install script for this host"),
            other => other.remedy(),
        };
        let remedy = remedy.map(|remedy| format!(" ({remedy})")).unwrap_or_default();
        Failure::Later(Later { why: format!("no answer from {}: {no_answer}{remedy}", self.base), asked: None })
    }

    fn foreign(&self, what: String, asked: Option<Duration>) -> Failure {
        Failure::Later(Later { why: format!("{} answered {what}", self.base), asked })
    }
}

/// A request for a certificate of this key: the tower says for which ID.
pub(crate) fn certificate_request(key: &PrivateKey) -> Result<CertificateRequest, Error> {
    let cannot = |error: &dyn std::fmt::Display| {
        Error::usage(
            format!("cannot ask for a certificate with key.pem: {error}"),
            "look at key.pem in the state directory",
        )
    };
    // A key that is kept may not be cloned; its document may be read again.
    let document = key.to_pkcs8_der().map_err(|error| cannot(&error))?;
    let copy = PrivateKey::from_pkcs8_der(&document).map_err(|error| cannot(&error))?;
    let signer = KeySigner::new(copy, Algorithm::default_for(key.key_type()), None).map_err(|error| cannot(&error))?;
    let request = CertificateRequest::sign(&signer, key.public_key(), None, [] as [&str; 0]);
    request.map_err(|error| cannot(&error))
}

/// RFC 9110 §10.2.3, in seconds: no tower sends a date.
fn retry_after(response: &Response) -> Option<Duration> {
    response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// Whether a tower is on this machine.
pub(crate) fn is_loopback(tower: &HttpsUrl) -> bool {
    let host = tower.host().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}
