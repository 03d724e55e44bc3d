//! The first pages of a login: who, verified by whom, by what. What they show does not depend on whether anybody of that
//! address exists.

use maud::{Markup, html};

use super::{
    component::{self, Field, Kind, unspaced},
    form::Wrong,
    icon,
    layout::Page,
    problem::Problem,
    step::{PasskeyForm, Step, Who},
};

/// Step 1: an address, and a tenant if it is not the only one.
pub struct Identity<'a> {
    /// What every step has.
    pub step: Step<'a>,
    /// What was typed before, or what the login URL says.
    pub email: &'a str,
    /// The same of the tenant.
    pub tenant: &'a str,
    /// Why what was typed is nobody's, whoever there is.
    pub wrong: Option<&'a Wrong>,
    /// Whether the tenant cannot be another one.
    pub tenant_is_fixed: bool,
    /// The options of the passkeys that the browser offers, as JSON.
    pub autofill: &'a str,
    /// Whether there are remembered logins to go back to.
    pub has_remembered: bool,
}

impl Identity<'_> {
    /// As a page.
    pub fn page(&self) -> Page {
        let wrong = |field: &str| Wrong::of(self.wrong, field);
        let (wrong_email, wrong_tenant) = (wrong("email"), wrong("tenant"));
        let email = Field {
            value: self.email,
            kind: Kind::Email,
            autocomplete: "username webauthn",
            error: wrong_email.as_deref(),
            focus: self.email.is_empty() || self.step.problem.is_some(),
            refused: self.step.problem.is_some(),
            ..Field::text("email", "Email or user name")
        };
        let tenant = Field {
            value: self.tenant,
            error: wrong_tenant.as_deref(),
            required: false,
            readonly: self.tenant_is_fixed,
            autocomplete: "organization",
            hint: (!self.tenant_is_fixed).then_some("Leave it empty unless your email belongs to several tenants."),
            ..Field::text("tenant", "Tenant")
        };
        let main = html! {
            div class="card stack-l" {
                h1 { "Log in" }
                (Problem::above_field(self.step.problem))
                (component::form("/login/identify", self.step.token, &html! {
                    (email.show())
                    (tenant.show())
                    button class="button full" { "Continue" }
                }))
                p class="or" { "or" }
                (PasskeyForm {
                    action: "/login/passkey",
                    ceremony: "get",
                    options: self.autofill,
                    autofill: true,
                    button: "Log in with a passkey",
                    first: false,
                    more: html! {},
                }.show(self.step.token))
                @if self.has_remembered {
                    p { a href="/login" { "Back to your remembered logins" } }
                }
            }
        };
        Page::single("Log in", &main)
    }
}

/// A login that this browser remembers.
#[derive(Clone, Copy, Debug)]
pub struct Remembered<'a> {
    /// Who.
    pub email: &'a str,
    /// In which tenant.
    pub tenant: &'a str,
    /// Verified by whom.
    pub authenticator: &'a str,
    /// Its login URL.
    pub url: &'a str,
}

/// "Select login": the logins that this browser remembers.
pub struct Select<'a> {
    /// What every step has.
    pub step: Step<'a>,
    /// They, the latest first.
    pub logins: &'a [Remembered<'a>],
}

impl Select<'_> {
    /// As a page.
    pub fn page(&self) -> Page {
        let main = html! {
            div class="card stack-l" {
                h1 { "Select login" }
                (Problem::shown(self.step.problem))
                @if self.logins.is_empty() {
                    (component::empty("This browser remembers no logins.", &html! {
                        p class="small" { "Tick the box in the account menu after a login, and it is listed here." }
                    }))
                } @else {
                    ul class="choices" {
                        @for login in self.logins {
                            li {
                                a class="choice" href=(login.url) {
                                    (icon::user())
                                    span class="grow" {
                                        span { (unspaced(login.email)) }
                                        span class="muted small" { "Tenant " (login.tenant) ", " (login.authenticator) }
                                    }
                                }
                                form method="post" action="/login/forget" {
                                    input type="hidden" name=(super::form::FIELD) value=(self.step.token);
                                    input type="hidden" name="login" value=(login.url);
                                    button class="button quiet slim" {
                                        (icon::cross())
                                        span class="visually-hidden" { "Forget " (login.email) " in tenant " (login.tenant) }
                                    }
                                }
                            }
                        }
                    }
                }
                p { a class="button second full" href="/login?as=other" { "Log in as somebody else" } }
            }
        };
        Page::single("Select login", &main)
    }
}

/// Somebody who can verify a login.
#[derive(Clone, Copy, Debug)]
pub struct Authenticator<'a> {
    /// `strongbox` or the name of a provider.
    pub name: &'a str,
    /// What people call it.
    pub title: &'a str,
    /// Why it cannot be chosen.
    pub unavailable: Option<&'a str>,
}

impl Authenticator<'_> {
    fn is_strongbox(&self) -> bool {
        self.name == "strongbox"
    }
}

/// Step 2: who verifies it.
pub struct Authenticators<'a> {
    /// What every step has.
    pub step: Step<'a>,
    /// Whom it is for.
    pub who: Who<'a>,
    /// Those to choose from.
    pub offered: &'a [Authenticator<'a>],
    /// Whether there are others to go back to.
    pub has_others: bool,
    /// Whether it is inside a session, for what needs a recent login.
    pub again: bool,
}

/// The words of a login inside a session.
const AGAIN: &str = "Confirm that it is you";

fn why_again() -> Markup {
    html! { p class="muted" { "What you are about to do needs a login of the last few minutes." } }
}

impl Authenticators<'_> {
    /// As a page.
    pub fn page(&self) -> Page {
        let (title, heading) = if self.again { (AGAIN, AGAIN) } else { ("Choose how to log in", "How do you log in?") };
        let main = html! {
            div class="card stack-l" {
                h1 { (heading) }
                @if self.again { (why_again()) }
                (self.who.show())
                (Problem::shown(self.step.problem))
                (component::form("/login/authenticator", self.step.token, &html! {
                    ul class="choices" {
                        @for (place, one) in self.offered.iter().enumerate() {
                            li { (authenticator(place, one)) }
                        }
                    }
                }))
                @if self.has_others { p { a href="/login?with=" { "Log in another way" } } }
            }
        };
        Page::single(title, &main)
    }
}

fn authenticator(place: usize, one: &Authenticator<'_>) -> Markup {
    let reason = format!("unavailable-{place}");
    let disabled = one.unavailable.is_some();
    html! {
        button class="choice" name="authenticator" value=(one.name) disabled[disabled]
            aria-describedby=[disabled.then_some(reason.as_str())] {
            @if one.is_strongbox() { (icon::vault()) } @else { (icon::cloud()) }
            span class="grow" {
                span { (one.title) }
                @if let Some(why) = one.unavailable {
                    span class="small" id=(reason) { "Not available: " (why) }
                } @else if one.is_strongbox() {
                    span class="muted small" { "Password or passkey of this system" }
                } @else {
                    span class="muted small" { "You are taken to its page" }
                }
            }
        }
    }
}

/// Step 3: a password or a passkey.
pub struct Method<'a> {
    /// What every step has.
    pub step: Step<'a>,
    /// Whom it is for.
    pub who: Who<'a>,
    /// The options for a passkey, as JSON.
    pub passkey: &'a str,
    /// Whether there is another authenticator to go back to.
    pub has_others: bool,
    /// Whether it is inside a session, for what needs a recent login.
    pub again: bool,
}

impl Method<'_> {
    /// As a page.
    pub fn page(&self) -> Page {
        let title = if self.again { AGAIN } else { "Log in" };
        let main = html! {
            div class="card stack-l" {
                h1 { (title) }
                @if self.again { (why_again()) }
                (self.who.show())
                (Problem::above_field(self.step.problem))
                (component::form("/login/password", self.step.token, &html! {
                    // For password managers, which want to know whose it is.
                    input type="text" name="username" value=(self.who.email) autocomplete="username" hidden;
                    (self.step.first(Field::password("password", "Password", "current-password")))
                    button class="button full" { "Log in" }
                }))
                p class="or" { "or" }
                (PasskeyForm {
                    action: "/login/passkey",
                    ceremony: "get",
                    options: self.passkey,
                    autofill: false,
                    button: "Use a passkey",
                    first: false,
                    more: html! {},
                }.show(self.step.token))
                @if self.has_others { p { a href="/login?with=" { "Log in another way" } } }
            }
        };
        Page::single(title, &main)
    }
}

/// Which tenant, after the password was right in several.
pub struct Tenants<'a> {
    /// What every step has.
    pub step: Step<'a>,
    /// Whom it is for.
    pub email: &'a str,
    /// Those to choose from.
    pub tenants: &'a [&'a str],
}

impl Tenants<'_> {
    /// As a page.
    pub fn page(&self) -> Page {
        let main = html! {
            div class="card stack-l" {
                h1 { "Choose a tenant" }
                (Who { email: self.email, tenant: None }.show())
                (Problem::shown(self.step.problem))
                p { "Your email belongs to several tenants. Which one do you log in to?" }
                (component::form("/login/tenant", self.step.token, &html! {
                    ul class="choices" {
                        @for tenant in self.tenants {
                            li { button class="choice" name="tenant" value=(tenant) { span class="grow" { span { (tenant) } } } }
                        }
                    }
                }))
            }
        };
        Page::single("Choose a tenant", &main)
    }
}

/// On the way to a provider. The browser goes there by itself; the link is for when it does not. After a login that did not work it stays here:
/// a provider that still knows its user would send it back at once, and so on without end.
pub struct Provider<'a> {
    /// What did not work there.
    pub problem: Option<&'a Problem>,
    /// What people call it.
    pub title: &'a str,
    /// Where it is.
    pub url: &'a str,
}

impl Provider<'_> {
    /// As a page.
    pub fn page(&self) -> Page {
        let has_failed = self.problem.is_some();
        let main = html! {
            div class="card stack" {
                h1 { @if has_failed { "Log in at " (self.title) } @else { "You are taken to " (self.title) } }
                (Problem::shown(self.problem))
                @if !has_failed { p { "Log in there. You come back here by yourself." } }
                p { a class="button full" href=(self.url) { @if has_failed { "Try again at " } @else { "Continue to " } (self.title) } }
                p { a href="/login?as=other" { "Log in another way" } }
            }
        };
        match has_failed {
            true => Page::single("Log in", &main),
            false => Page::leading_to(self.url, "On the way", &main),
        }
    }
}

/// The login is over before its end.
pub struct Over<'a> {
    /// Why, as far as the person may know.
    pub problem: &'a Problem,
}

impl Over<'_> {
    /// As a page.
    pub fn page(&self) -> Page {
        let main = html! {
            div class="card stack-l" {
                h1 { "This login is over" }
                (Problem::shown(Some(self.problem)))
                p { a class="button full" href="/login" { "Start again" } }
            }
        };
        Page::single("This login is over", &main)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "\"><img src=x onerror=alert(1)>'&amp;";

    fn step(problem: Option<&Problem>) -> Step<'_> {
        Step { token: "token-of-the-form", problem }
    }

    #[test]
    fn no_name_becomes_markup() {
        let problem = Problem(HOSTILE.into());
        let step = step(Some(&problem));
        let who = Who { email: HOSTILE, tenant: Some(HOSTILE) };
        let authenticator = Authenticator { name: HOSTILE, title: HOSTILE, unavailable: Some(HOSTILE) };
        let login = Remembered { email: HOSTILE, tenant: HOSTILE, authenticator: HOSTILE, url: HOSTILE };
        let hostile = Wrong { field: "tenant".to_owned(), message: HOSTILE.to_owned() };
        let pages = [
            Identity {
                step,
                email: HOSTILE,
                tenant: HOSTILE,
                wrong: Some(&hostile),
                tenant_is_fixed: false,
                autofill: HOSTILE,
                has_remembered: true,
            }
            .page(),
            Select { step, logins: &[login] }.page(),
            Authenticators { step, who, offered: &[authenticator], has_others: true, again: false }.page(),
            Method { step, who, passkey: HOSTILE, has_others: true, again: true }.page(),
            Tenants { step, email: HOSTILE, tenants: &[HOSTILE] }.page(),
            Provider { problem: None, title: HOSTILE, url: HOSTILE }.page(),
            Provider { problem: Some(&problem), title: HOSTILE, url: HOSTILE }.page(),
            Over { problem: &problem }.page(),
        ];
        for page in pages {
            assert!(!page.text().contains("<img"), "{}", page.text());
            assert!(page.text().contains("&lt;img"), "{}", page.text());
            assert_eq!(page.text().matches("<h1>").count(), 1);
        }
    }

    #[test]
    fn every_form_is_tied_to_the_browser_and_nothing_typed_comes_back_but_who() {
        let who = Who { email: "ann@example.com", tenant: None };
        let page = Method { step: step(None), who, passkey: "{}", has_others: false, again: false }.page();
        assert_eq!(page.text().matches("<form").count(), page.text().matches(r#"value="token-of-the-form""#).count());
        assert!(page.text().contains(r#"autocomplete="current-password" autocapitalize"#), "{}", page.text());
        assert!(page.text().contains(r#"type="password" id="field-password" name="password" value="""#));
    }

    #[test]
    fn passkeys_by_autofill_on_the_first_page() {
        let page = |email| {
            Identity {
                step: step(None),
                email,
                tenant: "",
                wrong: None,
                tenant_is_fixed: false,
                autofill: "{}",
                has_remembered: false,
            }
            .page()
        };
        assert!(page("").text().contains(r#"autocomplete="username webauthn""#));
        assert!(page("").text().contains("autofocus") && !page("ann@example.com").text().contains("autofocus"));
        assert!(page("").text().contains(r#"data-ceremony="get" data-autofill="""#));
    }

    #[test]
    fn what_cannot_be_chosen_says_why() {
        let offered = [
            Authenticator { name: "strongbox", title: "Strongbox", unavailable: None },
            Authenticator { name: "entra", title: "Azure Entra ID", unavailable: Some("it does not answer") },
        ];
        let who = Who { email: "ann@example.com", tenant: Some("b2") };
        let page = Authenticators { step: step(None), who, offered: &offered, has_others: false, again: false }.page();
        let text = page.text();
        assert_eq!(text.matches(" disabled").count(), 1);
        assert!(
            text.contains(r#"aria-describedby="unavailable-1""#) && text.contains("Not available: it does not answer")
        );
    }
}
