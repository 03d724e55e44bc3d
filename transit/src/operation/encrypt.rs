//! Encrypt, decrypt, rewrap: `vault:vN:` + base64(nonce ‖ ciphertext ‖ tag), or base64 of what RSA-OAEP makes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyward_keys::HashFunction;
use rand_core::CryptoRng;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::sealed::Sealed;
use super::{Operation, bytes, derived, prefixed, split};
use crate::ring::{Key, Version};
use crate::{Error, Ring};

/// Bytes of a nonce of every symmetric cipher.
pub(super) const NONCE: usize = 12;

/// The hash function of RSA-OAEP.
const OAEP: HashFunction = HashFunction::Sha2_256;

/// Encrypts with the active version, or an older one that is asked for. The answer is a text that names the version.
///
/// Associated data is authenticated as it is, nothing is added to it, and has to be given again to decrypt. The nonce is
/// 96 random bits, so a version (in a `derived` ring a version with a context) encrypts at most 2³² times (NIST
/// SP 800-38D §8.3): have the ring rotate before. In a ring with `convergent-encryption` the nonce is derived from
/// plaintext and associated data.
///
/// # Errors
/// [`Error::SignsJwts`] and [`Error::Unsupported`] when the ring does not encrypt, [`Error::NotActive`] while no version
/// is active, [`Error::Version`] for another that cannot, [`Error::Context`] and [`Error::NoAssociatedData`] for what the
/// ring does not take, [`Error::Keys`] for a plaintext that is too long for RSA.
#[derive(Clone, Copy)]
pub struct Encrypt<'a> {
    pub(super) plaintext: &'a [u8],
    pub(super) associated_data: &'a [u8],
    pub(super) context: &'a [u8],
    pub(super) version: Option<u32>,
}

impl<'a> Encrypt<'a> {
    /// Without associated data and context, by the active version.
    pub const fn new(plaintext: &'a [u8]) -> Self {
        Self { plaintext, associated_data: &[], context: &[], version: None }
    }

    /// With associated data.
    #[must_use]
    pub const fn with_associated_data(self, associated_data: &'a [u8]) -> Self {
        Self { associated_data, ..self }
    }

    /// With the context that a `derived` ring needs.
    #[must_use]
    pub const fn with_context(self, context: &'a [u8]) -> Self {
        Self { context, ..self }
    }

    /// By this version.
    #[must_use]
    pub const fn with_version(self, version: u32) -> Self {
        Self { version: Some(version), ..self }
    }
}

impl Sealed for Encrypt<'_> {}

impl Operation for Encrypt<'_> {
    type Output = String;

    fn perform(&self, ring: &Ring, rng: &mut impl CryptoRng, now: OffsetDateTime) -> Result<String, Error> {
        ring.refuse_unless_encrypting("encrypt")?;
        ring.check_context(self.context)?;
        ring.check_associated_data(self.associated_data)?;
        let version = ring.producing(self.version, now)?;
        let body = ring.seal(version, self, rng)?;
        let mut text = prefixed(version.number, body.len().div_ceil(3).saturating_mul(4));
        STANDARD.encode_string(&body, &mut text);
        Ok(text)
    }
}

/// Decrypts what any version encrypted that has not been trimmed and is not below `min-decryption-version`, whatever its
/// phase.
///
/// # Errors
/// [`Error::DecryptionFailed`], whatever was wrong with the ciphertext, the associated data or the context;
/// [`Error::SignsJwts`] and [`Error::Unsupported`] when the ring never encrypted, [`Error::Context`] and
/// [`Error::NoAssociatedData`] for what it does not take.
#[derive(Debug, Clone, Copy)]
pub struct Decrypt<'a> {
    ciphertext: &'a str,
    associated_data: &'a [u8],
    context: &'a [u8],
}

impl<'a> Decrypt<'a> {
    /// Without associated data and context.
    pub const fn new(ciphertext: &'a str) -> Self {
        Self { ciphertext, associated_data: &[], context: &[] }
    }

    /// With the associated data that it was encrypted with.
    #[must_use]
    pub const fn with_associated_data(self, associated_data: &'a [u8]) -> Self {
        Self { associated_data, ..self }
    }

    /// With the context that it was encrypted with.
    #[must_use]
    pub const fn with_context(self, context: &'a [u8]) -> Self {
        Self { context, ..self }
    }
}

impl Sealed for Decrypt<'_> {}

impl Operation for Decrypt<'_> {
    type Output = Zeroizing<Vec<u8>>;

    fn perform(&self, ring: &Ring, _: &mut impl CryptoRng, _: OffsetDateTime) -> Result<Self::Output, Error> {
        ring.do_decrypt(self)
    }
}

/// Decrypts, and encrypts with the active version, or a version that is asked for, under the same context and associated
/// data: the plaintext does not leave the ring.
///
/// # Errors
/// Those of [`Decrypt`] and [`Encrypt`].
#[derive(Debug, Clone, Copy)]
pub struct Rewrap<'a> {
    from: Decrypt<'a>,
    version: Option<u32>,
}

impl<'a> Rewrap<'a> {
    /// What [`Decrypt`] would decrypt.
    pub const fn new(from: Decrypt<'a>) -> Self {
        Self { from, version: None }
    }

    /// To this version.
    #[must_use]
    pub const fn with_version(self, version: u32) -> Self {
        Self { version: Some(version), ..self }
    }
}

impl Sealed for Rewrap<'_> {}

impl Operation for Rewrap<'_> {
    type Output = String;

    fn perform(&self, ring: &Ring, rng: &mut impl CryptoRng, now: OffsetDateTime) -> Result<String, Error> {
        let Decrypt { associated_data, context, .. } = self.from;
        let plaintext = ring.do_decrypt(&self.from)?;
        Encrypt { plaintext: &plaintext, associated_data, context, version: self.version }.perform(ring, rng, now)
    }
}

impl Ring {
    /// [`Encrypt`] with the active version.
    ///
    /// ```
    /// use keyward_transit::{Command, FirstActivation, Material, Ring, RingConfig};
    /// # let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    /// # let now = time::macros::datetime!(2026-03-01 00:00 UTC);
    ///
    /// let mut ring = Ring::new(RingConfig::new("data".parse()?), FirstActivation::AtOnce, now)?;
    /// ring.install(1, Material::generate(ring.cipher(), &mut rng)?, now)?;
    /// let ciphertext = ring.encrypt(b"secret", b"row 7", &mut rng, now)?;
    /// assert!(ciphertext.starts_with("vault:v1:"));
    /// assert_eq!(ring.decrypt(&ciphertext, b"row 7")?.as_slice(), b"secret");
    /// assert!(ring.decrypt(&ciphertext, b"row 8").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Encrypt`].
    pub fn encrypt(
        &self,
        plaintext: &[u8],
        associated_data: &[u8],
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<String, Error> {
        self.perform(&Encrypt::new(plaintext).with_associated_data(associated_data), rng, now)
    }

    /// [`Decrypt`].
    ///
    /// # Errors
    /// Those of [`Decrypt`].
    pub fn decrypt(&self, ciphertext: &str, associated_data: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.do_decrypt(&Decrypt::new(ciphertext).with_associated_data(associated_data))
    }

    /// [`Rewrap`] to the active version.
    ///
    /// # Errors
    /// Those of [`Rewrap`].
    pub fn rewrap(
        &self,
        ciphertext: &str,
        associated_data: &[u8],
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<String, Error> {
        let from = Decrypt::new(ciphertext).with_associated_data(associated_data);
        self.perform(&Rewrap::new(from), rng, now)
    }

    fn do_decrypt(&self, what: &Decrypt<'_>) -> Result<Zeroizing<Vec<u8>>, Error> {
        if !self.cipher().encrypts() {
            self.refuse_unless_encrypting("decrypt")?;
        }
        self.check_context(what.context)?;
        self.check_associated_data(what.associated_data)?;
        self.try_decrypt(what).ok_or(Error::DecryptionFailed)
    }

    fn try_decrypt(&self, what: &Decrypt<'_>) -> Option<Zeroizing<Vec<u8>>> {
        let (number, body) = split(what.ciphertext)?;
        let version = self.named(number).filter(|version| self.may_have_encrypted(version))?;
        let body = bytes(body, &STANDARD)?;
        match version.key.as_ref()? {
            Key::Signing(key) => key.private.decrypt_oaep(OAEP, &body).ok(),
            Key::Aead(key) => {
                let (nonce, sealed) = body.split_first_chunk::<NONCE>()?;
                if self.config().derived {
                    return derived::aead(key, what.context).ok()?.open(nonce, what.associated_data, sealed).ok();
                }
                key.open(nonce, what.associated_data, sealed).ok()
            }
            Key::Hmac(_) | Key::Public(_) => None,
        }
    }

    /// What stands behind the prefix.
    fn seal(&self, version: &Version, what: &Encrypt<'_>, rng: &mut impl CryptoRng) -> Result<Vec<u8>, Error> {
        let Some(key) = version.aead() else {
            let public = version.public.as_ref().ok_or_else(|| self.not_active())?;
            return Ok(public.key.encrypt_oaep(OAEP, what.plaintext)?);
        };
        if self.config().convergent_encryption {
            let (key, nonce) = derived::convergent(key, what.context, what.associated_data, what.plaintext)?;
            return Ok([nonce.as_slice(), &key.seal(&nonce, what.associated_data, what.plaintext)?].concat());
        }
        let mut nonce = [0; NONCE];
        rng.fill_bytes(&mut nonce);
        let derived = if self.config().derived { Some(derived::aead(key, what.context)?) } else { None };
        let key = derived.as_ref().unwrap_or(key);
        Ok([nonce.as_slice(), &key.seal(&nonce, what.associated_data, what.plaintext)?].concat())
    }

    pub(super) fn refuse_unless_encrypting(&self, operation: &'static str) -> Result<(), Error> {
        if self.signs_jwts() {
            return Err(Error::SignsJwts);
        }
        if !self.cipher().encrypts() {
            return Err(self.unsupported(operation));
        }
        Ok(())
    }

    fn check_associated_data(&self, associated_data: &[u8]) -> Result<(), Error> {
        if self.cipher().aead().is_none() && !associated_data.is_empty() {
            return Err(Error::NoAssociatedData { cipher: self.cipher() });
        }
        Ok(())
    }
}
