//! `/v1/transit/wrapping_key` and keys from elsewhere.

use std::sync::Arc;

use axum::extract::State;
use keyward_keys::HashFunction;
use keyward_transit::{Cipher, FirstActivation, Ring, RingConfig};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{
        super::{
            caller::Caller,
            error::{Answer, ApiError},
            params::Path,
            transit::{
                import::{Incoming, commit_import},
                named,
            },
        },
        answer,
        body::VaultBody,
        fields::{flag, number},
    },
    key,
};
use crate::{
    app::App,
    changes::{self, Brought, Permitted},
    wrapping_keys,
};

/// `GET /v1/transit/wrapping_key`.
///
/// # Errors
/// Those of the store.
pub async fn wrapping_key(State(app): State<Arc<App>>, caller: Caller) -> Answer {
    let key = wrapping_keys::of(&app, caller.tenant(), &caller.actor()).await?;
    Ok(answer::data(json!({ "public_key": key.public_key_pem() })))
}

/// A key from elsewhere, by the fields of a body.
fn incoming<'a>(wrapped: Option<&'a str>, hash: Option<&str>, public_key: Option<&'a str>) -> Answer<Incoming<'a>> {
    let hash = match hash.unwrap_or("SHA256").to_ascii_uppercase().as_str() {
        "SHA256" => HashFunction::Sha2_256,
        "SHA384" => HashFunction::Sha2_384,
        "SHA512" => HashFunction::Sha2_512,
        _ => return Err(ApiError::invalid("`hash_function` is one of `SHA256`, `SHA384` and `SHA512`")),
    };
    match (wrapped, public_key) {
        (Some(wrapped), None) => Ok(Incoming::Wrapped(wrapped, hash)),
        (None, Some(pem)) => Ok(Incoming::Public(pem)),
        _ => Err(ApiError::invalid("one of `ciphertext` and `public_key` is needed")),
    }
}

/// A key from elsewhere, and what it is to be.
#[derive(Deserialize)]
pub struct ImportBody {
    #[serde(rename = "type")]
    cipher: Option<String>,
    #[serde(default, deserialize_with = "flag")]
    allow_rotation: bool,
    #[serde(default, deserialize_with = "flag")]
    derived: bool,
    #[serde(default, deserialize_with = "flag")]
    exportable: bool,
    #[serde(default, deserialize_with = "flag")]
    allow_plaintext_backup: bool,
    convergent_encryption: Option<Value>,
    auto_rotate_period: Option<Value>,
    ciphertext: Option<String>,
    hash_function: Option<String>,
    public_key: Option<String>,
}

/// `POST /v1/transit/keys/<name>/import`: makes a key whose first version comes from elsewhere.
///
/// # Errors
/// 400.
pub async fn import(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    VaultBody(body): VaultBody<ImportBody>,
) -> Answer {
    key::refuse_period(body.auto_rotate_period.as_ref())?;
    if body.convergent_encryption.is_some_and(|asked| !asked.is_null()) {
        return Err(ApiError::invalid("import cannot be used on keys with convergent encryption enabled"));
    }
    if named(&app, &caller, &name).await.is_ok() {
        return Err(ApiError::invalid("the key exists: import a version of it at `import_version`"));
    }
    let name = name.parse().map_err(|error: keyward_config_values::Error| ApiError::invalid(error.to_string()))?;
    let cipher: Cipher = key::cipher(body.cipher.as_deref())?;
    let mut config = RingConfig::new(name);
    config.cipher = cipher;
    config.derived = body.derived;
    config.exportable = body.exportable;
    config.allow_plaintext_backup = body.allow_plaintext_backup;
    config.imported_only = !body.allow_rotation;
    let material = incoming(body.ciphertext.as_deref(), body.hash_function.as_deref(), body.public_key.as_deref())?
        .material(&app, &caller, cipher)
        .await?;
    let now = app.clock.now();
    // Without a schedule nothing depends on what was published before.
    let mut ring = Ring::new(config, FirstActivation::AtOnce, now)?;
    ring.import(material, now)?;
    let brought = Brought { ring, event: "key-import", replaces: false, permitted: Permitted::Before };
    changes::bring(&app, &caller, &brought).await?;
    Ok(answer::nothing())
}

/// A key from elsewhere, and which version of a public key alone it completes, if it is to be no new one.
#[derive(Deserialize)]
pub struct VersionBody {
    #[serde(default, deserialize_with = "number")]
    version: Option<u32>,
    ciphertext: Option<String>,
    hash_function: Option<String>,
    public_key: Option<String>,
}

/// `POST /v1/transit/keys/<name>/import_version`.
///
/// # Errors
/// 400, also for a `version` that this key does not complete.
pub async fn import_version(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    VaultBody(body): VaultBody<VersionBody>,
) -> Answer {
    let stored = super::used(&app, &caller, &name).await?;
    let material = incoming(body.ciphertext.as_deref(), body.hash_function.as_deref(), body.public_key.as_deref())?
        .material(&app, &caller, stored.value.cipher())
        .await?;
    commit_import(&app, &caller, stored.value.name(), &material, body.version).await?;
    Ok(answer::nothing())
}
