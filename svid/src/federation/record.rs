//! The stored form of a relationship.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Endpoint, Error, Profile, Relationship};
use crate::bundle::Bundle;
use crate::refresh::{Record, RefreshError, RefreshOptions};

/// What a relationship remembers besides its bundle.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Notes {
    #[serde(skip_serializing_if = "Option::is_none")]
    changed_at: Option<i64>,
    /// Absent from older records: then it is that of the bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    highest: Option<u64>,
    unannounced: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    rolled_back_to: Option<u64>,
}

/// What makes an endpoint the same.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct StoredEndpoint {
    trust_domain: String,
    bundle_endpoint_url: String,
    bundle_endpoint_profile: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint_spiffe_id: Option<String>,
    /// A digest of the certificates to begin with. Of nothing else in that bundle, so that a release which understands
    /// more kinds of key finds the same endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    bootstrap: Option<String>,
}

impl From<&Endpoint> for StoredEndpoint {
    fn from(endpoint: &Endpoint) -> Self {
        let endpoint_spiffe_id = match endpoint.profile() {
            Profile::HttpsSpiffe { endpoint_id, .. } => Some(endpoint_id.to_string()),
            Profile::HttpsWeb => None,
        };
        Self {
            trust_domain: endpoint.trust_domain().to_string(),
            bundle_endpoint_url: endpoint.url().to_string(),
            bundle_endpoint_profile: endpoint.profile().as_str().to_owned(),
            endpoint_spiffe_id,
            bootstrap: endpoint.bootstrap().map(digest),
        }
    }
}

fn digest(bundle: &Bundle) -> String {
    let mut digests: Vec<_> =
        bundle.x509().authorities().iter().map(|authority| keyward_keys::sha256(authority)).collect();
    digests.sort_unstable();
    URL_SAFE_NO_PAD.encode(keyward_keys::sha256(&digests.concat()))
}

impl Relationship {
    /// The record to store after each change, so that a restart resumes. It holds nothing secret; whoever can change it
    /// decides whom the trust domain's identities are believed to be.
    pub fn to_json(&self) -> String {
        let notes = Notes {
            changed_at: self.changed_at.map(OffsetDateTime::unix_timestamp),
            highest: self.highest,
            unannounced: self.unannounced,
            rolled_back_to: self.rolled_back_to,
        };
        Record::write(StoredEndpoint::from(&self.endpoint), &self.bundles, notes)
    }

    /// Goes on where the record was written. A record of another endpoint is not taken up: the relationship begins anew,
    /// as with [`new`](Self::new).
    ///
    /// # Errors
    /// [`Error::Refresh`] when a newer release wrote it, it cannot be read, or the options contradict themselves.
    pub fn resume(
        endpoint: Endpoint,
        options: RefreshOptions,
        record: &[u8],
        now: OffsetDateTime,
    ) -> Result<Self, Error> {
        let record: Record<StoredEndpoint, Notes> = Record::read(record).map_err(Error::Refresh)?;
        if record.origin != StoredEndpoint::from(&endpoint) {
            return Self::new(endpoint, options, now);
        }
        let Notes { changed_at, highest, unannounced, rolled_back_to } = record.notes;
        let date =
            |seconds| OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| Error::Refresh(RefreshError::Record));
        let read = |json: &[u8]| Bundle::from_json(endpoint.trust_domain().clone(), json).ok();
        Ok(Self {
            bundles: record.restore(options, read, now).map_err(Error::Refresh)?,
            changed_at: changed_at.map(date).transpose()?,
            highest,
            unannounced,
            rolled_back_to,
            endpoint,
        })
    }
}
