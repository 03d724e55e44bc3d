//! Ranges of traffic: addresses, a protocol, ports.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use keyward_config_values::excerpt;

use crate::address::{Addresses, is_mapped};
use crate::{Error, Protocol};

/// Ports from the first to the last, both included.
///
/// ```
/// use keyward_nft_marks::PortRange;
///
/// assert_eq!("8000-8010".parse::<PortRange>()?.to_string(), "8000-8010");
/// assert_eq!("443-443".parse::<PortRange>()?.to_string(), "443");
/// # Ok::<(), keyward_nft_marks::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// Every port.
    pub const ALL: Self = Self { first: 0, last: u16::MAX };

    /// The ports from the first to the last.
    ///
    /// # Errors
    /// A first one that is above the last.
    pub fn new(first: u16, last: u16) -> Result<Self, Error> {
        if first > last {
            return Err(Error::PortsReversed { first, last });
        }
        Ok(Self { first, last })
    }

    /// The lowest port.
    pub fn first(self) -> u16 {
        self.first
    }

    /// The highest port.
    pub fn last(self) -> u16 {
        self.last
    }
}

impl From<u16> for PortRange {
    fn from(port: u16) -> Self {
        Self { first: port, last: port }
    }
}

impl FromStr for PortRange {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (Some(first), Some(last)) = (port(first), port(last)) else {
            return Err(Error::Ports { input: excerpt(text) });
        };
        Self::new(first, last)
    }
}

/// Decimal digits without sign or leading zero.
fn port(text: &str) -> Option<u16> {
    let plain = text == "0" || (!text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()));
    plain.then(|| text.parse().ok()).flatten()
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { self.first.fmt(f) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

/// Addresses of one family from the first to the last, a protocol, and ports.
///
/// Shown as an element of a set of nft's.
///
/// ```
/// use keyward_nft_marks::{PortRange, Protocol, Range};
///
/// let range = Range::new("10.0.0.0".parse()?, "10.0.0.255".parse()?, Protocol::Tcp, PortRange::from(443))?;
/// assert_eq!(range.to_string(), "10.0.0.0/24 . tcp . 443");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    first: IpAddr,
    last: IpAddr,
    protocol: Protocol,
    ports: PortRange,
}

impl Range {
    /// The range.
    ///
    /// # Errors
    /// Addresses of two families, reversed ones, IPv4 mapped into IPv6 (RFC 4291 §2.5.5.2: no packet of IPv6 has such a
    /// destination, the IPv4 form is what is meant), and ports of a protocol that has none.
    pub fn new(first: IpAddr, last: IpAddr, protocol: Protocol, ports: PortRange) -> Result<Self, Error> {
        if first.is_ipv4() != last.is_ipv4() {
            return Err(Error::Families { first, last });
        }
        if first > last {
            return Err(Error::AddressesReversed { first, last });
        }
        if let Some(address) = [first, last].into_iter().find(|address| is_mapped(*address)) {
            return Err(Error::Mapped { address });
        }
        if !protocol.has_ports() && ports != PortRange::ALL {
            return Err(Error::NoPorts { protocol, ports });
        }
        Ok(Self { first, last, protocol, ports })
    }

    /// The lowest address.
    pub fn first(&self) -> IpAddr {
        self.first
    }

    /// The highest address.
    pub fn last(&self) -> IpAddr {
        self.last
    }

    /// The protocol.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The ports; all of them where the protocol has none.
    pub fn ports(&self) -> PortRange {
        self.ports
    }

    /// Whether the addresses are of IPv6.
    pub fn is_ipv6(&self) -> bool {
        self.first.is_ipv6()
    }

    /// Whether a packet to this address and port would match.
    pub fn contains(&self, address: IpAddr, protocol: Protocol, port: u16) -> bool {
        address.is_ipv6() == self.is_ipv6()
            && (self.first..=self.last).contains(&address)
            && protocol == self.protocol
            && (self.ports.first..=self.ports.last).contains(&port)
    }

    /// The same ports at other addresses of the same family.
    pub(crate) fn with_addresses(self, first: IpAddr, last: IpAddr) -> Self {
        Self { first, last, ..self }
    }

    /// The same addresses with other ports.
    pub(crate) fn with_ports(self, ports: PortRange) -> Self {
        Self { ports, ..self }
    }
}

impl Range {
    /// As people write it, in documents: `192.0.2.0/24 tcp 443`.
    pub fn written(&self) -> String {
        let (addresses, protocol) = (Addresses(self.first, self.last), self.protocol);
        match protocol.has_ports() {
            true => format!("{addresses} {protocol} {}", self.ports),
            false => format!("{addresses} {protocol}"),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} . {} . {}", Addresses(self.first, self.last), self.protocol.nft(self.is_ipv6()), self.ports)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(first: &str, last: &str, protocol: Protocol, ports: &str) -> String {
        Range::new(first.parse().unwrap(), last.parse().unwrap(), protocol, ports.parse().unwrap())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn what_no_packet_can_match_is_refused() {
        assert_eq!(
            refusal("10.0.0.2", "10.0.0.1", Protocol::Tcp, "1"),
            "the range `10.0.0.2-10.0.0.1` is reversed; write the lower address first"
        );
        assert_eq!(
            refusal("10.0.0.2", "::1", Protocol::Tcp, "1"),
            "the range `10.0.0.2-::1` begins in one address family and ends in the other; write two addresses of the same"
        );
        assert_eq!(
            refusal("::", "::ffff:10.0.0.1", Protocol::Tcp, "1"),
            "`::ffff:10.0.0.1` is an IPv4 address mapped into IPv6; write `10.0.0.1`"
        );
        assert_eq!(refusal("::1", "::1", Protocol::Icmp, "80"), "`icmp` has no ports; leave `80` out");
        assert_eq!(
            "9-1".parse::<PortRange>().unwrap_err().to_string(),
            "the ports `9-1` are reversed; write the lower port first"
        );
        for bad in ["", "-", "1-", "01", "65536", "+1", "1-2-3", "http", "1 - 2"] {
            let error = bad.parse::<PortRange>().unwrap_err().to_string();
            assert_eq!(
                error,
                format!(
                    "`{bad}`: not a port or a range of ports; write numbers from 0 to 65535, such as `443` or `8000-8010`"
                )
            );
        }
    }
}
