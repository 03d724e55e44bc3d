//! Logins of people and their sessions: the tower's side of `keyward-webauthn-login`, which decides.
//!
//! # What a page calls, and when
//!
//! A page's handler takes [`Browser`] (the cookies and headers of its request) and answers what a function here answers: the HTML of
//! `Reached::at`, with every cookie of `Reached::cookies` ([`Cookie::set_all`]). The JSON of `/v1/login/flow` is the same functions.
//!
//! | request | call |
//! |---|---|
//! | `GET /login?next=` | [`begin`]; `next` is parsed as a `NextPath`, anything else is the default |
//! | `GET /login/<tenant>/<email>[/<authenticator>]` | parse the path as a `LoginUrl`, then [`begin_at`]: prefilled, and nobody is logged in by it |
//! | `GET` of a login that is under way, as after a reload | [`current`] |
//! | `POST` of a page's form or script | [`Browser::check`] with the form's field `form-token` (or the header `X-Form-Token`), then [`act`] with an [`Action`] that the page takes |
//! | `GET /login/oidc/<tenant>/<provider>/callback` | [`act`] with [`Action::Callback`] of the query: the only step by a link, tied to the cookie and to `state` |
//! | a button *set up* on the page of an enrolment link | [`Browser::check_site`], then [`open_link`]; the page itself, a `GET`, only shows the button |
//!
//! What a page then shows:
//!
//! - [`At::Page`]: the page of that `Prompt`, with [`Reached::told`] above it where a step did not succeed. Every step gives the login another cookie
//!   and its forms another token ([`Reached::form_token`]), so a form that is sent twice succeeds once.
//! - [`At::LoggedIn`]: go to its `next`. If there are [`Reached::recovery_codes`], show them first: they are shown once.
//! - [`At::Over`]: say [`Reached::told`] and offer to begin again.
//! - [`Reached::signal`], where there is one, goes to the browser as `PublicKeyCredential[signal.method](signal)`.
//!
//! A logged-in page takes [`Session`] as an extractor (401 without one; [`Session::find`] where that is not an error). Its
//! `caller` has the rights of the user: pass it to the functions of the API, whose policies decide. What changes something calls
//! [`Browser::check_session`] with the form's `form-token`, which [`Session::form_token`] made. What needs a recent login calls
//! [`Session::fresh`]; at 403 with `step-up` send the person through [`step_up`], with the page as `next`.
//!
//! The account page's operations are those of [`account::Account`]; those of an administrator are in [`people`]. The pages of what is
//! remembered: [`Browser::remembered`], [`account::forget_login`].

pub mod account;
pub mod action;
pub mod attempts;
pub mod browser;
pub mod ceremonies;
pub mod cli;
pub mod client;
pub mod export;
pub mod people;
pub mod providers;
pub mod reached;
pub mod realm;
mod rehash;
pub mod session;
pub mod steps;
pub mod token;
pub mod users;

pub use self::{
    account::Account,
    action::Action,
    browser::{Browser, Cookie},
    reached::{At, LoggedIn, Reached},
    session::Session,
    steps::{act, begin, begin_at, current, open_link, set_up, step_up},
    token::Granted,
};
