//! Writing of JSON, where the order of members is ours to choose.

/// A JSON string: escapes what RFC 8259 §7 demands.
pub(crate) fn push_string(json: &mut String, text: &str) {
    json.push('"');
    let mut plain = 0;
    for (index, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        json.push_str(text.get(plain..index).unwrap_or_default());
        match byte {
            b'"' => json.push_str("\\\""),
            b'\\' => json.push_str("\\\\"),
            control => {
                json.push_str("\\u00");
                for digit in [control >> 4, control & 15] {
                    json.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
                }
            }
        }
        plain = index + 1;
    }
    json.push_str(text.get(plain..).unwrap_or_default());
    json.push('"');
}

/// A JSON number.
pub(crate) fn push_integer(json: &mut String, number: i64) {
    use std::fmt::Write as _;
    // Writing into a `String` does not fail.
    let _ = write!(json, "{number}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn strings_are_json(text in any::<String>()) {
            let mut json = String::new();
            push_string(&mut json, &text);
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }

    #[test]
    fn control_characters_are_escaped() {
        let mut json = String::new();
        push_string(&mut json, "a\"b\\c\nd\u{1f}é");
        assert_eq!(json, r#""a\"b\\c\u000ad\u001fé""#);
    }
}
