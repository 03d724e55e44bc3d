//! Sign and verify: `vault:vN:` + the encoded signature.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keyward_keys::Algorithm;
use time::OffsetDateTime;

use super::{prefixed, split};
use crate::{Error, Phase, Ring};

/// The form of a signature behind `vault:vN:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Marshaling {
    /// As X.509 has it, in base64: an ECDSA signature is a DER sequence (RFC 3279 §2.2.3).
    #[default]
    Asn1,
    /// As JWS has it, in base64url without padding: an ECDSA signature is r‖s of fixed width (RFC 7518 §3.4).
    Jws,
}

/// How to sign, or how a signature was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SignOptions {
    /// The algorithm; `None` is the default of the ring's cipher.
    pub algorithm: Option<Algorithm>,
    /// The form of the signature.
    pub marshaling: Marshaling,
}

impl SignOptions {
    /// These options.
    pub const fn new(algorithm: Option<Algorithm>, marshaling: Marshaling) -> Self {
        Self { algorithm, marshaling }
    }
}

impl Ring {
    /// Signs with the active version.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when the cipher does not sign, [`Error::SignsJwts`] when the ring signs tokens: a signature
    /// over any text could be a token. [`Error::NotActive`] while no version is active,
    /// [`Error::Keys`] when the algorithm does not fit the cipher or the backend fails.
    pub fn sign(&self, message: &[u8], options: SignOptions, now: OffsetDateTime) -> Result<String, Error> {
        if !self.cipher().signs() {
            return Err(self.unsupported("sign"));
        }
        if self.signs_jwts() {
            return Err(Error::SignsJwts);
        }
        let active = self.active(self.effective(now));
        let (version, key) =
            active.and_then(|version| Some((version.number, version.signing()?))).ok_or_else(|| self.not_active())?;
        let algorithm = options.algorithm.unwrap_or(key.algorithm);
        let mut text = prefixed(version, 700);
        match options.marshaling {
            Marshaling::Asn1 => STANDARD.encode_string(key.private.sign_asn1(algorithm, message)?, &mut text),
            Marshaling::Jws => URL_SAFE_NO_PAD.encode_string(key.private.sign(algorithm, message)?, &mut text),
        }
        Ok(text)
    }

    /// Verifies what [`sign`](Self::sign) made with the same options, by the version that it names, unless that is
    /// invalid or trimmed.
    ///
    /// # Errors
    /// [`Error::SignatureRefused`], whatever was wrong with the signature; [`Error::Unsupported`] when the cipher does
    /// not sign.
    pub fn verify(
        &self,
        message: &[u8],
        signature: &str,
        options: SignOptions,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        if !self.cipher().signs() {
            return Err(self.unsupported("verify"));
        }
        self.try_verify(message, signature, options, now).ok_or(Error::SignatureRefused)
    }

    fn try_verify(&self, message: &[u8], signature: &str, options: SignOptions, now: OffsetDateTime) -> Option<()> {
        let (number, body) = split(signature)?;
        let version = self.version(number)?;
        if version.times.phase(self.effective(now)) == Phase::Invalid {
            return None;
        }
        let public = version.public.as_ref()?;
        let algorithm = options.algorithm.unwrap_or(public.algorithm);
        match options.marshaling {
            Marshaling::Asn1 => public.key.verify_asn1(algorithm, message, &STANDARD.decode(body).ok()?),
            Marshaling::Jws => public.key.verify(algorithm, message, &URL_SAFE_NO_PAD.decode(body).ok()?),
        }
        .ok()
    }
}
