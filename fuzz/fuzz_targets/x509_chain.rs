//! A chain that verifies, changed: whatever still verifies is that chain. The first byte says where the rest goes.
#![no_main]

use keyward_svid::pki_types::CertificateDer;
use keyward_svid::x509::{
    X509Bundle, X509Mode, X509Verifier, X509VerifyOptions, chain_from_der_concat, chain_from_pem,
};
use libfuzzer_sys::fuzz_target;

/// A leaf, an intermediate with name constraints, and the authority.
const CHAIN: &str = include_str!("x509_chain.pem");

fuzz_target!(|input: &[u8]| {
    let mut original = chain_from_pem(CHAIN).unwrap();
    let bundle = X509Bundle::new("td.example".parse().unwrap(), original.pop()).unwrap();
    let now = time::OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
    let mut options = X509VerifyOptions::default();
    options.mode = X509Mode::Standard;
    let verifier = X509Verifier::new(options);
    assert!(verifier.verify(&original, &bundle, now).is_ok());

    let Some((place, bytes)) = input.split_first() else { return };
    let mut chain = original.clone();
    match place {
        // Bytes of their own.
        0 => chain = chain_from_der_concat(bytes).unwrap_or_default(),
        // Another certificate at some place.
        1..8 => chain.insert(usize::from(*place) % (chain.len() + 1), CertificateDer::from(bytes.to_vec())),
        // Bytes over one of the certificates.
        _ => {
            let Some((offset, bytes)) = bytes.split_at_checked(2) else { return };
            let index = usize::from(*place) % chain.len();
            let mut der = chain[index].to_vec();
            let offset = usize::from(u16::from_be_bytes([offset[0], offset[1]])) % der.len();
            der.iter_mut().skip(offset).zip(bytes).for_each(|(old, new)| *old = *new);
            chain[index] = der.into();
        }
    }
    if let Ok(svid) = verifier.verify(&chain, &bundle, now) {
        assert_eq!(svid.chain(), original);
    }
});
