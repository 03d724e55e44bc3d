//! The PROXY protocol, beside another reader of it.

use std::net::{IpAddr, SocketAddr};

use keyward_callhome_cert::{
    ClientCertificates, MAX_PROXY_HEADER, ProxyAddress, ProxyError, ProxyProtocol, proxied_source, read_proxy_header,
};
use proptest::prelude::*;
use proxy_header::{ParseConfig, ProxiedAddress, ProxyHeader as Foreign};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn header(version_command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[version_command, family], &length, body].concat()
}

fn foreign(source: &str, destination: &str) -> Vec<u8> {
    let address = ProxiedAddress::stream(source.parse().unwrap(), destination.parse().unwrap());
    let mut bytes = Vec::new();
    Foreign::with_address(address).encode_v2(&mut bytes).unwrap();
    bytes
}

/// CRC-32C by its definition: division of polynomials, bit by bit, most significant first.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut sum = !0_u32;
    for byte in bytes {
        for bit in 0..8 {
            let feedback = (sum >> 31) ^ u32::from(byte >> bit & 1);
            sum = sum << 1 ^ if feedback == 1 { 0x1edc_6f41 } else { 0 };
        }
    }
    !sum.reverse_bits()
}

fn with_checksum(mut header: Vec<u8>, error: u32) -> Vec<u8> {
    let length = u16::from_be_bytes([header[14], header[15]]) + 7;
    header[14..16].copy_from_slice(&length.to_be_bytes());
    header.extend([3, 0, 4, 0, 0, 0, 0]);
    let sum = crc32c(&header) ^ error;
    let place = header.len() - 4;
    header[place..].copy_from_slice(&sum.to_be_bytes());
    header
}

fn source(bytes: &[u8]) -> Result<IpAddr, ProxyError> {
    match read_proxy_header(bytes)?.expect("whole").address {
        ProxyAddress::Client(address) => Ok(address),
        ProxyAddress::Local => panic!("local"),
    }
}

#[test]
fn the_checksum_is_the_known_one() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}

#[test]
fn clients_are_read() {
    for address in ["192.0.2.7:4711", "[2001:db8::7]:4711"] {
        let destination = if address.starts_with('[') { "[2001:db8::1]:443" } else { "198.51.100.1:443" };
        let bytes = foreign(address, destination);
        let expected = address.parse::<SocketAddr>().unwrap().ip();
        assert_eq!(source(&bytes), Ok(expected));
        assert_eq!(source(&with_checksum(bytes.clone(), 0)), Ok(expected));
        assert_eq!(source(&with_checksum(bytes.clone(), 1)), Err(ProxyError::Checksum));
        // What follows is not the header's.
        let read = read_proxy_header(&[&bytes[..], b"\x16\x03\x01"].concat()).unwrap().unwrap();
        assert_eq!(read.length, bytes.len());
        // Every beginning asks for more.
        for end in 0..bytes.len() {
            assert_eq!(read_proxy_header(&bytes[..end]), Ok(None), "{end}");
        }
    }
}

#[test]
fn a_changed_byte_is_noticed_where_there_is_a_checksum() {
    let bytes = with_checksum(foreign("192.0.2.7:4711", "198.51.100.1:443"), 0);
    for place in 16..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[place] ^= 1 << bit;
            let result = read_proxy_header(&changed);
            // A checksum whose type is changed is no checksum any more.
            let is_type = place == bytes.len() - 7;
            assert!(result.is_err() || is_type, "{place} {bit}: {result:?}");
        }
    }
}

#[test]
fn health_checks_are_the_balancers_own() {
    let local = |header: &[u8]| read_proxy_header(header).unwrap().unwrap().address;
    assert_eq!(local(&header(0x20, 0, &[])), ProxyAddress::Local);
    assert_eq!(local(&header(0x20, 0x11, &[9; 12])), ProxyAddress::Local);
    assert_eq!(local(&header(0x20, 0, b"anything")), ProxyAddress::Local);
}

#[test]
fn what_is_no_header() {
    use ProxyError as E;
    let addresses = [0; 12];
    let with = |additions: &[u8]| header(0x21, 0x11, &[&addresses[..], additions].concat());
    let twice = with_checksum(with_checksum(with(&[]), 0), 0);
    for (bytes, error) in [
        (b"GET / HTTP/1.1\r\n".to_vec(), E::Missing),
        (b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\n".to_vec(), E::Missing),
        (b"\x16\x03\x01\x02".to_vec(), E::Missing),
        (header(0x11, 0x11, &addresses), E::Malformed("its version or command is unknown")),
        (header(0x22, 0x11, &addresses), E::Malformed("its version or command is unknown")),
        (header(0x21, 0x00, &addresses), E::Malformed("it is not of TCP over IPv4 or IPv6")),
        (header(0x21, 0x12, &addresses), E::Malformed("it is not of TCP over IPv4 or IPv6")),
        (header(0x21, 0x31, &[0; 216]), E::Malformed("it is not of TCP over IPv4 or IPv6")),
        (header(0x21, 0x11, &addresses[1..]), E::Malformed("it is too short for its addresses")),
        (header(0x21, 0x21, &[0; 35]), E::Malformed("it is too short for its addresses")),
        (with(&[3, 0]), E::Malformed("what follows its addresses is cut off")),
        (with(&[3, 0, 4, 1, 2, 3]), E::Malformed("what follows its addresses is cut off")),
        (with(&[3, 0, 3, 1, 2, 3]), E::Malformed("its checksum is not of 4 bytes")),
        (twice, E::Checksum),
        (header(0x21, 0x11, &vec![0; MAX_PROXY_HEADER]), E::TooLong),
    ] {
        assert_eq!(read_proxy_header(&bytes), Err(error), "{bytes:?}");
    }
}

#[test]
fn a_listener_requires_headers_or_forbids_them() {
    let mut settings = ClientCertificates::default();
    let bytes = foreign("192.0.2.7:4711", "198.51.100.1:443");
    let (balancer, client): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "192.0.2.7".parse().unwrap());
    assert_eq!(proxied_source(&settings, balancer, &bytes), Err(ProxyError::Forbidden));
    assert_eq!(proxied_source(&settings, client, b"\x16"), Ok(Some((client, 0))));

    settings.proxy_protocol = ProxyProtocol::Required;
    settings.lb_addresses = vec!["10.0.0.0/24".parse().unwrap()];
    assert_eq!(proxied_source(&settings, client, &bytes), Err(ProxyError::Stranger));
    assert_eq!(proxied_source(&settings, balancer, b"\x16\x03"), Err(ProxyError::Missing));
    assert_eq!(proxied_source(&settings, balancer, &bytes[..20]), Ok(None));
    assert_eq!(proxied_source(&settings, balancer, &bytes), Ok(Some((client, bytes.len()))));
    let local = header(0x20, 0, &[]);
    assert_eq!(proxied_source(&settings, balancer, &local), Ok(Some((balancer, 16))));
}

proptest! {
    /// Where both read a header, both read the same; where we refuse, the other may be more lenient.
    #[test]
    fn another_reader_agrees(command in 0x1f_u8..0x23, family in prop::sample::select(vec![0, 0x11, 0x12, 0x21, 0x31]),
                             body in prop::collection::vec(any::<u8>(), 0..60)) {
        let bytes = header(command, family, &body);
        if let Ok(Some(read)) = read_proxy_header(&bytes) {
            let (foreign, length) = Foreign::parse(&bytes, ParseConfig::default()).unwrap();
            prop_assert_eq!(length, read.length);
            let theirs = foreign.proxied_address().map(|address| address.source.ip().to_canonical());
            let ours = match read.address { ProxyAddress::Client(address) => Some(address), ProxyAddress::Local => None };
            if ours.is_some() {
                prop_assert_eq!(ours, theirs);
            }
        }
    }
}
