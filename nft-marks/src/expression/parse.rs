//! Reads expressions.

use std::net::IpAddr;

use keyward_config_values::{VariableName, excerpt};

use super::atom::{Atom, Placed, atoms, characters, literal, split};
use super::error::{At, Problem};
use super::{Ports, PortsExpression, ProtocolExpression, Protocols, RangeExpression};
use crate::{PortRange, Protocol};

/// A variable, what is added to its value, and the byte of its `$`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Variable {
    pub(super) name: VariableName,
    pub(super) add: i64,
    pub(super) offset: usize,
}

/// A number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Number {
    Fixed(u32),
    Variable(Variable),
}

/// One address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Address {
    Fixed(IpAddr),
    Variable(Variable),
    V4(Vec<Number>),
    /// The groups before the gap `::` and those behind it; without a gap all eight are before it.
    V6(Vec<Number>, Vec<Number>),
}

/// Addresses, with the byte at which they begin.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Addresses {
    One(usize, Address),
    Network(usize, Address, Number),
    Range(usize, Address, Address),
}

pub(super) fn range(text: &str) -> Result<RangeExpression, At> {
    let atoms = atoms(text)?;
    let mut fields = split(&atoms, ' ', 0).into_iter().filter(|(_, field)| !field.is_empty());
    let (begin, field) = fields.next().unwrap_or((0, &[]));
    let addresses = addresses(begin, field)?;
    let protocol = fields.next().map(|(begin, field)| protocols(begin, field)).transpose()?;
    let ports = fields.next().map(|(begin, field)| port_range(begin, field)).transpose()?;
    if let Some((begin, _)) = fields.next() {
        return Err(Problem::TooMuch.at(begin));
    }
    Ok(RangeExpression { text: text.to_owned(), addresses, protocol, ports })
}

pub(super) fn protocol(text: &str) -> Result<ProtocolExpression, At> {
    Ok(ProtocolExpression { text: text.to_owned(), protocols: protocols(0, &atoms(text)?)? })
}

pub(super) fn ports(text: &str) -> Result<PortsExpression, At> {
    Ok(PortsExpression { text: text.to_owned(), ports: port_range(0, &atoms(text)?)? })
}

/// The addresses that a value has: as written, without variables.
pub(super) fn value_addresses(value: &str) -> Option<Addresses> {
    let short = value.len() <= super::MAX_LENGTH;
    let atoms: Vec<Placed> = short.then(|| characters(value, 0).collect())?;
    addresses(0, &atoms).ok()
}

fn protocols(begin: usize, atoms: &[Placed]) -> Result<Protocols, At> {
    if let [(_, Atom::Variable(variable))] = atoms
        && variable.add == 0
    {
        return Ok(Protocols::Variable(variable.clone()));
    }
    let written = shown(atoms);
    if written == "any" {
        return Ok(Protocols::Any);
    }
    match written.parse::<Protocol>() {
        Ok(protocol) => Ok(Protocols::One(protocol)),
        Err(_) => Err(Problem::Protocol { found: excerpt(&written) }.at(begin)),
    }
}

fn port_range(begin: usize, atoms: &[Placed]) -> Result<Ports, At> {
    if let [(_, Atom::Variable(variable))] = atoms
        && variable.add == 0
    {
        return Ok(Ports::Variable(variable.clone()));
    }
    if literal(atoms).as_deref() == Some("any") {
        return Ok(Ports::Any);
    }
    let most = u32::from(u16::MAX);
    let (first, last) = match split(atoms, '-', begin).as_slice() {
        [(at, one)] => {
            let number = decimal(*at, one, most)?;
            (number.clone(), number)
        }
        [(at, first), (behind, last)] => {
            there(*at, first, "first port", "8000-8010")?;
            there(*behind, last, "last port", "8000-8010")?;
            (decimal(*at, first, most)?, decimal(*behind, last, most)?)
        }
        _ => return Err(Problem::Number { found: excerpt(&shown(atoms)), most }.at(begin)),
    };
    if let (Number::Fixed(first), Number::Fixed(last)) = (&first, &last) {
        return fixed_ports(*first, *last).map(Ports::Fixed).map_err(|error| Problem::Range(error).at(begin));
    }
    Ok(Ports::Range(first, last))
}

/// Ports that fit: whoever read the numbers saw to it.
pub(super) fn fixed_ports(first: u32, last: u32) -> Result<PortRange, crate::Error> {
    let port = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
    PortRange::new(port(first), port(last))
}

fn addresses(begin: usize, atoms: &[Placed]) -> Result<Addresses, At> {
    match split(atoms, '-', begin).as_slice() {
        [_] => {}
        [(at, first), (behind, last)] => {
            there(*at, first, "first address", "192.0.2.1-192.0.2.9")?;
            there(*behind, last, "last address", "192.0.2.1-192.0.2.9")?;
            return Ok(Addresses::Range(begin, address(*at, first)?, address(*behind, last)?));
        }
        _ => return Err(Problem::Addresses.at(begin)),
    }
    match split(atoms, '/', begin).as_slice() {
        [(at, one)] => Ok(Addresses::One(begin, address(*at, one)?)),
        [(at, network), (behind, prefix)] => {
            let network = address(*at, network)?;
            there(*behind, prefix, "length of the prefix", "192.0.2.0/24")?;
            let prefix = decimal(*behind, prefix, network.bits())?;
            Ok(Addresses::Network(begin, network, prefix))
        }
        _ => Err(Problem::Addresses.at(begin)),
    }
}

/// Refuses a part that is not there.
fn there(begin: usize, atoms: &[Placed], what: &'static str, such: &'static str) -> Result<(), At> {
    if atoms.is_empty() { Err(Problem::Missing { what, such }.at(begin)) } else { Ok(()) }
}

fn address(begin: usize, atoms: &[Placed]) -> Result<Address, At> {
    if let [(_, Atom::Variable(variable))] = atoms {
        return Ok(Address::Variable(variable.clone()));
    }
    if let Some(text) = literal(atoms) {
        let address = text.parse::<IpAddr>().map_err(|_| Problem::Addresses.at(begin))?;
        if crate::address::is_mapped(address) {
            return Err(Problem::Range(crate::Error::Mapped { address }).at(begin));
        }
        return Ok(Address::Fixed(address));
    }
    if atoms.iter().any(|(_, atom)| *atom == Atom::Char(':')) {
        return v6(begin, atoms);
    }
    let octets = split(atoms, '.', begin);
    let octets: Vec<Number> =
        octets.into_iter().map(|(at, octet)| decimal(at, octet, 255)).collect::<Result<_, _>>()?;
    if octets.len() != 4 {
        return Err(Problem::Addresses.at(begin));
    }
    Ok(Address::V4(octets))
}

/// Groups of RFC 4291 §2.2, without an IPv4 address at the end.
fn v6(begin: usize, atoms: &[Placed]) -> Result<Address, At> {
    let colon = |atom: &Placed| atom.1 == Atom::Char(':');
    let gap = atoms.windows(2).position(|pair| pair.iter().all(colon));
    let (before, behind) = match gap {
        Some(gap) => (atoms.get(..gap).unwrap_or_default(), atoms.get(gap + 2..).unwrap_or_default()),
        None => (atoms, [].as_slice()),
    };
    let groups = |part: &[Placed]| -> Result<Vec<Number>, At> {
        if part.is_empty() {
            return Ok(Vec::new());
        }
        split(part, ':', begin).into_iter().map(|(at, group)| hexadecimal(at, group)).collect()
    };
    let (before, behind) = (groups(before)?, groups(behind)?);
    let count = before.len() + behind.len();
    if (gap.is_none() && count != 8) || (gap.is_some() && count > 7) {
        return Err(Problem::Addresses.at(begin));
    }
    Ok(Address::V6(before, behind))
}

fn decimal(begin: usize, atoms: &[Placed], most: u32) -> Result<Number, At> {
    number(begin, atoms, most, read_decimal)
}

fn hexadecimal(begin: usize, atoms: &[Placed]) -> Result<Number, At> {
    number(begin, atoms, 0xffff, read_hexadecimal)
}

/// Digits without sign or leading zero.
pub(super) fn read_decimal(text: &str) -> Option<u32> {
    let plain = text == "0" || (!text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()));
    plain.then(|| text.parse().ok()).flatten()
}

/// One to four digits.
pub(super) fn read_hexadecimal(text: &str) -> Option<u32> {
    let plain = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    plain.then(|| u32::from_str_radix(text, 16).ok()).flatten()
}

fn number(begin: usize, atoms: &[Placed], most: u32, read: impl Fn(&str) -> Option<u32>) -> Result<Number, At> {
    if let [(_, Atom::Variable(variable))] = atoms {
        return Ok(Number::Variable(variable.clone()));
    }
    there(begin, atoms, "number", "0")?;
    let Some(text) = literal(atoms) else {
        let at = atoms.iter().find(|(_, atom)| matches!(atom, Atom::Variable(_))).map_or(begin, |(at, _)| *at);
        return Err(Problem::Piece.at(at));
    };
    match read(&text).filter(|number| *number <= most) {
        Some(number) => Ok(Number::Fixed(number)),
        None => Err(Problem::Number { found: excerpt(&text), most }.at(begin)),
    }
}

/// What was written, for an error.
fn shown(atoms: &[Placed]) -> String {
    atoms
        .iter()
        .map(|(_, atom)| match atom {
            Atom::Char(c) => c.to_string(),
            Atom::Variable(variable) => format!("${{{}}}", variable.name),
        })
        .collect()
}

impl Number {
    pub(super) fn variable(&self) -> Option<&Variable> {
        match self {
            Self::Fixed(_) => None,
            Self::Variable(variable) => Some(variable),
        }
    }
}

impl Address {
    /// The longest prefix: that of IPv6 where a variable says which family it is.
    fn bits(&self) -> u32 {
        match self {
            Self::V4(_) | Self::Fixed(IpAddr::V4(_)) => 32,
            Self::V6(..) | Self::Variable(_) | Self::Fixed(IpAddr::V6(_)) => 128,
        }
    }

    fn each_variable<'a>(&'a self, seen: &mut impl FnMut(&'a Variable)) {
        match self {
            Self::Fixed(_) => {}
            Self::Variable(variable) => seen(variable),
            Self::V4(octets) => octets.iter().filter_map(Number::variable).for_each(seen),
            Self::V6(before, behind) => before.iter().chain(behind).filter_map(Number::variable).for_each(seen),
        }
    }
}

impl Addresses {
    pub(super) fn each_variable<'a>(&'a self, seen: &mut impl FnMut(&'a Variable)) {
        match self {
            Self::One(_, address) => address.each_variable(seen),
            Self::Network(_, address, prefix) => {
                address.each_variable(seen);
                prefix.variable().into_iter().for_each(seen);
            }
            Self::Range(_, first, last) => {
                first.each_variable(seen);
                last.each_variable(seen);
            }
        }
    }
}
