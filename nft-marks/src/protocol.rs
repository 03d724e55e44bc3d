//! Transport protocols.

use std::fmt;
use std::str::FromStr;

use keyward_config_values::excerpt;

use crate::Error;

/// A protocol that ranges can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// ICMP over IPv4 (RFC 792), ICMPv6 over IPv6 (RFC 4443). It has no ports.
    Icmp,
    /// TCP (RFC 9293).
    Tcp,
    /// UDP (RFC 768).
    Udp,
    /// SCTP (RFC 9260).
    Sctp,
}

impl Protocol {
    /// Every protocol, in order.
    pub const ALL: [Self; 4] = [Self::Icmp, Self::Tcp, Self::Udp, Self::Sctp];

    /// Its name in documents: `icmp`, `tcp`, `udp` or `sctp`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Icmp => "icmp",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }

    /// Whether its packets have ports.
    pub fn has_ports(self) -> bool {
        self != Self::Icmp
    }

    /// Its number in the header of IPv4 or IPv6.
    pub fn number(self, v6: bool) -> u8 {
        match self {
            Self::Icmp if v6 => 58,
            Self::Icmp => 1,
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }

    /// What nft calls it in a set of that family.
    pub(crate) fn nft(self, v6: bool) -> &'static str {
        if v6 && self == Self::Icmp { "ipv6-icmp" } else { self.as_str() }
    }

    /// The protocol that nft's listing names, by name or by number.
    pub(crate) fn from_nft(text: &str, v6: bool) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| text == protocol.nft(v6) || text.parse() == Ok(protocol.number(v6)))
    }
}

impl FromStr for Protocol {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|protocol| protocol.as_str() == text)
            .ok_or_else(|| Error::Protocol { input: excerpt(text) })
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
