//! The deserializer: over a JSON value, strict about fields, and able to say where it failed.

use super::{FieldError, key, words};
use crate::Field;
use crate::error::Reason;
use crate::field::Step;
use crate::nearest::nearest;
use crate::text::{Quoted, excerpt, split_remedy};
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Error as _, Expected, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde_json::{Map, Value};
use std::fmt;

/// Why reading stopped; the way there is gathered while the error rises. Its end is a [`FieldError`].
#[derive(Debug)]
pub struct Failure(Box<(Vec<Step>, Reason)>);

impl Failure {
    fn new(reason: Reason) -> Self {
        Self(Box::new((Vec::new(), reason)))
    }

    fn value(message: impl Into<String>, remedy: Option<String>) -> Self {
        Self::new(Reason::Value { message: message.into(), remedy })
    }

    fn inside(mut self, step: Step) -> Self {
        self.0.0.push(step);
        self
    }
}

impl From<Failure> for FieldError {
    fn from(failure: Failure) -> Self {
        let (steps, reason) = *failure.0;
        Self::because(Field::from_reversed(steps), reason)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A type may show this inside a text of its own: the reason alone.
        FieldError::because(Field::root(), self.0.1.clone()).fmt(f)
    }
}

impl std::error::Error for Failure {}

impl de::Error for Failure {
    fn custom<T: fmt::Display>(text: T) -> Self {
        let text = text.to_string();
        let (message, remedy) = split_remedy(&text);
        Self::value(message, remedy.map(str::to_owned))
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = words::expected(&expected.to_string());
        let message = format!("{} where {expected} belongs", words::found(&unexpected));
        let remedy = words::remedy(&unexpected, &expected).or_else(|| Some(format!("write {expected}")));
        Self::value(message, remedy)
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = words::expected(&expected.to_string());
        match unexpected {
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => {
                Self::value("out of range", Some(format!("write {expected}")))
            }
            _ => Self::value("does not fit", Some(format!("write {expected}"))),
        }
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        let expected = words::expected(&expected.to_string());
        Self::value(format!("a list of {length}"), Some(format!("write {expected}")))
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        let list = known.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        let remedy = match nearest(found, known.iter().copied()) {
            Some(meant) if known.len() > 1 => format!("write `{meant}`, or one of {list}"),
            Some(meant) => format!("write `{meant}`"),
            None => format!("write one of {list}"),
        };
        Self::value(format!("{}: not a known word here", Quoted(&excerpt(found))), Some(remedy))
    }

    fn unknown_field(found: &str, known: &'static [&'static str]) -> Self {
        // Whoever reads the name adds it to the way.
        unknown(found, known)
    }

    fn missing_field(name: &'static str) -> Self {
        Self::value("missing", Some("add it".to_owned())).inside(key(name))
    }

    fn duplicate_field(name: &'static str) -> Self {
        // No name is in a value twice: these are two that mean one field.
        Self::value("there by two of its names", Some("remove one".to_owned())).inside(key(name))
    }
}

fn unknown(found: &str, known: &[&str]) -> Failure {
    Failure::new(Reason::UnknownField {
        nearest: nearest(found, known.iter().copied()).map(str::to_owned),
        known: known.iter().map(|name| (*name).to_owned()).collect(),
    })
}

/// Reads a value, and knows the field where it failed: for who reads a type in a way of their own, such as through a deserializer
/// that wraps this one.
///
/// ```
/// use keyward_config_tree::{FieldError, strict::Reader};
/// use serde::Deserialize;
///
/// let value = serde_json::json!({"audiences": ["sts.amazonaws.com", 7]});
/// let refused = std::collections::BTreeMap::<String, Vec<String>>::deserialize(Reader::new(&value)).unwrap_err();
/// assert_eq!(
///     FieldError::from(refused).to_string(),
///     "field `audiences[1]`: a whole number where text belongs; write it in quotes",
/// );
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    value: &'a Value,
    strict: bool,
}

impl<'a> Reader<'a> {
    /// Reads a value. Whether unknown fields are refused is the type's to say.
    pub fn new(value: &'a Value) -> Self {
        Self { value, strict: false }
    }

    /// The same, refusing fields that a type does not have, whatever it says itself.
    pub(super) fn strict(value: &'a Value) -> Self {
        Self { value, strict: true }
    }

    fn unexpected(self) -> Unexpected<'a> {
        match self.value {
            Value::Null => Unexpected::Unit,
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Number(number) => {
                if let Some(n) = number.as_u64() {
                    Unexpected::Unsigned(n)
                } else if let Some(n) = number.as_i64() {
                    Unexpected::Signed(n)
                } else {
                    Unexpected::Float(number.as_f64().unwrap_or_default())
                }
            }
            Value::String(text) => Unexpected::Str(text),
            Value::Array(_) => Unexpected::Seq,
            Value::Object(_) => Unexpected::Map,
        }
    }
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => {
                if let Some(n) = number.as_u64() {
                    visitor.visit_u64(n)
                } else if let Some(n) = number.as_i64() {
                    visitor.visit_i64(n)
                } else {
                    visitor.visit_f64(number.as_f64().unwrap_or_default())
                }
            }
            Value::String(text) => visitor.visit_str(text),
            Value::Array(items) => {
                let mut access = Items { items: items.iter(), index: 0, strict: self.strict };
                let result = visitor.visit_seq(&mut access)?;
                match access.items.len() {
                    0 => Ok(result),
                    _ => Err(Failure::value("a list that is too long", Some("remove items".to_owned()))),
                }
            }
            Value::Object(fields) => FieldsReader { fields, strict: self.strict }.deserialize_map(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        match self.value {
            Value::Object(fields) => {
                FieldsReader { fields, strict: self.strict }.deserialize_struct(name, known, visitor)
            }
            // A derived struct would take a list too, field by field.
            _ => Err(Failure::invalid_type(self.unexpected(), &"a map")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        match self.value {
            Value::String(word) => visitor.visit_enum(Variant { word, content: None, strict: self.strict }),
            Value::Object(fields) => {
                FieldsReader { fields, strict: self.strict }.deserialize_enum(name, known, visitor)
            }
            _ => Err(Failure::invalid_type(self.unexpected(), &"enum ")),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_any(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit seq tuple
        tuple_struct map identifier
    }
}

/// Reads fields with values.
#[derive(Clone, Copy)]
pub(super) struct FieldsReader<'a> {
    pub(super) fields: &'a Map<String, Value>,
    pub(super) strict: bool,
}

impl<'de> Deserializer<'de> for FieldsReader<'_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_map(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_map(Fields { fields: self.fields.iter(), value: None, strict: self.strict })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        if self.strict
            && let Some(name) = self.fields.keys().find(|name| !known.contains(&name.as_str()))
        {
            return Err(unknown(name, known).inside(key(name)));
        }
        self.deserialize_map(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        match (self.fields.iter().next(), self.fields.len()) {
            (Some((word, content)), 1) => {
                visitor.visit_enum(Variant { word, content: Some(content), strict: self.strict })
            }
            (_, count) => {
                Err(Failure::value(format!("{count} fields where exactly one belongs"), Some("keep one".to_owned())))
            }
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct identifier ignored_any
    }
}

struct Items<'a> {
    items: std::slice::Iter<'a, Value>,
    index: usize,
    strict: bool,
}

impl<'de> SeqAccess<'de> for &mut Items<'_> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Failure> {
        let Some(value) = self.items.next() else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        let item = seed.deserialize(Reader { value, strict: self.strict });
        item.map(Some).map_err(|failure| failure.inside(Step::Index(index)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Fields<'a> {
    fields: serde_json::map::Iter<'a>,
    value: Option<(&'a str, &'a Value)>,
    strict: bool,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Failure> {
        let Some((name, value)) = self.fields.next() else { return Ok(None) };
        self.value = Some((name, value));
        seed.deserialize(NameReader(name)).map(Some).map_err(|failure| failure.inside(key(name)))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        let Some((name, value)) = self.value.take() else {
            return Err(Failure::custom("a value was asked for before its name"));
        };
        seed.deserialize(Reader { value, strict: self.strict }).map_err(|failure| failure.inside(key(name)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.fields.len())
    }
}

/// Reads the name of a field, which maps may want as another type than text.
struct NameReader<'a>(&'a str);

macro_rules! number_names {
    ($($method:ident $visit:ident $type:ty,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            match self.0.parse::<$type>() {
                Ok(number) => visitor.$visit(number),
                Err(_) => visitor.visit_str(self.0),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for NameReader<'_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_str(self.0)
    }

    number_names! {
        deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
        deserialize_i8 visit_i8 i8,
        deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64,
        deserialize_bool visit_bool bool,
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_enum(Variant { word: self.0, content: None, strict: true })
    }

    serde::forward_to_deserialize_any! {
        i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}

/// An enum: a word, or one field whose name is the word.
struct Variant<'a> {
    word: &'a str,
    content: Option<&'a Value>,
    strict: bool,
}

impl Variant<'_> {
    fn content<T>(self, read: impl FnOnce(Reader<'_>) -> Result<T, Failure>) -> Result<T, Failure> {
        match self.content {
            Some(value) => {
                read(Reader { value, strict: self.strict }).map_err(|failure| failure.inside(key(self.word)))
            }
            None => Err(Failure::value(
                format!("{}: more belongs to it", Quoted(&excerpt(self.word))),
                Some("write it as a field with a value".to_owned()),
            )),
        }
    }
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Failure;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Failure> {
        let value = seed.deserialize(NameReader(self.word)).map_err(|failure| match self.content {
            Some(_) => failure.inside(key(self.word)),
            None => failure,
        })?;
        Ok((value, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Failure;

    fn unit_variant(self) -> Result<(), Failure> {
        match self.content {
            None | Some(Value::Null) => Ok(()),
            Some(_) => {
                Err(Failure::value("nothing belongs to it", Some("write the word alone".to_owned()))
                    .inside(key(self.word)))
            }
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Failure> {
        self.content(|reader| seed.deserialize(reader))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Failure> {
        self.content(|reader| reader.deserialize_any(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(self, known: &'static [&'static str], visitor: V) -> Result<V::Value, Failure> {
        self.content(|reader| reader.deserialize_struct("", known, visitor))
    }
}
