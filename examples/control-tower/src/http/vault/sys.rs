//! `/v1/sys`: what a client looks at before it begins.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode, response::IntoResponse as _};
use keyward_approle::{ADMINISTRATOR_POLICY, DEFAULT_POLICY, PolicyConfig};
use keyward_config_tree::{Bulk, Item, Operation, Path as DocumentPath, Revision};
use keyward_config_values::{Duration, Name};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    super::{
        caller::Caller,
        error::{Answer, ApiError},
        listing::{self, Listed, Page, VaultPage},
        params::{Path, Query},
        transit::call::Speech,
    },
    List, answer,
    body::VaultBody,
    fields,
};
use crate::{
    app::App,
    changes::{self, Condition, Precondition},
    documents::POLICIES,
    layout,
};

/// What is enabled: path, type, description.
type Row = (&'static str, &'static str, &'static str);

/// What there is of secrets engines.
const MOUNTS: [Row; 2] = [
    ("sys/", "system", "system endpoints used for control, policy and debugging"),
    ("transit/", "transit", "the tenant's keys"),
];

/// What there is of logins.
const LOGINS: [Row; 2] =
    [("approle/", "approle", "the tenant's AppRoles"), ("token/", "token", "token based credentials")];

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The statuses that a client wants of the health, as load balancers have need of. Of others than these two there is never anything to say.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct HealthQuery {
    activecode: Option<String>,
    sealedcode: Option<String>,
}

impl HealthQuery {
    /// The answer of a tower that is sealed, or is not.
    ///
    /// # Errors
    /// 400 for what is no status of an answer.
    pub fn answer(&self, is_sealed: bool, fields: &Value) -> Answer {
        let (field, wanted, otherwise) = match is_sealed {
            true => ("sealedcode", &self.sealedcode, StatusCode::SERVICE_UNAVAILABLE),
            false => ("activecode", &self.activecode, StatusCode::OK),
        };
        let refuse = || ApiError::invalid(format!("`{field}` is no status from 200 to 599"));
        let status = match wanted.as_deref() {
            None => otherwise,
            Some(text) => {
                let status = text.parse().ok().and_then(|code: u16| StatusCode::from_u16(code).ok());
                status.filter(|status| (200..600).contains(&status.as_u16())).ok_or_else(refuse)?
            }
        };
        let bodiless = [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::NOT_MODIFIED];
        Ok(if bodiless.contains(&status) { status.into_response() } else { (status, Json(fields)).into_response() })
    }
}

/// `GET /v1/sys/health?activecode=`.
///
/// # Errors
/// 503 when the tower takes no changes, 400 for what is no status.
pub async fn health(State(app): State<Arc<App>>, Query(query): Query<HealthQuery>) -> Answer {
    app.db.store().health()?;
    let mut fields = health_fields(app.clock.now().unix_timestamp());
    add_cluster(&mut fields, &app);
    query.answer(false, &fields)
}

/// What can be said of the tower's health without knowing whose it is.
pub fn health_fields(now: i64) -> Value {
    json!({
        "initialized": true,
        "sealed": false,
        "standby": false,
        "performance_standby": false,
        "replication_performance_mode": "disabled",
        "replication_dr_mode": "disabled",
        "server_time_utc": now,
        "version": VERSION,
    })
}

fn add_cluster(fields: &mut Value, app: &App) {
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("cluster_name".to_owned(), app.external_url.host().into());
        fields.insert("cluster_id".to_owned(), app.operators.as_str().into());
    }
}

/// `GET /v1/sys/seal-status` of a tower that has its keys.
///
/// # Errors
/// None.
pub async fn seal_status(State(app): State<Arc<App>>) -> Answer {
    let mut fields = seal_status_fields(false);
    add_cluster(&mut fields, &app);
    Ok(Json(fields).into_response())
}

/// What can be said of the seal without knowing whose it is: there is one key, whatever it is made of.
pub fn seal_status_fields(sealed: bool) -> Value {
    json!({
        "type": "shamir",
        "initialized": true,
        "sealed": sealed,
        "t": 1,
        "n": 1,
        "progress": 0,
        "nonce": "",
        "recovery_seal": false,
        "migration": false,
        "version": VERSION,
    })
}

/// `POST /v1/sys/seal`.
///
/// # Errors
/// The audit log does not take it.
pub async fn seal(State(app): State<Arc<App>>, caller: Caller) -> Answer {
    super::super::seal::close(&app, &caller).await?;
    Ok(answer::nothing())
}

/// `POST /v1/sys/rotate` and `POST /v1/sys/rotate/keyring`: a new key-encryption key.
///
/// # Errors
/// Those of the store.
pub async fn rotate(State(app): State<Arc<App>>, caller: Caller) -> Answer {
    super::super::seal::rotated(&app, &caller).await?;
    Ok(answer::nothing())
}

/// `GET /v1/sys/leader`: every tower is its own.
///
/// # Errors
/// None.
pub async fn leader() -> Answer {
    let fields = json!({
        "ha_enabled": false,
        "is_self": false,
        "leader_address": "",
        "leader_cluster_address": "",
        "performance_standby": false,
        "performance_standby_last_remote_wal": 0,
    });
    Ok(Json(fields).into_response())
}

/// `GET /v1/sys/key-status`: the version of the current key-encryption key. When it was made and how often it was used is not kept.
///
/// # Errors
/// Those of the store.
pub async fn key_status(State(app): State<Arc<App>>) -> Answer {
    let term = app.db.keyring().opened()?.keks().current().version();
    let fields = json!({ "term": term, "install_time": answer::NEVER, "encryptions": 0 });
    Ok(answer::data_twice(fields.as_object().cloned().unwrap_or_default()))
}

/// `GET /v1/sys/init`.
///
/// # Errors
/// None.
pub async fn initialized() -> Answer {
    Ok(Json(json!({ "initialized": true })).into_response())
}

/// `GET /v1/sys/mounts`.
///
/// # Errors
/// None beyond the token's own.
pub async fn mounts(caller: Caller) -> Answer {
    Ok(table(&caller, &MOUNTS))
}

/// `GET /v1/sys/auth`.
///
/// # Errors
/// None beyond the token's own.
pub async fn logins(caller: Caller) -> Answer {
    Ok(table(&caller, &LOGINS))
}

/// `GET /v1/sys/mounts/<path>`.
///
/// # Errors
/// 400 for one that there is not.
pub async fn mount(caller: Caller, Path(path): Path<String>) -> Answer {
    one(&caller, &MOUNTS, &path)
}

/// `GET /v1/sys/auth/<path>`.
///
/// # Errors
/// As [`mount`].
pub async fn login(caller: Caller, Path(path): Path<String>) -> Answer {
    one(&caller, &LOGINS, &path)
}

/// The kind of what is to be enabled. Everything else that clients send is for kinds that there are not.
#[derive(Deserialize)]
pub struct EnableBody {
    #[serde(rename = "type")]
    kind: String,
}

/// `POST /v1/sys/mounts/<path>`.
///
/// # Errors
/// Always 400: what there is is enabled, and nothing else can be.
pub async fn enable_mount(Path(path): Path<String>, VaultBody(body): VaultBody<EnableBody>) -> Answer {
    Err(not_enabled(&MOUNTS, &path, &body.kind))
}

/// `POST /v1/sys/auth/<path>`.
///
/// # Errors
/// As [`enable_mount`].
pub async fn enable_login(Path(path): Path<String>, VaultBody(body): VaultBody<EnableBody>) -> Answer {
    Err(not_enabled(&LOGINS, &path, &body.kind))
}

/// `LIST /v1/sys/policies/acl`.
///
/// # Errors
/// Those of the store.
pub async fn policies(State(app): State<Arc<App>>, caller: Caller, Query(page): Query<VaultPage>, _: List) -> Answer {
    answer::listed(names(&app, &caller, page).await?)
}

/// `LIST` and `GET /v1/sys/policy`, from before there were kinds of policies.
///
/// # Errors
/// As [`policies`].
pub async fn old_policies(State(app): State<Arc<App>>, caller: Caller, Query(page): Query<VaultPage>) -> Answer {
    let names: Value = names(&app, &caller, page).await?.names.into();
    let fields = [("keys".to_owned(), names.clone()), ("policies".to_owned(), names)];
    Ok(answer::data_twice(fields.into_iter().collect()))
}

async fn names(app: &App, caller: &Caller, page: VaultPage) -> Answer<Listed> {
    let prefix = format!("{}/", layout::document(caller.tenant(), POLICIES));
    let page = Page::from(page);
    let built_in = [ADMINISTRATOR_POLICY, DEFAULT_POLICY].into_iter().filter(|name| *name > page.after());
    let built_in: Vec<String> = built_in.map(str::to_owned).collect();
    Ok(listing::names(app, &prefix, page).await?.with(built_in))
}

/// `GET /v1/sys/policies/acl/<name>`: the text that it was made of; of one that was made as a document that document, as JSON.
///
/// # Errors
/// 404.
pub async fn policy(State(app): State<Arc<App>>, caller: Caller, Path(name): Path<String>) -> Answer {
    let text = text(&app, &caller, &name).await?;
    Ok(answer::data(json!({ "name": name, "policy": text })))
}

/// `GET /v1/sys/policy/<name>`.
///
/// # Errors
/// As [`policy`].
pub async fn old_policy(State(app): State<Arc<App>>, caller: Caller, Path(name): Path<String>) -> Answer {
    let text: Value = text(&app, &caller, &name).await?.into();
    let fields = [("name".to_owned(), name.into()), ("rules".to_owned(), text)];
    Ok(answer::data_twice(fields.into_iter().collect()))
}

async fn text(app: &App, caller: &Caller, name: &str) -> Answer<String> {
    let name = name.to_ascii_lowercase();
    match app.db.get(&layout::document(caller.tenant(), &format!("{POLICIES}/{name}"))).await? {
        Some(stored) => {
            let policy: PolicyConfig = serde_json::from_slice(&stored.value).map_err(ApiError::internal)?;
            let document = || String::from_utf8(stored.value.to_vec()).map_err(ApiError::internal);
            policy.vault_policy.map_or_else(document, Ok)
        }
        None if is_built_in(&name) => Ok(String::new()),
        None => Err(answer::missing()),
    }
}

/// What these clients take for the policy that may do everything. Here it says nothing, and is not to be written by those who think so.
const ROOT: &str = "root";

fn is_built_in(name: &str) -> bool {
    [ADMINISTRATOR_POLICY, DEFAULT_POLICY].contains(&name)
}

/// A policy as these clients write it; `rules` is what the older path calls it. More that they send is for what there is not.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct PolicyBody {
    #[serde(alias = "rules")]
    policy: String,
    #[serde(deserialize_with = "fields::ttl")]
    ttl: Option<Duration>,
    #[serde(deserialize_with = "fields::text")]
    expiration: String,
    cas: Option<i64>,
    cas_required: Option<bool>,
}

/// The `cas` of a policy that is to be made, and not to be replaced.
const NOT_THERE: i64 = -1;

impl PolicyBody {
    /// What cannot be kept and would allow more if it was left out: that the policy ends, or that it is written only over what the
    /// client has seen.
    fn refuse_conditions(&self) -> Answer<()> {
        let ends = [("ttl", self.ttl.is_some()), ("expiration", !self.expiration.is_empty())];
        if let Some((field, _)) = ends.into_iter().find(|(_, is_set)| *is_set) {
            return Err(ApiError::invalid(format!(
                "`{field}` is not taken: a policy does not end by itself, and leaving that out would allow more; delete it in time"
            )));
        }
        if self.cas.is_some_and(|cas| cas != NOT_THERE) || self.cas_required == Some(true) {
            return Err(ApiError::invalid(
                "`cas` (but -1) and `cas_required` are not taken: policies have no version here; write the document with `If-Match`",
            ));
        }
        Ok(())
    }
}

/// `POST /v1/sys/policies/acl/<name>`: puts the policy in place that the text comes to.
///
/// # Errors
/// 400 for a text that cannot be said in rules, and for conditions that policies here cannot have, with the reason.
pub async fn write_policy(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    VaultBody(body): VaultBody<PolicyBody>,
) -> Answer {
    let (name, path) = policy_path(&name)?;
    let key = layout::document(caller.tenant(), path.as_str());
    // Of several who write one at the same time each finds what the one before left.
    let _turn = app.turns.take(key.clone()).await;
    let condition = match app.db.get(&key).await? {
        Some(stored) => {
            let tag = Revision::new(stored.revision).to_string();
            Condition::Match(tag.parse().map_err(ApiError::internal)?)
        }
        None => Condition::Absent,
    };
    if name.as_str() == ROOT {
        return Err(ApiError::invalid("cannot update \"root\" policy"));
    }
    if body.policy.is_empty() {
        return Err(ApiError::invalid("'policy' parameter not supplied or empty"));
    }
    body.refuse_conditions()?;
    if body.cas.is_some() && !matches!(condition, Condition::Absent) {
        return Err(ApiError::invalid("check-and-set parameter set to -1 on existing entry"));
    }
    let policy = PolicyConfig::from_vault(name, plain(body.policy)?)
        .map_err(|error| ApiError::invalid(format!("failed to parse policy: {error}")))?;
    let document = serde_json::to_vec(&policy).map_err(ApiError::internal)?;
    let bulk = Bulk::from(Item::from_json(path, Operation::Replace, &document)?);
    changes::apply_as_asked_if(&app, &caller, &bulk, Precondition { key, condition }).await?;
    Ok(answer::nothing())
}

/// A policy that may be written in base64, as whatever can be read as such is.
fn plain(text: String) -> Answer<String> {
    let Ok(decoded) = Speech::Vault.base64("policy", &text) else { return Ok(text) };
    String::from_utf8(decoded.to_vec()).map_err(|_| ApiError::invalid("`policy` is base64, but not of a text in UTF-8"))
}

/// `DELETE /v1/sys/policies/acl/<name>`. What is not there is as good as deleted.
///
/// # Errors
/// 400 for one that is built in.
pub async fn delete_policy(State(app): State<Arc<App>>, caller: Caller, Path(name): Path<String>) -> Answer {
    if is_built_in(&name.to_ascii_lowercase()) || name.eq_ignore_ascii_case(ROOT) {
        return Err(ApiError::invalid(format!("cannot delete {name:?} policy")));
    }
    if let Ok((_, path)) = policy_path(&name) {
        let deleted = changes::apply_as_asked(&app, &caller, &Bulk::from(Item::delete(path))).await;
        if let Err(error) = deleted
            && error.status() != StatusCode::NOT_FOUND
        {
            return Err(error);
        }
    }
    Ok(answer::nothing())
}

/// Their names know no upper case.
fn policy_path(name: &str) -> Answer<(Name, DocumentPath)> {
    let name: Name = name.to_ascii_lowercase().parse().map_err(|_| {
        ApiError::invalid("the name of a policy has lower-case letters, digits and `-` between them, and nothing else")
    })?;
    let path = format!("{POLICIES}/{name}");
    let path = path.parse().map_err(|error: keyward_config_tree::PathError| ApiError::invalid(error.to_string()))?;
    Ok((name, path))
}

/// They have it twice: beside the envelope's fields, and in `data`.
fn table(caller: &Caller, rows: &[Row]) -> axum::response::Response {
    let rows = rows.iter().map(|row| (row.0.to_owned(), entry(caller, row).into()));
    answer::data_twice(rows.collect())
}

fn one(caller: &Caller, rows: &[Row], path: &str) -> Answer {
    let row = rows.iter().find(|row| is_at(row, path));
    let row =
        row.ok_or_else(|| ApiError::invalid(format!("nothing is enabled at that path: there are {}", listed(rows))))?;
    Ok(answer::data_twice(entry(caller, row)))
}

fn is_at((there, ..): &Row, path: &str) -> bool {
    there.trim_end_matches('/') == path.trim_matches('/')
}

fn entry(caller: &Caller, (_, kind, description): &Row) -> Map<String, Value> {
    let entry = json!({
        "accessor": format!("{kind}_{}", caller.tenant()),
        "config": {"default_lease_ttl": 0, "max_lease_ttl": 0, "force_no_cache": false},
        "description": description,
        "external_entropy_access": false,
        "local": false,
        "options": null,
        "seal_wrap": true,
        "type": kind,
        "uuid": caller.tenant(),
    });
    entry.as_object().cloned().unwrap_or_default()
}

fn not_enabled(rows: &[Row], path: &str, kind: &str) -> ApiError {
    if let Some((path, ..)) = rows.iter().find(|row| is_at(row, path)) {
        return ApiError::invalid(format!("path is already in use at {path}"));
    }
    let kind: String = kind.chars().take(40).flat_map(char::escape_debug).collect();
    ApiError::invalid(format!("`{kind}` cannot be enabled at another path: there are {}", listed(rows)))
}

fn listed(rows: &[Row]) -> String {
    let paths: Vec<String> = rows.iter().map(|(path, ..)| format!("`{path}`")).collect();
    paths.join(", ")
}
