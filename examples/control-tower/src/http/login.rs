//! Logins of users who are programs, or use one.

use std::{net::IpAddr, sync::Arc};

use axum::extract::State;
use keyward_approle::TokenView;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    body::JsonBody,
    error::{Answer, ApiError},
    limits,
    peer::Peer,
    token,
};
use crate::{
    app::{Actor, App},
    login::{
        client::{self, Presented, Refused},
        session::actor_of,
        token::Granted,
    },
    tenant::{self, Tenant},
};

/// The one text of every refused login.
const REFUSED: &str = "invalid username or password";

/// `POST /v1/login`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    username: String,
    password: Zeroizing<String>,
    tenant: Option<String>,
    /// A one-time password or a recovery code, for users who have them; ignored for those who have not.
    otp: Option<Zeroizing<String>>,
}

/// `POST /v1/login`. Without `tenant` the tenant is `default`.
///
/// # Errors
/// 401 with one text for every reason; 429 after too many guesses, and when too many log in at once.
pub async fn log_in(State(app): State<Arc<App>>, Peer(source): Peer, JsonBody(body): JsonBody<Body>) -> Answer {
    let Body { username, password, tenant, otp } = body;
    let named = tenant.as_deref().unwrap_or(tenant::DEFAULT);
    let tenant = Tenant::find(&app.db, named).await?;
    // By its name or its id it is one identity.
    let (id, name) = match &tenant {
        Some(tenant) => (tenant.value.id.as_str(), tenant.value.name.as_str()),
        None => (named, client::NOWHERE),
    };
    let login = app.limiter.login_by_password(source, (id, &username));
    let presented = Presented { username, password, otp };
    let Granted { token, record, now } =
        limits::login(&app, source, login, try_log_in(&app, source, &presented, name)).await?;
    Ok(token::answer(&TokenView::new(&record, now).with_token(&token)))
}

async fn try_log_in(app: &App, source: IpAddr, presented: &Presented, tenant: &str) -> Answer<Granted> {
    let (reason, user) = match client::log_in(app, source, presented, tenant).await {
        Ok(granted) => return Ok(granted),
        Err(Refused::Error(error)) => return Err(error),
        Err(Refused::Reason(reason, user)) => (reason, user),
    };
    // A name that does not exist is left out: it may be a password typed into the wrong field.
    let mut actor = Actor::stranger(app, source);
    match (user, Tenant::find(&app.db, tenant).await?) {
        (Some(user), _) => actor = actor_of(app, &user, Some(source)),
        (None, Some(tenant)) => actor.tenant = tenant.value.id.to_string(),
        (None, None) => {}
    }
    app.refuse(actor.refused("login", reason.code(), app.clock.now()));
    app.metrics.login("user", false);
    Err(ApiError::unauthenticated(REFUSED))
}
