//! Bits of the packet mark.

use std::fmt;
use std::str::FromStr;

use keyward_config_values::excerpt;

use crate::Error;

/// The bits of the 32-bit packet mark that are ours: at least two, and not all of them.
///
/// Written in hexadecimal (`0x0f000000`) or decimal, shown in hexadecimal with eight digits.
///
/// ```
/// use keyward_nft_marks::Mask;
///
/// let mask: Mask = "0xF000000".parse()?;
/// assert_eq!(mask, Mask::default());
/// assert_eq!(mask.to_string(), "0x0f000000");
/// # Ok::<(), keyward_nft_marks::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mask(u32);

impl Mask {
    /// The bits.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// The number spread over the bits of the mask, its lowest bit on the lowest of them; nothing when it does not fit.
    pub fn deposit(self, number: u32) -> Option<u32> {
        let (mut rest, mut mark) = (number, 0);
        for bit in (0..u32::BITS).filter(|bit| self.0 & (1 << bit) != 0) {
            mark |= (rest & 1) << bit;
            rest >>= 1;
        }
        (rest == 0).then_some(mark)
    }
}

/// `0x0f000000`: of the widely used programs only Cilium and Calico with its default mask write these bits.
impl Default for Mask {
    fn default() -> Self {
        Self(0x0f00_0000)
    }
}

impl TryFrom<u32> for Mask {
    type Error = Error;

    fn try_from(bits: u32) -> Result<Self, Error> {
        if !(2..u32::BITS).contains(&bits.count_ones()) {
            return Err(Error::MaskSize { mask: bits });
        }
        Ok(Self(bits))
    }
}

impl From<Mask> for u32 {
    fn from(mask: Mask) -> Self {
        mask.0
    }
}

impl FromStr for Mask {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        number(text).ok_or_else(|| Error::MaskForm { input: excerpt(text) })?.try_into()
    }
}

impl fmt::Display for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Hex(self.0))
    }
}

/// A mark that is looked for: the bits of a mask and the value that they have. Written `0x100/0x100`, value first;
/// a value without a mask is its own mask.
///
/// ```
/// use keyward_nft_marks::MarkMatch;
///
/// let override_bit: MarkMatch = "0x100".parse()?;
/// assert_eq!(override_bit.to_string(), "0x00000100/0x00000100");
/// # Ok::<(), keyward_nft_marks::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MarkMatch {
    value: u32,
    mask: u32,
}

impl MarkMatch {
    /// The mark whose bits under `mask` are `value`.
    ///
    /// # Errors
    /// A value of zero, which every unmarked packet has, and one with bits outside the mask, which no packet has.
    pub fn new(value: u32, mask: u32) -> Result<Self, Error> {
        if value == 0 {
            return Err(Error::MarkZero);
        }
        if value & !mask != 0 {
            return Err(Error::MarkOutside { value, mask });
        }
        Ok(Self { value, mask })
    }

    /// What the bits are.
    pub fn value(self) -> u32 {
        self.value
    }

    /// Which bits are looked at.
    pub fn mask(self) -> u32 {
        self.mask
    }
}

impl FromStr for MarkMatch {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parsed = match text.split_once('/') {
            Some((value, mask)) => number(value).zip(number(mask)),
            None => number(text).map(|value| (value, value)),
        };
        let (value, mask) = parsed.ok_or_else(|| Error::MarkForm { input: excerpt(text) })?;
        Self::new(value, mask)
    }
}

impl fmt::Display for MarkMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Hex(self.value), Hex(self.mask))
    }
}

/// A number as nft prints marks.
pub(crate) struct Hex(pub(crate) u32);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:08x}", self.0)
    }
}

/// A number of 32 bits, in decimal or with `0x`.
pub(crate) fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => {
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
            plain.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
        }
        None => {
            let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| text.parse().ok()).flatten()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_mask_has_room_for_classes_and_leaves_some_to_others() {
        for (bad, text) in [
            ("0", "the mask `0x00000000` has 0 bits; write one with 2 to 31, such as `0x0f000000`"),
            ("0x8", "the mask `0x00000008` has 1 bits; write one with 2 to 31, such as `0x0f000000`"),
            ("0xffffffff", "the mask `0xffffffff` has 32 bits; write one with 2 to 31, such as `0x0f000000`"),
            ("0x", "`0x`: not a mask; write one such as `0x0f000000`"),
            ("0x100000000", "`0x100000000`: not a mask; write one such as `0x0f000000`"),
            ("+3", "`+3`: not a mask; write one such as `0x0f000000`"),
        ] {
            assert_eq!(bad.parse::<Mask>().unwrap_err().to_string(), text);
        }
        assert_eq!("3".parse::<Mask>().unwrap().bits(), 3);
    }

    #[test]
    fn a_mark_that_everybody_or_nobody_has_is_refused() {
        for (bad, text) in [
            ("0", "a mark of 0 is that of every unmarked packet; write one such as `0x100/0x100`"),
            ("0x0/0x100", "a mark of 0 is that of every unmarked packet; write one such as `0x100/0x100`"),
            (
                "0x200/0x100",
                "the mark `0x00000200` has bits outside its mask `0x00000100`, so that no packet matches; write a mask that covers it",
            ),
            ("0x1/", "`0x1/`: not a mark; write value and mask, such as `0x100/0x100`"),
            ("one", "`one`: not a mark; write value and mask, such as `0x100/0x100`"),
        ] {
            assert_eq!(bad.parse::<MarkMatch>().unwrap_err().to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn numbers_are_spread_over_the_bits(bits in any::<u32>(), number in 0..8u32) {
            if let Ok(mask) = Mask::try_from(bits) {
                prop_assert_eq!(mask.to_string().parse::<Mask>().unwrap(), mask);
                match mask.deposit(number) {
                    Some(mark) => {
                        prop_assert_eq!(mark & !bits, 0);
                        prop_assert_eq!(mark.count_ones(), number.count_ones());
                        prop_assert!((0..number).all(|less| mask.deposit(less).unwrap() < mark));
                    }
                    None => prop_assert!(number >> bits.count_ones() != 0),
                }
            }
        }
    }
}
