//! Text that is there to be copied.

use std::borrow::Cow;

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
    let is_command = !text.trim_end().contains('\n');
    html! {
        div class="stack-s" {
            pre class=(if is_command { "code block" } else { "code block lines" }) id=(id) tabindex="0" aria-label=(what) {
                @if is_command { (words(text)) } @else { (text) }
            }
            div class="row" { (button(id, what)) }
        }
    }
}

/// Text as one word of a command, whatever is in it: between single quotes where a shell could take it for something else.
pub fn word(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@%+=:,./-_".contains(&byte);
    match !text.is_empty() && text.bytes().all(is_plain) {
        true => text.into(),
        false => format!("'{}'", text.replace('\'', r"'\''")).into(),
    }
}

/// A command, whose lines break between its words: not within `--ca`.
fn words(command: &str) -> Markup {
    html! {
        @for (place, word) in command.split(' ').enumerate() {
            @if place > 0 { " " }
            @if !word.is_empty() { span class="piece" { (word) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_one_for_every_shell() {
        assert_eq!(word("https://tower.example:4646/a_b"), "https://tower.example:4646/a_b");
        assert_eq!([word(""), word("a b"), word("$(id)")], ["''", "'a b'", "'$(id)'"]);
        assert_eq!(word("o'brien@x"), r"'o'\''brien@x'");
    }

    #[test]
    fn a_command_is_the_same_text_with_every_space() {
        let pieces = words("echo 'ab  x.sh' --ca <f>").into_string();
        let text = pieces.replace("<span class=\"piece\">", "").replace("</span>", "");
        assert_eq!(text, "echo 'ab  x.sh' --ca &lt;f&gt;");
        assert_eq!(pieces.matches("<span").count(), 5);
    }
}
