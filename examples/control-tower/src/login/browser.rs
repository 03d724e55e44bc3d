//! What a browser brings along, and what it is to keep.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use keyward_webauthn_login::{Client, Reason, RememberedLogins, check_form, check_origin, form_token};
use zeroize::Zeroizing;

use crate::app::App;

/// The login that is under way.
pub const CEREMONY: &str = "__Host-keyward-login";
/// The session.
pub const SESSION: &str = "__Host-keyward-session";
/// By which a browser that logged in before is told from strangers.
pub const DEVICE: &str = "__Host-keyward-device";
/// The list of logins to choose from.
pub const REMEMBERED: &str = "__Host-keyward-logins";

/// The header that a script sends the form token in.
pub const FORM_TOKEN: HeaderName = HeaderName::from_static("x-form-token");

/// A year, for what is to be there next time, in seconds.
const YEAR: i64 = 365 * 86_400;

/// What came with a request.
#[derive(Clone, Default)]
pub struct Browser {
    /// Where from.
    pub source: Option<IpAddr>,
    /// The cookie of the login that is under way.
    pub ceremony: Option<Zeroizing<String>>,
    /// The cookie of the session.
    pub session: Option<Zeroizing<String>>,
    /// The cookie of an earlier login.
    pub device: Option<String>,
    /// The cookie of remembered logins.
    pub remembered: Option<String>,
    agent: Option<String>,
    origin: Option<String>,
    site: Option<String>,
    form_token: Option<String>,
    /// A program that brings its own pages, and its login in the body: there are no cookies that another site could use.
    embedder: bool,
}

impl std::fmt::Debug for Browser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Browser").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Browser {
    /// By the headers of a request.
    pub fn of(headers: &HeaderMap, source: IpAddr) -> Self {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Self {
            source: Some(source),
            ceremony: cookie(headers, CEREMONY).map(Zeroizing::new),
            session: cookie(headers, SESSION).map(Zeroizing::new),
            device: cookie(headers, DEVICE),
            remembered: cookie(headers, REMEMBERED),
            agent: text(&header::USER_AGENT),
            origin: text(&header::ORIGIN),
            site: text(&HeaderName::from_static("sec-fetch-site")),
            form_token: text(&FORM_TOKEN),
            embedder: false,
        }
    }

    /// A program with pages of its own, which holds the token of its login itself.
    pub fn embedder(source: IpAddr, ceremony: Option<Zeroizing<String>>) -> Self {
        Self { source: Some(source), ceremony, embedder: true, ..Self::default() }
    }

    /// What a session is begun with.
    pub fn client(&self) -> Client {
        Client::new(self.agent.as_deref().unwrap_or_default(), self.source)
    }

    /// Whether it is a program with pages of its own.
    pub fn is_embedder(&self) -> bool {
        self.embedder
    }

    /// Whether a request that changes a login was made by a page of this tower: by where it comes from, and by the form token, from
    /// the form or the header `X-Form-Token`. A login that is being begun has no token yet.
    ///
    /// # Errors
    /// [`Reason::ForgedForm`].
    pub fn check(&self, app: &App, form: Option<&str>) -> Result<(), Reason> {
        if self.embedder {
            return Ok(());
        }
        self.check_site(app)?;
        match &self.ceremony {
            Some(cookie) => self.check_token(app, form, cookie),
            None => Ok(()),
        }
    }

    /// The same for what changes something in a session.
    ///
    /// # Errors
    /// [`Reason::ForgedForm`].
    pub fn check_session(&self, app: &App, form: Option<&str>) -> Result<(), Reason> {
        self.check_site(app)?;
        self.check_token(app, form, self.session.as_deref().map_or("", String::as_str))
    }

    /// Whether it comes from this tower's own pages.
    ///
    /// # Errors
    /// [`Reason::ForgedForm`].
    pub fn check_site(&self, app: &App) -> Result<(), Reason> {
        check_origin(self.origin.as_deref(), self.site.as_deref(), &[app.external_url.as_str()])
    }

    fn check_token(&self, app: &App, form: Option<&str>, cookie: &str) -> Result<(), Reason> {
        let presented = form.or(self.form_token.as_deref()).unwrap_or_default();
        check_form(presented, cookie, app.realm.secret())
    }

    /// The logins to choose from.
    pub fn remembered(&self, app: &App) -> RememberedLogins {
        let cookie = self.remembered.as_deref();
        cookie.map(|cookie| RememberedLogins::from_cookie(cookie, app.realm.secret())).unwrap_or_default()
    }
}

/// The token of the forms of a page whose login or session has that cookie.
pub fn token_of(app: &App, cookie: &str) -> String {
    form_token(cookie, app.realm.secret())
}

/// The value of a cookie (RFC 6265 §5.4); of two of one name the first.
fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, value)| *found == name && !value.is_empty()).map(|(_, value)| value.to_owned())
}

/// A cookie to be kept, or to be dropped.
pub struct Cookie {
    name: &'static str,
    value: Zeroizing<String>,
    /// In seconds; until the browser is closed where there is none.
    max_age: Option<i64>,
}

impl Cookie {
    /// Until the browser is closed.
    pub fn new(name: &'static str, value: &str) -> Self {
        Self { name, value: Zeroizing::new(value.to_owned()), max_age: None }
    }

    /// For a long time.
    pub fn kept(name: &'static str, value: &str) -> Self {
        Self { max_age: Some(YEAR), ..Self::new(name, value) }
    }

    /// Not any more.
    pub fn dropped(name: &'static str) -> Self {
        Self { max_age: Some(0), ..Self::new(name, "") }
    }

    /// The value of `Set-Cookie`. Only over TLS, of this very host, out of the reach of scripts; another site's links bring it along, its
    /// forms do not, because a provider's answer is a link.
    ///
    /// # Errors
    /// None: values are ASCII.
    pub fn header(&self) -> Option<HeaderValue> {
        let age = self.max_age.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
        let text = format!("{}={}; Path=/; Secure; HttpOnly; SameSite=Lax{age}", self.name, *self.value);
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Adds cookies to an answer.
    pub fn set_all(cookies: &[Self], headers: &mut HeaderMap) {
        for value in cookies.iter().filter_map(Self::header) {
            headers.append(header::SET_COOKIE, value);
        }
    }
}

impl std::fmt::Debug for Cookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cookie").field("name", &self.name).finish_non_exhaustive()
    }
}
