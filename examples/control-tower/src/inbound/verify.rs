//! From what was presented to a verified SPIFFE ID.

use std::sync::Arc;

use keyward_approle::SpiffeAuth;
use keyward_config_values::Name;
use keyward_spiffe_id::SpiffeId;
use keyward_svid::{
    JwtBundle, Verifier,
    jwt::{UnverifiedJwtSvid, VerifyError},
};
use rustls::pki_types::CertificateDer;

use super::{COLLECTION, KeySource, SpiffeLoginConfig};
use crate::{
    app::App,
    db::{DbError, Stored},
    federation,
    http::error::Answer,
    layout,
    store::Guard,
};

/// What somebody presented.
pub enum Credential<'a> {
    /// A JWT-SVID, as text.
    Jwt(&'a str),
    /// An X.509-SVID, whose key's possession the TLS handshake proved.
    X509(&'a [CertificateDer<'static>]),
}

impl Credential<'_> {
    /// For the audit log.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Jwt(_) => "jwt-svid",
            Self::X509(_) => "x509-svid",
        }
    }
}

/// Why it does not count, for the audit log alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// A code that does not change.
    pub code: &'static str,
    /// What was wrong with it.
    pub why: String,
}

impl Refusal {
    fn new(code: &'static str, why: impl ToString) -> Self {
        Self { code, why: why.to_string() }
    }

    fn no_keys(why: impl ToString) -> Self {
        Self::new("no-keys", why)
    }
}

/// A document, and what is made of it once per change.
struct Prepared {
    config: SpiffeLoginConfig,
    verifier: Verifier,
    keys: Option<Arc<JwtBundle>>,
    bundle: Option<Arc<JwtBundle>>,
}

impl Prepared {
    fn read(bytes: &[u8], own_audience: &str) -> Result<Self, String> {
        let config: SpiffeLoginConfig = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let verifier = config.verifier(own_audience).map_err(|error| error.to_string())?;
        let keys = config.static_keys().map_err(|error| error.to_string())?;
        let keys = keys.map(|keys| Arc::new(JwtBundle::new(config.trust_domain.clone(), keys)));
        let bundle = config.static_bundle().map_err(|error| error.to_string())?;
        let bundle = bundle.map(|keys| Arc::new(JwtBundle::new(config.trust_domain.clone(), keys)));
        Ok(Self { config, verifier, keys, bundle })
    }
}

/// One configuration of logins by SVID, as it is now.
pub struct Inbound {
    tenant: Name,
    document: Stored<Arc<Prepared>>,
    /// Who gets which token.
    pub auth: Stored<Arc<SpiffeAuth>>,
}

impl Inbound {
    /// Reads it.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn load(app: &App, tenant: &Name, name: &Name) -> Result<Option<Self>, DbError> {
        let key = layout::document(tenant, &format!("{COLLECTION}/{name}"));
        let document = app.db.load(&key, |bytes| Prepared::read(bytes, app.external_url.as_str())).await?;
        let auth = app.db.load(&layout::spiffe_auth(tenant, name.as_str()), SpiffeAuth::decode).await?;
        let (Some(document), Some(auth)) = (document, auth) else {
            app.inbound_keys.forget(tenant, name);
            return Ok(None);
        };
        Ok(Some(Self { tenant: tenant.clone(), document, auth }))
    }

    /// That it is still as it was read.
    pub fn guards(&self) -> Vec<Guard> {
        vec![self.document.guard(), self.auth.guard()]
    }

    /// Verifies what was presented, at this moment.
    ///
    /// # Errors
    /// Those of the store. What does not count is no error.
    pub async fn verify(&self, app: &App, presented: &Credential<'_>) -> Answer<Result<SpiffeId, Refusal>> {
        match presented {
            Credential::Jwt(token) => self.verify_jwt(app, token).await,
            Credential::X509(_) => Ok(Err(Refusal::no_keys("no authorities of X.509-SVIDs are known"))),
        }
    }

    async fn verify_jwt(&self, app: &App, token: &str) -> Answer<Result<SpiffeId, Refusal>> {
        let Prepared { config, verifier, keys, bundle } = &*self.document.value;
        let mut fetched = None;
        let keys = match (config.source(), keys, bundle) {
            (KeySource::Uri(url), ..) => {
                let instance = self.auth.value.instance();
                let source = app.inbound_keys.source(&self.tenant, config, url.as_str(), instance, app.clock.now());
                let keys = match source {
                    Ok(source) => fetched.insert(source).keys(&app.clock).await,
                    Err(problem) => Err(problem),
                };
                match keys {
                    Ok(keys) => keys,
                    Err(problem) => return Ok(Err(Refusal::no_keys(problem))),
                }
            }
            (KeySource::Keys(_), Some(keys), _) => Arc::clone(keys),
            (KeySource::Bundle(_), _, Some(bundle)) => Arc::clone(bundle),
            _ => match federation::bundle(app, &self.tenant, &config.trust_domain).await? {
                Ok(keys) => keys,
                Err(problem) => return Ok(Err(Refusal::no_keys(problem))),
            },
        };
        let mut result = verifier.verify(token, &keys, app.clock.now());
        if let (Err(error), Some(source)) = (&result, &fetched)
            && may_be_of_a_new_key(error, token)
            && let Some(newer) = source.newer_keys(&keys, &app.clock).await
        {
            result = verifier.verify(token, &newer, app.clock.now());
        }
        Ok(result.map(|svid| svid.id().clone()).map_err(|error| Refusal::new("svid-refused", error)))
    }
}

/// Whether the keys at hand may be older than the one that signed. A token without `kid` does not say which that is.
fn may_be_of_a_new_key(error: &VerifyError, token: &str) -> bool {
    match error {
        VerifyError::NoKey { .. } => true,
        VerifyError::Signature => UnverifiedJwtSvid::parse(token).is_ok_and(|token| token.kid().is_none()),
        _ => false,
    }
}
