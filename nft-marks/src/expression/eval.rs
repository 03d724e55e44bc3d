//! What an expression comes to when each variable has one value.

use std::net::{IpAddr, Ipv4Addr};

use keyward_config_values::{VariableName, excerpt};

use super::error::{At, ExpressionError, Problem};
use super::parse::{
    Address, Addresses, Number, Variable, fixed_ports, read_decimal, read_hexadecimal, value_addresses,
};
use super::{Ports, PortsExpression, ProtocolExpression, Protocols, RangeExpression};
use crate::address::{address, highest, is_mapped, number};
use crate::{Error, PortRange, Protocol};

/// One value for each of some variables.
pub(crate) type Assignment<'a> = [(&'a VariableName, &'a str)];

const ADDRESS: &str = "an address";
const ADDRESSES: &str = "an address, a network or a range";
const PORT: &str = "a port, a number from 0 to 65535";

impl RangeExpression {
    /// The first and the last address.
    pub(crate) fn addresses(&self, values: &Assignment<'_>) -> Result<(IpAddr, IpAddr), ExpressionError> {
        self.addresses.eval(values).map_err(|error| error.of(&self.text))
    }

    /// The protocols that it says, if it says any.
    pub(crate) fn protocols(&self, values: &Assignment<'_>) -> Result<Option<&'static [Protocol]>, ExpressionError> {
        let protocols = self.protocol.as_ref().map(|protocols| protocols.eval(values)).transpose();
        protocols.map_err(|error| error.of(&self.text))
    }

    /// The ports that it says, if it says any.
    pub(crate) fn ports(&self, values: &Assignment<'_>) -> Result<Option<PortRange>, ExpressionError> {
        let ports = self.ports.as_ref().map(|ports| ports.eval(values)).transpose();
        ports.map_err(|error| error.of(&self.text))
    }

    /// An error of the whole expression.
    pub(crate) fn error(&self, problem: Problem) -> ExpressionError {
        problem.at(0).of(&self.text)
    }
}

impl ProtocolExpression {
    pub(crate) fn eval(&self, values: &Assignment<'_>) -> Result<&'static [Protocol], ExpressionError> {
        self.protocols.eval(values).map_err(|error| error.of(&self.text))
    }
}

impl PortsExpression {
    pub(crate) fn eval(&self, values: &Assignment<'_>) -> Result<PortRange, ExpressionError> {
        self.ports.eval(values).map_err(|error| error.of(&self.text))
    }
}

impl Protocols {
    fn eval(&self, values: &Assignment<'_>) -> Result<&'static [Protocol], At> {
        let protocol = match self {
            Self::Any => return Ok(&Protocol::ALL),
            Self::One(protocol) => *protocol,
            Self::Variable(variable) => {
                let value = variable.value(values)?;
                value.parse().map_err(|_| variable.wrong(value, "`tcp`, `udp`, `sctp` or `icmp`"))?
            }
        };
        Ok(match protocol {
            Protocol::Icmp => &[Protocol::Icmp],
            Protocol::Tcp => &[Protocol::Tcp],
            Protocol::Udp => &[Protocol::Udp],
            Protocol::Sctp => &[Protocol::Sctp],
        })
    }
}

impl Ports {
    fn eval(&self, values: &Assignment<'_>) -> Result<PortRange, At> {
        match self {
            Self::Any => Ok(PortRange::ALL),
            Self::Fixed(ports) => Ok(*ports),
            Self::Variable(variable) => {
                let value = variable.value(values)?;
                value.parse().map_err(|_| variable.wrong(value, "a port or a range of ports"))
            }
            Self::Range(first, last) => {
                let place = [first, last].into_iter().find_map(Number::variable).map_or(0, |variable| variable.offset);
                let most = u32::from(u16::MAX);
                let (first, last) = (first.eval(values, most, PORT)?, last.eval(values, most, PORT)?);
                fixed_ports(first, last).map_err(|error| Problem::Range(error).at(place))
            }
        }
    }
}

impl Addresses {
    fn eval(&self, values: &Assignment<'_>) -> Result<(IpAddr, IpAddr), At> {
        match self {
            Self::One(_, Address::Variable(variable)) => {
                let value = variable.value(values)?;
                let read = value_addresses(value).and_then(|addresses| addresses.eval(&[]).ok());
                let (first, last) = read.ok_or_else(|| variable.wrong(value, ADDRESSES))?;
                if variable.add == 0 {
                    return Ok((first, last));
                }
                if first != last {
                    return Err(variable.wrong(value, ADDRESS));
                }
                let sum = unmapped(variable.sum(first, value)?, variable.offset)?;
                Ok((sum, sum))
            }
            Self::One(begin, one) => {
                let one = unmapped(one.eval(values)?, *begin)?;
                Ok((one, one))
            }
            Self::Network(begin, network, prefix) => {
                let network = unmapped(network.eval(values)?, *begin)?;
                let prefix = prefix_length(network.is_ipv6(), prefix, values, *begin)?;
                let low = highest(network.is_ipv6()).checked_shr(prefix).unwrap_or(0);
                let place = |number| address(number, network.is_ipv6()).unwrap_or(network);
                let (first, last) = (place(number(network) & !low), place(number(network) | low));
                if first != network {
                    return Err(Problem::HostBits { network: format!("{first}/{prefix}") }.at(*begin));
                }
                Ok((first, unmapped(last, *begin)?))
            }
            Self::Range(begin, first, last) => {
                let (first, last) = (first.eval(values)?, last.eval(values)?);
                // Looked at again where ranges are made, but here it is known where they stand.
                crate::Range::new(first, last, Protocol::Icmp, PortRange::ALL)
                    .map_err(|error| Problem::Range(error).at(*begin))?;
                Ok((first, last))
            }
        }
    }
}

fn prefix_length(v6: bool, prefix: &Number, values: &Assignment<'_>, begin: usize) -> Result<u32, At> {
    let (most, needed) = if v6 {
        (128, "a prefix length, a number from 0 to 128")
    } else {
        (32, "a prefix length, a number from 0 to 32")
    };
    match prefix.eval(values, most, needed)? {
        prefix if prefix <= most => Ok(prefix),
        // Written out behind a variable that turned out to be an address of IPv4.
        prefix => Err(Problem::Number { found: prefix.to_string(), most }.at(begin)),
    }
}

fn unmapped(address: IpAddr, begin: usize) -> Result<IpAddr, At> {
    if is_mapped(address) { Err(Problem::Range(Error::Mapped { address }).at(begin)) } else { Ok(address) }
}

impl Address {
    fn eval(&self, values: &Assignment<'_>) -> Result<IpAddr, At> {
        match self {
            Self::Fixed(address) => Ok(*address),
            Self::Variable(variable) => {
                let value = variable.value(values)?;
                let read = value.parse::<IpAddr>().map_err(|_| variable.wrong(value, ADDRESS))?;
                variable.sum(read, value)
            }
            Self::V4(octets) => {
                let number = octets.iter().try_fold(0, |number: u32, octet| {
                    Ok((number << 8) | octet.eval(values, 255, "a number from 0 to 255")?)
                })?;
                Ok(IpAddr::V4(Ipv4Addr::from(number)))
            }
            Self::V6(before, behind) => {
                let fold = |groups: &[Number]| {
                    groups
                        .iter()
                        .try_fold(0, |number: u128, group| Ok((number << 16) | u128::from(group.eval_group(values)?)))
                };
                // Where no groups are before it there is nothing to shift, by all 128 bits.
                let gap = (0..8).skip(before.len()).count() * 16;
                let gap = u32::try_from(gap).unwrap_or(0);
                let number = fold(before)?.checked_shl(gap).unwrap_or(0) | fold(behind)?;
                Ok(IpAddr::V6(number.into()))
            }
        }
    }
}

impl Number {
    fn eval(&self, values: &Assignment<'_>, most: u32, needed: &'static str) -> Result<u32, At> {
        match self {
            Self::Fixed(number) => Ok(*number),
            Self::Variable(variable) => variable.number(values, most, needed, read_decimal),
        }
    }

    /// A group of an IPv6 address: decimal as everywhere, or hexadecimal with `0x`.
    fn eval_group(&self, values: &Assignment<'_>) -> Result<u32, At> {
        match self {
            Self::Fixed(number) => Ok(*number),
            Self::Variable(variable) => variable.number(values, 0xffff, "a number from 0 to 65535", |value| {
                value.strip_prefix("0x").map_or_else(|| read_decimal(value), read_hexadecimal)
            }),
        }
    }
}

impl Variable {
    fn value<'a>(&self, values: &Assignment<'a>) -> Result<&'a str, At> {
        let value = values.iter().find(|(name, _)| **name == self.name).map(|(_, value)| *value);
        let value = value.ok_or_else(|| Problem::Undefined { name: self.name.clone() }.at(self.offset))?;
        if value.contains("${") {
            return Err(Problem::Recursive { name: self.name.clone(), value: excerpt(value) }.at(self.offset));
        }
        Ok(value)
    }

    fn number(
        &self,
        values: &Assignment<'_>,
        most: u32,
        needed: &'static str,
        read: impl Fn(&str) -> Option<u32>,
    ) -> Result<u32, At> {
        let value = self.value(values)?;
        let read = read(value).ok_or_else(|| self.wrong(value, needed))?;
        let sum = u32::try_from(i64::from(read) + self.add).ok().filter(|sum| *sum <= most);
        sum.ok_or_else(|| self.beyond(value, needed))
    }

    fn sum(&self, read: IpAddr, value: &str) -> Result<IpAddr, At> {
        let sum = match u128::try_from(self.add) {
            Ok(add) => number(read).checked_add(add),
            Err(_) => number(read).checked_sub(u128::from(self.add.unsigned_abs())),
        };
        sum.and_then(|sum| address(sum, read.is_ipv6())).ok_or_else(|| self.beyond(value, ADDRESS))
    }

    fn wrong(&self, value: &str, needed: &'static str) -> At {
        Problem::Value { name: self.name.clone(), value: excerpt(value), needed }.at(self.offset)
    }

    fn beyond(&self, value: &str, needed: &'static str) -> At {
        if self.add == 0 {
            return self.wrong(value, needed);
        }
        Problem::Sum { name: self.name.clone(), value: excerpt(value), needed }.at(self.offset)
    }
}
