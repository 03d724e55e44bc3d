//! Reading.

use ::time::OffsetDateTime;

use super::{tag, time};

/// The bytes are not DER, or not of the type expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotDer;

/// What is left to read of a sequence of elements.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

/// One element.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    /// Tag and length included.
    pub(crate) whole: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Nothing may follow.
    pub(crate) fn finish(self) -> Result<(), NotDer> {
        if self.is_empty() { Ok(()) } else { Err(NotDer) }
    }

    /// The next element. Lengths are definite and minimal (X.690 §10.1), tags of one byte.
    pub(crate) fn any(&mut self) -> Result<Element<'a>, NotDer> {
        let [tag, first, rest @ ..] = self.0 else { return Err(NotDer) };
        if tag & 0x1f == 0x1f {
            return Err(NotDer);
        }
        let (length, rest) = match (*first, rest) {
            (0..=0x7f, rest) => (usize::from(*first), rest),
            (0x81, [a @ 0x80..=0xff, rest @ ..]) => (usize::from(*a), rest),
            (0x82, [a @ 1..=0xff, b, rest @ ..]) => (usize::from(u16::from_be_bytes([*a, *b])), rest),
            (0x83, [a @ 1..=0xff, b, c, rest @ ..]) => {
                let length = u32::from_be_bytes([0, *a, *b, *c]);
                (usize::try_from(length).map_err(|_| NotDer)?, rest)
            }
            _ => return Err(NotDer),
        };
        let (content, after) = rest.split_at_checked(length).ok_or(NotDer)?;
        let (whole, _) = self.0.split_at_checked(self.0.len() - after.len()).ok_or(NotDer)?;
        self.0 = after;
        Ok(Element { tag: *tag, content, whole })
    }

    /// The content of the next element, which must have this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Result<&'a [u8], NotDer> {
        let element = self.any()?;
        if element.tag == tag { Ok(element.content) } else { Err(NotDer) }
    }

    /// The content of the next element if it has this tag; otherwise nothing is read.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, NotDer> {
        if self.0.first() == Some(&tag) { self.expect(tag).map(Some) } else { Ok(None) }
    }

    /// A reader of the next element's content, which must have this tag.
    pub(crate) fn inside(&mut self, tag: u8) -> Result<Reader<'a>, NotDer> {
        self.expect(tag).map(Reader)
    }

    /// The bytes of a BIT STRING without unused bits.
    pub(crate) fn bit_string(&mut self) -> Result<&'a [u8], NotDer> {
        match self.expect(tag::BIT_STRING)? {
            [0, bits @ ..] => Ok(bits),
            _ => Err(NotDer),
        }
    }

    /// A BOOLEAN that is not at its default, FALSE (X.690 §11.5), or nothing.
    pub(crate) fn default_false(&mut self) -> Result<bool, NotDer> {
        match self.optional(tag::BOOLEAN)? {
            None => Ok(false),
            Some([0xff]) => Ok(true),
            Some(_) => Err(NotDer),
        }
    }

    /// A `Time` (RFC 5280 §4.1.2.5).
    pub(crate) fn time(&mut self) -> Result<OffsetDateTime, NotDer> {
        let element = self.any()?;
        time::read(element.tag, element.content).ok_or(NotDer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(bytes: &[u8]) -> bool {
        Reader::new(bytes).any().is_err()
    }

    #[test]
    fn elements_follow_each_other() {
        let mut reader = Reader::new(&[0x02, 1, 5, 0x01, 1, 0xff, 0x30, 2, 0x04, 0]);
        assert_eq!(reader.optional(tag::SEQUENCE), Ok(None));
        assert_eq!(reader.expect(tag::INTEGER), Ok(&[5][..]));
        assert_eq!(reader.default_false(), Ok(true));
        let last = reader.any().unwrap();
        assert_eq!((last.content, last.whole), (&[0x04, 0][..], &[0x30, 2, 0x04, 0][..]));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn long_lengths() {
        for (head, length) in
            [(&[0x04, 0x81, 0x80][..], 0x80), (&[4, 0x82, 1, 0], 0x100), (&[4, 0x83, 1, 0, 0], 65_536)]
        {
            let bytes = [head, &vec![7; length]].concat();
            assert_eq!(Reader::new(&bytes).expect(tag::OCTET_STRING).unwrap().len(), length);
            assert!(refused(&bytes[..bytes.len() - 1]));
        }
    }

    #[test]
    fn what_is_not_der_is_refused() {
        for bytes in [
            &[][..],
            &[0x30],
            &[0x30, 1],
            &[0x30, 0x80, 0, 0],
            &[0x04, 0x81, 1, 0],
            &[0x04, 0x82, 0, 0x80],
            &[0x1f, 1, 0],
            &[0x04, 0x84, 0, 0, 0, 1, 0],
        ] {
            assert!(refused(bytes), "{bytes:x?}");
        }
        assert_eq!(Reader::new(&[1, 1, 0]).default_false(), Err(NotDer));
        assert_eq!(Reader::new(&[3, 2, 1, 0]).bit_string(), Err(NotDer));
        assert_eq!(Reader::new(&[0]).finish(), Err(NotDer));
    }
}
