//! Logins as JSON, a step at a time: for scripts of the tower's pages, and for programs that bring pages of their own.
//!
//! A script of the tower's own pages has its login in a cookie, and sends `X-Form-Token` with what the step before answered as
//! `form-token`. A program sends the `login` of the step before in the body, there are no cookies then, and in the end it gets a token.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use keyward_approle::TokenView;
use keyward_config_values::Name;
use keyward_webauthn_login::{
    AuthenticationResponse, Callback, LoginUrl, Method, NextPath, PasskeyName, Reason, RegistrationResponse,
};
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{
    body::JsonBody,
    error::{Answer, ApiError},
    params::Path,
    peer::Peer,
};
use crate::{
    app::App,
    login::{self, Action, At, Browser, Cookie, Granted, Reached},
};

/// Whose login it is: of a script, with cookies, or of a program.
fn browser(headers: &axum::http::HeaderMap, Peer(source): Peer, login: Option<Zeroizing<String>>) -> Browser {
    match login {
        Some(login) => Browser::embedder(source, Some(login).filter(|login| !login.is_empty())),
        None => Browser::of(headers, source),
    }
}

fn forged(reason: Reason) -> ApiError {
    ApiError::new(axum::http::StatusCode::FORBIDDEN, reason.to_string()).with_info(json!({"code": reason.code()}))
}

/// `POST /v1/login/flow`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct BeginBody {
    /// The tenant in which it is to end.
    tenant: Option<Name>,
    /// A login URL, `/login/<tenant>/<email>`, to begin where it says.
    login_url: Option<String>,
    /// Where to go afterwards.
    next: Option<String>,
    /// Of a program with pages of its own: no cookies, and a token in the end.
    embedder: bool,
}

/// `POST /v1/login/flow {tenant?, login-url?, next?, embedder?}`: begins a login.
///
/// # Errors
/// 400; 403 for a request that another site made.
pub async fn begin(
    State(app): State<Arc<App>>,
    peer: Peer,
    headers: axum::http::HeaderMap,
    JsonBody(body): JsonBody<Option<BeginBody>>,
) -> Answer {
    let BeginBody { tenant, login_url, next, embedder } = body.unwrap_or_default();
    let browser = browser(&headers, peer, embedder.then(Zeroizing::default));
    if !browser.is_embedder() {
        browser.check_site(&app).map_err(forged)?;
    }
    let invalid = |error: keyward_webauthn_login::Error| ApiError::invalid(error.to_string());
    let next: NextPath = next.map(|next| next.parse().map_err(invalid)).transpose()?.unwrap_or_default();
    let reached = match login_url {
        Some(url) => {
            let url: LoginUrl = url.parse().map_err(invalid)?;
            login::begin_at(&app, &browser, &url, next).await?
        }
        None => login::begin(&app, &browser, tenant, next).await?,
    };
    Ok(answer_to(&browser, reached))
}

/// `POST /v1/login/flow/<step>`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StepBody {
    login: Option<Zeroizing<String>>,
    email: Option<String>,
    tenant: Option<String>,
    password: Option<Zeroizing<String>>,
    code: Option<Zeroizing<String>>,
    response: Option<Value>,
    name: Option<String>,
    method: Option<Method>,
    provider: Option<Name>,
    callback: Option<Callback>,
    redirect_uri: Option<String>,
}

/// `POST /v1/login/flow/<step>`: takes a step of the login that is under way.
///
/// | step | body |
/// |---|---|
/// | `current` | |
/// | `identify` | `email`, `tenant?` |
/// | `password` | `password`: to prove it, or to set it |
/// | `passkey` | `response`, of `navigator.credentials.get` |
/// | `totp` | `code`: to prove it, or to confirm a new application |
/// | `recovery-code` | `code` |
/// | `choose` | `tenant` |
/// | `enrol` | `method` to set up; then `response` of `navigator.credentials.create` and `name?` |
/// | `external` | `provider` |
/// | `callback` | `callback`: `state`, `code`, `iss?`, `error?`; `redirect-uri`, to which the browser came back |
/// | `skip`, `finish` | |
///
/// # Errors
/// 400; 403 for a request that another site made; 404; 429 after too many guesses.
pub async fn step(
    State(app): State<Arc<App>>,
    peer: Peer,
    Path(step): Path<String>,
    headers: axum::http::HeaderMap,
    JsonBody(body): JsonBody<StepBody>,
) -> Answer {
    let StepBody { login, email, tenant, password, code, response, name, method, provider, callback, redirect_uri } =
        body;
    let browser = browser(&headers, peer, login);
    let lacks = |field: &str| ApiError::invalid(format!("the step `{step}` needs `{field}`"));
    let unreadable = |error: serde_json::Error| ApiError::invalid(format!("`response`: {error}"));
    let action = match step.as_str() {
        "current" => return Ok(answer_to(&browser, login::current(&app, &browser).await?)),
        "identify" => {
            Action::Identify { email: email.ok_or_else(|| lacks("email"))?, tenant: tenant.unwrap_or_default() }
        }
        "password" => Action::Password(password.ok_or_else(|| lacks("password"))?),
        "passkey" => {
            let response: AuthenticationResponse =
                serde_json::from_value(response.ok_or_else(|| lacks("response"))?).map_err(unreadable)?;
            Action::Passkey(Box::new(response))
        }
        "totp" => Action::Code(code.ok_or_else(|| lacks("code"))?),
        "recovery-code" => Action::RecoveryCode(code.ok_or_else(|| lacks("code"))?),
        "choose" => {
            let tenant = tenant.ok_or_else(|| lacks("tenant"))?;
            Action::Choose(tenant.parse().map_err(|error| ApiError::invalid(format!("tenant: {error}")))?)
        }
        "enrol" => match (method, response) {
            (Some(method), None) => Action::SetUp(method),
            (None, Some(response)) => {
                let response: RegistrationResponse = serde_json::from_value(response).map_err(unreadable)?;
                let name: PasskeyName = match name {
                    Some(name) => name
                        .parse()
                        .map_err(|error: keyward_webauthn_login::Error| ApiError::invalid(error.to_string()))?,
                    None => PasskeyName::default(),
                };
                Action::Register(Box::new(response), name)
            }
            _ => return Err(lacks("method` or `response")),
        },
        "external" => Action::External(provider.ok_or_else(|| lacks("provider"))?),
        "callback" => Action::Callback {
            callback: callback.ok_or_else(|| lacks("callback"))?,
            at: redirect_uri.ok_or_else(|| lacks("redirect-uri"))?,
        },
        "skip" => Action::Skip,
        "finish" => Action::Finish,
        _ => return Err(ApiError::not_found(format_args!("the step `{step}`"))),
    };
    browser.check(&app, None).map_err(forged)?;
    Ok(answer_to(&browser, login::act(&app, &browser, &action).await?))
}

/// `POST /v1/login/enrolment-link {link, embedder?}`: opens an enrolment link, which uses it up.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LinkBody {
    link: Zeroizing<String>,
    #[serde(default)]
    embedder: bool,
}

/// `POST /v1/login/enrolment-link`.
///
/// # Errors
/// 403 for a request that another site made.
pub async fn open_link(
    State(app): State<Arc<App>>,
    peer: Peer,
    headers: axum::http::HeaderMap,
    JsonBody(body): JsonBody<LinkBody>,
) -> Answer {
    let browser = browser(&headers, peer, body.embedder.then(Zeroizing::default));
    if !browser.is_embedder() {
        browser.check_site(&app).map_err(forged)?;
    }
    Ok(answer_to(&browser, login::open_link(&app, &browser, &body.link).await?))
}

/// A program has no cookies.
fn answer_to(browser: &Browser, mut reached: Reached) -> Response {
    if browser.is_embedder() {
        reached.cookies.clear();
    }
    answer(reached)
}

/// Where a login stands, as JSON with its cookies.
pub fn answer(reached: Reached) -> Response {
    let Reached { at, told, recovery_codes, signal, cookies, form_token, login, .. } = reached;
    let mut body = match at {
        At::Page(page) => json!({ "state": "continue", "page": page }),
        At::Over => json!({ "state": "over" }),
        At::LoggedIn(logged_in) => {
            let mut body = json!({
                "state": "logged-in",
                "email": logged_in.identity.email,
                "tenant": logged_in.identity.tenant,
                "next": logged_in.next,
            });
            if let Some(Granted { token, record, now }) = &logged_in.token {
                let view = serde_json::to_value(TokenView::new(record, *now).with_token(token));
                set(&mut body, "token", view.unwrap_or_default());
            }
            body
        }
    };
    if let Some(told) = told {
        set(&mut body, "error-message", told.into());
    }
    if !recovery_codes.is_empty() {
        let codes: Vec<&str> = recovery_codes.iter().map(|code| code.as_str()).collect();
        set(&mut body, "recovery-codes", json!(codes));
    }
    if let Some(signal) = signal {
        set(&mut body, "signal", json!(signal));
    }
    if !form_token.is_empty() {
        set(&mut body, "form-token", form_token.into());
    }
    if let Some(login) = login {
        set(&mut body, "login", login.as_str().into());
    }
    let mut answer = ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response();
    Cookie::set_all(&cookies, answer.headers_mut());
    answer
}

fn set(body: &mut Value, field: &str, value: Value) {
    if let Some(body) = body.as_object_mut() {
        body.insert(field.to_owned(), value);
    }
}
