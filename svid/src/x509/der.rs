//! DER (X.690 §10), as far as certificates need it: reading without allocating, writing forward.

mod reader;
mod time;
mod writer;

pub(crate) use reader::{NotDer, Reader};
pub(crate) use writer::Writer;

/// The tags of X.690 §8 that occur in certificates.
pub(crate) mod tag {
    pub(crate) const BOOLEAN: u8 = 0x01;
    pub(crate) const INTEGER: u8 = 0x02;
    pub(crate) const BIT_STRING: u8 = 0x03;
    pub(crate) const OCTET_STRING: u8 = 0x04;
    pub(crate) const OID: u8 = 0x06;
    pub(crate) const UTF8_STRING: u8 = 0x0c;
    pub(crate) const PRINTABLE_STRING: u8 = 0x13;
    pub(crate) const UTC_TIME: u8 = 0x17;
    pub(crate) const GENERALIZED_TIME: u8 = 0x18;
    pub(crate) const SEQUENCE: u8 = 0x30;
    pub(crate) const SET: u8 = 0x31;

    /// `[n] IMPLICIT` of a primitive type.
    pub(crate) const fn context(number: u8) -> u8 {
        0x80 | number
    }

    /// `[n] EXPLICIT`, or `[n] IMPLICIT` of a constructed type.
    pub(crate) const fn context_constructed(number: u8) -> u8 {
        0xa0 | number
    }
}
