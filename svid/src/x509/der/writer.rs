//! Writing.

use ::time::OffsetDateTime;

use super::{tag, time};

/// Bytes that grow by elements.
#[derive(Debug, Clone, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Elements that are encoded already.
    pub(crate) fn raw(&mut self, elements: &[u8]) -> &mut Self {
        self.0.extend_from_slice(elements);
        self
    }

    /// An element with this content.
    pub(crate) fn element(&mut self, tag: u8, content: &[u8]) -> &mut Self {
        self.header(tag, content.len());
        self.raw(content)
    }

    /// An element whose content is written by `content`.
    pub(crate) fn nest(&mut self, tag: u8, content: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.0.len();
        self.0.extend_from_slice(&[tag, 0]);
        content(self);
        let length = self.0.len() - start - 2;
        let (first, more) = encode_length(length);
        if let Some(place) = self.0.get_mut(start + 1) {
            *place = first;
        }
        if more.len() > 0 {
            self.0.splice(start + 2..start + 2, more);
        }
        self
    }

    pub(crate) fn sequence(&mut self, content: impl FnOnce(&mut Self)) -> &mut Self {
        self.nest(tag::SEQUENCE, content)
    }

    /// An INTEGER that is not negative, from big-endian digits.
    pub(crate) fn unsigned(&mut self, digits: &[u8]) -> &mut Self {
        let zeros = digits.iter().take_while(|digit| **digit == 0).count();
        let digits = digits.get(zeros..).unwrap_or_default();
        let padded = digits.first().is_none_or(|first| first & 0x80 != 0);
        self.header(tag::INTEGER, digits.len() + usize::from(padded));
        if padded {
            self.0.push(0);
        }
        self.raw(digits)
    }

    /// A BIT STRING of whole bytes.
    pub(crate) fn bit_string(&mut self, bits: &[u8]) -> &mut Self {
        self.header(tag::BIT_STRING, bits.len() + 1);
        self.0.push(0);
        self.raw(bits)
    }

    /// An extension (RFC 5280 §4.1.2.9) whose value is written by `value`.
    pub(crate) fn extension(&mut self, oid: &[u8], critical: bool, value: impl FnOnce(&mut Self)) -> &mut Self {
        self.sequence(|extension| {
            extension.element(tag::OID, oid);
            if critical {
                extension.element(tag::BOOLEAN, &[0xff]);
            }
            extension.nest(tag::OCTET_STRING, value);
        })
    }

    /// A `Time` (RFC 5280 §4.1.2.5); nothing, and `false`, for one outside the years 1950 to 9999.
    #[must_use]
    pub(crate) fn time(&mut self, moment: OffsetDateTime) -> bool {
        let Some((tag, content)) = time::write(moment) else { return false };
        self.element(tag, &content);
        true
    }

    fn header(&mut self, tag: u8, length: usize) {
        let (first, more) = encode_length(length);
        self.0.extend_from_slice(&[tag, first]);
        self.0.extend(more);
    }
}

/// The first byte of a length, and those after it (X.690 §10.1).
fn encode_length(length: usize) -> (u8, impl ExactSizeIterator<Item = u8>) {
    let bytes = length.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let (first, skip) = match u8::try_from(length) {
        Ok(short @ 0..=0x7f) => (short, bytes.len()),
        _ => (0x80 | (bytes.len() - zeros) as u8, zeros),
    };
    (first, bytes.into_iter().skip(skip))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Reader;
    use super::*;

    #[test]
    fn integers_are_minimal_and_positive() {
        for (digits, content) in
            [(&[][..], &[0][..]), (&[0, 0], &[0]), (&[0, 1], &[1]), (&[0x80], &[0, 0x80]), (&[0x7f, 0], &[0x7f, 0])]
        {
            let mut writer = Writer::default();
            writer.unsigned(digits);
            assert_eq!(Reader::new(&writer.into_bytes()).expect(tag::INTEGER), Ok(content), "{digits:x?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(a in 0_usize..300, b in prop::sample::select(vec![0_usize, 127, 128, 65_535, 65_536])) {
            let mut writer = Writer::default();
            writer.sequence(|outer| {
                outer.element(tag::OCTET_STRING, &vec![1; a]);
                outer.nest(tag::SET, |inner| {
                    inner.bit_string(&vec![2; b]);
                });
            });
            let bytes = writer.into_bytes();
            let mut reader = Reader::new(&bytes);
            let mut outer = reader.inside(tag::SEQUENCE).unwrap();
            prop_assert_eq!(outer.expect(tag::OCTET_STRING).unwrap(), vec![1; a]);
            prop_assert_eq!(outer.inside(tag::SET).unwrap().bit_string().unwrap(), vec![2; b]);
            prop_assert!(outer.finish().is_ok() && reader.finish().is_ok());
        }
    }
}
