//! HMACs, which every ring makes: `vault:vN:` + base64 of the tag.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyward_keys::HashFunction;
use rand_core::CryptoRng;
use time::OffsetDateTime;

use super::sealed::Sealed;
use super::{NOT_BASE64, Operation, bytes, prefixed, split, without_secret};
use crate::{Error, Phase, Ring};

/// Makes the HMAC (RFC 2104) of an input with the active version's key for that, or that of an older one that is asked
/// for. A ring with the cipher `hmac` has no other keys; in others it is one beside the version's own.
///
/// # Errors
/// [`Error::SignsJwts`] when the ring signs JWTs, [`Error::NotActive`] while no version is active, [`Error::Version`] for
/// another that cannot.
#[derive(Debug, Clone, Copy)]
pub struct Hmac<'a> {
    input: &'a [u8],
    hash: HashFunction,
    version: Option<u32>,
}

impl<'a> Hmac<'a> {
    /// Of this input, by the active version.
    pub const fn new(input: &'a [u8], hash: HashFunction) -> Self {
        Self { input, hash, version: None }
    }

    /// By this version.
    #[must_use]
    pub const fn with_version(self, version: u32) -> Self {
        Self { version: Some(version), ..self }
    }
}

impl Sealed for Hmac<'_> {}

impl Operation for Hmac<'_> {
    type Output = String;

    fn perform(&self, ring: &Ring, _: &mut impl CryptoRng, now: OffsetDateTime) -> Result<String, Error> {
        if ring.signs_jwts() {
            return Err(Error::SignsJwts);
        }
        let version = ring.producing(self.version, now)?;
        let key = version.hmac.as_ref().ok_or_else(|| without_secret(ring, version))?;
        let mut text = prefixed(version.number, 88);
        STANDARD.encode_string(key.sign(self.hash, self.input), &mut text);
        Ok(text)
    }
}

/// Verifies what [`Hmac`] made, by the version that it names, unless that is invalid, trimmed or below
/// `min-decryption-version`. The comparison takes the same time wherever they differ.
///
/// # Errors
/// [`Error::SignatureRefused`], whatever was wrong with the HMAC; [`Error::SignsJwts`] when the ring signs JWTs.
#[derive(Debug, Clone, Copy)]
pub struct VerifyHmac<'a> {
    input: &'a [u8],
    hmac: &'a str,
    hash: HashFunction,
}

impl<'a> VerifyHmac<'a> {
    /// Of this input.
    pub const fn new(input: &'a [u8], hmac: &'a str, hash: HashFunction) -> Self {
        Self { input, hmac, hash }
    }

    /// Whether the text can be an HMAC of this ring at all, as [`Verify::check_form`](super::Verify::check_form).
    ///
    /// # Errors
    /// [`Error::SignatureForm`].
    pub fn check_form(&self, ring: &Ring) -> Result<(), Error> {
        let body = ring.legible(self.hmac)?;
        bytes(body, &STANDARD).map(drop).ok_or(Error::SignatureForm { problem: NOT_BASE64 })
    }

    fn verify(&self, ring: &Ring, now: OffsetDateTime) -> Option<()> {
        let (number, body) = split(self.hmac)?;
        let version = ring.named(number)?;
        let key = version.hmac.as_ref().filter(|_| version.times.phase(ring.effective(now)) != Phase::Invalid)?;
        key.verify(self.hash, self.input, &bytes(body, &STANDARD)?).ok()
    }
}

impl Sealed for VerifyHmac<'_> {}

impl Operation for VerifyHmac<'_> {
    type Output = ();

    fn perform(&self, ring: &Ring, _: &mut impl CryptoRng, now: OffsetDateTime) -> Result<(), Error> {
        if ring.signs_jwts() {
            return Err(Error::SignsJwts);
        }
        self.verify(ring, now).ok_or(Error::SignatureRefused)
    }
}
