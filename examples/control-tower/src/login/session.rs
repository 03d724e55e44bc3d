//! Sessions: who is logged in in a browser, with the rights that a token of theirs has.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Method, request::Parts},
};
use keyward_approle::{TOKEN_REFUSED, TokenParameters, TokenRecord, TokenType, check};
use keyward_config_values::{Duration, Name};
use keyward_webauthn_login::{Fresh, Key, Reason, SessionRecord};
use zeroize::Zeroizing;

use super::{
    browser::{Browser, token_of},
    users::{self, StoredUser},
};
use crate::{
    app::{Actor, App},
    db::{DbError, Stored},
    http::{
        caller::Caller,
        error::{Answer, ApiError},
        peer::Peer,
    },
    layout, random,
    store::{Guard, Write},
    tenant::Tenant,
};

/// Somebody who is logged in.
#[derive(Clone, Debug)]
pub struct Session {
    /// What is stored of it.
    pub record: Arc<SessionRecord>,
    /// Whose it is, as they are now.
    pub user: StoredUser,
    /// The id of their tenant.
    pub tenant: Name,
    /// What came with the request.
    pub browser: Browser,
    /// The same as whoever has a token of the user's, for the policies and the audit log.
    pub caller: Caller,
}

impl Session {
    /// The session of a request, if there is one that is good.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn find(app: &App, browser: &Browser, asked: &str) -> Answer<Option<Self>> {
        let (Some(cookie), Some(source)) = (&browser.session, browser.source) else { return Ok(None) };
        let key = Key::of(cookie);
        let Some(stored) = app.db.load(&layout::session(&key), SessionRecord::decode).await? else { return Ok(None) };
        let now = app.clock.now();
        let user = users::of(&app.db, stored.value.identity()).await?;
        let record = user.as_ref().map(|user| user.value.record());
        let seen = match stored.value.check(record, app.realm.settings(), now) {
            Ok(seen) => seen,
            Err(reason) => {
                let mut actor = Actor::stranger(app, source);
                if let Some(user) = &user {
                    actor = actor_of(app, user, Some(source));
                }
                app.refuse(actor.refused("session", reason.code(), now));
                return Ok(None);
            }
        };
        let Some(user) = user else { return Ok(None) };
        if let Some(seen) = seen {
            // Whoever was faster has said the same.
            let bytes = seen.encode().map_err(ApiError::internal)?;
            let write = app.db.put(stored.key.clone(), &bytes)?;
            let _outcome = app.db.store().commit(vec![stored.guard()], vec![write]).await?;
        }
        let tenant = users::tenant_of(&user)?;
        let caller = caller(app, &user, &tenant, &stored.value, source, asked)?;
        Ok(Some(Self { record: stored.value, user, tenant, browser: browser.clone(), caller }))
    }

    /// The token of the forms of this session's pages: the field `form-token`, or the header `X-Form-Token`.
    pub fn form_token(&self, app: &App) -> String {
        token_of(app, self.browser.session.as_deref().map_or("", String::as_str))
    }

    /// That the login is recent, as what matters needs it to be.
    ///
    /// # Errors
    /// 403 with `error-info` `{"code": "step-up"}`: log in again with [`super::step_up`].
    pub fn fresh(&self, app: &App) -> Answer<Fresh> {
        self.record.fresh(app.realm.settings().step_up_age, app.clock.now()).map_err(|error| {
            ApiError::new(axum::http::StatusCode::FORBIDDEN, error.to_string())
                .with_info(serde_json::json!({"code": "step-up"}))
        })
    }
}

/// For the audit log.
pub fn actor_of(app: &App, user: &StoredUser, source: Option<IpAddr>) -> Actor {
    let (tenant, name) = layout::parse_user(&user.key)
        .map_or_else(|| (app.operators.to_string(), ""), |(tenant, name)| (tenant.to_string(), name));
    Actor { tenant, subject: format!("user/{name}"), spiffe_id: None, source }
}

/// Whoever has a session as whoever has a token of the user's, made for this request alone: it is not stored, and nobody gets it.
fn caller(
    app: &App,
    user: &StoredUser,
    tenant: &Name,
    session: &SessionRecord,
    source: IpAddr,
    asked: &str,
) -> Answer<Caller> {
    let now = app.clock.now();
    let record = user.value.record();
    let policies = record.policies().to_vec();
    let mut parameters = TokenParameters::for_user(tenant.clone(), record.identity().email.to_string(), policies);
    parameters.kind = TokenType::Batch;
    parameters.renewable = false;
    let left = u64::try_from((session.expires() - now).whole_seconds()).unwrap_or_default();
    parameters.ttl = Duration::from_secs(left.max(1)).ok();
    let (_, token) = TokenRecord::issue(parameters, &app.limits, &app.pepper, &mut random::rng(), app.dated(now));
    let refused = |_| ApiError::unauthenticated(TOKEN_REFUSED);
    let authenticated = check(token.key(), Some(&token), source, now).map_err(refused)?;
    // At no revision: nothing is ever stored under its key.
    let stored = Stored { key: layout::token(token.key()), value: Arc::new(token), revision: 0 };
    Ok(Caller {
        token: Arc::new(authenticated),
        presented: Arc::new(Zeroizing::default()),
        stored,
        source,
        asked: asked.into(),
    })
}

impl FromRequestParts<Arc<App>> for Session {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let Peer(source) = Peer::from_request_parts(parts, app).await?;
        let browser = Browser::of(&parts.headers, source);
        let found = Self::find(app, &browser, parts.uri.path()).await?;
        found.ok_or_else(|| ApiError::unauthenticated(Reason::SessionEnded.to_string()))
    }
}

/// The session of a request to the API that brings no token, as the caller of it. What changes something has to come from a page of
/// this tower and to bring the form token along.
///
/// # Errors
/// 403 for a request that another site made; those of the store.
pub async fn caller_of(
    app: &App,
    headers: &HeaderMap,
    method: &Method,
    path: &str,
    source: IpAddr,
) -> Answer<Option<Caller>> {
    let browser = Browser::of(headers, source);
    let Some(session) = Session::find(app, &browser, path).await? else { return Ok(None) };
    if !matches!(*method, Method::GET | Method::HEAD)
        && let Err(reason) = browser.check_session(app, None)
    {
        app.refuse(session.caller.actor().refused("session", reason.code(), app.clock.now()));
        return Err(ApiError::new(axum::http::StatusCode::FORBIDDEN, reason.to_string()));
    }
    Ok(Some(session.caller))
}

/// That a session has not ended, for a commit that goes by it; `None` where it has.
///
/// # Errors
/// Those of the store.
pub async fn going_on(app: &App, key: &Key) -> Result<Option<Guard>, DbError> {
    let stored = app.db.load(&layout::session(key), SessionRecord::decode).await?;
    let now = app.clock.now();
    Ok(stored.filter(|session| now < session.value.expires()).map(|session| session.guard()))
}

/// What stores a session of a user, with the entries by which it is listed and removed.
///
/// # Errors
/// It cannot be sealed.
pub fn put(app: &App, tenant: &Name, session: &SessionRecord) -> Answer<Vec<Write>> {
    let bytes = session.encode().map_err(ApiError::internal)?;
    let mut writes = Vec::from(app.put_until(layout::session(&session.key()), &bytes, session.expires())?);
    let index = index(tenant, session);
    writes.push(Write::Put(layout::expiry(session.expires(), &index), Vec::new()));
    writes.push(Write::Put(index, Vec::new()));
    Ok(writes)
}

fn index(tenant: &Name, session: &SessionRecord) -> String {
    format!("{}{}", layout::user_sessions(tenant, &session.identity().email), session.key())
}

/// What ends a session of a user.
pub fn end(tenant: &Name, user: &StoredUser, key: &Key) -> Vec<Write> {
    let index = format!("{}{key}", layout::user_sessions(tenant, &user.value.record().identity().email));
    vec![Write::Delete(layout::session(key)), Write::Delete(index)]
}

/// What ends the session that a browser's cookie names, whoever's it is: the browser gets another one in its place, and nobody could end
/// that one there any more. Nothing where the cookie names none.
///
/// # Errors
/// Those of the store.
pub async fn replaced(app: &App, cookie: &str) -> Result<Vec<Write>, DbError> {
    let key = Key::of(cookie);
    let Some(stored) = app.db.load(&layout::session(&key), SessionRecord::decode).await? else { return Ok(Vec::new()) };
    let tenant = Tenant::by_name(&app.db, &stored.value.identity().tenant).await?;
    let index = tenant.map(|tenant| Write::Delete(index(&tenant.value.id, &stored.value)));
    Ok(index.into_iter().chain([Write::Delete(stored.key)]).collect())
}

/// Whether it is a session of that user, over or not.
///
/// # Errors
/// Those of the store.
pub async fn is_of(app: &App, tenant: &Name, user: &StoredUser, key: &Key) -> Result<bool, DbError> {
    let email = &user.value.record().identity().email;
    Ok(app.db.store().get(&format!("{}{key}", layout::user_sessions(tenant, email))).await?.is_some())
}

/// The keys of all sessions of a user, over or not, behind a key, at most so many as are written at once.
///
/// # Errors
/// Those of the store.
pub async fn keys_of(app: &App, tenant: &Name, user: &StoredUser, after: Option<&Key>) -> Result<Vec<Key>, DbError> {
    let prefix = layout::user_sessions(tenant, &user.value.record().identity().email);
    let after = after.map(|after| format!("{prefix}{after}"));
    let entries = app.db.store().range(&prefix, after.as_deref(), 100, None).await?;
    Ok(entries.iter().filter_map(|entry| entry.key.strip_prefix(&prefix)?.parse().ok()).collect())
}

/// The sessions of a user that have not ended, at most a hundred.
///
/// # Errors
/// Those of the store.
pub async fn of_user(app: &App, tenant: &Name, user: &StoredUser) -> Result<Vec<Stored<Arc<SessionRecord>>>, DbError> {
    let record = user.value.record();
    let prefix = layout::user_sessions(tenant, &record.identity().email);
    let mut sessions = Vec::new();
    for entry in app.db.store().range(&prefix, None, 100, None).await? {
        let Some(key) = entry.key.strip_prefix(&prefix).and_then(|key| key.parse().ok()) else { continue };
        let stored = app.db.load(&layout::session(&key), SessionRecord::decode).await?;
        let now = app.clock.now();
        sessions.extend(stored.filter(|session| session.value.check(Some(record), app.realm.settings(), now).is_ok()));
    }
    Ok(sessions)
}
