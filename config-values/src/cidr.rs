//! A network or one address.

use crate::Error;
use crate::text::excerpt;
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An IPv4 or IPv6 network (RFC 4632 §3.1, RFC 4291 §2.3), or one address.
///
/// A bare address is the network of that one address: `192.0.2.7` is `192.0.2.7/32`. An address
/// with bits beyond its prefix, such as `10.0.0.1/8`, is refused: it is either the one address or the whole network, and
/// guessing the wider one would let strangers in. IPv4 addresses mapped into IPv6 (RFC 4291 §2.5.5.2) are refused for
/// the same reason, and a peer that has one is treated as the IPv4 peer it is, so `::/0` holds IPv6 peers alone.
///
/// ```
/// use keyward_config_values::Cidr;
/// let net: Cidr = "10.0.0.0/8".parse()?;
/// assert!(net.contains("10.9.8.7".parse().unwrap()));
/// assert!(net.contains("::ffff:10.9.8.7".parse().unwrap()));
/// assert_eq!("10.9.8.7".parse::<Cidr>()?.to_string(), "10.9.8.7/32");
/// # Ok::<(), keyward_config_values::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr(IpNet);

impl Cidr {
    /// The network of one address; a mapped address becomes its IPv4 form.
    pub fn host(address: IpAddr) -> Self {
        Self(IpNet::from(address.to_canonical()))
    }

    /// Whether the address lies inside; a mapped address counts as its IPv4 form.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// The first address of the network.
    pub fn network(&self) -> IpAddr {
        self.0.network()
    }

    /// How many leading bits are fixed: at most 32 for IPv4 and 128 for IPv6.
    pub fn prefix_len(&self) -> u8 {
        self.0.prefix_len()
    }

    /// Whether it is one address.
    pub fn is_host(&self) -> bool {
        self.0.prefix_len() == self.0.max_prefix_len()
    }
}

impl FromStr for Cidr {
    type Err = Error;

    fn from_str(input: &str) -> Result<Self, Error> {
        let (address, prefix) = match input.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (input, None),
        };
        let Ok(address) = address.parse::<IpAddr>() else {
            return Err(Error::CidrForm { input: excerpt(input) });
        };
        let max = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => max,
            Some(text) => prefix_len(text).filter(|n| *n <= max).ok_or_else(|| Error::CidrPrefix {
                input: excerpt(input),
                address,
                max,
            })?,
        };
        if prefix >= 96 && is_mapped(address) {
            return Err(Error::CidrMapped { input: excerpt(input) });
        }
        let Ok(net) = IpNet::new(address, prefix) else {
            return Err(Error::CidrPrefix { input: excerpt(input), address, max });
        };
        if net.network() != address {
            return Err(Error::CidrHostBits { address, prefix, network: net.network() });
        }
        Ok(Self(net))
    }
}

/// Decimal digits without sign or leading zero.
fn prefix_len(text: &str) -> Option<u8> {
    let plain = text == "0" || (!text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()));
    plain.then(|| text.parse().ok()).flatten()
}

fn is_mapped(address: IpAddr) -> bool {
    address.to_canonical() != address
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Cidr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refusal(input: &str) -> String {
        input.parse::<Cidr>().unwrap_err().to_string()
    }

    fn holds(net: &str, address: &str) -> bool {
        net.parse::<Cidr>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn accepts_networks_and_addresses() {
        for (text, canonical) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("2001:db8:0:0::7", "2001:db8::7/128"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(text.parse::<Cidr>().unwrap().to_string(), canonical);
        }
        assert!("192.0.2.7".parse::<Cidr>().unwrap().is_host());
    }

    #[test]
    fn a_mapped_peer_is_an_ipv4_peer() {
        assert!(holds("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(!holds("10.0.0.0/8", "::ffff:11.1.2.3"));
        assert!(!holds("::/0", "::ffff:10.1.2.3"));
        assert!(!holds("::/0", "10.1.2.3"));
        assert!(!holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("::/0", "2001:db8::1"));
        assert_eq!(Cidr::host("::ffff:10.1.2.3".parse().unwrap()).to_string(), "10.1.2.3/32");
    }

    #[test]
    fn refusals_name_the_remedy() {
        assert_eq!(
            refusal("10.0.0.1/8"),
            "`10.0.0.1/8`: the address has bits beyond its prefix; write `10.0.0.0/8` for the network or `10.0.0.1` for the one address"
        );
        assert_eq!(
            refusal("10.0.0.0/33"),
            "`10.0.0.0/33`: the prefix length is a number from 0 to 32; write for example `10.0.0.0/32`"
        );
        for bad in ["10.0.0.0/", "10.0.0.0/08", "10.0.0.0/+8", "10.0.0.0/8/8", "10.0.0.0/-1", "10.0.0.0/999"] {
            assert!(refusal(bad).contains("the prefix length is a number from 0 to 32"), "{bad}");
        }
        assert!(refusal("2001:db8::/129").contains("from 0 to 128"));
        assert_eq!(
            refusal("::ffff:10.0.0.1"),
            "`::ffff:10.0.0.1`: an IPv4 address mapped into IPv6 (`::ffff:0:0/96`); write the IPv4 form, such as `192.0.2.7` or `192.0.2.0/24`"
        );
        assert!(refusal("::ffff:10.0.0.0/104").contains("mapped into IPv6"));
        for bad in ["", "localhost", "10.0.0", "010.0.0.1", "10.0.0.1 ", "fe80::1%eth0", "/8"] {
            assert!(refusal(bad).contains("not an address or network; write an address such as `192.0.2.7`"), "{bad}");
        }
    }

    #[test]
    fn serde_goes_through_the_same_door() {
        let c: Cidr = serde_json::from_str("\"192.0.2.7\"").unwrap();
        assert_eq!(serde_json::to_string(&c).unwrap(), "\"192.0.2.7/32\"");
        let error = serde_json::from_str::<Cidr>("\"10.0.0.1/8\"").unwrap_err();
        assert!(error.to_string().contains("write `10.0.0.0/8`"));
    }

    proptest! {
        #[test]
        fn parsing_what_is_shown_gives_the_same(bits in any::<u128>(), v4 in any::<bool>(), prefix in 0..=128u8) {
            let address = if v4 {
                IpAddr::V4((bits as u32).into())
            } else {
                IpAddr::V6(bits.into())
            };
            let prefix = prefix.min(if v4 { 32 } else { 128 });
            let net = IpNet::new(address, prefix).unwrap().trunc();
            let shown = net.to_string();
            let parsed = shown.parse::<Cidr>().unwrap();
            prop_assert_eq!(parsed.to_string(), shown);
            prop_assert!(parsed.contains(address));
        }

        #[test]
        fn any_text_is_answered(text in "[0-9a-f:./]{0,40}") {
            if let Ok(c) = text.parse::<Cidr>() {
                prop_assert_eq!(c.to_string().parse::<Cidr>().unwrap(), c);
                prop_assert!(c.contains(c.network()));
            }
        }
    }
}
