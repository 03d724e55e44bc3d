//! What is around the content of a page.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use maud::{DOCTYPE, Markup, html};

use super::{
    assets, component,
    icon::{self, mark},
    security,
};

/// HTML §8.1.3: understood by every browser, like the `<meta>` of that name.
const REFRESH: HeaderName = HeaderName::from_static("refresh");

/// The pages that are reached from everywhere, in the order in which they are shown. A page that is added gets a line here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// What needs doing, and the keys.
    Overview,
    /// Those who log in.
    Users,
    /// The hosts that call home, and how they come to.
    Hosts,
    /// The reader's own.
    Account,
}

impl Place {
    const ALL: [Self; 4] = [Self::Overview, Self::Users, Self::Hosts, Self::Account];

    /// Where it is.
    pub fn path(self) -> &'static str {
        match self {
            Self::Overview => "/",
            Self::Users => "/users",
            Self::Hosts => HostPage::List.path(),
            Self::Account => "/account",
        }
    }

    /// What it is called.
    pub fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Users => "Users",
            Self::Hosts => HostPage::List.title(),
            Self::Account => "Account",
        }
    }

    /// Where it is for a reader to whom it is shown. That it is not shown keeps nobody out: the policies do.
    fn shown(self, viewer: &Viewer) -> Option<&'static str> {
        match self {
            Self::Overview | Self::Account => Some(self.path()),
            Self::Users => viewer.administers.then(|| self.path()),
            Self::Hosts => viewer.hosts.first().map(|page| page.path()),
        }
    }
}

/// The pages about hosts, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostPage {
    /// Those that called home.
    List,
    /// How one comes to.
    Install,
    /// Which ones may.
    Settings,
}

impl HostPage {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::List, Self::Install, Self::Settings];

    /// Where it is.
    pub fn path(self) -> &'static str {
        match self {
            Self::List => "/hosts",
            Self::Install => "/install",
            Self::Settings => "/call-home",
        }
    }

    /// What it is called.
    pub fn title(self) -> &'static str {
        match self {
            Self::List => "Hosts",
            Self::Install => "Install agent",
            Self::Settings => "Call-home settings",
        }
    }
}

/// Who reads a page inside a session.
#[derive(Clone, Debug)]
pub struct Viewer {
    /// What people call them.
    pub name: String,
    /// Their address.
    pub email: String,
    /// Their tenant.
    pub tenant: String,
    /// Their login URL, as it is passed on.
    pub login_url: String,
    /// What they logged in with, in words.
    pub method: String,
    /// Whether this browser remembers the login.
    pub remembered: bool,
    /// Whether pages for administrators are shown to them.
    pub administers: bool,
    /// The pages about hosts that are shown to them.
    pub hosts: Vec<HostPage>,
    /// What their forms carry.
    pub token: String,
}

/// A page as it is answered.
#[derive(Debug)]
pub struct Page {
    status: StatusCode,
    markup: Markup,
    headers: HeaderMap,
}

impl Page {
    /// A page with one thing to do, outside of a session or in the middle of a login.
    pub fn single(title: &str, main: &Markup) -> Self {
        let body = html! {
            div class="single" {
                header { a class="brand" href="/login" { (mark()) "Keyward" } }
                main id="main" { (main) }
                footer { "Keyward control tower" }
            }
        };
        Self::new(title, &html! {}, &body)
    }

    /// The same, from where the browser goes on to another address by itself.
    pub fn leading_to(url: &str, title: &str, main: &Markup) -> Self {
        let mut page = Self::single(title, main);
        page.headers.extend(HeaderValue::from_str(&format!("0; url={url}")).ok().map(|value| (REFRESH, value)));
        page
    }

    /// A page inside a session.
    pub fn within(viewer: &Viewer, place: Option<Place>, title: &str, main: &Markup) -> Self {
        Self::inside(viewer, place, title, &html! {}, main)
    }

    /// One of the pages about hosts.
    pub fn of_hosts(viewer: &Viewer, page: HostPage, main: &Markup) -> Self {
        Self::inside(viewer, Some(Place::Hosts), page.title(), &html! {}, &html! { (siblings(viewer, page)) (main) })
    }

    /// The same, looked for again by the script; where there is none, `url` is loaded after so many seconds.
    pub fn of_hosts_again(viewer: &Viewer, page: HostPage, (url, seconds): (&str, u32), main: &Markup) -> Self {
        let head = html! { noscript { meta http-equiv="refresh" content=(format!("{seconds}; url={url}")); } };
        let main = html! { (siblings(viewer, page)) (main) };
        let mut page = Self::inside(viewer, Some(Place::Hosts), page.title(), &head, &main);
        page.headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(security::LIVE_POLICY));
        page
    }

    fn inside(viewer: &Viewer, place: Option<Place>, title: &str, head: &Markup, main: &Markup) -> Self {
        let body = html! {
            a class="skip" href="#main" { "Skip to the content" }
            header class="top" {
                div class="bar" {
                    a class="brand" href="/" { (mark()) "Keyward" }
                    nav aria-label="Pages" { (navigation(viewer, place)) }
                    (menu(viewer))
                }
            }
            main id="main" class="page" tabindex="-1" { (main) }
        };
        Self::new(title, head, &body)
    }

    fn new(title: &str, head: &Markup, body: &Markup) -> Self {
        let markup = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    title { (title) " – Keyward" }
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="robots" content="noindex";
                    link rel="icon" type="image/svg+xml" href=(assets::MARK.url);
                    link rel="stylesheet" href=(assets::STYLE.url);
                    script src=(assets::SCRIPT.url) defer {}
                    (head)
                }
                body {
                    (body)
                    div class="visually-hidden" role="status" data-status="" {}
                }
            }
        };
        Self { status: StatusCode::OK, markup, headers: HeaderMap::new() }
    }

    /// The same under another status.
    #[must_use]
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The same with what the browser's password manager is told, as JSON: a list of the arguments of
    /// `PublicKeyCredential.signal…()`.
    #[must_use]
    pub fn with_signals(mut self, signals: Option<&str>) -> Self {
        if let Some(signals) = signals {
            // The end of the document is implied (HTML §13.1.2.4), and what comes after `</html>` belongs to the body.
            self.markup.0.push_str(&html! { div data-signals=(signals) hidden {} }.0);
        }
        self
    }

    /// The text of the page.
    pub fn text(&self) -> &str {
        &self.markup.0
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        (self.status, security::HEAD, self.headers, self.markup.into_string()).into_response()
    }
}

fn navigation(viewer: &Viewer, here: Option<Place>) -> Markup {
    let shown = Place::ALL.into_iter().filter_map(|place| Some((place, place.shown(viewer)?)));
    html! {
        ul {
            @for (place, path) in shown {
                li { a href=(path) aria-current=[(here == Some(place)).then_some("page")] { (place.title()) } }
            }
        }
    }
}

/// The pages about hosts, beside each other.
fn siblings(viewer: &Viewer, here: HostPage) -> Markup {
    html! {
        nav class="tabs" aria-label="About hosts" {
            ul {
                @for page in &viewer.hosts {
                    li { a href=(page.path()) aria-current=[(*page == here).then_some("page")] { (page.title()) } }
                }
            }
        }
    }
}

/// The account menu: who is logged in and how, their login URL, their password, whether the login is remembered, the way out.
fn menu(viewer: &Viewer) -> Markup {
    html! {
        details class="menu" {
            summary {
                (icon::user())
                span class="who" {
                    span { (viewer.email) }
                    span class="muted small" { (viewer.tenant) }
                }
                (icon::down())
                span class="visually-hidden" { "Account menu" }
            }
            div class="panel" {
                div class="stack" {
                    div {
                        @if viewer.name != viewer.email { p { strong { (viewer.name) } } }
                        p { (component::unspaced(&viewer.email)) }
                        p class="muted small" { "Tenant " (viewer.tenant) }
                        p class="muted small" { "Logged in with " (viewer.method) }
                    }
                    ul class="tools" aria-label="Your account" {
                        li { a href="/account#password" { "Change password" } }
                        li { a href="/account#passkeys" { "Passkeys" } }
                        li { a href="/account#sessions" { "Sessions" } }
                        li { a href="/account" { "Account" } }
                    }
                    div class="stack-s" {
                        p class="small muted" { "Your login URL" }
                        (component::copied("menu-login-url", "your login URL", &viewer.login_url))
                    }
                    (remember("menu", viewer))
                    hr;
                    (component::form("/logout", &viewer.token, &html! {
                        button class="button second full" { "Log out" }
                    }))
                }
            }
        }
    }
}

/// The box to remember this login. With script it needs no button.
pub fn remember(place: &str, viewer: &Viewer) -> Markup {
    let content = html! {
        input type="hidden" name="from" value=(place);
        label class="check" {
            input type="checkbox" name="remember" value="yes" checked[viewer.remembered] data-submit="";
            span {
                "Remember this login in this browser"
                span class="hint" { "It is listed on the login page then. It logs nobody in by itself." }
            }
        }
        button class="button second slim" data-without-script="" { "Save" }
    };
    component::form("/account/remember", &viewer.token, &content)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn viewer() -> Viewer {
        Viewer {
            name: "Ann <b>Lee</b>".into(),
            email: "ann@example.com".into(),
            tenant: "b2".into(),
            login_url: "https://tower.example/login/b2/ann@example.com".into(),
            method: "password and passkey".into(),
            remembered: true,
            administers: false,
            hosts: Vec::new(),
            token: "token-of-the-form".into(),
        }
    }

    #[test]
    fn a_page_says_what_it_is_and_loads_nothing_from_elsewhere() {
        let page = Page::within(&viewer(), Some(Place::Account), "Account", &html! { h1 { "Account" } });
        let text = page.text();
        assert!(text.starts_with("<!DOCTYPE html><html lang=\"en\">"), "{text}");
        assert!(text.contains("<title>Account – Keyward</title>"));
        assert!(text.contains(r#"<a href="/account" aria-current="page">Account</a>"#));
        assert!(text.contains("Ann &lt;b&gt;Lee&lt;/b&gt;"));
        assert!(!text.contains("/users"), "not an administrator");
        for forbidden in [" style=", "<style", "onclick", "src=\"http", "href=\"http", "javascript:"] {
            assert!(!text.contains(forbidden), "{forbidden}");
        }
        let administrator = Viewer { administers: true, ..viewer() };
        assert!(Page::within(&administrator, None, "x", &html! {}).text().contains(r#"href="/users""#));
    }

    #[test]
    fn nobody_keeps_a_page() {
        let response = Page::single("x", &html! {}).with_status(StatusCode::UNAUTHORIZED).into_response();
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
        assert_eq!(response.headers()["content-security-policy"], security::POLICY);
    }
}
