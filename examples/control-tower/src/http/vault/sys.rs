//! `/v1/sys`: what a client looks at before it begins.

use std::sync::Arc;

use axum::{Json, extract::State, response::IntoResponse as _};
use keyward_approle::{ADMINISTRATOR_POLICY, DEFAULT_POLICY};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    super::{
        body::JsonBody,
        caller::Caller,
        error::{Answer, ApiError},
        params::Path,
    },
    List, answer,
};
use crate::{app::App, documents::POLICIES, layout, store::snapshot};

/// What there is of secrets engines: path, type, description.
const MOUNTS: [(&str, &str, &str); 2] = [
    ("sys/", "system", "system endpoints used for control, policy and debugging"),
    ("transit/", "transit", "the tenant's keys"),
];

/// What there is of logins.
const LOGINS: [(&str, &str, &str); 2] =
    [("approle/", "approle", "the tenant's AppRoles"), ("token/", "token", "token based credentials")];

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `GET /v1/sys/health`.
///
/// # Errors
/// 503 when the tower takes no changes.
pub async fn health(State(app): State<Arc<App>>) -> Answer {
    app.db.store().health()?;
    Ok(Json(json!({
        "initialized": true,
        "sealed": false,
        "standby": false,
        "performance_standby": false,
        "replication_performance_mode": "disabled",
        "replication_dr_mode": "disabled",
        "server_time_utc": app.clock.now().unix_timestamp(),
        "version": VERSION,
        "cluster_name": app.external_url.host(),
        "cluster_id": app.operators,
    }))
    .into_response())
}

/// `GET /v1/sys/seal-status`: a tower that runs has its keys.
///
/// # Errors
/// None.
pub async fn seal_status(State(app): State<Arc<App>>) -> Answer {
    Ok(Json(json!({
        "type": "shamir",
        "initialized": true,
        "sealed": false,
        "t": 1,
        "n": 1,
        "progress": 0,
        "nonce": "",
        "recovery_seal": false,
        "migration": false,
        "version": VERSION,
        "cluster_name": app.external_url.host(),
        "cluster_id": app.operators,
    }))
    .into_response())
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
pub async fn enable_mount(Path(path): Path<String>, JsonBody(body): JsonBody<EnableBody>) -> Answer {
    Err(not_enabled(&MOUNTS, &path, &body.kind))
}

/// `POST /v1/sys/auth/<path>`.
///
/// # Errors
/// As [`enable_mount`].
pub async fn enable_login(Path(path): Path<String>, JsonBody(body): JsonBody<EnableBody>) -> Answer {
    Err(not_enabled(&LOGINS, &path, &body.kind))
}

/// `LIST /v1/sys/policies/acl`.
///
/// # Errors
/// Those of the store.
pub async fn policies(State(app): State<Arc<App>>, caller: Caller, _: List) -> Answer {
    let prefix = format!("{}/", layout::document(caller.tenant(), POLICIES));
    let (_, entries) = snapshot(&**app.db.store(), &prefix).await?;
    let own = entries.iter().filter_map(|entry| entry.key.strip_prefix(&prefix)).map(str::to_owned);
    let mut names: Vec<String> = own.chain([ADMINISTRATOR_POLICY, DEFAULT_POLICY].map(str::to_owned)).collect();
    names.sort_unstable();
    names.dedup();
    answer::names(names)
}

/// `GET /v1/sys/policies/acl/<name>`: the document as text, which is JSON and not HCL.
///
/// # Errors
/// 404.
pub async fn policy(State(app): State<Arc<App>>, caller: Caller, Path(name): Path<String>) -> Answer {
    let key = layout::document(caller.tenant(), &format!("{POLICIES}/{name}"));
    let text = match app.db.get(&key).await? {
        Some(stored) => String::from_utf8(stored.value.to_vec()).map_err(ApiError::internal)?,
        None if [ADMINISTRATOR_POLICY, DEFAULT_POLICY].contains(&name.as_str()) => String::new(),
        None => return Err(answer::missing()),
    };
    Ok(answer::data(json!({ "name": name, "policy": text })))
}

/// They have it twice: beside the envelope's fields, and in `data`.
fn table(caller: &Caller, rows: &[(&str, &str, &str)]) -> axum::response::Response {
    let row = |(path, kind, description): &(&str, &str, &str)| {
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
        ((*path).to_owned(), entry)
    };
    let rows: Map<String, Value> = rows.iter().map(row).collect();
    answer::data_twice(rows)
}

fn not_enabled(rows: &[(&str, &str, &str)], path: &str, kind: &str) -> ApiError {
    let path = path.trim_matches('/');
    if rows.iter().any(|(there, ..)| there.trim_end_matches('/') == path) {
        return ApiError::invalid(format!("path is already in use at {path}/"));
    }
    let kind: String = kind.chars().take(40).flat_map(char::escape_debug).collect();
    ApiError::invalid(format!("`{kind}` cannot be enabled at another path: there are {}", listed(rows)))
}

fn listed(rows: &[(&str, &str, &str)]) -> String {
    let paths: Vec<String> = rows.iter().map(|(path, ..)| format!("`{path}`")).collect();
    paths.join(", ")
}
