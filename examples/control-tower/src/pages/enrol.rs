//! Setting up what proves somebody: in the middle of a login, from the account page, or by an enrolment link.

use maud::html;

use super::{
    component::{self, Field, Tone, notice, title},
    icon,
    layout::Page,
    problem::Problem,
    proof::skip,
    qr::qr,
    step::{PasskeyForm, Step, Who},
};

/// What the user may set up before going on.
pub struct Offer<'a> {
    /// What every step has.
    pub step: Step<'a>,
    /// Whom it is for.
    pub who: Who<'a>,
    /// Whether that is a passkey.
    pub passkey: bool,
    /// Whether that is a one-time password.
    pub totp: bool,
}

impl Offer<'_> {
    /// As a page.
    pub fn page(&self) -> Page {
        let main = html! {
            div class="card stack-l" {
                h1 { "Make the next login easier?" }
                (self.who.show())
                (Problem::shown(self.step.problem))
                p { "You have proved who you are. Set one of these up now, or go on without: then you are logged in." }
                (component::form("/login/set-up", self.step.token, &html! {
                    ul class="choices" {
                        @if self.passkey {
                            li { button class="choice" name="method" value="passkey" {
                                (icon::passkey())
                                span class="grow" {
                                    strong { "Create a passkey" }
                                    span class="muted small" {
                                        "Log in with your finger, your face or your device's PIN. Nobody can steal or guess it."
                                    }
                                }
                            } }
                        }
                        @if self.totp {
                            li { button class="choice" name="method" value="totp" {
                                (icon::phone())
                                span class="grow" {
                                    strong { (title("Set up a one-time password")) }
                                    span class="muted small" { "Six digits from your telephone, beside your password." }
                                }
                            } }
                        }
                    }
                }))
                div class="stack-s" {
                    (component::form("/login/finish", self.step.token, &html! { button class="button quiet full" { "Not now" } }))
                    p class="muted small center" { "You are not asked again for a while. Your account page has it at any time." }
                }
            }
        };
        Page::single("Make the next login easier", &main)
    }
}

/// A passkey is to be made.
pub struct MakePasskey<'a> {
    /// What every step has.
    pub step: Step<'a>,
    /// Whom it is for.
    pub who: Who<'a>,
    /// The options, as JSON.
    pub options: &'a str,
    /// Whether the login could go on without.
    pub optional: bool,
}

impl MakePasskey<'_> {
    /// As a page.
    pub fn page(&self) -> Page {
        let name = Field {
            value: "Passkey",
            required: false,
            hint: Some("By which you tell it from others, for example “Work laptop”."),
            ..Field::text("name", "Name")
        };
        let main = html! {
            div class="card stack-l" {
                h1 { "Create a passkey" }
                (self.who.show())
                (Problem::shown(self.step.problem))
                p {
                    "Your device keeps a key that only you can unlock, with your finger, your face or its PIN. There is nothing "
                    "to remember, and nothing that somebody could steal from here."
                }
                @if !self.optional {
                    (notice(Tone::Info, &html! { "Your administrator asks for a passkey at every login." }))
                }
                (PasskeyForm {
                    action: "/login/new-passkey",
                    ceremony: "create",
                    options: self.options,
                    autofill: false,
                    button: "Create the passkey",
                    first: true,
                    more: name.show(),
                }.show(self.step.token))
                (skip(&self.step, self.optional))
            }
        };
        Page::single("Create a passkey", &main)
    }
}

/// A one-time password is to be set up.
pub struct SetUpTotp<'a> {
    /// What every step has.
    pub step: Step<'a>,
    /// Whom it is for.
    pub who: Who<'a>,
    /// For the code that is scanned.
    pub uri: &'a str,
    /// For typing.
    pub secret: &'a str,
    /// Whether the login could go on without.
    pub optional: bool,
}

impl SetUpTotp<'_> {
    /// As a page.
    pub fn page(&self) -> Page {
        let main = html! {
            div class="card stack-l" {
                h1 { (title("Set up a one-time password")) }
                (self.who.show())
                (Problem::above_field(self.step.problem))
                @if !self.optional {
                    (notice(Tone::Info, &html! { "Your administrator asks for a one-time password at every login." }))
                }
                ol class="steps" {
                    li class="stack" {
                        p { "Scan this with an authenticator application on your telephone." }
                        (qr(self.uri, "QR code for an authenticator application; the secret stands below as text"))
                        details class="more" {
                            summary { "I cannot scan it" }
                            p class="small muted" { "Type this secret into the application instead." }
                            (component::copied("totp-secret", "the secret", &grouped(self.secret)))
                        }
                    }
                    li {
                        (component::form("/login/new-totp", self.step.token, &html! {
                            (Field {
                                hint: Some("It shows six digits, and other ones every 30 seconds."),
                                focus: self.step.problem.is_some(),
                                refused: self.step.problem.is_some(),
                                ..Field::digits("code", "Enter what the application shows")
                            }.show())
                            button class="button full" { "Confirm" }
                        }))
                    }
                }
                (skip(&self.step, self.optional))
            }
        };
        Page::single("Set up a one-time password", &main)
    }
}

/// In groups of four, as people read it.
fn grouped(secret: &str) -> String {
    let mut text = String::with_capacity(secret.len() * 5 / 4);
    for (place, character) in secret.chars().enumerate() {
        if place > 0 && place % 4 == 0 {
            text.push(' ');
        }
        text.push(character);
    }
    text
}

/// Recovery codes, shown this once.
pub struct RecoveryCodes<'a> {
    /// They.
    pub codes: &'a [&'a str],
    /// Where to go on.
    pub next: &'a str,
}

impl RecoveryCodes<'_> {
    /// As a page.
    pub fn page(&self) -> Page {
        let main = html! {
            div class="card stack-l" {
                h1 { "Keep your recovery codes" }
                p {
                    "Each of them stands in once for your one-time password, when you do not have your telephone. Former codes no "
                    "longer work."
                }
                (notice(Tone::Warn, &html! { "They are shown this once. Print them, or keep them where you keep passwords." }))
                ul class="codes" id="recovery-codes" aria-label="Recovery codes" {
                    @for code in self.codes { li { (code) } }
                }
                div class="row" {
                    button type="button" class="button second" data-copy="" data-from="recovery-codes" hidden {
                        span data-label="" { "Copy" } span class="visually-hidden" { " the recovery codes" }
                    }
                    a class="button second" data-download="" data-from="recovery-codes" download="keyward-recovery-codes.txt" hidden {
                        "Download"
                    }
                }
                p { a class="button full" href=(self.next) { "I have kept them" } }
            }
        };
        Page::single("Recovery codes", &main)
    }
}

/// A password is to be set.
pub struct SetPassword<'a> {
    /// What every step has.
    pub step: Step<'a>,
    /// Whom it is for.
    pub who: Who<'a>,
    /// The fewest characters.
    pub min_length: usize,
}

impl SetPassword<'_> {
    /// As a page.
    pub fn page(&self) -> Page {
        let hint = password_hint(self.min_length);
        let main = html! {
            div class="card stack-l" {
                h1 { "Set a password" }
                (self.who.show())
                (Problem::above_field(self.step.problem))
                p { "Choose one that nobody else knows. What you were given to begin with no longer works then." }
                (component::form("/login/new-password", self.step.token, &html! {
                    input type="text" name="username" value=(self.who.email) autocomplete="username" hidden;
                    (self.step.first(Field { hint: Some(&hint), ..Field::password("password", "New password", "new-password") }))
                    (Field::password("repeated", "The same again", "new-password").show())
                    button class="button full" { "Set the password" }
                }))
            }
        };
        Page::single("Set a password", &main)
    }
}

/// What a new password has to be.
pub(super) fn password_hint(min_length: usize) -> String {
    format!(
        "At least {min_length} characters. Several words that do not belong together are good, and easy to remember."
    )
}

/// An enrolment link was followed; it is used by a button alone, since programs that look at mail follow links too.
pub struct OpenLink<'a> {
    /// What every step has; the value of the link.
    pub step: Step<'a>,
    /// The value of the link.
    pub link: &'a str,
}

impl OpenLink<'_> {
    /// As a page.
    pub fn page(&self) -> Page {
        let main = html! {
            div class="card stack-l" {
                h1 { "Set up your login" }
                (Problem::above_field(self.step.problem))
                p { "Your administrator gave you this link. It works once, and for a short time." }
                (component::form(&format!("/enrol/{}", self.link), self.step.token, &html! {
                    button class="button full" autofocus { "Begin" }
                }))
            }
        };
        Page::single("Set up your login", &main)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_in_the_page_as_text_and_as_code_alone() {
        let step = Step { token: "t", problem: None };
        let who = Who { email: "ann@example.com", tenant: Some("b2") };
        let uri = "otpauth://totp/x?secret=ABCDEFGHIJ";
        let page = SetUpTotp { step, who, uri, secret: "ABCDEFGHIJ", optional: true }.page();
        assert_eq!(page.text().matches("ABCD EFGH IJ").count(), 1);
        assert!(!page.text().contains("ABCDEFGHIJ") && !page.text().contains("otpauth"));
        assert!(page.text().contains("Not now"));
        let page = SetUpTotp { step, who, uri, secret: "ABCDEFGHIJ", optional: false }.page();
        assert!(!page.text().contains("Not now"));
    }

    #[test]
    fn codes_are_listed_and_stay_text() {
        let page = RecoveryCodes { codes: &["aaaa-bbbb", "<b>"], next: "/account" }.page();
        assert!(page.text().contains("<li>aaaa-bbbb</li><li>&lt;b&gt;</li>"));
        assert!(page.text().contains(r#"href="/account""#));
    }
}
