//! Keys as text, to be kept elsewhere and brought back.

use std::sync::Arc;

use axum::{Json, extract::State, response::IntoResponse as _};
use keyward_approle::Operation;
use keyward_config_values::Name;
use keyward_transit::Ring;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    super::{
        body::JsonBody,
        caller::Caller,
        error::{Answer, ApiError, Status},
        params::Path,
        token,
    },
    named,
};
use crate::{
    app::App,
    backup_key,
    changes::{self, Brought, Permitted},
    documents::KEYS,
    random,
};

/// In which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For this tenant of this tower alone.
    Sealed,
    /// For whoever has it.
    Plaintext,
}

/// `backup`, whose body may be absent.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct BackupBody {
    plaintext: bool,
}

/// `POST …/<name>/backup {plaintext?}`: the key with all of its versions as text. Unless `plaintext`, which the key has to allow,
/// it opens at this tower for this tenant alone, whichever key-encryption keys are rotated meanwhile.
///
/// # Errors
/// 404; 422 unless the key is `exportable` and has `allow-plaintext-backup`, where it is to be plain.
pub async fn backup(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<Option<BackupBody>>,
) -> Answer {
    let ring = named(&app, &caller, &name).await?.value;
    let form = if body.unwrap_or_default().plaintext { Form::Plaintext } else { Form::Sealed };
    let backup = made(&app, &caller, &ring, form).await?;
    Ok(token::answer(&json!({ "name": name, "plaintext": form == Form::Plaintext, "backup": *backup })))
}

/// Makes one, recorded before it is answered.
///
/// # Errors
/// Those of the ring; the log takes no records.
pub async fn made(app: &App, caller: &Caller, ring: &Ring, form: Form) -> Answer<Zeroizing<String>> {
    let text = match form {
        Form::Plaintext => ring.to_plaintext_backup()?,
        Form::Sealed => {
            let key = backup_key::of(app, &caller.actor()).await?;
            let text = ring.to_sealed_backup(key.current(), caller.tenant().as_str(), &mut random::rng());
            Zeroizing::new(text.map_err(ApiError::internal)?)
        }
    };
    let record = caller.actor().did("key-backup", app.clock.now());
    let record = record.with("key", ring.name().as_str()).with("plaintext", form == Form::Plaintext);
    app.record(record).await?;
    Ok(text)
}

/// A key as text.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RestoreBody {
    backup: Zeroizing<String>,
    #[serde(default)]
    force: bool,
}

/// `POST …/<name>/restore {backup, force?}`: makes a key of a backup, with its options and its versions, under this name. `force`
/// replaces one that exists, whatever is lost with it. Needs the permission for the key's document too, and under another name than it
/// had, unless the key is `exportable`, `update` on the document of that name.
///
/// # Errors
/// 400 and 422 for what is no backup, or not of this tenant; 409 where the key exists, or verifiers need it.
pub async fn restore(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<RestoreBody>,
) -> Answer {
    let parsed = name.parse().map_err(|error: keyward_config_values::Error| ApiError::invalid(error.to_string()))?;
    let ring = read(&app, &caller, &body.backup, Some(parsed)).await?;
    commit_restore(&app, &caller, ring, body.force, Permitted::Here).await?;
    let ring = named(&app, &caller, &name).await?;
    Ok(Json(ring.value.view(app.clock.now())).into_response())
}

/// The key in a backup, under another name if there is one. Under another name it can be made `exportable` by others than before:
/// so that is for those alone who could do that to the key that was backed up.
///
/// # Errors
/// It is none, or not of this tenant; 403.
pub async fn read(app: &App, caller: &Caller, backup: &str, name: Option<Name>) -> Answer<Ring> {
    let key = backup_key::of(app, &caller.actor()).await?;
    let open = |name| {
        Ring::from_backup(&key, caller.tenant().as_str(), backup, name)
            .map_err(|error| ApiError::new(Status::from(error.kind()).0, format!("`backup`: {error}")))
    };
    let ring = open(None)?;
    match name.filter(|name| name != ring.name()) {
        None => Ok(ring),
        Some(name) => {
            if !ring.config().exportable {
                caller.permit(app, Operation::Update, &format!("/v1/config/{KEYS}/{}", ring.name())).await?;
            }
            open(Some(name))
        }
    }
}

/// Stores a key that was backed up, with its document.
///
/// # Errors
/// As [`changes::bring`].
pub async fn commit_restore(app: &App, caller: &Caller, ring: Ring, force: bool, permitted: Permitted) -> Answer<()> {
    let brought = Brought { ring, event: "key-restore", replaces: force, permitted };
    changes::bring(app, caller, &brought).await.map(drop)
}
