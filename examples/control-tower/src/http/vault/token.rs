//! `/v1/auth/token`: the caller's token, those made from it, and those of others.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use keyward_approle::{Accessor, Authenticated, ChildRequest, Reason, Subject, TokenRecord, TokenType};
use keyward_config_values::{Duration, Name};
use serde::Deserialize;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use zeroize::Zeroizing;

use super::{
    super::{
        body::JsonBody,
        caller::Caller,
        error::{Answer, ApiError},
        lineage::Lineage,
        made,
    },
    answer, fields,
};
use crate::app::App;

/// What is asked of a new token. What it has no use for is read over, as these clients send much.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct CreateBody {
    #[serde(deserialize_with = "fields::some_list")]
    policies: Option<Vec<Name>>,
    no_parent: bool,
    no_default_policy: bool,
    renewable: Option<bool>,
    #[serde(deserialize_with = "fields::ttl")]
    ttl: Option<Duration>,
    #[serde(deserialize_with = "fields::ttl")]
    lease: Option<Duration>,
    #[serde(deserialize_with = "fields::ttl")]
    period: Option<Duration>,
    #[serde(deserialize_with = "fields::ttl")]
    explicit_max_ttl: Option<Duration>,
    num_uses: u32,
    #[serde(rename = "type")]
    kind: Option<TokenType>,
}

impl CreateBody {
    fn request(self) -> ChildRequest {
        let mut request = ChildRequest::default();
        request.policies = self.policies;
        request.no_default_policy = self.no_default_policy;
        request.renewable = self.renewable;
        request.ttl = self.ttl.or(self.lease);
        request.period = self.period;
        request.explicit_max_ttl = self.explicit_max_ttl;
        request.num_uses = self.num_uses;
        request.kind = self.kind.unwrap_or_default();
        request
    }
}

/// `POST /v1/auth/token/create`. With `no_parent` whoever asks must be allowed [`made::CREATE_ORPHAN`] as well.
///
/// # Errors
/// 400 for what the caller's token has not.
pub async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(body): JsonBody<Option<CreateBody>>,
) -> Answer {
    let body = body.unwrap_or_default();
    let orphan = body.no_parent;
    make(&app, &caller, body, orphan).await
}

/// `POST /v1/auth/token/create-orphan`, for those alone who are allowed [`made::CREATE_ORPHAN`] as well.
///
/// # Errors
/// As [`create`].
pub async fn create_orphan(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(body): JsonBody<Option<CreateBody>>,
) -> Answer {
    make(&app, &caller, body.unwrap_or_default(), true).await
}

async fn make(app: &App, caller: &Caller, body: CreateBody, orphan: bool) -> Answer {
    let (token, record) = made::make(app, caller, &body.request(), orphan).await?;
    Ok(answer::auth(auth(Some(token.expose()), &record, record.creation_time())))
}

/// What a login, a renewal and a creation answer.
pub(super) fn auth(token: Option<&str>, record: &TokenRecord, now: OffsetDateTime) -> Value {
    json!({
        "client_token": token.unwrap_or_default(),
        "accessor": accessor(record),
        "policies": record.policies(),
        "token_policies": record.policies(),
        "metadata": metadata(record),
        "lease_duration": seconds_left(record, now),
        "renewable": record.is_renewable(),
        "entity_id": "",
        "token_type": record.kind(),
        "orphan": record.is_orphan(),
        "mfa_requirement": null,
        "num_uses": record.uses_left().unwrap_or(0),
    })
}

/// Batch tokens have none there, because nothing can be found by it.
fn accessor(record: &TokenRecord) -> String {
    match record.kind() {
        TokenType::Batch => String::new(),
        _ => record.accessor().to_string(),
    }
}

fn metadata(record: &TokenRecord) -> Value {
    match record.subject() {
        Subject::Approle { name, .. } if !record.is_made() => json!({ "role_name": name }),
        _ => Value::Null,
    }
}

fn seconds_left(record: &TokenRecord, now: OffsetDateTime) -> i64 {
    (record.expires() - now).whole_seconds().max(0)
}

fn looked_up(token: &str, record: &TokenRecord, now: OffsetDateTime) -> Answer {
    let text = |moment: OffsetDateTime| moment.format(&Rfc3339).map_err(ApiError::internal);
    let (path, display_name) = match record.subject() {
        _ if record.is_made() => ("auth/token/create".to_owned(), "token".to_owned()),
        Subject::Approle { .. } => ("auth/approle/login".to_owned(), "approle".to_owned()),
        subject => (format!("auth/{subject}"), subject.to_string()),
    };
    let explicit = record.explicit_end().map_or(0, |end| (end - record.creation_time()).whole_seconds());
    let mut data = json!({
        "id": token,
        "accessor": accessor(record),
        "policies": record.policies(),
        "path": path,
        "meta": metadata(record),
        "display_name": display_name,
        "num_uses": record.uses_left().unwrap_or(0),
        "orphan": record.is_orphan(),
        "creation_time": record.creation_time().unix_timestamp(),
        "creation_ttl": (record.expires() - record.renewal_time()).whole_seconds(),
        "issue_time": text(record.creation_time())?,
        "expire_time": text(record.expires())?,
        "ttl": seconds_left(record, now),
        "explicit_max_ttl": explicit,
        "renewable": record.is_renewable(),
        "entity_id": "",
        "type": record.kind(),
    });
    if let Some(fields) = data.as_object_mut() {
        if let Some(period) = record.period() {
            fields.insert("period".to_owned(), period.as_secs().into());
        }
        if record.renewal_time() > record.creation_time() {
            fields.insert("last_renewal".to_owned(), text(record.renewal_time())?.into());
            fields.insert("last_renewal_time".to_owned(), record.renewal_time().unix_timestamp().into());
        }
        let cidrs: Vec<String> = record.bound_cidrs().iter().map(ToString::to_string).collect();
        if !cidrs.is_empty() {
            fields.insert("bound_cidrs".to_owned(), cidrs.into());
        }
    }
    Ok(answer::data(data))
}

/// `GET /v1/auth/token/lookup-self`.
///
/// # Errors
/// None beyond the token's own.
pub async fn lookup_self(State(app): State<Arc<App>>, caller: Caller) -> Answer {
    looked_up(&caller.presented, caller.token.record(), app.clock.now())
}

/// Names a token by itself.
#[derive(Deserialize)]
pub struct TokenBody {
    token: Zeroizing<String>,
    #[serde(default, deserialize_with = "fields::ttl")]
    increment: Option<Duration>,
}

/// Names a token by its accessor.
#[derive(Deserialize)]
pub struct AccessorBody {
    accessor: String,
    #[serde(default, deserialize_with = "fields::ttl")]
    increment: Option<Duration>,
}

impl AccessorBody {
    fn accessor(&self) -> Answer<Accessor> {
        self.accessor.parse().map_err(|_| invalid_accessor())
    }
}

/// What may be asked of a renewal.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct RenewBody {
    #[serde(deserialize_with = "fields::ttl")]
    increment: Option<Duration>,
}

fn invalid_accessor() -> ApiError {
    ApiError::invalid("invalid accessor")
}

fn bad_token() -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, "bad token")
}

/// A token of the caller's tenant by itself; no use of it is taken off. One of another tenant is none.
async fn presented(app: &App, caller: &Caller, token: &str, now: OffsetDateTime) -> Answer<Authenticated> {
    let lineage = Lineage::presented(app, token, &app.pepper.token_key(token)).await?;
    let found = lineage.found(now).map_err(|_| bad_token())?;
    if found.tenant() == caller.tenant() { Ok(found) } else { Err(bad_token()) }
}

/// `POST /v1/auth/token/lookup`.
///
/// # Errors
/// 403 `bad token`.
pub async fn lookup(State(app): State<Arc<App>>, caller: Caller, JsonBody(body): JsonBody<TokenBody>) -> Answer {
    let now = app.clock.now();
    let found = presented(&app, &caller, &body.token, now).await?;
    looked_up(&body.token, found.record(), now)
}

/// `POST /v1/auth/token/lookup-accessor`.
///
/// # Errors
/// 400 `invalid accessor`.
pub async fn lookup_accessor(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(body): JsonBody<AccessorBody>,
) -> Answer {
    let now = app.clock.now();
    let lineage = Lineage::by_accessor(&app, caller.tenant(), body.accessor()?).await?;
    let found = lineage.found(now).map_err(|_: Reason| invalid_accessor())?;
    looked_up("", found.record(), now)
}

/// `POST /v1/auth/token/renew-self`.
///
/// # Errors
/// 400 when it cannot be renewed.
pub async fn renew_self(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(body): JsonBody<Option<RenewBody>>,
) -> Answer {
    let increment = body.unwrap_or_default().increment;
    let record = caller.token.record();
    renewable(record)?;
    let (record, now) = made::refresh(&app, &caller, record.accessor(), increment).await?;
    Ok(answer::auth(auth(Some(&caller.presented), &record, now)))
}

/// `POST /v1/auth/token/renew`.
///
/// # Errors
/// 403 `bad token`; 400 when it cannot be renewed.
pub async fn renew(State(app): State<Arc<App>>, caller: Caller, JsonBody(body): JsonBody<TokenBody>) -> Answer {
    let found = presented(&app, &caller, &body.token, app.clock.now()).await?;
    renewable(found.record())?;
    let (record, now) = made::refresh(&app, &caller, found.record().accessor(), body.increment).await?;
    Ok(answer::auth(auth(Some(&body.token), &record, now)))
}

/// `POST /v1/auth/token/renew-accessor`.
///
/// # Errors
/// 400.
pub async fn renew_accessor(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(body): JsonBody<AccessorBody>,
) -> Answer {
    let refreshed = made::refresh(&app, &caller, body.accessor()?, body.increment).await;
    let (record, now) = refreshed.map_err(no_such)?;
    Ok(answer::auth(auth(None, &record, now)))
}

/// `POST /v1/auth/token/revoke-self`: ends the caller's token and all that were made from it.
///
/// # Errors
/// 400 for a batch token.
pub async fn revoke_self(State(app): State<Arc<App>>, caller: Caller) -> Answer {
    revocable(caller.token.record())?;
    // Its last use may have been this one, and another revocation may have been first: both leave what is wanted.
    match made::revoke(&app, &caller, caller.token.record().accessor()).await {
        Err(error) if error.status() != StatusCode::NOT_FOUND => Err(error),
        _ => Ok(answer::nothing()),
    }
}

/// `POST /v1/auth/token/revoke`. What is no token is as good as revoked.
///
/// # Errors
/// 400 for a batch token.
pub async fn revoke(State(app): State<Arc<App>>, caller: Caller, JsonBody(body): JsonBody<TokenBody>) -> Answer {
    if let Ok(found) = presented(&app, &caller, &body.token, app.clock.now()).await {
        revocable(found.record())?;
        made::revoke(&app, &caller, found.record().accessor()).await?;
    }
    Ok(answer::nothing())
}

/// `POST /v1/auth/token/revoke-accessor`.
///
/// # Errors
/// 400 `invalid accessor`.
pub async fn revoke_accessor(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(body): JsonBody<AccessorBody>,
) -> Answer {
    made::revoke(&app, &caller, body.accessor()?).await.map_err(no_such)?;
    Ok(answer::nothing())
}

fn no_such(error: ApiError) -> ApiError {
    if error.status() == StatusCode::NOT_FOUND { invalid_accessor() } else { error }
}

fn renewable(record: &TokenRecord) -> Answer<()> {
    match record.kind() {
        TokenType::Batch => Err(ApiError::invalid("batch tokens cannot be renewed")),
        _ => Ok(()),
    }
}

fn revocable(record: &TokenRecord) -> Answer<()> {
    match record.kind() {
        TokenType::Batch => Err(ApiError::invalid("batch tokens cannot be revoked")),
        _ => Ok(()),
    }
}
