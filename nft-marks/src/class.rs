//! Classes of traffic.

use crate::mark::Hex;
use crate::{Error, Mask};

/// What a connection is. One without a class is unknown, and has none of our bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// From outside to a service of a workload.
    Ingress,
    /// From a workload.
    Workload,
    /// Of the platform itself.
    Control,
}

impl Class {
    /// Every class, in the order of their default values.
    pub const ALL: [Self; 3] = [Self::Ingress, Self::Workload, Self::Control];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Workload => "workload",
            Self::Control => "control",
        }
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The mask, and the value of each class in it.
///
/// ```
/// use keyward_nft_marks::{Class, Marks};
///
/// let marks = Marks::default();
/// assert_eq!(marks.value(Class::Ingress), 0x0100_0000);
/// assert_eq!(marks.class(0x0200_0042), Some(Class::Workload)); // other bits are not ours
/// # assert_eq!(marks.class(0x42), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Marks {
    mask: Mask,
    values: [u32; 3],
}

impl Marks {
    /// The values 1, 2 and 3, spread over the bits of the mask.
    pub fn new(mask: Mask) -> Self {
        // A mask has two bits at least.
        let value = |number| mask.deposit(number).unwrap_or(number);
        Self { mask, values: [value(1), value(2), value(3)] }
    }

    /// Values of one's own.
    ///
    /// # Errors
    /// A value that is 0 or has bits outside the mask, and one that two classes have.
    pub fn with_values(mask: Mask, ingress: u32, workload: u32, control: u32) -> Result<Self, Error> {
        let marks = Self { mask, values: [ingress, workload, control] };
        for class in Class::ALL {
            let value = marks.value(class);
            if value == 0 || value & !mask.bits() != 0 {
                return Err(Error::ClassValue { class, value, mask });
            }
            if let Some(other) = Class::ALL.into_iter().find(|other| *other != class && marks.value(*other) == value) {
                return Err(Error::ClassTwice { class, other, value });
            }
        }
        Ok(marks)
    }

    /// The mask.
    pub fn mask(&self) -> Mask {
        self.mask
    }

    /// The bits of a class.
    pub fn value(&self, class: Class) -> u32 {
        let [ingress, workload, control] = self.values;
        match class {
            Class::Ingress => ingress,
            Class::Workload => workload,
            Class::Control => control,
        }
    }

    /// The class that a mark says.
    pub fn class(&self, mark: u32) -> Option<Class> {
        Class::ALL.into_iter().find(|class| self.value(*class) == mark & self.mask.bits())
    }

    /// The expression with which a rule of the user's own recognises a class, or with none whatever is ours.
    ///
    /// It looks at the mark of the connection, which replies have too and which does not depend on the order of chains.
    ///
    /// ```
    /// use keyward_nft_marks::{Class, Marks};
    ///
    /// assert_eq!(Marks::default().user_match(Some(Class::Ingress)), "ct mark & 0x0f000000 == 0x01000000");
    /// assert_eq!(Marks::default().user_match(None), "ct mark & 0x0f000000 != 0x00000000");
    /// ```
    pub fn user_match(&self, class: Option<Class>) -> String {
        match class {
            Some(class) => format!("ct mark & {} == {}", self.mask, Hex(self.value(class))),
            None => format!("ct mark & {} != {}", self.mask, Hex(0)),
        }
    }
}

impl Default for Marks {
    fn default() -> Self {
        Self::new(Mask::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lie_in_the_mask_and_differ() {
        let mask = Mask::default();
        for (values, text) in [
            (
                [0, 0x0200_0000, 0x0300_0000],
                "the value `0x00000000` of the class `ingress` is not a part of the mask `0x0f000000`; write one between, other than 0",
            ),
            (
                [1, 0x0200_0000, 0x0300_0000],
                "the value `0x00000001` of the class `ingress` is not a part of the mask `0x0f000000`; write one between, other than 0",
            ),
            (
                [0x0100_0000, 0x0200_0000, 0x0100_0000],
                "the classes `ingress` and `control` have the same value `0x01000000`; give each its own",
            ),
        ] {
            let [a, b, c] = values;
            assert_eq!(Marks::with_values(mask, a, b, c).unwrap_err().to_string(), text);
        }
        assert_eq!(Marks::with_values(mask, 0x0100_0000, 0x0200_0000, 0x0300_0000).unwrap(), Marks::default());
    }

    #[test]
    fn every_mask_has_three_values() {
        for bits in [0b11, 0x8000_0001, 0x0000_ff00, 0x7fff_ffff] {
            let marks = Marks::new(Mask::try_from(bits).unwrap());
            for class in Class::ALL {
                assert_eq!(marks.class(marks.value(class)), Some(class));
            }
            assert_eq!(marks.class(0), None);
        }
    }
}
