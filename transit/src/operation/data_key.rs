//! Keys for others: to encrypt with outside, and kept encrypted.

use std::fmt;

use rand_core::CryptoRng;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::sealed::Sealed;
use super::{Encrypt, Operation};
use crate::{Error, Ring};

/// Makes a fresh key of 128, 256 or 512 bits and encrypts it with the active version: whoever stores data keeps the
/// ciphertext beside it and the plaintext nowhere.
///
/// # Errors
/// [`Error::Size`] for another number of bits, and those of [`Encrypt`].
#[derive(Debug, Clone, Copy)]
pub struct DataKey<'a> {
    bits: usize,
    associated_data: &'a [u8],
    context: &'a [u8],
    version: Option<u32>,
}

/// A key for others.
#[non_exhaustive]
pub struct DataKeyPair {
    /// The key.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// The key, encrypted by the ring.
    pub ciphertext: String,
}

impl<'a> DataKey<'a> {
    /// A key of so many bits, encrypted without associated data and context.
    pub const fn new(bits: usize) -> Self {
        Self { bits, associated_data: &[], context: &[], version: None }
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

impl Sealed for DataKey<'_> {}

impl Operation for DataKey<'_> {
    type Output = DataKeyPair;

    fn perform(&self, ring: &Ring, rng: &mut impl CryptoRng, now: OffsetDateTime) -> Result<DataKeyPair, Error> {
        ring.refuse_unless_encrypting("make a data key")?;
        let Self { bits, associated_data, context, version } = *self;
        if !matches!(bits, 128 | 256 | 512) {
            return Err(Error::Size { field: "bits", found: bits, accepted: "128, 256 or 512" });
        }
        let mut plaintext = Zeroizing::new(vec![0; bits / 8]);
        rng.fill_bytes(&mut plaintext);
        let encrypt = Encrypt { plaintext: &plaintext, associated_data, context, version };
        Ok(DataKeyPair { ciphertext: encrypt.perform(ring, rng, now)?, plaintext })
    }
}

impl fmt::Debug for DataKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKeyPair").field("ciphertext", &self.ciphertext).finish_non_exhaustive()
    }
}
