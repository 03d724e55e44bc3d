//! Every signature algorithm that rcgen signs with.

use keyward_keys::{Algorithm, HashFunction, PrivateKey};
use keyward_svid::pki_types::alg_id;
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

/// What rcgen does not sign with: every digest with every curve, PSS. The signed part is made by rcgen, its algorithm
/// replaced, and signed by `keyward-keys`.
#[test]
fn the_other_algorithms_verify_too() {
    use Algorithm::{Es256, Es384, Es512, Ps256, Ps384, Ps512};
    use HashFunction::{Sha2_256, Sha2_384, Sha2_512};
    let rsa = || KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let cases: [(KeyPair, Algorithm, HashFunction, &[u8]); 9] = [
        (KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap(), Es256, Sha2_384, &alg_id::ECDSA_SHA384),
        (KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap(), Es256, Sha2_512, &alg_id::ECDSA_SHA512),
        (KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap(), Es384, Sha2_256, &alg_id::ECDSA_SHA256),
        (KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap(), Es384, Sha2_512, &alg_id::ECDSA_SHA512),
        (KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap(), Es512, Sha2_256, &alg_id::ECDSA_SHA256),
        (KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap(), Es512, Sha2_384, &alg_id::ECDSA_SHA384),
        (rsa(), Ps256, Sha2_256, &alg_id::RSA_PSS_SHA256),
        (rsa(), Ps384, Sha2_384, &alg_id::RSA_PSS_SHA384),
        (rsa(), Ps512, Sha2_512, &alg_id::RSA_PSS_SHA512),
    ];
    for (key, algorithm, hash, identifier) in cases {
        let private = PrivateKey::from_pkcs8_der(key.serialized_der()).unwrap();
        let root = Ca::root(|_| {});
        let middle = root.intermediate_with("middle", key, |_| {});
        let leaf = middle.leaf(|_| {});
        let signed = |message: &[u8]| {
            let signed = resign(&leaf, identifier, |tbs| {
                let signed = if message.is_empty() { tbs } else { message };
                private.sign_digest_asn1(algorithm, &hash.digest(signed)).unwrap()
            });
            both(&[signed, middle.der.clone()], &root.bundle()).map(drop)
        };
        assert_eq!(signed(b""), Ok(()), "{algorithm} {hash:?}");
        assert_eq!(signed(b"something else"), Err(Error::Signature), "{algorithm} {hash:?}");
    }
}
