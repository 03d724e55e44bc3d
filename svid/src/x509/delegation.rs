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

/// The extension's object identifier: a random UUID under 2.25 (ITU-T X.667 §6.3).
pub const OBJECT_IDENTIFIER: &str = "2.25.196551979888090776565355559270773051085";

/// [`OBJECT_IDENTIFIER`] as the content of its DER element.
pub(super) const OID: &[u8] = &[
    0x69, 0x82, 0xa7, 0xde, 0xc4, 0xb3, 0x8e, 0x8a, 0xaa, 0xb7, 0xe7, 0xb2, 0xb2, 0xa7, 0xbf, 0x93, 0xed, 0xe9, 0x9d,
    0x4d,
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
