//! A further proof in the middle of a login.

use maud::html;

use super::{
    component::{self, Field, title},
    layout::Page,
    problem::Problem,
    step::{PasskeyForm, Step, Who},
};

/// A one-time password, or what stands in for it.
pub struct OneTimePassword<'a> {
    /// What every step has.
    pub step: Step<'a>,
    /// Whom it is for.
    pub who: Who<'a>,
    /// The options for a passkey instead, as JSON.
    pub passkey: Option<&'a str>,
    /// Whether the login could go on without.
    pub optional: bool,
}

impl OneTimePassword<'_> {
    /// As a page.
    pub fn page(&self) -> Page {
        let main = html! {
            div class="card stack-l" {
                h1 { (title("One-time password")) }
                (self.who.show())
                (Problem::above_field(self.step.problem))
                (component::form("/login/totp", self.step.token, &html! {
                    (self.step.first(Field {
                        hint: Some("Six digits from the application on your telephone."),
                        ..Field::digits("code", "One-time password")
                    }))
                    button class="button full" { "Continue" }
                }))
                @if let Some(options) = self.passkey {
                    (PasskeyForm {
                        action: "/login/passkey",
                        ceremony: "get",
                        options,
                        autofill: false,
                        button: "Use a passkey instead",
                        first: false,
                        more: html! {},
                    }.show(self.step.token))
                }
                details class="more" {
                    summary { "I do not have my telephone" }
                    (component::form("/login/recovery", self.step.token, &html! {
                        (Field {
                            hint: Some("One of the ten that you kept when you set up the one-time password. It works once."),
                            ..Field::text("recovery-code", "Recovery code")
                        }.show())
                        button class="button second full" { "Use the recovery code" }
                    }))
                }
                (skip(&self.step, self.optional))
            }
        };
        Page::single("One-time password", &main)
    }
}

/// A passkey.
pub struct Passkey<'a> {
    /// What every step has.
    pub step: Step<'a>,
    /// Whom it is for.
    pub who: Who<'a>,
    /// The options, as JSON.
    pub passkey: &'a str,
    /// Whether the login could go on without: it was made a moment ago.
    pub optional: bool,
}

impl Passkey<'_> {
    /// As a page.
    pub fn page(&self) -> Page {
        let title = if self.optional { "Your passkey is ready" } else { "Use your passkey" };
        let main = html! {
            div class="card stack-l" {
                h1 { (title) }
                (self.who.show())
                (Problem::shown(self.step.problem))
                @if self.optional {
                    p { "Log in with it now, and you know that it works. From now on it is all you need." }
                } @else {
                    p { "Unlock your device to go on: with your finger, your face or its PIN." }
                }
                (PasskeyForm {
                    action: "/login/passkey",
                    ceremony: "get",
                    options: self.passkey,
                    autofill: false,
                    button: "Use the passkey",
                    first: true,
                    more: html! {},
                }.show(self.step.token))
                (skip(&self.step, self.optional))
            }
        };
        Page::single(title, &main)
    }
}

/// A password, after another proof.
pub struct Password<'a> {
    /// What every step has.
    pub step: Step<'a>,
    /// Whom it is for.
    pub who: Who<'a>,
}

impl Password<'_> {
    /// As a page.
    pub fn page(&self) -> Page {
        let main = html! {
            div class="card stack-l" {
                h1 { "Password" }
                (self.who.show())
                (Problem::above_field(self.step.problem))
                (component::form("/login/password", self.step.token, &html! {
                    input type="text" name="username" value=(self.who.email) autocomplete="username" hidden;
                    (self.step.first(Field::password("password", "Password", "current-password")))
                    button class="button full" { "Continue" }
                }))
            }
        };
        Page::single("Password", &main)
    }
}

/// The way on without.
pub(super) fn skip(step: &Step<'_>, optional: bool) -> maud::Markup {
    html! {
        @if optional {
            (component::form("/login/skip", step.token, &html! { button class="button quiet full" { "Not now" } }))
        }
    }
}
