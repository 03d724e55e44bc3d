//! Who asks, and whether they may.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, Method, header, request::Parts},
    middleware::Next,
};
use keyward_approle::{
    Authenticated, Operation, Reason, RecordChange, Scope, TOKEN_REFUSED, TokenRecord, check, decide,
};
use keyward_config_values::Name;

use super::{
    error::{Answer, ApiError},
    peer::Peer,
};
use crate::{
    app::{Actor, App, Commit},
    db::Stored,
    layout, policies,
};

/// Somebody with a valid token.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The token, this use of it taken off.
    pub token: Arc<Authenticated>,
    /// The text of the token, for the answers that repeat it.
    pub presented: Arc<zeroize::Zeroizing<String>>,
    /// The stored record, for guards.
    pub stored: Stored<Arc<TokenRecord>>,
    /// Where they are.
    pub source: IpAddr,
}

impl Caller {
    /// The tenant of the token.
    pub fn tenant(&self) -> &Name {
        self.token.tenant()
    }

    /// For the audit log.
    pub fn actor(&self) -> Actor {
        Actor {
            tenant: self.tenant().to_string(),
            subject: self.token.subject().to_string(),
            source: Some(self.source),
        }
    }

    /// Fails unless the policies allow the operation on the path.
    ///
    /// # Errors
    /// 403, 400 for a path that cannot be authorized, or the store's.
    pub async fn permit(&self, app: &App, operation: Operation, path: &str) -> Answer<()> {
        let request = keyward_approle::Request::new(path, operation)
            .map_err(|error| ApiError::invalid(error.to_string()))?;
        let set = policies::of(app, self.tenant()).await?;
        let decision = decide(None, &Scope::new(&set, self.token.policies()), &request);
        if decision.is_allowed() {
            return Ok(());
        }
        let now = app.clock.now();
        // The longest path of a document has 1 KiB; what is longer is no path of ours and only fills the log.
        let path: String = path.chars().take(1100).collect();
        let record = self.actor().refused("denied", &decision.to_string(), now);
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
/// 401 with one text for every reason.
pub async fn authenticate(
    State(app): State<Arc<App>>,
    Peer(source): Peer,
    mut request: Request,
    next: Next,
) -> Answer {
    let presented = bearer(request.headers()).ok_or_else(|| ApiError::unauthenticated("a token is required"))?;
    let caller = identify(&app, presented.to_owned(), source).await?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// Lets in only requests that the caller's policies allow, by method and path.
///
/// # Errors
/// 403.
pub async fn authorize(State(app): State<Arc<App>>, caller: Caller, request: Request, next: Next) -> Answer {
    caller.permit(&app, operation(request.method()), request.uri().path()).await?;
    Ok(next.run(request).await)
}

async fn identify(app: &App, presented: String, source: IpAddr) -> Answer<Caller> {
    let key = app.pepper.token_key(&presented);
    let place = layout::token(&key);
    loop {
        let now = app.clock.now();
        let stored = app.db.load(&place, TokenRecord::decode).await?;
        let checked = check(&key, stored.as_ref().map(|stored| &*stored.value), source, now);
        let (token, stored) = match (checked, stored) {
            (Ok(token), Some(stored)) => (token, stored),
            (checked, stored) => {
                let reason = checked.err().unwrap_or(Reason::UnknownToken);
                let mut actor = Actor::stranger(app, source);
                if let Some(stored) = stored {
                    actor.tenant = stored.value.tenant().to_string();
                    actor.subject = stored.value.subject().to_string();
                }
                app.refuse(actor.refused("token", reason.code(), now));
                return Err(ApiError::unauthenticated(TOKEN_REFUSED));
            }
        };
        let presented = Arc::new(zeroize::Zeroizing::new(presented.clone()));
        let mut caller = Caller { token: Arc::new(token), presented, stored, source };
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

/// The token of `Authorization: Bearer` (RFC 6750 §2.1) or, for clients of Vault, `X-Vault-Token`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let vault = || headers.get("x-vault-token").and_then(|value| value.to_str().ok());
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    bearer.or_else(vault).filter(|token| !token.is_empty() && token.len() <= 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_where_clients_put_them() {
        let headers = |name: &'static str, value: &str| HeaderMap::from_iter([(
            axum::http::HeaderName::from_static(name),
            value.parse().unwrap(),
        )]);
        assert_eq!(bearer(&headers("authorization", "Bearer a.b")), Some("a.b"));
        assert_eq!(bearer(&headers("authorization", "bearer  a.b")), Some("a.b"));
        assert_eq!(bearer(&headers("x-vault-token", "a.b")), Some("a.b"));
        assert_eq!(bearer(&headers("authorization", "Basic a.b")), None);
        assert_eq!(bearer(&headers("authorization", "Bearer ")), None);
        assert_eq!(bearer(&headers("authorization", &format!("Bearer {}", "x".repeat(1025)))), None);
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
