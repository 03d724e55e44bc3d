//! Handlers of the pages: each fills a view with what the JSON interface would answer, or takes what a form sent.
//!
//! A form that succeeds is answered by 303 to the page that shows what came of it (RFC 9110 §15.4.4), so that a reload sends
//! nothing again; one that does not, by the page with the reason, under the status of the refusal.

pub mod account;
pub mod call_home;
pub mod home;
pub mod hosts;
pub mod install;
pub mod login;
mod operators;
mod posted;
mod reader;
pub mod users;

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use keyward_approle::Operation;
use keyward_webauthn_login::{Authenticator, Proof};

pub use self::{
    posted::Posted,
    reader::{Form, Reader},
};
use super::error::{Answer, ApiError, Messages};
use crate::{
    app::App,
    login::{Cookie, Session, account::Account},
    pages::{
        component::listed,
        layout::Viewer,
        problem::{self, Failed},
    },
    standing::Standing,
};

/// What a page answers.
pub type Shown = Result<Response, Failed>;

/// 303, with cookies. What is no header, which no path of ours is, leads to the overview.
pub fn see_other(path: &str, cookies: &[Cookie]) -> Response {
    let place = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    let head = [(header::LOCATION, place), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    let mut response = (StatusCode::SEE_OTHER, head).into_response();
    Cookie::set_all(cookies, response.headers_mut());
    response
}

/// Whoever has no session logs in first, and comes back.
pub fn log_in_first(path: &str) -> Response {
    let path: String = form_urlencoded::byte_serialize(path.as_bytes()).collect();
    see_other(&format!("/login?next={path}"), &[])
}

/// The reader of a page.
///
/// # Errors
/// Those of the store.
pub async fn viewer(app: &App, session: &Session) -> Answer<Viewer> {
    let view = Account::from(session.clone()).view(app)?;
    let standing = session.caller.standing(app).await?;
    Ok(Viewer {
        method: in_words(session.record.authenticator(), session.record.proofs().iter().copied()),
        administers: may(&standing, Operation::Read, USERS)?,
        hosts: operators::pages(app, session, &standing)?,
        token: session.form_token(app),
        name: view.display_name,
        email: view.email,
        tenant: view.tenant,
        login_url: view.login_url,
        remembered: view.remembered,
    })
}

/// Where users are listed.
pub const USERS: &str = "/v1/state/strongbox/authentication/users";

/// Whether the policies allow it, without a record of it: a page asks in order not to offer what would be refused.
///
/// # Errors
/// A path that cannot be authorized.
pub fn may(standing: &Standing<'_>, operation: Operation, path: &str) -> Answer<bool> {
    Ok(standing.decide(operation, path)?.is_allowed())
}

/// What was proved in a session, in words.
fn in_words(authenticator: &Authenticator, proofs: impl Iterator<Item = Proof>) -> String {
    if let Authenticator::External(name) = authenticator {
        return format!("the provider {name}");
    }
    listed(proofs.map(|proof| match proof {
        Proof::Password => "password",
        Proof::Totp => "one-time password",
        Proof::Passkey => "passkey",
        Proof::RecoveryCode => "recovery code",
        Proof::EnrolmentLink => "enrolment link",
        _ => "provider",
    }))
}

/// What a refusal of the interface is on a page that goes on.
pub fn told(error: &ApiError) -> crate::pages::problem::Problem {
    crate::pages::problem::Problem(problem::words(error.message()))
}

/// A refusal as one of a field of a form, which says it there.
fn at_field(field: &str, error: ApiError) -> ApiError {
    let message = error.message().to_owned();
    error.with_info(serde_json::json!({"field": field, "message": message}))
}

/// Around everything: what is refused is a page for whoever reads pages, and what the interface says for programs, which `/v1/` always
/// is for.
pub async fn for_people(request: Request, next: Next) -> Response {
    let is_for_people = is_for_people(request.uri(), request.headers());
    let response = next.run(request).await;
    let Some(Messages(texts)) = response.extensions().get::<Messages>().filter(|_| is_for_people) else {
        return response;
    };
    problem::for_people(&response, &problem::words(texts.first().map_or("", String::as_str)))
}

fn is_for_people(uri: &Uri, headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    !uri.path().starts_with("/v1/") && accepted.contains("text/html")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_goes_along_as_one_value() {
        let response = log_in_first("/account?a=b&c=//d");
        assert_eq!(response.status(), 303);
        assert_eq!(response.headers()["location"], "/login?next=%2Faccount%3Fa%3Db%26c%3D%2F%2Fd");
        assert_eq!(see_other("/\r\nx: y", &[]).headers()["location"], "/");
    }

    #[test]
    fn who_reads_pages() {
        let browser: HeaderMap =
            [(header::ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8".parse().unwrap())].into_iter().collect();
        let program: HeaderMap = [(header::ACCEPT, "*/*".parse().unwrap())].into_iter().collect();
        let is_for_people = |path: &'static str, headers| is_for_people(&Uri::from_static(path), headers);
        assert!(is_for_people("/nothing", &browser) && is_for_people("/users?after=%ff", &browser));
        assert!(!is_for_people("/v1/nothing", &browser) && !is_for_people("/nothing", &program));
        assert!(!is_for_people("/nothing", &HeaderMap::new()));
    }

    #[test]
    fn methods_in_words() {
        let words = |proofs: &[Proof]| in_words(&Authenticator::Strongbox, proofs.iter().copied());
        assert_eq!(words(&[Proof::Password, Proof::Totp]), "password and one-time password");
        let provider = Authenticator::External("entra".parse().unwrap());
        assert_eq!(in_words(&provider, std::iter::empty()), "the provider entra");
    }
}
