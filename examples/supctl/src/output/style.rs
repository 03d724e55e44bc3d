//! Colours, where a terminal wants them, and text that cannot drive a terminal.

use std::borrow::Cow;

/// Colours or none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    colour: bool,
}

impl Style {
    /// With colours or without.
    pub(crate) fn new(colour: bool) -> Self {
        Self { colour }
    }

    /// Headings.
    pub(crate) fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    /// What went wrong.
    pub(crate) fn red(&self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// What to look at.
    pub(crate) fn yellow(&self, text: &str) -> String {
        self.paint("1;33", text)
    }

    /// What frames the rest.
    pub(crate) fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Text of the tower without control characters other than line feed and tab, so that it cannot drive the terminal.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    let bad = |character: char| character.is_control() && !matches!(character, '\n' | '\t');
    if !text.contains(bad) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    for character in text.chars() {
        if bad(character) { clean.extend(character.escape_unicode()) } else { clean.push(character) }
    }
    Cow::Owned(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_only_when_wanted() {
        assert_eq!(Style::new(false).red("x"), "x");
        assert_eq!(Style::new(true).red("x"), "\u{1b}[1;31mx\u{1b}[0m");
    }

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        assert_eq!(plain("a\u{1b}[2Jb\r\u{9b}c\nd\te"), "a\\u{1b}[2Jb\\u{d}\\u{9b}c\nd\te");
    }
}
