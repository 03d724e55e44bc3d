//! One `a.b=value` of the command line.

use std::path::Path;

use crate::error::Error;
use crate::value::{Object, Value};

/// Names whose values would be readable by every user of the machine if they stood on the command line.
const SECRET: [&str; 8] = ["password", "passphrase", "secret-id", "token", "private-key", "jwt", "jwt-svid", "otp"];

/// Names whose values are text even where they look like numbers.
const TEXT: [&str; 4] = ["host-id", "site", "serial", "batch"];

/// A field of a body: where it goes and what is there.
#[derive(Debug, PartialEq)]
pub(crate) struct Field {
    keys: Vec<String>,
    value: Value,
}

impl Field {
    /// Reads `a.b=value` (`\.` is a dot inside a name). The value is JSON where it is JSON, a list in `[x,y]`,
    /// a file's text after `@`, else text.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let (key, value) = text.split_once('=').ok_or_else(|| {
            Error::usage(format!("`{text}` is not a field"), "write fields as name=value, for example ttl=1h")
        })?;
        let keys = split_key(key);
        if keys.iter().any(String::is_empty) {
            return Err(Error::usage(format!("`{key}` is not a field name"), "write it as name or outer.inner"));
        }
        if let Some(path) = value.strip_prefix('@') {
            let text = super::text(Path::new(path))?;
            return Ok(Self { keys, value: Value::from(text.trim_end_matches(['\r', '\n'])) });
        }
        let last = keys.last().map(String::as_str);
        let value = match last.is_some_and(|last| TEXT.contains(&last)) {
            true => Value::from(value),
            false => parse_value(value),
        };
        match last.and_then(|key| secret_in(key, &value)).map(str::to_owned) {
            Some(secret) => Err(Error::usage(
                format!(
                    "field `{secret}` is a secret, which every user of this machine could read on the command line"
                ),
                format!("use {key}=@FILE, {key}=@- (standard input), or -f"),
            )),
            None => Ok(Self { keys, value }),
        }
    }

    /// Puts it where it belongs; a value already there is replaced, a value on the way is not walked through.
    pub(crate) fn put(self, object: &mut Object) -> Result<(), Error> {
        let Self { keys, value } = self;
        let Some((last, way)) = keys.split_last() else { return Ok(()) };
        let mut place = object;
        for key in way {
            let inner = place.entry(key);
            if *inner == Value::Null {
                *inner = Value::Object(Object::default());
            }
            place = match inner {
                Value::Object(inner) => inner,
                _ => {
                    return Err(Error::usage(
                        format!("`{}` goes through `{key}`, which is a value", keys.join(".")),
                        "give either the value or its fields",
                    ));
                }
            };
        }
        place.set(last, value);
        Ok(())
    }

    /// The field as part of a query.
    pub(crate) fn into_query(self) -> Result<(String, String), Error> {
        let key = self.keys.join(".");
        match self.value {
            Value::String(text) => Ok((key, text)),
            Value::Number(number) => Ok((key, number.to_string())),
            Value::Bool(flag) => Ok((key, flag.to_string())),
            _ => Err(Error::usage(format!("`{key}` cannot stand in a query"), "give a text, a number, true or false")),
        }
    }
}

/// The name of the first secret in a value that stands under `key`.
fn secret_in<'a>(key: &'a str, value: &'a Value) -> Option<&'a str> {
    match value {
        Value::Object(object) => object.iter().find_map(|(key, value)| secret_in(key, value)),
        Value::Array(items) => items.iter().find_map(|item| secret_in(key, item)),
        Value::String(text) if text.is_empty() => None,
        Value::String(_) | Value::Number(_) => SECRET.contains(&key).then_some(key),
        Value::Null | Value::Bool(_) => None,
    }
}

fn split_key(key: &str) -> Vec<String> {
    let mut keys = vec![String::new()];
    let mut characters = key.chars();
    while let Some(character) = characters.next() {
        match character {
            '.' => keys.push(String::new()),
            _ => {
                let character = if character == '\\' { characters.next().unwrap_or('\\') } else { character };
                if let Some(last) = keys.last_mut() {
                    last.push(character);
                }
            }
        }
    }
    keys
}

fn parse_value(text: &str) -> Value {
    if let Ok(value) = serde_json::from_str(text) {
        return value;
    }
    match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(list) if list.trim().is_empty() => Value::Array(Vec::new()),
        Some(list) => Value::Array(list.split(',').map(|item| parse_value(item.trim())).collect()),
        None => Value::from(text),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json(fields: &[&str]) -> String {
        let mut object = Object::default();
        for field in fields {
            Field::parse(field).unwrap().put(&mut object).unwrap();
        }
        serde_json::to_string(&Value::Object(object)).unwrap()
    }

    #[test]
    fn values() {
        for (field, expected) in [
            ("a=text", r#"{"a":"text"}"#),
            ("a=", r#"{"a":""}"#),
            ("a=30d", r#"{"a":"30d"}"#),
            ("host-id=0044", r#"{"host-id":"0044"}"#),
            ("batch=1234567890123456", r#"{"batch":"1234567890123456"}"#),
            ("a=12", r#"{"a":12}"#),
            ("a=true", r#"{"a":true}"#),
            ("a=null", r#"{"a":null}"#),
            ("a=\"12\"", r#"{"a":"12"}"#),
            ("a=012345678901", r#"{"a":"012345678901"}"#),
            ("a=[x,y]", r#"{"a":["x","y"]}"#),
            ("a=[x, 2]", r#"{"a":["x",2]}"#),
            ("a=[]", r#"{"a":[]}"#),
            (r#"a={"b":["c"]}"#, r#"{"a":{"b":["c"]}}"#),
            ("a=b=c", r#"{"a":"b=c"}"#),
            ("a.b.c=1", r#"{"a":{"b":{"c":1}}}"#),
            (r"a\.b=1", r#"{"a.b":1}"#),
        ] {
            assert_eq!(json(&[field]), expected, "{field}");
        }
        assert_eq!(json(&["a.b=1", "a.c=2", "a.b=3"]), r#"{"a":{"b":3,"c":2}}"#);
    }

    #[test]
    fn refusals() {
        for (field, message) in [
            ("text", "`text` is not a field"),
            ("=x", "`` is not a field name"),
            ("a..b=x", "`a..b` is not a field name"),
            ("a=@/nonexistent", "cannot read `/nonexistent`: No such file or directory (os error 2)"),
        ] {
            assert_eq!(Field::parse(field).unwrap_err().to_string(), message);
        }
        let mut object = Object::default();
        Field::parse("a=1").unwrap().put(&mut object).unwrap();
        let error = Field::parse("a.b=1").unwrap().put(&mut object).unwrap_err();
        assert_eq!(error.to_string(), "`a.b` goes through `a`, which is a value");
    }

    #[test]
    fn secrets_are_not_taken_from_the_command_line() {
        let error = Field::parse("login.password=hunter2").unwrap_err();
        assert_eq!(
            error.to_string(),
            "field `password` is a secret, which every user of this machine could read on the command line"
        );
        assert!(!format!("{error:?}").contains("hunter2"));
        for field in ["users=[{\"password\":\"hunter2\"}]", "token=12", "secret-id=x"] {
            assert!(Field::parse(field).is_err(), "{field}");
        }
        assert!(Field::parse("token-ttl=1h").is_ok());
    }

    #[test]
    fn a_file_gives_its_text() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret-id");
        std::fs::write(&path, "12\n").unwrap();
        assert_eq!(json(&[&format!("secret-id=@{}", path.display())]), r#"{"secret-id":"12"}"#);
    }

    proptest! {
        #[test]
        fn json_values_arrive_as_they_are(text in "\\PC*") {
            let quoted = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(Field::parse(&format!("a={quoted}")).unwrap().value, Value::String(text));
        }

        #[test]
        fn parsing_does_not_fail_on_odd_input(text in "[a-z.\\\\]{0,8}=[^@]*") {
            if let Ok(field) = Field::parse(&text) {
                let _ = field.put(&mut Object::default());
            }
        }
    }
}
