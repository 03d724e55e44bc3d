//! Providers elsewhere that log users in.

use keyward_config_tree::FieldError;
use keyward_config_values::Name;
use keyward_webauthn_login::{
    Connectivity, ExchangeRequest, Offered, Provider, Unavailable, VerifiedClaims, offered as offer,
};
use serde::{Deserialize, Serialize};

use super::users::StoredUser;
use crate::{app::App, http::error::Answer};

/// The document `strongbox/authentication/oidc/<name>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct ProviderConfig {
    /// What users and URLs name it by.
    pub name: Name,
    /// What the page calls it; its name where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its issuer, exactly as its tokens have it.
    pub issuer: String,
    /// Who the tower is there.
    pub client_id: String,
}

impl ProviderConfig {
    /// That it can be used.
    ///
    /// # Errors
    /// The field and what is wrong with it.
    pub fn validate(&self) -> Result<(), FieldError> {
        Ok(())
    }
}

/// What step 2 offers for the tenant that was named. For one that does not exist, and where none was named, it is what the tenant
/// `default` has.
///
/// # Errors
/// Those of the store.
pub async fn offered(_app: &App, _tenant: Option<&Name>) -> Answer<Vec<Offered>> {
    Ok(offer(&[], Connectivity::Online))
}

/// A provider that was chosen, and why it cannot be used now.
///
/// # Errors
/// Those of the store.
pub async fn choose(
    _app: &App,
    _tenant: Option<&Name>,
    _name: &Name,
) -> Answer<Option<(Provider, Option<Unavailable>)>> {
    Ok(None)
}

/// Exchanges the code, and verifies what came of it; answers who it is, and which user that is.
///
/// # Errors
/// Those of the store.
pub async fn exchange(
    _app: &App,
    _tenant: Option<&Name>,
    _code: &str,
    _request: &ExchangeRequest,
) -> Answer<Result<(VerifiedClaims, Option<StoredUser>), String>> {
    Ok(Err("the provider does not answer at the moment".to_owned()))
}
