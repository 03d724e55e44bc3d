//! What an unquoted word of YAML means (YAML 1.2.2 §10.3.2, core schema).

use crate::error::Reason;
use granit_parser::Tag;
use serde_json::{Number, Value};
use std::borrow::Cow;

/// Whole numbers beyond this are not exact in a float.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The value of an unquoted word.
pub(super) fn plain(text: Cow<'_, str>) -> Result<Value, Reason> {
    Ok(match &*text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Err(not_finite()),
        word => match number(word)? {
            Some(number) => Value::Number(number),
            None => Value::String(text.into_owned()),
        },
    })
}

/// The name of a field: the word as it is written.
pub(super) fn name(text: Cow<'_, str>, plain: bool, tag: Option<&Tag>) -> Result<String, Reason> {
    if plain && text == "<<" {
        return Err(Reason::Unsupported { found: "a merge key `<<`", remedy: "write the fields out" });
    }
    // The parser says `~` where nothing stands.
    if plain && matches!(&*text, "" | "~") {
        return Err(Reason::Unsupported {
            found: "a value without the name of a field",
            remedy: "write `name: value`",
        });
    }
    if tag.is_some() && !super::is_text_tag(tag) {
        return Err(Reason::Unsupported { found: "a YAML tag", remedy: "remove it" });
    }
    Ok(text.into_owned())
}

/// The number that a word is, if it is one.
fn number(word: &str) -> Result<Option<Number>, Reason> {
    let unsigned = word.strip_prefix(['-', '+']).unwrap_or(word);
    let negative = word.starts_with('-');
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Err(not_finite());
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = word.strip_prefix(prefix) {
            if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
                return Ok(None);
            }
            return u64::from_str_radix(digits, radix).map(|n| Some(n.into())).map_err(|_| out_of_range());
        }
    }
    if !unsigned.is_empty() && unsigned.bytes().all(|b| b.is_ascii_digit()) {
        if unsigned.len() > 1 && unsigned.starts_with('0') {
            // YAML 1.1 reads these as octal, 1.2 as decimal.
            return Err(Reason::Unsupported {
                found: "a number that begins with `0`",
                remedy: "leave the `0` out, or write it in quotes if it is text",
            });
        }
        let digits = word.strip_prefix('+').unwrap_or(word);
        return if negative {
            digits.parse::<i64>().map(|n| Some(n.into())).map_err(|_| out_of_range())
        } else {
            digits.parse::<u64>().map(|n| Some(n.into())).map_err(|_| out_of_range())
        };
    }
    if !is_float(unsigned) {
        return Ok(None);
    }
    let float: f64 = word.parse().map_err(|_| out_of_range())?;
    finite(float).map(Some)
}

/// A float of the core schema, without its sign: `1.`, `.5`, `1.5e3`, `1e-3`.
fn is_float(unsigned: &str) -> bool {
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let mantissa_fits = match mantissa.split_once('.') {
        Some((whole, part)) => digits(whole) && digits(part) && !(whole.is_empty() && part.is_empty()),
        None => !mantissa.is_empty() && digits(mantissa),
    };
    let exponent_fits = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    mantissa_fits && exponent_fits
}

/// A float that means what was written.
pub(crate) fn finite(float: f64) -> Result<Number, Reason> {
    if float.is_finite() && float.abs() >= EXACT {
        return Err(out_of_range());
    }
    Number::from_f64(float).ok_or_else(not_finite)
}

fn out_of_range() -> Reason {
    Reason::Unsupported {
        found: "a number out of range",
        remedy: "write a smaller one, or write it in quotes if it is text",
    }
}

fn not_finite() -> Reason {
    Reason::Unsupported { found: "not a finite number", remedy: "write a number, or write it in quotes if it is text" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(word: &str) -> Value {
        plain(word.into()).unwrap()
    }

    fn refusal(word: &str) -> &'static str {
        match plain(word.into()).unwrap_err() {
            Reason::Unsupported { found, .. } => found,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn words_mean_what_the_core_schema_says() {
        for (word, value) in [
            ("", json!(null)),
            ("~", json!(null)),
            ("null", json!(null)),
            ("true", json!(true)),
            ("FALSE", json!(false)),
            ("yes", json!("yes")),
            ("off", json!("off")),
            ("0", json!(0)),
            ("-1", json!(-1)),
            ("+1", json!(1)),
            ("18446744073709551615", json!(u64::MAX)),
            ("-9223372036854775808", json!(i64::MIN)),
            ("0x1F", json!(31)),
            ("0o17", json!(15)),
            ("0b1", json!("0b1")),
            ("0x", json!("0x")),
            ("1.5", json!(1.5)),
            ("1.", json!(1.0)),
            (".5", json!(0.5)),
            ("-1e3", json!(-1000.0)),
            ("1_000", json!("1_000")),
            ("30d", json!("30d")),
            ("1h30m", json!("1h30m")),
            ("10.0.0.0", json!("10.0.0.0")),
            ("12:30", json!("12:30")),
            ("e5", json!("e5")),
            (".", json!(".")),
            ("-", json!("-")),
            ("2026-03-01", json!("2026-03-01")),
            ("inf", json!("inf")),
            ("NaN", json!("NaN")),
        ] {
            assert_eq!(read(word), value, "{word}");
        }
    }

    #[test]
    fn numbers_that_lose_digits_are_refused() {
        for word in ["18446744073709551616", "-9223372036854775809", "1e16", "1e999", "0xFFFFFFFFFFFFFFFFF", "1e308"] {
            let found = refusal(word);
            assert!(found == "a number out of range" || found == "not a finite number", "{word}: {found}");
        }
        for word in [".inf", "-.INF", "+.Inf", ".nan", ".NaN"] {
            assert_eq!(refusal(word), "not a finite number", "{word}");
        }
        for word in ["007", "-01", "00"] {
            assert_eq!(refusal(word), "a number that begins with `0`", "{word}");
        }
    }
}
