use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use crate::error::Error;
use crate::id_ref::SpiffeIdRef;
use crate::path::{Path, Segments, push_segments};
use crate::scan;
use crate::trust_domain::TrustDomainRef;

/// A SPIFFE ID that owns its text: one allocation, made when it is created.
///
/// Two IDs are equal when their bytes are; their order and hash are those of the text, so that a
/// map keyed by `SpiffeId` is read with a `&str`.
#[derive(Clone)]
pub struct SpiffeId {
    text: Box<str>,
    trust_domain_end: usize,
}

impl SpiffeId {
    /// The length of the longest ID, in bytes (SPIFFE-ID.md §2.3).
    pub const MAX_LEN: usize = scan::MAX_ID;

    /// Puts an ID together.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`].
    pub fn new<'t>(trust_domain: impl Into<TrustDomainRef<'t>>, path: &Path) -> Result<Self, Error> {
        let mut text = root(trust_domain.into(), path.as_str().len());
        let trust_domain_end = text.len();
        text.push_str(path.as_str());
        if text.len() > Self::MAX_LEN {
            return Err(Error::TooLong { len: text.len(), max: Self::MAX_LEN });
        }
        Ok(Self { text: text.into_boxed_str(), trust_domain_end })
    }

    /// Puts an ID together from a trust domain and the segments of its path; without a segment
    /// it is the ID of the signing authority.
    ///
    /// # Errors
    ///
    /// As for [`Path::from_segments`].
    ///
    /// ```
    /// use keyward_spiffe_id::{SpiffeId, TrustDomain};
    ///
    /// let prod: TrustDomain = "prod.example.org".parse()?;
    /// let id = SpiffeId::from_segments(&prod, ["ns", "payments", "sa", "checkout"])?;
    /// assert_eq!(id.as_str(), "spiffe://prod.example.org/ns/payments/sa/checkout");
    /// # Ok::<(), keyward_spiffe_id::Error>(())
    /// ```
    pub fn from_segments<'t>(
        trust_domain: impl Into<TrustDomainRef<'t>>,
        segments: impl IntoIterator<Item: AsRef<str>>,
    ) -> Result<Self, Error> {
        let mut text = root(trust_domain.into(), 0);
        let trust_domain_end = text.len();
        push_segments(&mut text, 0, segments)?;
        Ok(Self { text: text.into_boxed_str(), trust_domain_end })
    }

    /// The ID of a trust domain's signing authority, which has no path (SPIFFE-ID.md §3.1).
    #[must_use]
    pub fn signing_authority<'t>(trust_domain: impl Into<TrustDomainRef<'t>>) -> Self {
        let text = root(trust_domain.into(), 0);
        Self { trust_domain_end: text.len(), text: text.into_boxed_str() }
    }

    /// Reads an ID after lower-casing the ASCII letters of its scheme and its trust domain, for
    /// input of software that holds the two to be case-insensitive (SPIFFE-ID.md §2.4). The path is
    /// case-sensitive and stays as it is; everything else is as strict as [`FromStr`].
    ///
    /// # Errors
    ///
    /// The same as for [`FromStr`], but upper case is no error.
    ///
    /// ```
    /// use keyward_spiffe_id::SpiffeId;
    ///
    /// let id = SpiffeId::parse_lenient("SPIFFE://Prod.Example.org/Web")?;
    /// assert_eq!(id.as_str(), "spiffe://prod.example.org/Web");
    /// # Ok::<(), keyward_spiffe_id::Error>(())
    /// ```
    pub fn parse_lenient(text: &str) -> Result<Self, Error> {
        match text.split_at_checked(scan::SCHEME.len()) {
            Some((scheme, rest)) if text.len() <= Self::MAX_LEN && scheme.eq_ignore_ascii_case(scan::SCHEME) => {
                let mut text = text.to_owned();
                let end = scan::SCHEME.len() + rest.find('/').unwrap_or(rest.len());
                if let Some(authority) = text.get_mut(..end) {
                    authority.make_ascii_lowercase();
                }
                Self::try_from(text)
            }
            _ => text.parse(),
        }
    }

    /// The ID with one more segment at the end of its path.
    ///
    /// # Errors
    ///
    /// As for [`Path::from_segments`].
    pub fn join(&self, segment: &str) -> Result<Self, Error> {
        let mut text = String::with_capacity(self.text.len() + 1 + segment.len());
        text.push_str(&self.text);
        push_segments(&mut text, self.segments().count(), [segment])?;
        Ok(Self { text: text.into_boxed_str(), trust_domain_end: self.trust_domain_end })
    }

    /// The same ID, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> SpiffeIdRef<'_> {
        SpiffeIdRef::checked(&self.text, self.trust_domain_end)
    }

    /// For text that was checked before.
    pub(crate) fn checked(text: Box<str>, trust_domain_end: usize) -> Self {
        Self { text, trust_domain_end }
    }

    /// The whole ID.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The trust domain.
    #[must_use]
    pub fn trust_domain(&self) -> TrustDomainRef<'_> {
        self.borrowed().trust_domain()
    }

    /// The path: empty or starting with `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.borrowed().path()
    }

    /// The segments of the path from left to right.
    #[must_use]
    pub fn segments(&self) -> Segments<'_> {
        self.borrowed().segments()
    }

    /// Whether the ID belongs to this trust domain.
    #[must_use]
    pub fn is_member_of<'t>(&self, trust_domain: impl Into<TrustDomainRef<'t>>) -> bool {
        self.borrowed().is_member_of(trust_domain)
    }

    /// The trust domain for which an ID without a path is the signing authority (SPIFFE-ID.md §3.1).
    ///
    /// # Errors
    ///
    /// [`Error::UnexpectedPath`] when the ID has a path.
    pub fn signing_authority_of(&self) -> Result<TrustDomainRef<'_>, Error> {
        self.borrowed().signing_authority_of()
    }

    /// The path of a workload's ID, which has one (X509-SVID.md §5.2).
    ///
    /// # Errors
    ///
    /// [`Error::MissingPath`] when the ID has none and so is a signing authority's.
    pub fn workload_path(&self) -> Result<&str, Error> {
        self.borrowed().workload_path()
    }
}

/// The text of an ID without a path, and room for more.
fn root(trust_domain: TrustDomainRef<'_>, more: usize) -> String {
    let name = trust_domain.as_str();
    let mut text = String::with_capacity(scan::SCHEME.len() + name.len() + more);
    text.push_str(scan::SCHEME);
    text.push_str(name);
    text
}

impl FromStr for SpiffeId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        SpiffeIdRef::parse(text).map(SpiffeIdRef::to_owned)
    }
}

impl TryFrom<&str> for SpiffeId {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self, Error> {
        text.parse()
    }
}

impl TryFrom<String> for SpiffeId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        let trust_domain_end = scan::id(&text)?;
        Ok(Self { text: text.into_boxed_str(), trust_domain_end })
    }
}

impl From<SpiffeId> for String {
    fn from(id: SpiffeId) -> Self {
        id.text.into_string()
    }
}

impl From<SpiffeIdRef<'_>> for SpiffeId {
    fn from(id: SpiffeIdRef<'_>) -> Self {
        id.to_owned()
    }
}

impl AsRef<str> for SpiffeId {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// A map keyed by [`SpiffeId`] is read with a `&str`.
impl Borrow<str> for SpiffeId {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for SpiffeId {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for SpiffeId {}

impl PartialEq<SpiffeIdRef<'_>> for SpiffeId {
    fn eq(&self, other: &SpiffeIdRef<'_>) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Ord for SpiffeId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl PartialOrd for SpiffeId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for SpiffeId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SpiffeId").field(&self.as_str()).finish()
    }
}
