//! Logins of command lines through a browser: the page that asks, and the exchange.

use std::sync::Arc;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use keyward_approle::TokenView;
use keyward_config_tree::strict;
use maud::html;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    body::JsonBody,
    error::{Answer, ApiError},
    pages::{Posted, Reader, Shown, account, log_in_first},
    params::Query,
    peer::Peer,
    token,
};
use crate::{
    app::App,
    login::{
        Granted,
        cli::{self, Asked},
    },
    pages::{component, layout::Page},
};

/// `GET /cli?port=&challenge=&state=&host=`: who asks for what, and a button. Whoever has no session logs in first.
///
/// # Errors
/// 400; those of the store.
pub async fn ask(State(app): State<Arc<App>>, Query(asked): Query<Asked>, reader: Result<Reader, Response>) -> Shown {
    asked.check()?;
    let Reader(session) = match reader {
        Ok(reader) => reader,
        Err(away) => return Ok(away),
    };
    let identity = session.user.value.record().identity();
    let fields = [
        ("port", asked.port.to_string()),
        ("challenge", asked.challenge.clone()),
        ("state", asked.state.clone()),
        ("host", asked.host.clone()),
    ];
    let main = html! {
        div class="card stack-l" {
            h1 { "Log in on the command line?" }
            p {
                "A program on this computer"
                @if !asked.host.is_empty() { ", which calls itself " strong { (asked.host) } "," }
                " asks for a token of " strong { (identity.email) } " in " strong { (identity.tenant) } "."
            }
            p class="muted" {
                "Allow it only if you have just started " code { "supctl login" } " yourself. It can do what you can do."
            }
            (component::form(cli::PATH, &session.form_token(&app), &html! {
                @for (name, value) in &fields { input type="hidden" name=(name) value=(value); }
                button class="button full" { "Allow" }
            }))
            a class="button quiet full" href="/" { "No" }
        }
    };
    Ok(Page::single("Log in on the command line", &main).into_response())
}

/// `POST /cli`: the click. The browser goes on to the program, on its own machine. Whoever logged in a while ago does so again first, and
/// comes back to the question.
///
/// # Errors
/// 400, 403; those of the store.
pub async fn allow(State(app): State<Arc<App>>, posted: Posted) -> Shown {
    let Some(session) = posted.session(&app, cli::PATH).await? else { return Ok(log_in_first("/")) };
    let fields = ["port", "challenge", "state", "host"].map(|name| (name, posted.get(name)));
    let [(_, port), ..] = fields;
    let port: u16 = port.parse().map_err(|_| ApiError::invalid("`port` is no port"))?;
    let mut asked = json!({ "port": port });
    for (name, value) in fields.into_iter().skip(1) {
        if let Some(asked) = asked.as_object_mut() {
            asked.insert(name.to_owned(), value.into());
        }
    }
    let asked =
        Asked::deserialize(strict::Reader::new(&asked)).map_err(|_| ApiError::invalid("the form is not whole"))?;
    let url = match cli::allow(&app, &session, &asked).await {
        Err(error) if account::is_step_up(&error) => {
            let Asked { port, challenge, state, host } = &asked;
            let back = format!("{}?port={port}&challenge={challenge}&state={state}&host={host}", cli::PATH);
            return account::step_up(&app, &session, &back).await;
        }
        url => url?,
    };
    let main = html! {
        div class="card stack-l" {
            h1 { "You are logged in there" }
            p { "The command line goes on by itself. You can close this page." }
            a class="button quiet full" href=(*url) { "Send it again" }
        }
    };
    Ok(Page::leading_to(&url, "Logged in on the command line", &main).into_response())
}

/// `POST /v1/login/cli`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExchangeBody {
    code: Zeroizing<String>,
    verifier: Zeroizing<String>,
}

/// `POST /v1/login/cli {code, verifier}`: a token for what the click sent.
///
/// # Errors
/// 401 with one text for every reason.
pub async fn exchange(
    State(app): State<Arc<App>>,
    Peer(source): Peer,
    JsonBody(body): JsonBody<ExchangeBody>,
) -> Answer {
    let (Granted { token, record, now }, identity) = cli::exchange(&app, source, &body.code, &body.verifier).await?;
    let view = TokenView::new(&record, now).with_token(&token);
    let mut answer = serde_json::to_value(view).map_err(ApiError::internal)?;
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("username".to_owned(), identity.email.as_str().into());
        answer.insert("tenant".to_owned(), identity.tenant.as_str().into());
    }
    Ok((StatusCode::OK, token::answer(&answer)).into_response())
}
