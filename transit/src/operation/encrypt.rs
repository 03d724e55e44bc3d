//! Encrypt, decrypt, rewrap: `vault:vN:` + base64(nonce ‖ ciphertext ‖ tag).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand_core::CryptoRng;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{prefixed, split};
use crate::{Error, Ring};

/// Bytes of a nonce of AES-GCM.
const NONCE: usize = 12;

impl Ring {
    /// Encrypts with the active version. `associated_data` is authenticated as it is, nothing is added to it, and has
    /// to be given again to decrypt. The nonce is 96 random bits, so a version encrypts at most 2³² times
    /// (NIST SP 800-38D §8.3): have the ring rotate before.
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
    /// [`Error::SignsJwts`] and [`Error::Unsupported`] when the ring never encrypts, [`Error::NotActive`] while no
    /// version is active.
    pub fn encrypt(
        &self,
        plaintext: &[u8],
        associated_data: &[u8],
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<String, Error> {
        self.refuse_unless_encrypting("encrypt")?;
        let active = self.active(self.effective(now));
        let (version, key) =
            active.and_then(|version| Some((version.number, version.aead()?))).ok_or_else(|| self.not_active())?;
        let mut nonce = [0; NONCE];
        rng.fill_bytes(&mut nonce);
        let sealed = key.seal(&nonce, associated_data, plaintext)?;
        let body = [nonce.as_slice(), &sealed].concat();
        let mut text = prefixed(version, body.len().div_ceil(3).saturating_mul(4));
        STANDARD.encode_string(&body, &mut text);
        Ok(text)
    }

    /// Decrypts what any version encrypted that has not been trimmed, whatever its phase.
    ///
    /// # Errors
    /// [`Error::DecryptionFailed`], whatever was wrong with the ciphertext or the associated data;
    /// [`Error::SignsJwts`] and [`Error::Unsupported`] when the ring never encrypts.
    pub fn decrypt(&self, ciphertext: &str, associated_data: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.refuse_unless_encrypting("decrypt")?;
        self.try_decrypt(ciphertext, associated_data).ok_or(Error::DecryptionFailed)
    }

    /// Decrypts, and encrypts with the active version and a fresh nonce: the plaintext does not leave the ring.
    ///
    /// # Errors
    /// Those of [`decrypt`](Self::decrypt) and [`encrypt`](Self::encrypt).
    pub fn rewrap(
        &self,
        ciphertext: &str,
        associated_data: &[u8],
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<String, Error> {
        let plaintext = self.decrypt(ciphertext, associated_data)?;
        self.encrypt(&plaintext, associated_data, rng, now)
    }

    fn try_decrypt(&self, ciphertext: &str, associated_data: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (number, body) = split(ciphertext)?;
        let key = self.version(number)?.aead()?;
        let body = STANDARD.decode(body).ok()?;
        let (nonce, sealed) = body.split_first_chunk::<NONCE>()?;
        key.open(nonce, associated_data, sealed).ok()
    }

    fn refuse_unless_encrypting(&self, operation: &'static str) -> Result<(), Error> {
        if self.signs_jwts() {
            return Err(Error::SignsJwts);
        }
        if !self.cipher().encrypts() {
            return Err(self.unsupported(operation));
        }
        Ok(())
    }
}
