use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use crate::error::{Error, excerpt};
use crate::id::SpiffeId;
use crate::path::Segments;
use crate::scan;
use crate::trust_domain::TrustDomainRef;

/// A SPIFFE ID that borrows its text; to read one allocates nothing.
///
/// ```
/// use keyward_spiffe_id::SpiffeIdRef;
///
/// let id = SpiffeIdRef::parse("spiffe://prod.example.org/web")?;
/// assert_eq!(id.trust_domain().as_str(), "prod.example.org");
///
/// let refused = SpiffeIdRef::parse("spiffe://prod.example.org/web/../db").unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "segment 2 of the path is `..`: relative segments are not allowed",
/// );
/// # Ok::<(), keyward_spiffe_id::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct SpiffeIdRef<'a> {
    text: &'a str,
    trust_domain_end: usize,
}

impl<'a> SpiffeIdRef<'a> {
    /// Reads an ID where it stands, in one pass (SPIFFE-ID.md §2). Allocates only for an error.
    ///
    /// # Errors
    ///
    /// Says what is wrong and where. Upper case in scheme or trust domain is refused (§2.1); see
    /// [`SpiffeId::parse_lenient`].
    #[inline]
    pub fn parse(text: &'a str) -> Result<Self, Error> {
        let trust_domain_end = scan::id(text)?;
        Ok(Self { text, trust_domain_end })
    }

    /// The whole ID.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        self.text
    }

    /// The trust domain.
    #[must_use]
    pub fn trust_domain(self) -> TrustDomainRef<'a> {
        TrustDomainRef::checked(self.text.get(scan::SCHEME.len()..self.trust_domain_end).unwrap_or_default())
    }

    /// The path: empty or starting with `/`.
    #[must_use]
    pub fn path(self) -> &'a str {
        self.text.get(self.trust_domain_end..).unwrap_or_default()
    }

    /// The segments of the path from left to right.
    #[must_use]
    pub fn segments(self) -> Segments<'a> {
        Segments::of(self.path())
    }

    /// Whether the ID belongs to this trust domain.
    #[must_use]
    pub fn is_member_of<'t>(self, trust_domain: impl Into<TrustDomainRef<'t>>) -> bool {
        self.trust_domain().as_str() == trust_domain.into().as_str()
    }

    /// The trust domain for which an ID without a path is the signing authority (SPIFFE-ID.md §3.1).
    ///
    /// # Errors
    ///
    /// [`Error::UnexpectedPath`] when the ID has a path.
    pub fn signing_authority_of(self) -> Result<TrustDomainRef<'a>, Error> {
        if self.path().is_empty() {
            Ok(self.trust_domain())
        } else {
            Err(Error::UnexpectedPath { id: excerpt(self.text) })
        }
    }

    /// The path of a workload's ID, which has one (X509-SVID.md §5.2).
    ///
    /// # Errors
    ///
    /// [`Error::MissingPath`] when the ID has none and so is a signing authority's.
    pub fn workload_path(self) -> Result<&'a str, Error> {
        match self.path() {
            "" => Err(Error::MissingPath { id: excerpt(self.text) }),
            path => Ok(path),
        }
    }

    /// The text after `spiffe://`: what [`PatternSet`](crate::PatternSet) looks up.
    pub(crate) fn after_scheme(self) -> &'a str {
        self.text.get(scan::SCHEME.len()..).unwrap_or_default()
    }

    /// The same ID, owned.
    #[must_use]
    pub fn to_owned(self) -> SpiffeId {
        SpiffeId::checked(self.text.into(), self.trust_domain_end)
    }

    /// For text that was checked before.
    pub(crate) fn checked(text: &'a str, trust_domain_end: usize) -> Self {
        Self { text, trust_domain_end }
    }
}

impl<'a> TryFrom<&'a str> for SpiffeIdRef<'a> {
    type Error = Error;

    fn try_from(text: &'a str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl<'a> From<&'a SpiffeId> for SpiffeIdRef<'a> {
    fn from(id: &'a SpiffeId) -> Self {
        id.borrowed()
    }
}

impl AsRef<str> for SpiffeIdRef<'_> {
    fn as_ref(&self) -> &str {
        self.text
    }
}

impl PartialEq for SpiffeIdRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for SpiffeIdRef<'_> {}

impl PartialEq<SpiffeId> for SpiffeIdRef<'_> {
    fn eq(&self, other: &SpiffeId) -> bool {
        self.text == other.as_str()
    }
}

impl Ord for SpiffeIdRef<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(other.text)
    }
}

impl PartialOrd for SpiffeIdRef<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for SpiffeIdRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for SpiffeIdRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text)
    }
}

impl fmt::Debug for SpiffeIdRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SpiffeIdRef").field(&self.text).finish()
    }
}
