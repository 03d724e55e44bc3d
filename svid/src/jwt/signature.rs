//! Whether a token was signed with a key of a set.

use super::error::VerifyError;
use super::frame::Frame;
use super::header::Header;
use crate::json::excerpt;
use crate::jwks::JwkSet;

/// How many keys are tried for a token that names no key, or a name that several keys bear.
const MAX_TRIES: usize = 8;

/// Finds the key by `kid` and algorithm and checks the signature (RFC 7515 §5.2). A token without `kid`
/// (JWT-SVID §2.2 makes it optional) is tried with each key that fits, up to [`MAX_TRIES`].
pub(crate) fn authentic(frame: &Frame<'_>, header: &Header, keys: &JwkSet) -> Result<(), VerifyError> {
    let Header { algorithm, kid } = header;
    let signature = frame.signature()?;
    let mut tried = false;
    for key in keys.candidates(kid.as_deref(), *algorithm).take(MAX_TRIES) {
        if key.public_key().verify(*algorithm, frame.signed.as_bytes(), &signature).is_ok() {
            return Ok(());
        }
        tried = true;
    }
    let kid = kid.as_deref().map(excerpt);
    Err(if tried { VerifyError::Signature } else { VerifyError::NoKey { kid, algorithm: *algorithm } })
}
