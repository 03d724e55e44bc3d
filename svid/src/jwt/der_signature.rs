//! An ECDSA signature from DER to fixed width.

/// Reads `SEQUENCE { r INTEGER, s INTEGER }` (RFC 3279 §2.2.3) and writes r then s, each of `width` bytes
/// (RFC 7518 §3.4). Nothing but canonical DER is read, and no number that is zero, negative or too wide.
pub(super) fn fixed_from_der(der: &[u8], width: usize) -> Option<Vec<u8>> {
    let (body, rest) = element(der, 0x30)?;
    let (r, after_r) = element(body, 0x02)?;
    let (s, after_s) = element(after_r, 0x02)?;
    if !rest.is_empty() || !after_s.is_empty() {
        return None;
    }
    let mut fixed = Vec::with_capacity(2 * width);
    for number in [r, s] {
        let digits = unsigned(number)?;
        fixed.resize(fixed.len() + width.checked_sub(digits.len())?, 0);
        fixed.extend_from_slice(digits);
    }
    Some(fixed)
}

/// One element with this tag: its content, and what follows it. Lengths are canonical (X.690 §10.1).
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (length, content) = match der {
        [found, length @ 0..=0x7f, content @ ..] if *found == tag => (usize::from(*length), content),
        [found, 0x81, length @ 0x80..=0xff, content @ ..] if *found == tag => (usize::from(*length), content),
        _ => return None,
    };
    content.split_at_checked(length)
}

/// The digits of a positive number: no needless zero in front (X.690 §8.3.2), and none kept.
fn unsigned(number: &[u8]) -> Option<&[u8]> {
    match number {
        [1..=0x7f, ..] => Some(number),
        [0, 0x80..=0xff, ..] => number.get(1..),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_numbers_are_padded() {
        assert_eq!(fixed_from_der(&[0x30, 6, 2, 1, 1, 2, 1, 0x7f], 2), Some(vec![0, 1, 0, 0x7f]));
        assert_eq!(fixed_from_der(&[0x30, 8, 2, 2, 0, 0x80, 2, 2, 1, 0], 2), Some(vec![0, 0x80, 1, 0]));
    }

    #[test]
    fn a_long_form_length() {
        let mut der = vec![0x30, 0x81, 0x88];
        for _ in 0..2 {
            der.extend([2, 66]);
            der.extend([1; 66]);
        }
        assert_eq!(fixed_from_der(&der, 66), Some(vec![1; 132]));
    }

    #[test]
    fn what_is_not_canonical_is_refused() {
        for der in [
            &[][..],
            &[0x30],
            &[0x30, 0],
            &[0x31, 6, 2, 1, 1, 2, 1, 1],
            &[0x30, 6, 2, 1, 1, 3, 1, 1],
            &[0x30, 6, 2, 1, 1, 2, 1],
            &[0x30, 6, 2, 1, 1, 2, 1, 1, 0],
            &[0x30, 7, 2, 1, 1, 2, 1, 1, 0],
            &[0x30, 0x81, 6, 2, 1, 1, 2, 1, 1],
            &[0x30, 0x80, 2, 1, 1, 2, 1, 1, 0, 0],
            &[0x30, 7, 2, 2, 0, 1, 2, 1, 1],
            &[0x30, 6, 2, 1, 0, 2, 1, 1],
            &[0x30, 6, 2, 1, 0x80, 2, 1, 1],
            &[0x30, 5, 2, 0, 2, 1, 1],
            &[0x30, 8, 2, 3, 1, 1, 1, 2, 1, 1],
        ] {
            assert_eq!(fixed_from_der(der, 2), None, "{der:?}");
        }
    }
}
