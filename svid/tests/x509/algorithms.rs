//! Every signature algorithm that rcgen signs with.

use keyward_svid::x509::Error;
use rcgen::{KeyPair, PublicKeyData as _, SignatureAlgorithm};

use crate::support::*;

static ACCEPTED: [&SignatureAlgorithm; 6] = [
    &rcgen::PKCS_ECDSA_P256_SHA256,
    &rcgen::PKCS_ECDSA_P384_SHA384,
    &rcgen::PKCS_ECDSA_P521_SHA256,
    &rcgen::PKCS_ECDSA_P521_SHA384,
    &rcgen::PKCS_ECDSA_P521_SHA512,
    &rcgen::PKCS_ED25519,
];

#[test]
fn each_algorithm_verifies_and_every_flipped_bit_is_seen() {
    for algorithm in ACCEPTED {
        check(&|| KeyPair::generate_for(algorithm).unwrap());
    }
    let rsa = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap().serialize_pem();
    for algorithm in [&rcgen::PKCS_RSA_SHA256, &rcgen::PKCS_RSA_SHA384, &rcgen::PKCS_RSA_SHA512] {
        check(&|| KeyPair::from_pkcs8_pem_and_sign_algo(&rsa, algorithm).unwrap());
    }
}

fn check(key: &dyn Fn() -> KeyPair) {
    let root = Ca::root(|_| {});
    let middle = root.intermediate_with("middle", key(), |_| {});
    let own = key();
    let leaf = middle.sign(&leaf_params(ID), &own);
    let svid = both(&[leaf.clone(), middle.der.clone()], &root.bundle()).unwrap();
    assert_eq!(svid.public_key().to_spki_der(), own.subject_public_key_info());
    let mut forged = leaf.to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let refused = both(&[forged.into(), middle.der], &root.bundle());
    assert_eq!(refused, Err(Error::Signature));
}

#[test]
fn other_algorithms_are_refused() {
    let root = Ca::root(|_| {});
    let middle = root.intermediate("middle", |_| {});
    let leaf = middle.leaf(|_| {});
    // ecdsa-with-SHA256 becomes ecdsa-with-SHA1, inside and outside.
    let mut der = leaf.to_vec();
    let sha256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    let places: Vec<usize> = (0..der.len() - 8).filter(|place| der[*place..].starts_with(&sha256)).collect();
    assert_eq!(places.len(), 2);
    for place in places {
        der[place + 6] = 1;
        der[place + 7] = 0;
    }
    assert_eq!(both(&[der.into(), middle.der], &root.bundle()), Err(Error::Algorithm));
}
