//! RSASSA-PSS with salts of other lengths than the digest's: verified here, because the backends verify none. Everything
//! is public, so nothing needs constant time.

use num_bigint::BigUint;

use crate::HashFunction;

/// RSASSA-PSS-VERIFY (RFC 8017 §8.1.2) over a digest, MGF1 with the same hash function; `salt` is the length that the salt
/// must have, or `None` for any.
pub(crate) fn verify(
    modulus: &[u8],
    exponent: &[u8],
    hash: HashFunction,
    digest: &[u8],
    salt: Option<usize>,
    signature: &[u8],
) -> bool {
    encoded(modulus, exponent, signature)
        .and_then(|(message, bits)| salt_of(&message, bits, hash, digest))
        .is_some_and(|found| salt.is_none_or(|length| length == found))
}

/// RSAVP1 (§5.2.2) and I2OSP: the encoded message and the bits that it may have.
fn encoded(modulus: &[u8], exponent: &[u8], signature: &[u8]) -> Option<(Vec<u8>, usize)> {
    if signature.len() != modulus.len() {
        return None;
    }
    let [modulus, exponent, signature] = [modulus, exponent, signature].map(BigUint::from_bytes_be);
    if signature >= modulus {
        return None;
    }
    let bits = usize::try_from(modulus.bits()).ok()?.checked_sub(1)?;
    let number = signature.modpow(&exponent, &modulus).to_bytes_be();
    let mut message = vec![0; bits.div_ceil(8).checked_sub(number.len())?];
    message.extend(number);
    Some((message, bits))
}

/// EMSA-PSS-VERIFY (§9.1.2): the length of the salt, if the message is one of the digest.
fn salt_of(message: &[u8], bits: usize, hash: HashFunction, digest: &[u8]) -> Option<usize> {
    let [before @ .., 0xbc] = message else { return None };
    let (masked, seal) = before.split_at_checked(before.len().checked_sub(hash.length())?)?;
    let unused = 8 * message.len() - bits;
    let top = 0xff_u8.checked_shr(u32::try_from(unused).ok()?)?;
    let mut block = masked.to_vec();
    if block.first().is_some_and(|first| first & !top != 0) {
        return None;
    }
    let mask = (0_u32..).flat_map(|counter| hash.digest(&[seal, &counter.to_be_bytes()].concat()));
    block.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    if let Some(first) = block.first_mut() {
        *first &= top;
    }
    let zeros = block.iter().take_while(|byte| **byte == 0).count();
    let [1, salt @ ..] = block.get(zeros..)? else { return None };
    let again = hash.digest(&[&[0; 8], digest, salt].concat());
    (again == seal).then_some(salt.len())
}
