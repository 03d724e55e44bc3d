//! Base32 (RFC 4648 §6) without padding.

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Five bits a character; the length must be a multiple of five bytes, which all of ours are.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() / 5 * 8);
    for chunk in bytes.chunks_exact(5) {
        let bits = chunk.iter().fold(0u64, |bits, byte| (bits << 8) | u64::from(*byte));
        for place in (0..8).rev() {
            let index = usize::try_from((bits >> (place * 5)) & 31).unwrap_or_default();
            text.push(char::from(ALPHABET.get(index).copied().unwrap_or(b'A')));
        }
    }
    text
}

/// Exactly `N` bytes, a multiple of five.
pub(crate) fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    if !N.is_multiple_of(5) || text.len() != N / 5 * 8 {
        return None;
    }
    let mut bytes = [0; N];
    for (target, chunk) in bytes.chunks_exact_mut(5).zip(text.as_bytes().chunks_exact(8)) {
        let mut bits = 0u64;
        for character in chunk {
            let value = ALPHABET.iter().position(|c| c == character)?;
            bits = (bits << 5) | u64::try_from(value).ok()?;
        }
        for (byte, value) in target.iter_mut().zip(bits.to_be_bytes().into_iter().skip(3)) {
            *byte = value;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648 §10 has `fooba`.
    #[test]
    fn both_ways() {
        assert_eq!(encode(b"fooba"), "MZXW6YTB");
        assert_eq!(decode::<5>("MZXW6YTB"), Some(*b"fooba"));
        let bytes: [u8; 20] = core::array::from_fn(|i| i as u8 * 13);
        assert_eq!(decode::<20>(&encode(&bytes)), Some(bytes));
        for bad in ["", "MZXW6YT", "mzxw6ytb", "MZXW6YT1", "MZXW6YTBA"] {
            assert_eq!(decode::<5>(bad), None, "{bad}");
        }
    }
}
