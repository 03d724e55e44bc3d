//! Name constraints (RFC 5280 §4.2.1.10) and permitted IDs.

use keyward_svid::x509::{CertificateProblem, Error, SignerProblem, X509Bundle};
use rcgen::{CertificateParams, CustomExtension, SanType};

use crate::support::*;

const URI: u8 = 6;
const DNS: u8 = 2;

/// What both modes say of the leaf, below a root or an intermediate with this extension.
fn verdicts(constraint: &CustomExtension, change: fn(&mut CertificateParams)) -> Result<(), Error> {
    let constrain = |params: &mut CertificateParams| params.custom_extensions.push(constraint.clone());
    let root = Ca::root(constrain);
    let by_root = both(&[root.leaf(change)], &root.bundle()).map(drop);
    let root = Ca::root(|_| {});
    let upper = root.intermediate("upper", constrain);
    let below = both(&[upper.leaf(change), upper.der.clone()], &root.bundle()).map(drop);
    assert_eq!(by_root, below);
    let lower = upper.intermediate("lower", |_| {});
    let farther = both(&[lower.leaf(change), upper.der, lower.der], &root.bundle()).map(drop);
    assert_eq!(by_root, farther);
    below
}

#[test]
fn constraints_on_uris_are_about_the_trust_domain() {
    let outside = Err(Error::NameConstraint);
    for (permitted, excluded, expected) in [
        (&["td.example"][..], &[][..], Ok(())),
        (&["TD.example"], &[], Ok(())),
        (&["other.example", "td.example"], &[], Ok(())),
        (&[""], &[], Ok(())),
        (&[".example"], &[], Ok(())),
        (&["other.example"], &[], outside.clone()),
        // A host is not a domain, and a domain not its host.
        (&["example"], &[], outside.clone()),
        (&[".td.example"], &[], outside.clone()),
        (&[], &["other.example"], Ok(())),
        (&[], &["td.example"], outside.clone()),
        (&["td.example"], &["td.example"], outside.clone()),
        (&[".example"], &["td.example"], outside.clone()),
        (&[], &[".example"], outside.clone()),
        (&[], &[""], outside),
    ] {
        let named = |names: &[&'static str]| names.iter().map(|name| (URI, name.as_bytes())).collect::<Vec<_>>();
        let constraint = name_constraints(&named(permitted), &named(excluded));
        assert_eq!(verdicts(&constraint, |_| {}), expected, "{permitted:?} {excluded:?}");
    }
}

#[test]
fn an_address_is_no_host() {
    let constraint = name_constraints(&[(URI, b"")], &[]);
    let root = Ca::root(|params| {
        params.subject_alt_names.clear();
        params.custom_extensions.push(constraint);
    });
    let leaf = root.leaf(|params| params.subject_alt_names = vec![uri("spiffe://10.0.0.1/web")]);
    let bundle = X509Bundle::new("10.0.0.1".parse().unwrap(), [root.der.clone()]).unwrap();
    assert_eq!(both(&[leaf], &bundle), Err(Error::NameConstraint));
}

#[test]
fn constraints_on_other_names_leave_uris_alone() {
    fn dns(params: &mut CertificateParams) {
        params.subject_alt_names.push(SanType::DnsName("web.td.example".try_into().unwrap()));
    }
    type Names = &'static [(u8, &'static [u8])];
    let cases: [(Names, Names, Result<(), Error>); 6] = [
        (&[(DNS, b"td.example")], &[], Ok(())),
        (&[(DNS, b"other.example")], &[], Err(Error::NameConstraint)),
        (&[], &[(DNS, b"td.example")], Err(Error::NameConstraint)),
        (&[(URI, b"td.example"), (DNS, b"td.example")], &[], Ok(())),
        (&[(URI, b"td.example"), (DNS, b"other.example")], &[], Err(Error::NameConstraint)),
        (&[(URI, b"other.example"), (DNS, b"td.example")], &[], Err(Error::NameConstraint)),
    ];
    for (permitted, excluded, expected) in cases {
        assert_eq!(verdicts(&name_constraints(permitted, excluded), dns), expected);
    }
    // Without a DNS name there is nothing to constrain.
    assert_eq!(verdicts(&name_constraints(&[(DNS, b"other.example")], &[]), |_| {}), Ok(()));
}

#[test]
fn signing_certificates_are_constrained_too() {
    let root = Ca::root(|params| params.subject_alt_names.clear());
    let constraint = name_constraints(&[(URI, b".td.example")], &[]);
    let upper = root.intermediate("upper", |params| params.custom_extensions.push(constraint));
    let lower = upper.intermediate("lower", |_| {});
    let leaf = lower.leaf(|params| params.subject_alt_names = vec![uri("spiffe://a.td.example/web")]);
    let bundle = X509Bundle::new("a.td.example".parse().unwrap(), [root.der.clone()]).unwrap();
    assert_eq!(standard(&[leaf, lower.der, upper.der], &bundle), Err(Error::NameConstraint));
}

#[test]
fn malformed_constraints_are_refused() {
    for name in [&b"spiffe://td.example"[..], b"td.example/web", b"td.example:443", b".", b"*.example", b"td example"] {
        let refused = |position| Err(Error::Certificate { position, problem: CertificateProblem::NameConstraints });
        let constraint = name_constraints(&[], &[(URI, name)]);
        let root = Ca::root(|_| {});
        let middle = root.intermediate("middle", |params| params.custom_extensions.push(constraint.clone()));
        assert_eq!(both(&[middle.leaf(|_| {}), middle.der], &root.bundle()).map(drop), refused(2));
        let root = Ca::root(|params| params.custom_extensions.push(constraint));
        let bundle = X509Bundle::new("td.example".parse().unwrap(), [root.der]);
        assert_eq!(bundle.map(drop), refused(1));
    }
}

/// What path validation is shown instead of a constrained intermediate is worth nothing when somebody sends it.
#[test]
fn a_forged_mask_does_not_verify() {
    let root = Ca::root(|_| {});
    let constraint = name_constraints(&[(URI, b"other.example")], &[]);
    let middle = root.intermediate("middle", |params| params.custom_extensions.push(constraint));
    let mut masked = middle.der.to_vec();
    let place = masked.windows(15).position(|window| window == b"\x86\x0dother.example").unwrap();
    masked[place] = 0x88;
    let leaf = middle.leaf(|_| {});
    assert_eq!(both(&[leaf.clone(), masked.clone().into()], &root.bundle()), Err(Error::Signature));
    for chain in [[leaf.clone(), masked.clone().into(), middle.der.clone()], [leaf, middle.der, masked.into()]] {
        assert_eq!(both(&chain, &root.bundle()), Err(Error::NameConstraint));
    }
}

#[test]
fn a_delegated_intermediate_signs_for_its_ids_only() {
    let root = Ca::root(|_| {});
    let not_permitted = Err(Error::NotPermitted { id: ID.parse().unwrap() });
    for (patterns, expected) in [
        (&["spiffe://td.example/web"][..], Ok(())),
        (&["spiffe://td.example/db/*", "spiffe://td.example/*"], Ok(())),
        (&["spiffe://td.example/**"], Ok(())),
        (&["spiffe://td.example/web/*"], not_permitted.clone()),
        (&["spiffe://td.example/db"], not_permitted.clone()),
        (&["spiffe://other.example/**"], not_permitted.clone()),
    ] {
        let middle = root.delegate("middle", patterns);
        let direct = both(&[middle.leaf(|_| {}), middle.der.clone()], &root.bundle());
        assert_eq!(direct.map(drop), expected, "{patterns:?}");
        let lower = middle.intermediate("lower", |_| {});
        let indirect = both(&[lower.leaf(|_| {}), lower.der, middle.der.clone()], &root.bundle());
        assert_eq!(indirect.map(drop), expected, "{patterns:?}");
        let as_authority = both(&[middle.leaf(|_| {})], &middle.bundle());
        assert_eq!(as_authority.map(drop), expected, "{patterns:?}");
    }
    // Each one on the path has its say.
    let upper = root.delegate("upper", &["spiffe://td.example/*"]);
    let lower = upper.delegate("lower", &["spiffe://td.example/db"]);
    let refused = both(&[lower.leaf(|_| {}), lower.der, upper.der], &root.bundle());
    assert_eq!(refused.map(drop), not_permitted);
}

#[test]
fn an_unreadable_delegation_permits_nothing() {
    let root = Ca::root(|_| {});
    for value in [&b"\x30\x00"[..], b"\x30\x04\x0c\x02td", b"", b"\x30\x03\x0c\x01*"] {
        let middle = root.delegate_raw("middle", value);
        let refused = both(&[middle.leaf(|_| {}), middle.der], &root.bundle());
        assert_eq!(refused, Err(Error::Signer { problem: SignerProblem::PermittedIds }), "{value:x?}");
    }
}
