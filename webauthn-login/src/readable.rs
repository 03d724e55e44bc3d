//! Text that people read and that reads as what it is: the one rule for names that somebody else chose.

/// Whether a character shows as nothing, or as something else than it is: a control character, one that turns the direction of
/// what stands around it (Unicode UAX #9, Bidi_Control), a separator of lines, or one without a shape (UAX #44,
/// Default_Ignorable_Code_Point). The joiners U+200C and U+200D and the variation selectors are none of them: Persian, Hindi and
/// emoji are written with them.
pub(crate) fn misleads(character: char) -> bool {
    let unseen = matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e00ff}' | '\u{e01f0}'..='\u{e0fff}');
    unseen || character.is_control()
}

/// Whether it has at most so many characters, none of which misleads, and something is seen of it.
pub(crate) fn is_readable(text: &str, most: usize) -> bool {
    text.chars().count() <= most && !text.chars().any(misleads) && text.chars().any(is_seen)
}

/// What is left of a text that was taken when less was known of it.
pub(crate) fn cleared(text: &str) -> Option<String> {
    let text: String = text.chars().filter(|character| !misleads(*character)).collect();
    let text = text.trim();
    text.chars().any(is_seen).then(|| text.to_owned())
}

fn is_seen(character: char) -> bool {
    let joins =
        matches!(character, '\u{200c}' | '\u{200d}' | '\u{2800}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}');
    !joins && !character.is_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_misleads_and_what_does_not() {
        for bad in [
            "",
            " ",
            "\u{200d}",
            "\u{2800}",
            "a\nb",
            "Ann\u{1b}[31m",
            "\u{202e}nnA",
            "A\u{2066}nn",
            "A\u{200b}nn",
            "A\u{2028}nn",
            "A\u{feff}nn",
            "A\u{ad}nn",
            "A\u{e0041}nn",
            "\u{3164}",
        ] {
            assert!(!is_readable(bad, 64), "{bad:?}");
        }
        for good in ["Work laptop", "Ärzte, 日本語, עברית", "می\u{200c}خواهم", "👩\u{200d}💻 ❤\u{fe0f}"]
        {
            assert!(is_readable(good, 64), "{good}");
            assert_eq!(cleared(good).as_deref(), Some(good));
        }
        assert!(is_readable("ab", 2) && !is_readable("abc", 2));
        assert_eq!(cleared(" \u{202e}potpal ").as_deref(), Some("potpal"));
        assert_eq!(cleared("\u{202e}\u{200d}"), None);
    }
}
