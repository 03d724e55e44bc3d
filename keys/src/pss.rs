//! RSASSA-PSS with salts of other lengths than the digest's: verified here, because aws-lc-rs verifies none. Everything is
//! public, so nothing needs constant time.

mod modular;

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
    // §8.1.2 step 1; RSAVP1 (§5.2.2).
    let number = if signature.len() == modulus.len() { modular::power(signature, exponent, modulus) } else { None };
    number
        .and_then(|number| encoded(number, modulus))
        .and_then(|(message, unused)| salt_of(&message, unused, hash, digest))
        .is_some_and(|found| salt.is_none_or(|length| length == found))
}

/// The encoded message, which has one bit less than the modulus, and how many bits of its first byte are unused.
fn encoded(mut number: Vec<u8>, modulus: &[u8]) -> Option<(Vec<u8>, u32)> {
    let unused = modulus.first()?.leading_zeros() + 1;
    if unused < 8 {
        return Some((number, unused));
    }
    // The modulus begins with a 1 and nothing else: the message is a byte shorter.
    (number.remove(0) == 0).then_some((number, 0))
}

/// EMSA-PSS-VERIFY (§9.1.2): the length of the salt, if the message is one of the digest.
fn salt_of(message: &[u8], unused: u32, hash: HashFunction, digest: &[u8]) -> Option<usize> {
    let [before @ .., 0xbc] = message else { return None };
    let (masked, seal) = before.split_at_checked(before.len().checked_sub(hash.length())?)?;
    let used = 0xff_u8 >> unused;
    let mut block = masked.to_vec();
    if block.first().is_some_and(|first| first & !used != 0) {
        return None;
    }
    let mask = (0_u32..).flat_map(|counter| hash.digest(&[seal, &counter.to_be_bytes()].concat()));
    block.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    if let Some(first) = block.first_mut() {
        *first &= used;
    }
    let zeros = block.iter().take_while(|byte| **byte == 0).count();
    let [1, salt @ ..] = block.get(zeros..)? else { return None };
    let again = hash.digest(&[&[0; 8], digest, salt].concat());
    (again == seal).then_some(salt.len())
}
