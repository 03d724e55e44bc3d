//! Who asks for too much is told when to come again.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::{
    caller,
    error::{Answer, ApiError},
    peer::Peer,
};
use crate::{
    app::{Actor, App},
    rate_limit::{Login, Verdict},
};

/// What those ask who watch the tower, and must not be told anything else than how it is.
const FREE: [&str; 2] = ["/live", "/ready"];

/// Around everything: a request counts for its token, or else for its address.
pub async fn around(State(app): State<Arc<App>>, Peer(source): Peer, request: Request, next: Next) -> Response {
    if FREE.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let client = app.limiter.client(source, caller::presented(request.headers()).ok());
    if let Verdict::Refused(wait) = app.limiter.request(&client, app.clock.uptime()) {
        return too_many(&app, source, "requests", wait).into_response();
    }
    next.run(request).await
}

/// A login, unless too many failed before; how it ends is taken down.
///
/// # Errors
/// 429 with the time to wait; those of the login.
pub async fn login<T>(app: &App, source: IpAddr, login: Login, run: impl Future<Output = Answer<T>>) -> Answer<T> {
    if let Verdict::Refused(wait) = app.limiter.decide_login(&login, app.clock.uptime()) {
        return Err(too_many(app, source, "failed-logins", wait));
    }
    let result = run.await;
    match &result {
        Ok(_) => app.limiter.note_login(&login, true, app.clock.uptime()),
        Err(error) if error.status() == StatusCode::UNAUTHORIZED => {
            app.limiter.note_login(&login, false, app.clock.uptime());
        }
        // Nothing is known of the credential.
        Err(_) => {}
    }
    result
}

fn too_many(app: &App, source: IpAddr, what: &'static str, wait: Duration) -> ApiError {
    app.metrics.rate_limited(what);
    if app.limiter.is_reported(source, "rate-limit", app.clock.uptime()) {
        app.refuse(Actor::stranger(app, source).refused("rate-limit", what, app.clock.now()));
    }
    let message = match what {
        "failed-logins" => "too many failed logins; try again later",
        _ => "too many requests; try again later",
    };
    ApiError::too_many(message, wait)
}
