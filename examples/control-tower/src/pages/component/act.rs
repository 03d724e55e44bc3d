//! What is done by a form.

use maud::{Markup, html};

use crate::pages::form::FIELD;

/// A form that changes something: it carries the `token` that ties it to the browser's cookie.
pub fn form(action: &str, token: &str, content: &Markup) -> Markup {
    html! {
        form class="stack" method="post" action=(action) {
            input type="hidden" name=(FIELD) value=(token);
            (content)
        }
    }
}

/// Something that opens in place when it is wanted: a button, and below it what is asked for before it is done. Without script,
/// and by keyboard like everything else.
pub struct Act<'a> {
    /// The words of the button.
    pub summary: &'a str,
    /// Whether it takes something away.
    pub danger: bool,
    /// What opens.
    pub content: Markup,
}

impl Act<'_> {
    /// As markup.
    pub fn show(&self) -> Markup {
        self.markup(None, &html! {})
    }

    /// The same with what it is about, for those who do not see what it stands beside.
    pub fn about(&self, about: &Markup) -> Markup {
        self.markup(None, about)
    }

    /// The same with an id, by which it is the same one when the page is looked for again.
    pub fn named(&self, id: &str, about: &Markup) -> Markup {
        self.markup(Some(id), about)
    }

    fn markup(&self, id: Option<&str>, about: &Markup) -> Markup {
        let class = if self.danger { "button slim danger" } else { "button slim second" };
        html! {
            details class="act" id=[id] {
                summary class=(class) { (self.summary) (about) }
                (self.content)
            }
        }
    }
}
