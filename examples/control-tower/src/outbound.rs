//! What the tower fetches from others over HTTPS: one document at a time, of bounded length, in bounded time.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use keyward_base::no_answer::{NoAnswer, Untrusted, causes};
use keyward_svid::tls::Error as SvidError;
use reqwest::{StatusCode, header, redirect::Policy};
use rustls::{
    CertificateError,
    pki_types::{CertificateDer, pem::PemObject},
};

/// How long connecting may take, of the time for the whole.
const CONNECT: Duration = Duration::from_secs(5);

/// Whom to believe to be the host of a URL.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Whoever has a certificate of a public authority, as the operating system has them.
    PublicRoots,
    /// Whoever has a certificate of one of these authorities (PEM), and nobody else.
    Only(Arc<str>),
    /// What this configuration says, such as an SVID.
    Tls(Box<rustls::ClientConfig>),
}

/// Which redirects to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirects {
    /// None: the answer is one like another.
    None,
    /// A few, to `https` URLs alone.
    Https,
}

/// The most redirects that are followed.
const HOPS: usize = 3;

/// A client for one source.
#[derive(Clone, Debug)]
pub struct Client(reqwest::Client);

/// An answer.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Its status.
    pub status: StatusCode,
    /// Where it redirects to, if it does.
    pub location: Option<String>,
    /// Its body.
    pub body: Vec<u8>,
}

/// Why there is no answer. Its text names no URL: whoever knows it says so.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchError {
    reason: String,
    /// What kind of remedy there is.
    pub kind: Failure,
    /// What is wrong with the certificate of the other end, where that is it.
    pub certificate: Option<CertificateError>,
}

/// What went wrong in general.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No certificate of the other end was acceptable.
    Certificate,
    /// Nobody answered, or not in time.
    Unreachable,
    /// The answer is of no use.
    Answer,
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Error for FetchError {}

impl FetchError {
    fn new(kind: Failure, reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), kind, certificate: None }
    }

    /// Whether no authority that is trusted stands behind the certificate of the other end, or one of the same name does that
    /// has another key.
    pub fn is_unknown_issuer(&self) -> bool {
        matches!(self.certificate, Some(CertificateError::UnknownIssuer | CertificateError::BadSignature))
    }

    /// What is wrong with the certificate of the other end, where it is none that any server should show.
    pub fn untrusted(&self) -> Option<Untrusted> {
        self.certificate.as_ref().map(Untrusted::of)
    }

    /// Why the SVID of the other end is refused, where that is it.
    pub fn svid(&self) -> Option<&SvidError> {
        match &self.certificate {
            Some(CertificateError::Other(other)) => other.0.downcast_ref(),
            _ => None,
        }
    }
}

/// Checks certificates of authorities that an operator names.
///
/// # Errors
/// There is none, or one that cannot be read.
pub fn authorities(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| format!("no certificates in PEM form: {error}"))?;
    let mut roots = rustls::RootCertStore::empty();
    for (index, certificate) in found.iter().enumerate() {
        // What a library says of it names no more than that.
        roots.add(certificate.clone()).map_err(|_| format!("certificate {} cannot be read", index + 1))?;
    }
    if roots.is_empty() { Err("no certificate in PEM form".to_owned()) } else { Ok(found) }
}

impl Client {
    /// A client that gives up after `timeout`.
    ///
    /// # Errors
    /// The certificates cannot be used.
    pub fn new(trust: &Trust, redirects: Redirects, timeout: Duration) -> Result<Self, FetchError> {
        Self::with_scheme(trust, redirects, timeout, true)
    }

    /// As [`new`](Self::new), and `http` on this very machine is asked too; whoever names the URL sees to it that it is there.
    ///
    /// # Errors
    /// As there.
    pub fn also_plain(trust: &Trust, redirects: Redirects, timeout: Duration) -> Result<Self, FetchError> {
        Self::with_scheme(trust, redirects, timeout, false)
    }

    fn with_scheme(
        trust: &Trust,
        redirects: Redirects,
        timeout: Duration,
        https_only: bool,
    ) -> Result<Self, FetchError> {
        // The client takes its cryptography from the process; who was first with the same one does not matter.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let failed = |error: &dyn fmt::Display| {
            FetchError::new(Failure::Certificate, format!("cannot make an HTTPS client: {error}"))
        };
        let mut builder = reqwest::Client::builder()
            .timeout(timeout)
            .connect_timeout(timeout.min(CONNECT))
            // A source is asked every few minutes at most.
            .pool_max_idle_per_host(0)
            .https_only(https_only)
            .redirect(match redirects {
                Redirects::None => Policy::none(),
                Redirects::Https => Policy::limited(HOPS),
            });
        match trust {
            Trust::PublicRoots => {}
            Trust::Only(pem) => {
                let certificates = authorities(pem).map_err(|error| failed(&error))?;
                let certificates = certificates.iter().map(|one| reqwest::Certificate::from_der(one));
                let certificates = certificates.collect::<Result<Vec<_>, _>>().map_err(|error| failed(&error))?;
                builder = builder.tls_certs_only(certificates);
            }
            Trust::Tls(config) => builder = builder.tls_backend_preconfigured(config.as_ref().clone()),
        }
        builder.build().map(Self).map_err(|error| failed(&error))
    }

    /// Fetches a document of at most `limit` bytes. Only `https` URLs are fetched.
    ///
    /// # Errors
    /// Nobody answers, or too much. Every status is an answer.
    pub async fn get(&self, url: &str, limit: usize) -> Result<Fetched, FetchError> {
        self.send(self.0.get(url).header(header::ACCEPT, "application/json"), limit).await
    }

    /// Sends a request with a body, and reads an answer of at most `limit` bytes.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn post(
        &self,
        url: &str,
        headers: axum::http::HeaderMap,
        body: Vec<u8>,
        limit: usize,
    ) -> Result<Fetched, FetchError> {
        self.send(self.0.post(url).headers(headers).body(body), limit).await
    }

    async fn send(&self, request: reqwest::RequestBuilder, limit: usize) -> Result<Fetched, FetchError> {
        let mut answer = request.send().await.map_err(broken)?;
        let location = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        let location = location.filter(|_| answer.status().is_redirection()).map(str::to_owned);
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(broken)? {
            body.extend_from_slice(&chunk);
            if body.len() > limit {
                return Err(FetchError::new(Failure::Answer, format!("the answer has more than {limit} bytes")));
            }
        }
        Ok(Fetched { status: answer.status(), location, body })
    }

    /// As [`get`](Self::get), and anything but a success is an error.
    ///
    /// # Errors
    /// As there.
    pub async fn document(&self, url: &str, limit: usize) -> Result<Vec<u8>, FetchError> {
        let answer = self.get(url, limit).await?;
        match answer.status.is_success() {
            true => Ok(answer.body),
            false => Err(FetchError::new(Failure::Answer, format!("the answer is {}", answer.status))),
        }
    }
}

fn broken(error: reqwest::Error) -> FetchError {
    let refused = causes(&error).find_map(|cause| cause.downcast_ref::<rustls::Error>());
    if let Some(rustls::Error::InvalidCertificate(certificate)) = refused {
        return refused_certificate(certificate);
    }
    let no_answer = NoAnswer::of(&error);
    let kind = match no_answer {
        NoAnswer::Closed | NoAnswer::Broken(_) => Failure::Answer,
        _ => Failure::Unreachable,
    };
    FetchError::new(kind, no_answer.to_string())
}

fn refused_certificate(certificate: &CertificateError) -> FetchError {
    let reason = match (certificate, Untrusted::of(certificate)) {
        (_, Untrusted::UnknownIssuer) => "no authority that is trusted stands behind the certificate shown".to_owned(),
        (CertificateError::Other(other), _) if other.0.is::<SvidError>() => with_causes(&*other.0),
        (_, untrusted) => format!("the certificate shown {untrusted}"),
    };
    FetchError { reason, kind: Failure::Certificate, certificate: Some(certificate.clone()) }
}

/// The text of an error, and those of what caused it.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_certificates_in_pem_form() {
        for (pem, expected) in [
            ("", "no certificate in PEM form"),
            ("nonsense", "no certificate in PEM form"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate 1 cannot be read"),
        ] {
            let error = authorities(pem).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
        let pem = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem();
        assert_eq!(authorities(&pem).unwrap().len(), 1);
    }

    #[tokio::test]
    async fn only_https_is_fetched() {
        let client = Client::new(&Trust::PublicRoots, Redirects::Https, Duration::from_secs(1)).unwrap();
        assert!(client.get("http://127.0.0.1:1/", 10).await.is_err());
        assert!(client.get("file:///etc/passwd", 10).await.is_err());
    }
}
