//! A provider as it is configured.

use std::{fmt, sync::Arc};

use keyward_config_tree::FieldError;
use keyward_config_values::Name;
use keyward_webauthn_login::Provider;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::outbound;

/// The field with the secret, which is never written again.
pub const SECRET: &str = "client-secret";

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

    pub(super) fn provider(
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
