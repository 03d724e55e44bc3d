//! `/v1/auth/token`: the caller's token, those made from it, and those of others.

mod lookup;

use std::{collections::BTreeMap, sync::Arc};

use axum::{Extension, extract::State, http::StatusCode};
use keyward_approle::{
    Accessor, Authenticated, ChildRequest, RecordChange, Subject, Token, TokenId, TokenRecord, TokenType, WrappedKind,
};
use keyward_config_values::{Duration, Name};
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{
    super::{
        caller::Caller,
        error::{Answer, ApiError},
        lineage::Lineage,
        listing::{self, VaultPage},
        made,
        params::Query,
        token::Svids,
    },
    answer,
    body::VaultBody,
    fields, wrapping,
};
use crate::{app::App, layout};

pub use lookup::{lookup, lookup_accessor, lookup_self};

/// What is asked of a new token. What it has no use for is read over, as these clients send much.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct CreateBody {
    #[serde(deserialize_with = "fields::some_list")]
    policies: Option<Vec<Name>>,
    #[serde(deserialize_with = "fields::flag")]
    no_parent: bool,
    #[serde(deserialize_with = "fields::flag")]
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
    num_uses: Option<u32>,
    #[serde(rename = "type")]
    kind: Option<TokenType>,
    #[serde(deserialize_with = "fields::text")]
    id: String,
    #[serde(deserialize_with = "fields::texts")]
    meta: BTreeMap<String, String>,
    #[serde(deserialize_with = "fields::text")]
    display_name: String,
    #[serde(deserialize_with = "fields::text")]
    role_name: String,
    #[serde(deserialize_with = "fields::text")]
    entity_alias: String,
}

impl CreateBody {
    fn request(self) -> Answer<ChildRequest> {
        for (field, value) in [("role_name", &self.role_name), ("entity_alias", &self.entity_alias)] {
            if !value.is_empty() {
                return Err(ApiError::invalid(format!(
                    "`{field}` names what there is not here: say it all in the request"
                )));
            }
        }
        // There the shortest holds where several are given.
        let shorter = |one: Option<Duration>, other: Option<Duration>| match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        let end = self.explicit_max_ttl;
        let ttl = self.ttl.or(self.lease);
        let mut request = ChildRequest::default();
        request.policies = self.policies;
        request.no_default_policy = self.no_default_policy;
        request.renewable = self.renewable;
        request.period = self.period.map(|period| end.map_or(period, |end| end.min(period)));
        request.ttl = if self.period.is_some() { None } else { ttl.and(shorter(ttl, end)) };
        request.explicit_max_ttl = self.explicit_max_ttl;
        request.num_uses = self.num_uses.unwrap_or_default();
        request.kind = self.kind.unwrap_or_default();
        request.metadata = self.meta;
        request.display_name = (!self.display_name.is_empty()).then_some(self.display_name);
        if !self.id.is_empty() {
            let id = TokenId::supplied(self.id).map_err(|error| ApiError::invalid(error.to_string()))?;
            request.id = Some(id);
        }
        Ok(request)
    }
}

/// `POST /v1/auth/token/create`. With `no_parent` whoever asks must be allowed [`made::CREATE_ORPHAN`] as well.
///
/// # Errors
/// 400 for what the caller's token has not.
pub async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    Extension(asked): Extension<Option<wrapping::Handover>>,
    VaultBody(body): VaultBody<Option<CreateBody>>,
) -> Answer {
    let body = body.unwrap_or_default();
    let orphan = body.no_parent;
    make(&app, &caller, body, orphan, asked).await
}

/// `POST /v1/auth/token/create-orphan`, for those alone who are allowed [`made::CREATE_ORPHAN`] as well.
///
/// # Errors
/// As [`create`].
pub async fn create_orphan(
    State(app): State<Arc<App>>,
    caller: Caller,
    Extension(asked): Extension<Option<wrapping::Handover>>,
    VaultBody(body): VaultBody<Option<CreateBody>>,
) -> Answer {
    make(&app, &caller, body.unwrap_or_default(), true, asked).await
}

async fn make(app: &App, caller: &Caller, body: CreateBody, orphan: bool, asked: Option<wrapping::Handover>) -> Answer {
    let shape = |(token, record): &(Token, TokenRecord)| auth(Some(token.expose()), record, record.creation_time());
    let beside = wrapping::Beside::asked(asked, WrappedKind::Login, &shape);
    let (token, record, kept) = made::make(app, caller, &body.request()?, orphan, &beside).await?;
    Ok(match kept {
        Some(kept) => kept.answer(),
        None => answer::auth(shape(&(token, record))),
    })
}

/// What a login, a renewal and a creation answer.
pub(super) fn auth(token: Option<&str>, record: &TokenRecord, now: OffsetDateTime) -> Value {
    json!({
        "client_token": token.unwrap_or_default(),
        "accessor": accessor(record),
        "policies": policies(record),
        "token_policies": policies(record),
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

/// In the order of their names, as they are there whatever the order in a role or request.
fn policies(record: &TokenRecord) -> Vec<&Name> {
    let mut policies: Vec<_> = record.policies().iter().collect();
    policies.sort_unstable();
    policies
}

/// With the SVIDs that come with it, which is more than they know of: fields beside the others, that a client which does not look
/// for them reads over.
pub(super) fn with_svids(mut auth: Value, svids: &Svids) -> Value {
    let (jwt, x509) = svids.parts();
    if let Some(fields) = auth.as_object_mut() {
        if let Some(jwt) = jwt {
            fields.insert("jwt_svid".to_owned(), jwt.into());
        }
        if let Some((cert, private_key)) = x509 {
            fields.insert("x509_svid".to_owned(), json!({ "cert": cert, "private_key": private_key }));
        }
    }
    auth
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
        _ if record.is_made() && record.notes().is_empty() => Value::Null,
        _ if record.is_made() => json!(record.notes()),
        Subject::Approle { name, .. } => {
            let mut all = record.metadata().clone();
            all.insert("role_name".to_owned(), name.to_string());
            json!(all)
        }
        _ => Value::Null,
    }
}

fn seconds_left(record: &TokenRecord, now: OffsetDateTime) -> i64 {
    (record.expires() - now).whole_seconds().max(0)
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

/// `POST /v1/auth/token/renew-self`.
///
/// # Errors
/// 400 when it cannot be renewed.
pub async fn renew_self(
    State(app): State<Arc<App>>,
    caller: Caller,
    VaultBody(body): VaultBody<Option<RenewBody>>,
) -> Answer {
    let increment = body.unwrap_or_default().increment;
    let record = caller.token.record();
    renewable(record)?;
    let (record, svids, now) = made::refresh(&app, &caller, record.accessor(), increment, true).await?;
    Ok(answer::auth(with_svids(auth(Some(&caller.presented), &record, now), &svids)))
}

/// `POST /v1/auth/token/renew`. SVIDs come with it for those alone whom the token by itself would give them: where it counts from
/// where they are, and its uses are not counted.
///
/// # Errors
/// 400, also when it cannot be renewed.
pub async fn renew(State(app): State<Arc<App>>, caller: Caller, VaultBody(body): VaultBody<TokenBody>) -> Answer {
    let now = app.clock.now();
    let found = presented(&app, &caller, &body.token, now).await;
    let found = found.map_err(|error| match error.status() {
        StatusCode::FORBIDDEN => ApiError::invalid("token not found"),
        _ => error,
    })?;
    renewable(found.record())?;
    let key = found.record().key();
    let by_itself = Lineage::load(&app, key).await?.check(key, caller.source, now);
    let by_holder = by_itself.is_ok_and(|token| matches!(token.change(), RecordChange::Keep));
    let accessor = found.record().accessor();
    let (record, svids, now) = made::refresh(&app, &caller, accessor, body.increment, by_holder).await?;
    Ok(answer::auth(with_svids(auth(Some(&body.token), &record, now), &svids)))
}

/// `POST /v1/auth/token/renew-accessor`.
///
/// # Errors
/// 400.
pub async fn renew_accessor(
    State(app): State<Arc<App>>,
    caller: Caller,
    VaultBody(body): VaultBody<AccessorBody>,
) -> Answer {
    let refreshed = made::refresh(&app, &caller, body.accessor()?, body.increment, false).await;
    let (record, _, now) = refreshed.map_err(no_such)?;
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

/// `POST /v1/auth/token/revoke`, also of a wrapping token. What is no token is as good as revoked.
///
/// # Errors
/// 400 for a batch token.
pub async fn revoke(State(app): State<Arc<App>>, caller: Caller, VaultBody(body): VaultBody<TokenBody>) -> Answer {
    if body.token.is_empty() {
        return Err(ApiError::invalid("missing token ID"));
    }
    let now = app.clock.now();
    match presented(&app, &caller, &body.token, now).await {
        Ok(found) => {
            revocable(found.record())?;
            made::revoke(&app, &caller, found.record().accessor()).await?;
        }
        Err(error) if error.status() == StatusCode::FORBIDDEN => {
            if let Some(wrapped) = wrapping::by_token(&app, &caller, &body.token, now).await? {
                wrapping::revoke(&app, &caller, &wrapped, now).await?;
            }
        }
        Err(error) => return Err(error),
    }
    Ok(answer::nothing())
}

/// `LIST /v1/auth/token/accessors`. Batch tokens have none.
///
/// # Errors
/// Those of the store.
pub async fn accessors(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(page): Query<VaultPage>,
    _: super::List,
) -> Answer {
    answer::listed(listing::names(&app, &layout::token_accessors(caller.tenant()), page.into()).await?)
}

/// `POST /v1/auth/token/revoke-accessor`.
///
/// # Errors
/// 400 `invalid accessor`.
pub async fn revoke_accessor(
    State(app): State<Arc<App>>,
    caller: Caller,
    VaultBody(body): VaultBody<AccessorBody>,
) -> Answer {
    let accessor = body.accessor()?;
    match made::revoke(&app, &caller, accessor).await {
        Err(error) if error.status() == StatusCode::NOT_FOUND => {
            let now = app.clock.now();
            let wrapped = wrapping::by_accessor(&app, &caller, accessor, now).await?.ok_or_else(invalid_accessor)?;
            wrapping::revoke(&app, &caller, &wrapped, now).await?;
        }
        done => done?,
    }
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
