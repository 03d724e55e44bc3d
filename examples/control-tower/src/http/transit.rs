//! Key rings: state and operations.

use std::sync::Arc;

use axum::{Json, extract::State, response::IntoResponse as _};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use keyward_config_values::Name;
use keyward_transit::{Error, Ring};
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    body::JsonBody,
    caller::Caller,
    error::{Answer, ApiError, Status},
    params::Path,
    rotation::{self, RotateBody},
    token,
};
use crate::{app::App, db::Stored, identity, random, rings};

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        if error.is_conflict() {
            return Self::conflict(error.to_string());
        }
        Self::new(Status::from(error.kind()).0, error.to_string())
    }
}

async fn named(app: &App, caller: &Caller, name: &str) -> Answer<Stored<Arc<Ring>>> {
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

/// Base64 in a body, cleared when dropped.
struct Bytes(Zeroizing<Vec<u8>>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes =
            STANDARD.decode(text.as_bytes()).map_err(|_| serde::de::Error::custom("it is not base64 (RFC 4648 §4)"))?;
        Ok(Self(Zeroizing::new(bytes)))
    }
}

/// `encrypt`: the plaintext, and data that decryption must repeat.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EncryptBody {
    plaintext: Bytes,
    associated_data: Option<Bytes>,
}

/// `decrypt` and `rewrap`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DecryptBody {
    ciphertext: String,
    associated_data: Option<Bytes>,
}

fn associated(data: Option<&Bytes>) -> &[u8] {
    data.map_or(&[], |data| &data.0)
}

/// `POST …/<name>/encrypt {plaintext, associated-data?}`, both base64.
///
/// # Errors
/// 404; 422 when the ring does not encrypt.
pub async fn encrypt(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<EncryptBody>,
) -> Answer {
    let ring = named(&app, &caller, &name).await?;
    let data = associated(body.associated_data.as_ref());
    let ciphertext = ring.value.encrypt(&body.plaintext.0, data, &mut random::rng(), app.clock.now())?;
    app.metrics.transit("encrypt");
    Ok(token::answer(&json!({ "ciphertext": ciphertext })))
}

/// `POST …/<name>/decrypt {ciphertext, associated-data?}`.
///
/// # Errors
/// 404; 422 with one text whatever is wrong with the ciphertext.
pub async fn decrypt(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<DecryptBody>,
) -> Answer {
    let ring = named(&app, &caller, &name).await?;
    let plaintext = ring.value.decrypt(&body.ciphertext, associated(body.associated_data.as_ref()))?;
    app.metrics.transit("decrypt");
    Ok(token::answer(&json!({ "plaintext": STANDARD.encode(&plaintext) })))
}

/// `POST …/<name>/rewrap {ciphertext, associated-data?}`: the same under the active version.
///
/// # Errors
/// As [`decrypt`].
pub async fn rewrap(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<DecryptBody>,
) -> Answer {
    let ring = named(&app, &caller, &name).await?;
    let data = associated(body.associated_data.as_ref());
    let ciphertext = ring.value.rewrap(&body.ciphertext, data, &mut random::rng(), app.clock.now())?;
    app.metrics.transit("rewrap");
    Ok(token::answer(&json!({ "ciphertext": ciphertext })))
}

/// `sign`: the message.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SignBody {
    input: Bytes,
}

/// `verify`: the message and its signature.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct VerifyBody {
    input: Bytes,
    signature: String,
}

/// `POST …/<name>/sign {input}`, base64.
///
/// # Errors
/// 404; 422 when the ring does not sign.
pub async fn sign(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<SignBody>,
) -> Answer {
    let ring = named(&app, &caller, &name).await?;
    let signature = ring.value.sign(&body.input.0, keyward_transit::SignOptions::default(), app.clock.now())?;
    app.metrics.transit("sign");
    Ok(Json(json!({ "signature": signature })).into_response())
}

/// `POST …/<name>/verify {input, signature}`.
///
/// # Errors
/// 404; 422 when the ring does not sign. A wrong signature is the answer `{"valid": false}`.
pub async fn verify(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<VerifyBody>,
) -> Answer {
    let ring = named(&app, &caller, &name).await?;
    let options = keyward_transit::SignOptions::default();
    let valid = match ring.value.verify(&body.input.0, &body.signature, options, app.clock.now()) {
        Ok(()) => true,
        Err(Error::SignatureRefused) => false,
        Err(error) => return Err(error.into()),
    };
    app.metrics.transit("verify");
    Ok(Json(json!({ "valid": valid })).into_response())
}

/// `POST …/<name>/rotate {compromised?}`. With `compromised` the active version ends by the commit that makes its successor,
/// which signs at once; the answer says until when verifiers may still hold what was dropped.
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
