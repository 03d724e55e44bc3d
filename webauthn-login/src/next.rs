//! Where to go after the login.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// A path inside this site. Whatever a browser could take for another site is refused, in every spelling: a scheme, `//`,
/// `\`, control characters, and their escapes.
///
/// ```
/// # use keyward_webauthn_login::NextPath;
/// assert!("/keys?name=tokens#versions".parse::<NextPath>().is_ok());
/// for bad in ["//evil.example", "/\\evil.example", "/%2F/evil.example", "https://evil.example", "javascript:alert(1)"] {
///     assert!(bad.parse::<NextPath>().is_err());
/// }
/// assert_eq!(NextPath::default().as_str(), "/");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NextPath(String);

impl NextPath {
    /// The most characters.
    pub const MAX_LEN: usize = 2048;

    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for NextPath {
    fn default() -> Self {
        Self("/".to_owned())
    }
}

impl FromStr for NextPath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = |problem| Err(Error::Next { problem });
        if text.len() > Self::MAX_LEN {
            return refuse("it is longer than 2048 characters");
        }
        if !text.starts_with('/') {
            return refuse("it does not start with `/`");
        }
        // Browsers drop tabs and line breaks before they parse (WHATWG URL §4.4), and take `\` for `/`.
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains('\\') {
            return refuse("it holds a character that belongs escaped");
        }
        let (path, _) = text.split_at(text.find(['?', '#']).unwrap_or(text.len()));
        // Something on the way may unescape, once or twice.
        let mut seen = path.to_owned();
        for depth in 0..3 {
            let lower = seen.to_ascii_lowercase();
            if lower.contains("//") || lower.contains('\\') || seen.bytes().any(|byte| byte.is_ascii_control()) {
                return refuse("it could be taken for another site");
            }
            if lower.split('/').any(|segment| segment == "." || segment == "..") {
                return refuse("it has a `.` or `..` segment");
            }
            match crate::percent::decode(&seen) {
                Some(decoded) => seen = decoded,
                None if depth == 0 => return refuse("it has a broken escape"),
                None => break,
            }
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for NextPath {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<NextPath> for String {
    fn from(next: NextPath) -> Self {
        next.0
    }
}

impl fmt::Display for NextPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_this_site() {
        for good in ["/", "/account", "/keys/tokens?x=//y&z=%2F#a", "/a%20b", "/login/b2/ann%40example.com", "/a.b/..c"]
        {
            assert_eq!(good.parse::<NextPath>().unwrap().to_string(), good);
        }
    }

    #[test]
    fn nothing_that_leads_elsewhere() {
        for bad in [
            "",
            "account",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            " /x",
            "https://evil.example",
            "https:evil.example",
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "data:text/html,x",
            "/%2fevil.example",
            "/%2Fevil.example",
            "/%5cevil.example",
            "/%5Cevil",
            "/%252fevil.example",
            "/%09/evil.example",
            "/a//b",
            "/..//evil.example",
            "/%2e%2e/x",
            "/./x",
            "/a/%",
            "/é",
            "/x%00",
            "@evil.example",
            "/a\\b",
        ] {
            assert!(bad.parse::<NextPath>().is_err(), "{bad}");
        }
        assert!(format!("/{}", "x".repeat(2048)).parse::<NextPath>().is_err());
        assert_eq!(
            "//evil.example".parse::<NextPath>().unwrap_err().to_string(),
            "`next` must be a path inside this site: it could be taken for another site"
        );
    }
}
