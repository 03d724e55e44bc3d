//! PEM (RFC 7468 §2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;

pub(super) fn certificates(chain: &[CertificateDer<'_>]) -> String {
    chain.iter().map(|certificate| encode("CERTIFICATE", certificate)).collect()
}

pub(super) fn encode(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at_checked(64).unwrap_or((rest, ""));
        pem.push_str(line);
        pem.push('\n');
        rest = tail;
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}

/// The content of a text that is one PEM section with one of these labels and nothing else but white space around it
/// (RFC 7468 §3).
pub(super) fn decode_one(text: &str, labels: &[&str]) -> Option<Vec<u8>> {
    let text = text.trim();
    let body = labels.iter().find_map(|label| {
        let body = text.strip_prefix(&*format!("-----BEGIN {label}-----"))?;
        body.strip_suffix(&*format!("-----END {label}-----"))
    })?;
    let base64: String = body.split_ascii_whitespace().collect();
    STANDARD.decode(base64).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for length in [0, 1, 48, 49, 200] {
            let der = vec![7; length];
            let text = encode("A", &der);
            assert!(text.lines().all(|line| line.len() <= 64));
            assert_eq!(decode_one(&text, &["B", "A"]), Some(der.clone()));
            assert_eq!(decode_one(&text.replace('\n', "\r\n"), &["A"]), Some(der));
            assert_eq!(decode_one(&text, &["B"]), None);
            assert_eq!(decode_one(&text.repeat(2), &["A"]), None);
            assert_eq!(decode_one(&format!("x{text}"), &["A"]), None);
        }
    }
}
