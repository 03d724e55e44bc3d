//! Providers elsewhere that log users in: OpenID Connect with an authorization code, PKCE and nonce.
//!
//! What is verified is who somebody is at the provider, by issuer and subject. Which user that is says the `external` of a user's
//! document, and nothing else: an email address binds nobody.

use keyward_config_values::Name;
use keyward_webauthn_login::{
    Binding, Connectivity, ExchangeRequest, Offered, Provider, ProviderTitle, Unavailable, VerifiedClaims,
    offered as offer,
};
use serde_json::{Value, json};

use self::{metadata::metadata, verify::verified};
use super::users::{self, StoredUser};
use crate::{
    app::App,
    documents::PROVIDERS,
    http::error::{Answer, ApiError},
    layout, policies,
    tenant::{self, Tenant},
};

mod config;
mod metadata;
mod verify;

pub use self::{
    config::{Hidden, ProviderConfig, SECRET},
    metadata::Cache,
};

/// The longest document of a provider that is read.
const LIMIT: usize = 128 << 10;
/// How many providers of a tenant are offered, and asked before, whoever asks for the page.
const OFFERED: usize = 32;
/// Where a provider of a tenant sends browsers back to: no two have one address (RFC 9700 §4.4.2.2). It is longer than any
/// login URL.
async fn redirect_uri(app: &App, id: &Name, provider: &Name) -> Answer<String> {
    let tenant = Tenant::by_id(&app.db, id.as_str()).await?;
    let name = tenant.as_ref().map_or(tenant::DEFAULT, |tenant| tenant.value.name.as_str());
    Ok(format!("{}/login/oidc/{name}/{provider}/callback", app.external_url))
}

/// The id of the tenant whose providers are offered: the one that was named, or `default` where none was. One that does not exist
/// has none, as one that configured none: the list of another one in its place would tell the two apart.
async fn tenant_of(app: &App, tenant: Option<&Name>) -> Answer<Option<Name>> {
    let Some(name) = tenant else { return Ok(Some(app.operators.clone())) };
    Ok(Tenant::by_name(&app.db, name).await?.map(|tenant| tenant.value.id.clone()))
}

async fn configs(app: &App, tenant: &Name) -> Answer<Vec<ProviderConfig>> {
    let documents = policies::documents::<ProviderConfig>(app, tenant, PROVIDERS).await?;
    Ok(documents.into_iter().map(|(_, config)| config).collect())
}

/// What step 2 offers for the tenant that was named; where none was it is what the tenant `default` has, and one that does not
/// exist has no providers.
///
/// # Errors
/// Those of the store.
pub async fn offered(app: &App, tenant: Option<&Name>) -> Answer<Vec<Offered>> {
    let Some(tenant) = tenant_of(app, tenant).await? else { return Ok(offer(&[], Connectivity::Online)) };
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
    let Some(tenant) = tenant_of(app, tenant).await? else { return Ok(None) };
    let found = configs(app, &tenant).await?.into_iter().find(|config| config.name == *name);
    let Some(config) = found else { return Ok(None) };
    let back_to = redirect_uri(app, &tenant, name).await?;
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
        "redirect-uri": redirect_uri(app, tenant, &config.name).await?,
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
    let Some(tenant) = tenant_of(app, tenant).await? else {
        return Ok(Err("its tenant was removed meanwhile".to_owned()));
    };
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
