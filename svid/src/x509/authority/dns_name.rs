//! DNS names as certificates hold them.

use super::Error;
use crate::json::excerpt;

/// The most DNS names of one certificate.
pub const MAX_DNS_NAMES: usize = 32;

/// The names in lower case, each once, in their order.
pub(super) fn check_all(names: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Vec<String>, Error> {
    let mut checked: Vec<String> = Vec::new();
    for name in names {
        let name = check(name.as_ref())?;
        if !checked.contains(&name) {
            checked.push(name);
        }
        if checked.len() > MAX_DNS_NAMES {
            return Err(Error::Count { what: "DNS names", found: checked.len(), least: 0, most: MAX_DNS_NAMES });
        }
    }
    Ok(checked)
}

/// A host name in the preferred syntax (RFC 5280 §4.2.1.6, RFC 1034 §3.5, RFC 1123 §2.1): labels of letters, digits
/// and inner hyphens, the last one not a number. No wildcard: an SVID names one workload.
pub(super) fn check(name: &str) -> Result<String, Error> {
    let refused = || Error::DnsName { name: excerpt(name) };
    let label = |label: &str| {
        let ends = [label.bytes().next(), label.bytes().last()];
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !ends.contains(&Some(b'-'))
    };
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    if name.len() > 253 || !name.split('.').all(label) || name.rsplit('.').next().is_none_or(is_number) {
        return Err(refused());
    }
    Ok(name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_alone_are_names() {
        for good in ["a", "db.example.org", "xn--bcher-kva.example", "3com.com", "a-b.c1"] {
            assert_eq!(check(good).unwrap(), good);
        }
        assert_eq!(check("DB.Example.org").unwrap(), "db.example.org");
        let long_label = format!("{}.org", "a".repeat(64));
        let long = format!("{}a", "abcdefg.".repeat(32));
        for bad in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "*.a",
            "a_b",
            "-a",
            "a-.b",
            "192.0.2.1",
            "a b",
            "bü.de",
            "::1",
            &long_label,
            &long,
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert_eq!(check("a\nb").unwrap_err().to_string(), "`a\\nb` is not a DNS name");
    }

    #[test]
    fn names_are_counted_once() {
        assert_eq!(check_all(["b.org", "a.org", "B.org"]).unwrap(), ["b.org", "a.org"]);
        let many: Vec<String> = (0..33).map(|number| format!("h{number}.org")).collect();
        assert!(check_all(&many[..32]).is_ok());
        assert_eq!(check_all(&many).unwrap_err().to_string(), "33 DNS names were given, but 0 to 32 are allowed");
    }
}
