//! The caller's own account, for users with a session or a token.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use keyward_webauthn_login::{Method, NextPath, PasskeyId, PasskeyName};
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{
    body::JsonBody,
    error::{Answer, ApiError},
    flow,
    params::Path,
};
use crate::{
    app::App,
    login::{
        self, Cookie,
        account::{Account, Changed},
    },
};

/// `GET /v1/account`.
///
/// # Errors
/// 422 for a workload.
pub async fn view(State(app): State<Arc<App>>, account: Account) -> Answer {
    let mut view = serde_json::to_value(account.view(&app)?).map_err(ApiError::internal)?;
    if let (Some(view), Some(session)) = (view.as_object_mut(), &account.session) {
        view.insert("form-token".to_owned(), session.form_token(&app).into());
    }
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(view)).into_response())
}

/// `PATCH /v1/account/passkeys/<id>`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct NameBody {
    name: PasskeyName,
}

/// `PATCH /v1/account/passkeys/<id> {name}`.
///
/// # Errors
/// 404.
pub async fn rename_passkey(
    State(app): State<Arc<App>>,
    account: Account,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<NameBody>,
) -> Answer {
    answer(account.rename_passkey(&app, &passkey(&id)?, &body.name).await?)
}

/// `DELETE /v1/account/passkeys/<id>`: the answer has what to tell the browser's password manager.
///
/// # Errors
/// 403 without a recent login; 404; 422.
pub async fn remove_passkey(State(app): State<Arc<App>>, account: Account, Path(id): Path<String>) -> Answer {
    answer(account.remove_passkey(&app, &passkey(&id)?).await?)
}

fn passkey(id: &str) -> Answer<PasskeyId> {
    id.parse().map_err(|_| ApiError::not_found("the passkey"))
}

/// `POST /v1/account/password`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PasswordBody {
    #[serde(default)]
    current: Zeroizing<String>,
    new: Zeroizing<String>,
}

/// `POST /v1/account/password {current, new}`. Other sessions end, and tokens.
///
/// # Errors
/// 400, 403, 429.
pub async fn change_password(
    State(app): State<Arc<App>>,
    account: Account,
    JsonBody(body): JsonBody<PasswordBody>,
) -> Answer {
    answer(account.change_password(&app, &body.current, &body.new).await?)
}

/// `POST /v1/account/set-up`, `POST /v1/account/step-up`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SetUpBody {
    method: Option<Method>,
    next: Option<String>,
}

impl SetUpBody {
    fn next(&self) -> Answer<NextPath> {
        let parsed = self.next.as_deref().map(str::parse).transpose();
        Ok(parsed
            .map_err(|error: keyward_webauthn_login::Error| ApiError::invalid(error.to_string()))?
            .unwrap_or_default())
    }
}

const NO_SESSION: &str = "this goes on in a browser: log in there";

/// `POST /v1/account/set-up {method, next?}`: begins to set up a passkey or a one-time password; it goes on with the steps of
/// `/v1/login/flow`.
///
/// # Errors
/// 403 without a recent login; 422 without a session.
pub async fn set_up(State(app): State<Arc<App>>, account: Account, JsonBody(body): JsonBody<SetUpBody>) -> Answer {
    let session = account.session.as_ref().ok_or_else(|| ApiError::inapplicable(NO_SESSION))?;
    let method = body.method.ok_or_else(|| ApiError::invalid("`method` is `password`, `totp` or `passkey`"))?;
    Ok(flow::answer(login::set_up(&app, session, method, body.next()?).await?))
}

/// `POST /v1/account/step-up {next?}`: begins a login inside the session, for what needs a recent one.
///
/// # Errors
/// 422 without a session.
pub async fn step_up(
    State(app): State<Arc<App>>,
    account: Account,
    JsonBody(body): JsonBody<Option<SetUpBody>>,
) -> Answer {
    let session = account.session.as_ref().ok_or_else(|| ApiError::inapplicable(NO_SESSION))?;
    Ok(flow::answer(login::step_up(&app, session, body.unwrap_or_default().next()?).await?))
}

/// `DELETE /v1/account/totp`.
///
/// # Errors
/// 403 without a recent login; 422 where it is enforced.
pub async fn remove_totp(State(app): State<Arc<App>>, account: Account) -> Answer {
    answer(account.remove_totp(&app).await?)
}

/// `POST /v1/account/recovery-codes`.
///
/// # Errors
/// 403 without a recent login; 422 without a one-time password.
pub async fn recovery_codes(State(app): State<Arc<App>>, account: Account) -> Answer {
    answer(account.new_recovery_codes(&app).await?)
}

/// `GET /v1/account/sessions`.
///
/// # Errors
/// Those of the store.
pub async fn sessions(State(app): State<Arc<App>>, account: Account) -> Answer {
    Ok(Json(json!({ "sessions": account.sessions(&app).await? })).into_response())
}

/// `DELETE /v1/account/sessions`: all but the one that asks.
///
/// # Errors
/// Those of the store.
pub async fn end_other_sessions(State(app): State<Arc<App>>, account: Account) -> Answer {
    answer(account.end_other_sessions(&app).await?)
}

/// `DELETE /v1/account/sessions/<id>`.
///
/// # Errors
/// 404.
pub async fn end_session(State(app): State<Arc<App>>, account: Account, Path(id): Path<String>) -> Answer {
    let id = id.parse().map_err(|_| ApiError::not_found("the session"))?;
    answer(account.end_session(&app, &id).await?)
}

/// `POST /v1/account/log-out`: ends the session.
///
/// # Errors
/// 422 for a token.
pub async fn log_out(State(app): State<Arc<App>>, account: Account) -> Answer {
    answer(account.log_out(&app).await?)
}

/// `POST /v1/account/remember`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RememberBody {
    remember: bool,
}

/// `POST /v1/account/remember {remember}`: puts the login on the list of this browser, or takes it off.
///
/// # Errors
/// 422 without a session.
pub async fn remember(State(app): State<Arc<App>>, account: Account, JsonBody(body): JsonBody<RememberBody>) -> Answer {
    account.session.as_ref().ok_or_else(|| ApiError::inapplicable(NO_SESSION))?;
    answer(account.remember(&app, body.remember))
}

#[expect(clippy::unnecessary_wraps, reason = "the answer of a handler")]
fn answer(changed: Changed) -> Answer {
    let Changed { signal, cookies, form_token, recovery_codes } = changed;
    let mut body = serde_json::Map::new();
    if let Some(signal) = signal {
        body.insert("signal".to_owned(), json!(signal));
    }
    if let Some(form_token) = form_token {
        body.insert("form-token".to_owned(), form_token.into());
    }
    if !recovery_codes.is_empty() {
        let codes: Vec<Value> = recovery_codes.iter().map(|code| code.as_str().into()).collect();
        body.insert("recovery-codes".to_owned(), codes.into());
    }
    let mut answer: Response = ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response();
    Cookie::set_all(&cookies, answer.headers_mut());
    Ok(answer)
}
