use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use crate::error::Error;
use crate::id::SpiffeId;
use crate::scan;

/// The name of a trust domain (SPIFFE-ID.md §2.1): 1 to 255 bytes of `a-z`, `0-9`, `.`, `-` and `_`.
///
/// No rule of DNS applies: `a..b`, `-a` and `1.2.3.4` are trust domains.
///
/// ```
/// use keyward_spiffe_id::TrustDomain;
///
/// let prod: TrustDomain = "prod.example.org".parse()?;
/// assert_eq!(prod.signing_authority_id().as_str(), "spiffe://prod.example.org");
///
/// let refused = "Prod.example.org".parse::<TrustDomain>().unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "trust domain `Prod.example.org` has `P` at position 0: it must be lower case",
/// );
/// # Ok::<(), keyward_spiffe_id::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustDomain(Box<str>);

/// A [`TrustDomain`] that borrows its text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustDomainRef<'a>(&'a str);

impl TrustDomain {
    /// The length of the longest trust domain, in bytes (SPIFFE-ID.md §2.3).
    pub const MAX_LEN: usize = scan::MAX_TRUST_DOMAIN;

    /// Reads a name after lower-casing its ASCII letters, for input of people and of software that
    /// holds trust domains to be case-insensitive (SPIFFE-ID.md §2.4). Everything else is as strict
    /// as [`FromStr`].
    ///
    /// # Errors
    ///
    /// The same as for [`FromStr`], but upper case is no error.
    pub fn parse_lenient(text: &str) -> Result<Self, Error> {
        if text.len() > Self::MAX_LEN {
            return TrustDomainRef::parse(text).map(TrustDomainRef::to_owned);
        }
        Self::try_from(text.to_ascii_lowercase())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same trust domain, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> TrustDomainRef<'_> {
        TrustDomainRef(&self.0)
    }

    /// The ID of this trust domain's signing authority, which has no path (SPIFFE-ID.md §3.1).
    #[must_use]
    pub fn signing_authority_id(&self) -> SpiffeId {
        SpiffeId::signing_authority(self)
    }
}

impl<'a> TrustDomainRef<'a> {
    /// Reads a name, without allocating unless it is refused.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyTrustDomain`], [`Error::TrustDomainTooLong`] or [`Error::TrustDomainByte`].
    pub fn parse(text: &'a str) -> Result<Self, Error> {
        scan::trust_domain(text)?;
        Ok(Self(text))
    }

    /// For text that was checked as a part of something greater.
    pub(crate) fn checked(text: &'a str) -> Self {
        Self(text)
    }

    /// The name.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// The same trust domain, owned.
    #[must_use]
    pub fn to_owned(self) -> TrustDomain {
        TrustDomain(self.0.into())
    }
}

impl FromStr for TrustDomain {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        TrustDomainRef::parse(text).map(TrustDomainRef::to_owned)
    }
}

impl TryFrom<&str> for TrustDomain {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self, Error> {
        text.parse()
    }
}

impl TryFrom<String> for TrustDomain {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        scan::trust_domain(&text)?;
        Ok(Self(text.into_boxed_str()))
    }
}

impl<'a> TryFrom<&'a str> for TrustDomainRef<'a> {
    type Error = Error;

    fn try_from(text: &'a str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl From<TrustDomain> for String {
    fn from(name: TrustDomain) -> Self {
        name.0.into_string()
    }
}

impl From<TrustDomainRef<'_>> for TrustDomain {
    fn from(name: TrustDomainRef<'_>) -> Self {
        name.to_owned()
    }
}

impl<'a> From<&'a TrustDomain> for TrustDomainRef<'a> {
    fn from(name: &'a TrustDomain) -> Self {
        name.borrowed()
    }
}

impl AsRef<str> for TrustDomain {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for TrustDomainRef<'_> {
    fn as_ref(&self) -> &str {
        self.0
    }
}

/// A map keyed by [`TrustDomain`] is read with a `&str`.
impl Borrow<str> for TrustDomain {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<TrustDomainRef<'_>> for TrustDomain {
    fn eq(&self, other: &TrustDomainRef<'_>) -> bool {
        self.borrowed() == *other
    }
}

impl PartialEq<TrustDomain> for TrustDomainRef<'_> {
    fn eq(&self, other: &TrustDomain) -> bool {
        *self == other.borrowed()
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for TrustDomainRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

impl fmt::Debug for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TrustDomain").field(&self.as_str()).finish()
    }
}

impl fmt::Debug for TrustDomainRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TrustDomainRef").field(&self.0).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lenient_lower_cases_and_does_nothing_else() {
        assert_eq!(TrustDomain::parse_lenient("Example.ORG").unwrap().as_str(), "example.org");
        assert_eq!(
            TrustDomain::parse_lenient(" example.org").unwrap_err().to_string(),
            "trust domain ` example.org` has byte 0x20 at position 0: allowed are `a-z`, `0-9`, `.`, `-` and `_`",
        );
        assert_eq!(TrustDomain::parse_lenient(&"A".repeat(256)).unwrap_err().kind(), crate::ErrorKind::Malformed,);
    }

    #[test]
    fn owned_and_borrowed_are_the_same() {
        let owned: TrustDomain = "td".parse().unwrap();
        let borrowed = TrustDomainRef::parse("td").unwrap();
        assert_eq!(owned, borrowed);
        assert_eq!(borrowed, owned);
        assert_eq!(borrowed.to_owned(), owned);
        assert_eq!(format!("{owned:?} {borrowed:?}"), r#"TrustDomain("td") TrustDomainRef("td")"#);
        assert_eq!(format!("{owned:>4}|{borrowed:<4}|"), "  td|td  |");
        assert_eq!(String::from(owned), "td");
    }

    #[test]
    fn an_id_is_not_a_name() {
        assert_eq!(
            "spiffe://td".parse::<TrustDomain>().unwrap_err().to_string(),
            "trust domain `spiffe://td` has `:` at position 6: give its name without `spiffe://`",
        );
    }
}
