//! The seal and the key-encryption keys behind it, for the administrators of the tenant `default`.

use std::sync::Arc;

use axum::{Json, extract::State, response::IntoResponse as _};
use keyward_transit::{Rewrap, SealKind};
use serde_json::{Value, json};

use super::{
    caller::Caller,
    error::{Answer, ApiError},
};
use crate::{
    app::{App, Commit},
    keyring::{Change, KeyringError, Opened, rewrap},
};

/// `GET /v1/state/system/seal`: what the keys are sealed by, which there are, and how far sealing every record under the latest is.
///
/// # Errors
/// Those of the store.
pub async fn state(State(app): State<Arc<App>>) -> Answer {
    Ok(Json(view(&app).await?).into_response())
}

/// `POST /v1/state/system/seal/rotate`: makes a fresh key the current one. Sealing every record under it begins by itself.
///
/// # Errors
/// 409 when another process was faster or too many keys wait for their end; those of the store.
pub async fn rotate(State(app): State<Arc<App>>, caller: Caller) -> Answer {
    rotated(&app, &caller).await?;
    Ok(Json(view(&app).await?).into_response())
}

/// Rotates; answers the version of the fresh key.
///
/// # Errors
/// As [`rotate`].
pub async fn rotated(app: &App, caller: &Caller) -> Answer<u32> {
    let Change { guards, writes, version, .. } = app.db.keyring().rotation().await?;
    let record = caller.actor().did("kek-rotate", app.clock.now()).with("version", version);
    match app.commit(guards, writes, record).await? {
        Commit::Done(_) => {
            app.db.keyring().refresh().await?;
            app.tasks.kek_rotated();
            Ok(version)
        }
        Commit::Conflict => Err(KeyringError::Overtaken.into()),
    }
}

/// `POST /v1/state/system/seal/seal`: forgets the keys. The tower answers nothing then until somebody unseals it.
///
/// # Errors
/// The audit log does not take it.
pub async fn seal(State(app): State<Arc<App>>, caller: Caller) -> Answer {
    close(&app, &caller).await?;
    Ok(Json(json!({"sealed": true})).into_response())
}

/// Seals the tower.
///
/// # Errors
/// As [`seal`].
pub async fn close(app: &App, caller: &Caller) -> Answer<()> {
    let gate = app.gate.get().and_then(std::sync::Weak::upgrade);
    let gate = gate.ok_or_else(|| ApiError::inapplicable("this tower cannot be sealed by call"))?;
    let record = caller.actor().did("seal", app.clock.now());
    // Whoever seals has a reason not to wait: a full disk or a broken store does not keep the keys open.
    match app.record(record).await {
        Ok(()) => {
            if let Err(error) = app.relay_audit().await {
                // It is in the store, and comes into the log as soon as the tower is unsealed.
                tracing::error!(%error, "audit");
            }
        }
        Err(error) => {
            let by = caller.actor();
            tracing::error!(error = error.message(), by = by.subject, "sealed by call, and not on record");
        }
    }
    gate.close();
    tracing::warn!("sealed by call");
    Ok(())
}

async fn view(app: &App) -> Answer<Value> {
    let keys = app.db.keyring().opened()?;
    let work = rewrap::progress(&app.db).await?;
    Ok(json!({
        "sealed": false,
        "kind": kind(&keys),
        "current-version": keys.keks().current().version(),
        "versions": keys.keks().versions(),
        "rewrap": work.map(|(work, _)| progress(&work)),
    }))
}

fn kind(keys: &Opened) -> &'static str {
    match keys.kind() {
        SealKind::Passphrase(_) => "passphrase",
        _ => "key",
    }
}

fn progress(work: &Rewrap) -> Value {
    let (done, of) = work.done();
    let mut progress = json!({
        "stage": work.stage().as_str(),
        "target-version": work.target(),
        "done": done,
        "of": of,
        "records": work.total(),
    });
    if let (Some((records, first)), Some(progress)) = (work.unreadable(), progress.as_object_mut()) {
        progress.insert("unreadable".to_owned(), json!({"records": records, "first": first}));
    }
    progress
}
