//! The configuration document of a relationship.

use std::fmt;

use keyward_config_values::Duration;
use keyward_keys::ErrorKind;
use keyward_spiffe_id::{SpiffeId, TrustDomain};
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::{Endpoint, Error};
use crate::bundle::{self, Bundle};
use crate::refresh::{RefreshError, RefreshOptions};
use crate::url::HttpsUrl;

/// Another trust domain to trust, and where its bundle is.
///
/// ```
/// use keyward_svid::federation::{FederationConfig, Profile};
///
/// let config: FederationConfig = serde_json::from_str(r#"{
///     "trust-domain": "partner.example",
///     "bundle-endpoint-url": "https://partner.example/bundle",
///     "bundle-endpoint-profile": "https-web"
/// }"#)?;
/// assert_eq!(config.endpoint()?.profile(), &Profile::HttpsWeb);
///
/// let config: FederationConfig = serde_json::from_str(r#"{
///     "trust-domain": "partner.example",
///     "bundle-endpoint-url": "https://192.0.2.7:8443/",
///     "bundle-endpoint-profile": "https-spiffe",
///     "endpoint-spiffe-id": "spiffe://partner.example/spire/server"
/// }"#)?;
/// let error = config.endpoint().unwrap_err();
/// assert!(error.to_string().starts_with("`bootstrap-bundle` is missing"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct FederationConfig {
    /// The trust domain, which is also the name of the document. Neither it nor the profile can be told from the URL.
    pub trust_domain: TrustDomain,
    /// Where its bundle is.
    pub bundle_endpoint_url: HttpsUrl,
    /// How whoever is there is authenticated.
    pub bundle_endpoint_profile: EndpointProfile,
    /// With `https-web`: the authorities (PEM) that vouch for the host of the URL, instead of the public ones. Whoever
    /// fetches has to heed it: an [`Endpoint`] does not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle_endpoint_ca_pem: Option<String>,
    /// With `https-spiffe`: the SPIFFE ID that the endpoint must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint_spiffe_id: Option<SpiffeId>,
    /// With `https-spiffe`, where the endpoint is in the trust domain itself: the bundle to begin with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap_bundle: Option<BootstrapBundle>,
    /// How often to fetch, whatever the bundle asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_interval: Option<Duration>,
    /// How old the last bundle may become before nothing of the trust domain is accepted; a day by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Duration>,
}

/// How a bundle endpoint is authenticated (SPIFFE Federation §5.2). The names of the standard, with `_`, are read too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EndpointProfile {
    /// By a certificate of a public authority for the host of the URL.
    #[serde(alias = "https_web")]
    HttpsWeb,
    /// By an X.509-SVID.
    #[serde(alias = "https_spiffe")]
    HttpsSpiffe,
}

/// A bundle in a configuration document: a SPIFFE bundle, as an object or as text, or certificates as PEM text. It is
/// written as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootstrapBundle(Form);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Text(String),
    Object(Value),
}

/// What is wrong with a [`FederationConfig`]. Each text names the field and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// `https-spiffe` without the ID of the endpoint.
    #[error("`endpoint-spiffe-id` is missing: with `https-spiffe`, say which SPIFFE ID the endpoint must have")]
    EndpointIdMissing,
    /// `https-web` with the ID of the endpoint.
    #[error(
        "`endpoint-spiffe-id` means nothing with `https-web`: remove it, or set `bundle-endpoint-profile` to `https-spiffe`"
    )]
    EndpointIdUnused,
    /// `https-spiffe` with authorities of the web.
    #[error(
        "`bundle-endpoint-ca-pem` means nothing with `https-spiffe`: remove it, or set `bundle-endpoint-profile` to `https-web`"
    )]
    CaUnused,
    /// The ID of the endpoint is that of a signing authority.
    #[error("`endpoint-spiffe-id` has no path: give the ID of the server, as in `{example}`")]
    EndpointId {
        /// One with a path.
        example: String,
    },
    /// A self-serving endpoint without a bundle to begin with.
    #[error(
        "`bootstrap-bundle` is missing: the endpoint is in the trust domain whose bundle it serves, so give the bundle that verifies it the first time"
    )]
    BootstrapMissing,
    /// A bundle to begin with that nothing needs.
    #[error("`bootstrap-bundle` means nothing here: remove it{}", .trust_domain.as_ref().map(|other| format!(", and configure federation with `{other}`, whose bundle verifies the endpoint")).unwrap_or_default())]
    BootstrapUnused {
        /// The trust domain of the endpoint, where that is another.
        trust_domain: Option<TrustDomain>,
    },
    /// The bundle to begin with has no X.509 authority.
    #[error(
        "`bootstrap-bundle` has no usable X.509 authority: give the bundle that the endpoint's certificate chains up to"
    )]
    BootstrapEmpty,
    /// The bundle to begin with is none.
    #[error("`bootstrap-bundle` is no bundle: give a SPIFFE bundle, or certificates in PEM")]
    Bootstrap(#[source] bundle::Error),
    /// The times of fetching contradict themselves.
    #[error(
        "`refresh-interval` and `max-age` contradict each other ({0}): let several fetches fit into the maximum age"
    )]
    Times(RefreshError),
}

impl ConfigError {
    /// Always [`ErrorKind::Misconfigured`].
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Misconfigured
    }

    /// The field at fault.
    pub fn field(&self) -> &'static str {
        match self {
            Self::EndpointIdMissing | Self::EndpointIdUnused | Self::EndpointId { .. } => "endpoint-spiffe-id",
            Self::CaUnused => "bundle-endpoint-ca-pem",
            Self::BootstrapMissing | Self::BootstrapUnused { .. } | Self::BootstrapEmpty | Self::Bootstrap(_) => {
                "bootstrap-bundle"
            }
            Self::Times(_) => "max-age",
        }
    }
}

impl FederationConfig {
    /// Federation by `https-web`, with everything else by default.
    pub fn web(trust_domain: TrustDomain, url: HttpsUrl) -> Self {
        Self {
            trust_domain,
            bundle_endpoint_url: url,
            bundle_endpoint_profile: EndpointProfile::HttpsWeb,
            bundle_endpoint_ca_pem: None,
            endpoint_spiffe_id: None,
            bootstrap_bundle: None,
            refresh_interval: None,
            max_age: None,
        }
    }

    /// Checks what no field can check for itself.
    ///
    /// # Errors
    /// The first that is wrong.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.endpoint()?;
        self.options().map(|_| ())
    }

    /// The endpoint.
    ///
    /// # Errors
    /// When fields contradict each other, or the bundle to begin with is none.
    pub fn endpoint(&self) -> Result<Endpoint, ConfigError> {
        let (trust_domain, url) = (self.trust_domain.clone(), self.bundle_endpoint_url.clone());
        if self.bundle_endpoint_profile == EndpointProfile::HttpsSpiffe && self.bundle_endpoint_ca_pem.is_some() {
            return Err(ConfigError::CaUnused);
        }
        let id = match (self.bundle_endpoint_profile, &self.endpoint_spiffe_id) {
            (EndpointProfile::HttpsSpiffe, Some(id)) => id.clone(),
            (EndpointProfile::HttpsSpiffe, None) => return Err(ConfigError::EndpointIdMissing),
            (EndpointProfile::HttpsWeb, Some(_)) => return Err(ConfigError::EndpointIdUnused),
            (EndpointProfile::HttpsWeb, None) if self.bootstrap_bundle.is_some() => {
                return Err(ConfigError::BootstrapUnused { trust_domain: None });
            }
            (EndpointProfile::HttpsWeb, None) => return Ok(Endpoint::web(trust_domain, url)),
        };
        let bootstrap = self.bootstrap_bundle.as_ref().map(|bundle| bundle.parse(&self.trust_domain)).transpose();
        let example = format!("{}/spire/server", id.trust_domain().to_owned().signing_authority_id());
        let other = id.trust_domain().to_owned();
        Endpoint::spiffe(trust_domain, url, id, bootstrap?).map_err(|error| match error {
            Error::EndpointId(_) => ConfigError::EndpointId { example },
            Error::BootstrapUnused { .. } => ConfigError::BootstrapUnused { trust_domain: Some(other) },
            Error::BootstrapEmpty => ConfigError::BootstrapEmpty,
            _ => ConfigError::BootstrapMissing,
        })
    }

    /// When to fetch, and how long the last bundle serves.
    ///
    /// # Errors
    /// [`ConfigError::Times`].
    pub fn options(&self) -> Result<RefreshOptions, ConfigError> {
        let mut options = self
            .refresh_interval
            .map_or_else(RefreshOptions::default, |interval| RefreshOptions::every(interval.to_time()));
        if let Some(max_age) = self.max_age {
            options.max_age = max_age.to_time();
        }
        options.validate().map_err(ConfigError::Times)?;
        Ok(options)
    }
}

impl BootstrapBundle {
    /// A bundle from text: a SPIFFE bundle or PEM.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(Form::Text(text.into()))
    }

    /// Reads it as the bundle of this trust domain.
    ///
    /// # Errors
    /// [`ConfigError::Bootstrap`].
    pub fn parse(&self, trust_domain: &TrustDomain) -> Result<Bundle, ConfigError> {
        let json = |json: &str| Bundle::from_json(trust_domain.clone(), json.as_bytes());
        match &self.0 {
            Form::Text(text) if text.trim_start().starts_with('{') => json(text),
            Form::Text(pem) => Bundle::from_pem(trust_domain.clone(), pem),
            Form::Object(object) => json(&object.to_string()),
        }
        .map_err(ConfigError::Bootstrap)
    }
}

impl Serialize for BootstrapBundle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Form::Text(text) => serializer.serialize_str(text),
            Form::Object(object) => object.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for BootstrapBundle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FormVisitor;

        impl<'de> Visitor<'de> for FormVisitor {
            type Value = BootstrapBundle;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a SPIFFE bundle as an object or a text, or certificates in PEM")
            }

            fn visit_str<E>(self, text: &str) -> Result<BootstrapBundle, E> {
                Ok(BootstrapBundle::from_text(text))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<BootstrapBundle, A::Error> {
                Value::deserialize(de::value::MapAccessDeserializer::new(map))
                    .map(|object| BootstrapBundle(Form::Object(object)))
            }
        }

        deserializer.deserialize_any(FormVisitor)
    }
}
