//! Bodies as Vault's clients write them: its command line sends every value as text, and others send forms.

mod lenient;

use std::collections::BTreeMap;

use axum::extract::{FromRequest, Request};
use serde::{Deserializer, de::DeserializeOwned};
use serde_json::{Map, Value};

use self::lenient::Lenient;
use super::super::{
    body,
    error::{Answer, ApiError},
};

/// As [`body::JsonBody`], where numbers and truth values may be written as text.
pub struct VaultBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for VaultBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        body::extract::<AsText, T, S>(request, state).await.map(Self)
    }
}

/// A value that was read as a body already.
///
/// # Errors
/// 400 as [`VaultBody`].
pub(super) fn read<T: DeserializeOwned>(value: &Value) -> Answer<T> {
    body::value::<AsText, T>(value)
}

/// As [`Lenient`].
struct AsText;

impl body::Manner for AsText {
    fn read<'de, T: DeserializeOwned, D: Deserializer<'de>>(json: D) -> Result<T, D::Error> {
        T::deserialize(Lenient(json))
    }

    /// What does not begin like JSON, as there, nor has more fields than anything that is read; a field that is sent again has all of its
    /// values, with commas between them.
    fn form(bytes: &[u8]) -> Option<Value> {
        if matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'[')) || !bytes.contains(&b'=') {
            return None;
        }
        let mut fields = BTreeMap::<_, Vec<_>>::new();
        for (name, value) in form_urlencoded::parse(bytes) {
            fields.entry(name.into_owned()).or_default().push(value);
            if fields.len() > MOST {
                return None;
            }
        }
        Some(fields.into_iter().map(|(name, values)| (name, values.join(",").into())).collect::<Map<_, _>>().into())
    }
}

/// How many fields a form has at most: a body of strangers that is nothing but names would become a hundred times as large.
const MOST: usize = 100;

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Sample {
        flag: bool,
        maybe: Option<bool>,
        number: u32,
        signed: Option<i64>,
        text: Option<String>,
        any: Value,
        inner: Vec<Sample>,
    }

    fn both(json: &Value) -> Result<Sample, String> {
        let text = json.to_string();
        let streamed = Sample::deserialize(Lenient(&mut serde_json::Deserializer::from_str(&text)));
        let value = read::<Sample>(json);
        match (streamed, value) {
            (Ok(streamed), Ok(value)) => {
                assert_eq!(streamed, value, "{text}");
                Ok(value)
            }
            (Err(_), Err(error)) => Err(error.message().to_owned()),
            (streamed, value) => panic!("{text}: {streamed:?}, {}", value.is_ok()),
        }
    }

    #[test]
    fn numbers_and_flags_come_as_text() {
        for (text, expected) in [("true", true), ("1", true), ("T", true), ("false", false), ("0", false), ("", false)]
        {
            let read = both(&json!({"flag": text, "maybe": text})).unwrap();
            assert_eq!((read.flag, read.maybe), (expected, Some(expected)), "{text}");
        }
        assert_eq!(both(&json!({"number": "5", "signed": "-7"})).unwrap().signed, Some(-7));
        assert_eq!(both(&json!({"number": "4294967295"})).unwrap().number, u32::MAX);
        assert_eq!(both(&json!({"number": ""})).unwrap().number, 0);
        assert!(both(&json!({"flag": 1})).unwrap().flag);
        assert_eq!(both(&json!({"maybe": null, "signed": null})).unwrap(), Sample::default());
        assert!(both(&json!({"inner": [{"flag": "true"}]})).unwrap().inner[0].flag);
    }

    #[test]
    fn text_stays_text() {
        let read = both(&json!({"text": "true", "any": {"a": "1"}})).unwrap();
        assert_eq!((read.text.as_deref(), read.any), (Some("true"), json!({"a": "1"})));
    }

    #[test]
    fn what_is_none_is_refused_without_being_said() {
        for (field, value) in [
            ("flag", json!("yes")),
            ("flag", json!([])),
            ("maybe", json!("hunter2")),
            ("number", json!("-1")),
            ("number", json!("4294967296")),
            ("number", json!("010")),
            ("number", json!("1.5")),
            ("number", json!(" 5")),
            ("number", json!("99999999999999999999999999999999999999999999")),
            ("text", json!(true)),
            ("unknown", json!("1")),
        ] {
            let error = both(&json!({field: value})).unwrap_err();
            assert!(error.starts_with("the JSON body is refused: ") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn what_is_no_json_is_a_form() {
        let form = |text: &str| <AsText as body::Manner>::form(text.as_bytes());
        assert_eq!(form("a=b%20c+d&e=&a=f"), Some(json!({"a": "b c d,f", "e": ""})));
        for none in ["", "hunter2", "{\"a\": \"b=c\"}", "\n[\"=\"]"] {
            assert_eq!(form(none), None, "{none}");
        }
        let fields = |count: usize| (0..count).map(|field| format!("f{field}=&")).collect::<String>();
        assert!(form(&fields(MOST)).is_some() && form(&fields(MOST + 1)).is_none());
        assert!(form(&"a=&".repeat(MOST + 1)).is_some());
        let read = read::<Sample>(&form("flag=1&number=5&text=5&any=x").unwrap()).unwrap();
        assert_eq!((read.flag, read.number, read.text.as_deref(), read.any), (true, 5, Some("5"), json!("x")));
    }
}
