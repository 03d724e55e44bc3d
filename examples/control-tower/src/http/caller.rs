//! Who asks, and whether they may.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, Method, header, request::Parts},
    middleware::Next,
};
use keyward_approle::{
    Authenticated, MAX_TOKEN_LENGTH, Operation, Reason, RecordChange, Subject, TOKEN_REFUSED, TokenRecord,
};
use keyward_config_values::Name;

use super::{
    error::{Answer, ApiError},
    hidden,
    lineage::Lineage,
    operations,
    owner::Owned,
    peer::Peer,
    vault,
};
use crate::{
    app::{Actor, App, Commit},
    db::Stored,
    layout,
    login::session,
    standing::{Standing, Who},
};

/// Somebody with a valid token.
#[derive(Clone)]
pub struct Caller {
    /// The token, this use of it taken off.
    pub token: Arc<Authenticated>,
    /// The text of the token, for the answers that repeat it.
    pub presented: Arc<zeroize::Zeroizing<String>>,
    /// The stored record, for guards.
    pub stored: Stored<Arc<TokenRecord>>,
    /// Where they are.
    pub source: IpAddr,
    /// The path that they ask for.
    pub asked: Arc<str>,
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller").field("token", &self.token).field("source", &self.source).finish_non_exhaustive()
    }
}

impl Caller {
    /// The tenant of the token.
    pub fn tenant(&self) -> &Name {
        self.token.tenant()
    }

    /// The name of the user who asks, where it is one.
    pub fn user(&self) -> Option<&str> {
        match self.token.subject() {
            Subject::User { name } => Some(name),
            _ => None,
        }
    }

    /// For the audit log.
    pub fn actor(&self) -> Actor {
        Actor {
            tenant: self.tenant().to_string(),
            subject: self.token.subject().to_string(),
            spiffe_id: self.token.subject().spiffe_id().cloned(),
            source: Some(self.source),
        }
    }

    /// The same caller with the token's record as it is by now; `None` when its uses are counted and it was used meanwhile: this
    /// use is taken off already, and no second one may be.
    ///
    /// # Errors
    /// 401 when the token has ended.
    pub async fn again(self, app: &App) -> Answer<Option<Self>> {
        let refused = || ApiError::unauthenticated(TOKEN_REFUSED);
        let key = self.stored.value.key();
        let lineage = Lineage::load(app, key).await?;
        let token = lineage.check(key, self.source, app.clock.now());
        let stored = lineage.stored.ok_or_else(refused)?;
        if stored.revision == self.stored.revision {
            return Ok(Some(self));
        }
        let token = token.map_err(|_| refused())?;
        Ok(match token.change() {
            RecordChange::Update(_) => None,
            _ => Some(Self { token: Arc::new(token), stored, ..self }),
        })
    }

    /// What the caller may do.
    ///
    /// # Errors
    /// The store's.
    pub async fn standing(&self, app: &App) -> Answer<Standing<'_>> {
        Who::has(self.token.record()).standing(app).await
    }

    /// Fails unless the policies allow the operation on the path.
    ///
    /// # Errors
    /// 403, 400 for a path that cannot be authorized, or the store's.
    pub async fn permit(&self, app: &App, operation: Operation, path: &str) -> Answer<()> {
        self.permit_as(&self.standing(app).await?, app, operation, path)
    }

    /// The same for a caller whose standing is known.
    fn permit_as(&self, standing: &Standing<'_>, app: &App, operation: Operation, path: &str) -> Answer<()> {
        let decision = standing.decide(operation, path)?;
        if decision.is_allowed() {
            return Ok(());
        }
        let record = self.actor().refused("denied", &decision.to_string(), app.clock.now());
        // The longest path of a document has 1 KiB; what is longer is no path of ours and only fills the log.
        let path: String = path.chars().take(1100).collect();
        let message = format!("permission denied: `{operation}` on `{path}`");
        app.refuse(record.with("path", path).with("operation", operation.as_str()));
        Err(ApiError::new(axum::http::StatusCode::FORBIDDEN, message))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        // Only the middleware below puts one there.
        parts.extensions.get::<Self>().cloned().ok_or_else(|| ApiError::unauthenticated("a token is required"))
    }
}

/// The operation that a method is, where a handler does not decide that by itself.
pub fn operation(method: &Method) -> Operation {
    match *method {
        Method::GET | Method::HEAD => Operation::Read,
        Method::PUT | Method::PATCH => Operation::Update,
        Method::DELETE => Operation::Delete,
        _ => Operation::Execute,
    }
}

/// Lets in only requests with a valid token; what it may do is for [`authorize`] or the handler to find out.
///
/// # Errors
/// 401 with one text for every token that does not count; 400 for what can be understood in two ways.
pub async fn authenticate(State(app): State<Arc<App>>, Peer(source): Peer, mut request: Request, next: Next) -> Answer {
    let presented = presented(request.headers()).map(str::to_owned);
    let client = app.limiter.client(source, presented.as_deref().ok());
    let path = request.uri().path();
    let session = match &presented {
        // Clients of Vault are no browsers.
        Err(_) if !vault::is_here(path) => {
            session::caller_of(&app, request.headers(), request.method(), path, source).await?
        }
        _ => None,
    };
    let caller = match session {
        Some(caller) => caller,
        None => {
            let caller = identify(&app, presented?, source, path).await;
            match &caller {
                Err(error) if error.status() != axum::http::StatusCode::UNAUTHORIZED => {}
                known => app.limiter.note_token(&client, known.is_ok(), app.clock.uptime()),
            }
            caller?
        }
    };
    if !vault::Namespace::asked(&app, request.headers()).await?.admits(caller.tenant()) {
        app.refuse(caller.actor().refused("denied", "the request names another tenant", app.clock.now()));
        return Err(vault::elsewhere());
    }
    // It would be one segment here and two to whoever checked the path on the way.
    if request.uri().path().to_ascii_lowercase().contains("%2f") {
        return Err(ApiError::invalid("an escaped slash (`%2f`) in a path can be understood in two ways; write `/`"));
    }
    let asked = match vault::is_here(request.uri().path()) {
        true => vault::wrapping::Handover::asked(request.headers(), request.uri().path())?,
        false => None,
    };
    request.extensions_mut().insert(caller.clone());
    request.extensions_mut().insert(asked.clone());
    vault::wrapping::around(&app, &caller, asked, next.run(request).await).await
}

/// Lets in only callers of the tenant `default`. For others there is nothing here.
///
/// # Errors
/// 404, with the answer of a path that is none.
pub async fn operators(State(app): State<Arc<App>>, caller: Caller, request: Request, next: Next) -> Answer {
    match app.is_operators(caller.tenant()) {
        true => Ok(next.run(request).await),
        false => operations::nothing_here(request.uri().clone()).await,
    }
}

/// Lets in only requests that the caller's policies allow, by method and path, and leaves out of the answer what they hide.
///
/// # Errors
/// 403.
pub async fn authorize(State(app): State<Arc<App>>, caller: Caller, request: Request, next: Next) -> Answer {
    let (operation, path) = (operation(request.method()), request.uri().path().to_owned());
    let standing = caller.standing(&app).await?;
    caller.permit_as(&standing, &app, operation, &path)?;
    let hidden = standing.hidden(operation, &path)?;
    drop(standing);
    if hidden.is_some() && request.headers().contains_key(vault::wrapping::HEADER) {
        let text = "fields of the answer are hidden from you: it cannot be wrapped, which would keep them";
        return Err(ApiError::new(axum::http::StatusCode::FORBIDDEN, text));
    }
    let answer = next.run(request).await;
    match hidden {
        Some(hidden) => hidden::in_answer(answer, &hidden).await,
        None => Ok(answer),
    }
}

/// Who has a token, and asks for a path with it.
///
/// # Errors
/// 401 with one text for every token that does not count.
pub async fn identify(app: &App, presented: String, source: IpAddr, asked: &str) -> Answer<Caller> {
    let key = app.pepper.token_key(&presented);
    let place = layout::token(&key);
    loop {
        let now = app.clock.now();
        let lineage = Lineage::presented(app, &presented, &key).await?;
        let checked = lineage.check(&key, source, now);
        let (token, stored) = match (checked, lineage.stored) {
            (Ok(token), Some(stored)) => (token, stored),
            (checked, stored) => {
                let reason = checked.err().unwrap_or(Reason::UnknownToken);
                let mut actor = Actor::stranger(app, source);
                if let Some(stored) = stored {
                    actor.tenant = stored.value.tenant().to_string();
                    actor.subject = stored.value.subject().to_string();
                    actor.spiffe_id = stored.value.subject().spiffe_id().cloned();
                }
                app.refuse(actor.refused("token", reason.code(), now));
                return Err(ApiError::unauthenticated(TOKEN_REFUSED));
            }
        };
        let presented = Arc::new(zeroize::Zeroizing::new(presented.clone()));
        let mut caller = Caller { token: Arc::new(token), presented, stored, source, asked: asked.into() };
        if app.living(caller.tenant()).await?.is_none() {
            app.refuse(Actor::stranger(app, source).refused("token", "tenant-removed", now));
            return Err(ApiError::unauthenticated(TOKEN_REFUSED));
        }
        let owned = Owned::load(app, caller.token.record()).await?;
        if let Err(reason) = caller.token.check_owner(owned.owner()) {
            app.refuse(caller.actor().refused("token", reason.code(), now));
            return Err(ApiError::unauthenticated(TOKEN_REFUSED));
        }
        let RecordChange::Update(record) = caller.token.change() else {
            return Ok(caller);
        };
        let bytes = record.encode().map_err(ApiError::internal)?;
        let writes = vec![app.db.put(place.clone(), &bytes)?];
        let audit = caller.actor().did("token-use", now).with("uses-left", record.uses_left());
        if let Commit::Done(revision) = app.commit(vec![caller.stored.guard()], writes, audit).await? {
            caller.stored.revision = revision;
            return Ok(caller);
        }
    }
}

/// The token of `Authorization: Bearer` (RFC 6750 §2.1) or, for clients of Vault, `X-Vault-Token`. Two that differ are refused
/// (RFC 6750 §3.1): whoever checked one of them on the way may have seen another than counts here.
///
/// # Errors
/// 401 where there is none; 400.
pub fn presented(headers: &HeaderMap) -> Answer<&str> {
    let unreadable = || ApiError::unauthenticated("the token is not ASCII text");
    let mut found = None;
    let bearer = headers.get_all(header::AUTHORIZATION).iter().map(|value| (value, true));
    let vault = headers.get_all("x-vault-token").iter().map(|value| (value, false));
    for (value, has_scheme) in bearer.chain(vault) {
        let text = value.to_str().map_err(|_| unreadable())?;
        let token = match text.split_once(' ') {
            Some((scheme, token)) if has_scheme && scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ if has_scheme => continue,
            _ => text.trim(),
        };
        if token.is_empty() {
            continue;
        }
        if token.len() > MAX_TOKEN_LENGTH {
            return Err(ApiError::unauthenticated(format!("the token is longer than {MAX_TOKEN_LENGTH} bytes")));
        }
        if found.is_some_and(|other| other != token) {
            return Err(ApiError::invalid("there are two different tokens: send one"));
        }
        found = Some(token);
    }
    found.ok_or_else(|| ApiError::unauthenticated("a token is required"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(headers: &[(&'static str, &str)]) -> Result<String, (u16, String)> {
        let headers = headers.iter().map(|(name, value)| {
            (axum::http::HeaderName::from_static(name), axum::http::HeaderValue::from_bytes(value.as_bytes()).unwrap())
        });
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, value);
        }
        presented(&map).map(str::to_owned).map_err(|error| (error.status().as_u16(), error.message().to_owned()))
    }

    #[test]
    fn tokens_are_found_where_clients_put_them() {
        for headers in [
            &[("authorization", "Bearer a.b")][..],
            &[("authorization", "bearer  a.b")],
            &[("x-vault-token", "a.b")],
            &[("authorization", "Basic eDp5"), ("x-vault-token", "a.b")],
            &[("authorization", "Bearer a.b"), ("x-vault-token", "a.b")],
            &[("authorization", "Bearer "), ("x-vault-token", "a.b")],
        ] {
            assert_eq!(found(headers).unwrap(), "a.b", "{headers:?}");
        }
        let none = (401, "a token is required".to_owned());
        for headers in
            [&[][..], &[("authorization", "Basic a.b")], &[("authorization", "Bearer ")], &[("authorization", "a.b")]]
        {
            assert_eq!(found(headers).unwrap_err(), none, "{headers:?}");
        }
    }

    #[test]
    fn what_can_be_understood_in_two_ways_is_refused() {
        let two = (400, "there are two different tokens: send one".to_owned());
        assert_eq!(found(&[("authorization", "Bearer a"), ("x-vault-token", "b")]).unwrap_err(), two);
        assert_eq!(found(&[("authorization", "Bearer a"), ("authorization", "Bearer b")]).unwrap_err(), two);
        assert_eq!(found(&[("x-vault-token", "a"), ("x-vault-token", "b")]).unwrap_err(), two);
        let long = format!("Bearer {}", "x".repeat(8193));
        assert_eq!(
            found(&[("authorization", &long)]).unwrap_err(),
            (401, "the token is longer than 8192 bytes".to_owned())
        );
        assert_eq!(
            found(&[("authorization", "Bearer ä")]).unwrap_err(),
            (401, "the token is not ASCII text".to_owned())
        );
    }
}
