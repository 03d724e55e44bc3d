//! `/v1/auth/approle`: logins, and the secret-ids of roles.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use keyward_approle::{Accessor, Attempt, SecretId, SecretIdRecord, SecretIdRequest, WrappedKind};
use keyward_config_values::{Cidr, Duration};
use serde::Deserialize;
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use zeroize::Zeroizing;

use super::{
    super::{
        approle::{self, Granted, MadeSecretId},
        caller::Caller,
        error::{Answer, ApiError},
        listing::{self, Page, VaultPage},
        params::{Path, Query},
        peer::Peer,
    },
    List, Namespace, answer,
    body::VaultBody,
    fields, token, wrapping,
};
use crate::{app::App, db::Stored, documents::ROLES, layout};

/// `POST /v1/auth/approle/login`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct LoginBody {
    role_id: Zeroizing<String>,
    secret_id: Zeroizing<String>,
}

/// `POST /v1/auth/approle/login`.
///
/// # Errors
/// 400 with one text for every reason, also where the credential is of another namespace than the one that is named.
pub async fn log_in(
    State(app): State<Arc<App>>,
    Peer(source): Peer,
    headers: HeaderMap,
    VaultBody(body): VaultBody<LoginBody>,
) -> Answer {
    for (field, value) in [("role_id", &body.role_id), ("secret_id", &body.secret_id)] {
        if value.is_empty() {
            return Err(ApiError::invalid(format!("missing {field}")));
        }
    }
    let attempt = Attempt::new(&body.role_id, &body.secret_id, &app.pepper);
    drop(body);
    let shape = |granted: &Granted| {
        let Granted { token, record, svids, now, .. } = granted;
        token::with_svids(token::auth(Some(token.expose()), record, *now), svids)
    };
    let asked = wrapping::Handover::asked(&headers, "/v1/auth/approle/login")?;
    let beside = wrapping::Beside::asked(asked, WrappedKind::Login, &shape);
    let namespace = Namespace::asked(&app, &headers).await?;
    let granted = approle::grant(&app, &attempt, source, &namespace, &beside).await;
    let mut granted = granted.map_err(|error| match error.status() {
        StatusCode::UNAUTHORIZED => ApiError::invalid("invalid role or secret ID"),
        _ => error,
    })?;
    Ok(match granted.kept.take() {
        Some(kept) => kept.answer(),
        None => answer::auth(shape(&granted)),
    })
}

/// `LIST /v1/auth/approle/role`.
///
/// # Errors
/// 404 where there are none.
pub async fn roles(State(app): State<Arc<App>>, caller: Caller, Query(page): Query<VaultPage>, _: List) -> Answer {
    let prefix = format!("{}/", layout::document(caller.tenant(), ROLES));
    answer::listed(listing::names(&app, &prefix, page.into()).await?)
}

/// `GET /v1/auth/approle/role/<name>/role-id`.
///
/// # Errors
/// 404.
pub async fn role_id(State(app): State<Arc<App>>, caller: Caller, Path(name): Path<String>) -> Answer {
    let role = approle::named(&app, &caller, &name).await.map_err(unsaid)?;
    Ok(answer::data(json!({ "role_id": role.value.role_id().as_str() })))
}

/// What is read and not there has no message.
fn unsaid(error: ApiError) -> ApiError {
    if error.status() == StatusCode::NOT_FOUND { answer::missing() } else { error }
}

/// What is asked of a new secret-id.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct SecretIdBody {
    secret_id: Option<Zeroizing<String>>,
    /// JSON in a text, as these clients have it.
    metadata: Option<String>,
    #[serde(deserialize_with = "fields::list")]
    cidr_list: Vec<Cidr>,
    #[serde(deserialize_with = "fields::list")]
    token_bound_cidrs: Vec<Cidr>,
    #[serde(deserialize_with = "fields::ttl")]
    ttl: Option<Duration>,
    num_uses: Option<u32>,
}

impl SecretIdBody {
    fn request(&self) -> Answer<SecretIdRequest> {
        let mut request = SecretIdRequest::default();
        request.ttl = self.ttl;
        request.num_uses = self.num_uses;
        request.bound_cidrs.clone_from(&self.cidr_list);
        request.token_bound_cidrs.clone_from(&self.token_bound_cidrs);
        if let Some(metadata) = self.metadata.as_ref().filter(|metadata| !metadata.is_empty()) {
            let metadata: Result<BTreeMap<String, String>, _> = serde_json::from_str(metadata);
            request.metadata = metadata
                .map_err(|_| ApiError::invalid("`metadata` is not a JSON object of texts, written in a text"))?;
        }
        Ok(request)
    }
}

/// `POST /v1/auth/approle/role/<name>/secret-id`.
///
/// # Errors
/// 400 for what is wider than the role; 404.
pub async fn make_secret_id(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    Extension(asked): Extension<Option<wrapping::Handover>>,
    VaultBody(body): VaultBody<Option<SecretIdBody>>,
) -> Answer {
    make(&app, &caller, &name, body.unwrap_or_default().request()?, asked).await
}

/// `POST /v1/auth/approle/role/<name>/custom-secret-id`.
///
/// # Errors
/// As [`make_secret_id`]; 400 for a secret below 128 bits, or one that exists.
pub async fn make_custom_secret_id(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    Extension(asked): Extension<Option<wrapping::Handover>>,
    VaultBody(body): VaultBody<SecretIdBody>,
) -> Answer {
    let secret_id = body.secret_id.as_ref().ok_or_else(|| ApiError::invalid("missing secret_id"))?;
    let mut request = body.request()?;
    let secret_id = SecretId::supplied(secret_id.to_string());
    request.secret_id = Some(secret_id.map_err(|error| ApiError::invalid(error.to_string()))?);
    make(&app, &caller, &name, request, asked).await
}

async fn make(
    app: &App,
    caller: &Caller,
    name: &str,
    request: SecretIdRequest,
    asked: Option<wrapping::Handover>,
) -> Answer {
    let shape = |MadeSecretId { secret, record }: &MadeSecretId| {
        json!({
            "secret_id": secret.expose(),
            "secret_id_accessor": record.accessor(),
            "secret_id_ttl": life(record),
            "secret_id_num_uses": record.uses_left().unwrap_or(0),
        })
    };
    let beside = wrapping::Beside::asked(asked, WrappedKind::Data, &shape);
    let (made, kept) = approle::make_secret_id(app, caller, name, request, &beside).await?;
    Ok(match kept {
        Some(kept) => kept.answer(),
        None => answer::data(shape(&made)),
    })
}

fn life(record: &SecretIdRecord) -> i64 {
    record.expires().map_or(0, |end| (end - record.creation_time()).whole_seconds())
}

/// `LIST /v1/auth/approle/role/<name>/secret-id`: accessors in their order, at most a thousand at a time.
///
/// # Errors
/// 404 where there are none.
pub async fn accessors(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    Query(page): Query<VaultPage>,
    _: List,
) -> Answer {
    let role = approle::named(&app, &caller, &name).await.map_err(unsaid)?;
    let prefix = layout::secret_id_accessors(caller.tenant(), role.value.name().as_str());
    let mut page = Page::from(page);
    loop {
        let mut listed = listing::names(&app, &prefix, page.clone()).await?;
        // Some have ended, or were of an earlier role of the name.
        let mut there = Vec::with_capacity(listed.names.len());
        for name in std::mem::take(&mut listed.names) {
            let Ok(accessor) = name.parse() else { continue };
            match approle::by_accessor(&app, &caller, role.value.name().as_str(), accessor).await {
                Ok(record) if is_over(&record.value, app.clock.now()) => {}
                Ok(_) => there.push(name),
                Err(error) if error.status() == StatusCode::NOT_FOUND => {}
                Err(error) => return Err(error),
            }
        }
        match &listed.next {
            // A page without any would look like the end.
            Some(last) if there.is_empty() => page = page.behind(last),
            _ => {
                listed.names = there;
                return answer::listed(listed);
            }
        }
    }
}

/// Names a secret-id by itself.
#[derive(Deserialize)]
pub struct OneBody {
    secret_id: Zeroizing<String>,
}

/// Names a secret-id by its accessor.
#[derive(Deserialize)]
pub struct AccessorBody {
    secret_id_accessor: String,
}

/// A secret-id by itself, which only the role's own can be.
async fn found(app: &App, caller: &Caller, name: &str, secret_id: &str) -> Answer<Option<Stored<Arc<SecretIdRecord>>>> {
    let role = approle::named(app, caller, name).await.map_err(unsaid)?;
    let attempt = Attempt::new(role.value.role_id().as_str(), secret_id, &app.pepper);
    let record = app.db.load(&layout::secret_id(attempt.key()), SecretIdRecord::decode).await?;
    let now = app.clock.now();
    Ok(record.filter(|record| record.value.belongs_to(&role.value) && !is_over(&record.value, now)))
}

/// What has expired, or has no use left (a number that means any number of them there), is not there for these clients.
fn is_over(record: &SecretIdRecord, now: OffsetDateTime) -> bool {
    record.uses_left() == Some(0) || record.expires().is_some_and(|end| now >= end)
}

async fn found_by_accessor(
    app: &App,
    caller: &Caller,
    name: &str,
    body: &AccessorBody,
) -> Answer<Stored<Arc<SecretIdRecord>>> {
    let missing = || ApiError::not_found("a secret-id with this accessor");
    let accessor: Accessor = body.secret_id_accessor.parse().map_err(|_| missing())?;
    let record = approle::by_accessor(app, caller, name, accessor).await.map_err(|error| match error.status() {
        StatusCode::NOT_FOUND => missing(),
        _ => error,
    })?;
    if is_over(&record.value, app.clock.now()) { Err(missing()) } else { Ok(record) }
}

fn properties(record: &SecretIdRecord) -> Answer {
    let text = |moment: OffsetDateTime| moment.format(&Rfc3339).map_err(ApiError::internal);
    let created = text(record.creation_time())?;
    let texts = |ranges: &[Cidr]| ranges.iter().map(ToString::to_string).collect::<Vec<_>>();
    Ok(answer::data(json!({
        "cidr_list": texts(record.bound_cidrs()),
        "creation_time": created,
        "expiration_time": record.expires().map_or_else(|| Ok(answer::NEVER.to_owned()), text)?,
        "last_updated_time": created,
        "metadata": record.metadata(),
        "secret_id_accessor": record.accessor(),
        "secret_id_num_uses": record.uses_left().unwrap_or(0),
        "secret_id_ttl": life(record),
        "token_bound_cidrs": texts(record.token_bound_cidrs()),
    })))
}

/// `POST /v1/auth/approle/role/<name>/secret-id/lookup`: 204 for what is no secret-id of the role.
///
/// # Errors
/// 404 for the role.
pub async fn lookup(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    VaultBody(body): VaultBody<OneBody>,
) -> Answer {
    match found(&app, &caller, &name, &body.secret_id).await? {
        Some(record) => properties(&record.value),
        None => Ok(answer::nothing()),
    }
}

/// `POST /v1/auth/approle/role/<name>/secret-id/destroy`: done too where there is no such secret-id of the role.
///
/// # Errors
/// 404 for the role.
pub async fn destroy(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    VaultBody(body): VaultBody<OneBody>,
) -> Answer {
    if let Some(record) = found(&app, &caller, &name, &body.secret_id).await? {
        approle::destroy(&app, &caller, &record).await?;
    }
    Ok(answer::nothing())
}

/// `POST /v1/auth/approle/role/<name>/secret-id-accessor/lookup`.
///
/// # Errors
/// 404.
pub async fn lookup_accessor(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    VaultBody(body): VaultBody<AccessorBody>,
) -> Answer {
    properties(&found_by_accessor(&app, &caller, &name, &body).await?.value)
}

/// `POST /v1/auth/approle/role/<name>/secret-id-accessor/destroy`.
///
/// # Errors
/// 404.
pub async fn destroy_accessor(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    VaultBody(body): VaultBody<AccessorBody>,
) -> Answer {
    let record = found_by_accessor(&app, &caller, &name, &body).await?;
    approle::destroy(&app, &caller, &record).await?;
    Ok(answer::nothing())
}
