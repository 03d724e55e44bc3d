//! Input shown in an error: in backticks, escaped, and never longer than a line.

use std::fmt;

/// How many characters of an input an error shows.
const SHOWN: usize = 96;

/// Shows foreign text in backticks: control characters escaped, long texts cut.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

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

/// The beginning of an input, to be kept in an error without keeping a megabyte.
pub(crate) fn excerpt(input: &str) -> String {
    // One more than is shown, so that showing it still says that it was cut.
    input.chars().take(SHOWN + 1).collect()
}
