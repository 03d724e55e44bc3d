//! The SVIDs that a token carries.

use time::OffsetDateTime;

/// A JWT-SVID that a token carries: for whom, and until when. It expires with its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct JwtSvidGrant<'a> {
    /// The `aud` claim.
    pub audiences: &'a [String],
    /// When the SVID expires: with its token. In whole seconds it is to be rounded down.
    pub expires: OffsetDateTime,
}

/// An X.509-SVID that a token carries, and until when. It expires with its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct X509SvidGrant {
    /// When the SVID expires: with its token. In whole seconds it is to be rounded down.
    pub expires: OffsetDateTime,
}
