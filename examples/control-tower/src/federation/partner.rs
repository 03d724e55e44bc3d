//! A relationship as it is stored: the document that configures it, and how it is.

use std::sync::Arc;

use keyward_config_tree::Path;
use keyward_spiffe_id::TrustDomain;
use keyward_svid::{
    bundle::Bundle,
    federation::{FederationConfig, Relationship, State},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// Where the documents are.
pub const COLLECTION: &str = "federation";

const FORMAT: u32 = 1;

/// So many numbers of refused bundles are remembered, the last ones.
const REFUSED: usize = 16;

/// The trust domain that the path of a document names.
pub fn trust_domain_in(path: &Path) -> Option<TrustDomain> {
    path.as_str().strip_prefix(COLLECTION)?.strip_prefix('/')?.parse().ok()
}

/// A relationship of a tenant with another trust domain. Document and machine are one record, so that nobody ever reads one of
/// them with an older one of the other.
#[derive(Debug)]
pub struct Partner {
    /// The document.
    pub config: FederationConfig,
    /// The machine.
    pub relationship: Relationship,
    /// The alarm that its bundle is too old was given.
    pub alarmed: bool,
    /// The entries of the latest bundle that cannot be used, and why.
    pub skipped: Vec<SkippedKey>,
    /// The numbers of the bundles that were refused as too old since the last one was taken, and said to be.
    refused: Vec<u64>,
    bundle: Option<Arc<Bundle>>,
}

/// An entry of a bundle that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SkippedKey {
    /// Its place, from 0.
    pub index: usize,
    /// Its name, if it has one.
    pub kid: Option<String>,
    /// Why.
    pub reason: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Record {
    format: u32,
    /// When it was written: the machine goes on from then.
    written: i64,
    config: FederationConfig,
    /// As the machine writes itself.
    relationship: String,
    #[serde(default)]
    alarmed: bool,
    #[serde(default)]
    skipped: Vec<SkippedKey>,
    #[serde(default)]
    refused: Vec<u64>,
}

impl Partner {
    /// A relationship that begins now.
    ///
    /// # Errors
    /// The document is not valid.
    pub fn new(config: FederationConfig, now: OffsetDateTime) -> Result<Self, String> {
        let (endpoint, options) = parts(&config)?;
        let relationship = Relationship::new(endpoint, options, now).map_err(|error| error.to_string())?;
        Ok(Self { config, relationship, alarmed: false, skipped: Vec::new(), refused: Vec::new(), bundle: None })
    }

    /// The same under another document. With another endpoint the bundle is dropped.
    ///
    /// # Errors
    /// The document is not valid.
    pub fn configure(&mut self, config: FederationConfig, now: OffsetDateTime) -> Result<(), String> {
        if self.relationship.status(now).state == State::Waiting && self.config != config {
            // What failed under the other document is no reason to wait.
            *self = Self::new(config, now)?;
            return Ok(());
        }
        let (endpoint, options) = parts(&config)?;
        self.relationship.configure(endpoint, options, now).map_err(|error| error.to_string())?;
        self.config = config;
        let state = self.relationship.status(now).state;
        self.alarmed &= state == State::Expired;
        if state == State::Waiting {
            self.skipped.clear();
            self.refused.clear();
        }
        self.bundle = None;
        Ok(())
    }

    /// The record to be stored.
    ///
    /// # Errors
    /// None that occurs.
    pub fn encode(&self, now: OffsetDateTime) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&Record {
            format: FORMAT,
            written: now.unix_timestamp(),
            config: self.config.clone(),
            relationship: self.relationship.to_json(),
            alarmed: self.alarmed,
            skipped: self.skipped.clone(),
            refused: self.refused.clone(),
        })
    }

    /// Reads a stored record.
    ///
    /// # Errors
    /// It is damaged, or of a newer program.
    pub fn decode(bytes: &[u8], now: OffsetDateTime) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let Head { format } = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if format > FORMAT {
            return Err(format!("format {format} is of a newer program"));
        }
        let Record { written, config, relationship, alarmed, skipped, refused, .. } =
            serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let (endpoint, options) = parts(&config)?;
        let written = OffsetDateTime::from_unix_timestamp(written).map_err(|error| error.to_string())?;
        let relationship = Relationship::resume(endpoint, options, relationship.as_bytes(), written.min(now))
            .map_err(|error| error.to_string())?;
        let bundle = relationship.bundle(now).cloned().map(Arc::new);
        Ok(Self { config, relationship, alarmed, skipped, refused, bundle })
    }

    /// Remembers that a bundle with this number was refused as too old. Answers whether that has to be said: once.
    pub fn refuses(&mut self, offered: u64) -> bool {
        if self.refused.contains(&offered) {
            return false;
        }
        self.refused.truncate(REFUSED - 1);
        self.refused.insert(0, offered);
        true
    }

    /// Another bundle was taken: what is refused from now on is said again.
    pub fn takes(&mut self) {
        self.refused.clear();
    }

    /// Why the last fetch brought nothing, and what to do where waiting does not help.
    pub fn problem(&self, now: OffsetDateTime) -> Option<String> {
        let status = self.relationship.status(now);
        let failure = status.last_error?;
        Some(match status.rolled_back_to {
            Some(_) => format!(
                "{}; if the other end began to count anew, delete and create `{COLLECTION}/{}`, which starts afresh",
                failure.reason,
                self.trust_domain()
            ),
            None => failure.reason.clone(),
        })
    }

    /// The other trust domain.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.config.trust_domain
    }

    /// The bundle to verify SVIDs with, or why there is none.
    ///
    /// # Errors
    /// None was fetched yet, or the last one is too old.
    pub fn bundle(&self, now: OffsetDateTime) -> Result<Arc<Bundle>, String> {
        let status = self.relationship.status(now);
        let problem = match status.state {
            State::Current => match &self.bundle {
                Some(bundle) => return Ok(Arc::clone(bundle)),
                None => "was not read",
            },
            State::Expired => "is too old",
            _ => "was not fetched yet",
        };
        let cause = status.last_error.map(|failure| format!(": {}", failure.reason)).unwrap_or_default();
        Err(format!("the bundle of `{}` {problem}{cause}", self.trust_domain()))
    }

    /// When there is something to do: to fetch, or to say that the bundle is too old.
    pub fn next_deadline(&self, now: OffsetDateTime) -> OffsetDateTime {
        let status = self.relationship.status(now);
        let max_age = self.config.options().map(|options| options.max_age).unwrap_or_default();
        match (status.state, status.age) {
            (State::Current, Some(age)) => status.next_poll.min(now.saturating_add(max_age - age)),
            _ => status.next_poll,
        }
    }
}

fn parts(
    config: &FederationConfig,
) -> Result<(keyward_svid::federation::Endpoint, keyward_svid::refresh::RefreshOptions), String> {
    let endpoint = config.endpoint().map_err(|error| error.to_string())?;
    let options = config.options().map_err(|error| error.to_string())?;
    Ok((endpoint, options))
}
