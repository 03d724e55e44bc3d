//! Attributes of a certificate request, signed here, and whole requests: what is read stays as it is, and can be asked for
//! again.
#![no_main]

use std::sync::LazyLock;

use keyward_keys::{Algorithm, KeySigner, PrivateKey, Signer as _};
use keyward_svid::x509::authority::CertificateRequest;
use libfuzzer_sys::fuzz_target;

/// The key of RFC 8410 §10.3.
static SIGNER: LazyLock<KeySigner> = LazyLock::new(|| {
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
    KeySigner::new(PrivateKey::from_pkcs8_pem(pem).unwrap(), Algorithm::EdDsa, None).unwrap()
});

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = match u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes() {
        [0, short @ 0..=0x7f] => vec![short],
        [0, long] => vec![0x81, long],
        [high, low] => vec![0x82, high, low],
    };
    [&[tag], length.as_slice(), content].concat()
}

fuzz_target!(|bytes: &[u8]| {
    let spki = SIGNER.public_key().as_spki_der();
    let info = element(0x30, &[&[2, 1, 0, 0x30, 0], spki, &element(0xa0, bytes)].concat());
    let signature = [&[0][..], &SIGNER.sign(&info).unwrap()].concat();
    let signed = element(0x30, &[&info[..], &[0x30, 5, 6, 3, 0x2b, 0x65, 0x70], &element(3, &signature)].concat());
    for der in [bytes, &signed] {
        let Ok(read) = CertificateRequest::from_der(der) else { continue };
        assert_eq!(read.to_der(), der);
        assert_eq!(CertificateRequest::from_pem(&read.to_pem()).unwrap(), read);
        let (id, names) = (read.requested_id(), read.requested_dns_names());
        let again = CertificateRequest::sign(&*SIGNER, SIGNER.public_key(), id, names).unwrap();
        let again = CertificateRequest::from_der(again.to_der()).unwrap();
        assert_eq!((again.requested_id(), again.requested_dns_names()), (id, names));
    }
});
