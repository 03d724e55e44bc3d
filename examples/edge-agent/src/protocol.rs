//! What is said between the agent and its tower.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// `POST /v1/call-home`
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Request<'a> {
    pub(crate) host_id: &'a str,
    pub(crate) csr: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) host_name: Option<&'a str>,
    pub(crate) agent_version: &'static str,
}

/// `POST /v1/host/renew`
#[derive(Serialize)]
pub(crate) struct Renewal<'a> {
    pub(crate) csr: &'a str,
}

/// What the tower answers to both.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub(crate) enum Answer {
    /// 202
    #[serde(rename_all = "kebab-case")]
    Unclaimed {
        /// Seconds
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// 200
    Claimed(Claimed),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Claimed {
    pub(crate) site: String,
    pub(crate) spiffe_id: String,
    pub(crate) x509_svid: Svid,
    pub(crate) bundle: String,
    #[serde(default)]
    pub(crate) tower_url: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) renew_at: OffsetDateTime,
}

#[derive(Deserialize)]
pub(crate) struct Svid {
    pub(crate) cert: String,
}
