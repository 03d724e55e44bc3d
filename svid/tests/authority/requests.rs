//! Certificate requests that are refused, and why.

use keyward_keys::{Algorithm, ErrorKind, KeyType, Signer as _};
use keyward_svid::x509::authority::CertificateRequest;
use proptest::prelude::*;

use crate::support::{ID, algorithms, signer};

/// DER with a length of any size.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = match content.len() {
        short @ 0..=0x7f => vec![short as u8],
        long => vec![0x82, (long >> 8) as u8, long as u8],
    };
    // Minimal lengths only.
    let length = if (0x80..0x100).contains(&content.len()) { vec![0x81, content.len() as u8] } else { length };
    [&[tag], length.as_slice(), content].concat()
}

const SAN: &[u8] = &[6, 3, 0x55, 0x1d, 17];
const KEY_USAGE: &[u8] = &[6, 3, 0x55, 0x1d, 15];

fn extension(oid: &[u8], value: &[u8]) -> Vec<u8> {
    element(0x30, &[oid, &element(4, value)].concat())
}

fn names(names: &[(u8, &str)]) -> Vec<u8> {
    let names: Vec<u8> = names.iter().flat_map(|(tag, name)| element(*tag, name.as_bytes())).collect();
    extension(SAN, &element(0x30, &names))
}

fn attribute(extensions: &[Vec<u8>]) -> Vec<u8> {
    let oid = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 14];
    element(0x30, &[&oid[..], &element(0x31, &element(0x30, &extensions.concat()))].concat())
}

/// A request with these attributes, correctly signed.
fn signed(attributes: &[Vec<u8>]) -> Vec<u8> {
    let signer = signer(KeyType::Ed25519, Algorithm::EdDsa);
    let spki = signer.public_key().to_spki_der();
    let info = element(0x30, &[&[2, 1, 0, 0x30, 0][..], &spki, &element(0xa0, &attributes.concat())].concat());
    let signature = [&[0][..], &signer.sign(&info).unwrap()].concat();
    element(0x30, &[&info[..], &[0x30, 5, 6, 3, 0x2b, 0x65, 0x70], &element(3, &signature)].concat())
}

fn told(attributes: &[Vec<u8>]) -> String {
    CertificateRequest::from_der(&signed(attributes)).unwrap_err().to_string()
}

#[test]
fn what_is_asked_for() {
    let request = CertificateRequest::from_der(&signed(&[])).unwrap();
    assert_eq!((request.requested_id(), request.requested_dns_names()), (None, &[][..]));
    let asked = [(0x86, ID), (0x82, "A.example"), (0x82, "a.example"), (0x87, "\u{1}\u{2}\u{3}\u{4}"), (0x81, "a@b")];
    let request = CertificateRequest::from_der(&signed(&[attribute(&[names(&asked)])])).unwrap();
    assert_eq!(request.requested_id().unwrap().as_str(), ID);
    assert_eq!(request.requested_dns_names(), ["a.example"]);
}

#[test]
fn what_is_twice_too_much_or_no_name() {
    let once = || attribute(&[names(&[(0x86, ID)])]);
    assert_eq!(told(&[once(), once()]), "the certificate request has an attribute or an extension twice");
    let twice = attribute(&[names(&[(0x86, ID)]), extension(KEY_USAGE, &[3, 2, 7, 0x80]), names(&[])]);
    assert_eq!(told(&[twice]), "the certificate request has an attribute or an extension twice");
    assert_eq!(
        told(&[attribute(&[names(&[(0x86, ID), (0x86, ID)])])]),
        "the certificate request asks for more than one URI"
    );
    for uri in ["https://td.example/", "spiffe://TD/a", "spiffe://td.example/a%20b", ""] {
        assert_eq!(
            told(&[attribute(&[names(&[(0x86, uri)])])]),
            "the certificate request asks for a URI that is no SPIFFE ID"
        );
    }
    assert_eq!(told(&[attribute(&[names(&[(0x82, "*.example")])])]), "`*.example` is not a DNS name");
    let many: Vec<String> = (0..33).map(|number| format!("h{number}.example")).collect();
    let many: Vec<(u8, &str)> = many.iter().map(|name| (0x82, name.as_str())).collect();
    assert_eq!(told(&[attribute(&[names(&many)])]), "33 DNS names were given, but 0 to 32 are allowed");
    let attributes: Vec<Vec<u8>> =
        (0..17).map(|number| element(0x30, &[&[6, 1, number][..], &[0x31, 0]].concat())).collect();
    assert_eq!(told(&attributes), "the certificate request has more than 16 attributes or extensions");
    assert!(CertificateRequest::from_der(&signed(&attributes[..16])).is_ok());
    // Two values where one is allowed.
    let oid = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 14];
    let two = element(0x30, &[&oid[..], &element(0x31, &[0x30, 0, 0x30, 0])].concat());
    assert_eq!(told(&[two]), "the certificate request is not DER of PKCS #10");
    assert_eq!(
        CertificateRequest::from_der(&[0; 16_385]).unwrap_err().to_string(),
        "the certificate request is longer than 16384 bytes"
    );
}

#[test]
fn who_has_not_the_key_asks_in_vain() {
    let mine = signer(KeyType::EcdsaP256, Algorithm::Es256);
    let theirs = keyward_keys::PrivateKey::generate(KeyType::EcdsaP256).unwrap();
    let error = CertificateRequest::sign(&mine, theirs.public_key(), None, [""; 0]).unwrap_err();
    assert_eq!(error.to_string(), "the key is not that of the certificate");

    let request = CertificateRequest::sign(&mine, mine.public_key(), None, ["a.example"]).unwrap();
    let mut forged = request.to_der().to_vec();
    let at = forged.windows(9).position(|window| window == b"a.example").unwrap();
    forged[at] = b'b';
    let error = CertificateRequest::from_der(&forged).unwrap_err();
    assert_eq!(error.to_string(), "the certificate request is not signed with its own key");
    assert_eq!(error.kind(), ErrorKind::Refused);
}

#[test]
fn pem_is_one_text_with_the_label() {
    let mine = signer(KeyType::EcdsaP256, Algorithm::Es256);
    let request = CertificateRequest::sign(&mine, mine.public_key(), None, [""; 0]).unwrap();
    let pem = request.to_pem();
    assert_eq!(CertificateRequest::from_pem(&pem).unwrap(), request);
    let new = pem.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST");
    assert_eq!(CertificateRequest::from_pem(&new).unwrap(), request);
    for bad in [pem.replace("CERTIFICATE REQUEST", "CERTIFICATE"), pem.repeat(2), String::new(), pem.replace('A', "*")]
    {
        let error = CertificateRequest::from_pem(&bad).unwrap_err();
        assert_eq!(error.to_string(), "the certificate request is not one PEM text labelled `CERTIFICATE REQUEST`");
        assert_eq!(error.kind(), ErrorKind::Malformed);
    }
}

#[test]
fn every_algorithm_signs_requests() {
    for (key, algorithm) in algorithms() {
        let signer = signer(key, algorithm);
        let id = ID.parse().unwrap();
        let request = CertificateRequest::sign(&signer, signer.public_key(), Some(&id), ["a.example"]).unwrap();
        assert_eq!(CertificateRequest::from_der(request.to_der()).unwrap(), request);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// What is signed cannot be changed, and what is not signed is canonical: no other bytes are the same request.
    #[test]
    fn any_changed_byte_is_refused(at in any::<prop::sample::Index>(), bit in 0..8) {
        let request = signed(&[attribute(&[names(&[(0x86, ID)])])]);
        let mut changed = request.clone();
        changed[at.index(request.len())] ^= 1_u8 << bit;
        prop_assert!(CertificateRequest::from_der(&changed).is_err());
    }
}
