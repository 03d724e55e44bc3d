//! The two forms of an ECDSA signature: fixed-width r‖s (RFC 7518 §3.4) and DER (RFC 3279 §2.2.3).

use ::pkcs8::der::{self, Decode, Encode, Reader, SliceReader, asn1::UintRef};

/// The form an ECDSA signature takes. Other signatures have one form only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// r‖s, each of the curve's width: JWS.
    Fixed,
    /// DER `SEQUENCE { r INTEGER, s INTEGER }`: X.509, TLS.
    Asn1,
}

/// DER → r‖s with halves of `width` bytes. `None` unless it is canonical DER and both numbers fit.
pub(crate) fn to_fixed(asn1: &[u8], width: usize) -> Option<Vec<u8>> {
    let mut reader = SliceReader::new(asn1).ok()?;
    let (r, s) = reader
        .sequence::<_, _, der::Error>(|numbers| Ok((UintRef::decode(numbers)?, UintRef::decode(numbers)?)))
        .ok()?;
    reader.finish().ok()?;
    let mut fixed = Vec::with_capacity(2 * width);
    for number in [r.as_bytes(), s.as_bytes()] {
        let padding = width.checked_sub(number.len())?;
        fixed.resize(fixed.len() + padding, 0);
        fixed.extend_from_slice(number);
    }
    Some(fixed)
}

/// r‖s with halves of `width` bytes → DER. `None` unless the length is exact.
pub(crate) fn to_asn1(fixed: &[u8], width: usize) -> Option<Vec<u8>> {
    if fixed.len() != 2 * width {
        return None;
    }
    let (r, s) = fixed.split_at_checked(width)?;
    let (r, s) = (UintRef::new(r).ok()?, UintRef::new(s).ok()?);
    let length = (r.encoded_len().ok()? + s.encoded_len().ok()?).ok()?;
    let mut asn1 = Vec::with_capacity(2 * width + 9);
    der::Header::new(der::Tag::Sequence, length).encode_to_vec(&mut asn1).ok()?;
    r.encode_to_vec(&mut asn1).ok()?;
    s.encode_to_vec(&mut asn1).ok()?;
    Some(asn1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_numbers_are_padded_and_minimal() {
        let mut fixed = vec![0; 64];
        fixed[31] = 0x80;
        fixed[63] = 1;
        let asn1 = to_asn1(&fixed, 32).unwrap();
        assert_eq!(asn1, [0x30, 0x07, 0x02, 0x02, 0x00, 0x80, 0x02, 0x01, 0x01]);
        assert_eq!(to_fixed(&asn1, 32), Some(fixed));
    }

    #[test]
    fn only_canonical_der_is_read() {
        let bad: [&[u8]; 8] = [
            &[],
            &[0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01, 0x00], // trailing byte
            &[0x30, 0x07, 0x02, 0x02, 0x00, 0x01, 0x02, 0x01, 0x01], // leading zero
            &[0x30, 0x81, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01], // long length
            &[0x30, 0x06, 0x02, 0x01, 0xff, 0x02, 0x01, 0x01],       // negative
            &[0x30, 0x03, 0x02, 0x01, 0x01],                         // one number
            &[0x30, 0x09, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01, 0x02, 1, 1], // three numbers
            &[0x31, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01],       // a set
        ];
        for asn1 in bad {
            assert_eq!(to_fixed(asn1, 32), None, "{asn1:x?}");
        }
        assert!(to_fixed(&[0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01], 32).is_some());
    }

    #[test]
    fn lengths_are_exact() {
        for length in [0, 1, 63, 65, 96, 132] {
            assert_eq!(to_asn1(&vec![1; length], 32), None, "{length}");
        }
        let wide = to_asn1(&[1; 96], 48).unwrap();
        assert_eq!(to_fixed(&wide, 32), None);
    }

    proptest! {
        #[test]
        fn forms_round_trip(width in prop::sample::select(vec![32_usize, 48, 66]), seed in prop::collection::vec(any::<u8>(), 132), zeros in 0..70_usize) {
            let mut fixed = seed[..2 * width].to_vec();
            fixed.iter_mut().take(zeros).for_each(|byte| *byte = 0);
            let asn1 = to_asn1(&fixed, width).unwrap();
            prop_assert_eq!(to_fixed(&asn1, width), Some(fixed));
        }
    }
}
