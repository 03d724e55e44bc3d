//! Values as these clients write them.

use std::collections::BTreeMap;

use keyward_config_values::{Cidr, Duration};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

/// Seconds as a number or as text, or text with a unit; 0 and nothing at all mean that it is not set.
pub(super) fn ttl<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let refuse = || de::Error::custom("no duration; write a number of seconds, or a number with a unit such as `30m`");
    let seconds = |seconds: u64| match seconds {
        0 => Ok(None),
        seconds => Duration::from_secs(seconds).map(Some).map_err(de::Error::custom),
    };
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::Number(number) => seconds(number.as_u64().ok_or_else(refuse)?),
        Value::String(text) => match text.trim() {
            "" | "0s" | "0m" | "0h" => Ok(None),
            text if text.bytes().all(|byte| byte.is_ascii_digit()) => seconds(text.parse().map_err(|_| refuse())?),
            text => text.parse().map(Some).map_err(de::Error::custom),
        },
        _ => Err(refuse()),
    }
}

/// A number, or the same as text; nothing at all means that it is not set.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let number = match Value::deserialize(deserializer)? {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_u64().and_then(|number| number.try_into().ok()),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.map(Some).ok_or_else(|| de::Error::custom("no number; write a whole number from 0 to 4294967295"))
}

/// A flag; nothing at all means no.
pub(super) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A list, or the same with commas in one text; nothing at all is an empty one.
pub(super) fn list<'de, D: Deserializer<'de>, T: std::str::FromStr>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T::Err: std::fmt::Display,
{
    let texts = match Option::deserialize(deserializer)? {
        None => Vec::new(),
        Some(Value::String(text)) => text.split(',').map(str::to_owned).collect(),
        Some(Value::Array(items)) => {
            let text = |(index, item)| match item {
                Value::String(text) => Ok(text),
                _ => Err(de::Error::custom(format_args!("item {} is no text; write it in quotes", index + 1_usize))),
            };
            items.into_iter().enumerate().map(text).collect::<Result<_, _>>()?
        }
        Some(_) => return Err(de::Error::custom("neither a list nor text; write `[\"a\", \"b\"]` or `\"a,b\"`")),
    };
    let texts = texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty());
    texts.map(str::parse).collect::<Result<_, _>>().map_err(de::Error::custom)
}

/// As [`list`], where leaving it out means something else than an empty one.
pub(super) fn some_list<'de, D: Deserializer<'de>, T: std::str::FromStr>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error>
where
    T::Err: std::fmt::Display,
{
    list(deserializer).map(|list: Vec<T>| (!list.is_empty()).then_some(list))
}

/// Texts by their names; numbers and truth values are texts too.
pub(super) fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let text = |(name, value): (String, Value)| match value {
        Value::String(text) => Ok((name, text)),
        Value::Number(_) | Value::Bool(_) => Ok((name, value.to_string())),
        _ => Err(de::Error::custom("a value is no text; write `{\"name\": \"text\"}`")),
    };
    let values: Option<BTreeMap<String, Value>> = Option::deserialize(deserializer)?;
    values.unwrap_or_default().into_iter().map(text).collect()
}

/// As [`ttl`], where leaving it out means something else than that it is not set.
pub(super) fn some_ttl<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Duration>>, D::Error> {
    ttl(deserializer).map(Some)
}

/// As [`list`], where leaving it out means something else than an empty one, which this can be.
pub(super) fn any_list<'de, D: Deserializer<'de>, T: std::str::FromStr>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error>
where
    T::Err: std::fmt::Display,
{
    list(deserializer).map(Some)
}

/// Texts of which none at all, or nothing, is the empty one.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Where tokens may be used from, as these clients read it: of one address the address alone.
pub(super) fn ranges(ranges: &[Cidr]) -> Vec<String> {
    let text = |range: &Cidr| if range.is_host() { range.network().to_string() } else { range.to_string() };
    ranges.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use keyward_config_values::Name;

    use super::*;

    #[derive(Deserialize)]
    struct Body {
        #[serde(default, deserialize_with = "ttl")]
        ttl: Option<Duration>,
        #[serde(default, deserialize_with = "list")]
        names: Vec<Name>,
    }

    #[test]
    fn durations_and_lists_come_in_many_forms() {
        let read = |json: &str| serde_json::from_str::<Body>(json).map(|body| (body.ttl, body.names.len()));
        let hour = Some(Duration::HOUR);
        for (json, expected) in [
            ("{}", (None, 0)),
            (r#"{"ttl":0,"names":""}"#, (None, 0)),
            (r#"{"ttl":"","names":null}"#, (None, 0)),
            (r#"{"ttl":"0","names":[]}"#, (None, 0)),
            (r#"{"ttl":3600,"names":"a, b"}"#, (hour, 2)),
            (r#"{"ttl":"3600","names":["a"]}"#, (hour, 1)),
            (r#"{"ttl":"1h"}"#, (hour, 0)),
        ] {
            assert_eq!(read(json).unwrap(), expected, "{json}");
        }
        for json in [r#"{"ttl":-1}"#, r#"{"ttl":"x"}"#, r#"{"ttl":true}"#, r#"{"names":["a/b"]}"#, r#"{"names":7}"#] {
            assert!(read(json).is_err(), "{json}");
        }
    }
}
