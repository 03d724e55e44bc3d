//! AES key wrap with padding.

use zeroize::Zeroizing;

use crate::{Error, backend};

const KEY: &str = "wrapping key";
const KEY_LENGTHS: &str = "16 or 32";

/// Wraps key material under an AES key of 16 or 32 bytes with AES-KWP (RFC 5649, NIST SP 800-38F §6.3).
///
/// ```
/// use keyward_keys::{unwrap_key, wrap_key};
///
/// let wrapped = wrap_key(&[7; 32], b"key material")?;
/// assert_eq!(wrapped.len(), 24);
/// assert_eq!(unwrap_key(&[7; 32], &wrapped)?.as_slice(), b"key material");
/// # Ok::<(), keyward_keys::Error>(())
/// ```
///
/// # Errors
/// [`Error::Length`] for a key of another length or empty material.
pub fn wrap_key(kek: &[u8], material: &[u8]) -> Result<Vec<u8>, Error> {
    demand_key(kek)?;
    if material.is_empty() {
        return Err(Error::Length { what: "key to wrap", found: 0, accepted: "1 and more" });
    }
    backend::wrap_key(kek, material)
}

/// Unwraps what [`wrap_key`] made.
///
/// # Errors
/// [`Error::DecryptionFailed`], whatever was wrong with the wrapped key; [`Error::Length`] for a key of another length.
pub fn unwrap_key(kek: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    demand_key(kek)?;
    // RFC 5649 §3: at least the integrity check value and one block, in blocks of 64 bits.
    if wrapped.len() < 16 || !wrapped.len().is_multiple_of(8) {
        return Err(Error::DecryptionFailed);
    }
    backend::unwrap_key(kek, wrapped).ok_or(Error::DecryptionFailed)
}

fn demand_key(kek: &[u8]) -> Result<(), Error> {
    if matches!(kek.len(), 16 | 32) {
        return Ok(());
    }
    Err(Error::Length { what: KEY, found: kek.len(), accepted: KEY_LENGTHS })
}
