//! `/v1/transit/keys`: keys themselves. A key is a document of the configuration with a ring behind it, whichever surface made it.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use keyward_config_tree::{Bulk, Item, Operation, Path as DocumentPath};
use keyward_keys::PublicKey;
use keyward_transit::{Cipher, Ring, VersionView};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::super::{
    super::{
        caller::Caller,
        error::{Answer, ApiError},
        listing::{self, VaultPage},
        params::{Path, Query},
        transit::{call::Speech, named, versions},
    },
    List, answer,
    body::VaultBody,
    fields::{flag, text},
    sees_all,
};
use crate::{
    app::App,
    changes,
    db::Stored,
    documents::KEYS,
    layout,
    rings::{self, Rotation},
};

/// A key that is read: that it is not there is an answer without a text.
pub(super) async fn there(app: &App, caller: &Caller, name: &str) -> Answer<Stored<Arc<Ring>>> {
    named(app, caller, name).await.map_err(|error| match error.status() {
        StatusCode::NOT_FOUND => answer::missing(),
        _ => error,
    })
}

/// What a key is to be. Fields that clients send and that mean nothing here are ignored, as there.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct CreateBody {
    #[serde(rename = "type")]
    cipher: Option<String>,
    #[serde(deserialize_with = "flag")]
    derived: bool,
    #[serde(deserialize_with = "flag")]
    convergent_encryption: bool,
    #[serde(deserialize_with = "flag")]
    exportable: bool,
    #[serde(deserialize_with = "flag")]
    allow_plaintext_backup: bool,
    auto_rotate_period: Option<Value>,
    #[serde(deserialize_with = "text")]
    external_key_ref: String,
}

/// `POST /v1/transit/keys/<name>`. A key that exists already stays as it is and is answered.
///
/// # Errors
/// 400.
pub async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    VaultBody(body): VaultBody<Option<CreateBody>>,
) -> Answer {
    let body = body.unwrap_or_default();
    let exists = named(&app, &caller, &name).await.is_ok();
    refuse_period(body.auto_rotate_period.as_ref())?;
    if !body.external_key_ref.is_empty() {
        return Err(ApiError::invalid(
            "`external_key_ref` is not taken: keys are kept here alone; bring one by `import`",
        ));
    }
    let cipher = cipher(body.cipher.as_deref())?;
    if !exists {
        let document = json!({
            "name": name,
            "cipher": cipher,
            "derived": body.derived,
            "convergent-encryption": body.convergent_encryption,
            "exportable": body.exportable,
            "allow-plaintext-backup": body.allow_plaintext_backup,
        });
        let created = change(&app, &caller, &name, Operation::Create, &document).await;
        // Somebody else may have been faster.
        created.or_else(|error| if error.status() == StatusCode::CONFLICT { Ok(()) } else { Err(error) })?;
    }
    shown(&app, &caller, &name).await
}

/// The context whose public keys are asked for.
#[derive(Deserialize)]
pub struct ReadQuery {
    context: Option<String>,
}

/// `GET /v1/transit/keys/<name>`, with `?context=` for the public keys of a context.
///
/// # Errors
/// 404.
pub async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    Query(query): Query<ReadQuery>,
) -> Answer {
    let ring = there(&app, &caller, &name).await?.value;
    let context = Speech::Vault.base64("context", query.context.as_deref().unwrap_or_default())?;
    Ok(answer::data(fields(&ring, &context, app.clock.now())?))
}

/// `LIST /v1/transit/keys`.
///
/// # Errors
/// 404 where there are none.
pub async fn list(State(app): State<Arc<App>>, caller: Caller, Query(page): Query<VaultPage>, _: List) -> Answer {
    answer::listed(listing::names(&app, &layout::rings(caller.tenant()), page.into()).await?)
}

/// `DELETE /v1/transit/keys/<name>`.
///
/// # Errors
/// 400 where it is not there, or must not be deleted.
pub async fn delete(State(app): State<Arc<App>>, caller: Caller, Path(name): Path<String>) -> Answer {
    let item = Item::delete(document_path(&name)?);
    changes::apply_as_asked(&app, &caller, &Bulk::from(item)).await.map_err(|error| match error.status() {
        StatusCode::NOT_FOUND => error.with_status(StatusCode::BAD_REQUEST),
        _ => error,
    })?;
    Ok(answer::nothing())
}

/// `POST /v1/transit/keys/<name>/rotate`.
///
/// # Errors
/// 400.
pub async fn rotate(State(app): State<Arc<App>>, caller: Caller, Path(name): Path<String>) -> Answer {
    let ring = super::used(&app, &caller, &name).await?;
    rings::rotate(&app, caller.tenant(), ring, Rotation::Orderly, &caller.actor()).await?;
    shown(&app, &caller, &name).await
}

/// What is to change.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct ConfigBody {
    min_decryption_version: Option<u32>,
    min_encryption_version: Option<u32>,
    deletion_allowed: Option<bool>,
    exportable: Option<bool>,
    allow_plaintext_backup: Option<bool>,
    auto_rotate_period: Option<Value>,
}

impl ConfigBody {
    /// The lowest versions that decrypt and encrypt: what is not named stays as it is, and zero is what these clients call none.
    fn lowest(&self, ring: &Ring) -> (u32, Option<u32>) {
        let decryption = self.min_decryption_version.map_or(ring.min_decryption_version(), |version| version.max(1));
        let encryption = self
            .min_encryption_version
            .map_or(ring.min_encryption_version(), |version| (version > 0).then_some(version));
        (decryption, encryption)
    }
}

/// `POST /v1/transit/keys/<name>/config`.
///
/// # Errors
/// 400.
pub async fn configure(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    VaultBody(body): VaultBody<ConfigBody>,
) -> Answer {
    refuse_period(body.auto_rotate_period.as_ref())?;
    // Before anything is said of it, and for what stands beside the document, too.
    sees_all(&app, &caller, &document_path(&name)?).await?;
    let stored = super::used(&app, &caller, &name).await?;
    let is_same =
        body.lowest(&stored.value) == (stored.value.min_decryption_version(), stored.value.min_encryption_version());
    if !is_same {
        // Before anything is stored.
        let (decryption, encryption) = body.lowest(&stored.value);
        Ring::clone(&stored.value).set_lowest_versions(decryption, encryption, app.clock.now())?;
    }
    let flags = [
        ("deletion-allowed", body.deletion_allowed),
        ("exportable", body.exportable),
        ("allow-plaintext-backup", body.allow_plaintext_backup),
    ];
    let flags: Map<String, Value> =
        flags.into_iter().filter_map(|(field, value)| Some((field.to_owned(), value?.into()))).collect();
    if !flags.is_empty() {
        change(&app, &caller, &name, Operation::Merge, &flags.into()).await?;
    }
    if !is_same {
        versions::commit_lowest(&app, &caller, stored.value.name(), |ring| body.lowest(ring)).await?;
    }
    shown(&app, &caller, &name).await
}

/// Up to where versions go.
#[derive(Deserialize)]
pub struct TrimBody {
    min_available_version: u32,
}

/// `POST /v1/transit/keys/<name>/trim`: destroys the versions below.
///
/// # Errors
/// 400 for what these clients are kept from: they first set both lowest versions.
pub async fn trim(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    VaultBody(body): VaultBody<TrimBody>,
) -> Answer {
    sees_all(&app, &caller, &document_path(&name)?).await?;
    let stored = super::used(&app, &caller, &name).await?;
    let version = body.min_available_version;
    versions::commit_trim(&app, &caller, stored.value.name(), version, |ring| may_trim(ring, version)).await?;
    shown(&app, &caller, &name).await
}

fn may_trim(ring: &Ring, version: u32) -> Answer<()> {
    if version < ring.first_available() {
        return Err(ApiError::invalid("minimum available version cannot be decremented"));
    }
    let Some(encryption) = ring.min_encryption_version() else {
        let message = "minimum available version cannot be set when minimum encryption version is not set";
        return Err(ApiError::invalid(message));
    };
    if version == 0 || version > encryption.min(ring.min_decryption_version()) {
        let message = "`min_available_version` must be from 1 to the lower of `min_encryption_version` and `min_decryption_version`";
        return Err(ApiError::invalid(message));
    }
    Ok(())
}

/// What a key is made of.
pub(super) fn cipher(name: Option<&str>) -> Answer<Cipher> {
    let parsed = name.map(str::parse).transpose();
    let parsed = parsed.map_err(|error: keyward_transit::CipherError| ApiError::invalid(error.to_string()))?;
    Ok(parsed.unwrap_or_default())
}

pub(super) fn refuse_period(period: Option<&Value>) -> Answer<()> {
    match period {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Number(number)) if number.as_u64() == Some(0) => Ok(()),
        Some(Value::String(text)) if ["", "0", "0s", "0h"].contains(&text.as_str()) => Ok(()),
        Some(_) => Err(ApiError::invalid(
            "`auto_rotate_period` is not taken: set `auto-rotate` in the key's document, which says how versions overlap",
        )),
    }
}

fn document_path(name: &str) -> Answer<DocumentPath> {
    let path = format!("{KEYS}/{name}");
    path.parse().map_err(|error: keyward_config_tree::PathError| ApiError::invalid(error.to_string()))
}

async fn change(app: &App, caller: &Caller, name: &str, operation: Operation, document: &Value) -> Answer<()> {
    let item = Item::from_json(document_path(name)?, operation, document.to_string().as_bytes())?;
    changes::apply_as_asked(app, caller, &Bulk::from(item)).await.map(drop)
}

async fn shown(app: &App, caller: &Caller, name: &str) -> Answer {
    let ring = there(app, caller, name).await?.value;
    Ok(answer::data(fields(&ring, b"", app.clock.now())?))
}

/// A key as these clients know one. What is not active yet they do not see.
fn fields(ring: &Ring, context: &[u8], now: OffsetDateTime) -> Answer<Value> {
    let view = &ring.view(now);
    let latest = view.active_version.unwrap_or(0);
    let seen = |version: &&VersionView| {
        !version.destroyed && (view.min_decryption_version..=latest).contains(&version.version)
    };
    let mut keys = Map::new();
    for version in view.versions.iter().filter(seen) {
        let shown = match view.cipher.key_type() {
            None => version.created.unix_timestamp().into(),
            Some(_) => json!({
                "name": curve(view.cipher),
                "public_key": public_key(ring, version, context)?,
                "creation_time": version.created.format(&Rfc3339).map_err(ApiError::internal)?,
                "certificate_chain": "",
            }),
        };
        keys.insert(version.version.to_string(), shown);
    }
    let is_imported = view.versions.iter().any(|version| version.version == latest && version.imported);
    let trimmed = view.versions.iter().find(|version| !version.destroyed).map_or(0, |version| version.version);
    let mut fields = json!({
        "name": view.name,
        "type": view.cipher,
        "keys": keys,
        "latest_version": latest,
        "min_available_version": if trimmed > 1 { trimmed } else { 0 },
        "min_decryption_version": view.min_decryption_version,
        "min_encryption_version": view.min_encryption_version.unwrap_or(0),
        "allow_plaintext_backup": view.allow_plaintext_backup,
        "auto_rotate_period": 0,
        "deletion_allowed": view.deletion_allowed,
        "derived": view.derived,
        "exportable": view.exportable,
        "imported_key": is_imported,
        "soft_deleted": false,
        "supports_encryption": view.cipher.encrypts(),
        "supports_decryption": view.cipher.encrypts(),
        "supports_signing": view.cipher.signs(),
        "supports_derivation": view.cipher.derives(),
    });
    if let (true, Some(fields)) = (is_imported, fields.as_object_mut()) {
        fields.insert("imported_key_allow_rotation".to_owned(), (!view.imported_only).into());
    }
    if let (true, Some(fields)) = (view.derived, fields.as_object_mut()) {
        fields.insert("kdf".to_owned(), "hkdf_sha256".into());
        fields.insert("convergent_encryption".to_owned(), view.convergent_encryption.into());
    }
    Ok(fields)
}

/// The public key of a version, of a ring that derives its keys that of a context: the bytes of an Ed25519 key, and others as PEM.
fn public_key(ring: &Ring, version: &VersionView, context: &[u8]) -> Answer<String> {
    let key = match ring.config().derived {
        true if context.is_empty() => None,
        true => Some(ring.derived_public_key(version.version, context)?),
        false => version.jwk.as_ref().map(PublicKey::from_jwk).transpose().map_err(ApiError::internal)?,
    };
    Ok(match key.as_ref().and_then(PublicKey::ed25519_bytes) {
        Some(bytes) => STANDARD.encode(bytes),
        None => version.public_key.clone().unwrap_or_default(),
    })
}

fn curve(cipher: Cipher) -> &'static str {
    match cipher {
        Cipher::EcdsaP256 => "P-256",
        Cipher::EcdsaP384 => "P-384",
        Cipher::EcdsaP521 => "P-521",
        other => other.as_str(),
    }
}
