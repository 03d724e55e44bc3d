//! What a page has to say: in a sentence, or in a word.

use maud::{Markup, html};

use crate::pages::icon;

/// How it is meant. Colour alone never says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// A fact.
    Info,
    /// It is as it should be.
    Good,
    /// It needs attention.
    Warn,
    /// It failed, or does harm.
    Danger,
    /// Nothing to look at twice.
    Plain,
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Self::Info => "accent",
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Danger => "danger",
            Self::Plain => "",
        }
    }

    fn icon(self) -> Markup {
        match self {
            Self::Info | Self::Plain => icon::info(),
            Self::Good => icon::good(),
            Self::Warn => icon::warning(),
            Self::Danger => icon::danger(),
        }
    }
}

/// A sentence or more. What failed is said at once by screen readers.
pub fn notice(tone: Tone, content: &Markup) -> Markup {
    show(tone, None, false, content)
}

/// What failed, with an id for the field that it is about. It has the focus where no field has it, so that the keyboard goes on from there.
pub fn failure(id: &str, focus: bool, content: &Markup) -> Markup {
    show(Tone::Danger, Some(id), focus, content)
}

fn show(tone: Tone, id: Option<&str>, focus: bool, content: &Markup) -> Markup {
    let role = if tone == Tone::Danger { "alert" } else { "status" };
    html! {
        div class=(format!("notice {}", tone.class())) role=(role) id=[id] tabindex=[focus.then_some("-1")] autofocus[focus] {
            (tone.icon())
            div { (content) }
        }
    }
}

/// A word or two.
pub fn badge(tone: Tone, text: &str) -> Markup {
    html! { span class=(format!("badge {}", tone.class())) { (text) } }
}
