//! Paths from a leaf to an authority (RFC 5280 §6) and what SPIFFE asks of signing certificates (X509-SVID §3.2, §4).

use keyward_svid::pki_types::CertificateDer;
use keyward_svid::x509::{CertificateProblem, Error, SignerProblem, X509Verifier};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyUsagePurpose, SanType};
use time::Duration;

use crate::support::*;

fn unknown() -> Error {
    Error::UnknownAuthority { trust_domain: "td.example".parse().unwrap() }
}

/// What both modes say of a leaf below an intermediate.
fn verdict(change: impl FnOnce(&mut CertificateParams)) -> Result<(), Error> {
    let root = Ca::root(|_| {});
    let middle = root.intermediate("middle", change);
    both(&[middle.leaf(|_| {}), middle.der], &root.bundle()).map(drop)
}

/// What strict mode says, where the other accepts.
fn strict_only(change: impl FnOnce(&mut CertificateParams)) -> Error {
    let root = Ca::root(|_| {});
    let middle = root.intermediate("middle", change);
    let chain = [middle.leaf(|_| {}), middle.der];
    standard(&chain, &root.bundle()).unwrap();
    strict(&chain, &root.bundle()).unwrap_err()
}

#[test]
fn what_was_sent_besides_the_path_does_no_harm() {
    let (root, other) = (Ca::root(|_| {}), Ca::root(|_| {}));
    let upper = root.intermediate("upper", |_| {});
    let lower = upper.intermediate("lower", |_| {});
    let leaf = lower.leaf(|_| {});
    let path = [leaf.clone(), lower.der.clone(), upper.der.clone()];
    let stray = other.intermediate("stray", |_| {}).der;
    let sent = [leaf.clone(), stray, upper.der.clone(), root.der.clone(), lower.der.clone(), leaf.clone()];
    assert_eq!(both(&sent, &root.bundle()).unwrap().chain(), path);
    // But all of it is read.
    let sent = [&path[..], &[CertificateDer::from(vec![0x30, 0])]].concat();
    let malformed = Error::Certificate { position: 4, problem: CertificateProblem::NotDer };
    assert_eq!(both(&sent, &root.bundle()), Err(malformed));
}

#[test]
fn an_authority_may_be_an_intermediate() {
    let root = Ca::root(|_| {});
    let middle = root.intermediate("middle", |_| {});
    let leaf = [middle.leaf(|_| {})];
    assert!(both(&leaf, &middle.bundle()).is_ok());
    assert_eq!(both(&leaf, &root.bundle()), Err(unknown()));
}

#[test]
fn another_key_of_the_same_name_signs_nothing() {
    let (root, impostor) = (Ca::root(|_| {}), Ca::root(|_| {}));
    let leaf = [impostor.leaf(|_| {})];
    assert_eq!(both(&leaf, &root.bundle()), Err(Error::Signature));
    // Several authorities of one name, as after a rotation: the right one is found.
    assert!(both(&leaf, &bundle([root.der.clone(), impostor.der.clone()])).is_ok());
    let middle = impostor.intermediate("middle", |_| {});
    assert_eq!(both(&[middle.leaf(|_| {}), middle.der], &root.bundle()), Err(Error::Signature));
}

#[test]
fn a_leaf_signs_nothing() {
    let root = Ca::root(|_| {});
    let leaf = |params: &mut CertificateParams| {
        params.is_ca = IsCa::NoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.subject_alt_names = vec![uri(ID)];
    };
    let first = root.intermediate("first", leaf);
    let refused = both(&[first.leaf(|_| {}), first.der], &root.bundle());
    assert_eq!(refused, Err(Error::Signer { problem: SignerProblem::NotCa }));
}

#[test]
fn what_signing_certificates_need() {
    let problem = |problem| Error::Signer { problem };
    assert_eq!(verdict(|_| {}), Ok(()));
    assert_eq!(verdict(|params| params.subject_alt_names.clear()), Ok(()));
    assert_eq!(verdict(|params| params.key_usages = vec![KeyUsagePurpose::KeyCertSign]), Ok(()));
    let not_cert_sign = |params: &mut CertificateParams| params.key_usages = vec![KeyUsagePurpose::CrlSign];
    assert_eq!(verdict(not_cert_sign), Err(problem(SignerProblem::KeyCertSign)));
    let workload = |params: &mut CertificateParams| params.subject_alt_names = vec![uri(ID)];
    assert_eq!(verdict(workload), Err(problem(SignerProblem::Path)));
    let two = |params: &mut CertificateParams| params.subject_alt_names.push(uri("https://td.example"));
    assert_eq!(verdict(two), Err(problem(SignerProblem::UriCount)));
    let unknown = |params: &mut CertificateParams| params.custom_extensions.push(extension([1, 2, 3, 4], true, b""));
    assert_eq!(verdict(unknown), Err(problem(SignerProblem::UnknownExtension)));

    assert_eq!(strict_only(|params| params.key_usages.clear()), problem(SignerProblem::KeyUsage));
    let optional = |params: &mut CertificateParams| {
        params.key_usages.clear();
        params.custom_extensions.push(extension(KEY_USAGE, false, &[3, 2, 2, 4]));
    };
    assert_eq!(strict_only(optional), problem(SignerProblem::KeyUsage));
    for name in ["spiffe://other.example", "https://td.example", "spiffe://TD.example"] {
        let foreign = |params: &mut CertificateParams| params.subject_alt_names = vec![uri(name)];
        assert_eq!(strict_only(foreign), problem(SignerProblem::Uri), "{name}");
    }
    let dns = SanType::DnsName("ca.td.example".try_into().unwrap());
    assert_eq!(verdict(|params| params.subject_alt_names.push(dns)), Ok(()));
}

#[test]
fn path_lengths() {
    let length =
        |length| move |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(length));
    assert_eq!(verdict(length(0)), Ok(()));
    let root = Ca::root(|_| {});
    for (allowed, expected) in [(0, Err(Error::PathLength)), (1, Ok(()))] {
        let upper = root.intermediate("upper", length(allowed));
        let lower = upper.intermediate("lower", length(0));
        let verdict = both(&[lower.leaf(|_| {}), lower.der, upper.der], &root.bundle());
        assert_eq!(verdict.map(drop), expected);
    }
    let (mut chain, mut ca) = (Vec::new(), Ca::root(|_| {}));
    let bundle = ca.bundle();
    for depth in 1..=7 {
        ca = ca.intermediate(&format!("{depth}"), |_| {});
        chain.insert(0, ca.der.clone());
        let whole = [&[ca.leaf(|_| {})], &chain[..]].concat();
        let expected = if depth <= 6 { Ok(()) } else { Err(Error::PathLength) };
        assert_eq!(both(&whole, &bundle).map(drop), expected, "{depth}");
    }
}

#[test]
fn every_certificate_of_the_path_is_valid_now() {
    let late = |params: &mut CertificateParams| params.not_after = now() - Duration::HOUR;
    let early = |params: &mut CertificateParams| params.not_before = now() + Duration::HOUR;
    let expired = Error::Expired { now: now(), not_after: now() - Duration::HOUR };
    let not_yet = Error::NotYetValid { now: now(), not_before: now() + Duration::HOUR };
    assert_eq!(verdict(late), Err(expired.clone()));
    assert_eq!(verdict(early), Err(not_yet.clone()));
    // The authority is held to its own validity.
    for (root, expected) in [(Ca::root(late), expired), (Ca::root(early), not_yet)] {
        assert_eq!(both(&[root.leaf(|_| {})], &root.bundle()), Err(expected));
    }
}

#[test]
fn the_trust_domain_decides_about_the_bundle() {
    let root = Ca::root(|_| {});
    let leaf = [root.leaf(|_| {})];
    let foreign = [root.leaf(|params| params.subject_alt_names = vec![uri("spiffe://other.example/web")])];
    let (own, verifier) = (root.bundle(), X509Verifier::default());
    let mut asked = Vec::new();
    let mut find = |chain: &[CertificateDer<'_>]| {
        verifier.verify_with(
            chain,
            |name| {
                asked.push(name.to_string());
                (name.as_str() == "td.example").then_some(&own)
            },
            now(),
        )
    };
    assert!(find(&leaf).is_ok());
    assert_eq!(find(&foreign), Err(Error::NoBundle { trust_domain: "other.example".parse().unwrap() }));
    assert_eq!(asked, ["td.example", "other.example"]);
    // An authority of one trust domain never vouches for another's workloads.
    let (expected, found) = ("td.example".parse().unwrap(), "other.example".parse().unwrap());
    assert_eq!(both(&foreign, &own), Err(Error::TrustDomain { expected, found }));
}

/// Certificates that point at each other make many paths: the search ends.
#[test]
fn a_labyrinth_has_an_end() {
    let root = Ca::root(|_| {});
    let away = Ca::root(|_| {});
    let mut chain = Vec::new();
    let mut last = away.intermediate("same", |_| {});
    let leaf = last.leaf(|_| {});
    for _ in 0..15 {
        last = last.intermediate("same", |_| {});
        chain.push(last.der.clone());
    }
    chain.insert(0, leaf);
    assert!(both(&chain, &root.bundle()).is_err());
}

/// As many paths as 15 strangers' certificates can make, every one of them a signing certificate of every other: they
/// are not walked, and do not get in the way of the one that is good.
#[test]
fn strangers_make_no_labyrinth() {
    let (root, away) = (Ca::root(|_| {}), Ca::root(|params| params.distinguished_name = name("away")));
    let same = away.intermediate("same", |_| {});
    let strangers: Vec<_> = (0..15).map(|_| same.intermediate("same", |_| {}).der).collect();
    let lost = [&[same.leaf(|_| {})], &strangers[..]].concat();
    assert_eq!(both(&lost, &root.bundle()), Err(unknown()));

    let upper = root.intermediate("same", |_| {});
    let lower = upper.intermediate("same", |_| {});
    let path = [lower.leaf(|_| {}), lower.der, upper.der];
    let sent = [&path[..1], &strangers[..13], &path[1..]].concat();
    assert_eq!(both(&sent, &root.bundle()).unwrap().chain(), path);
}

/// Nor do certificates below an authority that may have none below it: whoever was delegated to is no better placed.
#[test]
fn what_a_delegate_signs_is_no_labyrinth() {
    let root = Ca::root(|_| {});
    let last = |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let delegate = root.intermediate("same", last);
    let below: Vec<Ca> = (0..14).map(|_| delegate.intermediate("same", |_| {})).collect();
    let leaf = below[0].leaf(|params| params.distinguished_name = name("leaf"));
    let chain: Vec<_> = [leaf, delegate.der].into_iter().chain(below.into_iter().map(|ca| ca.der)).collect();
    assert_eq!(both(&chain, &root.bundle()), Err(Error::Signature));
}

/// Signatures to try are counted: many authorities of one name do not multiply with many certificates.
#[test]
fn strangers_below_authorities_of_one_name() {
    let roots: Vec<Ca> = (0..8).map(|_| Ca::root(|_| {})).collect();
    let bundle = bundle(roots.iter().map(|root| root.der.clone()));
    let away = Ca::root(|_| {});
    let strangers: Vec<_> = (0..15).map(|_| away.intermediate("middle", |_| {}).der).collect();
    let sent = [&[away.leaf(|_| {})], &strangers[..]].concat();
    assert_eq!(both(&sent, &bundle), Err(Error::TooManyPaths));
}

/// Whose an authority is says the bundle, not its URI: a root may stand above several trust domains (X509-SVID §3.2), and
/// that of the standard's own example (SPIFFE Trust Domain and Bundle appendix A) has a slash at the end.
#[test]
fn an_authority_may_bear_another_uri() {
    for name in ["spiffe://td.example/", "spiffe://above.example", "https://pki.example/root"] {
        let root = Ca::root(|params| params.subject_alt_names = vec![uri(name)]);
        assert!(both(&[root.leaf(|_| {})], &root.bundle()).is_ok(), "{name}");
        let middle = root.intermediate("middle", |_| {});
        assert!(both(&[middle.leaf(|_| {}), middle.der], &root.bundle()).is_ok(), "{name}");
    }
}

/// RFC 5280 §6.2 lets an implementation limit the paths from an anchor further: the anchor's own path length does.
#[test]
fn the_path_length_of_an_authority_counts() {
    let length =
        |length| move |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(length));
    for (allowed, expected) in [(0, Err(Error::PathLength)), (1, Ok(()))] {
        let root = Ca::root(length(allowed));
        assert!(both(&[root.leaf(|_| {})], &root.bundle()).is_ok());
        let middle = root.intermediate("middle", |_| {});
        assert_eq!(both(&[middle.leaf(|_| {}), middle.der], &root.bundle()).map(drop), expected);
    }
}
