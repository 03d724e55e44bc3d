//! The account page, and what its forms ask for: the functions of [`crate::login::account`].

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use keyward_webauthn_login::{MAX_PASSKEYS, Method, NextPath, Password, Signal};
use serde::Deserialize;
use serde_json::json;

use super::{Form, Posted, Reader, Shown, at_field, in_words, login::DIFFERENT, see_other, told, viewer};
use crate::{
    app::App,
    http::{
        error::{Answer, ApiError},
        params::{Path, Query},
    },
    login::{
        self, Cookie, Session,
        account::{Account, Changed},
    },
    pages::{account as view, component::listed, enrol, form::Wrong, problem::Problem},
};

const PATH: &str = "/account";

/// Where whoever had to prove themselves again comes back to. What they had asked for was not done: their form is gone by then.
const CONFIRMED: &str = "/account?done=confirmed";

/// `?done=`: what a form came to, by its name.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    done: String,
}

/// What was done, in words. Whoever makes up a name gets none.
fn done(name: &str) -> Option<&'static str> {
    Some(match name {
        "passkey-renamed" => "The passkey has another name.",
        "passkey-removed" => "The passkey was removed. Your other sessions have ended.",
        "password" => "The password was changed. Your other sessions have ended.",
        "totp-removed" => "The one-time password was removed. Your other sessions have ended.",
        "remembered" => "This browser remembers the login.",
        "forgotten" => "This browser does not remember the login any more.",
        "session-ended" => "That session has ended.",
        "sessions-ended" => "Your other sessions have ended.",
        "confirmed" => "You have confirmed that it is you. Nothing was changed yet: do now what you wanted to do.",
        _ => return None,
    })
}

/// `GET /account`.
///
/// # Errors
/// Those of the store.
pub async fn show(State(app): State<Arc<App>>, Reader(session): Reader, Query(asked): Query<Asked>) -> Shown {
    Ok(page(&app, session, (None, None), done(&asked.done)).await?)
}

async fn page(
    app: &App,
    session: Session,
    (problem, wrong): (Option<Problem>, Option<Wrong>),
    done: Option<&'static str>,
) -> Answer<Response> {
    let viewer = viewer(app, &session).await?;
    let account = Account::from(session);
    let seen = account.view(app)?;
    let user = account.user.value.record();
    let passkeys = user.passkeys().map(|passkey| view::Passkey {
        id: passkey.id.to_string(),
        name: passkey.name.to_string(),
        created: passkey.created,
        last_used: passkey.last_used,
        synchronized: passkey.synchronized,
        backed_up: passkey.backed_up,
    });
    let sessions = account.sessions(app).await?.into_iter().map(|session| view::Session {
        method: in_words(&session.authenticator, session.proofs.iter().copied()),
        id: session.id,
        client: session.client.as_ref().map(ToString::to_string),
        address: session.client.and_then(|client| client.address).map(|address| address.to_string()),
        begun: session.authenticated,
        seen: session.seen,
        current: session.current,
    });
    // At each look, so that a password manager that missed one hears of it (W3C WebAuthn §5.1.10).
    let party = app.realm.relying_party();
    let signals: [Signal; 2] = [user.accepted_passkeys(party), user.current_details(party)];
    let account = view::Account {
        problem,
        wrong,
        done,
        enforced: methods(&seen.enforced_methods),
        keeps: view::Keeps {
            totp: seen.enforced_methods.contains(&Method::Totp),
            passkey: seen.enforced_methods.contains(&Method::Passkey),
        },
        policies: seen.policies.iter().map(ToString::to_string).collect(),
        has_password: seen.has_password,
        min_length: Password::MIN_CHARS,
        passkeys: passkeys.collect(),
        most_passkeys: MAX_PASSKEYS,
        has_totp: seen.has_totp,
        recovery_codes: seen.recovery_codes_left,
        sessions: sessions.collect(),
        signals: json!(signals).to_string(),
    };
    Ok(account.page(&viewer).into_response())
}

/// Methods in words.
pub(super) fn methods(methods: &BTreeSet<Method>) -> String {
    listed(methods.iter().copied().map(word))
}

/// A method in words.
pub(super) fn word(method: Method) -> &'static str {
    match method {
        Method::Password => "password",
        Method::Totp => "one-time password",
        Method::Passkey => "passkey",
    }
}

/// `GET` of what a form of the page left behind as its address: back to the page.
pub async fn back() -> Response {
    see_other(PATH, &[])
}

/// `POST /account/<what>`: a form of the page.
///
/// # Errors
/// 403 for a form of elsewhere; 404 for no form; those of the store.
pub async fn act(State(app): State<Arc<App>>, Path(what): Path<String>, form: Form) -> Shown {
    run(&app, &what, form).await
}

/// `POST /account/<what>/<how>`: the same.
///
/// # Errors
/// As [`act`].
pub async fn act_on(State(app): State<Arc<App>>, Path((what, how)): Path<(String, String)>, form: Form) -> Shown {
    run(&app, &format!("{what}/{how}"), form).await
}

async fn run(app: &App, what: &str, Form { session, posted }: Form) -> Shown {
    let account = Account::from(session.clone());
    let asked = match what {
        "set-up" => return begin_set_up(app, &session, &posted).await,
        "remember" => {
            let on = posted.get("remember") == "yes";
            Ok((if on { "remembered" } else { "forgotten" }, account.remember(app, on)))
        }
        what => change(app, &account, what, &posted).await,
    };
    match asked {
        Ok((name, changed)) => Ok(changed_to(name, changed)),
        Err(error) if is_step_up(&error) => step_up(app, &session, CONFIRMED).await,
        Err(error) if error.status().is_client_error() && error.status() != StatusCode::UNAUTHORIZED => {
            let wrong = Wrong::found(&error, &["current", "password", "repeated"]);
            let problem = match &wrong {
                Some(_) => Problem("the password was not changed: look at what is marked below".to_owned()),
                None => told(&error),
            };
            let mut response = page(app, session, (Some(problem), wrong), None).await?;
            *response.status_mut() = error.status();
            Ok(response)
        }
        Err(error) => Err(error.into()),
    }
}

async fn change(app: &App, account: &Account, what: &str, posted: &Posted) -> Answer<(&'static str, Changed)> {
    let passkey = || posted.get("id").parse().map_err(|_| ApiError::not_found("the passkey"));
    Ok(match what {
        "passkeys/rename" => {
            let name = posted.get("name").parse();
            let name = name.map_err(|error: keyward_webauthn_login::Error| ApiError::invalid(error.to_string()))?;
            ("passkey-renamed", account.rename_passkey(app, &passkey()?, &name).await?)
        }
        "passkeys/remove" => ("passkey-removed", account.remove_passkey(app, &passkey()?).await?),
        "password" if posted.get("password") != posted.get("repeated") => {
            return Err(at_field("repeated", ApiError::invalid(DIFFERENT)));
        }
        "password" => {
            let changed = account.change_password(app, posted.get("current"), posted.get("password")).await;
            let changed = changed.map_err(|error| match error.status() {
                StatusCode::BAD_REQUEST => at_field("password", error),
                StatusCode::FORBIDDEN if !is_step_up(&error) => at_field("current", error),
                _ => error,
            });
            ("password", changed?)
        }
        "totp/remove" => ("totp-removed", account.remove_totp(app).await?),
        "recovery-codes" => ("", account.new_recovery_codes(app).await?),
        "sessions/end" => {
            let id = posted.get("id").parse().map_err(|_| ApiError::not_found("the session"))?;
            ("session-ended", account.end_session(app, &id).await?)
        }
        "sessions/end-others" => ("sessions-ended", account.end_other_sessions(app).await?),
        what => return Err(ApiError::not_found(format_args!("the form `{what}`"))),
    })
}

fn changed_to(name: &str, changed: Changed) -> Response {
    let codes: Vec<&str> = changed.recovery_codes.iter().map(|code| code.as_str()).collect();
    if codes.is_empty() {
        return see_other(&format!("{PATH}?done={name}"), &changed.cookies);
    }
    let mut response = enrol::RecoveryCodes { codes: &codes, next: PATH }.page().into_response();
    Cookie::set_all(&changed.cookies, response.headers_mut());
    response
}

async fn begin_set_up(app: &App, session: &Session, posted: &Posted) -> Shown {
    let method = match posted.get("method") {
        "totp" => Method::Totp,
        _ => Method::Passkey,
    };
    match login::set_up(app, session, method, next(PATH)).await {
        Ok(reached) => super::login::moved_on(app, &session.browser, reached),
        Err(error) if is_step_up(&error) => step_up(app, session, CONFIRMED).await,
        Err(error) => Err(error.into()),
    }
}

fn next(path: &str) -> NextPath {
    path.parse().unwrap_or_default()
}

/// Whether it needs a recent login.
pub(in crate::http) fn is_step_up(error: &ApiError) -> bool {
    error.info().is_some_and(|info| info.get("code").is_some_and(|code| code == "step-up"))
}

/// The reader proves themselves again, and comes back.
pub(in crate::http) async fn step_up(app: &App, session: &Session, path: &str) -> Shown {
    let reached = login::step_up(app, session, next(path)).await?;
    super::login::moved_on(app, &session.browser, reached)
}
