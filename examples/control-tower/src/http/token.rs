//! Tokens: how they are stored and answered, their state, refresh and revocation.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use keyward_approle::{Reason, Role, Subject, TOKEN_REFUSED, TokenRecord, TokenType, TokenView, X509SvidView};
use keyward_config_values::Duration;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{
    body::JsonBody,
    caller::Caller,
    error::{Answer, ApiError},
    owner::Owned,
};
use crate::{
    app::{App, Commit},
    audit::AuditRecord,
    authorities,
    identity::Identity,
    layout,
    store::{Guard, Write},
    tenant::Tenant,
};

/// An answer that holds a secret: no cache may keep it.
pub fn answer(body: &impl Serialize) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// What stores a new token: nothing where it is a batch token.
///
/// # Errors
/// It cannot be written.
pub fn store(app: &App, record: &TokenRecord) -> Answer<Vec<Write>> {
    if record.kind() == TokenType::Batch {
        return Ok(Vec::new());
    }
    let index = layout::token_accessor(record.tenant(), record.accessor());
    let mut writes = vec![app.db.put(index, record.key().to_string().as_bytes())?];
    writes.extend(replace(app, record)?);
    Ok(writes)
}

/// What stores a token that is there already.
///
/// # Errors
/// It cannot be written.
pub fn replace(app: &App, record: &TokenRecord) -> Answer<[Write; 2]> {
    let bytes = record.encode().map_err(ApiError::internal)?;
    Ok(app.put_until(layout::token(record.key()), &bytes, record.expires())?)
}

/// What ends a token, and with it all that were made from it: they are refused without it, and go when their own time has come.
pub fn end(record: &TokenRecord) -> Vec<Write> {
    let index = layout::token_accessor(record.tenant(), record.accessor());
    vec![Write::Delete(layout::token(record.key())), Write::Delete(index)]
}

/// The SVIDs that come with a token.
#[derive(Default)]
pub struct Svids {
    jwt: Option<Zeroizing<String>>,
    x509: Option<(String, Zeroizing<String>)>,
}

impl Svids {
    /// Issues what the token grants, and adds to the commit and the record of its login what they need.
    ///
    /// # Errors
    /// Those of issuing; 409 when another tenant has the trust domain.
    pub async fn issue(
        app: &App,
        record: &TokenRecord,
        guards: &mut Vec<Guard>,
        writes: &mut Vec<Write>,
        audit: &mut AuditRecord,
        now: OffsetDateTime,
    ) -> Answer<Self> {
        let mut svids = Self::default();
        let Subject::Approle { name, .. } = record.subject() else { return Ok(svids) };
        if record.jwt_svid().is_none() && record.x509_svid().is_none() {
            return Ok(svids);
        }
        let tenant = Tenant::by_id(&app.db, record.tenant().as_str()).await?;
        let tenant = tenant.ok_or_else(|| ApiError::internal("a token's tenant is gone"))?;
        let identity = Identity::load(&app.db, record.tenant()).await?;
        let trust_domain = identity.trust_domain(app, &tenant.value.name)?;
        let id = Role::spiffe_id_of(name, &trust_domain).map_err(|error| ApiError::inapplicable(error.to_string()))?;
        let mut noted = audit.clone().with("spiffe-id", id.to_string());
        if let Some(grant) = record.jwt_svid() {
            let minted = identity.mint(app, &id, grant, now)?;
            noted = noted.with("kid", minted.kid);
            svids.jwt = Some(Zeroizing::new(minted.jwt_svid));
        }
        if let Some(grant) = record.x509_svid() {
            let issued = authorities::issue(app, &identity, &id, &trust_domain, grant.expires).await?;
            let svid = issued.svid.svid();
            noted = noted.with("authority", issued.authority.as_str()).with("serial", svid.serial());
            svids.x509 = Some((svid.chain_pem(), issued.svid.key_pem().map_err(ApiError::internal)?));
        }
        identity.claim_trust_domain(app, &trust_domain, guards, writes).await?;
        *audit = noted;
        Ok(svids)
    }

    /// As they are: the JWT-SVID, and of the X.509-SVID the certificates and the key.
    pub fn parts(&self) -> (Option<&str>, Option<(&str, &str)>) {
        let x509 = self.x509.as_ref().map(|(cert, key)| (cert.as_str(), key.as_str()));
        (self.jwt.as_deref().map(String::as_str), x509)
    }

    /// The answer with them.
    pub fn show<'a>(&'a self, view: TokenView<'a>) -> TokenView<'a> {
        let x509 = self.x509.as_ref().map(|(cert, key)| X509SvidView::new(cert, key));
        view.with_jwt_svid(self.jwt.as_deref().map(String::as_str)).with_x509_svid(x509)
    }
}

/// `GET /v1/state/strongbox/token`.
///
/// # Errors
/// None beyond the token's own.
pub async fn state(State(app): State<Arc<App>>, caller: Caller) -> Answer {
    Ok(Json(TokenView::new(caller.token.record(), app.clock.now())).into_response())
}

/// `POST /v1/state/strongbox/token/refresh`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RefreshBody {
    increment: Option<Duration>,
}

/// How often a refresh is decided again because the token or its owner changed. Of those that share a token one succeeds each
/// time.
const TRIES: usize = 64;

/// `POST /v1/state/strongbox/token/refresh`. The body may be absent.
///
/// # Errors
/// 401 when the token has ended meanwhile, 422 when it cannot be refreshed.
pub async fn refresh(
    State(app): State<Arc<App>>,
    mut caller: Caller,
    JsonBody(body): JsonBody<Option<RefreshBody>>,
) -> Answer {
    let increment = body.unwrap_or_default().increment;
    for _ in 0..TRIES {
        if let Some(answer) = refresh_once(&app, &caller, increment).await? {
            return Ok(answer);
        }
        caller = match caller.again(&app).await? {
            Some(caller) => caller,
            None => break,
        };
    }
    Err(ApiError::conflict("the token, or whom it belongs to, was changed meanwhile; refresh it again"))
}

/// `None` when what it relied on was changed.
async fn refresh_once(app: &App, caller: &Caller, increment: Option<Duration>) -> Answer<Option<Response>> {
    let now = app.clock.now();
    let owned = Owned::load(app, caller.token.record()).await?;
    let record = caller.token.refresh(owned.owner(), increment, &app.limits, now).map_err(|reason| {
        app.refuse(caller.actor().refused("token-refresh", reason.code(), now));
        match reason {
            Reason::NotRenewable | Reason::Disabled => ApiError::inapplicable(reason.to_string()),
            _ => ApiError::unauthenticated(TOKEN_REFUSED),
        }
    })?;
    let mut guards = vec![caller.stored.guard()];
    // Once the owner is deleted, no refresh succeeds any more.
    guards.extend(owned.guards());
    let mut writes = Vec::from(replace(app, &record)?);
    let mut audit = caller.actor().did("token-refresh", now).with("accessor", record.accessor().to_string());
    let svids = Svids::issue(app, &record, &mut guards, &mut writes, &mut audit, now).await?;
    match app.commit(guards, writes, audit).await? {
        Commit::Done(_) => {
            let view = TokenView::new(&record, now).with_presented(caller.presented.as_str());
            Ok(Some(answer(&svids.show(view))))
        }
        Commit::Conflict => Ok(None),
    }
}

/// # Errors
/// 422 for a batch token: there is nothing to delete.
pub fn revocable(record: &TokenRecord) -> Answer<()> {
    match record.kind() {
        TokenType::Batch => Err(ApiError::inapplicable("a batch token cannot be revoked: it ends at its time")),
        _ => Ok(()),
    }
}

/// `POST /v1/state/strongbox/token/revoke`: ends the caller's own token.
///
/// # Errors
/// 422 for a batch token; those of the store.
pub async fn revoke(State(app): State<Arc<App>>, caller: Caller) -> Answer {
    let record = caller.token.record();
    revocable(record)?;
    let audit = caller.actor().did("token-revoke", app.clock.now()).with("accessor", record.accessor().to_string());
    match app.commit(Vec::new(), end(record), audit).await? {
        Commit::Done(_) => Ok(Json(json!({})).into_response()),
        Commit::Conflict => Err(ApiError::internal("a commit without guards had a conflict")),
    }
}
