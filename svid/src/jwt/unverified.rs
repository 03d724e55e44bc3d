//! A token that was read and not verified.

use std::fmt;

use keyward_keys::Algorithm;

use super::claims::Claims;
use super::error::VerifyError;
use super::frame::Frame;
use super::header::{Header, JWT_SVID_ALGORITHMS, Kind};

/// The longest token that is read: 64 KiB. A [`Verifier`](super::Verifier) may be told to read less.
pub const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// A token that has the form of a JWT-SVID and whose signature, audience and times were **not** checked.
///
/// Anybody can write such a token. It serves to find the keys to verify it with, by its trust domain, and
/// nothing else may be decided on it. [`Verifier::verify_parsed`](super::Verifier::verify_parsed) turns it into a
/// [`JwtSvid`](super::JwtSvid).
///
/// ```
/// # use keyward_svid::jwt::{UnverifiedJwtSvid, VerifyError};
/// // {"alg":"none"} is refused before anything else is read (JWT-SVID §4).
/// let error = UnverifiedJwtSvid::parse("eyJhbGciOiJub25lIn0.e30.AA").unwrap_err();
/// assert_eq!(error.to_string(), "signature algorithm `none` is not accepted");
/// ```
#[derive(Clone)]
pub struct UnverifiedJwtSvid<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) header: Header,
    pub(super) claims: Claims,
    pub(super) payload: Vec<u8>,
    pub(super) length: usize,
}

impl<'a> UnverifiedJwtSvid<'a> {
    /// Reads a token of up to [`MAX_TOKEN_BYTES`]. All rules on the form of a JWT-SVID are checked here: the
    /// algorithm, the three header members, required claims, types, duplicates, bounds.
    ///
    /// # Errors
    /// Those of [`VerifyError`] that need neither key nor time nor audience.
    pub fn parse(token: &'a str) -> Result<Self, VerifyError> {
        Self::read(token, MAX_TOKEN_BYTES, &JWT_SVID_ALGORITHMS)
    }

    pub(super) fn read(token: &'a str, limit: usize, algorithms: &[Algorithm]) -> Result<Self, VerifyError> {
        let frame = Frame::cut(token, limit)?;
        let header = Header::read(&frame.header()?, Kind::JwtSvid, algorithms)?;
        let payload = frame.claims()?;
        let claims = Claims::read(&payload)?;
        Ok(Self { frame, header, claims, payload, length: token.len() })
    }

    /// The signature algorithm that the header asks for, one of the nine of JWT-SVID §2.1.
    pub fn algorithm(&self) -> Algorithm {
        self.header.algorithm
    }

    /// The key ID that the header names, if it names one (JWT-SVID §2.2).
    pub fn kid(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// What the token claims and nobody has checked.
    pub fn unverified_claims(&self) -> &Claims {
        &self.claims
    }
}

impl fmt::Debug for UnverifiedJwtSvid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the token: it may be a good one, and whoever holds it can use it.
        f.debug_struct("UnverifiedJwtSvid")
            .field("header", &self.header)
            .field("claims", &self.claims)
            .finish_non_exhaustive()
    }
}
