//! `/v1/transit`: the tenant's keys by Vault's names. What a key is asked to do is done where the other routes have it done;
//! what a key is, is its configuration document.

mod backup;
mod import;
mod key;

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use keyward_keys::HashFunction;
use keyward_transit::{Error, Export, Ring, VaultFormat, operation};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    super::{
        caller::Caller,
        error::{Answer, ApiError},
        params::{Path, Query},
        transit::{
            call::{Call, Item, Outcome, Speech},
            named,
            shown::Shown,
            versions::record_export,
        },
    },
    answer,
    body::VaultBody,
};
use crate::{app::App, db::Stored, random};

pub use backup::{backup, restore, restore_as};
pub use import::{import, import_version, wrapping_key};
pub use key::{configure, create, delete, list, read, rotate, trim};

/// A key that is to be used: that it is not there is the caller's mistake.
async fn used(app: &App, caller: &Caller, name: &str) -> Answer<Stored<Arc<Ring>>> {
    named(app, caller, name).await.map_err(|error| match error.status() {
        StatusCode::NOT_FOUND => ApiError::invalid("encryption key not found"),
        _ => error,
    })
}

/// What a batch came to.
#[derive(Serialize)]
struct Results {
    batch_results: Vec<Shown>,
}

/// The status of a batch of which items failed: 400, unless the client asks for another one, of an answer that has a body.
fn partial_failure(wanted: Option<u16>) -> Answer<StatusCode> {
    let bodiless = [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::NOT_MODIFIED];
    match wanted.filter(|status| *status != 0) {
        None => Ok(StatusCode::BAD_REQUEST),
        Some(status) => StatusCode::from_u16(status)
            .ok()
            .filter(|status| (200..600).contains(&status.as_u16()) && !bodiless.contains(status))
            .ok_or_else(|| {
                ApiError::invalid(
                    "`partial_failure_response_code` is no status from 200 to 599 of an answer with a body",
                )
            }),
    }
}

async fn call(app: &App, caller: &Caller, name: &str, call: Call, body: Item) -> Answer {
    let ring = used(app, caller, name).await?.value;
    let partial_failure = partial_failure(body.partial_failure_response_code)?;
    Ok(match call.perform(app, ring, body, Speech::Vault).await? {
        Outcome::One(output) => answer::data(Shown::new(output, Speech::Vault)),
        Outcome::Batch { results } => {
            // Elsewhere than here it is the results alone that say what failed.
            let tells = matches!(call, Call::Encrypt | Call::Decrypt);
            let failed = if tells { results.iter().filter(|(result, _)| result.is_err()).count() } else { 0 };
            let status = match failed {
                0 => StatusCode::OK,
                // Of a part of them it is not, of all of them.
                all if all == results.len() => StatusCode::BAD_REQUEST,
                _ => partial_failure,
            };
            let batch_results = results.into_iter().map(|result| Shown::vault_result(call, result)).collect();
            answer::with_status(status, Results { batch_results })
        }
    })
}

/// The handler of a call whose path ends in the key's name.
macro_rules! calls {
    ($($(#[$text:meta])* $handler:ident = $call:ident;)+) => {$(
        $(#[$text])*
        ///
        /// # Errors
        /// 400.
        pub async fn $handler(
            State(app): State<Arc<App>>,
            caller: Caller,
            Path(name): Path<String>,
            VaultBody(body): VaultBody<Item>,
        ) -> Answer {
            call(&app, &caller, &name, Call::$call, body).await
        }
    )+};
}

calls! {
    /// `POST /v1/transit/encrypt/<name>`.
    encrypt = Encrypt;
    /// `POST /v1/transit/decrypt/<name>`.
    decrypt = Decrypt;
    /// `POST /v1/transit/rewrap/<name>`.
    rewrap = Rewrap;
    /// `POST /v1/transit/sign/<name>`.
    sign = Sign;
    /// `POST /v1/transit/verify/<name>`.
    verify = Verify;
    /// `POST /v1/transit/hmac/<name>`.
    hmac = Hmac;
}

/// The handler of a call whose path ends in a hash function.
macro_rules! calls_with_hash {
    ($($(#[$text:meta])* $handler:ident = $call:ident;)+) => {$(
        $(#[$text])*
        ///
        /// # Errors
        /// 400.
        pub async fn $handler(
            State(app): State<Arc<App>>,
            caller: Caller,
            Path((name, hash)): Path<(String, String)>,
            VaultBody(body): VaultBody<Item>,
        ) -> Answer {
            call(&app, &caller, &name, Call::$call, body.with_hash(Some(hash))).await
        }
    )+};
}

calls_with_hash! {
    /// `POST /v1/transit/sign/<name>/<hash>`.
    sign_with = Sign;
    /// `POST /v1/transit/verify/<name>/<hash>`.
    verify_with = Verify;
    /// `POST /v1/transit/hmac/<name>/<hash>`.
    hmac_with = Hmac;
}

/// `POST /v1/transit/datakey/<plaintext | wrapped>/<name>`.
///
/// # Errors
/// 400.
pub async fn datakey(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((kind, name)): Path<(String, String)>,
    VaultBody(body): VaultBody<Option<Item>>,
) -> Answer {
    let with_plaintext = match kind.as_str() {
        "plaintext" => true,
        "wrapped" => false,
        _ => return Err(ApiError::invalid("Invalid path, must be 'plaintext' or 'wrapped'")),
    };
    let ring = used(&app, &caller, &name).await?.value;
    match Call::DataKey.perform(&app, ring, body.unwrap_or_default(), Speech::Vault).await? {
        Outcome::One(output) => {
            let shown = Shown::new(output, Speech::Vault);
            Ok(answer::data(if with_plaintext { shown } else { shown.without_plaintext() }))
        }
        Outcome::Batch { .. } => Err(ApiError::invalid("data keys are made one at a time")),
    }
}

/// `random` and `hash`: how bytes are written.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Format {
    Base64,
    Hex,
}

impl Format {
    fn write(self, bytes: &[u8]) -> String {
        match self {
            Self::Base64 => STANDARD.encode(bytes),
            Self::Hex => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

/// `random`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct RandomBody {
    bytes: Option<u32>,
    format: Option<Format>,
}

/// `POST /v1/transit/random`.
///
/// # Errors
/// 400 for none, or more than 128 KiB.
pub async fn random(VaultBody(body): VaultBody<Option<RandomBody>>) -> Answer {
    let body = body.unwrap_or_default();
    random_bytes(body.bytes.unwrap_or(32), body.format)
}

/// `POST /v1/transit/random/<bytes | source>`.
///
/// # Errors
/// As [`random()`].
pub async fn random_many(Path(segment): Path<String>, VaultBody(body): VaultBody<Option<RandomBody>>) -> Answer {
    let body = body.unwrap_or_default();
    let count = match SOURCES.contains(&segment.as_str()) {
        true => body.bytes.unwrap_or(32),
        false => number_of_bytes(&segment)?,
    };
    random_bytes(count, body.format)
}

/// `POST /v1/transit/random/<source>/<bytes>`.
///
/// # Errors
/// As [`random()`]; 400 for another source.
pub async fn random_from(
    Path((source, bytes)): Path<(String, String)>,
    VaultBody(body): VaultBody<Option<RandomBody>>,
) -> Answer {
    if !SOURCES.contains(&source.as_str()) {
        return Err(ApiError::invalid("the source of random bytes is `platform`, `seal` or `all`, which are one here"));
    }
    random_bytes(number_of_bytes(&bytes)?, body.unwrap_or_default().format)
}

/// Where random bytes can be asked to come from. All of them come from the system.
const SOURCES: [&str; 3] = ["platform", "seal", "all"];

fn number_of_bytes(text: &str) -> Answer<u32> {
    text.parse().map_err(|_| ApiError::invalid("`bytes` is no number"))
}

fn random_bytes(count: u32, format: Option<Format>) -> Answer<Response> {
    let bytes = operation::random(count.try_into().unwrap_or(usize::MAX), &mut random::rng())?;
    Ok(answer::data(json!({ "random_bytes": format.unwrap_or(Format::Base64).write(&bytes) })))
}

/// `hash`.
#[derive(Deserialize)]
pub struct HashBody {
    input: String,
    algorithm: Option<HashFunction>,
    format: Option<Format>,
}

/// `POST /v1/transit/hash`.
///
/// # Errors
/// 400.
pub async fn hash(VaultBody(body): VaultBody<HashBody>) -> Answer {
    digest(&body, body.algorithm)
}

/// `POST /v1/transit/hash/<algorithm>`.
///
/// # Errors
/// 400.
pub async fn hash_with(Path(algorithm): Path<String>, VaultBody(body): VaultBody<HashBody>) -> Answer {
    let algorithm = algorithm.parse().map_err(keyward_transit::Error::Keys)?;
    digest(&body, Some(algorithm))
}

fn digest(body: &HashBody, algorithm: Option<HashFunction>) -> Answer<Response> {
    let input = Speech::Vault.base64("input", &body.input)?;
    let sum = algorithm.unwrap_or(HashFunction::Sha2_256).digest(&input);
    Ok(answer::data(json!({ "sum": body.format.unwrap_or(Format::Hex).write(&sum) })))
}

/// How exported keys are to be written.
#[derive(Deserialize)]
pub struct ExportQuery {
    #[serde(default)]
    format: String,
}

/// `GET /v1/transit/export/<kind>/<name>?format=<raw | der | pem>`: every version's key, recorded before it is answered.
///
/// # Errors
/// 400 unless the key is exportable and can be written so, 404.
pub async fn export(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((kind, name)): Path<(String, String)>,
    Query(query): Query<ExportQuery>,
) -> Answer {
    exported(&app, &caller, (&kind, &query.format), &name, None).await
}

/// `GET /v1/transit/export/<kind>/<name>/<version | latest>?format=<raw | der | pem>`.
///
/// # Errors
/// As [`export`].
pub async fn export_version(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((kind, name, version)): Path<(String, String, String)>,
    Query(query): Query<ExportQuery>,
) -> Answer {
    exported(&app, &caller, (&kind, &query.format), &name, Some(&version)).await
}

async fn exported(
    app: &App,
    caller: &Caller,
    (kind, format): (&str, &str),
    name: &str,
    version: Option<&str>,
) -> Answer {
    let (export, format): (Export, VaultFormat) = (kind.parse()?, format.parse()?);
    let ring = key::there(app, caller, name).await?.value;
    let now = app.clock.now();
    let version = match version {
        None => None,
        Some("latest") => ring.active_version(now),
        Some(text) => Some(text.parse().map_err(|_| ApiError::invalid("`version` is no number"))?),
    };
    let keys = ring.export(export, version).map_err(|error| match error {
        Error::Derived { .. } => ApiError::invalid(format!(
            "{error}; `GET /v1/transit/keys/{name}?context=` with base64 has that of a context"
        )),
        error => error.into(),
    })?;
    let mut shown = BTreeMap::new();
    for exported in &keys {
        let text = exported.key.to_vault_text(format).map_err(|error| match error {
            Error::Unknown { .. } => error.into(),
            error => ApiError::internal(error),
        })?;
        shown.insert(exported.version.to_string(), text.to_string());
    }
    let versions: Vec<u32> = keys.iter().map(|exported| exported.version).collect();
    record_export(app, caller, export, name, &versions).await?;
    Ok(answer::data(json!({ "name": name, "type": ring.cipher(), "keys": shown })).into_response())
}
