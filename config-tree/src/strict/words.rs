//! What serde expects and finds, in the words of a configuration.

use serde::de::Unexpected;

/// What was found. Values are not shown: they may be secrets.
pub(super) fn found(unexpected: &Unexpected<'_>) -> &'static str {
    match unexpected {
        Unexpected::Bool(_) => "`true` or `false`",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a whole number",
        Unexpected::Float(_) => "a number with a fraction",
        Unexpected::Str(_) | Unexpected::Char(_) | Unexpected::Bytes(_) => "text",
        Unexpected::Unit | Unexpected::Option => "nothing",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a block of fields",
        _ => "something else",
    }
}

/// What is expected, from what a visitor says about itself.
pub(super) fn expected(text: &str) -> String {
    let number = match text {
        "u8" => Some(("0", "255")),
        "u16" => Some(("0", "65535")),
        "u32" => Some(("0", "4294967295")),
        "u64" | "usize" => Some(("0", "18446744073709551615")),
        "i8" => Some(("-128", "127")),
        "i16" => Some(("-32768", "32767")),
        "i32" => Some(("-2147483648", "2147483647")),
        "i64" | "isize" => Some(("-9223372036854775808", "9223372036854775807")),
        _ => None,
    };
    if let Some((low, high)) = number {
        return format!("a whole number from {low} to {high}");
    }
    match text {
        "f32" | "f64" => "a number",
        "a string" | "string" | "str" | "a borrowed string" | "a character" => "text",
        "a boolean" => "`true` or `false`",
        "a sequence" | "an array" => "a list",
        "a map" => "a block of fields",
        "unit" | "null" => "nothing",
        _ if text.starts_with("struct ") => "a block of fields",
        _ if text.starts_with("tuple ") || text.starts_with("a tuple ") || text.starts_with("an array of ") => "a list",
        _ if text.starts_with("enum ") || text.starts_with("variant ") => "one of the known words",
        _ => text,
    }
    .to_owned()
}

/// How to get from what was found to what is expected.
pub(super) fn remedy(unexpected: &Unexpected<'_>, expected: &str) -> Option<String> {
    Some(match (unexpected, expected) {
        (Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) | Unexpected::Bool(_), "text") => {
            "write it in quotes".to_owned()
        }
        (Unexpected::Str(text), "`true` or `false`") => match text.to_ascii_lowercase().as_str() {
            "yes" | "on" | "y" => "write `true`".to_owned(),
            "no" | "off" | "n" => "write `false`".to_owned(),
            _ => "write `true` or `false`".to_owned(),
        },
        (Unexpected::Str(text), number) if number.contains("number") && text.parse::<f64>().is_ok() => {
            "write it without quotes".to_owned()
        }
        (Unexpected::Seq | Unexpected::Map | Unexpected::Unit, "a list") | (_, "a list") => {
            "write a list, one `- item` per line or `[item, item]`".to_owned()
        }
        (_, "a block of fields") => {
            "write fields, one indented `name: value` per line or `{\"name\": value}`".to_owned()
        }
        (Unexpected::Unit, expected) => format!("write {expected}, or leave the field out"),
        _ => return None,
    })
}
