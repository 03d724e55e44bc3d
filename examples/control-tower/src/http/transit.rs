//! Key rings: state and operations.

pub mod backup;
pub mod call;
pub mod import;
pub mod shown;
pub mod versions;

use std::sync::Arc;

use axum::{Json, extract::State, response::IntoResponse as _};
use keyward_config_values::Name;
use keyward_transit::{Error, Ring};
use serde::Serialize;

use super::{
    body::JsonBody,
    caller::Caller,
    error::{Answer, ApiError, Status},
    params::Path,
    rotation::{self, RotateBody},
    token,
};
use crate::{app::App, db::Stored, identity, rings};
use call::{Call, Item, Outcome, Speech};
use shown::Shown;

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        if error.is_conflict() {
            return Self::conflict(error.to_string());
        }
        Self::new(Status::from(error.kind()).0, error.to_string())
    }
}

/// A key of the caller's tenant.
///
/// # Errors
/// 404.
pub(super) async fn named(app: &App, caller: &Caller, name: &str) -> Answer<Stored<Arc<Ring>>> {
    let missing = || ApiError::not_found(format_args!("the transit key `{name}`"));
    let parsed: Name = name.parse().map_err(|_| missing())?;
    identity::ring(&app.db, caller.tenant(), &parsed).await?.ok_or_else(missing)
}

/// `GET /v1/state/strongbox/transit-keys/<name>`.
///
/// # Errors
/// 404.
pub async fn state(State(app): State<Arc<App>>, caller: Caller, Path(name): Path<String>) -> Answer {
    let ring = named(&app, &caller, &name).await?;
    Ok(Json(ring.value.view(app.clock.now())).into_response())
}

/// What a batch came to.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Results {
    batch_results: Vec<Shown>,
}

/// A call with a key, alone or in a batch.
async fn call(app: &App, caller: &Caller, name: &str, call: Call, body: Item) -> Answer {
    let ring = named(app, caller, name).await?;
    Ok(match call.perform(app, ring.value, body, Speech::Own).await? {
        Outcome::One(output) => token::answer(&Shown::new(output, Speech::Own)),
        Outcome::Batch { results } => {
            token::answer(&Results { batch_results: results.into_iter().map(Shown::result).collect() })
        }
    })
}

/// `POST …/<name>/encrypt {plaintext, associated-data?, context?, key-version?}`, base64 all but the last.
/// With `batch-input` each item has a result of its own.
///
/// # Errors
/// 404; 422 when the ring does not encrypt.
pub async fn encrypt(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<Item>,
) -> Answer {
    call(&app, &caller, &name, Call::Encrypt, body).await
}

/// `POST …/<name>/decrypt {ciphertext, associated-data?, context?}`.
/// With `batch-input` each item has a result of its own.
///
/// # Errors
/// 404; 422 with one text whatever is wrong with the ciphertext.
pub async fn decrypt(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<Item>,
) -> Answer {
    call(&app, &caller, &name, Call::Decrypt, body).await
}

/// `POST …/<name>/rewrap {ciphertext, associated-data?, context?, key-version?}`: the same under the active version.
/// With `batch-input` each item has a result of its own.
///
/// # Errors
/// As [`decrypt`].
pub async fn rewrap(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<Item>,
) -> Answer {
    call(&app, &caller, &name, Call::Rewrap, body).await
}

/// `POST …/<name>/sign {input, context?, key-version?, hash-algorithm?, signature-algorithm?, marshaling-algorithm?, prehashed?, salt-length?}`.
/// With `batch-input` each item has a result of its own.
///
/// # Errors
/// 404; 422 when the ring does not sign.
pub async fn sign(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<Item>,
) -> Answer {
    call(&app, &caller, &name, Call::Sign, body).await
}

/// `POST …/<name>/verify {input, signature | hmac, …}`, with the options that it was made with.
/// With `batch-input` each item has a result of its own.
///
/// # Errors
/// 404; 422 when the ring cannot. A wrong signature is the answer `{"valid": false}`.
pub async fn verify(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<Item>,
) -> Answer {
    call(&app, &caller, &name, Call::Verify, body).await
}

/// `POST …/<name>/hmac {input, hash-algorithm?, key-version?}`.
/// With `batch-input` each item has a result of its own.
///
/// # Errors
/// 404; 422 when the ring signs tokens.
pub async fn hmac(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<Item>,
) -> Answer {
    call(&app, &caller, &name, Call::Hmac, body).await
}

/// `POST …/<name>/datakey {bits?, associated-data?, context?, key-version?}`: a fresh key, and the same encrypted.
/// With `batch-input` each item has a result of its own.
///
/// # Errors
/// 404; 422 when the ring does not encrypt.
pub async fn datakey(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<Item>,
) -> Answer {
    call(&app, &caller, &name, Call::DataKey, body).await
}

/// `POST …/<name>/rotate {compromised?}`. With `compromised`, `true` or `"all"`, the active version or all end by the commit that
/// makes a successor, which signs at once; the answer says until when verifiers may still hold what was dropped, and sites sign with it.
///
/// # Errors
/// 404; 409 while a version is pending, unless the active one is compromised.
pub async fn rotate(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<Option<RotateBody>>,
) -> Answer {
    let ring = named(&app, &caller, &name).await?;
    let rotated =
        rings::rotate(&app, caller.tenant(), ring, body.unwrap_or_default().rotation(), &caller.actor()).await?;
    let now = app.clock.now();
    let view = serde_json::to_value(rotated.kept.view(now)).map_err(ApiError::internal)?;
    rotation::answer(view, &rotated, now)
}
