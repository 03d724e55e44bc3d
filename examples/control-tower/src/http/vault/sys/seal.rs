//! The tower's seal, and the key-encryption key behind it.

use std::sync::Arc;

use axum::{Json, extract::State, response::IntoResponse as _};
use serde_json::{Value, json};

use super::{
    super::{
        super::{caller::Caller, error::Answer, seal as native},
        answer,
    },
    VERSION, add_cluster,
};
use crate::app::App;

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
    native::close(&app, &caller).await?;
    Ok(answer::nothing())
}

/// `POST /v1/sys/rotate` and `POST /v1/sys/rotate/keyring`: a new key-encryption key.
///
/// # Errors
/// Those of the store.
pub async fn rotate(State(app): State<Arc<App>>, caller: Caller) -> Answer {
    native::rotated(&app, &caller).await?;
    Ok(answer::nothing())
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
