//! Versions of a key on request: shut out, destroyed, taken out.

use std::sync::Arc;

use axum::{Json, extract::State, response::IntoResponse as _};
use keyward_config_values::Name;
use keyward_transit::{Export, Ring};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{body::JsonBody, caller::Caller, error::Answer, params::Path, token},
    named,
};
use crate::{app::App, rings};

/// What is not given becomes what it is at first: the first version, and none.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LowestBody {
    min_decryption_version: u32,
    min_encryption_version: Option<u32>,
}

/// `POST …/<name>/lowest-versions {min-decryption-version, min-encryption-version?}`: below, nothing decrypts or verifies, and
/// nothing encrypts or signs. Unlike `trim` it can be undone.
///
/// # Errors
/// 404; 400 for versions that would shut the active one out.
pub async fn set_lowest(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<LowestBody>,
) -> Answer {
    let ring = named(&app, &caller, &name).await?;
    let lowest = (body.min_decryption_version, body.min_encryption_version);
    commit_lowest(&app, &caller, ring.value.name(), |_| lowest).await?;
    view(&app, &caller, &name).await
}

/// Sets the lowest versions of a key, on record.
///
/// # Errors
/// Those of the ring and of the store.
pub async fn commit_lowest(
    app: &App,
    caller: &Caller,
    name: &Name,
    lowest: impl Fn(&Ring) -> (u32, Option<u32>),
) -> Answer<()> {
    let change = |ring: &mut Ring, now| {
        let (decryption, encryption) = lowest(ring);
        ring.set_lowest_versions(decryption, encryption, now)?;
        let audit = caller.actor().did("key-lowest-versions", now);
        Ok(audit.with("min-decryption-version", decryption).with("min-encryption-version", encryption))
    };
    rings::change(app, caller.tenant(), name, change).await
}

/// Up to where versions go.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TrimBody {
    min_available_version: u32,
}

/// `POST …/<name>/trim {min-available-version}`: destroys the versions below, with what they encrypted.
///
/// # Errors
/// 404; 422 for versions that are needed.
pub async fn trim(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<TrimBody>,
) -> Answer {
    let ring = named(&app, &caller, &name).await?;
    commit_trim(&app, &caller, ring.value.name(), body.min_available_version, |_| Ok(())).await?;
    view(&app, &caller, &name).await
}

/// Destroys the versions of a key below one, on record, if it may be.
///
/// # Errors
/// Those of `may`, of the ring and of the store.
pub async fn commit_trim(
    app: &App,
    caller: &Caller,
    name: &Name,
    version: u32,
    may: impl Fn(&Ring) -> Answer<()>,
) -> Answer<()> {
    let change = |ring: &mut Ring, now| {
        may(ring)?;
        ring.trim(version, now)?;
        Ok(caller.actor().did("key-trim", now).with("min-available-version", version))
    };
    rings::change(app, caller.tenant(), name, change).await
}

/// What goes out.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExportBody {
    kind: String,
    version: Option<u32>,
}

/// `POST …/<name>/export {kind, version?}`: `encryption-key`, `signing-key`, `hmac-key` or `public-key`, of every version or of one.
///
/// # Errors
/// 404; 422 unless the key is `exportable`.
pub async fn export(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<ExportBody>,
) -> Answer {
    let kind: Export = body.kind.parse()?;
    let keys = named(&app, &caller, &name).await?.value.export(kind, body.version)?;
    let versions: Vec<u32> = keys.iter().map(|exported| exported.version).collect();
    record_export(&app, &caller, kind, &name, &versions).await?;
    let keys: Vec<Value> =
        keys.iter().map(|exported| json!({ "version": exported.version, "key": *exported.key.to_text() })).collect();
    Ok(token::answer(&json!({ "name": name, "keys": keys })))
}

/// Records that keys go out, before they do. Public ones go out at every turn.
///
/// # Errors
/// The log takes no records.
pub async fn record_export(app: &App, caller: &Caller, kind: Export, name: &str, versions: &[u32]) -> Answer<()> {
    let what = match kind {
        Export::PublicKey => return Ok(()),
        Export::SigningKey => "signing-key",
        Export::HmacKey => "hmac-key",
        _ => "encryption-key",
    };
    let audit = caller.actor().did("key-export", app.clock.now()).with("key", name).with("kind", what);
    app.record(audit.with("versions", versions.to_vec())).await
}

/// What became of a key.
pub(super) async fn view(app: &App, caller: &Caller, name: &str) -> Answer {
    let ring = named(app, caller, name).await?;
    Ok(Json(ring.value.view(app.clock.now())).into_response())
}
