//! Addresses as numbers, and as nft writes them.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// The address as a number.
pub(crate) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// The highest address of a family.
pub(crate) fn highest(v6: bool) -> u128 {
    if v6 { u128::MAX } else { u128::from(u32::MAX) }
}

/// The number as an address, if the family has it.
pub(crate) fn address(number: u128, v6: bool) -> Option<IpAddr> {
    if v6 {
        return Some(IpAddr::V6(number.into()));
    }
    u32::try_from(number).ok().map(|number| IpAddr::V4(number.into()))
}

/// Whether an IPv4 address is mapped into IPv6 (RFC 4291 §2.5.5.2).
pub(crate) fn is_mapped(address: IpAddr) -> bool {
    address.to_canonical() != address
}

/// The length of the prefix that is exactly the addresses from first to last.
pub(crate) fn prefix(first: IpAddr, last: IpAddr) -> Option<u32> {
    let bits = if first.is_ipv6() { 128 } else { 32 };
    let (first, last) = (number(first), number(last));
    let differing = u128::BITS - (first ^ last).leading_zeros();
    let low = u128::MAX.checked_shr(u128::BITS - differing).unwrap_or(0);
    (first & low == 0 && last & low == low).then_some(bits - differing)
}

/// Shows an address as the C library's `inet_ntop` does, which differs from Rust where IPv6 addresses end in what may
/// be an IPv4 address (RFC 4291 §2.5.5.1).
pub(crate) struct Shown(pub(crate) IpAddr);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V6(address) if is_compatible(address) => {
                let [.., a, b, c, d] = address.octets();
                write!(f, "::{a}.{b}.{c}.{d}")
            }
            address => address.fmt(f),
        }
    }
}

fn is_compatible(address: Ipv6Addr) -> bool {
    u128::from(address) >> 32 == 0 && address.segments()[6] != 0
}

/// Shows the addresses from first to last: one address, a prefix or a range.
pub(crate) struct Addresses(pub(crate) IpAddr, pub(crate) IpAddr);

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(first, last) = *self;
        match prefix(first, last) {
            _ if first == last => Shown(first).fmt(f),
            Some(prefix) => write!(f, "{}/{prefix}", Shown(first)),
            None => write!(f, "{}-{}", Shown(first), Shown(last)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(first: &str, last: &str) -> String {
        Addresses(first.parse().unwrap(), last.parse().unwrap()).to_string()
    }

    #[test]
    fn addresses_are_written_as_nft_writes_them() {
        assert_eq!(shown("10.0.0.0", "10.255.255.255"), "10.0.0.0/8");
        assert_eq!(shown("0.0.0.0", "255.255.255.255"), "0.0.0.0/0");
        assert_eq!(shown("10.0.0.1", "10.0.0.1"), "10.0.0.1");
        assert_eq!(shown("10.0.0.1", "10.0.0.2"), "10.0.0.1-10.0.0.2");
        assert_eq!(shown("10.0.0.2", "10.0.0.3"), "10.0.0.2/31");
        assert_eq!(shown("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), "::/0");
        assert_eq!(shown("2001:db8::", "2001:db8::ffff"), "2001:db8::/112");
        assert_eq!(shown("::1:0", "::1:9"), "::0.1.0.0-::0.1.0.9");
        assert_eq!(shown("::1", "::2"), "::1-::2");
    }
}
