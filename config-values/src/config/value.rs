//! What a variable has as its value.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;
use crate::text::excerpt;

/// The longest text, in bytes.
const MAX_LENGTH: usize = 1024;
/// The most items of a list: as many as an index of a [`VariableName`](crate::VariableName) can name.
const MAX_ITEMS: usize = 1000;

/// The value of a variable: a text, or a list of texts. A text has 1 to 1024 bytes and no control characters; a list has 1 to
/// 1000 of them. In a document a text may be written as a whole number.
///
/// An empty value does not exist: where it stood, it could mean nothing or everything.
///
/// ```
/// use keyward_config_values::config::VariableValue;
///
/// let one: VariableValue = serde_json::from_str(r#""eu-north""#)?;
/// assert_eq!(one.text(), Some("eu-north"));
/// let list: VariableValue = serde_json::from_str(r#"["10.0.0.1", "10.0.0.2"]"#)?;
/// assert_eq!((list.text(), list.items().count()), (None, 2));
/// let port: VariableValue = serde_json::from_str("8443")?;
/// assert_eq!(port.text(), Some("8443"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VariableValue(Kind);

/// The value of a label: a text as that of a variable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelValue(String);

impl LabelValue {
    /// The value as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LabelValue {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        check(text.to_owned()).map(Self)
    }
}

impl Serialize for LabelValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for LabelValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        check(String::deserialize(deserializer)?).map(Self).map_err(de::Error::custom)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Kind {
    Text(String),
    List(Vec<String>),
}

impl VariableValue {
    /// A text.
    ///
    /// # Errors
    /// [`Error::ValueText`].
    pub fn new(text: impl Into<String>) -> Result<Self, Error> {
        check(text.into()).map(Kind::Text).map(Self)
    }

    /// A list.
    ///
    /// # Errors
    /// [`Error::ValueText`] for an item, [`Error::ValueList`] for none or too many.
    pub fn list(items: impl IntoIterator<Item = String>) -> Result<Self, Error> {
        let items: Vec<String> = items.into_iter().take(MAX_ITEMS + 1).map(check).collect::<Result<_, _>>()?;
        if items.is_empty() || items.len() > MAX_ITEMS {
            return Err(Error::ValueList);
        }
        Ok(Self(Kind::List(items)))
    }

    /// The text; `None` for a list, also for one of a single item.
    pub fn text(&self) -> Option<&str> {
        match &self.0 {
            Kind::Text(text) => Some(text),
            Kind::List(_) => None,
        }
    }

    /// Whether it is a list.
    pub fn is_list(&self) -> bool {
        matches!(self.0, Kind::List(_))
    }

    /// The items of a list, or the one text.
    pub fn items(&self) -> impl ExactSizeIterator<Item = &str> {
        let items = match &self.0 {
            Kind::Text(text) => std::slice::from_ref(text),
            Kind::List(items) => items,
        };
        items.iter().map(String::as_str)
    }
}

fn check(text: String) -> Result<String, Error> {
    if text.is_empty() || text.len() > MAX_LENGTH || text.chars().any(char::is_control) {
        return Err(Error::ValueText { input: excerpt(&text) });
    }
    Ok(text)
}

impl Serialize for VariableValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Kind::Text(text) => text.serialize(serializer),
            Kind::List(items) => items.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for VariableValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either)
    }
}

struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = VariableValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of texts")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<VariableValue, E> {
        VariableValue::new(text).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<VariableValue, E> {
        VariableValue::new(number.to_string()).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<VariableValue, E> {
        VariableValue::new(number.to_string()).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<VariableValue, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<VariableValue>()? {
            match item.0 {
                Kind::Text(text) if list.len() < MAX_ITEMS => list.push(text),
                Kind::Text(_) => return Err(de::Error::custom(Error::ValueList)),
                Kind::List(_) => return Err(de::Error::custom(Error::ValueNested)),
            }
        }
        VariableValue::list(list).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<VariableValue, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_a_value_and_what_is_not() {
        for (json, back) in
            [(r#""a/*""#, r#""a/*""#), ("-1", r#""-1""#), (r#"["a",2]"#, r#"["a","2"]"#), (r#"["a"]"#, r#"["a"]"#)]
        {
            let value = read(json).unwrap();
            assert_eq!(serde_json::to_string(&value).unwrap(), back);
            assert_eq!(read(back).unwrap(), value);
        }
        for (json, text) in [
            (r#""""#, "``: a value has 1 to 1024 bytes and no control characters"),
            (r#""a\u0000b""#, "`a\\u{0}b`: a value has"),
            (r#"["a\n"]"#, "`a\\n`: a value has"),
            ("[]", "a list has 1 to 1000 items"),
            (r#"[["a"]]"#, "a list in a list"),
            ("true", "invalid type: boolean `true`, expected a text or a list of texts"),
            ("1.5", "expected a text or a list of texts"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(text), "{error}");
        }
        assert!(read(&format!("[{}]", vec!["1"; 1001].join(","))).unwrap_err().contains("1 to 1000 items"));
        assert!(read(&format!("\"{}\"", "x".repeat(1025))).is_err());
    }
}
