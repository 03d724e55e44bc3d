//! Bundles of authorities.

use keyward_svid::x509::{CertificateProblem, Error, SignerProblem, X509Bundle};
use rcgen::{CertificateParams, IsCa, KeyUsagePurpose};
use time::Duration;

use crate::support::*;

#[test]
fn an_empty_bundle_revokes_everything() {
    let root = Ca::root(|_| {});
    let empty = bundle([]);
    assert!(empty.is_empty() && empty.authorities().is_empty());
    let unknown = Error::UnknownAuthority { trust_domain: "td.example".parse().unwrap() };
    assert_eq!(both(&[root.leaf(|_| {})], &empty), Err(unknown));
    assert_eq!(empty.to_pem(), "");
    assert_eq!(X509Bundle::from_pem("td.example".parse().unwrap(), " \n"), Ok(empty));
}

#[test]
fn pem_and_back() {
    let authorities = [Ca::root(|_| {}).der, Ca::root(|_| {}).der];
    let both = bundle(authorities.clone());
    assert_eq!(both.authorities(), authorities);
    assert_eq!(X509Bundle::from_pem("td.example".parse().unwrap(), &both.to_pem()), Ok(both.clone()));
    let other = X509Bundle::from_pem("other.example".parse().unwrap(), &both.to_pem()).unwrap();
    assert_ne!(other, both);
    assert_eq!(X509Bundle::from_pem("td.example".parse().unwrap(), "none"), Err(Error::Pem));
    let debug = "X509Bundle { trust_domain: TrustDomain(\"td.example\"), authorities: 2 }";
    assert_eq!(format!("{both:?}"), debug);
}

#[test]
fn an_authority_counts_once() {
    let root = Ca::root(|_| {});
    assert_eq!(bundle([root.der.clone(), root.der.clone()]), root.bundle());
}

#[test]
fn what_could_never_stand_behind_an_svid_is_refused() {
    let refused = |change: fn(&mut CertificateParams)| {
        let roots = [Ca::root(|_| {}).der, Ca::root(change).der];
        X509Bundle::new("td.example".parse().unwrap(), roots).map(drop)
    };
    let problem = |problem| Err(Error::Signer { problem });
    assert_eq!(refused(|params| params.is_ca = IsCa::NoCa), problem(SignerProblem::NotCa));
    let usage = refused(|params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature]);
    assert_eq!(usage, problem(SignerProblem::KeyCertSign));
    assert_eq!(refused(|params| params.subject_alt_names = vec![uri(ID)]), problem(SignerProblem::Path));
    assert_eq!(refused(|params| params.subject_alt_names.push(uri(ID))), problem(SignerProblem::UriCount));
    let malformed = X509Bundle::new("td.example".parse().unwrap(), [vec![0x30, 0].into()]);
    assert_eq!(malformed, Err(Error::Certificate { position: 1, problem: CertificateProblem::NotDer }));
    // A root of an older PKI is none the worse for what it does not say.
    assert_eq!(refused(|params| params.key_usages.clear()), Ok(()));
    assert_eq!(refused(|params| params.subject_alt_names.clear()), Ok(()));
    assert_eq!(refused(|params| params.not_after = now() - Duration::HOUR), Ok(()));
}
