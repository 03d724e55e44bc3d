//! Reads JSON (RFC 8259), refusing what most readers let pass: fields that are there twice, and numbers
//! that lose digits.

use crate::Field;
use crate::error::{Error, Place, Reason};
use crate::field::Step;
use crate::limits::{Budget, Size, check_depth};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::fmt;

/// The fields of the one document that the text is.
pub(crate) fn read(bytes: &[u8]) -> Result<Map<String, Value>, Error> {
    let text = crate::utf8::check(bytes)?;
    let state = RefCell::new(State::default());
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let result = Seed { depth: 0, state: &state }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    let state = state.into_inner();
    match result {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Error::new(
            Place::default(),
            Reason::Unsupported { found: "a document is fields with values", remedy: "write `{\"name\": …}`" },
        )),
        Err(error) => {
            let field = Field::from_reversed(state.field);
            let place =
                Place { line: Some(error.line()), column: Some(error.column().max(1)), field, ..Place::default() };
            let reason = state.failure.unwrap_or_else(|| syntax(&error));
            Err(Error::new(place, reason))
        }
    }
}

fn syntax(error: &serde_json::Error) -> Reason {
    let text = error.to_string();
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    let remedy = match message {
        "trailing comma" => "remove the comma",
        "trailing characters" => "send one document and nothing after it",
        "key must be a string" => "write names of fields in double quotes",
        "number out of range" => "write a smaller one, or write it in quotes if it is text",
        _ if error.is_eof() => "close every bracket and quote",
        _ => "check quotes, commas and brackets there",
    };
    Reason::Syntax { message: format!("not valid JSON: {message}"), remedy }
}

#[derive(Default)]
struct State {
    budget: Budget,
    /// Why reading stopped, when it was not the syntax.
    failure: Option<Reason>,
    /// Where, from the inside out.
    field: Vec<Step>,
}

/// Reads one value.
struct Seed<'a> {
    depth: usize,
    state: &'a RefCell<State>,
}

impl Seed<'_> {
    fn inner(&self) -> Self {
        Seed { depth: self.depth + 1, state: self.state }
    }

    fn check<E: serde::de::Error, T>(&self, result: Result<T, Reason>) -> Result<T, E> {
        result.map_err(|reason| {
            self.state.borrow_mut().failure = Some(reason);
            E::custom("refused")
        })
    }

    fn take<E: serde::de::Error>(&self, bytes: usize) -> Result<(), E> {
        let result = self.state.borrow_mut().budget.take(Size::of(bytes));
        self.check(result)
    }

    /// Notes the way to a failure.
    fn at<T, E>(&self, result: Result<T, E>, step: impl FnOnce() -> Step) -> Result<T, E> {
        if result.is_err() {
            self.state.borrow_mut().field.push(step());
        }
        result
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
        self.take(0)?;
        Ok(Value::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Value, E> {
        self.take(0)?;
        Ok(value.into())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        self.take(0)?;
        Ok(value.into())
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        self.take(0)?;
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        self.take(0)?;
        self.check(crate::yaml::scalar::finite(value)).map(Value::Number)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.take(value.len())?;
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        self.take(0)?;
        self.check(check_depth(self.depth + 1))?;
        let mut items = Vec::new();
        loop {
            let item = access.next_element_seed(self.inner());
            match self.at(item, || Step::Index(items.len()))? {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        self.take(0)?;
        self.check(check_depth(self.depth + 1))?;
        let mut fields = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            self.take(name.len())?;
            if fields.contains_key(&name) {
                self.state.borrow_mut().failure = Some(Reason::Duplicate { first_line: None });
                return self.at(Err(A::Error::custom("refused")), || Step::Key(name));
            }
            let value = access.next_value_seed(self.inner());
            let value = self.at(value, || Step::Key(name.clone()))?;
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}
