//! The document of a login by SVID. It puts together what verifies SVIDs (`keyward-svid`) and who gets which token
//! (`keyward-approle`); neither crate knows of the other, so that the document stands here.

use keyward_approle::SpiffeRule;
use keyward_config_tree::{Field, FieldError};
use keyward_config_values::{Duration, Name};
use keyward_keys::Algorithm;
use keyward_spiffe_id::TrustDomain;
use keyward_svid::{HttpsUrl, JwkSet, KeyUse, Verifier, VerifyOptions, bundle::Bundle};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use crate::{documents, outbound};

/// Where such documents are.
pub const COLLECTION: &str = "strongbox/authentication/spiffe";

/// Where nothing is said, keys are fetched so often …
const REFRESH: Duration = Duration::MINUTE.saturating_mul(5);
/// … waited for so long …
const TIMEOUT: Duration = Duration::SECOND.saturating_mul(5);
/// … and used for so long while their source does not answer.
const MAX_AGE: Duration = Duration::HOUR;
/// A login waits for a fetch, and a request has 30 seconds.
const LONGEST_TIMEOUT: Duration = Duration::SECOND.saturating_mul(20);
/// The most rules and audiences of a document, and the longest audience in bytes.
const MOST: usize = 1000;
const LONGEST_AUDIENCE: usize = 1024;

/// Who may log in with an SVID of a trust domain, how it is verified, and which tokens that gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct SpiffeLoginConfig {
    /// The last segment of its path; callers name it.
    pub name: Name,
    /// Whose SVIDs.
    pub trust_domain: TrustDomain,
    /// Where the trust domain publishes its keys: a JWK set, or a SPIFFE bundle of which the keys of JWT-SVIDs count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<HttpsUrl>,
    /// The authorities (PEM) that vouch for the host of `jwks-uri`, instead of the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_ca_pem: Option<String>,
    /// The keys themselves, as a JWK set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    /// The keys and X.509 authorities themselves, as a SPIFFE bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Value>,
    /// How often `jwks-uri` is fetched; 5 minutes where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_refresh_interval: Option<Duration>,
    /// How long a fetch may take; 5 seconds where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_request_timeout: Option<Duration>,
    /// How long keys are used while `jwks-uri` does not answer; 1 hour where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_cache_max_age: Option<Duration>,
    /// The algorithms of JWT-SVIDs; all nine of the standard where nothing is said.
    #[serde(default, deserialize_with = "algorithms", skip_serializing_if = "Vec::is_empty")]
    pub allowed_algorithms: Vec<Algorithm>,
    /// How far the clock of the issuer may differ, at most a minute; not at all where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_clock_skew: Option<Duration>,
    /// The audiences of which a JWT-SVID must name one; the tower's external URL where nothing is said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_audiences: Vec<String>,
    /// Who gets which tokens: the most specific pattern decides, and what none matches is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spiffe_id_patterns: Vec<SpiffeRule>,
}

/// Where the keys come from.
#[derive(Clone, Copy, Debug)]
pub enum KeysFrom<'a> {
    /// They are fetched from `jwks-uri`.
    Uri(&'a HttpsUrl),
    /// They are in the document: `jwks`.
    Keys(&'a Value),
    /// They are in the document: `bundle`.
    Bundle(&'a Value),
    /// They are those of the tenant itself, or what a relationship of federation with the trust domain brought.
    TrustDomain,
}

impl SpiffeLoginConfig {
    /// Where the keys come from.
    pub fn source(&self) -> KeysFrom<'_> {
        match (&self.jwks_uri, &self.jwks, &self.bundle) {
            (Some(uri), ..) => KeysFrom::Uri(uri),
            (_, Some(keys), _) => KeysFrom::Keys(keys),
            (.., Some(bundle)) => KeysFrom::Bundle(bundle),
            (None, None, None) => KeysFrom::TrustDomain,
        }
    }

    /// Whether an X.509-SVID can log in: key sets have no X.509 authorities.
    pub fn takes_x509(&self) -> bool {
        matches!(self.source(), KeysFrom::Bundle(_) | KeysFrom::TrustDomain)
    }

    /// How often keys are fetched.
    pub fn refresh_interval(&self) -> Duration {
        self.jwks_refresh_interval.unwrap_or(REFRESH.min(self.cache_max_age()))
    }

    /// How long a fetch may take.
    pub fn request_timeout(&self) -> Duration {
        self.jwks_request_timeout.unwrap_or(TIMEOUT)
    }

    /// How long keys are used while their source does not answer.
    pub fn cache_max_age(&self) -> Duration {
        self.jwks_cache_max_age.unwrap_or(MAX_AGE)
    }

    /// What verifies JWT-SVIDs. `own` is the audience where the document names none.
    ///
    /// # Errors
    /// A field that no verifier has use for.
    pub fn verifier(&self, own: &str) -> Result<Verifier, FieldError> {
        let mut options = VerifyOptions::default();
        if !self.allowed_algorithms.is_empty() {
            options.algorithms.clone_from(&self.allowed_algorithms);
        }
        options.leeway = self.allowed_clock_skew.map_or(time::Duration::ZERO, Duration::to_time);
        let own = [own.to_owned()];
        let audiences = if self.allowed_audiences.is_empty() { &own[..] } else { &self.allowed_audiences };
        Verifier::new(audiences, options).map_err(|error| {
            let field = match &error {
                keyward_svid::jwt::VerifierError::Algorithm => "allowed-algorithms",
                keyward_svid::jwt::VerifierError::Leeway { .. } => "allowed-clock-skew",
                _ => "allowed-audiences",
            };
            FieldError::new(field, error.to_string())
        })
    }

    /// The bundle in the document, if there is one.
    ///
    /// # Errors
    /// It is none.
    pub fn static_bundle(&self) -> Result<Option<Bundle>, FieldError> {
        let Some(bundle) = &self.bundle else { return Ok(None) };
        let json = bundle.to_string();
        Bundle::from_json(self.trust_domain.clone(), json.as_bytes())
            .map(Some)
            .map_err(|error| FieldError::new("bundle", error.to_string()))
    }

    /// The key set in the document, if there is one.
    ///
    /// # Errors
    /// It is none, or none of its keys can be used.
    pub fn static_keys(&self) -> Result<Option<JwkSet>, FieldError> {
        let Some(keys) = &self.jwks else { return Ok(None) };
        let set = key_set(keys.to_string().as_bytes()).map_err(|error| FieldError::new("jwks", error))?;
        if set.keys().is_empty() {
            let why = set.skipped().first().map(|skipped| format!(": {}", skipped.reason)).unwrap_or_default();
            return Err(FieldError::new("jwks", format!("has no key that verifies JWT-SVIDs{why}"))
                .with_remedy("leave the document out to let nobody in"));
        }
        Ok(Some(set))
    }

    /// Checks the fields against each other.
    ///
    /// # Errors
    /// The first that is wrong.
    pub fn validate(&self) -> Result<(), FieldError> {
        self.one_source()?;
        if self.jwks_uri.is_some() {
            self.fetching()?;
        }
        for (field, found) in
            [("spiffe-id-patterns", self.spiffe_id_patterns.len()), ("allowed-audiences", self.allowed_audiences.len())]
        {
            if found > MOST {
                return Err(FieldError::new(field, format!("has {found} entries, at most {MOST} are allowed")));
            }
        }
        for (index, audience) in self.allowed_audiences.iter().enumerate() {
            if audience.is_empty() || audience.len() > LONGEST_AUDIENCE || audience.chars().any(char::is_control) {
                let field = Field::root().key("allowed-audiences").index(index);
                let message = format!("must be 1 to {LONGEST_AUDIENCE} bytes without control characters");
                return Err(FieldError::new(field, message));
            }
        }
        self.verifier("own")?;
        self.static_keys()?;
        self.static_bundle()?;
        documents::valid(SpiffeRule::validate_all(&self.spiffe_id_patterns, &self.trust_domain))
    }

    fn one_source(&self) -> Result<(), FieldError> {
        let sources =
            [("jwks-uri", self.jwks_uri.is_some()), ("jwks", self.jwks.is_some()), ("bundle", self.bundle.is_some())];
        let mut given = sources.into_iter().filter(|(_, given)| *given).map(|(field, _)| field);
        if let (Some(first), Some(second)) = (given.next(), given.next()) {
            return Err(FieldError::new(second, format!("cannot be set together with `{first}`"))
                .with_remedy("keys come from one source: remove one of the two"));
        }
        let only_fetched = [
            ("jwks-ca-pem", self.jwks_ca_pem.is_some()),
            ("jwks-refresh-interval", self.jwks_refresh_interval.is_some()),
            ("jwks-request-timeout", self.jwks_request_timeout.is_some()),
            ("jwks-cache-max-age", self.jwks_cache_max_age.is_some()),
        ];
        match only_fetched.into_iter().find(|(_, given)| *given) {
            Some((field, _)) if self.jwks_uri.is_none() => {
                Err(FieldError::new(field, "is for keys that are fetched").with_remedy("add `jwks-uri`, or remove it"))
            }
            _ => Ok(()),
        }
    }

    fn fetching(&self) -> Result<(), FieldError> {
        let (interval, max_age) = (self.refresh_interval(), self.cache_max_age());
        if interval > max_age {
            let message = format!("is `{interval}`, longer than `jwks-cache-max-age` (`{max_age}`)");
            return Err(FieldError::new("jwks-refresh-interval", message));
        }
        if self.request_timeout() > LONGEST_TIMEOUT {
            let message = format!("is `{}`, at most `{LONGEST_TIMEOUT}` is allowed", self.request_timeout());
            return Err(FieldError::new("jwks-request-timeout", message));
        }
        if let Some(pem) = &self.jwks_ca_pem {
            outbound::authorities(pem).map_err(|error| FieldError::new("jwks-ca-pem", error))?;
        }
        Ok(())
    }
}

/// An algorithm that the standard allows for JWT-SVIDs (JWT-SVID §2.1).
struct Allowed(Algorithm);

impl<'de> Deserialize<'de> for Allowed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let all = VerifyOptions::default().algorithms;
        let found = name.parse().ok().filter(|algorithm| all.contains(algorithm));
        found.map(Self).ok_or_else(|| {
            let all: Vec<String> = all.iter().map(|algorithm| format!("`{algorithm}`")).collect();
            let name: String = name.chars().take(64).flat_map(char::escape_debug).collect();
            de::Error::custom(format!("`{name}` is no algorithm of JWT-SVIDs: give one of {}", all.join(", ")))
        })
    }
}

fn algorithms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Algorithm>, D::Error> {
    let all = Vec::<Allowed>::deserialize(deserializer)?;
    Ok(all.into_iter().map(|Allowed(algorithm)| algorithm).collect())
}

/// A document with keys of JWT-SVIDs: as OIDC publishes them (`use` is `sig` or absent) or, where there are such, as a SPIFFE
/// bundle has them (`use` is `jwt-svid`).
///
/// # Errors
/// It is neither.
pub(super) fn key_set(json: &[u8]) -> Result<JwkSet, String> {
    let bundle = JwkSet::from_json(json, KeyUse::JwtSvid).map_err(|error| error.to_string())?;
    if !bundle.keys().is_empty() {
        return Ok(bundle);
    }
    JwkSet::from_json(json, KeyUse::Signature).map_err(|error| error.to_string())
}
