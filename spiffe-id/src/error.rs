use std::fmt;

/// What is wrong with an ID, a trust domain, a path or a pattern.
///
/// `segment` counts the segments of the path from 1; `at` counts bytes from 0 inside the segment
/// or trust domain that the error names. Long or unprintable input is shown shortened and escaped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The whole text is too long (SPIFFE-ID.md §2.3).
    #[error("a text of {len} bytes is too long for a SPIFFE ID, at most {max} are allowed")]
    TooLong {
        /// The length in bytes.
        len: usize,
        /// The greatest length allowed, in bytes.
        max: usize,
    },
    /// The text does not start with `spiffe://` in lower case (SPIFFE-ID.md §2).
    #[error("`{input}` does not start with `spiffe://`{}", scheme_hint(.input))]
    WrongScheme {
        /// The text, shortened.
        input: Box<str>,
    },
    /// There is no trust domain (SPIFFE-ID.md §2.1).
    #[error("the trust domain is empty")]
    EmptyTrustDomain,
    /// The trust domain is too long (SPIFFE-ID.md §2.3).
    #[error("a trust domain of {len} bytes is too long, at most {max} are allowed")]
    TrustDomainTooLong {
        /// The length in bytes.
        len: usize,
        /// The greatest length allowed, in bytes.
        max: usize,
    },
    /// A byte that no trust domain has (SPIFFE-ID.md §2.1).
    #[error(
        "trust domain `{trust_domain}` has {} at position {at}: {}",
        Shown(*.byte), trust_domain_hint(*.byte, .trust_domain)
    )]
    TrustDomainByte {
        /// The trust domain, shortened.
        trust_domain: Box<str>,
        /// The first byte that is not allowed.
        byte: u8,
        /// Its position in the trust domain.
        at: usize,
    },
    /// A path that does not start with `/` (SPIFFE-ID.md §2.2).
    #[error("path `{path}` does not start with `/`")]
    PathWithoutSlash {
        /// The path, shortened.
        path: Box<str>,
    },
    /// Two slashes with nothing between them, or an empty segment given to a builder (SPIFFE-ID.md §2.2).
    #[error("segment {segment} of the path is empty")]
    EmptySegment {
        /// Which segment.
        segment: usize,
    },
    /// The path ends with a slash (SPIFFE-ID.md §2.2).
    #[error("the path ends with `/`")]
    TrailingSlash,
    /// A segment is `.` or `..` (SPIFFE-ID.md §2.2).
    #[error("segment {segment} of the path is `{text}`: relative segments are not allowed")]
    DotSegment {
        /// Which segment.
        segment: usize,
        /// `.` or `..`.
        text: &'static str,
    },
    /// A byte that no segment has (SPIFFE-ID.md §2.2).
    #[error(
        "segment {segment} of the path, `{text}`, has {} at position {at}: {}",
        Shown(*.byte), segment_hint(*.byte)
    )]
    SegmentByte {
        /// Which segment.
        segment: usize,
        /// The segment, shortened.
        text: Box<str>,
        /// The first byte that is not allowed.
        byte: u8,
        /// Its position in the segment.
        at: usize,
    },
    /// A pattern mixes `*` with other characters in one segment.
    #[error(
        "segment {segment} of the pattern, `{text}`, mixes `*` with other characters: `*` stands for one whole segment, `**` for the rest"
    )]
    PartialWildcard {
        /// Which segment.
        segment: usize,
        /// The segment, shortened.
        text: Box<str>,
    },
    /// A pattern goes on after `**`.
    #[error("segment {segment} of the pattern is `**`, which is only allowed at the end")]
    RestNotLast {
        /// Which segment.
        segment: usize,
    },
    /// The ID of a signing authority has a path (SPIFFE-ID.md §3.1).
    #[error("`{id}` has a path, the ID of a signing authority has none")]
    UnexpectedPath {
        /// The ID, shortened.
        id: Box<str>,
    },
    /// The ID of a workload has no path (X509-SVID.md §5.2).
    #[error("`{id}` has no path, the ID of a workload has one")]
    MissingPath {
        /// The ID.
        id: Box<str>,
    },
}

/// What kind of failure an error is, for the choice of an answer without a match on its variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input is not what its format demands.
    Malformed,
    /// The input is well-formed and not accepted.
    Refused,
    /// The program or its configuration is wrong.
    Misconfigured,
    /// Something needed is not there at the moment.
    Unavailable,
}

impl Error {
    /// The kind of this failure: [`ErrorKind::Refused`] for an ID that is valid and in the wrong
    /// role, [`ErrorKind::Malformed`] for everything else.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::UnexpectedPath { .. } | Self::MissingPath { .. } => ErrorKind::Refused,
            _ => ErrorKind::Malformed,
        }
    }
}

/// The input as errors show it: at most 80 characters, control and other unprintable ones escaped.
pub(crate) fn excerpt(text: &str) -> Box<str> {
    const MOST: usize = 80;
    let mut shown: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown.into_boxed_str()
}

/// A byte as errors show it.
struct Shown(u8);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_ascii_graphic() {
            write!(f, "`{}`", char::from(self.0))
        } else {
            write!(f, "byte {:#04x}", self.0)
        }
    }
}

fn scheme_hint(input: &str) -> &'static str {
    match input.split_once("://") {
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("spiffe") => ": the scheme must be lower case",
        _ => "",
    }
}

fn trust_domain_hint(byte: u8, trust_domain: &str) -> &'static str {
    match byte {
        b'A'..=b'Z' => "it must be lower case",
        b'@' => "user information is not allowed",
        b':' if trust_domain.starts_with("spiffe://") => "give its name without `spiffe://`",
        b':' => "a port is not allowed",
        b'*' => "it is always literal",
        _ => shared_hint(byte).unwrap_or("allowed are `a-z`, `0-9`, `.`, `-` and `_`"),
    }
}

fn segment_hint(byte: u8) -> &'static str {
    match byte {
        b'/' => "it separates segments",
        _ => shared_hint(byte).unwrap_or("allowed are `a-z`, `A-Z`, `0-9`, `.`, `-` and `_`"),
    }
}

fn shared_hint(byte: u8) -> Option<&'static str> {
    match byte {
        b'%' => Some("percent-encoding is not allowed"),
        b'?' => Some("a query is not allowed"),
        b'#' => Some("a fragment is not allowed"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_short_and_printable() {
        assert_eq!(&*excerpt("plain"), "plain");
        assert_eq!(&*excerpt("a\nb\u{1b}[31m"), r"a\nb\u{1b}[31m");
        assert_eq!(&*excerpt(&"x".repeat(80)), "x".repeat(80));
        assert_eq!(&*excerpt(&"ä".repeat(5000)), format!("{}…", "ä".repeat(80)));
    }

    #[test]
    fn kinds() {
        assert_eq!(Error::TrailingSlash.kind(), ErrorKind::Malformed);
        assert_eq!(Error::MissingPath { id: "spiffe://td".into() }.kind(), ErrorKind::Refused);
        assert_eq!(Error::UnexpectedPath { id: "spiffe://td/a".into() }.kind(), ErrorKind::Refused);
    }

    #[test]
    fn errors_travel() {
        fn travels<T: std::error::Error + Send + Sync + 'static>() {}
        travels::<Error>();
    }
}
