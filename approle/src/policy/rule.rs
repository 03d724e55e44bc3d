//! Patterns of paths.

use core::fmt;
use core::str::FromStr;

use keyward_config_values::{Template, VariableName};
use serde::{Deserialize, Serialize};

use crate::Error;

/// The longest pattern in bytes.
const MAX_LENGTH: usize = 2048;
/// The most `*` in one pattern. It bounds what a match can cost.
const MAX_WILDCARDS: usize = 8;

/// A pattern of paths: `/` and segments, where `*` stands for exactly one segment and `**`, as the
/// last one, for the rest, which is one segment or more.
///
/// `/v1/config/**` is everything below `/v1/config` and not that path itself.
///
/// `${name}` stands for a variable's value, as a segment or as part of one; see
/// [`Request::with_bindings`](crate::Request::with_bindings).
///
/// ```
/// use keyward_approle::PathPattern;
///
/// let pattern: PathPattern = "/v1/config/strongbox/*/reader".parse()?;
/// assert_eq!(pattern.to_string(), "/v1/config/strongbox/*/reader");
/// assert!("/v1/config/**/reader".parse::<PathPattern>().is_err()); // `**` is the rest
/// # Ok::<(), keyward_approle::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PathPattern(String);

impl PathPattern {
    /// The pattern as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a variable stands in it.
    #[must_use]
    pub fn has_variables(&self) -> bool {
        self.0.contains("${")
    }

    /// The variables in it, one that is used twice twice.
    pub fn variables(&self) -> impl Iterator<Item = VariableName> {
        let segments = self.0.split('/').filter_map(|segment| segment.parse::<Template>().ok());
        segments.flat_map(|segment| segment.variables().cloned().collect::<Vec<_>>())
    }
}

impl FromStr for PathPattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        check(text).map_err(|problem| Error::Pattern { pattern: excerpt(text), problem })?;
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for PathPattern {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<PathPattern> for String {
    fn from(pattern: PathPattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is wrong with a path pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternProblem {
    /// It does not start with `/`.
    #[error("it must start with `/`")]
    NoSlash,
    /// It has an empty segment, or ends with `/`.
    #[error("it has an empty segment")]
    EmptySegment,
    /// It has a segment `.` or `..`, which no path that is authorized has.
    #[error("it has a segment `.` or `..`")]
    DotSegment,
    /// `**` is not its last segment.
    #[error("`**` can only be the last segment")]
    RestNotLast,
    /// A segment has `*` beside other characters.
    #[error("`*` must be a whole segment")]
    PartialWildcard,
    /// It has `${` that begins no variable.
    #[error("`${{` must be followed by the name of a variable and `}}`, such as `${{approle}}`")]
    Variable,
    /// It has whitespace, a control character or `%`, which no path that is authorized has.
    #[error("it has whitespace, a control character or `%`")]
    Character,
    /// It is longer than 2048 bytes.
    #[error("it is longer than {MAX_LENGTH} bytes")]
    TooLong,
    /// It has more than eight wildcards.
    #[error("it has more than {MAX_WILDCARDS} wildcards")]
    TooManyWildcards,
}

fn check(text: &str) -> Result<(), PatternProblem> {
    if text.len() > MAX_LENGTH {
        return Err(PatternProblem::TooLong);
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '%') {
        return Err(PatternProblem::Character);
    }
    let mut segments = text.strip_prefix('/').ok_or(PatternProblem::NoSlash)?.split('/').peekable();
    let mut wildcards = 0;
    while let Some(segment) = segments.next() {
        match segment {
            "" => return Err(PatternProblem::EmptySegment),
            "." | ".." => return Err(PatternProblem::DotSegment),
            "**" if segments.peek().is_some() => return Err(PatternProblem::RestNotLast),
            "*" | "**" => wildcards += 1,
            _ if segment.contains('*') => return Err(PatternProblem::PartialWildcard),
            _ if segment.contains("${") => {
                segment.parse::<Template>().map_err(|_| PatternProblem::Variable)?;
            }
            _ => {}
        }
    }
    if wildcards > MAX_WILDCARDS {
        return Err(PatternProblem::TooManyWildcards);
    }
    Ok(())
}

/// Enough of a text to recognise it in an error.
fn excerpt(text: &str) -> String {
    const KEPT: usize = 128;
    match text.char_indices().nth(KEPT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_a_pattern_and_what_is_not() {
        for good in [
            "/a",
            "/*",
            "/**",
            "/a/*/b/**",
            "/v1/users/joe@example.org",
            "/...",
            "/{a}$",
            "/a/${tenant}/x-${spiffe-id.path[0]}-y/**",
        ] {
            assert_eq!(good.parse::<PathPattern>().unwrap().to_string(), good);
        }
        for (bad, text) in [
            ("", "it must start with `/`"),
            ("a", "it must start with `/`"),
            ("/", "it has an empty segment"),
            ("/a/", "it has an empty segment"),
            ("/a//b", "it has an empty segment"),
            ("/a/../b", "it has a segment `.` or `..`"),
            ("/./b", "it has a segment `.` or `..`"),
            ("/**/b", "`**` can only be the last segment"),
            ("/a*", "`*` must be a whole segment"),
            ("/***", "`*` must be a whole segment"),
            ("/a/${Tenant}", "`${` must be followed by the name of a variable and `}`, such as `${approle}`"),
            ("/a/${a/b}", "`${` must be followed by the name of a variable and `}`, such as `${approle}`"),
            ("/a/${a", "`${` must be followed by the name of a variable and `}`, such as `${approle}`"),
            ("/a/${a}*", "`*` must be a whole segment"),
            ("/a b", "it has whitespace, a control character or `%`"),
            ("/a%2fb", "it has whitespace, a control character or `%`"),
            ("/*/*/*/*/*/*/*/*/*", "it has more than 8 wildcards"),
        ] {
            assert_eq!(
                bad.parse::<PathPattern>().unwrap_err().to_string(),
                format!("invalid path pattern `{bad}`: {text}")
            );
        }
        let long = format!("/{}", "é".repeat(1100)).parse::<PathPattern>().unwrap_err().to_string();
        assert!(long.len() < 400 && long.ends_with("…`: it is longer than 2048 bytes"));
    }

    proptest! {
        #[test]
        fn what_parses_is_written_the_same(text in "(/([a-c.]{0,3}|\\*{1,2})){0,5}") {
            if let Ok(pattern) = text.parse::<PathPattern>() {
                prop_assert_eq!(pattern.to_string(), text.clone());
                let json = serde_json::to_string(&pattern).unwrap();
                prop_assert_eq!(serde_json::from_str::<PathPattern>(&json).unwrap(), pattern);
            }
        }
    }
}
