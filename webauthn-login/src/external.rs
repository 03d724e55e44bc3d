//! Logins at an OpenID provider, as commands and events: what to send the browser to, what to exchange, what was verified.
//!
//! The requests themselves, and the verification of an ID token's signature, are the embedder's.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyward_config_values::Name;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::{Error, percent};

/// A provider as it is configured and discovered. Give each one a redirection address of its own: a login ends when its browser comes
/// back to another one's (RFC 9700 §4.4.2.2), also where providers do not say who they are (RFC 9207).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Provider {
    name: Name,
    issuer: String,
    client_id: String,
    authorization_endpoint: String,
    redirect_uri: String,
    pub(crate) names_issuer: bool,
}

impl Provider {
    /// A provider. `names_issuer` is the provider's metadata `authorization_response_iss_parameter_supported` (RFC 9207 §3).
    ///
    /// # Errors
    ///
    /// [`Error::Provider`] when the client identifier is empty, one of the three addresses is not `https`, or `http` on `localhost`, or the issuer
    /// has a query or a fragment.
    pub fn new(
        name: Name,
        issuer: String,
        client_id: String,
        authorization_endpoint: String,
        redirect_uri: String,
        names_issuer: bool,
    ) -> Result<Self, Error> {
        let refuse = |problem| Error::Provider { provider: name.to_string(), problem };
        if client_id.is_empty() {
            return Err(refuse("its client identifier is empty"));
        }
        // OpenID Connect Discovery 1.0 §3; §4 puts a path behind it.
        if issuer.contains(['?', '#']) {
            return Err(refuse(
                "its issuer has a query or a fragment, which no issuer has; write what stands before it",
            ));
        }
        for (address, problem) in [
            (&issuer, "its issuer is no address; use `https`"),
            (&authorization_endpoint, "its authorization endpoint is no address; use `https`"),
            (&redirect_uri, "the redirection address is none; use `https`"),
        ] {
            let url = url::Url::parse(address).map_err(|_| refuse(problem))?;
            let local = matches!(url.host(), Some(url::Host::Domain("localhost")))
                || url.host_str().is_some_and(|host| host == "127.0.0.1" || host == "[::1]");
            if url.scheme() != "https" && !(url.scheme() == "http" && local) {
                return Err(refuse(problem));
            }
            if url.fragment().is_some() {
                return Err(refuse(problem));
            }
        }
        Ok(Self { name, issuer, client_id, authorization_endpoint, redirect_uri, names_issuer })
    }

    /// Its name here.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Its issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Who this system is there.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Where it sends the browser back to.
    #[must_use]
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }
}

/// A login at a provider that was begun.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct PendingExternal {
    pub(crate) provider: Provider,
    pub(crate) state: String,
    pub(crate) nonce: String,
    verifier: Zeroizing<String>,
}

impl PendingExternal {
    pub(crate) fn begin(provider: Provider, rng: &mut impl CryptoRng) -> Self {
        let mut random = || {
            let mut bytes = Zeroizing::new([0; 32]);
            rng.fill_bytes(&mut *bytes);
            URL_SAFE_NO_PAD.encode(*bytes)
        };
        let (state, nonce, verifier) = (random(), random(), Zeroizing::new(random()));
        Self { provider, state, nonce, verifier }
    }

    /// Where to send the browser (OpenID Connect Core §3.1.2.1, RFC 7636 §4.3). Where the login has to be no older than `max_age`, the
    /// provider is told to ask anew and to say when it did.
    pub(crate) fn url(&self, login_hint: Option<&str>, max_age: Option<keyward_config_values::Duration>) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier.as_bytes()));
        let mut parameters = vec![
            ("response_type", "code"),
            ("scope", "openid"),
            ("client_id", &self.provider.client_id),
            ("redirect_uri", &self.provider.redirect_uri),
            ("state", &self.state),
            ("nonce", &self.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        parameters.extend(login_hint.map(|hint| ("login_hint", hint)));
        let max_age = max_age.map(|age| age.as_secs().to_string());
        if let Some(max_age) = &max_age {
            parameters.extend([("prompt", "login"), ("max_age", max_age)]);
        }
        let mut url = self.provider.authorization_endpoint.clone();
        let mut separator = if url.contains('?') { '&' } else { '?' };
        for (name, value) in parameters {
            url.push(separator);
            url.push_str(name);
            url.push('=');
            url.push_str(&percent::encode(value));
            separator = '&';
        }
        url
    }

    pub(crate) fn into_request(self) -> ExchangeRequest {
        ExchangeRequest { provider: self.provider, verifier: self.verifier }
    }
}

/// What the provider sent the browser back with.
#[derive(Debug, Clone, Default, Deserialize)]
#[non_exhaustive]
pub struct Callback {
    /// `state`.
    #[serde(default)]
    pub state: String,
    /// `code`; without one the provider refused.
    pub code: Option<String>,
    /// `iss` (RFC 9207).
    pub iss: Option<String>,
    /// `error` (RFC 6749 §4.1.2.1).
    pub error: Option<String>,
}

impl Callback {
    /// A good answer.
    #[must_use]
    pub fn new(state: String, code: String, iss: Option<String>) -> Self {
        Self { state, code: Some(code), iss, error: None }
    }
}

/// What the embedder exchanges the code with, at the token endpoint of this very provider.
pub struct ExchangeRequest {
    pub(crate) provider: Provider,
    verifier: Zeroizing<String>,
}

impl ExchangeRequest {
    /// The provider that the login was begun at.
    #[must_use]
    pub fn provider(&self) -> &Provider {
        &self.provider
    }

    /// The `code_verifier` (RFC 7636 §4.5).
    #[must_use]
    pub fn code_verifier(&self) -> &str {
        &self.verifier
    }
}

impl core::fmt::Debug for ExchangeRequest {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ExchangeRequest").field("provider", &self.provider.name).finish_non_exhaustive()
    }
}

/// The claims of an ID token whose signature, audience and times the embedder verified. An email address is none of them: it
/// identifies nobody (OpenID Connect Core §5.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedClaims {
    /// `iss`.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// `nonce`.
    pub nonce: String,
    /// `auth_time`: when the person was asked last. A login inside a session needs one; outside of one a login without it is as good as any
    /// other, but not [recent](crate::SessionRecord::fresh).
    pub auth_time: Option<OffsetDateTime>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{name, rng};

    fn provider(endpoint: &str) -> Result<Provider, Error> {
        Provider::new(
            name("entra"),
            "https://issuer.example/v2".into(),
            "tower & co".into(),
            endpoint.into(),
            "https://tower.example/login/oidc/b2/entra/callback".into(),
            true,
        )
    }

    #[test]
    fn the_request_is_pkce_with_state_and_nonce() {
        let pending = PendingExternal::begin(provider("https://issuer.example/authorize?p=1").unwrap(), &mut rng(1));
        let again = pending.url(Some("ann@example.com"), "5m".parse().ok());
        assert!(again.ends_with("&prompt=login&max_age=300"), "{again}");
        let url = pending.url(Some("ann@example.com"), None);
        assert!(!url.contains("prompt=") && !url.contains("max_age="), "{url}");
        assert!(url.starts_with(
            "https://issuer.example/authorize?p=1&response_type=code&scope=openid&client_id=tower%20%26%20co&"
        ));
        let parsed = url::Url::parse(&url).unwrap();
        let value = |name: &str| parsed.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
        assert_eq!(value("state"), pending.state);
        assert_eq!(value("nonce"), pending.nonce);
        assert_ne!(pending.state, pending.nonce);
        assert_eq!(value("login_hint"), "ann@example.com");
        let request = pending.into_request();
        assert_eq!(value("code_challenge"), URL_SAFE_NO_PAD.encode(Sha256::digest(request.code_verifier())));
        assert_eq!(request.code_verifier().len(), 43);
        assert!(!format!("{request:?}").contains(request.code_verifier()));
    }

    #[test]
    fn only_addresses_with_tls() {
        assert!(provider("http://localhost:3000/auth").is_ok());
        for bad in ["http://issuer.example/a", "ftp://issuer.example", "issuer", "https://issuer.example/#x", ""] {
            assert!(provider(bad).is_err(), "{bad}");
        }
        assert_eq!(
            provider("x").unwrap_err().to_string(),
            "provider `entra`: its authorization endpoint is no address; use `https`"
        );
    }

    #[test]
    fn an_issuer_has_neither_query_nor_fragment() {
        let provider = |issuer: &str, client_id: &str| {
            let (at, back) = ("https://issuer.example/authorize".into(), "https://tower.example/back".into());
            Provider::new(name("entra"), issuer.into(), client_id.into(), at, back, true)
        };
        assert!(provider("https://issuer.example/v2", "tower").is_ok());
        for bad in ["v2?", "?tenant=1", "v2#", "#a?b"] {
            assert_eq!(
                provider(&format!("https://issuer.example/{bad}"), "tower").unwrap_err().to_string(),
                "provider `entra`: its issuer has a query or a fragment, which no issuer has; write what stands before it"
            );
        }
        // What is refused first is what is missing.
        assert!(provider("x", "").unwrap_err().to_string().ends_with("its client identifier is empty"));
    }
}
