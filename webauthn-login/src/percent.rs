//! Percent-encoding of one segment of a path or one value of a query (RFC 3986 §2.1).

/// Everything but the unreserved characters (RFC 3986 §2.3) is escaped.
pub(crate) fn encode(text: &str) -> String {
    escape(text, b"-._~")
}

/// The same of a segment of a path that people read, in which an `@` may stand for itself (RFC 3986 §3.3).
pub(crate) fn encode_segment(text: &str) -> String {
    escape(text, b"-._~@")
}

fn escape(text: &str, kept: &[u8]) -> String {
    use core::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// The text behind the escapes, if they are well-formed and what comes out is UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
            bytes.push(high << 4 | low);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_ways() {
        assert_eq!(encode("name+t1@example.com"), "name%2Bt1%40example.com");
        assert_eq!(encode_segment("name+t1@example.com"), "name%2Bt1@example.com");
        assert_eq!(decode("name%2bt1%40example.com").unwrap(), "name+t1@example.com");
        for bad in ["%", "%4", "%zz", "%ff", "a%"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_is_encoded_is_decoded(text in "\\PC{0,20}") {
            prop_assert_eq!(decode(&encode(&text)), Some(text));
        }
    }
}
