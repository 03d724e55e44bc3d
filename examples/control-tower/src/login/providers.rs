//! Providers elsewhere that log users in: OpenID Connect with an authorization code, PKCE and nonce.
//!
//! What is verified is who somebody is at the provider, by issuer and subject. Which user that is says the `external` of a user's
//! document, and nothing else: an email address binds nobody.

use std::{
    collections::HashMap,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use keyward_config_tree::FieldError;
use keyward_config_values::Name;
use keyward_webauthn_login::{
    Binding, Connectivity, ExchangeRequest, Offered, Provider, ProviderTitle, Unavailable, VerifiedClaims,
    offered as offer,
};
use openidconnect::{
    AsyncHttpClient, AuthType, AuthorizationCode, ClientId, ClientSecret, HttpRequest, HttpResponse, IssuerUrl, Nonce,
    PkceCodeVerifier, RedirectUrl, TokenResponse as _, TokenUrl,
    core::{CoreClient, CoreJsonWebKeySet, CoreJwsSigningAlgorithm, CoreTokenResponse},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use super::users::{self, StoredUser};
use crate::{
    app::App,
    documents::PROVIDERS,
    http::error::{Answer, ApiError},
    layout,
    outbound::{self, Client, FetchError, Redirects, Trust},
    policies,
    tenant::Tenant,
};

/// The field with the secret, which is never written again.
pub const SECRET: &str = "client-secret";

/// The longest document of a provider that is read.
const LIMIT: usize = 128 << 10;
/// How many providers of a tenant are offered, and asked before, whoever asks for the page.
const OFFERED: usize = 32;
/// Of how many providers what they say of themselves is kept.
const CACHED: usize = 512;
/// How long a provider may take: a person waits.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(4);
/// How long what a provider says of itself is believed.
const KEPT: Duration = Duration::minutes(10);
/// When one that did not answer is asked again, and when keys are fetched again for one that is unknown.
const AGAIN: Duration = Duration::seconds(20);

/// The document `strongbox/authentication/oidc/<name>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct ProviderConfig {
    /// What users' documents and login URLs name it by.
    pub name: Name,
    /// What the page calls it; its name where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its issuer, exactly as its tokens have it.
    pub issuer: String,
    /// Who the tower is there.
    pub client_id: String,
    /// What proves that to it, where it asks for more than PKCE. Never written again; it stays until another one is given, and goes with
    /// an empty one.
    #[serde(default, skip_serializing)]
    pub client_secret: Option<Hidden>,
    /// Whom to believe to be the provider (PEM), instead of the public authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
}

/// A secret in a document.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct Hidden(Arc<Zeroizing<String>>);

impl Hidden {
    /// The secret.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Hidden {
    fn from(text: String) -> Self {
        Self(Arc::new(Zeroizing::new(text)))
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(..)")
    }
}

impl ProviderConfig {
    /// That it can be used.
    ///
    /// # Errors
    /// The field and what is wrong with it.
    pub fn validate(&self) -> Result<(), FieldError> {
        if let Some(pem) = &self.ca_pem {
            outbound::authorities(pem).map_err(|error| FieldError::new("ca-pem", error))?;
        }
        if self.name.as_str() == "strongbox" {
            return Err(FieldError::new("name", "it is the tower's own").with_remedy("choose another name"));
        }
        if self.title.as_ref().is_some_and(|title| title.is_empty() || title.chars().count() > 100) {
            return Err(FieldError::new("title", "it has 1 to 100 characters"));
        }
        let field = if self.client_id.is_empty() { "client-id" } else { "issuer" };
        let provider = self.provider("https://tower.invalid", &self.issuer, false);
        provider.map(drop).map_err(|error| FieldError::new(field, error.to_string()))
    }

    fn provider(
        &self,
        back_to: &str,
        endpoint: &str,
        names_issuer: bool,
    ) -> Result<Provider, keyward_webauthn_login::Error> {
        Provider::new(
            self.name.clone(),
            self.issuer.clone(),
            self.client_id.clone(),
            endpoint.to_owned(),
            back_to.to_owned(),
            names_issuer,
        )
    }

    /// What the page calls it.
    #[must_use]
    pub fn title(&self) -> String {
        self.title.clone().unwrap_or_else(|| self.name.to_string())
    }
}

/// Where providers send browsers back to: the same address for all.
pub fn redirect_uri(app: &App) -> String {
    format!("{}/login/callback", app.external_url)
}

/// What a provider says of itself.
struct Metadata {
    authorization_endpoint: String,
    token_endpoint: String,
    names_issuer: bool,
    in_body: bool,
    keys: CoreJsonWebKeySet,
}

/// What is known of a provider, and since when.
#[derive(Clone)]
struct Known {
    config: ProviderConfig,
    at: OffsetDateTime,
    said: Result<Arc<Metadata>, String>,
}

/// What is known of the providers of every tenant.
#[derive(Default)]
pub struct Cache(Mutex<HashMap<(Name, Name), Known>>);

impl Cache {
    /// Lets go of what is known of the providers of a tenant that is gone.
    pub fn forget(&self, tenant: &Name) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|(of, _), _| of != tenant);
    }

    fn get(&self, tenant: &Name, config: &ProviderConfig, now: OffsetDateTime, fresh: bool) -> Option<Known> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(&(tenant.clone(), config.name.clone()))?;
        let kept = if known.said.is_ok() && !fresh { KEPT } else { AGAIN };
        let is_young = (known.at..known.at.saturating_add(kept)).contains(&now);
        (known.config == *config && is_young).then(|| known.clone())
    }

    fn put(&self, tenant: &Name, known: Known) {
        let key = (tenant.clone(), known.config.name.clone());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= CACHED && !all.contains_key(&key) {
            // However many a tenant makes and deletes.
            let oldest = all.iter().min_by_key(|(_, known)| known.at).map(|(key, _)| key.clone());
            oldest.and_then(|oldest| all.remove(&oldest));
        }
        all.insert(key, known);
    }
}

fn client(config: &ProviderConfig) -> Result<Client, FetchError> {
    let trust = config.ca_pem.as_deref().map_or(Trust::PublicRoots, |pem| Trust::Only(pem.into()));
    // Of an issuer on this machine, as when somebody tries it out.
    match config.issuer.starts_with("http://") {
        true => Client::also_plain(&trust, Redirects::None, PATIENCE),
        false => Client::new(&trust, Redirects::None, PATIENCE),
    }
}

/// What a provider says of itself; kept for a while, also that it does not answer.
async fn metadata(app: &App, tenant: &Name, config: &ProviderConfig, fresh: bool) -> Result<Arc<Metadata>, String> {
    let now = app.clock.now();
    if let Some(known) = app.providers.get(tenant, config, now, fresh) {
        return known.said;
    }
    let said = discover(config).await.map(Arc::new);
    if let Err(error) = &said {
        tracing::warn!(provider = %config.name, issuer = config.issuer, error, "a provider of logins is of no use now");
    }
    app.providers.put(tenant, Known { config: config.clone(), at: now, said: said.clone() });
    said
}

/// OpenID Connect Discovery 1.0 §4.
async fn discover(config: &ProviderConfig) -> Result<Metadata, String> {
    #[derive(Deserialize)]
    struct Document {
        issuer: String,
        authorization_endpoint: String,
        token_endpoint: String,
        jwks_uri: String,
        #[serde(default)]
        authorization_response_iss_parameter_supported: bool,
        token_endpoint_auth_methods_supported: Option<Vec<String>>,
    }
    let client = client(config).map_err(|error| error.to_string())?;
    let read = async |url: &str, what: &str| {
        let document = client.document(url, LIMIT).await;
        document.map_err(|error| format!("{what} `{url}`: {error}"))
    };
    let url = format!("{}/.well-known/openid-configuration", config.issuer.trim_end_matches('/'));
    let document = read(&url, "its configuration").await?;
    let document: Document =
        serde_json::from_slice(&document).map_err(|error| format!("its configuration `{url}`: {error}"))?;
    // §4.3: the same, to the letter, or somebody else is asked.
    if document.issuer != config.issuer {
        return Err(format!("its configuration is of the issuer `{}`", document.issuer));
    }
    let keys = read(&document.jwks_uri, "its keys").await?;
    let keys: CoreJsonWebKeySet =
        serde_json::from_slice(&keys).map_err(|error| format!("its keys `{}`: {error}", document.jwks_uri))?;
    // Of the two endpoints nothing is believed that the issuer would not be.
    for endpoint in [&document.authorization_endpoint, &document.token_endpoint] {
        let checked = config.provider("https://tower.invalid", endpoint, false);
        checked.map_err(|error| error.to_string())?;
        if config.issuer.starts_with("https://") && !endpoint.starts_with("https://") {
            return Err(format!("its endpoint `{endpoint}` is without TLS"));
        }
    }
    let methods = document.token_endpoint_auth_methods_supported.unwrap_or_default();
    let takes = |method: &str| methods.iter().any(|known| known == method);
    Ok(Metadata {
        authorization_endpoint: document.authorization_endpoint,
        token_endpoint: document.token_endpoint,
        names_issuer: document.authorization_response_iss_parameter_supported,
        in_body: takes("client_secret_post") && !takes("client_secret_basic"),
        keys,
    })
}

/// The tenant whose providers are offered: the one that was named, or `default`, also in the place of one that does not exist.
async fn tenant_of(app: &App, tenant: Option<&Name>) -> Answer<Name> {
    let named = match tenant {
        Some(name) => Tenant::by_name(&app.db, name).await?,
        None => None,
    };
    Ok(named.map_or_else(|| app.operators.clone(), |tenant| tenant.value.id.clone()))
}

async fn configs(app: &App, tenant: &Name) -> Answer<Vec<ProviderConfig>> {
    let documents = policies::documents::<ProviderConfig>(app, tenant, PROVIDERS).await?;
    Ok(documents.into_iter().map(|(_, config)| config).collect())
}

/// What step 2 offers for the tenant that was named. For one that does not exist, and where none was named, it is what the tenant
/// `default` has.
///
/// # Errors
/// Those of the store.
pub async fn offered(app: &App, tenant: Option<&Name>) -> Answer<Vec<Offered>> {
    let tenant = tenant_of(app, tenant).await?;
    let mut configs = configs(app, &tenant).await?;
    configs.truncate(OFFERED);
    let asked = configs.iter().map(|config| metadata(app, &tenant, config, false));
    let said = join_all(asked).await;
    let titles: Vec<ProviderTitle> = configs
        .iter()
        .zip(said)
        .map(|(config, said)| ProviderTitle {
            name: config.name.clone(),
            title: config.title(),
            answering: said.is_ok(),
        })
        .collect();
    Ok(offer(&titles, Connectivity::Online))
}

/// All of them at the same time: one that does not answer holds up nobody for longer than it may take itself.
async fn join_all<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut waiting: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut is_pending = false;
        for (future, output) in waiting.iter_mut().filter(|(_, output)| output.is_none()) {
            match future.as_mut().poll(context) {
                std::task::Poll::Ready(ready) => *output = Some(ready),
                std::task::Poll::Pending => is_pending = true,
            }
        }
        if is_pending { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    waiting.into_iter().filter_map(|(_, output)| output).collect()
}

/// A provider that was chosen, and why it cannot be used now.
///
/// # Errors
/// Those of the store.
pub async fn choose(app: &App, tenant: Option<&Name>, name: &Name) -> Answer<Option<(Provider, Option<Unavailable>)>> {
    let tenant = tenant_of(app, tenant).await?;
    let found = configs(app, &tenant).await?.into_iter().find(|config| config.name == *name);
    let Some(config) = found else { return Ok(None) };
    let back_to = redirect_uri(app);
    let chosen = match metadata(app, &tenant, &config, false).await {
        Ok(said) => (config.provider(&back_to, &said.authorization_endpoint, said.names_issuer), None),
        Err(_) => (config.provider(&back_to, &config.issuer, false), Some(Unavailable::NotAnswering)),
    };
    let (provider, unavailable) = chosen;
    Ok(Some((provider.map_err(ApiError::internal)?, unavailable)))
}

/// What an administrator sees of a provider.
///
/// # Errors
/// Those of the store.
pub async fn state(app: &App, tenant: &Name, name: &str) -> Answer<Option<Value>> {
    let config = configs(app, tenant).await?.into_iter().find(|config| config.name.as_str() == name);
    let Some(config) = config else { return Ok(None) };
    let said = metadata(app, tenant, &config, false).await;
    let has_secret = app.db.store().get(&layout::provider_secret(tenant, name)).await?.is_some();
    Ok(Some(json!({
        "name": config.name,
        "issuer": config.issuer,
        "redirect-uri": redirect_uri(app),
        "has-client-secret": has_secret,
        "answering": said.is_ok(),
        "error": said.err(),
    })))
}

/// What is wrong with a provider's answer, for the log; the person is told that it did not work.
type Problem = String;

/// Exchanges the code, and verifies what came of it; answers who it is, and which user of the login's tenant that is.
///
/// # Errors
/// Those of the store.
pub async fn exchange(
    app: &App,
    tenant: Option<&Name>,
    code: &str,
    request: &ExchangeRequest,
) -> Answer<Result<(VerifiedClaims, Option<StoredUser>), Problem>> {
    let tenant = tenant_of(app, tenant).await?;
    let name = request.provider().name();
    let config = configs(app, &tenant).await?.into_iter().find(|config| config.name == *name);
    // The provider that the login was begun at, or none.
    let same = |config: &ProviderConfig| {
        config.issuer == request.provider().issuer() && config.client_id == request.provider().client_id()
    };
    let Some(config) = config.filter(same) else { return Ok(Err("it was changed meanwhile".to_owned())) };
    let secret = app.db.get(&layout::provider_secret(&tenant, name.as_str())).await?;
    let secret = secret.and_then(|secret| std::str::from_utf8(&secret.value).ok().map(str::to_owned));
    let claims = match verified(app, &tenant, &config, secret, code, request).await {
        Ok(claims) => claims,
        Err(problem) => return Ok(Err(problem)),
    };
    let binding = Binding { provider: name.clone(), issuer: claims.issuer.clone(), subject: claims.subject.clone() };
    let user = users::by_binding(&app.db, &tenant, &binding).await?;
    Ok(Ok((claims, user)))
}

/// What signs ID tokens: public keys alone, never the client's secret, which would make a token of whoever knows it.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

async fn verified(
    app: &App,
    tenant: &Name,
    config: &ProviderConfig,
    secret: Option<String>,
    code: &str,
    request: &ExchangeRequest,
) -> Result<VerifiedClaims, Problem> {
    let text = |error: &dyn fmt::Display| error.to_string();
    let said = metadata(app, tenant, config, false).await?;
    let http = Http(client(config).map_err(|error| text(&error))?);
    let issuer = IssuerUrl::new(config.issuer.clone()).map_err(|error| text(&error))?;
    let token_uri = TokenUrl::new(said.token_endpoint.clone()).map_err(|error| text(&error))?;
    let back_to = RedirectUrl::new(request.provider().redirect_uri().to_owned()).map_err(|error| text(&error))?;
    let make = |keys: CoreJsonWebKeySet| {
        let client = CoreClient::new(ClientId::new(config.client_id.clone()), issuer.clone(), keys);
        let client = client.set_token_uri(token_uri.clone()).set_redirect_uri(back_to.clone());
        let client = if said.in_body { client.set_auth_type(AuthType::RequestBody) } else { client };
        match &secret {
            Some(secret) => client.set_client_secret(ClientSecret::new(secret.clone())),
            None => client,
        }
    };
    let client = make(said.keys.clone());
    let answer: CoreTokenResponse = client
        .exchange_code(AuthorizationCode::new(code.to_owned()))
        .set_pkce_verifier(PkceCodeVerifier::new(request.code_verifier().to_owned()))
        .request_async(&http)
        .await
        // The provider's own words may hold anything.
        .map_err(|error| match error {
            openidconnect::RequestTokenError::ServerResponse(refused) => {
                format!("it refused the code: {}", refused.error())
            }
            openidconnect::RequestTokenError::Request(error) => format!("its token endpoint: {error}"),
            _ => "its token endpoint answered something else".to_owned(),
        })?;
    let token = answer.id_token().ok_or("it answered no ID token")?;
    let now = app.clock.now().unix_timestamp();
    let time = move || chrono::DateTime::from_timestamp(now, 0).unwrap_or_default();
    // The nonce is compared by the login itself, with that which it keeps.
    let nonce = |nonce: Option<&Nonce>| nonce.map(drop).ok_or_else(|| "no nonce".to_owned());
    let check = |client: &openidconnect::core::CoreClient<_, _, _, _, _, _>| -> Result<VerifiedClaims, String> {
        let verifier = client.id_token_verifier().set_allowed_algs(ALGORITHMS).set_time_fn(time);
        let claims = token.claims(&verifier, nonce).map_err(|error| format!("its ID token: {error}"))?;
        Ok(VerifiedClaims {
            issuer: claims.issuer().to_string(),
            subject: claims.subject().to_string(),
            nonce: claims.nonce().map(|nonce| nonce.secret().clone()).unwrap_or_default(),
        })
    };
    match check(&client) {
        // Perhaps by a key that it has had since.
        Err(_) => check(&make(metadata(app, tenant, config, true).await?.keys.clone())),
        verified => verified,
    }
}

/// The tower's own client, as `openidconnect` asks for one.
struct Http(Client);

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = FetchError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, FetchError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let answer = self.0.post(&parts.uri.to_string(), parts.headers, body, LIMIT).await?;
            let mut response = HttpResponse::new(answer.body);
            *response.status_mut() = answer.status;
            let json = axum::http::HeaderValue::from_static("application/json");
            response.headers_mut().insert(axum::http::header::CONTENT_TYPE, json);
            Ok(response)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_providers_is_bounded() {
        let (cache, now) = (Cache::default(), OffsetDateTime::UNIX_EPOCH);
        let tenant: Name = "acme".parse().unwrap();
        let config = |at: usize| -> ProviderConfig {
            let name = format!("p{at}");
            serde_json::from_value(json!({"name": name, "issuer": "https://id.example", "client-id": "c"})).unwrap()
        };
        for at in 0..CACHED + 9 {
            let at_second = now + Duration::seconds(i64::try_from(at).unwrap());
            cache.put(&tenant, Known { config: config(at), at: at_second, said: Err("no".to_owned()) });
        }
        let kept = cache.0.lock().unwrap();
        let has = |at: usize| kept.contains_key(&(tenant.clone(), config(at).name));
        assert!(kept.len() == CACHED && !has(8) && has(9) && has(CACHED + 8));
    }
}
