//! Numbers and truth values out of text.

use std::fmt;

use serde::{
    Deserializer,
    de::{self, DeserializeSeed, EnumAccess, MapAccess, SeqAccess, Unexpected, Visitor},
};

/// Whatever wants a number or a truth value gets it from text too, by the rules of OpenBao (`mapstructure.WeakDecode` of Go): text is read
/// as Go reads a literal, empty text is 0 and false, and a number is true unless it is 0. A number that starts with further zeros,
/// which Go takes for octal, is refused.
pub(super) struct Lenient<D>(pub(super) D);

/// What a [`Lenient`] tells of.
#[derive(Clone, Copy)]
enum Wanted {
    Flag,
    Number,
    Other,
}

macro_rules! deserialize {
    ($($method:ident: $wanted:ident;)+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.0.deserialize_any(Read { visitor, wanted: Wanted::$wanted })
        }
    )+};
}

macro_rules! forward {
    ($($method:ident($($name:ident: $kind:ty),*);)+) => {$(
        fn $method<V: Visitor<'de>>(self, $($name: $kind,)* visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method($($name,)* Read { visitor, wanted: Wanted::Other })
        }
    )+};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Lenient<D> {
    type Error = D::Error;

    deserialize! {
        deserialize_bool: Flag;
        deserialize_i8: Number; deserialize_i16: Number; deserialize_i32: Number; deserialize_i64: Number;
        deserialize_u8: Number; deserialize_u16: Number; deserialize_u32: Number; deserialize_u64: Number;
        deserialize_f32: Number; deserialize_f64: Number;
    }

    forward! {
        deserialize_any(); deserialize_char(); deserialize_str(); deserialize_string(); deserialize_bytes();
        deserialize_byte_buf(); deserialize_option(); deserialize_unit(); deserialize_seq(); deserialize_map();
        deserialize_identifier(); deserialize_ignored_any();
        deserialize_unit_struct(name: &'static str);
        deserialize_newtype_struct(name: &'static str);
        deserialize_tuple(len: usize);
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
    }
}

/// A visitor whose values are lenient themselves.
struct Read<V> {
    visitor: V,
    wanted: Wanted,
}

/// `strconv.ParseBool` of Go; empty text is false.
fn flag(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "" | "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Decimal numbers; empty text is 0.
fn number(text: &str) -> Option<i128> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    match text {
        "" => Some(0),
        _ if digits.starts_with('0') && digits.len() > 1 => None,
        _ => text.parse().ok(),
    }
}

impl<'de, V: Visitor<'de>> Read<V> {
    fn text<E: de::Error>(self, text: &str, other: impl FnOnce(V) -> Result<V::Value, E>) -> Result<V::Value, E> {
        let unexpected = |visitor: &V| Err(E::invalid_type(Unexpected::Str(text), visitor));
        match self.wanted {
            Wanted::Other => other(self.visitor),
            Wanted::Flag => match flag(text) {
                Some(value) => self.visitor.visit_bool(value),
                None => unexpected(&self.visitor),
            },
            Wanted::Number => match number(text).map(|value| (u64::try_from(value), i64::try_from(value))) {
                Some((Ok(value), _)) => self.visitor.visit_u64(value),
                Some((_, Ok(value))) => self.visitor.visit_i64(value),
                _ => unexpected(&self.visitor),
            },
        }
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Read<V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(formatter)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<V::Value, E> {
        match self.wanted {
            Wanted::Number => self.visitor.visit_u64(value.into()),
            _ => self.visitor.visit_bool(value),
        }
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<V::Value, E> {
        match self.wanted {
            Wanted::Flag => self.visitor.visit_bool(value != 0),
            _ => self.visitor.visit_u64(value),
        }
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<V::Value, E> {
        match self.wanted {
            Wanted::Flag => self.visitor.visit_bool(value != 0),
            _ => self.visitor.visit_i64(value),
        }
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<V::Value, E> {
        self.visitor.visit_f64(value)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<V::Value, E> {
        self.text(text, |visitor| visitor.visit_str(text))
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<V::Value, E> {
        self.text(text, |visitor| visitor.visit_borrowed_str(text))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<V::Value, E> {
        match self.wanted {
            Wanted::Other => self.visitor.visit_string(text),
            _ => self.visit_str(&text),
        }
    }

    fn visit_unit<E: de::Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_unit()
    }

    fn visit_none<E: de::Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_some(Lenient(deserializer))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_newtype_struct(Lenient(deserializer))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_seq(Lenient(access))
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(Lenient(access))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_enum(access)
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Lenient<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Lenient(deserializer))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Lenient<A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        self.0.next_element_seed(Lenient(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Lenient<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        self.0.next_key_seed(seed)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        self.0.next_value_seed(Lenient(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}
