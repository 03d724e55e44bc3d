//! Values that serde reads and writes as texts.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Interface, MarkMatch, Mask, PortsExpression, ProtocolExpression, RangeExpression};

macro_rules! texts {
    ($($kind:ty),*) => { $(
        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )* };
}

texts!(Interface, MarkMatch, Mask, PortsExpression, ProtocolExpression, RangeExpression);

macro_rules! read {
    ($($kind:ty),*) => { $(
        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )* };
}

read!(Interface, ProtocolExpression, RangeExpression);

// A number may be written as one: `443`, `0x0f000000`.
macro_rules! read_number {
    ($($kind:ty),*) => { $(
        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Number(PhantomData))
            }
        }
    )* };
}

read_number!(MarkMatch, Mask, PortsExpression);

struct Number<T>(PhantomData<T>);

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Number<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a number")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

/// A value of a mark, in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MarkValue(pub(super) u32);

impl FromStr for MarkValue {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Self, crate::Error> {
        crate::mark::number(text)
            .map(Self)
            .ok_or_else(|| crate::Error::MarkForm { input: keyward_config_values::excerpt(text) })
    }
}

/// For fields of a mark's value.
pub(super) mod mark_value {
    use super::{Deserializer, MarkValue, Number, PhantomData, Serializer};
    use crate::mark::Hex;

    pub(in crate::config) fn serialize<S: Serializer>(value: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Hex(*value))
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
        deserializer.deserialize_any(Number::<MarkValue>(PhantomData)).map(|value| value.0)
    }
}
