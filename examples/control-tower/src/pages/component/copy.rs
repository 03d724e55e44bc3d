//! Text that is there to be copied.

use maud::{Markup, html};

use super::unspaced;

fn button(id: &str, what: &str) -> Markup {
    html! {
        // Shown by the script: without one there is nothing to press it for, and the text can be selected.
        button type="button" class="button second" data-copy="" data-from=(id) hidden {
            span data-label="" { "Copy" }
            span class="visually-hidden" { " " (what) }
        }
    }
}

/// One line of text, `what` it is, and a button that copies it.
pub fn copied(id: &str, what: &str, text: &str) -> Markup {
    html! {
        div class="copy" {
            output class="code" id=(id) aria-label=(what) { span { (unspaced(text)) } }
            (button(id, what))
        }
    }
}

/// The same for a command, or for text of several lines, which stay as they are.
pub fn copied_block(id: &str, what: &str, text: &str) -> Markup {
    let class = if text.trim_end().contains('\n') { "code block lines" } else { "code block" };
    html! {
        div class="stack-s" {
            pre class=(class) id=(id) tabindex="0" aria-label=(what) { (text) }
            div class="row" { (button(id, what)) }
        }
    }
}
