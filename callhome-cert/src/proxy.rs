//! The PROXY protocol, version 2, as a load balancer in front of TCP speaks it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::{ClientCertificates, ProxyProtocol};

/// The longest header that is read, in bytes: addresses and what load balancers add fit in a fraction of it.
pub const MAX_PROXY_HEADER: usize = 2048;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and protocol, length.
const FIXED: usize = 16;
/// `PP2_TYPE_CRC32C` (§2.2.3).
const CRC32C: u8 = 0x03;

/// Whom a header speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyAddress {
    /// The load balancer itself, for its health checks (`LOCAL`): the address is that of the socket.
    Local,
    /// The client whose connection it passes on.
    Client(IpAddr),
}

/// A header that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProxyHeader {
    /// Whom it speaks of.
    pub address: ProxyAddress,
    /// How many bytes it has; what follows is the connection.
    pub length: usize,
}

/// Why a connection is closed before it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// It does not begin with a header of version 2.
    #[error("the connection does not begin with a PROXY header of version 2")]
    Missing,
    /// It begins with a header, and none is expected.
    #[error("the connection begins with a PROXY header, and `proxy-protocol` is `forbidden`")]
    Forbidden,
    /// It comes from elsewhere than the configured load balancers.
    #[error("a PROXY header is accepted from `lb-addresses` alone")]
    Stranger,
    /// It is longer than [`MAX_PROXY_HEADER`].
    #[error("the PROXY header is longer than {MAX_PROXY_HEADER} bytes")]
    TooLong,
    /// It is none that the protocol knows, or not for TCP.
    #[error("the PROXY header is malformed: {0}")]
    Malformed(&'static str),
    /// Its checksum is wrong.
    #[error("the checksum of the PROXY header is wrong")]
    Checksum,
}

impl ProxyError {
    /// A word for logs and programs, which does not change.
    pub fn code(self) -> &'static str {
        match self {
            Self::Missing => "proxy-missing",
            Self::Forbidden => "proxy-forbidden",
            Self::Stranger => "proxy-from-stranger",
            Self::TooLong => "proxy-too-long",
            Self::Malformed(_) => "proxy-malformed",
            Self::Checksum => "proxy-checksum",
        }
    }
}

/// How many bytes are missing of a header of which these have arrived, as far as they say: what may be read from the
/// connection without reading any of what follows the header.
pub fn missing_proxy_bytes(beginning: &[u8]) -> usize {
    match beginning.split_first_chunk::<FIXED>() {
        Some((&[.., high, low], rest)) => usize::from(u16::from_be_bytes([high, low])).saturating_sub(rest.len()),
        None => FIXED - beginning.len(),
    }
}

/// Reads the header at the beginning of a connection, as far as it has arrived: `None` means that more bytes are needed, of
/// at most [`MAX_PROXY_HEADER`]. Give a client little time for them.
///
/// # Errors
/// As soon as the bytes cannot become a header: [`ProxyError::Missing`], [`ProxyError::TooLong`], [`ProxyError::Malformed`],
/// [`ProxyError::Checksum`].
pub fn read_proxy_header(bytes: &[u8]) -> Result<Option<ProxyHeader>, ProxyError> {
    let compared = bytes.len().min(SIGNATURE.len());
    if bytes.get(..compared) != SIGNATURE.get(..compared) {
        return Err(ProxyError::Missing);
    }
    let Some((&[.., version_command, family, high, low], _)) = bytes.split_first_chunk::<FIXED>() else {
        return Ok(None);
    };
    let length = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_PROXY_HEADER {
        return Err(ProxyError::TooLong);
    }
    let Some(header) = bytes.get(..length) else { return Ok(None) };
    let body = header.get(FIXED..).unwrap_or_default();
    let (address, additions) = match (version_command, family) {
        // §2.2: for LOCAL "the receiver … must discard the protocol block".
        (0x20, _) => (ProxyAddress::Local, skip_addresses(family, body)?),
        (0x21, 0x11) => {
            let (addresses, additions) = body.split_first_chunk::<12>().ok_or(TOO_SHORT)?;
            let [a, b, c, d, ..] = *addresses;
            (ProxyAddress::Client(IpAddr::V4(Ipv4Addr::new(a, b, c, d))), additions)
        }
        (0x21, 0x21) => {
            let (addresses, additions) = body.split_first_chunk::<36>().ok_or(TOO_SHORT)?;
            let source = addresses.first_chunk::<16>().ok_or(TOO_SHORT)?;
            (ProxyAddress::Client(IpAddr::V6(Ipv6Addr::from(*source)).to_canonical()), additions)
        }
        (0x21, _) => return Err(ProxyError::Malformed("it is not of TCP over IPv4 or IPv6")),
        _ => return Err(ProxyError::Malformed("its version or command is unknown")),
    };
    check_additions(header, additions)?;
    Ok(Some(ProxyHeader { address, length }))
}

const TOO_SHORT: ProxyError = ProxyError::Malformed("it is too short for its addresses");

/// What follows the addresses, of which a LOCAL header may have any.
fn skip_addresses(family: u8, body: &[u8]) -> Result<&[u8], ProxyError> {
    let length = match family >> 4 {
        0 => return Ok(&[]),
        1 => 12,
        2 => 36,
        3 => 216,
        _ => return Err(ProxyError::Malformed("its address family is unknown")),
    };
    body.get(length..).ok_or(TOO_SHORT)
}

/// §2.2: type, length and value, one after the other; a checksum among them is checked.
fn check_additions(header: &[u8], additions: &[u8]) -> Result<(), ProxyError> {
    const BROKEN: ProxyError = ProxyError::Malformed("what follows its addresses is cut off");
    let mut rest = additions;
    let mut checked = false;
    while !rest.is_empty() {
        let (&[kind, high, low], after) = rest.split_first_chunk::<3>().ok_or(BROKEN)?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (value, next) = after.split_at_checked(length).ok_or(BROKEN)?;
        if kind == CRC32C {
            let value: [u8; 4] =
                value.try_into().map_err(|_| ProxyError::Malformed("its checksum is not of 4 bytes"))?;
            if checked {
                return Err(ProxyError::Malformed("it has two checksums"));
            }
            checked = true;
            // The field itself counts as zeros.
            let place = header.len() - after.len();
            let (before, behind) = header.split_at_checked(place).ok_or(BROKEN)?;
            let sum = [before, &[0; 4], behind.get(4..).unwrap_or_default()];
            if crc32c(sum.into_iter().flatten().copied()) != u32::from_be_bytes(value) {
                return Err(ProxyError::Checksum);
            }
        }
        rest = next;
    }
    Ok(())
}

/// CRC-32C (Castagnoli; RFC 9260 appendix A).
fn crc32c(bytes: impl Iterator<Item = u8>) -> u32 {
    const REVERSED: u32 = 0x82f6_3b78;
    !bytes.fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ REVERSED } else { sum >> 1 })
    })
}

/// Whose connection it is, by the rules of this listener: a header is required from everybody or forbidden to everybody, and
/// required ones come from the configured load balancers.
///
/// `beginning` are the first bytes of the connection; the second value is how many of them are the header's, and `None` means
/// that more are needed.
///
/// # Errors
/// [`ProxyError`].
pub fn proxied_source(
    settings: &ClientCertificates,
    peer: IpAddr,
    beginning: &[u8],
) -> Result<Option<(IpAddr, usize)>, ProxyError> {
    match settings.proxy_protocol {
        ProxyProtocol::Forbidden if beginning.starts_with(&SIGNATURE) => Err(ProxyError::Forbidden),
        ProxyProtocol::Forbidden => Ok(Some((peer.to_canonical(), 0))),
        ProxyProtocol::Required => {
            if !settings.lb_addresses.iter().any(|balancer| balancer.contains(peer)) {
                return Err(ProxyError::Stranger);
            }
            Ok(read_proxy_header(beginning)?.map(|header| match header.address {
                ProxyAddress::Local => (peer.to_canonical(), header.length),
                ProxyAddress::Client(source) => (source, header.length),
            }))
        }
    }
}
