//! What providers say of themselves: asked for when it is needed, and believed for a while.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use keyward_base::no_answer::Untrusted;
use keyward_config_values::Name;
use openidconnect::core::CoreJsonWebKeySet;
use serde::Deserialize;
use time::{Duration, OffsetDateTime};

use super::{LIMIT, ProviderConfig};
use crate::{
    app::App,
    outbound::{Client, FetchError, Redirects, Trust},
};

/// Of how many providers what they say of themselves is kept.
const CACHED: usize = 512;
/// How long a provider may take: a person waits.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(4);
/// How long what a provider says of itself is believed.
const KEPT: Duration = Duration::minutes(10);
/// When one that did not answer is asked again, and when keys are fetched again for one that is unknown.
const AGAIN: Duration = Duration::seconds(20);

/// What a provider says of itself.
pub(super) struct Metadata {
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: String,
    pub(super) names_issuer: bool,
    /// Whether the client's secret goes into the body of a request.
    pub(super) in_body: bool,
    pub(super) keys: CoreJsonWebKeySet,
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

pub(super) fn client(config: &ProviderConfig) -> Result<Client, FetchError> {
    let trust = config.ca_pem.as_deref().map_or(Trust::PublicRoots, |pem| Trust::Only(pem.into()));
    // Of an issuer on this machine, as when somebody tries it out.
    match config.issuer.starts_with("http://") {
        true => Client::also_plain(&trust, Redirects::None, PATIENCE),
        false => Client::new(&trust, Redirects::None, PATIENCE),
    }
}

/// What a provider says of itself; kept for a while, also that it does not answer.
pub(super) async fn metadata(
    app: &App,
    tenant: &Name,
    config: &ProviderConfig,
    fresh: bool,
) -> Result<Arc<Metadata>, String> {
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

/// Why a provider did not answer, and what its operator does about it.
pub(super) fn explained(error: &FetchError, config: &ProviderConfig) -> String {
    let Some(untrusted) = error.untrusted() else { return error.to_string() };
    let remedy = match untrusted {
        Untrusted::UnknownIssuer if config.ca_pem.is_some() => {
            "`ca-pem` names other authorities than the one that issued it"
        }
        Untrusted::UnknownIssuer => "name the authority that issued it as `ca-pem`",
        Untrusted::OtherName => "use a name that it has in `issuer`, or give the provider one for this name",
        Untrusted::Expired => "renew it at the provider, and check the clocks of both machines",
        Untrusted::NotYetValid => "check the clocks of both machines",
        Untrusted::Authority => {
            "let this authority issue the provider one for servers (CA:FALSE, its name as subjectAltName), and name this one as `ca-pem`"
        }
        _ => "give the provider one for servers (CA:FALSE, its name as subjectAltName)",
    };
    format!("{error}; {remedy}")
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
        document.map_err(|error| format!("{what} `{url}`: {}", explained(&error, config)))
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

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
    use rustls::{ServerConfig, pki_types::PrivateKeyDer};
    use serde_json::json;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// What is said of a provider with a certificate that signs itself, which is believed if `is_named`.
    async fn said_of(is_named: bool, change: fn(&mut CertificateParams)) -> String {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.self_signed(&key).unwrap();
        let served = ServerConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let server = tokio::spawn(async move {
            let acceptor = TlsAcceptor::from(Arc::new(served));
            while let Ok((stream, _)) = listener.accept().await {
                let _refused = acceptor.accept(stream).await;
            }
        });
        let ca = is_named.then(|| certificate.pem());
        let config = json!({"name": "entra", "issuer": issuer, "client-id": "c", "ca-pem": ca});
        let error = discover(&serde_json::from_value(config).unwrap()).await.err().unwrap();
        server.abort();
        let about = format!("its configuration `{issuer}/.well-known/openid-configuration`: ");
        error.strip_prefix(&about).unwrap_or_else(|| panic!("{error}")).to_owned()
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_certificate_is_said_in_words_with_what_to_do() {
        assert_eq!(
            said_of(true, |it| it.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)).await,
            "the certificate shown is an authority's own (CA:TRUE), and none for a server; let this authority issue the provider one \
             for servers (CA:FALSE, its name as subjectAltName), and name this one as `ca-pem`"
        );
        assert_eq!(
            said_of(false, |_| ()).await,
            "no authority that is trusted stands behind the certificate shown; name the authority that issued it as `ca-pem`"
        );
        assert_eq!(
            said_of(true, |it| it.not_after = date_time_ymd(2020, 1, 1)).await,
            "the certificate shown expired; renew it at the provider, and check the clocks of both machines"
        );
        assert_eq!(
            said_of(true, |it| it.not_before = date_time_ymd(3000, 1, 1)).await,
            "the certificate shown is not valid yet; check the clocks of both machines"
        );
        let elsewhere = |it: &mut CertificateParams| {
            it.subject_alt_names =
                CertificateParams::new(vec!["elsewhere.example".to_owned()]).unwrap().subject_alt_names;
        };
        assert_eq!(
            said_of(true, elsewhere).await,
            "the certificate shown is for another name; use a name that it has in `issuer`, or give the provider one for this name"
        );
    }

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
