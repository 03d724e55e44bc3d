//! A login in a browser: the functions of [`crate::login`] decide, and say where it stands; here is which page that is.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use keyward_config_values::Name;
use keyward_webauthn_login::{
    Authenticator, Callback, Email, LoginUrl, Method, NextPath, Offered, PasskeyName, Prompt, Reason,
};
use serde::{Deserialize, Serialize};

use super::{Posted, Shown, see_other};
use crate::{
    app::{Actor, App},
    http::{
        error::{Answer, ApiError},
        params::{Path, Query},
        peer::Peer,
    },
    login::{self, Action, At, Browser, Cookie, Reached, Session, account::forget_login},
    pages::{
        enrol,
        form::Wrong,
        layout::Page,
        login as view,
        problem::{Failed, Problem},
        proof,
        step::{Step, Who},
    },
};

/// `?next=&as=&with=` of the first page.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    next: Option<String>,
    /// `other`: as somebody else than those who are remembered, or than whom the login that is under way is of.
    #[serde(rename = "as")]
    who: Option<String>,
    /// The authenticator that was chosen; empty to choose again.
    with: Option<String>,
}

impl Asked {
    /// Where to go afterwards: inside the tower, or to the overview.
    fn next(&self) -> NextPath {
        self.next.as_deref().and_then(|next| next.parse().ok()).unwrap_or_default()
    }
}

/// `GET /login`: where the login stands that is under way; those that the browser remembers; or the first page.
///
/// # Errors
/// Those of the store.
pub async fn show(
    State(app): State<Arc<App>>,
    Peer(source): Peer,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Shown {
    let browser = Browser::of(&headers, source);
    let anew = asked.who.is_some();
    if !anew && browser.ceremony.is_some() {
        let reached = login::current(&app, &browser).await?;
        let is_elsewhere = matches!(&reached.at, At::Page(page) if !matches!(page, Prompt::Identity { .. }));
        // One that waits for a proof goes on, unless another page sent the reader here.
        if is_elsewhere && asked.next.is_none() {
            return answer(&app, &browser, reached, asked.with.as_deref());
        }
    }
    if !anew && let Some(session) = Session::find(&app, &browser, "/login").await? {
        drop(session);
        return Ok(see_other(asked.next().as_str(), &[]));
    }
    let reached = login::begin(&app, &browser, None, asked.next()).await?;
    let remembered = browser.remembered(&app);
    if anew || remembered.iter().next().is_none() {
        return answer(&app, &browser, reached, None);
    }
    let logins: Vec<(String, String, String, String)> = remembered
        .iter()
        .map(|login| {
            let authenticator = match &login.authenticator {
                Authenticator::Strongbox => "Strongbox".to_owned(),
                Authenticator::External(name) => name.to_string(),
            };
            let identity = &login.identity;
            // As it is copied from here, without where this browser goes next.
            let url = match asked.next() {
                next if next == NextPath::default() => login.url().to_string(),
                next => {
                    let next: String = form_urlencoded::byte_serialize(next.as_str().as_bytes()).collect();
                    format!("{}?next={next}", login.url())
                }
            };
            (identity.email.to_string(), identity.tenant.to_string(), authenticator, url)
        })
        .collect();
    let logins: Vec<view::Remembered<'_>> = logins
        .iter()
        .map(|(email, tenant, authenticator, url)| view::Remembered { email, tenant, authenticator, url })
        .collect();
    let step = Step { token: &reached.form_token, problem: None };
    Ok(with_cookies(view::Select { step, logins: &logins }.page().into_response(), &reached.cookies))
}

/// `GET /login/<tenant>/<email>[/<authenticator>]`: filled in as the URL says; it logs nobody in.
///
/// # Errors
/// 400 for what is no login URL; those of the store.
pub async fn prefilled(
    State(app): State<Arc<App>>,
    Peer(source): Peer,
    uri: Uri,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Shown {
    let url: LoginUrl =
        uri.path().parse().map_err(|error: keyward_webauthn_login::Error| ApiError::invalid(error.to_string()))?;
    let browser = Browser::of(&headers, source);
    let reached = login::begin_at(&app, &browser, &url, asked.next()).await?;
    let with = url.authenticator.map(|authenticator| authenticator.to_string());
    answer(&app, &browser, reached, with.as_deref())
}

/// `GET /login/oidc/<tenant>/<provider>/callback`: what a provider sends the browser back with. It is the only step by a link, tied to the cookie and to its
/// `state`.
///
/// # Errors
/// Those of the store.
pub async fn callback(
    State(app): State<Arc<App>>,
    Peer(source): Peer,
    uri: Uri,
    Query(callback): Query<Callback>,
    headers: HeaderMap,
) -> Shown {
    let browser = Browser::of(&headers, source);
    let at = format!("{}{}", app.external_url, uri.path());
    let reached = login::act(&app, &browser, &Action::Callback { at, callback }).await?;
    moved_on(&app, &browser, reached)
}

/// `GET /login/<step>`: what a browser shows as its address after a form that did not work, opened again.
pub async fn back() -> Response {
    see_other("/login", &[])
}

/// `POST /login/<step>`: a form of one of the pages.
///
/// # Errors
/// 404 for no step; 403 for a form of elsewhere; 429; those of the store.
pub async fn step(State(app): State<Arc<App>>, Path(step): Path<String>, posted: Posted) -> Shown {
    let browser = &posted.browser;
    if let Err(reason) = browser.check(&app, posted.token()) {
        return Ok(forged(&app, browser, reason));
    }
    if step == "forget" {
        return Ok(forget(&app, &posted));
    }
    if step == "authenticator" && posted.get("authenticator") == "strongbox" {
        return Ok(see_other("/login?with=strongbox", &[]));
    }
    if step == "identify"
        && let Some(refused) = no_identity(&app, &posted).await?
    {
        return Ok(refused);
    }
    let action = match action(&step, &posted) {
        Some(Ok(action)) => action,
        Some(Err(told)) => return stay(&app, browser, &told, StatusCode::BAD_REQUEST).await,
        None => return Err(ApiError::not_found(format_args!("the step `{step}`")).into()),
    };
    match login::act(&app, browser, &action).await {
        Ok(reached) => moved_on(&app, browser, reached),
        Err(error) if error.status() == StatusCode::TOO_MANY_REQUESTS => {
            let mut response = stay(&app, browser, error.message(), error.status()).await?;
            let failed = Failed(error).into_response();
            for (name, value) in failed.headers().iter().filter(|(name, _)| **name == axum::http::header::RETRY_AFTER) {
                response.headers_mut().insert(name.clone(), value.clone());
            }
            Ok(response)
        }
        Err(error) => Err(error.into()),
    }
}

/// What a form asks for; `None` where there is no such form, and the reason where it makes no sense.
fn action(step: &str, posted: &Posted) -> Option<Result<Action, String>> {
    let text = |error: keyward_webauthn_login::Error| error.to_string();
    Some(match step {
        "identify" => {
            Ok(Action::Identify { email: posted.get("email").to_owned(), tenant: posted.get("tenant").to_owned() })
        }
        "passkey" => posted.get("response").parse().map(|response| Action::Passkey(Box::new(response))).map_err(text),
        "password" => Ok(Action::Password(posted.secret("password"))),
        "new-password" => match posted.get("password") == posted.get("repeated") {
            true => Ok(Action::Password(posted.secret("password"))),
            false => Err(DIFFERENT.to_owned()),
        },
        "totp" | "new-totp" => Ok(Action::Code(posted.secret("code"))),
        "recovery" => Ok(Action::RecoveryCode(posted.secret("recovery-code"))),
        "tenant" => posted.get("tenant").parse().map(Action::Choose).map_err(|_| Reason::CrossTenant.told().to_owned()),
        "authenticator" => {
            let name = posted.get("authenticator").parse();
            name.map(Action::External).map_err(|_| Reason::Unavailable.told().to_owned())
        }
        "set-up" => match posted.get("method") {
            "passkey" => Ok(Action::SetUp(Method::Passkey)),
            "totp" => Ok(Action::SetUp(Method::Totp)),
            _ => Err(Reason::NotOffered.told().to_owned()),
        },
        "new-passkey" => register(posted).map_err(text),
        "skip" => Ok(Action::Skip),
        "finish" => Ok(Action::Finish),
        _ => return None,
    })
}

/// Of two passwords that are to be the same.
pub const DIFFERENT: &str = "the two new passwords differ";

fn register(posted: &Posted) -> Result<Action, keyward_webauthn_login::Error> {
    let name = match posted.get("name").trim() {
        "" => PasskeyName::default(),
        name => name.parse()?,
    };
    Ok(Action::Register(Box::new(posted.get("response").parse()?), name))
}

/// Takes a login out of those that the browser remembers.
fn forget(app: &App, posted: &Posted) -> Response {
    let path = posted.get("login").split('?').next().unwrap_or_default();
    let logins = posted.browser.remembered(app);
    let found = logins.iter().find(|login| login.url().to_string() == path);
    let cookie = found.map(|login| forget_login(app, &posted.browser, login));
    see_other("/login", cookie.as_slice())
}

/// `GET /enrol/<link>`: a button. Whoever only fetches the page uses nothing up.
///
/// # Errors
/// None.
pub async fn enrolment(Path(link): Path<String>) -> Shown {
    let step = Step { token: "", problem: None };
    Ok(enrol::OpenLink { step, link: &link }.page().into_response())
}

/// `POST /enrol/<link>`: opens an enrolment link, which is used up by that.
///
/// # Errors
/// Those of the store.
pub async fn enrol(State(app): State<Arc<App>>, Path(link): Path<String>, posted: Posted) -> Shown {
    let browser = &posted.browser;
    if let Err(reason) = browser.check_site(&app) {
        return Ok(forged(&app, browser, reason));
    }
    let reached = login::open_link(&app, browser, &link).await?;
    moved_on(&app, browser, reached)
}

fn forged(app: &App, browser: &Browser, reason: Reason) -> Response {
    if let Some(source) = browser.source {
        app.refuse(Actor::stranger(app, source).refused("login", reason.code(), app.clock.now()));
    }
    let problem = Problem(reason.told().to_owned());
    view::Over { problem: &problem }.page().with_status(StatusCode::FORBIDDEN).into_response()
}

/// What cannot be an address or a tenant is refused at its field, by its form alone: whether somebody is there is not looked for. `None`
/// where it could be one, or where nobody is asked for it.
async fn no_identity(app: &App, posted: &Posted) -> Answer<Option<Response>> {
    let (email, tenant) = (posted.get("email").trim(), posted.get("tenant").trim());
    let Some(wrong) = wrong_identity(email, tenant) else { return Ok(None) };
    let reached = login::current(app, &posted.browser).await?;
    let At::Page(Prompt::Identity { autofill, tenant: fixed }) = &reached.at else { return Ok(None) };
    let autofill = json(autofill);
    let step = Step { token: &reached.form_token, problem: None };
    let has_remembered = posted.browser.remembered(app).iter().next().is_some();
    let first = identity(step, fixed.as_ref(), &autofill, has_remembered);
    let tenant = if fixed.is_some() { first.tenant } else { tenant };
    let page = view::Identity { email, tenant, wrong: Some(&wrong), ..first }.page();
    Ok(Some(with_cookies(page.with_status(StatusCode::BAD_REQUEST).into_response(), &reached.cookies)))
}

/// What of it is none; a tenant is left out, or read without regard to case.
fn wrong_identity(email: &str, tenant: &str) -> Option<Wrong> {
    let wrong = |field: &str, message: String| Some(Wrong { field: field.to_owned(), message });
    if let Err(error) = email.parse::<Email>() {
        return wrong("email", error.to_string());
    }
    match tenant.to_ascii_lowercase().parse::<Name>() {
        Err(error) if !tenant.is_empty() => wrong("tenant", error.to_string()),
        _ => None,
    }
}

/// The login stands where it stood, and the page says why.
async fn stay(app: &App, browser: &Browser, told: &str, status: StatusCode) -> Shown {
    let mut reached = login::current(app, browser).await?;
    if matches!(reached.at, At::Page(_)) {
        reached.told = Some(told.to_owned());
    }
    Ok(shown(app, browser, reached, None, status)?)
}

/// After a step: to the page of the next one, if it succeeded.
pub(super) fn moved_on(app: &App, browser: &Browser, reached: Reached) -> Shown {
    let codes: Vec<&str> = reached.recovery_codes.iter().map(|code| code.as_str()).collect();
    if !codes.is_empty() {
        let next = match &reached.at {
            At::LoggedIn(through) => through.next.as_str(),
            _ => "/login",
        };
        return Ok(with_cookies(enrol::RecoveryCodes { codes: &codes, next }.page().into_response(), &reached.cookies));
    }
    match (&reached.at, &reached.told) {
        (At::LoggedIn(through), _) => Ok(see_other(through.next.as_str(), &reached.cookies)),
        (At::Page(_), None) => Ok(see_other("/login", &reached.cookies)),
        _ => Ok(shown(app, browser, reached, None, StatusCode::UNAUTHORIZED)?),
    }
}

fn answer(app: &App, browser: &Browser, reached: Reached, with: Option<&str>) -> Shown {
    match &reached.at {
        At::LoggedIn(through) => Ok(see_other(through.next.as_str(), &reached.cookies)),
        At::Over => Ok(shown(app, browser, reached, with, StatusCode::UNAUTHORIZED)?),
        At::Page(_) => Ok(shown(app, browser, reached, with, StatusCode::OK)?),
    }
}

fn with_cookies(mut response: Response, cookies: &[Cookie]) -> Response {
    Cookie::set_all(cookies, response.headers_mut());
    response
}

fn shown(app: &App, browser: &Browser, reached: Reached, with: Option<&str>, status: StatusCode) -> Answer<Response> {
    let problem = reached.told.clone().map(Problem);
    let step = Step { token: &reached.form_token, problem: problem.as_ref() };
    let page = match &reached.at {
        At::Page(page) => {
            let who = reached.who.as_ref().map(|(email, tenant)| Who { email, tenant: tenant.as_deref() });
            let who = who.unwrap_or(Who { email: "", tenant: None });
            let chosen = with.or(step.problem.map(|_| "strongbox"));
            let has_remembered = browser.remembered(app).iter().next().is_some();
            page_of(page, step, who, chosen, has_remembered, reached.inside_session)
        }
        At::LoggedIn(through) => return Ok(see_other(through.next.as_str(), &reached.cookies)),
        At::Over => {
            let problem = problem.unwrap_or_else(|| Problem(Reason::Expired.told().to_owned()));
            view::Over { problem: &problem }.page()
        }
    };
    let signals = reached.signal.as_ref().and_then(|signal| serde_json::to_string(&[signal]).ok());
    let page = page.with_signals(signals.as_deref()).with_status(status);
    Ok(with_cookies(page.into_response(), &reached.cookies))
}

fn page_of(
    page: &Prompt,
    step: Step<'_>,
    who: Who<'_>,
    chosen: Option<&str>,
    has_remembered: bool,
    again: bool,
) -> Page {
    match page {
        Prompt::Identity { autofill, tenant } => {
            let autofill = json(autofill);
            identity(step, tenant.as_ref(), &autofill, has_remembered).page()
        }
        Prompt::Method { email, tenant, passkey, authenticators } => {
            let who = Who { email, tenant: tenant.as_ref().map(Name::as_str) };
            let named = |one: &Offered, name: &str| one.authenticator.to_string() == name;
            let is_offered = |name: &str| authenticators.iter().any(|one| named(one, name));
            match chosen.filter(|name| is_offered(name)) {
                Some("strongbox") => {
                    let has_others = authenticators.len() > 1;
                    view::Method { step, who, passkey: &json(passkey), has_others, again }.page()
                }
                // The one of a login URL.
                Some(name) => choose(step, who, authenticators.iter().filter(|one| named(one, name)), true, again),
                None if authenticators.len() > 1 => choose(step, who, authenticators.iter(), false, again),
                None => view::Method { step, who, passkey: &json(passkey), has_others: false, again }.page(),
            }
        }
        Prompt::Tenant { tenants } => {
            let tenants: Vec<&str> = tenants.iter().map(Name::as_str).collect();
            view::Tenants { step, email: who.email, tenants: &tenants }.page()
        }
        Prompt::Proof { wanted: Method::Passkey, optional, passkey, .. } => {
            let passkey = passkey.as_ref().map(json).unwrap_or_default();
            proof::Passkey { step, who, passkey: &passkey, optional: *optional }.page()
        }
        Prompt::Proof { wanted: Method::Password, .. } => proof::Password { step, who }.page(),
        Prompt::Proof { optional, passkey, .. } => {
            let passkey = passkey.as_ref().map(json);
            proof::OneTimePassword { step, who, passkey: passkey.as_deref(), optional: *optional }.page()
        }
        Prompt::MakePasskey { options, optional } => {
            enrol::MakePasskey { step, who, options: &json(options), optional: *optional }.page()
        }
        Prompt::SetUpTotp { uri, secret, optional } => {
            enrol::SetUpTotp { step, who, uri, secret, optional: *optional }.page()
        }
        Prompt::SetPassword { min_length } => enrol::SetPassword { step, who, min_length: *min_length }.page(),
        Prompt::Provider { title, url } => view::Provider { problem: step.problem, title, url }.page(),
        Prompt::Offer { offers } => {
            let has = |method| offers.contains(&method);
            enrol::Offer { step, who, passkey: has(Method::Passkey), totp: has(Method::Totp) }.page()
        }
    }
}

/// The first page, with nothing typed yet.
fn identity<'a>(
    step: Step<'a>,
    tenant: Option<&'a Name>,
    autofill: &'a str,
    has_remembered: bool,
) -> view::Identity<'a> {
    view::Identity {
        step,
        email: "",
        tenant: tenant.map_or("", Name::as_str),
        wrong: None,
        tenant_is_fixed: tenant.is_some(),
        autofill,
        has_remembered,
    }
}

fn choose<'a>(
    step: Step<'_>,
    who: Who<'_>,
    offered: impl Iterator<Item = &'a Offered>,
    has_others: bool,
    again: bool,
) -> Page {
    let offered: Vec<(String, &str, Option<String>)> = offered
        .map(|one| (one.authenticator.to_string(), one.title.as_str(), one.unavailable.map(|why| why.to_string())))
        .collect();
    let offered: Vec<view::Authenticator<'_>> = offered
        .iter()
        .map(|(name, title, unavailable)| view::Authenticator { name, title, unavailable: unavailable.as_deref() })
        .collect();
    view::Authenticators { step, who, offered: &offered, has_others, again }.page()
}

/// Options of WebAuthn, for the page's script.
fn json(options: &impl Serialize) -> String {
    serde_json::to_string(options).unwrap_or_default()
}
