//! Input shown in an error: in backticks, escaped, and never longer than a line.

use std::fmt;

/// How many characters of an input an error keeps.
const KEPT: usize = 64;

/// Shows foreign text in backticks, control characters escaped.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`")?;
        for c in self.0.chars() {
            match c {
                '`' => write!(f, "{}", c.escape_unicode())?,
                c if c.is_control() => write!(f, "{}", c.escape_default())?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("`")
    }
}

/// The beginning of an input, to be kept in an error without keeping a megabyte.
pub(crate) fn excerpt(input: &str) -> String {
    match input.char_indices().nth(KEPT) {
        Some((end, _)) => format!("{}…", input.get(..end).unwrap_or_default()),
        None => input.to_owned(),
    }
}

/// Parts a text such as `` `30`: a unit is missing; write `30d` `` at its first `; ` that is not in
/// backticks: what is wrong, and what to do about it.
pub(crate) fn split_remedy(text: &str) -> (&str, Option<&str>) {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '`' => quoted = !quoted,
            ';' if !quoted => {
                if let Some((message, Some(remedy))) =
                    text.split_at_checked(at).map(|(m, rest)| (m, rest.strip_prefix("; ")))
                {
                    return (message, Some(remedy));
                }
            }
            _ => {}
        }
    }
    (text, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_length_are_tamed() {
        assert_eq!(Quoted("a\n\u{1b}[31m`").to_string(), "`a\\n\\u{1b}[31m\\u{60}`");
        assert_eq!(excerpt(&"é".repeat(1_000_000)), format!("{}…", "é".repeat(64)));
        assert_eq!(excerpt(&"x".repeat(64)), "x".repeat(64));
    }

    #[test]
    fn the_remedy_follows_the_semicolon() {
        assert_eq!(split_remedy("`30`: no unit; write `30d`; or not"), ("`30`: no unit", Some("write `30d`; or not")));
        assert_eq!(split_remedy("`a; b`: bad; write `c`"), ("`a; b`: bad", Some("write `c`")));
        assert_eq!(split_remedy("bad;"), ("bad;", None));
        assert_eq!(split_remedy(""), ("", None));
    }
}
