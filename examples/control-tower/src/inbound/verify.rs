//! From what was presented to a verified SPIFFE ID.

use std::sync::Arc;

use keyward_approle::SpiffeAuth;
use keyward_config_values::Name;
use keyward_spiffe_id::SpiffeId;
use keyward_svid::{
    JwtBundle, Verifier,
    bundle::Bundle,
    jwt::{UnverifiedJwtSvid, VerifyError},
    x509::{Error as X509Error, X509Verifier, X509VerifyOptions},
};
use rustls::pki_types::CertificateDer;

use super::{COLLECTION, KeysFrom, SpiffeLoginConfig, keys::Source};
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
    /// What tells it from others.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Jwt(token) => token.as_bytes(),
            Self::X509(chain) => chain.first().map_or(&[], |leaf| leaf.as_ref()),
        }
    }

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
    bundle: Option<Arc<Bundle>>,
}

impl Prepared {
    fn read(bytes: &[u8], own_audience: &str) -> Result<Self, String> {
        let config: SpiffeLoginConfig = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let verifier = config.verifier(own_audience).map_err(|error| error.to_string())?;
        let keys = config.static_keys().map_err(|error| error.to_string())?;
        let keys = keys.map(|keys| Arc::new(JwtBundle::new(config.trust_domain.clone(), keys)));
        let bundle = config.static_bundle().map_err(|error| error.to_string())?.map(Arc::new);
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
            Credential::X509(chain) => self.verify_x509(app, chain).await,
        }
    }

    async fn verify_jwt(&self, app: &App, token: &str) -> Answer<Result<SpiffeId, Refusal>> {
        let Prepared { config, verifier, keys, .. } = &*self.document.value;
        let refuse = |error: VerifyError| Refusal::new("svid-refused", error);
        if let Some(bundle) = self.bundle(app).await? {
            let bundle = match bundle {
                Ok(bundle) => bundle,
                Err(problem) => return Ok(Err(Refusal::no_keys(problem))),
            };
            let result = verifier.verify(token, bundle.jwt(), app.clock.now());
            if result.as_ref().is_err_and(|error| may_be_of_a_new_key(error, token)) {
                self.ask_for_newer_bundle(app);
            }
            return Ok(result.map(|svid| svid.id().clone()).map_err(refuse));
        }
        let (keys, source) = match (config.source(), keys) {
            (KeysFrom::Uri(url), _) => {
                let source = self.source(app, url.as_str());
                let fetched = match &source {
                    Ok(source) => source.keys(&app.clock).await,
                    Err(problem) => Err(problem.clone()),
                };
                match fetched {
                    Ok(keys) => (keys, source.ok()),
                    Err(problem) => return Ok(Err(Refusal::no_keys(problem))),
                }
            }
            (_, Some(keys)) => (Arc::clone(keys), None),
            _ => return Ok(Err(Refusal::no_keys("the document has none"))),
        };
        let mut result = verifier.verify(token, &keys, app.clock.now());
        if let (Err(error), Some(source)) = (&result, &source)
            && may_be_of_a_new_key(error, token)
            && let Some(newer) = source.newer_keys(&keys, &app.clock).await
        {
            result = verifier.verify(token, &newer, app.clock.now());
        }
        Ok(result.map(|svid| svid.id().clone()).map_err(refuse))
    }

    async fn verify_x509(&self, app: &App, chain: &[CertificateDer<'static>]) -> Answer<Result<SpiffeId, Refusal>> {
        let bundle = match self.bundle(app).await? {
            Some(Ok(bundle)) => bundle,
            Some(Err(problem)) => return Ok(Err(Refusal::no_keys(problem))),
            None => return Ok(Err(Refusal::no_keys("a key set has no X.509 authorities"))),
        };
        let verified = X509Verifier::new(X509VerifyOptions::default()).verify(chain, bundle.x509(), app.clock.now());
        // A foreign authority may have a new key under its old name, which looks like a wrong signature.
        if matches!(verified, Err(X509Error::UnknownAuthority { .. } | X509Error::Signature)) {
            self.ask_for_newer_bundle(app);
        }
        Ok(verified.map(|svid| svid.id().clone()).map_err(|error| Refusal::new("svid-refused", error)))
    }

    /// The keys that are fetched from `url`.
    pub(super) fn source(&self, app: &App, url: &str) -> Result<Arc<Source>, String> {
        let instance = self.auth.value.instance();
        app.inbound_keys.source(&self.tenant, self.config(), url, instance, app.clock.now())
    }

    pub(super) fn tenant(&self) -> &Name {
        &self.tenant
    }

    pub(super) fn config(&self) -> &SpiffeLoginConfig {
        &self.document.value.config
    }

    /// The keys in the document, where it has a key set.
    pub(super) fn static_keys(&self) -> Option<&JwtBundle> {
        self.document.value.keys.as_deref()
    }

    /// Perhaps the other trust domain has a new key.
    fn ask_for_newer_bundle(&self, app: &App) {
        let config = &self.document.value.config;
        if matches!(config.source(), KeysFrom::TrustDomain) {
            app.federation.ask(&self.tenant, &config.trust_domain);
        }
    }

    /// The whole bundle that SVIDs are verified with, or why there is none now; `None` where there are only keys of JWT-SVIDs.
    pub(super) async fn bundle(&self, app: &App) -> Answer<Option<Result<Arc<Bundle>, String>>> {
        let Prepared { config, bundle, .. } = &*self.document.value;
        match (config.source(), bundle) {
            (KeysFrom::Bundle(_), Some(bundle)) => Ok(Some(Ok(Arc::clone(bundle)))),
            (KeysFrom::TrustDomain, _) => federation::bundle(app, &self.tenant, &config.trust_domain).await.map(Some),
            _ => Ok(None),
        }
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
