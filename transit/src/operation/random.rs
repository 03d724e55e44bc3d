//! Randomness for others.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::Error;

/// The most that one call answers.
const LONGEST: usize = 128 * 1024;

/// Random bytes, at least one and at most 128 KiB. (The hash functions are [`HashFunction::digest`].)
///
/// [`HashFunction::digest`]: keyward_keys::HashFunction::digest
///
/// # Errors
/// [`Error::Size`] for another number.
pub fn random(bytes: usize, rng: &mut impl CryptoRng) -> Result<Zeroizing<Vec<u8>>, Error> {
    if !(1..=LONGEST).contains(&bytes) {
        return Err(Error::Size { field: "bytes", found: bytes, accepted: "from 1 to 131072" });
    }
    let mut random = Zeroizing::new(vec![0; bytes]);
    rng.fill_bytes(&mut random);
    Ok(random)
}
