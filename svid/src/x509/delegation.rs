//! Delegation: the SPIFFE IDs that certificates below an intermediate authority may bear.
//!
//! A private, non-critical extension of the intermediate's certificate, [`OBJECT_IDENTIFIER`], whose value is a DER
//! `SEQUENCE SIZE (1..64) OF UTF8String` of [`Pattern`]s. Every leaf below such a certificate has an ID that one of them
//! matches; [`X509Verifier`](super::X509Verifier) sees to it in both its modes. (The name constraints of RFC 5280
//! §4.2.1.10 look at the host of a URI alone, and cannot tell the workloads of one trust domain apart.) It is not
//! critical, so that verifiers that do not know it can use the chain; they then trust the authority above to have
//! delegated to somebody who keeps to it.

use keyward_spiffe_id::Pattern;

use super::der::{NotDer, Reader, Writer, tag};

/// The extension's object identifier: a random UUID in parts of at most 24 bits, under the arc that Microsoft gives away for
/// identifiers made so. Under 2.25 (ITU-T X.667 §6.3) it would be one number of 128 bits, and Go's certificate parser
/// refuses any certificate with an identifier that has a part above 31 bits, critical or not.
pub const OBJECT_IDENTIFIER: &str = "1.2.840.113556.1.8000.2554.37854.35020.28837.19955.45668.10352957.12209869";

/// [`OBJECT_IDENTIFIER`] as the content of its DER element.
pub(super) const OID: &[u8] = &[
    0x2a, 0x86, 0x48, 0x86, 0xf7, 0x14, 0x01, 0xbe, 0x40, 0x93, 0x7a, 0x82, 0xa7, 0x5e, 0x82, 0x91, 0x4c, 0x81, 0xe1,
    0x25, 0x81, 0x9b, 0x73, 0x82, 0xe4, 0x64, 0x84, 0xf7, 0xf2, 0x3d, 0x85, 0xe9, 0x9d, 0x4d,
];

/// The most patterns of one delegation.
pub(super) const MAX_PATTERNS: usize = 64;

/// Writes the value.
pub(super) fn encode(patterns: &[Pattern], der: &mut Writer) {
    der.sequence(|value| {
        for pattern in patterns {
            value.element(tag::UTF8_STRING, pattern.as_str().as_bytes());
        }
    });
}

/// Reads the value; none or too many patterns, and what is no pattern, are refused.
pub(super) fn decode(value: &[u8]) -> Result<Vec<Pattern>, NotDer> {
    let mut reader = Reader::new(value);
    let mut elements = reader.inside(tag::SEQUENCE)?;
    reader.finish()?;
    let mut patterns = Vec::new();
    while !elements.is_empty() {
        let text = std::str::from_utf8(elements.expect(tag::UTF8_STRING)?).map_err(|_| NotDer)?;
        patterns.push(text.parse().map_err(|_| NotDer)?);
    }
    if (1..=MAX_PATTERNS).contains(&patterns.len()) { Ok(patterns) } else { Err(NotDer) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(patterns: &[&str]) -> Vec<u8> {
        let patterns: Vec<Pattern> = patterns.iter().map(|pattern| pattern.parse().unwrap()).collect();
        let mut der = Writer::default();
        encode(&patterns, &mut der);
        der.into_bytes()
    }

    #[test]
    fn no_part_of_the_identifier_is_too_large_for_others() {
        let mut parts: Vec<u64> = vec![0];
        for byte in OID {
            let last = parts.last_mut().unwrap();
            *last = *last << 7 | u64::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                parts.push(0);
            }
        }
        assert_eq!(parts.pop(), Some(0));
        assert!(parts.iter().all(|part| *part < 1 << 31));
        let rest: String = parts[1..].iter().map(|part| format!(".{part}")).collect();
        assert_eq!(format!("{}.{}{rest}", parts[0] / 40, parts[0] % 40), OBJECT_IDENTIFIER);
    }

    #[test]
    fn what_is_written_is_read() {
        let patterns = ["spiffe://td.example/site-7/**", "spiffe://td.example/shared/*"];
        let read = decode(&encoded(&patterns)).unwrap();
        assert_eq!(read.iter().map(Pattern::as_str).collect::<Vec<_>>(), patterns);
    }

    #[test]
    fn none_too_many_and_others_are_refused() {
        assert_eq!(decode(&encoded(&[])), Err(NotDer));
        assert!(decode(&encoded(&["spiffe://td/*"; MAX_PATTERNS])).is_ok());
        assert_eq!(decode(&encoded(&["spiffe://td/*"; MAX_PATTERNS + 1])), Err(NotDer));
        let mut trailing = encoded(&["spiffe://td/*"]);
        trailing.push(0);
        assert_eq!(decode(&trailing), Err(NotDer));
        assert_eq!(decode(&[0x30, 3, 0x0c, 1, b'*']), Err(NotDer));
        assert_eq!(decode(&[0x30, 3, 0x0c, 1, 0xff]), Err(NotDer));
        assert_eq!(decode(b"\x30\x0f\x13\x0dspiffe://td/*"), Err(NotDer));
    }
}
