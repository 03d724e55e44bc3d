//! Input shown in an error: in backticks, escaped, and never longer than a line.

use std::fmt;

/// How many characters of an input an error shows.
const SHOWN: usize = 64;

/// Shows foreign text in backticks: control characters escaped, long texts cut.
///
/// ```
/// use keyward_config_values::Quoted;
///
/// assert_eq!(Quoted("a`\n").to_string(), "`a\\u{60}\\n`");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`")?;
        for (count, c) in self.0.chars().enumerate() {
            if count == SHOWN {
                f.write_str("…")?;
                break;
            }
            match c {
                '`' => write!(f, "{}", c.escape_unicode())?,
                c if c.is_control() => write!(f, "{}", c.escape_default())?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("`")
    }
}

/// The beginning of an input, to be kept in an error without keeping a megabyte; as much as [`Quoted`] shows.
pub fn excerpt(input: &str) -> String {
    // One more than is shown, so that showing it still says that it was cut.
    input.chars().take(SHOWN + 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_length_are_tamed() {
        assert_eq!(Quoted("a\n\u{1b}[31m").to_string(), "`a\\n\\u{1b}[31m`");
        let long = excerpt(&"x".repeat(1_000_000));
        assert_eq!(long.len(), 65);
        assert_eq!(Quoted(&long).to_string(), format!("`{}…`", "x".repeat(64)));
    }
}
