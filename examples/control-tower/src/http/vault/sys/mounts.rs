//! What is enabled, and that nothing else can be.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::{
    super::{
        caller::Caller,
        error::{Answer, ApiError},
        params::Path,
    },
    answer,
    body::VaultBody,
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
