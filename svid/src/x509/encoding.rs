//! Certificates in files: PEM (RFC 7468), and DER one behind the other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};

use super::der::Reader;
use super::error::{CertificateProblem, Error};

/// The longest text or DER that is read, in bytes.
const MAX_DOCUMENT: usize = 1 << 20;

/// Reads the certificates of a PEM text in their order. Sections of other kinds, such as a private key, and text
/// between sections are passed over.
///
/// # Errors
/// When it is longer than 1 MiB, a section is broken, or there is no certificate in it.
pub fn chain_from_pem(text: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    within_limit(text.len())?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    chain.ok().filter(|chain| !chain.is_empty()).ok_or(Error::Pem)
}

/// Reads certificates in DER that stand one behind the other, as the Workload API has them. Only where one ends and the
/// next begins is looked at.
///
/// # Errors
/// When they are longer than 1 MiB, when there is none, or what is left is none.
pub fn chain_from_der_concat(der: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    within_limit(der.len())?;
    let mut reader = Reader::new(der);
    let mut chain = Vec::new();
    while !reader.is_empty() {
        let problem = Error::Certificate { position: chain.len() + 1, problem: CertificateProblem::NotDer };
        let one = reader.any().map_err(|_| problem)?;
        chain.push(CertificateDer::from(one.whole.to_vec()));
    }
    if chain.is_empty() { Err(Error::Empty) } else { Ok(chain) }
}

/// Writes a revocation list as PEM (RFC 7468 §6).
pub fn crl_to_pem(list: &CertificateRevocationListDer<'_>) -> String {
    to_pem("X509 CRL", list)
}

/// Writes certificates as PEM, in their order.
pub fn chain_to_pem<'a>(chain: impl IntoIterator<Item = &'a CertificateDer<'a>>) -> String {
    chain.into_iter().map(|certificate| to_pem("CERTIFICATE", certificate)).collect()
}

/// Writes one PEM section (RFC 7468 §2), lines ending in a line feed.
pub(super) fn to_pem(label: &str, der: &[u8]) -> String {
    const LINE: usize = 64;
    let base64 = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at_checked(LINE).unwrap_or((rest, ""));
        text.push_str(line);
        text.push('\n');
        rest = tail;
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

/// The content of a text that is one PEM section with one of these labels and nothing else but white space around it
/// (RFC 7468 §3).
pub(super) fn one_from_pem(text: &str, labels: &[&str]) -> Option<Vec<u8>> {
    let text = text.trim();
    let body = labels.iter().find_map(|label| {
        let body = text.strip_prefix(&*format!("-----BEGIN {label}-----"))?;
        body.strip_suffix(&*format!("-----END {label}-----"))
    })?;
    let base64: String = body.split_ascii_whitespace().collect();
    STANDARD.decode(base64).ok()
}

fn within_limit(length: usize) -> Result<(), Error> {
    if length > MAX_DOCUMENT { Err(Error::TooLarge { length, limit: MAX_DOCUMENT }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_and_back() {
        let chain: Vec<CertificateDer<'static>> = [0, 1, 47, 48, 49, 96, 1000]
            .map(|length| CertificateDer::from([vec![0x30, 0x82, 0, 0], vec![7; length]].concat()))
            .to_vec();
        let text = chain_to_pem(&chain);
        assert!(text.lines().all(|line| line.len() <= 64));
        assert_eq!(chain_from_pem(&text).unwrap(), chain);
        let among_others = format!("note\n-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n{text}note");
        assert_eq!(chain_from_pem(&among_others).unwrap(), chain);
    }

    #[test]
    fn what_is_no_pem() {
        for text in [
            "",
            "no pem",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "-----BEGIN CERTIFICATE-----\nAAAA\n",
            "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n",
        ] {
            assert_eq!(chain_from_pem(text), Err(Error::Pem), "{text}");
        }
        let long = " ".repeat(MAX_DOCUMENT + 1);
        assert_eq!(chain_from_pem(&long), Err(Error::TooLarge { length: long.len(), limit: MAX_DOCUMENT }));
    }

    #[test]
    fn der_one_behind_the_other() {
        let chain = chain_from_der_concat(&[0x30, 1, 7, 0x30, 0]).unwrap();
        assert_eq!(chain, [CertificateDer::from(vec![0x30, 1, 7]), CertificateDer::from(vec![0x30, 0])]);
        assert_eq!(chain_from_der_concat(&[]), Err(Error::Empty));
        let broken = Error::Certificate { position: 2, problem: CertificateProblem::NotDer };
        assert_eq!(chain_from_der_concat(&[0x30, 0, 0x30, 1]), Err(broken));
    }

    #[test]
    fn one_section_and_nothing_else() {
        for length in [0, 1, 48, 49, 200] {
            let der = vec![7; length];
            let text = to_pem("A", &der);
            assert_eq!(one_from_pem(&text, &["B", "A"]), Some(der.clone()));
            assert_eq!(one_from_pem(&text.replace('\n', "\r\n"), &["A"]), Some(der));
            assert_eq!(one_from_pem(&text, &["B"]), None);
            assert_eq!(one_from_pem(&text.repeat(2), &["A"]), None);
            assert_eq!(one_from_pem(&format!("x{text}"), &["A"]), None);
        }
    }
}
