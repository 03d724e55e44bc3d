//! Response wrapping: an answer stands aside, and one request with its token takes it. `/v1/sys/wrapping`.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use keyward_approle::Wrapped;
use keyward_config_values::Duration;
use serde::Deserialize;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use zeroize::Zeroizing;

use super::{
    super::{
        body::JsonBody,
        caller::{self, Caller},
        error::{Answer, ApiError},
        peer::Peer,
    },
    answer, fields,
};
use crate::{
    app::{Actor, App, Commit},
    db::{DbError, Stored},
    layout, random,
    store::Write,
};

/// The header that asks for it, with how long the answer waits.
pub(super) const HEADER: &str = "x-vault-wrap-ttl";

/// How long it waits where no time is asked for.
const DEFAULT: Duration = Duration::HOUR;

/// Whether the answers of a path can be wrapped.
pub(super) fn is_for(path: &str) -> bool {
    path == "/v1/sys/wrapping/wrap" || path.ends_with("/secret-id") || path.ends_with("/custom-secret-id")
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

/// The answer, or, where the request asks for that, what it waits under.
///
/// # Errors
/// 400 for a time that is none; those of the store.
pub(super) async fn data(app: &App, caller: &Caller, headers: &HeaderMap, path: &str, data: Value) -> Answer {
    match ttl(headers)? {
        Some(ttl) => wrapped(app, caller, path, data, ttl).await,
        None => Ok(answer::data(data)),
    }
}

async fn wrapped(app: &App, caller: &Caller, path: &str, data: Value, ttl: Duration) -> Answer {
    let now = app.clock.now();
    let text = Zeroizing::new(data.to_string());
    let tenant = caller.tenant().clone();
    let (token, record) = Wrapped::wrap(tenant, path, &text, ttl, &app.limits, &app.pepper, &mut random::rng(), now);
    let bytes = record.encode().map_err(ApiError::internal)?;
    let writes = app.put_until(layout::wrapped(record.key()), &bytes, record.expires())?;
    let audit = caller.actor().did("wrap", now).with("accessor", record.accessor().to_string()).with("path", path);
    match app.commit(Vec::new(), writes.into(), audit).await? {
        Commit::Done(_) => Ok(answer::wrap_info(json!({
            "token": token.expose(),
            "accessor": record.accessor(),
            "ttl": (record.expires() - now).whole_seconds(),
            "creation_time": now.format(&Rfc3339).map_err(ApiError::internal)?,
            "creation_path": path.trim_start_matches("/v1/"),
        }))),
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
    JsonBody(body): JsonBody<Value>,
) -> Answer {
    match ttl(&headers)? {
        Some(ttl) => wrapped(&app, &caller, "/v1/sys/wrapping/wrap", body, ttl).await,
        None if headers.contains_key(HEADER) => wrapped(&app, &caller, "/v1/sys/wrapping/wrap", body, DEFAULT).await,
        None => Err(ApiError::invalid("endpoint requires response wrapping to be used")),
    }
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
    let value = Wrapped::decode(&stored.value)
        .map_err(|error| DbError::Damaged { key: stored.key.clone(), reason: error.to_string() })?;
    value.check(&key, now).map_err(|reason| refused(reason.code()))?;
    Ok(Stored { value, key: stored.key, revision: stored.revision })
}

/// `POST /v1/sys/wrapping/unwrap`: takes an answer. Its token is all that is needed, and good once.
///
/// # Errors
/// 400 with one text for every reason.
pub async fn unwrap(
    State(app): State<Arc<App>>,
    Peer(source): Peer,
    headers: HeaderMap,
    JsonBody(body): JsonBody<Option<TokenBody>>,
) -> Answer {
    let stored = found(&app, source, &headers, body.unwrap_or_default()).await?;
    let now = app.clock.now();
    let mut actor = Actor::stranger(&app, source);
    actor.tenant = stored.value.tenant().to_string();
    let audit = actor.did("unwrap", now).with("accessor", stored.value.accessor().to_string());
    match app.commit(vec![stored.guard()], vec![Write::Delete(stored.key.clone())], audit).await? {
        Commit::Done(_) => {
            let data = serde_json::from_str(stored.value.answer()).map_err(ApiError::internal)?;
            Ok(answer::data(data))
        }
        // Somebody else was first.
        Commit::Conflict => Err(invalid()),
    }
}

/// `POST /v1/sys/wrapping/lookup`: what an answer is of, without taking it.
///
/// # Errors
/// As [`unwrap`].
pub async fn lookup(
    State(app): State<Arc<App>>,
    Peer(source): Peer,
    headers: HeaderMap,
    JsonBody(body): JsonBody<Option<TokenBody>>,
) -> Answer<Response> {
    let stored = found(&app, source, &headers, body.unwrap_or_default()).await?;
    let wrapped = &stored.value;
    Ok(answer::data(json!({
        "creation_path": wrapped.creation_path().trim_start_matches("/v1/"),
        "creation_time": wrapped.creation_time().format(&Rfc3339).map_err(ApiError::internal)?,
        "creation_ttl": (wrapped.expires() - wrapped.creation_time()).whole_seconds(),
    })))
}
