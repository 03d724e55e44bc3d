//! Source addresses against bound ranges.

use std::net::IpAddr;

use keyward_config_values::Cidr;

/// Whether `source` is inside one of `ranges`; no ranges bind nothing.
///
/// An IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2), which is what a dual-stack socket reports for an
/// IPv4 peer, counts as the IPv4 address.
pub(crate) fn allowed(ranges: &[Cidr], source: IpAddr) -> bool {
    ranges.is_empty() || ranges.iter().any(|range| range.contains(source))
}

/// Whether every address of `range` is inside one of `ranges`; no ranges bind nothing.
pub(crate) fn inside(ranges: &[Cidr], range: &Cidr) -> bool {
    let contains = |outer: &Cidr| outer.prefix_len() <= range.prefix_len() && outer.contains(range.network());
    ranges.is_empty() || ranges.iter().any(contains)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ranges: &[&str], source: &str) -> bool {
        let ranges: Vec<Cidr> = ranges.iter().map(|range| range.parse().unwrap()).collect();
        allowed(&ranges, source.parse().unwrap())
    }

    #[test]
    fn ranges_inside_ranges() {
        let ranges: Vec<Cidr> = ["10.0.0.0/8", "2001:db8::/32"].iter().map(|range| range.parse().unwrap()).collect();
        for (range, expected) in [
            ("10.0.0.0/8", true),
            ("10.1.0.0/16", true),
            ("10.1.2.3/32", true),
            ("0.0.0.0/0", false),
            ("10.0.0.0/7", false),
            ("11.0.0.0/8", false),
            ("2001:db8:1::/48", true),
            ("::/0", false),
        ] {
            let range = range.parse().unwrap();
            assert_eq!(inside(&ranges, &range), expected, "{range}");
            assert!(inside(&[], &range));
        }
    }

    #[test]
    fn both_families_and_the_mapped_form() {
        assert!(check(&[], "192.0.2.1"));
        assert!(check(&["10.0.0.0/8", "192.0.2.0/24"], "192.0.2.255"));
        assert!(!check(&["10.0.0.0/8", "192.0.2.0/24"], "192.0.3.0"));
        assert!(check(&["192.0.2.0/24"], "::ffff:192.0.2.7"));
        assert!(!check(&["192.0.2.0/24"], "::ffff:192.0.3.7"));
        assert!(check(&["2001:db8::/32"], "2001:db8:ffff::1"));
        assert!(!check(&["2001:db8::/32"], "2001:db9::1"));
        assert!(!check(&["2001:db8::/32"], "192.0.2.1"));
        assert!(!check(&["192.0.2.0/24"], "2001:db8::1"));
        assert!(!check(&["::/0"], "192.0.2.1"), "an IPv6 range does not take IPv4 peers");
        assert!(check(&["0.0.0.0/0"], "192.0.2.1"));
        assert!(!check(&["0.0.0.0/0"], "2001:db8::1"));
        assert!(check(&["192.0.2.1/32"], "192.0.2.1"));
        assert!(!check(&["192.0.2.1/32"], "192.0.2.2"));
    }
}
