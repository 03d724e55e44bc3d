//! What pages are put together from. `ARCHITECTURE.md` says how to add a page.

mod act;
mod choose;
mod copy;
mod field;
mod notice;
mod table;
mod unspaced;
mod when;

use maud::{Markup, html};

pub use self::{
    act::{Act, form},
    choose::{Area, Radios, Select},
    copy::{copied, copied_block, word},
    field::{Check, Field, Kind},
    notice::{Tone, badge, failure, notice},
    table::{Column, table},
    unspaced::unspaced,
    when::{date, when},
};

/// A title, whose words with a hyphen stay on one line.
pub fn title(text: &str) -> Markup {
    html! {
        @for (place, word) in text.split(' ').enumerate() {
            @if place > 0 { " " }
            @if word.contains('-') { span class="nowrap" { (word) } } @else { (word) }
        }
    }
}

/// What stands where there is nothing yet: what would be here, and how it comes about.
pub fn empty(what: &str, how: &Markup) -> Markup {
    html! {
        div class="empty" {
            p { (what) }
            (how)
        }
    }
}

/// A part of a page under a heading, in a box of its own.
pub fn section(id: &str, heading: &str, content: &Markup) -> Markup {
    html! {
        section class="card" aria-labelledby=(id) {
            header { h2 id=(id) { (title(heading)) } }
            (content)
        }
    }
}

/// Words in a row: `a`, `a and b`, `a, b and c`.
pub fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.into_iter().collect();
    match words.split_last() {
        None => String::new(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// A sentence, what is in backticks as code.
pub fn prose(text: &str) -> Markup {
    html! {
        @for (place, piece) in text.split('`').enumerate() {
            @if place % 2 == 1 { code { (unspaced(piece)) } } @else { (piece) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_a_row() {
        assert_eq!(listed([]), "");
        assert_eq!(listed(["a"]), "a");
        assert_eq!(listed(["a", "b"]), "a and b");
        assert_eq!(listed(["a", "b", "c"]), "a, b and c");
    }

    #[test]
    fn titles_do_not_break_within_a_word() {
        let text = title("Set up a one-time <password>").into_string();
        assert_eq!(text, r#"Set up a <span class="nowrap">one-time</span> &lt;password&gt;"#);
    }

    #[test]
    fn code_in_a_sentence() {
        assert_eq!(prose("a `b` <c>").into_string(), "a <code>b</code> &lt;c&gt;");
        assert_eq!(prose("a ` b").into_string(), "a <code> b</code>");
    }

    #[test]
    fn whatever_a_name_is_it_is_no_markup() {
        let name = "\"><script>alert(1)</script>'&";
        let field = Field { value: name, error: Some(name), hint: Some(name), ..Field::text("n", name) };
        let shown = [
            field.show(),
            notice(Tone::Warn, &html! { (name) }),
            badge(Tone::Good, name),
            copied("id", name, name),
            copied_block("id", name, name),
            unspaced(name),
            empty(name, &html! {}),
            section("id", name, &html! {}),
            form(name, name, &html! {}),
            Act { summary: name, danger: true, content: html! { (name) } }.show(),
            Check { name: "n", value: name, label: name, hint: Some(name), checked: false }.show(),
            table(name, &[Column::new(name)], &[vec![html! { (name) }]]),
        ];
        for markup in shown {
            let text = markup.into_string();
            assert!(!text.contains("<script"), "{text}");
            assert!(text.contains("&lt;script&gt;"), "{text}");
        }
    }
}
