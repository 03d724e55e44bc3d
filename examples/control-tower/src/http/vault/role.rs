//! `/v1/auth/approle/role/<name>`: AppRoles themselves, whole and field by field. A role is a document of the configuration,
//! whichever surface made it.

use std::{slice, sync::Arc};

use axum::{
    extract::State,
    http::{Method, StatusCode},
    response::IntoResponse as _,
};
use keyward_approle::{AutoBound, Operation as Permission, RoleConfig, RoleId, TokenType};
use keyward_config_tree::{Bulk, Item, Operation, Path as DocumentPath, Revision};
use keyward_config_values::{Cidr, Duration, Name};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::OwnedMutexGuard;

use super::{
    super::{
        caller::Caller,
        error::{Answer, ApiError},
        params::Path,
    },
    answer,
    body::{VaultBody, read},
    fields,
};
use crate::{
    app::App,
    changes::{self, Condition, Precondition},
    documents::ROLES,
    layout,
};

/// How often a change is made again because the role was changed meanwhile.
const TRIES: usize = 16;

/// What is to be changed of a role. Fields that are not known are read over, as there; what has another name today has both.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Fields {
    bind_secret_id: Option<bool>,
    local_secret_ids: Option<bool>,
    role_id: Option<String>,
    #[serde(alias = "bound_cidr_list", deserialize_with = "fields::any_list")]
    secret_id_bound_cidrs: Option<Vec<Cidr>>,
    secret_id_num_uses: Option<u32>,
    #[serde(deserialize_with = "fields::some_ttl")]
    secret_id_ttl: Option<Option<Duration>>,
    #[serde(deserialize_with = "fields::any_list")]
    token_bound_cidrs: Option<Vec<Cidr>>,
    #[serde(deserialize_with = "fields::some_ttl")]
    token_explicit_max_ttl: Option<Option<Duration>>,
    #[serde(deserialize_with = "fields::some_ttl")]
    token_max_ttl: Option<Option<Duration>>,
    token_no_default_policy: Option<bool>,
    token_num_uses: Option<u32>,
    #[serde(deserialize_with = "fields::some_ttl")]
    token_period: Option<Option<Duration>>,
    #[serde(deserialize_with = "fields::some_ttl")]
    period: Option<Option<Duration>>,
    #[serde(deserialize_with = "fields::any_list")]
    token_policies: Option<Vec<Name>>,
    #[serde(deserialize_with = "fields::any_list")]
    policies: Option<Vec<Name>>,
    token_strictly_bind_ip: Option<bool>,
    #[serde(deserialize_with = "fields::some_ttl")]
    token_ttl: Option<Option<Duration>>,
    token_type: Option<String>,
}

/// The types that they have: a role that names none leaves it to where it is mounted, and there that is `service`.
fn token_type(text: &str) -> Answer<Option<TokenType>> {
    match text {
        "" | "default" => Ok(None),
        "service" | "default-service" => Ok(Some(TokenType::Service)),
        "batch" | "default-batch" => Ok(Some(TokenType::Batch)),
        _ => Err(ApiError::invalid("invalid `token_type`: it is `default`, `service` or `batch`")),
    }
}

impl Fields {
    fn apply(self, role: &mut RoleConfig) -> Answer<()> {
        if self.bind_secret_id == Some(false) {
            return Err(ApiError::invalid(
                "`bind_secret_id` is always true here: a login needs a secret; `weak-secret-id` lets one value be both",
            ));
        }
        if self.local_secret_ids == Some(true) {
            return Err(ApiError::invalid("`local_secret_ids` is always false here: there are no other clusters"));
        }
        if let Some(role_id) = self.role_id {
            role.fixed_role_id = Some(role_id_of(role_id)?);
        }
        if let Some(text) = self.token_type {
            role.token_type = token_type(&text)?;
        }
        if let Some(bind) = self.token_strictly_bind_ip {
            role.token_auto_bound_cidrs = bind.then_some(AutoBound::Host);
        }
        let set = |target: &mut Option<Duration>, value: Option<Option<Duration>>| {
            if let Some(value) = value {
                *target = value;
            }
        };
        set(&mut role.secret_id_ttl, self.secret_id_ttl);
        set(&mut role.token_ttl, self.token_ttl);
        set(&mut role.token_max_ttl, self.token_max_ttl);
        set(&mut role.token_explicit_max_ttl, self.token_explicit_max_ttl);
        set(&mut role.token_period, self.token_period.or(self.period));
        for (target, value) in [
            (&mut role.secret_id_bound_cidrs, self.secret_id_bound_cidrs),
            (&mut role.token_bound_cidrs, self.token_bound_cidrs),
        ] {
            if let Some(value) = value {
                *target = value;
            }
        }
        role.secret_id_num_uses = self.secret_id_num_uses.unwrap_or(role.secret_id_num_uses);
        role.token_num_uses = self.token_num_uses.unwrap_or(role.token_num_uses);
        role.token_no_default_policy = self.token_no_default_policy.unwrap_or(role.token_no_default_policy);
        if let Some(policies) = self.token_policies.or(self.policies) {
            role.token_policies = policies;
        }
        Ok(())
    }
}

fn role_id_of(text: String) -> Answer<RoleId> {
    if text.is_empty() {
        return Err(ApiError::invalid("missing role_id"));
    }
    text.try_into().map_err(|error: keyward_approle::Error| ApiError::invalid(error.to_string()))
}

fn document_path(name: &str) -> Answer<DocumentPath> {
    let name: Name = name.parse().map_err(|_| {
        ApiError::invalid("the name of a role has lower-case letters, digits and `-` between them, and nothing else")
    })?;
    format!("{ROLES}/{name}")
        .parse()
        .map_err(|error: keyward_config_tree::PathError| ApiError::invalid(error.to_string()))
}

/// A role as it is configured, with its revision.
struct Configured {
    config: RoleConfig,
    revision: Option<u64>,
}

async fn configured(app: &App, caller: &Caller, path: &DocumentPath) -> Answer<Configured> {
    match app.db.get(&layout::document(caller.tenant(), path.as_str())).await? {
        Some(stored) => {
            let config = serde_json::from_slice(&stored.value).map_err(ApiError::internal)?;
            Ok(Configured { config, revision: Some(stored.revision) })
        }
        None => {
            let name = path.name().parse().map_err(ApiError::internal)?;
            Ok(Configured { config: RoleConfig::new(name), revision: None })
        }
    }
}

/// Waits until nobody else looks at a role to change it.
async fn turn(app: &App, caller: &Caller, path: &DocumentPath) -> OwnedMutexGuard<()> {
    app.turns.take(layout::document(caller.tenant(), path.as_str())).await
}

/// Makes what is not there, or changes what is, at one's [`turn`], and again where it was changed elsewhere meanwhile.
async fn change(
    app: &App,
    caller: &Caller,
    path: DocumentPath,
    is_new: bool,
    edit: impl Fn(&mut RoleConfig) -> Answer<()>,
) -> Answer<()> {
    // Before anything is said of it.
    super::sees_all(app, caller, &path).await?;
    for _ in 0..TRIES {
        let Configured { mut config, revision } = configured(app, caller, &path).await?;
        let condition = match revision {
            // Who may make one may not therefore change one.
            Some(_) if is_new => {
                return Err(ApiError::conflict("the role was made meanwhile; look before you change it"));
            }
            Some(revision) => {
                let tag = Revision::new(revision).to_string();
                Condition::Match(tag.parse().map_err(ApiError::internal)?)
            }
            None if is_new => Condition::Absent,
            None => return Err(ApiError::not_found(format_args!("the AppRole `{}`", path.name()))),
        };
        edit(&mut config)?;
        let document = serde_json::to_vec(&config).map_err(ApiError::internal)?;
        let item = Item::from_json(path.clone(), Operation::Replace, &document)?;
        let key = layout::document(caller.tenant(), path.as_str());
        let precondition = Precondition { key, condition };
        match changes::apply_as_asked_if(app, caller, &Bulk::from(item), precondition).await {
            Err(error) if error.status() == StatusCode::PRECONDITION_FAILED => {}
            result => return result.map(drop),
        }
    }
    Err(ApiError::unavailable("the role is being changed by others all the time; try again"))
}

/// `POST /v1/auth/approle/role/<name>`: makes a role, or changes those of its fields that are given.
///
/// # Errors
/// 400 for what is no such role.
pub async fn write(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    VaultBody(body): VaultBody<Option<Value>>,
) -> Answer {
    let path = document_path(&name)?;
    let _turn = turn(&app, &caller, &path).await;
    let exists = app.db.get(&layout::document(caller.tenant(), path.as_str())).await?.is_some();
    let operation = if exists { Permission::Update } else { Permission::Create };
    let asked = format!("/v1/auth/approle/role/{name}");
    caller.permit(&app, operation, &asked).await?;
    let body = body.unwrap_or_else(|| json!({}));
    let asked_for = body.get("token_type").and_then(Value::as_str).unwrap_or_default().strip_prefix("default-");
    let warning = asked_for.map(|kind| format!("`default-{kind}` says no more than `{kind}`, which is set"));
    // Without `create` the policies let it change what is there, and no more.
    change(&app, &caller, path, !exists, |role| read::<Fields>(&body)?.apply(role)).await?;
    Ok(warning.map_or_else(answer::nothing, |warning| answer::warned(Value::Null, [warning])))
}

/// `GET /v1/auth/approle/role/<name>`.
///
/// # Errors
/// 404.
pub async fn read_all(State(app): State<Arc<App>>, caller: Caller, Path(name): Path<String>) -> Answer {
    Ok(answer::data(shown(&there(&app, &caller, &name).await?)))
}

/// `DELETE /v1/auth/approle/role/<name>`. What is not there is as good as deleted.
///
/// # Errors
/// Those of the store.
pub async fn delete(State(app): State<Arc<App>>, caller: Caller, Path(name): Path<String>) -> Answer {
    if let Ok(path) = document_path(&name) {
        let deleted = changes::apply_as_asked(&app, &caller, &Bulk::from(Item::delete(path))).await;
        if let Err(error) = deleted
            && error.status() != StatusCode::NOT_FOUND
        {
            return Err(error);
        }
    }
    Ok(answer::nothing())
}

async fn there(app: &App, caller: &Caller, name: &str) -> Answer<RoleConfig> {
    let path = document_path(name).map_err(|_| answer::missing())?;
    match configured(app, caller, &path).await? {
        Configured { config, revision: Some(_) } => Ok(config),
        Configured { .. } => Err(answer::missing()),
    }
}

/// A role as these clients read it.
fn shown(role: &RoleConfig) -> Map<String, Value> {
    let seconds = |duration: Option<Duration>| duration.map_or(0, Duration::as_secs);
    // Nothing at all where none are set, as there; of tokens it is an empty list.
    let bound = role.secret_id_bound_cidrs.iter().map(ToString::to_string).collect::<Vec<_>>();
    let bound = (!bound.is_empty()).then_some(bound);
    let data = json!({
        "bind_secret_id": true,
        "local_secret_ids": false,
        "secret_id_bound_cidrs": bound,
        "secret_id_num_uses": role.secret_id_num_uses,
        "secret_id_ttl": seconds(role.secret_id_ttl),
        "token_bound_cidrs": fields::ranges(&role.token_bound_cidrs),
        "token_explicit_max_ttl": seconds(role.token_explicit_max_ttl),
        "token_max_ttl": seconds(role.token_max_ttl),
        "token_no_default_policy": role.token_no_default_policy,
        "token_num_uses": role.token_num_uses,
        "token_period": seconds(role.token_period),
        "token_policies": role.token_policies,
        "token_strictly_bind_ip": role.token_auto_bound_cidrs.is_some(),
        "token_ttl": seconds(role.token_ttl),
        "token_type": role.token_type.map_or_else(|| json!("default"), |kind| json!(kind)),
    });
    match data {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// The fields that have a path of their own: its last segment, and the field.
const PARTS: [(&str, &str); 12] = [
    ("bind-secret-id", "bind_secret_id"),
    ("bound-cidr-list", "secret_id_bound_cidrs"),
    ("local-secret-ids", "local_secret_ids"),
    ("period", "token_period"),
    ("policies", "token_policies"),
    ("secret-id-bound-cidrs", "secret_id_bound_cidrs"),
    ("secret-id-num-uses", "secret_id_num_uses"),
    ("secret-id-ttl", "secret_id_ttl"),
    ("token-bound-cidrs", "token_bound_cidrs"),
    ("token-max-ttl", "token_max_ttl"),
    ("token-num-uses", "token_num_uses"),
    ("token-ttl", "token_ttl"),
];

/// What may stand in a body instead of the field.
const OTHER_NAMES: [(&str, &str); 3] =
    [("token_period", "period"), ("token_policies", "policies"), ("secret_id_bound_cidrs", "bound_cidr_list")];

fn part(segment: &str) -> Answer<&'static str> {
    let found = PARTS.iter().find(|(path, _)| *path == segment);
    found.map(|(_, field)| *field).ok_or_else(|| ApiError::new(StatusCode::NOT_FOUND, "unsupported path"))
}

/// `GET /v1/auth/approle/role/<name>/<field>`.
///
/// # Errors
/// 404.
pub async fn read_part(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((name, segment)): Path<(String, String)>,
) -> Answer {
    let field = part(&segment)?;
    let mut all = shown(&there(&app, &caller, &name).await?);
    let value = all.remove(field).unwrap_or(Value::Null);
    // By themselves, of tokens too.
    let nothing = field.ends_with("_cidrs") && value.as_array().is_some_and(Vec::is_empty);
    let key = if segment == "bound-cidr-list" { "bound_cidr_list" } else { field };
    Ok(answer::data(json!({ key: if nothing { Value::Null } else { value } })))
}

/// `POST` sets one field, `DELETE` takes it back to what it is by itself.
///
/// # Errors
/// 400 where the field is not given; 404 where there is no such role.
pub async fn write_part(
    State(app): State<Arc<App>>,
    caller: Caller,
    method: Method,
    Path((name, segment)): Path<(String, String)>,
    VaultBody(body): VaultBody<Option<Value>>,
) -> Answer {
    let field = part(&segment)?;
    let one = if method == Method::DELETE {
        match field {
            "token_policies" | "secret_id_bound_cidrs" | "token_bound_cidrs" => json!({ field: [] }),
            "bind_secret_id" => json!({ field: true }),
            "local_secret_ids" => json!({ field: false }),
            _ => json!({ field: 0 }),
        }
    } else {
        let other = OTHER_NAMES.iter().find(|(name, _)| *name == field).map(|(_, other)| *other);
        let body = body.unwrap_or_default();
        let value = slice::from_ref(&field).iter().copied().chain(other).find_map(|name| body.get(name));
        match value {
            Some(value) => json!({ field: value }),
            // No ranges are none to be set, as there.
            None if field.ends_with("_cidrs") => json!({}),
            None => return Err(ApiError::invalid(format!("missing {field}"))),
        }
    };
    let path = document_path(&name)?;
    let _turn = turn(&app, &caller, &path).await;
    change(&app, &caller, path, false, |role| read::<Fields>(&one)?.apply(role)).await?;
    Ok(answer::nothing())
}

/// `POST /v1/auth/approle/role/<name>/role-id {role_id}`. Secret-ids are kept under the role-id that they were made with, and work
/// again when it comes back.
///
/// # Errors
/// 400 where it is none, or another role has it; 404.
pub async fn set_role_id(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    VaultBody(body): VaultBody<RoleIdBody>,
) -> Answer {
    let role_id = role_id_of(body.role_id)?;
    let path = document_path(&name)?;
    let _turn = turn(&app, &caller, &path).await;
    change(&app, &caller, path, false, |role| {
        role.fixed_role_id = Some(role_id.clone());
        Ok(())
    })
    .await?;
    Ok(answer::nothing())
}

/// `POST …/role-id`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct RoleIdBody {
    role_id: String,
}

/// `POST /v1/auth/approle/tidy/secret-id`, `POST /v1/auth/token/tidy`. There is nothing to do: what has expired goes by itself.
///
/// # Errors
/// None beyond the token's own.
pub async fn tidy() -> Answer {
    let text = "nothing has to be tidied here: what has expired vanishes by itself";
    Ok((StatusCode::ACCEPTED, answer::warned(json!(null), [text])).into_response())
}
