use std::fmt;
use std::iter::FusedIterator;
use std::str::FromStr;

use crate::error::Error;
use crate::scan;

/// The path of a SPIFFE ID (SPIFFE-ID.md §2.2): nothing, or `/` and a segment, once or more.
///
/// A segment is one or more of `a-z`, `A-Z`, `0-9`, `.`, `-` and `_`, and neither `.` nor `..`.
///
/// ```
/// use keyward_spiffe_id::{Path, SpiffeId, TrustDomain};
///
/// let namespace = Path::from_segments(["ns", "payments"])?;
/// let account = namespace.join("sa")?.join("checkout")?;
/// assert_eq!(account.as_str(), "/ns/payments/sa/checkout");
///
/// let prod: TrustDomain = "prod.example.org".parse()?;
/// let id = SpiffeId::new(&prod, &account)?;
/// assert_eq!(id.as_str(), "spiffe://prod.example.org/ns/payments/sa/checkout");
///
/// assert_eq!(
///     namespace.join("a b").unwrap_err().to_string(),
///     "segment 3 of the path, `a b`, has byte 0x20 at position 1: \
///      allowed are `a-z`, `A-Z`, `0-9`, `.`, `-` and `_`",
/// );
/// # Ok::<(), keyward_spiffe_id::Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Box<str>);

impl Path {
    /// The empty path.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// Puts a path together; no segment at all makes the empty path.
    ///
    /// # Errors
    ///
    /// [`Error::EmptySegment`], [`Error::DotSegment`] or [`Error::SegmentByte`]; a `/` inside a
    /// segment is such a byte, so that no segment becomes two. [`Error::TooLong`] for more than
    /// fits into an ID.
    pub fn from_segments(segments: impl IntoIterator<Item: AsRef<str>>) -> Result<Self, Error> {
        let mut path = String::new();
        push_segments(&mut path, 0, segments)?;
        Ok(Self(path.into_boxed_str()))
    }

    /// The path with one more segment.
    ///
    /// # Errors
    ///
    /// As for [`Path::from_segments`].
    pub fn join(&self, segment: &str) -> Result<Self, Error> {
        let mut path = String::with_capacity(self.0.len() + 1 + segment.len());
        path.push_str(&self.0);
        push_segments(&mut path, self.segments().count(), [segment])?;
        Ok(Self(path.into_boxed_str()))
    }

    /// The text: empty or starting with `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the path is empty.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The segments from left to right.
    #[must_use]
    pub fn segments(&self) -> Segments<'_> {
        Segments::of(&self.0)
    }
}

/// Appends segments to a text of which `before` segments are there already, checking each, and the
/// length of the whole.
pub(crate) fn push_segments(
    text: &mut String,
    before: usize,
    segments: impl IntoIterator<Item: AsRef<str>>,
) -> Result<(), Error> {
    for (number, segment) in (before + 1..).zip(segments) {
        let segment = segment.as_ref();
        scan::segment(number, segment)?;
        let len = text.len() + 1 + segment.len();
        if len > scan::MAX_ID {
            return Err(Error::TooLong { len, max: scan::MAX_ID });
        }
        text.push('/');
        text.push_str(segment);
    }
    Ok(())
}

impl FromStr for Path {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.len() > scan::MAX_ID {
            return Err(Error::TooLong { len: text.len(), max: scan::MAX_ID });
        }
        scan::path(text)?;
        Ok(Self(text.into()))
    }
}

impl TryFrom<&str> for Path {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self, Error> {
        text.parse()
    }
}

impl TryFrom<String> for Path {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Path> for String {
    fn from(path: Path) -> Self {
        path.0.into_string()
    }
}

impl AsRef<str> for Path {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Path").field(&self.as_str()).finish()
    }
}

/// The segments of a path from left to right.
#[derive(Clone, Debug)]
pub struct Segments<'a>(Option<&'a str>);

impl<'a> Segments<'a> {
    /// Of a path that is empty or starts with `/`.
    pub(crate) fn of(path: &'a str) -> Self {
        Self(path.strip_prefix('/'))
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.0?;
        match rest.split_once('/') {
            Some((segment, rest)) => {
                self.0 = Some(rest);
                Some(segment)
            }
            None => self.0.take(),
        }
    }
}

impl FusedIterator for Segments<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_come_from_left_to_right() {
        let path: Path = "/a/bc/d".parse().unwrap();
        assert_eq!(path.segments().collect::<Vec<_>>(), ["a", "bc", "d"]);
        assert_eq!(Path::root().segments().next(), None);
        assert!(Path::root().is_root() && !path.is_root());
    }

    #[test]
    fn builders_name_segment_byte_and_position() {
        let cases: [(&[&str], &str); 6] = [
            (&["ok", ""], "segment 2 of the path is empty"),
            (&["."], "segment 1 of the path is `.`: relative segments are not allowed"),
            (&["a", "b", ".."], "segment 3 of the path is `..`: relative segments are not allowed"),
            (&["a/b"], "segment 1 of the path, `a/b`, has `/` at position 1: it separates segments"),
            (&["a", "50%"], "segment 2 of the path, `50%`, has `%` at position 2: percent-encoding is not allowed"),
            (
                &["é"],
                "segment 1 of the path, `é`, has byte 0xc3 at position 0: allowed are `a-z`, `A-Z`, `0-9`, `.`, `-` and `_`",
            ),
        ];
        for (segments, text) in cases {
            assert_eq!(Path::from_segments(segments).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn a_path_longer_than_any_id_is_refused_early() {
        let endless = std::iter::repeat("segment");
        assert_eq!(Path::from_segments(endless).unwrap_err(), Error::TooLong { len: 2056, max: 2048 },);
        assert_eq!("/".repeat(3000).parse::<Path>().unwrap_err(), Error::TooLong { len: 3000, max: 2048 },);
    }

    #[test]
    fn texts_of_paths() {
        assert_eq!("a/b".parse::<Path>().unwrap_err().to_string(), "path `a/b` does not start with `/`");
        assert_eq!("/".parse::<Path>().unwrap_err().to_string(), "the path ends with `/`");
        assert_eq!("".parse::<Path>().unwrap(), Path::root());
        assert_eq!(format!("{:?}", Path::from_segments(["a"]).unwrap()), r#"Path("/a")"#);
    }
}
