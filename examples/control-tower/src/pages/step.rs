//! What all pages of a login have in common: what their forms carry, whom the login is for, the form that a passkey answers.

use maud::{Markup, html};

use super::{
    component::{Field, unspaced},
    icon,
    problem::Problem,
};

/// What every page of a login has.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// What its forms carry.
    pub token: &'a str,
    /// Why the step before did not succeed.
    pub problem: Option<&'a Problem>,
}

impl Step<'_> {
    /// The field that a page is about: it has the focus, and what did not succeed is read with it.
    pub fn first(&self, field: Field<'_>) -> Markup {
        Field { focus: true, refused: self.problem.is_some(), ..field }.show()
    }
}

/// Whom a login is for, as far as that was said.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    /// What was typed.
    pub email: &'a str,
    /// The tenant, if it was named.
    pub tenant: Option<&'a str>,
}

/// An address of more characters has a line of its own.
const LONG: usize = 40;

impl Who<'_> {
    /// As markup, with the way to say somebody else.
    pub fn show(self) -> Markup {
        html! {
            div class=(if self.email.len() > LONG { "identity long" } else { "identity" }) {
                div class="who" {
                    strong { (unspaced(self.email)) }
                    @if let Some(tenant) = self.tenant { span class="muted small" { "Tenant " (tenant) } }
                }
                a class="button quiet slim" href="/login?as=other" {
                    "Change" span class="visually-hidden" { " who logs in" }
                }
            }
        }
    }
}

/// A form that a passkey answers. Its button works with script alone, which says so where there is none.
pub struct PasskeyForm<'a> {
    /// Where the answer goes.
    pub action: &'a str,
    /// The ceremony: `get` or `create`.
    pub ceremony: &'static str,
    /// The options for the browser, as JSON.
    pub options: &'a str,
    /// Whether the browser offers passkeys in the field of the address by itself.
    pub autofill: bool,
    /// The words of the button.
    pub button: &'a str,
    /// Whether it is what the page is about.
    pub first: bool,
    /// Further fields.
    pub more: Markup,
}

impl PasskeyForm<'_> {
    /// As markup.
    pub fn show(&self, token: &str) -> Markup {
        let class = if self.first { "button full" } else { "button second full" };
        html! {
            form class="stack" method="post" action=(self.action) data-passkey=(self.options) data-ceremony=(self.ceremony)
                data-autofill=[self.autofill.then_some("")] {
                input type="hidden" name=(super::form::FIELD) value=(token);
                input type="hidden" name="response" value="";
                (self.more)
                div class="notice danger" role="alert" data-problem="" hidden { (icon::danger()) div { p {} } }
                button class=(class) disabled { (icon::passkey()) (self.button) }
                noscript { p class="muted small" { "Passkeys need JavaScript." } }
            }
        }
    }
}
