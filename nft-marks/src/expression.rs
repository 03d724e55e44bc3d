//! Ranges with variables, as they are written.

mod atom;
mod error;
mod eval;
mod parse;

use std::fmt;
use std::str::FromStr;

use keyward_config_values::VariableName;

pub use error::{ExpressionError, Problem};
pub(crate) use eval::Assignment;

use crate::{PortRange, Protocol};
use parse::{Addresses, Number, Variable};

/// The longest expression in bytes.
pub(crate) const MAX_LENGTH: usize = 512;

/// Addresses, and if one likes their protocol and ports: `10.0.0.0/24`, `10.0.0.1-10.0.0.9 tcp`,
/// `2001:db8::7 udp 5000-5010`. The protocol is `tcp`, `udp`, `sctp`, `icmp` or `any`; the ports may be `any` too.
///
/// Each number may be a variable, `10.${site}.0.0/24`, and a sum, `10.${site + 1}.0.0/24`; so may each address,
/// `${first}-${first + 9}`, and the addresses as a whole, `${lan}`, whose value is then an address, a network or a
/// range. A variable stands for a whole number or address, never for a piece of one. Numbers in values are decimal, also
/// between the colons of IPv6, unless they begin with `0x`.
///
/// ```
/// use keyward_nft_marks::RangeExpression;
///
/// let range: RangeExpression = "10.${site}.0.0/24 tcp 8000-8010".parse()?;
/// assert_eq!(range.variables().map(|name| name.to_string()).collect::<Vec<_>>(), ["site"]);
///
/// let error = "10.${site}0.0.0/24".parse::<RangeExpression>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "`10.${site}0.0.0/24`: at position 4, a variable stands for a whole number; write it alone between the dots, colons or dashes",
/// );
/// # Ok::<(), keyward_nft_marks::ExpressionError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RangeExpression {
    text: String,
    addresses: Addresses,
    protocol: Option<Protocols>,
    ports: Option<Ports>,
}

/// A protocol: `tcp`, `udp`, `sctp`, `icmp`, `any`, or a variable whose value is one of the four.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProtocolExpression {
    text: String,
    protocols: Protocols,
}

/// Ports: `443`, `8000-8010`, `${base}-${base + 9}`, `any`, or a variable whose value is a port or a range.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PortsExpression {
    text: String,
    ports: Ports,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Protocols {
    Any,
    One(Protocol),
    Variable(Variable),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Ports {
    Any,
    Fixed(PortRange),
    Variable(Variable),
    Range(Number, Number),
}

impl RangeExpression {
    /// The variables in the order of the text, one that is used twice twice.
    pub fn variables(&self) -> impl Iterator<Item = &VariableName> {
        let mut found = Vec::new();
        self.addresses.each_variable(&mut |variable| found.push(&variable.name));
        found.extend(self.protocol.iter().flat_map(Protocols::variables));
        found.extend(self.ports.iter().flat_map(Ports::variables));
        found.into_iter()
    }

    pub(crate) fn has_protocol(&self) -> bool {
        self.protocol.is_some()
    }

    pub(crate) fn has_ports(&self) -> bool {
        self.ports.is_some()
    }
}

impl ProtocolExpression {
    /// The variable, if it is one.
    pub fn variables(&self) -> impl Iterator<Item = &VariableName> {
        self.protocols.variables()
    }
}

impl PortsExpression {
    /// The variables in the order of the text, one that is used twice twice.
    pub fn variables(&self) -> impl Iterator<Item = &VariableName> {
        self.ports.variables()
    }
}

impl Protocols {
    fn variables(&self) -> impl Iterator<Item = &VariableName> {
        match self {
            Self::Variable(variable) => Some(&variable.name),
            Self::Any | Self::One(_) => None,
        }
        .into_iter()
    }
}

impl Ports {
    fn variables(&self) -> impl Iterator<Item = &VariableName> {
        let (first, last) = match self {
            Self::Any | Self::Fixed(_) => (None, None),
            Self::Variable(variable) => (Some(variable), None),
            Self::Range(first, last) => (first.variable(), last.variable()),
        };
        first.into_iter().chain(last).map(|variable| &variable.name)
    }
}

macro_rules! text_of {
    ($($kind:ty),*) => { $(
        impl $kind {
            /// The expression as it was written.
            pub fn as_str(&self) -> &str {
                &self.text
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text)
            }
        }
    )* };
}

text_of!(RangeExpression, ProtocolExpression, PortsExpression);

impl FromStr for RangeExpression {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Self, ExpressionError> {
        parse::range(text).map_err(|error| error.of(text))
    }
}

impl FromStr for ProtocolExpression {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Self, ExpressionError> {
        parse::protocol(text).map_err(|error| error.of(text))
    }
}

impl FromStr for PortsExpression {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Self, ExpressionError> {
        parse::ports(text).map_err(|error| error.of(text))
    }
}
