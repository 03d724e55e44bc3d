//! The table as nft lists it.

use std::fmt;

use super::{FAMILY, NAME, SetName, Table};
use crate::Range;
use crate::address::Addresses;

/// Whether the host's nft knows the names of protocols: it does where there is a file `/etc/protocols`. Without it nft lists
/// numbers, and does not load every name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ProtocolNames {
    /// `tcp`.
    #[default]
    Known,
    /// `6`.
    Unknown,
}

/// An element of a set.
pub(crate) struct Element<'a>(pub(crate) SetName, pub(crate) &'a Range, pub(crate) ProtocolNames);

impl fmt::Display for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(set, range, names) = self;
        let last = if set.networks.is_some() { range.first() } else { range.last() };
        write!(f, "{} . ", Addresses(range.first(), last))?;
        match names {
            ProtocolNames::Known => f.write_str(range.protocol().nft(set.v6))?,
            ProtocolNames::Unknown => range.protocol().number(set.v6).fmt(f)?,
        }
        write!(f, " . {}", range.ports())
    }
}

pub(crate) struct Listing<'a> {
    pub(crate) table: &'a Table,
    pub(crate) names: ProtocolNames,
    /// Whether the sets have their elements.
    pub(crate) elements: bool,
}

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Table { sets, chains, foreign } = self.table;
        writeln!(f, "table {FAMILY} {NAME} {{")?;
        let mut separator = "";
        for text in foreign {
            writeln!(f, "{separator}\t{text}")?;
            separator = "\n";
        }
        for set in sets {
            f.write_str(separator)?;
            separator = "\n";
            writeln!(f, "\tset {} {{", set.name)?;
            writeln!(f, "\t\ttype {} . inet_proto . inet_service", set.name.addresses())?;
            if set.name.networks.is_none() {
                writeln!(f, "\t\tflags interval")?;
            }
            let elements = if self.elements { set.listed() } else { Vec::new() };
            for (place, range) in elements.iter().enumerate() {
                f.write_str(if place == 0 { "\t\telements = { " } else { ",\n\t\t\t     " })?;
                Element(set.name, range, self.names).fmt(f)?;
            }
            f.write_str(if elements.is_empty() { "\t}\n" } else { " }\n\t}\n" })?;
        }
        for chain in chains {
            f.write_str(separator)?;
            separator = "\n";
            writeln!(f, "\tchain {} {{", chain.name)?;
            if let Some(base) = &chain.base {
                writeln!(f, "\t\t{base}")?;
            }
            for rule in &chain.rules {
                writeln!(f, "\t\t{rule}")?;
            }
            f.write_str("\t}\n")?;
        }
        f.write_str("}\n")
    }
}
