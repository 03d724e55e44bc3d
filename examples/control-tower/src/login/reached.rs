//! Where a login stands after a step, as it is answered.

use keyward_webauthn_login::{AnyFlow, Identity, NextPath, Prompt, Reason, RememberedLogin, Signal};
use zeroize::Zeroizing;

use super::{
    browser::{Browser, CEREMONY, Cookie, token_of},
    providers,
    token::Granted,
};
use crate::{app::App, http::error::Answer};

/// Where a login stands after a step. It holds what is secret, and has no `Debug`.
pub struct Reached {
    /// Where.
    pub at: At,
    /// Why the step did not succeed, in words for the person.
    pub told: Option<String>,
    /// Recovery codes that were made: shown this once.
    pub recovery_codes: Vec<Zeroizing<String>>,
    /// What the page's script tells the browser's password manager.
    pub signal: Option<Signal>,
    /// What the browser is to keep.
    pub cookies: Vec<Cookie>,
    /// For the forms of the page: the field `form-token`, or the header `X-Form-Token`.
    pub form_token: String,
    /// The token of the login, for a program with pages of its own.
    pub login: Option<Zeroizing<String>>,
    /// Whom it is of, as far as that was said: an address, and a tenant.
    pub who: Option<(String, Option<String>)>,
    /// Whether it goes on inside a session.
    pub inside_session: bool,
}

/// Where.
#[expect(clippy::large_enum_variant, reason = "there is one for each request")]
pub enum At {
    /// It goes on with this page: for people, and for programs the same as JSON.
    Page(Prompt),
    /// It is through.
    LoggedIn(LoggedIn),
    /// It is over; it can be begun again.
    Over,
}

/// A login that is through.
#[derive(Debug)]
pub struct LoggedIn {
    /// Who.
    pub identity: Identity,
    /// Where to go.
    pub next: NextPath,
    /// What [`super::account::Account::remember`] puts on the list, if the user wants it so.
    pub remember: RememberedLogin,
    /// For a program: the token, in place of a session.
    pub token: Option<Granted>,
}

impl Reached {
    /// A login that is over.
    pub(super) fn over(reason: Reason) -> Self {
        Self {
            at: At::Over,
            told: Some(reason.told().to_owned()),
            recovery_codes: Vec::new(),
            signal: None,
            cookies: vec![Cookie::dropped(CEREMONY)],
            form_token: String::new(),
            login: None,
            who: None,
            inside_session: false,
        }
    }

    /// A login that stands somewhere.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn at(app: &App, browser: &Browser, flow: &AnyFlow, told: Option<String>) -> Answer<Self> {
        let cookie = browser.ceremony.as_deref().map_or("", String::as_str);
        Ok(Self {
            at: At::of(app, flow).await?,
            told,
            cookies: Vec::new(),
            form_token: token_of(app, cookie),
            login: browser.ceremony.clone().filter(|_| browser.is_embedder()),
            who: who(flow),
            inside_session: flow.session().is_some(),
            ..Self::over(Reason::Expired)
        })
    }
}

impl At {
    /// The page of a login that goes on.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn of(app: &App, flow: &AnyFlow) -> Answer<Self> {
        let authenticators = match flow {
            AnyFlow::Identified(_) | AnyFlow::AtProvider(_) => providers::offered(app, flow.tenant()).await?,
            _ => Vec::new(),
        };
        Ok(Self::Page(flow.prompt(&app.realm, authenticators)))
    }
}

/// Whom a login is of, as far as that was proved or said.
pub(super) fn who(flow: &AnyFlow) -> Option<(String, Option<String>)> {
    if let AnyFlow::Choosing(flow) = flow {
        return flow.email().map(|email| (email.to_string(), None));
    }
    flow.identity().map(|identity| (identity.email.to_string(), Some(identity.tenant.to_string())))
}
