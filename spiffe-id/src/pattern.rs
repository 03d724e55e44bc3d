use std::fmt;
use std::str::FromStr;

use crate::error::{Error, excerpt};
use crate::id::SpiffeId;
use crate::id_ref::SpiffeIdRef;
use crate::path::Segments;
use crate::scan;
use crate::trust_domain::TrustDomainRef;

/// Which IDs something is meant for: one ID, or a trust domain and a path with wildcards.
///
/// A `*` stands for exactly one segment, and `**`, at the end only, for the rest, which is one
/// segment or more. The trust domain is always literal, so that a pattern cannot reach over the
/// border of trust; and `spiffe://td/**` does not match the signing authority `spiffe://td`.
///
/// ```
/// use keyward_spiffe_id::{Pattern, SpiffeIdRef};
///
/// let accounts: Pattern = "spiffe://prod.example.org/ns/*/sa/web".parse()?;
/// assert!(accounts.matches(SpiffeIdRef::parse("spiffe://prod.example.org/ns/shop/sa/web")?));
/// assert!(!accounts.matches(SpiffeIdRef::parse("spiffe://prod.example.org/ns/a/b/sa/web")?));
///
/// assert_eq!(
///     "spiffe://*/web".parse::<Pattern>().unwrap_err().to_string(),
///     "trust domain `*` has `*` at position 0: it is always literal",
/// );
/// # Ok::<(), keyward_spiffe_id::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern {
    text: Box<str>,
    trust_domain_end: usize,
}

const ONE: &str = "*";
const REST: &str = "**";

impl Pattern {
    /// Whether the ID is one of those meant. Linear in the ID, without allocating.
    #[must_use]
    pub fn matches<'a>(&self, id: impl Into<SpiffeIdRef<'a>>) -> bool {
        let id = id.into();
        if self.trust_domain() != id.trust_domain() {
            return false;
        }
        let mut ours = self.segments();
        let mut theirs = id.segments();
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) | (Some(REST), Some(_)) => return true,
                (Some(ONE), Some(_)) => {}
                (Some(our), Some(their)) if our == their => {}
                _ => return false,
            }
        }
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The trust domain to which every ID meant belongs.
    #[must_use]
    pub fn trust_domain(&self) -> TrustDomainRef<'_> {
        TrustDomainRef::checked(self.text.get(scan::SCHEME.len()..self.trust_domain_end).unwrap_or_default())
    }

    /// The segments of the path from left to right, `*` and `**` among them.
    #[must_use]
    pub fn segments(&self) -> Segments<'_> {
        Segments::of(self.text.get(self.trust_domain_end..).unwrap_or_default())
    }

    /// The one ID meant, if the pattern has no wildcard.
    #[must_use]
    pub fn as_exact(&self) -> Option<SpiffeIdRef<'_>> {
        let literal = self.segments().all(|segment| segment != ONE && segment != REST);
        literal.then(|| SpiffeIdRef::checked(&self.text, self.trust_domain_end))
    }

    /// The text after `spiffe://`: what [`PatternSet`](crate::PatternSet) is built on.
    pub(crate) fn after_scheme(&self) -> &str {
        self.text.get(scan::SCHEME.len()..).unwrap_or_default()
    }
}

/// Checks a pattern and answers where its trust domain ends.
fn check(text: &str) -> Result<usize, Error> {
    let (end, path) = scan::authority(text)?;
    let mut segments = Segments::of(path).enumerate().peekable();
    while let Some((before, segment)) = segments.next() {
        let number = before + 1;
        match segment {
            ONE => {}
            REST if segments.peek().is_none() => {}
            REST => return Err(Error::RestNotLast { segment: number }),
            "" if segments.peek().is_none() => return Err(Error::TrailingSlash),
            _ if segment.contains('*') => {
                return Err(Error::PartialWildcard { segment: number, text: excerpt(segment) });
            }
            _ => scan::segment(number, segment)?,
        }
    }
    Ok(end)
}

impl FromStr for Pattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let trust_domain_end = check(text)?;
        Ok(Self { text: text.into(), trust_domain_end })
    }
}

impl TryFrom<&str> for Pattern {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self, Error> {
        text.parse()
    }
}

impl TryFrom<String> for Pattern {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        let trust_domain_end = check(&text)?;
        Ok(Self { text: text.into_boxed_str(), trust_domain_end })
    }
}

/// The pattern that means this ID alone.
impl From<SpiffeIdRef<'_>> for Pattern {
    fn from(id: SpiffeIdRef<'_>) -> Self {
        Self { text: id.as_str().into(), trust_domain_end: scan::SCHEME.len() + id.trust_domain().as_str().len() }
    }
}

/// The pattern that means this ID alone.
impl From<&SpiffeId> for Pattern {
    fn from(id: &SpiffeId) -> Self {
        id.borrowed().into()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.text.into_string()
    }
}

impl AsRef<str> for Pattern {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.as_str()).finish()
    }
}
