//! Response wrapping: an answer stands aside, and one request with its token takes it. `/v1/sys/wrapping`.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use keyward_approle::{Accessor, StorageKey, Token, Wrapped, WrappedKind};
use keyward_config_values::{Duration, Name};
use serde::Deserialize;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use zeroize::Zeroizing;

use super::{
    super::{
        caller::{self, Caller},
        error::{Answer, ApiError},
        peer::Peer,
    },
    NoTokenInAddress, answer,
    body::VaultBody,
    fields,
};
use crate::{
    app::{Actor, App, Commit},
    audit::AuditRecord,
    db::{DbError, Stored},
    layout, random,
    store::Write,
};

/// The header that asks for it, with how long the answer waits.
pub const HEADER: &str = "x-vault-wrap-ttl";

/// How long it waits where no time is asked for.
const DEFAULT: Duration = Duration::HOUR;

/// Whether the answers of a path can be wrapped: of those that anybody gets, a login's alone.
pub(super) fn is_for(path: &str) -> bool {
    const PLAIN: [&str; 6] = [
        "/v1/sys/health",
        "/v1/sys/init",
        "/v1/sys/leader",
        "/v1/sys/seal-status",
        "/v1/sys/wrapping/lookup",
        "/v1/sys/wrapping/unwrap",
    ];
    !PLAIN.contains(&path)
}

fn ttl(headers: &HeaderMap) -> Answer<Option<Duration>> {
    #[derive(Deserialize)]
    struct Ttl(#[serde(deserialize_with = "fields::ttl")] Option<Duration>);
    let Some(value) = headers.get(HEADER) else { return Ok(None) };
    let invalid = || ApiError::invalid(format!("`{HEADER}` is not a duration"));
    let text = value.to_str().map_err(|_| invalid())?;
    let Ttl(ttl) = serde_json::from_value(json!(text)).map_err(|_| invalid())?;
    Ok(ttl)
}

/// That an answer is asked for wrapped: it waits for whoever has the token that is answered instead. What makes a secret keeps it
/// so in the commit that stores the secret.
#[derive(Clone, Debug)]
pub struct Handover {
    path: String,
    ttl: Duration,
}

/// An answer that is to wait: what stores it, and what is answered instead.
pub struct Kept {
    writes: Vec<Write>,
    accessor: Accessor,
    info: Value,
}

/// Beside a response that was wrapped already.
#[derive(Clone, Copy)]
struct Handed;

impl Handover {
    /// What the request asks for.
    ///
    /// # Errors
    /// 400 for a time that is none.
    pub fn asked(headers: &HeaderMap, path: &str) -> Answer<Option<Self>> {
        Ok(ttl(headers)?.map(|ttl| Self { path: path.to_owned(), ttl }))
    }

    /// Makes an answer wait.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(
        &self,
        app: &App,
        tenant: &Name,
        (kind, answer): (WrappedKind, &Value),
        now: OffsetDateTime,
    ) -> Answer<Kept> {
        let text = Zeroizing::new(answer.to_string());
        let (path, rng) = (&self.path, &mut random::rng());
        let what = (kind, &text);
        let (token, record) = Wrapped::wrap(tenant.clone(), path, what, self.ttl, &app.limits, &app.pepper, rng, now);
        let name = if kind == WrappedKind::Login { "accessor" } else { "secret_id_accessor" };
        let of = answer.get(name).filter(|accessor| accessor.as_str() != Some("")).cloned();
        kept(app, &token, &record, of, now)
    }
}

/// What is to be kept beside a commit, where that was asked for: an answer made of `T`.
pub struct Beside<'a, T> {
    asked: Option<(Handover, WrappedKind)>,
    shape: &'a (dyn Fn(&T) -> Value + Sync),
}

impl<T> Beside<'_, T> {
    /// Nothing is.
    pub fn nothing() -> Self {
        Self { asked: None, shape: &|_| Value::Null }
    }

    /// Keeps the answer, if that is asked for, in the commit that these writes are of.
    ///
    /// # Errors
    /// Those of [`Handover::keep`].
    pub fn keep(
        &self,
        app: &App,
        tenant: &Name,
        what: &T,
        (writes, audit): (&mut Vec<Write>, &mut AuditRecord),
        now: OffsetDateTime,
    ) -> Answer<Option<Kept>> {
        let Some((handover, kind)) = &self.asked else { return Ok(None) };
        let kept = handover.keep(app, tenant, (*kind, &(self.shape)(what)), now)?;
        kept.beside(writes, audit);
        Ok(Some(kept))
    }
}

impl<'a, T> Beside<'a, T> {
    /// An answer of this shape, if it is asked for wrapped.
    pub fn asked(asked: Option<Handover>, kind: WrappedKind, shape: &'a (dyn Fn(&T) -> Value + Sync)) -> Self {
        Self { asked: asked.map(|handover| (handover, kind)), shape }
    }
}

fn kept(app: &App, token: &Token, record: &Wrapped, of: Option<Value>, now: OffsetDateTime) -> Answer<Kept> {
    let bytes = record.encode().map_err(ApiError::internal)?;
    let mut writes = app.put_until(layout::wrapped(record.key()), &bytes, record.expires())?.to_vec();
    writes.push(Write::Put(layout::wrapped_of(record.tenant(), record.key()), Vec::new()));
    let index = layout::wrapped_accessor(record.tenant(), record.accessor());
    writes.push(app.db.put(index, record.key().to_string().as_bytes())?);
    let mut info = json!({
        "token": token.expose(),
        "accessor": record.accessor(),
        "ttl": (record.expires() - now).whole_seconds(),
        "creation_time": now.format(&Rfc3339).map_err(ApiError::internal)?,
        "creation_path": record.creation_path().trim_start_matches("/v1/"),
    });
    if let (Some(of), Some(fields)) = (of, info.as_object_mut()) {
        fields.insert("wrapped_accessor".to_owned(), of);
    }
    Ok(Kept { writes, accessor: record.accessor(), info })
}

impl Kept {
    /// Adds what stores it to a commit, and its name to the record of that.
    pub fn beside(&self, writes: &mut Vec<Write>, audit: &mut AuditRecord) {
        writes.extend(self.writes.iter().cloned());
        *audit = audit.clone().with("wrapped", self.accessor.to_string());
    }

    /// What is answered instead.
    pub fn answer(self) -> Response {
        let mut response = answer::wrap_info(self.info);
        response.extensions_mut().insert(Handed);
        response
    }
}

/// The answer to a request that may have asked for it wrapped. What a handler did not keep itself is kept here, in a commit of its
/// own: should that fail, the answer stays unknown to all.
///
/// # Errors
/// Those of the store.
pub async fn around(app: &App, caller: &Caller, asked: Option<Handover>, response: Response) -> Answer {
    let (Some(handover), None) = (asked, response.extensions().get::<Handed>()) else { return Ok(response) };
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.map_err(ApiError::internal)?;
    let bytes = Zeroizing::new(bytes.to_vec());
    let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let part = |name: &str| body.get(name).filter(|part| !part.is_null());
    let answer = match (part("auth"), part("data")) {
        (Some(login), _) => (WrappedKind::Login, login),
        (None, Some(data)) => (WrappedKind::Data, data),
        // A refusal, or nothing at all.
        (None, None) => return Ok(Response::from_parts(parts, axum::body::Body::from(bytes.to_vec()))),
    };
    if !parts.status.is_success() {
        return Err(ApiError::invalid("some of it failed, which is not answered wrapped: ask without wrapping"));
    }
    let now = app.clock.now();
    let kept = handover.keep(app, caller.tenant(), answer, now)?;
    commit(app, caller, &handover.path, kept, now).await
}

async fn commit(app: &App, caller: &Caller, path: &str, kept: Kept, now: OffsetDateTime) -> Answer {
    let mut audit = caller.actor().did("wrap", now).with("path", path);
    let mut writes = Vec::new();
    kept.beside(&mut writes, &mut audit);
    match app.commit(Vec::new(), writes, audit).await? {
        Commit::Done(_) => Ok(kept.answer()),
        Commit::Conflict => Err(ApiError::internal("a commit without guards had a conflict")),
    }
}

/// `POST /v1/sys/wrapping/wrap`: wraps what it is sent.
///
/// # Errors
/// 400 without the header.
pub async fn wrap(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    VaultBody(body): VaultBody<Value>,
) -> Answer {
    if !headers.contains_key(HEADER) {
        return Err(ApiError::invalid("endpoint requires response wrapping to be used"));
    }
    let path = "/v1/sys/wrapping/wrap".to_owned();
    let handover = Handover { path, ttl: ttl(&headers)?.unwrap_or(DEFAULT) };
    let now = app.clock.now();
    let kept = handover.keep(&app, caller.tenant(), (WrappedKind::Data, &body), now)?;
    commit(&app, &caller, &handover.path, kept, now).await
}

/// The token of an answer, where it is not the one that the request bears.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct TokenBody {
    token: Option<Zeroizing<String>>,
}

fn invalid() -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "wrapping token is not valid or does not exist")
}

async fn found(app: &App, source: std::net::IpAddr, headers: &HeaderMap, body: TokenBody) -> Answer<Stored<Wrapped>> {
    let token = match body.token.filter(|token| !token.is_empty()) {
        Some(token) => token,
        None => Zeroizing::new(caller::presented(headers)?.to_owned()),
    };
    let (now, key) = (app.clock.now(), app.pepper.token_key(&token));
    let refused = |reason: &str| {
        app.refuse(Actor::stranger(app, source).refused("unwrap", reason, now));
        invalid()
    };
    let Some(stored) = app.db.get(&layout::wrapped(&key)).await? else { return Err(refused("unknown-token")) };
    let value = decoded(&stored)?;
    value.check(&key, now).map_err(|reason| refused(reason.code()))?;
    if app.living(value.tenant()).await?.is_none() {
        return Err(refused("tenant-removed"));
    }
    Ok(Stored { value, key: stored.key, revision: stored.revision })
}

/// What removes an answer.
pub fn end(record: &Wrapped) -> [Write; 3] {
    [
        Write::Delete(layout::wrapped(record.key())),
        Write::Delete(layout::wrapped_of(record.tenant(), record.key())),
        Write::Delete(layout::wrapped_accessor(record.tenant(), record.accessor())),
    ]
}

fn decoded(stored: &Stored<Zeroizing<Vec<u8>>>) -> Result<Wrapped, DbError> {
    Wrapped::decode(&stored.value)
        .map_err(|error| DbError::Damaged { key: stored.key.clone(), reason: error.to_string() })
}

/// An answer of the caller's tenant that still waits for this token. One of another tenant is none.
///
/// # Errors
/// Those of the store.
pub(super) async fn by_token(app: &App, caller: &Caller, token: &str, now: OffsetDateTime) -> Answer<Option<Wrapped>> {
    waiting(app, caller, &app.pepper.token_key(token), now).await
}

/// An answer of the caller's tenant that still waits for the token with this accessor.
///
/// # Errors
/// Those of the store.
pub(super) async fn by_accessor(
    app: &App,
    caller: &Caller,
    accessor: Accessor,
    now: OffsetDateTime,
) -> Answer<Option<Wrapped>> {
    let found = app.db.get(&layout::wrapped_accessor(caller.tenant(), accessor)).await?;
    match found.and_then(|found| std::str::from_utf8(&found.value).ok()?.parse::<StorageKey>().ok()) {
        Some(key) => waiting(app, caller, &key, now).await,
        None => Ok(None),
    }
}

async fn waiting(app: &App, caller: &Caller, key: &StorageKey, now: OffsetDateTime) -> Answer<Option<Wrapped>> {
    let Some(stored) = app.db.get(&layout::wrapped(key)).await? else { return Ok(None) };
    let record = decoded(&stored)?;
    Ok((record.tenant() == caller.tenant() && record.check(key, now).is_ok()).then_some(record))
}

/// Ends a wrapping token before its answer is taken, which nobody gets then.
///
/// # Errors
/// Those of the store.
pub(super) async fn revoke(app: &App, caller: &Caller, record: &Wrapped, now: OffsetDateTime) -> Answer<()> {
    let audit = caller
        .actor()
        .did("token-revoke", now)
        .with("accessor", record.accessor().to_string())
        .with("path", record.creation_path());
    // Unguarded: where somebody was faster it is gone already.
    match app.commit(Vec::new(), end(record).into(), audit).await? {
        Commit::Done(_) => Ok(()),
        Commit::Conflict => Err(ApiError::internal("a commit without guards had a conflict")),
    }
}

/// `POST /v1/sys/wrapping/unwrap`: takes an answer. Its token is all that is needed, and good once.
///
/// # Errors
/// 400 with one text for every reason.
pub async fn unwrap(
    State(app): State<Arc<App>>,
    Peer(source): Peer,
    headers: HeaderMap,
    VaultBody(body): VaultBody<Option<TokenBody>>,
) -> Answer {
    let stored = found(&app, source, &headers, body.unwrap_or_default()).await?;
    let now = app.clock.now();
    let mut actor = Actor::stranger(&app, source);
    actor.tenant = stored.value.tenant().to_string();
    let audit = actor.did("unwrap", now).with("accessor", stored.value.accessor().to_string());
    match app.commit(vec![stored.guard()], end(&stored.value).into(), audit).await? {
        Commit::Done(_) => {
            let answer = serde_json::from_str(stored.value.answer()).map_err(ApiError::internal)?;
            match stored.value.kind() {
                WrappedKind::Login => Ok(answer::auth(answer)),
                _ => Ok(answer::data(answer)),
            }
        }
        // Somebody else was first.
        Commit::Conflict => Err(invalid()),
    }
}

/// `POST /v1/sys/wrapping/rewrap`: puts an answer of the caller's tenant under a new token; the old one is good no longer.
///
/// # Errors
/// As [`unwrap`].
pub async fn rewrap(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    VaultBody(body): VaultBody<Option<TokenBody>>,
) -> Answer {
    let stored = found(&app, caller.source, &headers, body.unwrap_or_default()).await?;
    if stored.value.tenant() != caller.tenant() {
        return Err(invalid());
    }
    let now = app.clock.now();
    let (token, record) = stored.value.rewrap(&app.pepper, &mut random::rng(), now);
    let kept = kept(&app, &token, &record, None, now)?;
    let mut audit = caller.actor().did("rewrap", now).with("accessor", stored.value.accessor().to_string());
    let mut writes = Vec::from(end(&stored.value));
    kept.beside(&mut writes, &mut audit);
    match app.commit(vec![stored.guard()], writes, audit).await? {
        Commit::Done(_) => Ok(kept.answer()),
        // Somebody took it.
        Commit::Conflict => Err(invalid()),
    }
}

/// `GET /v1/sys/wrapping/lookup`: as [`lookup`] of the token that the request bears.
///
/// # Errors
/// As [`unwrap`]; 400 for a token in the address.
pub async fn lookup_self(
    state: State<Arc<App>>,
    source: Peer,
    headers: HeaderMap,
    _: NoTokenInAddress,
) -> Answer<Response> {
    lookup(state, source, headers, VaultBody(None)).await
}

/// `POST /v1/sys/wrapping/lookup`: what an answer is of, without taking it.
///
/// # Errors
/// As [`unwrap`].
pub async fn lookup(
    State(app): State<Arc<App>>,
    Peer(source): Peer,
    headers: HeaderMap,
    VaultBody(body): VaultBody<Option<TokenBody>>,
) -> Answer<Response> {
    let stored = found(&app, source, &headers, body.unwrap_or_default()).await?;
    let wrapped = &stored.value;
    Ok(answer::data(json!({
        "creation_path": wrapped.creation_path().trim_start_matches("/v1/"),
        "creation_time": wrapped.creation_time().format(&Rfc3339).map_err(ApiError::internal)?,
        "creation_ttl": (wrapped.expires() - wrapped.creation_time()).whole_seconds(),
    })))
}
