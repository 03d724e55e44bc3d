//! What is remembered with a secret-id or a token: short texts by short names.

use std::collections::BTreeMap;

use crate::error::{FieldError, Problem};

/// The most entries.
const MAX_ENTRIES: usize = 64;
/// The longest key or value, in bytes.
const MAX_LENGTH: usize = 512;

/// What is wrong with the entries of `field`.
pub(crate) fn check(field: &str, metadata: &BTreeMap<String, String>) -> Vec<FieldError> {
    let mut problems = Vec::new();
    if metadata.len() > MAX_ENTRIES {
        let problem = Problem::Entries { found: metadata.len(), minimum: 0, maximum: MAX_ENTRIES };
        problems.push(FieldError::new(field, problem));
    }
    let unfit = |text: &String| text.is_empty() || text.len() > MAX_LENGTH || text.chars().any(char::is_control);
    if metadata.iter().any(|(key, value)| unfit(key) || unfit(value)) {
        problems.push(FieldError::new(field, Problem::Text { maximum: MAX_LENGTH }));
    }
    problems
}

/// The bytes that the entries take in JSON; 0 where there are none.
pub(crate) fn length(metadata: &BTreeMap<String, String>) -> usize {
    match metadata.is_empty() {
        true => 0,
        false => serde_json::to_vec(metadata).map_or(usize::MAX, |bytes| bytes.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_few_and_short() {
        let entries = |number: usize, value: &str| (0..number).map(|n| (format!("k{n}"), value.to_owned())).collect();
        let say = |metadata| check("meta", &metadata).iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        assert_eq!(say(entries(64, &"v".repeat(512))), "");
        assert_eq!(say(entries(65, "v")), "`meta` has 65 entries, 0 to 64 are allowed");
        for unfit in ["", "a\n", &"v".repeat(513)] {
            assert_eq!(say(entries(1, unfit)), "`meta` must be 1 to 512 bytes without control characters");
        }
        assert_eq!((length(&entries(0, "")), length(&entries(1, "\""))), (0, r#"{"k0":"\""}"#.len()));
    }
}
