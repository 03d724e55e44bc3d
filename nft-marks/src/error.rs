//! Why a value was refused, and what to write instead.

use std::net::IpAddr;

use keyward_config_values::{ErrorKind, Quoted};

use crate::address::Shown;
use crate::mark::Hex;
use crate::{Class, Mask, PortRange, Protocol};

/// A value that was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not a mask.
    #[error("{}: not a mask; write one such as `0x0f000000`", Quoted(.input))]
    MaskForm {
        /// What was written.
        input: String,
    },
    /// A mask that has no room for the classes, or leaves none to others.
    #[error("the mask `{}` has {} bits; write one with 2 to 31, such as `0x0f000000`", Hex(*.mask), .mask.count_ones())]
    MaskSize {
        /// The mask.
        mask: u32,
    },
    /// Not a mark.
    #[error("{}: not a mark; write value and mask, such as `0x100/0x100`", Quoted(.input))]
    MarkForm {
        /// What was written.
        input: String,
    },
    /// A mark of nothing.
    #[error("a mark of 0 is that of every unmarked packet; write one such as `0x100/0x100`")]
    MarkZero,
    /// A mark that no packet can have.
    #[error("the mark `{}` has bits outside its mask `{}`, so that no packet matches; write a mask that covers it", Hex(*.value), Hex(*.mask))]
    MarkOutside {
        /// The value.
        value: u32,
        /// The mask.
        mask: u32,
    },
    /// The value of a class is no part of the mask.
    #[error("the value `{}` of the class `{class}` is not a part of the mask `{mask}`; write one between, other than 0", Hex(*.value))]
    ClassValue {
        /// The class.
        class: Class,
        /// Its value.
        value: u32,
        /// The mask.
        mask: Mask,
    },
    /// Two classes with one value.
    #[error("the classes `{class}` and `{other}` have the same value `{}`; give each its own", Hex(*.value))]
    ClassTwice {
        /// The one.
        class: Class,
        /// The other.
        other: Class,
        /// The value of both.
        value: u32,
    },
    /// Not a protocol.
    #[error("{}: not a protocol; write `tcp`, `udp`, `sctp` or `icmp`", Quoted(.input))]
    Protocol {
        /// What was written.
        input: String,
    },
    /// Not the name of an interface.
    #[error(
        "{}: not the name of an interface; write 1 to 15 letters, digits, `_`, `-` and `.`, such as `kw0`, or with a star at its end, `kw*`",
        Quoted(.input)
    )]
    Interface {
        /// What was written.
        input: String,
    },
    /// Not ports.
    #[error("{}: not a port or a range of ports; write numbers from 0 to 65535, such as `443` or `8000-8010`", Quoted(.input))]
    Ports {
        /// What was written.
        input: String,
    },
    /// The higher port first.
    #[error("the ports `{first}-{last}` are reversed; write the lower port first")]
    PortsReversed {
        /// The first of them.
        first: u16,
        /// The last of them.
        last: u16,
    },
    /// Ports of a protocol that has none.
    #[error("`{protocol}` has no ports; leave `{ports}` out")]
    NoPorts {
        /// The protocol.
        protocol: Protocol,
        /// The ports.
        ports: PortRange,
    },
    /// The higher address first.
    #[error("the range `{}-{}` is reversed; write the lower address first", Shown(*.first), Shown(*.last))]
    AddressesReversed {
        /// The first of them.
        first: IpAddr,
        /// The last of them.
        last: IpAddr,
    },
    /// From one family to the other.
    #[error(
        "the range `{}-{}` begins in one address family and ends in the other; write two addresses of the same",
        Shown(*.first), Shown(*.last)
    )]
    Families {
        /// The first of them.
        first: IpAddr,
        /// The last of them.
        last: IpAddr,
    },
    /// An IPv4 address in IPv6 clothes (RFC 4291 §2.5.5.2).
    #[error("`{address}` is an IPv4 address mapped into IPv6; write `{}`", .address.to_canonical())]
    Mapped {
        /// The address.
        address: IpAddr,
    },
}

impl Error {
    /// Always [`ErrorKind::Malformed`]: a value either has the right form or it has not.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Malformed
    }
}
