//! The header in which an AWS application load balancer passes a client's certificate on.

use keyward_svid::pki_types::CertificateDer;
use keyward_svid::x509::chain_from_pem;

use crate::Refusal;

/// The longest header that is read, in bytes.
pub const MAX_HEADER_BYTES: usize = 64 * 1024;

/// Reads `X-Amzn-Mtls-Clientcert`: in passthrough mode it is "the entire client certificate chain presented in the
/// connection" as PEM, URL-encoded with `+`, `=` and `/` as safe characters. The leaf comes first.
///
/// # Errors
/// [`Refusal::HeaderMalformed`].
pub fn chain_from_header(value: &[u8]) -> Result<Vec<CertificateDer<'static>>, Refusal> {
    let malformed = |problem| Refusal::HeaderMalformed { problem };
    if value.len() > MAX_HEADER_BYTES {
        return Err(malformed("it is longer than 65536 bytes"));
    }
    let text = decode(value).ok_or(malformed("it is not URL-encoded"))?;
    let text = String::from_utf8(text).map_err(|_| malformed("it is not text"))?;
    // Only certificates, one after the other: nothing before, between or after them.
    let (mut rest, mut sections) = (text.trim(), 0_usize);
    while !rest.is_empty() {
        let inner =
            rest.strip_prefix("-----BEGIN CERTIFICATE-----").ok_or(malformed("it is not PEM of certificates"))?;
        let (_, after) =
            inner.split_once("-----END CERTIFICATE-----").ok_or(malformed("it is not PEM of certificates"))?;
        (rest, sections) = (after.trim_start(), sections + 1);
    }
    let chain = chain_from_pem(&text).map_err(|_| malformed("it is not PEM of certificates"))?;
    if chain.len() != sections {
        return Err(malformed("it is not PEM of certificates"));
    }
    Ok(chain)
}

/// RFC 3986 §2.1. What the balancer leaves as it is are unreserved characters, `+`, `=` and `/`.
fn decode(value: &[u8]) -> Option<Vec<u8>> {
    let nibble = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut text = Vec::with_capacity(value.len());
    let mut bytes = value.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => text.push(nibble(bytes.next()?)? << 4 | nibble(bytes.next()?)?),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'+' | b'=' | b'/' => text.push(byte),
            _ => return None,
        }
    }
    Some(text)
}
