//! AppRoles: login, state, and their secret-ids.

use std::{net::IpAddr, sync::Arc};

use axum::{Json, extract::State, response::IntoResponse as _};
use keyward_approle::{
    Accessor, Attempt, LOGIN_REFUSED, LoginDecision, RecordChange, Role, SecretId, SecretIdIssued, SecretIdRecord,
    SecretIdRequest, Token, TokenRecord, TokenView, login,
};
use keyward_config_values::Name;
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;

use super::{
    body::JsonBody,
    caller::Caller,
    error::{Answer, ApiError},
    limits,
    params::Path,
    peer::Peer,
    token,
    vault::{
        Namespace,
        wrapping::{Beside, Kept},
    },
};
use crate::{
    app::{Actor, App, Commit},
    db::{DbError, Stored},
    layout, random,
    store::{Guard, Write},
};

/// How often a decision is made again because what it relied on changed. Contention on one counted secret-id resolves
/// itself: each conflict means that somebody else took a use.
const TRIES: usize = 256;

/// `POST /v1/approle-login`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LoginBody {
    role_id: zeroize::Zeroizing<String>,
    secret_id: zeroize::Zeroizing<String>,
}

/// `POST /v1/approle-login`.
///
/// # Errors
/// 401 with one text for every reason.
pub async fn log_in(State(app): State<Arc<App>>, Peer(source): Peer, JsonBody(body): JsonBody<LoginBody>) -> Answer {
    let attempt = Attempt::new(&body.role_id, &body.secret_id, &app.pepper);
    drop(body);
    let Granted { token, record, svids, now, .. } =
        grant(&app, &attempt, source, &Namespace::Any, &Beside::nothing()).await?;
    Ok(token::answer(&svids.show(TokenView::new(&record, now).with_token(&token))))
}

/// What a login gives.
pub struct Granted {
    /// The token.
    pub token: Token,
    /// Its record, which is stored.
    pub record: TokenRecord,
    /// What comes with it.
    pub svids: token::Svids,
    /// When.
    pub now: OffsetDateTime,
    /// That the answer waits for somebody else.
    pub kept: Option<Kept>,
}

/// Logs in with what was presented, to the tenant that is asked for if one is.
///
/// # Errors
/// 401 with one text for every reason; 429 after too many failures.
pub async fn grant(
    app: &App,
    attempt: &Attempt,
    source: IpAddr,
    namespace: &Namespace,
    beside: &Beside<'_, Granted>,
) -> Answer<Granted> {
    let login = app.limiter.login(source, attempt.role_key().as_bytes(), attempt.key().as_bytes());
    limits::login(app, source, login, try_grant(app, attempt, source, namespace, beside)).await
}

async fn try_grant(
    app: &App,
    attempt: &Attempt,
    source: IpAddr,
    namespace: &Namespace,
    beside: &Beside<'_, Granted>,
) -> Answer<Granted> {
    for _ in 0..TRIES {
        let now = app.clock.now();
        let record = app.db.load(&layout::secret_id(attempt.key()), SecretIdRecord::decode).await?;
        let role = role_of(app, attempt, record.as_ref()).await?;
        let (found, stored) = (role.as_ref().map(|role| &*role.value), record.as_ref().map(|record| &*record.value));
        let decided = match login(attempt, found, stored, source, now) {
            LoginDecision::Granted(grant) if namespace.admits(&grant.parameters.tenant) => Ok(*grant),
            LoginDecision::Granted(_) => Err("other-namespace"),
            LoginDecision::Refused(reason) => Err(reason.code()),
        };
        let grant = match decided {
            Ok(grant) => grant,
            Err(reason) => {
                let mut actor = Actor::stranger(app, source);
                if let Some(role) = found {
                    actor.tenant = role.tenant().to_string();
                    actor.subject = format!("approle/{}", role.name());
                }
                app.refuse(actor.refused("approle-login", reason, now));
                app.metrics.login("approle", false);
                return Err(ApiError::unauthenticated(LOGIN_REFUSED));
            }
        };
        // Uncounted secret-ids too: once one is destroyed, no login with it succeeds any more.
        let mut guards: Vec<Guard> = role.iter().map(Stored::guard).chain(record.iter().map(Stored::guard)).collect();
        let mut writes = Vec::new();
        if let (RecordChange::Update(changed), Some(stored)) = (&grant.record, &record) {
            writes.extend(put_secret_id(app, stored.key.clone(), changed)?);
        }
        let tenant = grant.parameters.tenant.clone();
        let Some(living) = app.living(&tenant).await? else {
            app.refuse(Actor::stranger(app, source).refused("approle-login", "tenant-removed", now));
            app.metrics.login("approle", false);
            return Err(ApiError::unauthenticated(LOGIN_REFUSED));
        };
        guards.extend(living);
        let (token, issued) = TokenRecord::issue(grant.parameters, &app.limits, &app.pepper, &mut random::rng(), now);
        writes.extend(token::store(app, &issued)?);
        let actor = Actor {
            tenant: tenant.to_string(),
            subject: issued.subject().to_string(),
            spiffe_id: None,
            source: Some(source),
        };
        let mut audit = actor.did("approle-login", now).with("accessor", issued.accessor().to_string());
        if let Some(accessor) = grant.secret_id {
            audit = audit.with("secret-id-accessor", accessor.to_string());
        }
        let svids = token::Svids::issue(app, &issued, &mut guards, &mut writes, &mut audit, now).await?;
        let mut granted = Granted { token, record: issued, svids, now, kept: None };
        granted.kept = beside.keep(app, &tenant, &granted, (&mut writes, &mut audit), now)?;
        if let Commit::Done(_) = app.commit(guards, writes, audit).await? {
            app.metrics.login("approle", true);
            return Ok(granted);
        }
    }
    Err(ApiError::unavailable("too many logins with this secret-id at once; try again"))
}

/// What stores a secret-id, and removes it once it is known when: by its time, or a day after its last use.
///
/// # Errors
/// It cannot be written.
pub fn put_secret_id(app: &App, place: String, record: &SecretIdRecord) -> Answer<Vec<Write>> {
    let bytes = record.encode().map_err(ApiError::internal)?;
    match record.remove_at() {
        Some(end) => Ok(app.put_until(place, &bytes, end)?.into()),
        None => Ok(vec![app.db.put(place, &bytes)?]),
    }
}

/// The role that a login is for: the one that the secret-id was made for, else the only one that has the role-id.
async fn role_of(
    app: &App,
    attempt: &Attempt,
    record: Option<&Stored<Arc<SecretIdRecord>>>,
) -> Result<Option<Stored<Arc<Role>>>, DbError> {
    let place = match record {
        Some(record) => Some(layout::role(record.value.tenant(), record.value.role().as_str())),
        None => {
            let index = layout::role_id(attempt.role_key());
            let mut entries = app.db.store().range(&format!("{index}/"), None, 2, None).await?;
            // Where several tenants chose one role-id, it is nobody's: none of them gets, or hears of, a login that is meant for another.
            let entry = if entries.len() == 1 { entries.pop() } else { None };
            entry.and_then(|entry| {
                let (tenant, role) = entry.key.strip_prefix(&index)?.strip_prefix('/')?.split_once('/')?;
                Some(layout::role(&tenant.parse().ok()?, role))
            })
        }
    };
    match place {
        Some(place) => app.db.load(&place, Role::decode).await,
        None => Ok(None),
    }
}

/// The role that a path names.
///
/// # Errors
/// 404.
pub async fn named(app: &App, caller: &Caller, name: &str) -> Answer<Stored<Arc<Role>>> {
    let missing = || ApiError::not_found(format_args!("the AppRole `{name}`"));
    let name: Name = name.parse().map_err(|_| missing())?;
    app.db.load(&layout::role(caller.tenant(), name.as_str()), Role::decode).await?.ok_or_else(missing)
}

/// `GET /v1/state/strongbox/authentication/approles/<name>`.
///
/// # Errors
/// 404.
pub async fn state(State(app): State<Arc<App>>, caller: Caller, Path(name): Path<String>) -> Answer {
    let role = named(&app, &caller, &name).await?;
    // With `weak-secret-id` the role-id is the secret.
    Ok(token::answer(&role.value.state(&app.limits)))
}

/// `POST …/<name>/generate-secret-id`. Without a body the role decides everything.
///
/// # Errors
/// 404; 400 for what is wider than the role; 409 for a supplied secret that exists.
pub async fn generate_secret_id(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<Option<SecretIdRequest>>,
) -> Answer {
    let (MadeSecretId { secret, record }, _) =
        make_secret_id(&app, &caller, &name, body.unwrap_or_default(), &Beside::nothing()).await?;
    Ok(token::answer(&SecretIdIssued::new(&secret, &record)))
}

/// A new secret-id.
pub struct MadeSecretId {
    /// To be handed over.
    pub secret: SecretId,
    /// Its record, which is stored.
    pub record: SecretIdRecord,
}

/// Makes a secret-id for the role that is named, and stores it.
///
/// # Errors
/// Those of [`generate_secret_id`].
pub async fn make_secret_id(
    app: &App,
    caller: &Caller,
    name: &str,
    request: SecretIdRequest,
    beside: &Beside<'_, MadeSecretId>,
) -> Answer<(MadeSecretId, Option<Kept>)> {
    let role = named(app, caller, name).await?;
    let now = app.clock.now();
    let (secret, record) = SecretIdRecord::issue(&role.value, request, &app.pepper, &mut random::rng(), now)
        .map_err(|error| ApiError::invalid(error.to_string()))?;
    let place = layout::secret_id(record.key());
    let accessor = record.accessor();
    let index = layout::secret_id_accessor(caller.tenant(), name, accessor);
    let mut writes = vec![app.db.put(index, record.key().to_string().as_bytes())?];
    writes.extend(put_secret_id(app, place.clone(), &record)?);
    let mut audit = caller
        .actor()
        .did("generate-secret-id", now)
        .with("approle", name)
        .with("secret-id-accessor", accessor.to_string());
    let made = MadeSecretId { secret, record };
    let kept = beside.keep(app, caller.tenant(), &made, (&mut writes, &mut audit), now)?;
    match app.commit(vec![role.guard(), Guard::Absent(place)], writes, audit).await? {
        Commit::Done(_) => Ok((made, kept)),
        Commit::Conflict => {
            Err(ApiError::conflict("the AppRole was changed meanwhile, or this secret-id exists already"))
        }
    }
}

/// Names one secret-id.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AccessorBody {
    accessor: Accessor,
}

/// `POST …/<name>/lookup-secret-id {accessor}`.
///
/// # Errors
/// 404.
pub async fn lookup_secret_id(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<AccessorBody>,
) -> Answer {
    let record = by_accessor(&app, &caller, &name, body.accessor).await?;
    Ok(Json(record.value.state()).into_response())
}

/// `POST …/<name>/destroy-secret-id {accessor}`.
///
/// # Errors
/// 404.
pub async fn destroy_secret_id(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<AccessorBody>,
) -> Answer {
    let record = by_accessor(&app, &caller, &name, body.accessor).await?;
    destroy(&app, &caller, &record).await?;
    Ok(Json(json!({})).into_response())
}

/// Destroys a secret-id of the caller's tenant.
///
/// # Errors
/// Those of the store.
pub async fn destroy(app: &App, caller: &Caller, record: &Stored<Arc<SecretIdRecord>>) -> Answer<()> {
    let (role, accessor) = (record.value.role().as_str(), record.value.accessor());
    let audit = caller
        .actor()
        .did("destroy-secret-id", app.clock.now())
        .with("approle", role)
        .with("secret-id-accessor", accessor.to_string());
    // Unguarded: whatever the record is by now, it goes.
    let index = layout::secret_id_accessor(caller.tenant(), role, accessor);
    let writes = vec![Write::Delete(record.key.clone()), Write::Delete(index)];
    match app.commit(Vec::new(), writes, audit).await? {
        Commit::Done(_) => Ok(()),
        Commit::Conflict => Err(ApiError::internal("a commit without guards had a conflict")),
    }
}

/// A secret-id of a role by its accessor.
///
/// # Errors
/// 404.
pub async fn by_accessor(
    app: &App,
    caller: &Caller,
    name: &str,
    accessor: Accessor,
) -> Answer<Stored<Arc<SecretIdRecord>>> {
    let role = named(app, caller, name).await?;
    let missing = || ApiError::not_found(format_args!("the secret-id with this accessor in `{name}`"));
    let index = layout::secret_id_accessor(caller.tenant(), name, accessor);
    let key = app.db.get(&index).await?.ok_or_else(missing)?;
    let key = std::str::from_utf8(&key.value).map_err(ApiError::internal)?.to_owned();
    let record = app.db.load(&format!("secret-id/{key}"), SecretIdRecord::decode).await?;
    // One of an earlier role of the name is nobody's.
    record.filter(|record| record.value.belongs_to(&role.value)).ok_or_else(missing)
}
