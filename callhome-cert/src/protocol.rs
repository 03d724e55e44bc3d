//! What an agent and its tower say to each other.

use keyward_config_values::Name;
use keyward_config_values::config::HostId;
use keyward_spiffe_id::SpiffeId;
use keyward_svid::HttpsUrl;
use keyward_svid::x509::authority::CertificateRequest;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{AgentVersion, HostName, Refusal};

/// Where a host calls home, on the listener for that: `POST` a [`CallHomeRequest`]. The answer is 200 or 202 with a
/// [`CallHomeAnswer`], or a [`RefusalAnswer`] with another status.
pub const CALL_HOME_PATH: &str = "/v1/call-home";

/// Where a host renews its identity, on the API's listener, with its X.509-SVID as the certificate of the connection: `POST` a
/// [`RenewRequest`]. The answer is 200 with a [`CallHomeAnswer::Claimed`], or a [`RefusalAnswer`].
pub const RENEW_PATH: &str = "/v1/host/renew";

/// What a host says of itself when it calls home. It says the same each time, with a request of the same key, until it is claimed:
/// by its host-id and its key the tower knows it again.
///
/// ```
/// use keyward_callhome_cert::CallHomeRequest;
///
/// let request: CallHomeRequest = serde_json::from_str(
///     r#"{"host-id": "4c4c4544-0051", "csr": "-----BEGIN CERTIFICATE REQUEST-----\n…", "host-name": "edge-7"}"#,
/// )?;
/// assert_eq!(request.host_name.as_ref().map(|name| name.as_str()), Some("edge-7"));
/// // The host-id is a secret, and the request cannot be read.
/// assert!(!format!("{request:?}").contains("4c4c"));
/// assert_eq!(request.certificate_request().unwrap_err().code(), "bad-csr");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct CallHomeRequest {
    /// The shared secret by which the host is known before it has an identity.
    pub host_id: HostId,
    /// A certificate request (PKCS #10) in PEM, for the key that the host keeps. Nothing but the key counts.
    pub csr: String,
    /// What the host calls itself, for operators to see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_name: Option<HostName>,
    /// The version of its agent, for operators to see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<AgentVersion>,
}

impl CallHomeRequest {
    /// A host that says nothing else of itself.
    pub fn new(host_id: HostId, csr: &CertificateRequest) -> Self {
        Self { host_id, csr: csr.to_pem(), host_name: None, agent_version: None }
    }

    /// The certificate request, whose signature proves that the host has the key.
    ///
    /// # Errors
    /// [`Refusal::BadCsr`].
    pub fn certificate_request(&self) -> Result<CertificateRequest, Refusal> {
        CertificateRequest::from_pem(&self.csr).map_err(Refusal::BadCsr)
    }
}

/// Asks for a fresh SVID for the same key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct RenewRequest {
    /// As [`CallHomeRequest::csr`].
    pub csr: String,
}

impl RenewRequest {
    /// For the key of this request.
    pub fn new(csr: &CertificateRequest) -> Self {
        Self { csr: csr.to_pem() }
    }

    /// The certificate request.
    ///
    /// # Errors
    /// [`Refusal::BadCsr`].
    pub fn certificate_request(&self) -> Result<CertificateRequest, Refusal> {
        CertificateRequest::from_pem(&self.csr).map_err(Refusal::BadCsr)
    }
}

/// What a host is answered that was let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CallHomeAnswer {
    /// 202: it waits for an operator, and asks again.
    Unclaimed(Waiting),
    /// 200: it belongs to a site, and here is its identity.
    Claimed(Box<HostIdentity>),
}

/// A host that waits for an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Waiting {
    /// After how many seconds it should ask again, at the earliest; more, and not all hosts at once, is better.
    pub retry_after: u64,
}

impl Waiting {
    /// For so many seconds.
    pub fn seconds(retry_after: u64) -> Self {
        Self { retry_after }
    }
}

/// The identity of a host, and what it needs to use it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct HostIdentity {
    /// The site that it belongs to.
    pub site: Name,
    /// Its SPIFFE ID: `spiffe://<trust domain>/site/<site>/host/<hash of the host-id>`.
    pub spiffe_id: SpiffeId,
    /// Its X.509-SVID, for the key of its request.
    pub x509_svid: SvidPem,
    /// The certificates that verify SVIDs of its trust domain, in PEM.
    pub bundle: String,
    /// The tower's API, where it renews.
    pub tower_url: HttpsUrl,
    /// The certificates that verify the API's, in PEM; absent where those that the host knows anyway do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tower_ca: Option<String>,
    /// The last second of the SVID.
    #[serde(with = "time::serde::rfc3339")]
    pub expires: OffsetDateTime,
    /// When to renew it, at the earliest.
    #[serde(with = "time::serde::rfc3339")]
    pub renew_at: OffsetDateTime,
}

impl HostIdentity {
    /// Of a host of this site. It is to be renewed when half of what is left of its life at `now` is over.
    pub fn new(
        site: Name,
        svid: &keyward_svid::x509::authority::IssuedSvid,
        bundle: String,
        tower_url: HttpsUrl,
        tower_ca: Option<String>,
        now: OffsetDateTime,
    ) -> Self {
        let expires = svid.not_after();
        Self {
            site,
            spiffe_id: svid.id().clone(),
            x509_svid: SvidPem { cert: svid.chain_pem() },
            bundle,
            tower_url,
            tower_ca,
            expires,
            renew_at: to_the_second(now.saturating_add((expires - now).max(time::Duration::ZERO) / 2)),
        }
    }
}

fn to_the_second(at: OffsetDateTime) -> OffsetDateTime {
    at.replace_nanosecond(0).unwrap_or(at)
}

/// An X.509-SVID without its key, which the host has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SvidPem {
    /// The chain in PEM, leaf first.
    pub cert: String,
}

/// What a host is answered that was not let in, as far as it can be read: towers and what stands before them answer in words.
///
/// ```
/// use keyward_callhome_cert::RefusalAnswer;
///
/// let body = br#"{"errors": [{"error-message": "the host was removed", "error-info": {"code": "removed"}}]}"#;
/// let refusal = RefusalAnswer::read(body).unwrap();
/// assert_eq!((refusal.code.as_deref(), refusal.message.as_str()), (Some("removed"), "the host was removed"));
/// assert!(RefusalAnswer::read(b"<html>").is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusalAnswer {
    /// [`Refusal::code`], where the tower says one.
    pub code: Option<String>,
    /// What an operator is to read.
    pub message: String,
}

impl RefusalAnswer {
    /// Reads the body of an answer; `None` for one that no tower makes.
    pub fn read(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Body {
            errors: Vec<One>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case")]
        struct One {
            error_message: String,
            #[serde(default)]
            error_info: Info,
        }
        #[derive(Deserialize, Default)]
        struct Info {
            code: Option<String>,
        }
        let Body { errors } = serde_json::from_slice(body).ok()?;
        let One { error_message, error_info } = errors.into_iter().next()?;
        Some(Self { code: error_info.code, message: error_message })
    }
}
