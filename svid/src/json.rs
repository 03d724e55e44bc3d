//! Strict reading of JSON: no member name twice, at any depth.
//!
//! Two readers that resolve a duplicate differently see two different tokens, so RFC 7515 §4 and
//! RFC 7519 §4 let a reader refuse duplicates, and this one does.

mod write;

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

pub(crate) use write::{push_integer, push_string};

/// How many characters of foreign text an error repeats.
const EXCERPT: usize = 64;

/// What a reader found wrong, kept beside serde's error because that one is only text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A member name occurs twice in one object.
    Duplicate(String),
    /// The value of this member has the wrong JSON type.
    Type(&'static str),
    /// The value of this member holds more elements than this.
    TooMany(&'static str, usize),
}

/// A string, borrowed from the input unless it holds escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text<'de>(pub(crate) Cow<'de, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(TextVisitor)
    }
}

/// Reads the value of a member that may occur once, and notes in `fault` what went wrong.
pub(crate) fn once<'de, A, T>(
    map: &mut A,
    slot: &mut Option<T>,
    name: &'static str,
    fault: &mut Option<Fault>,
) -> Result<(), A::Error>
where
    A: MapAccess<'de>,
    T: Deserialize<'de>,
{
    if slot.is_some() {
        return Err(duplicate(name, fault));
    }
    *fault = Some(Fault::Type(name));
    *slot = Some(map.next_value()?);
    *fault = None;
    Ok(())
}

/// Notes a duplicate member and makes the error that ends the reading.
pub(crate) fn duplicate<E: serde::de::Error>(name: &str, fault: &mut Option<Fault>) -> E {
    *fault = Some(Fault::Duplicate(excerpt(name)));
    E::custom("duplicate member")
}

/// Ends the reading of an object: refuses a name that was seen twice.
pub(crate) fn all_different<E: serde::de::Error>(names: &[Text<'_>], fault: &mut Option<Fault>) -> Result<(), E> {
    match first_duplicate(names) {
        Some(name) => Err(duplicate(name, fault)),
        None => Ok(()),
    }
}

fn first_duplicate<'a>(names: &'a [Text<'_>]) -> Option<&'a str> {
    if names.len() <= 16 {
        // Small objects are the rule; comparing each pair needs no memory.
        let mut rest = names;
        while let Some((first, others)) = rest.split_first() {
            if others.contains(first) {
                return Some(&first.0);
            }
            rest = others;
        }
        return None;
    }
    let mut sorted: Vec<&str> = names.iter().map(|name| name.0.as_ref()).collect();
    sorted.sort_unstable();
    sorted.windows(2).find_map(|pair| match pair {
        [a, b] if a == b => Some(*a),
        _ => None,
    })
}

/// Reads a value of any type and forgets it, refusing duplicate members at every depth.
pub(crate) struct Skip<'f>(pub(crate) &'f mut Option<Fault>);

impl<'de> DeserializeSeed<'de> for Skip<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skip<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Skip(&mut *self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut names: Vec<Text<'de>> = Vec::new();
        while let Some(name) = map.next_key()? {
            names.push(name);
            map.next_value_seed(Skip(&mut *self.0))?;
        }
        all_different(&names, self.0)
    }
}

/// Reads a value of any type and answers it if it is an integer from 0 to 2⁶⁴ − 1. Duplicate members are refused, as by
/// [`Skip`].
pub(crate) struct Unsigned<'f>(pub(crate) &'f mut Option<Fault>);

impl<'de> DeserializeSeed<'de> for Unsigned<'_> {
    type Value = Option<u64>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<u64>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unsigned<'_> {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_u64<E>(self, value: u64) -> Result<Option<u64>, E> {
        Ok(Some(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Option<u64>, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Option<u64>, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Option<u64>, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Option<u64>, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Option<u64>, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Option<u64>, A::Error> {
        Skip(self.0).visit_seq(seq).map(|()| None)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<u64>, A::Error> {
        Skip(self.0).visit_map(map).map(|()| None)
    }
}

/// Reads a value of any type and keeps it. A duplicate member is noted in the flag and the reading
/// goes on, so that one bad entry of a list leaves the others readable.
pub(crate) struct Keep<'f> {
    pub(crate) fault: &'f mut Option<Fault>,
    /// How many objects deep it is kept; those below become `null`. In memory an object takes a hundred times what it
    /// takes as text.
    pub(crate) depth: usize,
}

impl<'de> DeserializeSeed<'de> for Keep<'_> {
    type Value = serde_json::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Keep<'_> {
    type Value = serde_json::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(serde_json::Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(Keep { fault: &mut *self.fault, depth: self.depth })? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Some(depth) = self.depth.checked_sub(1) else {
            let mut names: Vec<Text<'de>> = Vec::new();
            while let Some(name) = map.next_key()? {
                names.push(name);
                map.next_value_seed(Keep { fault: &mut *self.fault, depth: 0 })?;
            }
            if let Some(name) = first_duplicate(&names) {
                *self.fault = Some(Fault::Duplicate(excerpt(name)));
            }
            return Ok(serde_json::Value::Null);
        };
        let mut members = serde_json::Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(Keep { fault: &mut *self.fault, depth })?;
            if let Some(first) = members.insert(name.clone(), value) {
                *self.fault = Some(Fault::Duplicate(excerpt(&name)));
                drop(first);
            }
        }
        Ok(members.into())
    }
}

/// A string or a list of strings, bounded: `aud` of RFC 7519 §4.1.3.
pub(crate) struct OneOrMany<'f> {
    pub(crate) name: &'static str,
    pub(crate) limit: usize,
    pub(crate) fault: &'f mut Option<Fault>,
}

impl<'de> DeserializeSeed<'de> for OneOrMany<'_> {
    type Value = Vec<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<String>, D::Error> {
        *self.fault = Some(Fault::Type(self.name));
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for OneOrMany<'_> {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a list of strings")
    }

    fn visit_str<E>(self, text: &str) -> Result<Vec<String>, E> {
        *self.fault = None;
        Ok(vec![text.to_owned()])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<String>, A::Error> {
        let mut texts = Vec::with_capacity(1);
        while let Some(text) = seq.next_element::<Text<'de>>()? {
            if texts.len() == self.limit {
                *self.fault = Some(Fault::TooMany(self.name, self.limit));
                return Err(A::Error::custom("too many elements"));
            }
            texts.push(text.0.into_owned());
        }
        *self.fault = None;
        Ok(texts)
    }
}

/// The beginning of foreign text, safe to print.
pub(crate) fn excerpt(text: &str) -> String {
    let mut out = String::new();
    let mut characters = text.chars();
    for character in characters.by_ref().take(EXCERPT) {
        out.extend(character.escape_debug());
    }
    if characters.next().is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skip(json: &str) -> (bool, Option<Fault>) {
        let mut fault = None;
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let ok = Skip(&mut fault).deserialize(&mut deserializer).is_ok();
        (ok, fault)
    }

    #[test]
    fn a_duplicate_is_found_at_every_depth_and_behind_escapes() {
        for json in [r#"{"a":1,"a":2}"#, r#"{"a":1,"\u0061":2}"#, r#"{"b":[{"c":{"a":null,"d":1.5,"a":true}}]}"#] {
            let (ok, fault) = skip(json);
            assert!(!ok, "{json}");
            assert_eq!(fault, Some(Fault::Duplicate("a".to_owned())), "{json}");
        }
        assert_eq!(skip(r#"{"a":{"a":{"a":[-1,"a",1]}}}"#), (true, None));
    }

    #[test]
    fn a_duplicate_is_found_among_many() {
        let mut members: Vec<String> = (0..500).map(|n| format!("\"m{n}\":{n}")).collect();
        assert_eq!(skip(&format!("{{{}}}", members.join(","))), (true, None));
        members.push("\"m77\":0".to_owned());
        let (ok, fault) = skip(&format!("{{{}}}", members.join(",")));
        assert!(!ok);
        assert_eq!(fault, Some(Fault::Duplicate("m77".to_owned())));
    }

    #[test]
    fn a_kept_value_notes_its_duplicate_and_goes_on() {
        let mut fault = None;
        let mut deserializer = serde_json::Deserializer::from_str(r#"[{"a":1,"a":2},3]"#);
        let value = Keep { fault: &mut fault, depth: 1 }.deserialize(&mut deserializer).unwrap();
        assert_eq!(value, serde_json::json!([{"a": 2}, 3]));
        assert_eq!(fault, Some(Fault::Duplicate("a".to_owned())));
    }

    #[test]
    fn an_excerpt_is_short_and_printable() {
        assert_eq!(excerpt("a\nb"), "a\\nb");
        assert_eq!(excerpt(&"x".repeat(1000)).chars().count(), EXCERPT + 1);
    }
}
