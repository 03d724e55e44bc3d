//! What a ring does for its users, one by one or in batches.
//!
//! An operation is a value that holds all that it takes; [`Ring::perform`] does one and [`Ring::batch`] many, each with a
//! result of its own. What encrypts, signs or makes an HMAC answers a text that names the version: `vault:v3:…`.
//!
//! ```
//! use keyward_transit::operation::{Decrypt, Encrypt};
//! use keyward_transit::{FirstActivation, Material, Ring, RingConfig};
//! # let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
//! # let now = time::macros::datetime!(2026-03-01 00:00 UTC);
//!
//! let config: RingConfig = serde_json::from_str(r#"{"name": "people", "derived": true}"#)?;
//! let mut ring = Ring::new(config, FirstActivation::AtOnce, now)?;
//! ring.install(1, Material::generate(ring.cipher(), &mut rng)?, now)?;
//!
//! let names = [Encrypt::new(b"Ada").with_context(b"user 1"), Encrypt::new(b"Grace")];
//! let results = ring.batch(names, &mut rng, now);
//! let ciphertext = results[0].as_ref().unwrap();
//! assert_eq!(results[1].as_ref().unwrap_err().to_string(), "a `context` is needed: the ring derives its keys");
//!
//! let ada = ring.perform(&Decrypt::new(ciphertext).with_context(b"user 1"), &mut rng, now)?;
//! assert_eq!(ada.as_slice(), b"Ada");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod data_key;
mod derived;
mod encrypt;
mod hmac;
mod random;
mod sign;

use base64::Engine as _;
use base64::engine::GeneralPurpose;
use rand_core::CryptoRng;
use time::OffsetDateTime;

use crate::ring::Version;
use crate::{Error, Phase, Ring};

pub use data_key::{DataKey, DataKeyPair};
pub use encrypt::{Decrypt, Encrypt, Rewrap};
pub use hmac::{Hmac, VerifyHmac};
pub use random::random;
pub use sign::{Input, Marshaling, RsaPadding, SaltLength, Sign, SignOptions, Verify};

/// Something that a ring does.
pub trait Operation: sealed::Sealed {
    /// What it answers.
    type Output;

    /// Does it. `rng` is drawn from only where the operation needs randomness of its own.
    ///
    /// # Errors
    /// Those of the operation.
    fn perform(&self, ring: &Ring, rng: &mut impl CryptoRng, now: OffsetDateTime) -> Result<Self::Output, Error>;
}

mod sealed {
    pub trait Sealed {}
}

impl Ring {
    /// Does one operation.
    ///
    /// # Errors
    /// Those of the operation.
    pub fn perform<O: Operation>(
        &self,
        operation: &O,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<O::Output, Error> {
        operation.perform(self, rng, now)
    }

    /// Does operations of one kind; the results are in their order, and one that fails hinders no other.
    pub fn batch<O: Operation>(
        &self,
        operations: impl IntoIterator<Item = O>,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Vec<Result<O::Output, Error>> {
        operations.into_iter().map(|operation| operation.perform(self, rng, now)).collect()
    }

    /// The version that encrypts, signs or makes an HMAC: the active one, unless another is asked for. Where versions
    /// overlap, as under a schedule, exactly one does at every instant; without, older ones still do from
    /// `min-encryption-version` on.
    fn producing(&self, wanted: Option<u32>, now: OffsetDateTime) -> Result<&Version, Error> {
        let at = self.effective(now);
        let active = self.active(at).ok_or_else(|| self.not_active())?;
        let Some(number) = wanted.filter(|number| *number != active.number) else {
            return Ok(active);
        };
        let refused = |reason| Err(Error::Version { version: number, reason });
        match self.version(number) {
            Some(version) if version.key.is_some() => {
                if self.min_encryption_version().is_some_and(|lowest| number < lowest) {
                    return refused("is older than `min-encryption-version`");
                }
                if self.overlap().is_some() || version.times.phase(at) != Phase::Superseded {
                    return refused("is not active");
                }
                Ok(version)
            }
            _ => refused("is not there"),
        }
    }

    /// The version that a text names, if it may still serve.
    fn named(&self, number: u32) -> Option<&Version> {
        self.version(number).filter(|version| version.number >= self.min_decryption_version())
    }

    /// What stands behind the version in a text that may be a signature.
    fn legible<'a>(&self, text: &'a str) -> Result<&'a str, Error> {
        let refused = |problem| Err(Error::SignatureForm { problem });
        match split(text) {
            None => refused("it does not begin with `vault:v`, a version and `:`"),
            Some((number, _)) if self.version(number).is_none() => refused("its version is not there"),
            Some((number, _)) if self.named(number).is_none() => {
                refused("its version is older than `min-decryption-version`")
            }
            Some((_, body)) => Ok(body),
        }
    }

    /// An error unless there is a context where the ring derives its keys, and none elsewhere.
    fn check_context(&self, context: &[u8]) -> Result<(), Error> {
        let derived = self.config().derived;
        if derived == context.is_empty() { Err(Error::Context { derived }) } else { Ok(()) }
    }
}

/// Why a version that is chosen cannot do it.
fn without_secret(ring: &Ring, version: &Version) -> Error {
    if version.is_public_alone() {
        return Error::Version { version: version.number, reason: "has a public key alone" };
    }
    ring.not_active()
}

/// The version that a text of a ring names: the 3 of `vault:v3:…`.
///
/// ```
/// use keyward_transit::operation::version_of;
///
/// assert_eq!(version_of("vault:v3:AAAA"), Some(3));
/// assert_eq!(version_of("vault:v03:AAAA"), None);
/// ```
pub fn version_of(text: &str) -> Option<u32> {
    split(text).map(|(number, _)| number)
}

/// Writes `vault:vN:` before a body of about `capacity` characters.
fn prefixed(version: u32, capacity: usize) -> String {
    let mut text = String::with_capacity(capacity.saturating_add("vault:v4294967295:".len()));
    text.push_str("vault:v");
    text.push_str(&version.to_string());
    text.push(':');
    text
}

/// Splits `vault:vN:body` into the number and the body. The number is canonical: no sign, no leading zero.
fn split(text: &str) -> Option<(u32, &str)> {
    let (number, body) = text.strip_prefix("vault:v")?.split_once(':')?;
    if number.starts_with('0') || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((number.parse().ok()?, body))
}

/// What is wrong with a body that [`bytes`] cannot read.
const NOT_BASE64: &str = "behind the version it is not base64";

/// The bytes of a body. Line breaks are read over, as Vault does: a file ends in one, and long texts are folded.
fn bytes(body: &str, form: &GeneralPurpose) -> Option<Vec<u8>> {
    let breaks = ['\n', '\r'];
    if body.contains(breaks) { form.decode(body.replace(breaks, "")) } else { form.decode(body) }.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_prefix_is_read() {
        assert_eq!(split("vault:v1:abc"), Some((1, "abc")));
        assert_eq!(split("vault:v4294967295:"), Some((u32::MAX, "")));
        for bad in [
            "",
            "vault",
            "vault:v1",
            "vault:v:x",
            "vault:v0:x",
            "vault:v01:x",
            "vault:v+1:x",
            "vault:v-1:x",
            "vault:v4294967296:x",
            "Vault:v1:x",
            " vault:v1:x",
            "vault:1:x",
            "vault:v1 :x",
        ] {
            assert_eq!(split(bad), None, "{bad}");
        }
        assert_eq!(split(&prefixed(37, 0)), Some((37, "")));
    }
}
