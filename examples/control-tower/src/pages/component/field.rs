//! Fields of forms: each has a label, a hint and an error that belong to it for those who do not see it too.

use maud::{Markup, html};

use crate::pages::problem::Problem;

/// What is typed into a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// An address, with the keyboard for it.
    Email,
    /// Something that nobody else should read. It can be shown.
    Password,
    /// Six digits.
    Digits,
}

/// One line to type.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// What it is called in the form. With `field-` before it, its id.
    pub name: &'a str,
    /// What it is called by people.
    pub label: &'a str,
    /// What is in it already.
    pub value: &'a str,
    /// What is typed.
    pub kind: Kind,
    /// What belongs into it.
    pub hint: Option<&'a str>,
    /// Why it was not accepted.
    pub error: Option<&'a str>,
    /// HTML §4.10.18.7: what the browser fills in.
    pub autocomplete: &'a str,
    /// Whether the form is refused without it.
    pub required: bool,
    /// Whether it can be changed.
    pub readonly: bool,
    /// Whether it has the focus when the page opens: the one field that such a page is about. One that was not accepted always has it.
    pub focus: bool,
    /// Whether the problem of the page is about it, so that it is read with it.
    pub refused: bool,
}

impl<'a> Field<'a> {
    /// A line of text that has to be there.
    pub fn text(name: &'a str, label: &'a str) -> Self {
        Self {
            name,
            label,
            value: "",
            kind: Kind::Text,
            hint: None,
            error: None,
            autocomplete: "off",
            required: true,
            readonly: false,
            focus: false,
            refused: false,
        }
    }

    /// A password, the present one (`current-password`) or another one (`new-password`).
    pub fn password(name: &'a str, label: &'a str, autocomplete: &'a str) -> Self {
        Self { kind: Kind::Password, autocomplete, ..Self::text(name, label) }
    }

    /// A one-time password.
    pub fn digits(name: &'a str, label: &'a str) -> Self {
        Self { kind: Kind::Digits, autocomplete: "one-time-code", ..Self::text(name, label) }
    }

    /// As markup.
    pub fn show(&self) -> Markup {
        self.show_as(&format!("field-{}", self.name))
    }

    /// The same with an id of its own, where a page has several fields of the name.
    pub fn show_as(&self, id: &str) -> Markup {
        let hint = self.hint.map(|_| format!("{id}-hint"));
        let error = self.error.map(|_| format!("{id}-error"));
        let problem = self.refused.then_some(Problem::ID);
        let described: Vec<&str> = problem.into_iter().chain(error.as_deref()).chain(hint.as_deref()).collect();
        let described = (!described.is_empty()).then(|| described.join(" "));
        let kind = match self.kind {
            Kind::Password => "password",
            // A local account has no address, so the browser must not ask for one.
            Kind::Text | Kind::Email | Kind::Digits => "text",
        };
        let mode = match self.kind {
            Kind::Email => Some("email"),
            Kind::Digits => Some("numeric"),
            Kind::Text | Kind::Password => None,
        };
        let plain = matches!(self.kind, Kind::Email | Kind::Digits | Kind::Password);
        let input = html! {
            input type=(kind) id=(id) name=(self.name) value=(self.value) autocomplete=(self.autocomplete)
                class=[(self.kind == Kind::Digits).then_some("digits")]
                inputmode=[mode]
                maxlength=[(self.kind == Kind::Digits).then_some("7")]
                autocapitalize=[plain.then_some("none")] spellcheck=[plain.then_some("false")]
                aria-describedby=[described] aria-invalid=[self.error.map(|_| "true")]
                required[self.required] readonly[self.readonly] autofocus[self.focus || self.error.is_some()];
        };
        html! {
            div class="field" {
                label for=(id) {
                    (self.label)
                    @if !self.required && !self.readonly { " " span class="optional" { "(optional)" } }
                }
                @if self.kind == Kind::Password {
                    div class="reveal" {
                        (input)
                        button type="button" class="button quiet slim" data-reveal=(id) aria-pressed="false" hidden {
                            span data-label="" { "Show" }
                            span class="visually-hidden" { " " (self.label) }
                        }
                    }
                } @else {
                    (input)
                }
                @if let Some(text) = self.error { p class="error" id=(format!("{id}-error")) { (super::prose(text)) } }
                @if let Some(text) = self.hint { p class="hint" id=(format!("{id}-hint")) { (super::prose(text)) } }
            }
        }
    }
}

/// A box to tick.
#[derive(Clone, Copy, Debug)]
pub struct Check<'a> {
    /// What it is called in the form.
    pub name: &'a str,
    /// What the form says when it is ticked.
    pub value: &'a str,
    /// What it is called by people.
    pub label: &'a str,
    /// What ticking it means.
    pub hint: Option<&'a str>,
    /// Whether it is ticked.
    pub checked: bool,
}

impl Check<'_> {
    /// As markup.
    pub fn show(&self) -> Markup {
        html! {
            label class="check" {
                input type="checkbox" name=(self.name) value=(self.value) checked[self.checked];
                span {
                    (self.label)
                    @if let Some(hint) = self.hint { span class="hint" { (hint) } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_and_errors_belong_to_their_field() {
        let field =
            Field { hint: Some("h"), error: Some("e"), ..Field::password("secret", "Secret", "current-password") };
        let text = field.show().into_string();
        for part in [
            r#"<label for="field-secret">"#,
            r#"aria-describedby="field-secret-error field-secret-hint""#,
            r#"aria-invalid="true""#,
            r#"id="field-secret-error">e<"#,
            r#"id="field-secret-hint">h<"#,
            r#"type="password""#,
            r#"autocomplete="current-password""#,
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        // It is where the keyboard is.
        assert!(text.contains(" autofocus"), "{text}");
        let text = Field { refused: true, hint: Some("h"), ..Field::text("a", "A") }.show().into_string();
        assert!(text.contains(r#"aria-describedby="problem field-a-hint""#) && !text.contains("autofocus"), "{text}");
        let text = Field { required: false, ..Field::text("a", "A") }.show().into_string();
        assert!(text.contains("(optional)") && !text.contains("aria-") && !text.contains("required"), "{text}");
    }
}
