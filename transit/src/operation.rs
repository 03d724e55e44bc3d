//! What a ring does for its users: `vault:v3:…` texts that name the version.

mod encrypt;
mod sign;

pub use sign::{Marshaling, SignOptions};

/// Writes `vault:vN:` before a body of about `capacity` characters.
fn prefixed(version: u32, capacity: usize) -> String {
    let mut text = String::with_capacity(capacity.saturating_add("vault:v4294967295:".len()));
    text.push_str("vault:v");
    text.push_str(&version.to_string());
    text.push(':');
    text
}

/// Splits `vault:vN:body` into the number and the body. The number is canonical: no sign, no leading zero.
fn split(text: &str) -> Option<(u32, &str)> {
    let (number, body) = text.strip_prefix("vault:v")?.split_once(':')?;
    if number.starts_with('0') || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((number.parse().ok()?, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_prefix_is_read() {
        assert_eq!(split("vault:v1:abc"), Some((1, "abc")));
        assert_eq!(split("vault:v4294967295:"), Some((u32::MAX, "")));
        for bad in [
            "",
            "vault",
            "vault:v1",
            "vault:v:x",
            "vault:v0:x",
            "vault:v01:x",
            "vault:v+1:x",
            "vault:v-1:x",
            "vault:v4294967296:x",
            "Vault:v1:x",
            " vault:v1:x",
            "vault:1:x",
            "vault:v1 :x",
        ] {
            assert_eq!(split(bad), None, "{bad}");
        }
        assert_eq!(split(&prefixed(37, 0)), Some((37, "")));
    }
}
