//! Logins of workloads with an SVID.

use std::{net::IpAddr, sync::Arc};

use axum::{Json, extract::State, response::IntoResponse as _};
use keyward_approle::{SPIFFE_LOGIN_REFUSED, TokenRecord, TokenView, spiffe_login};
use keyward_config_values::Name;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    body::JsonBody,
    caller::Caller,
    error::{Answer, ApiError},
    limits,
    params::Path,
    peer::Peer,
    token,
};
use crate::{
    app::{Actor, App, Commit},
    call_home,
    db::Stored,
    inbound::{Credential, Inbound},
    random,
    server::ClientChain,
    tenant::{self, Tenant},
};

/// How often a login is decided again because its configuration was changed meanwhile.
const TRIES: usize = 8;
/// How much of the reason of a refusal is recorded, in characters.
const REASON: usize = 500;

/// `POST /v1/spiffe-login`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Body {
    tenant: Option<String>,
    name: String,
    jwt_svid: Option<Zeroizing<String>>,
}

/// `POST /v1/spiffe-login {tenant?, name, jwt-svid?}`. Without `jwt-svid` the X.509-SVID of the connection counts. Without
/// `tenant` the tenant is `default`.
///
/// # Errors
/// 401 with one text for every SVID that does not count; 400 for two.
pub async fn log_in(
    State(app): State<Arc<App>>,
    Peer(source): Peer,
    ClientChain(chain): ClientChain,
    JsonBody(body): JsonBody<Body>,
) -> Answer {
    let presented = match (&body.jwt_svid, chain.as_deref()) {
        (Some(token), None) => Credential::Jwt(token),
        (None, Some(chain)) => Credential::X509(chain),
        // They may name two workloads: which of them is meant is not for us to guess.
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid(
                "there are two SVIDs, `jwt-svid` and the connection's certificate: send one of them",
            ));
        }
        (None, None) => {
            return Err(ApiError::unauthenticated(
                "there is no SVID: send `jwt-svid`, or present an X.509-SVID on the connection",
            ));
        }
    };
    let tenant = body.tenant.as_deref().unwrap_or(tenant::DEFAULT);
    let login = app.limiter.login(source, (tenant, &body.name), presented.bytes());
    limits::login(&app, source, login, try_log_in(&app, source, &body, &presented)).await
}

async fn try_log_in(app: &App, source: IpAddr, body: &Body, presented: &Credential<'_>) -> Answer {
    let mut actor = Actor::stranger(app, source);
    let tenant = Tenant::find(&app.db, body.tenant.as_deref().unwrap_or(tenant::DEFAULT)).await?;
    if let Some(tenant) = &tenant {
        actor.tenant = tenant.value.id.to_string();
    }
    let refuse = |actor: &Actor, code: &str, with: &[(&str, String)]| {
        let mut record = actor.refused("spiffe-login", code, app.clock.now()).with("credential", presented.kind());
        for (name, value) in with {
            record = record.with(name, value.chars().take(REASON).collect::<String>());
        }
        app.refuse(record);
        app.metrics.login("spiffe", false);
        ApiError::unauthenticated(SPIFFE_LOGIN_REFUSED)
    };
    for _ in 0..TRIES {
        let inbound = match (&tenant, body.name.parse::<Name>()) {
            (Some(tenant), Ok(name)) => Inbound::load(app, &tenant.value.id, &name).await?,
            _ => None,
        };
        let Some(inbound) = inbound else {
            return Err(refuse(&actor, "unknown-configuration", &[]));
        };
        actor.subject = format!("spiffe/{}", inbound.auth.value.name());
        let id = match inbound.verify(app, presented).await? {
            Ok(id) => id,
            Err(refusal) => return Err(refuse(&actor, refusal.code, &[("why", refusal.why)])),
        };
        actor.spiffe_id = Some(id.clone());
        // A host's SVID counts for as long as the host is registered.
        let leaf = match presented {
            Credential::X509(chain) => chain.first(),
            Credential::Jwt(_) => None,
        };
        if let Err(refusal) = call_home::standing(app, &id, leaf).await? {
            return Err(refuse(&actor, refusal.code(), &[("why", refusal.to_string())]));
        }
        let grant = match spiffe_login(&inbound.auth.value, &id, source) {
            Ok(grant) => grant,
            Err(reason) => return Err(refuse(&actor, reason.code(), &[])),
        };
        let now = app.clock.now();
        let (token, issued) = TokenRecord::issue(grant.parameters, &app.limits, &app.pepper, &mut random::rng(), now);
        let audit = actor
            .did("spiffe-login", now)
            .with("accessor", issued.accessor().to_string())
            .with("credential", presented.kind())
            .with("pattern", grant.pattern.to_string());
        // Once the configuration is changed or deleted, no login by what it was succeeds any more.
        let mut guards = inbound.guards();
        guards.extend(tenant.iter().map(Stored::guard));
        if let Commit::Done(_) = app.commit(guards, token::store(app, &issued)?, audit).await? {
            app.metrics.login("spiffe", true);
            return Ok(token::answer(&TokenView::new(&issued, now).with_token(&token)));
        }
    }
    Err(ApiError::unavailable("the configuration of this login is being changed all the time; try again"))
}

/// `GET /v1/state/strongbox/authentication/spiffe/<name>`. Nothing is fetched for it.
///
/// # Errors
/// 404.
pub async fn state(State(app): State<Arc<App>>, caller: Caller, Path(name): Path<String>) -> Answer {
    let missing = || ApiError::not_found(format_args!("the login by SVID `{name}`"));
    let parsed: Name = name.parse().map_err(|_| missing())?;
    let inbound = Inbound::load(&app, caller.tenant(), &parsed).await?.ok_or_else(missing)?;
    Ok(Json(inbound.state(&app).await?).into_response())
}
