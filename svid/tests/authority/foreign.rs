//! Other Rust libraries, and our own verifier, accept what we issue.

use keyward_keys::{Algorithm, KeyType};
use rustls_pki_types::{CertificateDer, ServerName};
use time::Duration;

use crate::support::{
    ID, KEY_TYPES, NOW, algorithms, leaf, leaf_request, private_key, rng, root, root_with, site, verify, webpki,
};

/// The crate `spiffe`'s opinion.
fn spiffe(chain: &[CertificateDer<'_>], key: KeyType) -> String {
    let chain: Vec<u8> = chain.iter().flat_map(|certificate| certificate.to_vec()).collect();
    let key = private_key(key).to_pkcs8_der().unwrap();
    spiffe::X509Svid::parse_from_der(&chain, &key).unwrap().spiffe_id().to_string()
}

#[test]
fn every_authority_with_every_leaf() {
    for (authority_key, algorithm) in algorithms() {
        let root = root_with(authority_key, algorithm);
        for leaf_key in KEY_TYPES {
            let chain = leaf(&root, leaf_key);
            assert_eq!(chain.len(), 1);
            webpki(&chain, &[root.certificate().clone()], NOW)
                .unwrap_or_else(|e| panic!("{algorithm}, {leaf_key}: {e}"));
            assert_eq!(spiffe(&chain, leaf_key), ID);
            assert_eq!(verify(&chain, &[root.certificate().clone()], NOW).unwrap().id().as_str(), ID);
        }
    }
}

#[test]
fn every_intermediate_below_every_root() {
    for (root_key, algorithm) in algorithms() {
        let root = root_with(root_key, algorithm);
        for site_key in KEY_TYPES {
            let chain = leaf(&site(&root, site_key), KeyType::EcdsaP256);
            assert_eq!(chain.len(), 2);
            webpki(&chain, &[root.certificate().clone()], NOW)
                .unwrap_or_else(|e| panic!("{algorithm}, {site_key}: {e}"));
            assert_eq!(spiffe(&chain, KeyType::EcdsaP256), ID);
            assert_eq!(verify(&chain, &[root.certificate().clone()], NOW).unwrap().chain(), chain);
        }
    }
}

#[test]
fn at_every_second_of_its_life_and_no_other() {
    let root = root();
    let svid = root.issue(&leaf_request(KeyType::Ed25519), &mut rng(), NOW).unwrap();
    let roots = [root.certificate().clone()];
    assert_eq!((svid.not_before(), svid.not_after()), (NOW - Duration::seconds(10), NOW + Duration::HOUR));
    for (at, valid) in [
        (svid.not_before() - Duration::SECOND, false),
        (svid.not_before(), true),
        (svid.not_after(), true),
        (svid.not_after() + Duration::SECOND, false),
    ] {
        assert_eq!(webpki(svid.chain(), &roots, at).is_ok(), valid, "{at}");
        assert_eq!(verify(svid.chain(), &roots, at).is_ok(), valid, "{at}");
    }
}

#[test]
fn dns_names_serve_those_who_know_no_spiffe() {
    let chain = leaf(&root(), KeyType::EcdsaP256);
    let leaf = webpki::EndEntityCert::try_from(&chain[0]).unwrap();
    let valid_for = |name: &str| leaf.verify_is_valid_for_subject_name(&ServerName::try_from(name).unwrap()).is_ok();
    assert!(valid_for("db.site-7.example") && !valid_for("td.example"));
}

#[test]
fn another_root_is_no_root() {
    let (root, other) = (root(), root());
    let chain = leaf(&root, KeyType::EcdsaP256);
    // The same key, but another name: the serial number tells the two apart.
    assert!(webpki(&chain, &[other.certificate().clone()], NOW).is_err());
    assert!(webpki(&chain, &[other.certificate().clone(), root.certificate().clone()], NOW).is_ok());
    assert_ne!(root.issuer().subject_der(), other.issuer().subject_der());
    assert_eq!(root.issuer().algorithm(), Algorithm::Es256);
}
