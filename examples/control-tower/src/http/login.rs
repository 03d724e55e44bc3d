//! Logins of users.

use std::{net::IpAddr, sync::Arc};

use axum::extract::State;
use keyward_approle::{TokenParameters, TokenRecord, TokenView};
use keyward_config_values::Name;
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
    app::{Actor, App, Commit},
    db::Stored,
    layout, random,
    tenant::{self, Tenant},
    user::User,
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
    /// For users with a one-time password; ignored for those without.
    #[allow(dead_code)]
    otp: Option<Zeroizing<String>>,
}

/// `POST /v1/login`. Without `tenant` the tenant is `default`.
///
/// # Errors
/// 401 with one text for every reason; 429 when too many log in at once.
pub async fn log_in(State(app): State<Arc<App>>, Peer(source): Peer, JsonBody(body): JsonBody<Body>) -> Answer {
    let named = body.tenant.as_deref().unwrap_or(tenant::DEFAULT);
    let tenant = Tenant::find(&app.db, named).await?;
    // By its name or its id it is one identity.
    let id = tenant.as_ref().map_or(named, |tenant| tenant.value.id.as_str());
    let login = app.limiter.login_by_password(source, (id, &body.username));
    limits::login(&app, source, login, try_log_in(&app, source, body, tenant)).await
}

async fn try_log_in(app: &App, source: IpAddr, body: Body, tenant: Option<Stored<Arc<Tenant>>>) -> Answer {
    let Body { username, password, .. } = body;
    let user = match &tenant {
        Some(tenant) => app.db.load(&layout::user(&tenant.value.id, &username), User::decode).await?,
        None => None,
    };
    let known = user.as_ref().map(|user| (*user.value).clone());
    let good = app.hash(move || User::check(known.as_ref(), &password)).await?.map_err(ApiError::internal)?;
    let now = app.clock.now();
    let mut actor = Actor::stranger(app, source);
    if let Some(tenant) = &tenant {
        actor.tenant = tenant.value.id.to_string();
    }
    // A name that does not exist is left out: it may be a password typed into the wrong field.
    if user.is_some() {
        actor.subject = format!("user/{username}");
    }
    let (Some(tenant), Some(user), true) = (tenant, user, good) else {
        let reason = if actor.subject.is_empty() { "unknown-user" } else { "wrong-password" };
        app.refuse(actor.refused("login", reason, now));
        app.metrics.login("user", false);
        return Err(ApiError::unauthenticated(REFUSED));
    };
    let now = user.value.dated(now);
    let parameters = TokenParameters::for_user(tenant.value.id.clone(), username, policies(&user.value));
    let (token, record) = TokenRecord::issue(parameters, &app.limits, &app.pepper, &mut random::rng(), now);
    let audit = actor.did("login", now).with("accessor", record.accessor().to_string());
    match app.commit(vec![tenant.guard(), user.guard()], token::store(app, &record)?, audit).await? {
        Commit::Done(_) => {
            app.metrics.login("user", true);
            Ok(token::answer(&TokenView::new(&record, now).with_token(&token)))
        }
        Commit::Conflict => Err(ApiError::conflict("the user was changed meanwhile; log in again")),
    }
}

fn policies(user: &User) -> Vec<Name> {
    user.policies.clone()
}
