//! The exchange of a code, and the verification of the ID token that comes of it.

use std::{fmt, pin::Pin};

use keyward_config_values::Name;
use keyward_webauthn_login::{ExchangeRequest, VerifiedClaims};
use openidconnect::{
    AsyncHttpClient, AuthType, AuthorizationCode, ClientId, ClientSecret, HttpRequest, HttpResponse, IssuerUrl, Nonce,
    PkceCodeVerifier, RedirectUrl, TokenResponse as _, TokenUrl,
    core::{CoreClient, CoreJsonWebKeySet, CoreJwsSigningAlgorithm, CoreTokenResponse},
};

use super::{
    LIMIT, Problem, ProviderConfig,
    metadata::{client, explained, metadata},
};
use crate::{
    app::App,
    outbound::{Client, FetchError},
};

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

/// Who it is.
pub(super) async fn verified(
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
            openidconnect::RequestTokenError::Request(error) => {
                format!("its token endpoint: {}", explained(&error, config))
            }
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
            auth_time: claims.auth_time().and_then(|at| time::OffsetDateTime::from_unix_timestamp(at.timestamp()).ok()),
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
