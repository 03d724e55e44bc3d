//! Rules for the leaf (X509-SVID §2, §3.1, §4, §5.2).

use keyward_keys::ErrorKind;
use keyward_svid::pki_types::CertificateDer;
use keyward_svid::x509::{CertificateProblem, Error, LeafProblem, X509Verifier, peek_id};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType,
};
use time::Duration;

use crate::support::*;

#[test]
fn an_svid_says_what_its_certificate_says() {
    let root = Ca::root(|_| {});
    let middle = root.intermediate("middle", |params| params.not_after = now() + Duration::minutes(10));
    let leaf = middle.leaf(|params| params.serial_number = Some(vec![0x8f, 0, 1].into()));
    let chain = [leaf.clone(), middle.der.clone()];
    let svid = both(&chain, &root.bundle()).unwrap();
    assert_eq!(svid.id().as_str(), ID);
    assert_eq!((svid.leaf(), svid.chain()), (&leaf, &chain[..]));
    assert_eq!(svid.not_before(), now() - Duration::minutes(1));
    assert_eq!(svid.not_after(), now() + Duration::minutes(10));
    assert_eq!(svid.serial(), "8f0001");
    assert_eq!(svid.public_key().crv(), Some("P-256"));
    assert_eq!(peek_id(&leaf).unwrap(), *svid.id());
    assert_eq!(
        format!("{svid:?}"),
        "X509Svid { id: SpiffeId(\"spiffe://td.example/web\"), serial: \"8f0001\", not_before: 2027-01-15 7:59:00.0 \
         +00:00:00, not_after: 2027-01-15 8:10:00.0 +00:00:00, .. }"
    );
}

/// What both modes say of a leaf below the root.
fn verdict(change: impl FnOnce(&mut CertificateParams)) -> Result<(), Error> {
    let root = Ca::root(|_| {});
    both(&[root.leaf(change)], &root.bundle()).map(drop)
}

/// What strict mode says, where the other accepts.
fn strict_only(change: impl FnOnce(&mut CertificateParams)) -> Error {
    let root = Ca::root(|_| {});
    let leaf = [root.leaf(change)];
    standard(&leaf, &root.bundle()).unwrap();
    strict(&leaf, &root.bundle()).unwrap_err()
}

#[test]
fn exactly_one_uri_of_any_scheme() {
    assert_eq!(verdict(|_| {}), Ok(()));
    for (names, found) in [
        (vec![], 0),
        (vec![SanType::DnsName("web.td.example".try_into().unwrap())], 0),
        (vec![uri(ID), uri(ID)], 2),
        (vec![uri(ID), uri("https://td.example")], 2),
        (vec![uri("https://td.example"), uri(ID), uri(ID)], 3),
    ] {
        assert_eq!(verdict(|params| params.subject_alt_names = names), Err(Error::UriCount { found }));
    }
    let dns = SanType::DnsName("web.td.example".try_into().unwrap());
    let address = SanType::IpAddress([127, 0, 0, 1].into());
    let mail = SanType::Rfc822Name("web@td.example".try_into().unwrap());
    assert_eq!(verdict(|params| params.subject_alt_names.extend([dns, address, mail])), Ok(()));
}

#[test]
fn the_uri_is_the_id_of_a_workload() {
    for id in [
        "https://td.example/web",
        "sparfe://td.example/web",
        "spiffe://td.example/web/",
        "spiffe://td.example/a//b",
        "spiffe://td.example/../b",
        "spiffe://TD.example/web",
        "spiffe://td.example:443/web",
        "spiffe://td.example/web?a",
        "spiffe:///web",
        "spiffe://td.example",
        "",
    ] {
        let error = verdict(|params| params.subject_alt_names = vec![uri(id)]).unwrap_err();
        assert!(matches!(error, Error::Id(_)), "{id}: {error:?}");
        assert_eq!(error.kind(), ErrorKind::Refused);
    }
}

#[test]
fn a_signing_certificate_never_authenticates() {
    let root = Ca::root(|_| {});
    let ca = root.intermediate("middle", |params| params.subject_alt_names = vec![uri(ID)]);
    assert_eq!(both(&[ca.der], &root.bundle()), Err(Error::Leaf { problem: LeafProblem::Ca }));
    // Not even one that the bundle trusts.
    let itself = Ca::root(|_| {});
    assert!(matches!(both(std::slice::from_ref(&itself.der), &itself.bundle()), Err(Error::Id(_))));
    for (usage, problem) in
        [(KeyUsagePurpose::KeyCertSign, LeafProblem::KeyCertSign), (KeyUsagePurpose::CrlSign, LeafProblem::CrlSign)]
    {
        let changed = verdict(|params| params.key_usages.push(usage));
        assert_eq!(changed, Err(Error::Leaf { problem }));
    }
    let explicit = verdict(|params| params.is_ca = IsCa::ExplicitNoCa);
    assert_eq!(explicit, Ok(()));
    let path_length = |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    assert_eq!(verdict(path_length), Err(Error::Leaf { problem: LeafProblem::Ca }));
}

#[test]
fn key_usage_and_extended_key_usage() {
    use KeyUsagePurpose::*;
    for usages in [vec![DigitalSignature, KeyEncipherment], vec![DigitalSignature, KeyAgreement]] {
        assert_eq!(verdict(|params| params.key_usages = usages), Ok(()));
    }
    let problem = |problem| Error::Leaf { problem };
    let absent = |params: &mut CertificateParams| params.key_usages.clear();
    assert_eq!(strict_only(absent), problem(LeafProblem::KeyUsage));
    let optional = |params: &mut CertificateParams| {
        params.key_usages.clear();
        params.custom_extensions.push(extension(KEY_USAGE, false, &[3, 2, 7, 0x80]));
    };
    assert_eq!(strict_only(optional), problem(LeafProblem::KeyUsage));
    let other = |params: &mut CertificateParams| params.key_usages = vec![KeyEncipherment];
    assert_eq!(strict_only(other), problem(LeafProblem::DigitalSignature));

    for purposes in [
        vec![ExtendedKeyUsagePurpose::ServerAuth],
        vec![ExtendedKeyUsagePurpose::ClientAuth],
        vec![ExtendedKeyUsagePurpose::Any],
        vec![ExtendedKeyUsagePurpose::CodeSigning],
    ] {
        let change = |params: &mut CertificateParams| params.extended_key_usages = purposes;
        assert_eq!(strict_only(change), problem(LeafProblem::ExtendedKeyUsage));
    }
    assert_eq!(verdict(|params| params.extended_key_usages.clear()), Ok(()));
    let more = |params: &mut CertificateParams| params.extended_key_usages.push(ExtendedKeyUsagePurpose::CodeSigning);
    assert_eq!(verdict(more), Ok(()));
}

#[test]
fn names_are_critical_without_a_subject() {
    let nameless = |critical| {
        move |params: &mut CertificateParams| {
            params.distinguished_name = DistinguishedName::new();
            params.subject_alt_names.clear();
            let names = element(0x30, &element(0x86, ID.as_bytes()));
            params.custom_extensions.push(extension(SUBJECT_ALT_NAME, critical, &names));
        }
    };
    assert_eq!(verdict(nameless(true)), Ok(()));
    assert_eq!(strict_only(nameless(false)), Error::Leaf { problem: LeafProblem::SubjectAltName });
}

#[test]
fn unknown_extensions() {
    assert_eq!(verdict(|params| params.custom_extensions.push(extension([1, 2, 3, 4], false, b"any"))), Ok(()));
    let critical = verdict(|params| params.custom_extensions.push(extension([1, 2, 3, 4], true, b"any")));
    assert_eq!(critical, Err(Error::Leaf { problem: LeafProblem::UnknownExtension }));
}

#[test]
fn what_cannot_be_read_is_refused() {
    use CertificateProblem::*;
    let replaced = |oid: [u64; 4], value: &'static [u8]| {
        move |params: &mut CertificateParams| {
            match oid {
                KEY_USAGE => params.key_usages.clear(),
                SUBJECT_ALT_NAME => params.subject_alt_names.clear(),
                EXTENDED_KEY_USAGE => params.extended_key_usages.clear(),
                _ => {}
            }
            params.custom_extensions.push(extension(oid, true, value));
        }
    };
    let cases: &[([u64; 4], &'static [u8], CertificateProblem)] = &[
        (KEY_USAGE, b"", KeyUsage),
        (KEY_USAGE, &[3, 1, 0], KeyUsage),
        (KEY_USAGE, &[3, 2, 7, 0], KeyUsage),
        (KEY_USAGE, &[3, 2, 7, 0x81], KeyUsage),
        (KEY_USAGE, &[3, 2, 8, 0x80], KeyUsage),
        (KEY_USAGE, &[3, 2, 7, 0x80, 0], KeyUsage),
        (KEY_USAGE, &[3, 4, 7, 0x80, 0, 0x80], KeyUsage),
        (KEY_USAGE, &[4, 2, 7, 0x80], KeyUsage),
        (BASIC_CONSTRAINTS, b"", BasicConstraints),
        (BASIC_CONSTRAINTS, &[0x30, 0, 0], BasicConstraints),
        (BASIC_CONSTRAINTS, &[0x30, 3, 1, 1, 1], BasicConstraints),
        (BASIC_CONSTRAINTS, &[0x30, 3, 2, 1, 0], BasicConstraints),
        (BASIC_CONSTRAINTS, &[0x30, 6, 1, 1, 0xff, 2, 1, 0x80], BasicConstraints),
        (BASIC_CONSTRAINTS, &[0x30, 8, 1, 1, 0xff, 2, 1, 0, 5, 0], BasicConstraints),
        (EXTENDED_KEY_USAGE, &[0x30, 0], ExtendedKeyUsage),
        (EXTENDED_KEY_USAGE, &[0x30, 2, 5, 0], ExtendedKeyUsage),
        (SUBJECT_ALT_NAME, &[0x30, 0], SubjectAltName),
        (SUBJECT_ALT_NAME, &[0x30, 3, 0x86, 2, b'a'], SubjectAltName),
        (SUBJECT_ALT_NAME, &[0x30, 3, 0x86, 1, 0xe4], SubjectAltName),
        (SUBJECT_ALT_NAME, &[0x30, 3, 0x89, 1, b'a'], SubjectAltName),
        (NAME_CONSTRAINTS, &[0x30, 2, 0xa2, 0], NameConstraints),
    ];
    for (oid, value, problem) in cases {
        let found = verdict(replaced(*oid, value));
        assert_eq!(found, Err(Error::Certificate { position: 1, problem: *problem }), "{value:x?}");
    }
    let twice = verdict(|params| params.custom_extensions.push(extension(KEY_USAGE, true, &[3, 2, 7, 0x80])));
    assert_eq!(twice, Err(Error::Certificate { position: 1, problem: DuplicateExtension }));
    let many = verdict(|params| {
        params.custom_extensions = (0..32).map(|last| extension([1, 2, 3, last], false, &[])).collect();
    });
    assert_eq!(many, Err(Error::Certificate { position: 1, problem: TooManyExtensions }));
}

#[test]
fn the_form_of_the_certificate() {
    use CertificateProblem::*;
    let root = Ca::root(|_| {});
    let leaf = root.leaf(|_| {});
    let refused = |der: Vec<u8>| match both(&[der.into()], &root.bundle()) {
        Err(Error::Certificate { position: 1, problem }) => problem,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused([&leaf[..], &[0]].concat()), TrailingBytes);
    assert_eq!(refused(leaf[..leaf.len() - 1].to_vec()), NotDer);
    assert_eq!(refused(vec![]), NotDer);
    assert_eq!(refused(vec![0x30, 0]), NotDer);
    let changed = |change: &dyn Fn(&mut Vec<u8>)| refused(root.resign(&leaf, change).to_vec());
    // The version, [0] { INTEGER 2 }, is the first field.
    assert_eq!(changed(&|tbs| tbs[4] = 1), Version);
    assert_eq!(changed(&|tbs| drop(tbs.drain(..5))), Version);
    // Then the serial number.
    let serial = |digits: &'static [u8]| {
        move |tbs: &mut Vec<u8>| {
            let end = 7 + usize::from(tbs[6]);
            tbs.splice(5..end, element(2, digits));
        }
    };
    assert_eq!(changed(&serial(&[])), Serial);
    assert_eq!(changed(&serial(&[1; 21])), Serial);
    for digits in [&[0][..], &[0xff], &[1; 20]] {
        let leaf = root.resign(&leaf, serial(Vec::leak(digits.to_vec())));
        assert!(both(&[leaf], &root.bundle()).is_ok(), "{digits:x?}");
    }
    // ecdsa-with-SHA256 inside becomes ecdsa-with-SHA384.
    let inner = |tbs: &mut Vec<u8>| {
        let place = tbs.windows(8).position(|window| window == [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]).unwrap();
        tbs[place + 7] = 3;
    };
    assert_eq!(changed(&inner), Algorithm);
    let month = |tbs: &mut Vec<u8>| {
        let place = tbs.windows(5).position(|window| window == b"27011").unwrap();
        tbs[place + 2..place + 4].copy_from_slice(b"13");
    };
    assert_eq!(changed(&month), Validity);
}

#[test]
fn both_ends_of_the_validity_are_inside() {
    let root = Ca::root(|_| {});
    let leaf = [root.leaf(|_| {})];
    let (not_before, not_after) = (now() - Duration::minutes(1), now() + Duration::HOUR);
    let at = |now| X509Verifier::default().verify(&leaf, &root.bundle(), now).map(drop);
    assert_eq!(at(not_before), Ok(()));
    assert_eq!(at(not_after), Ok(()));
    assert_eq!(at(not_after + Duration::milliseconds(999)), Ok(()));
    let early = not_before - Duration::SECOND;
    assert_eq!(at(early), Err(Error::NotYetValid { now: early, not_before }));
    let late = not_after + Duration::SECOND;
    assert_eq!(at(late), Err(Error::Expired { now: late, not_after }));
    let ancient = now() - Duration::days(365 * 200);
    assert_eq!(at(ancient), Err(Error::NotYetValid { now: ancient, not_before }));
}

#[test]
fn keys_that_are_too_weak_are_refused() {
    let root = Ca::root(|_| {});
    // P-256 with its point cut: what the key may be is told by keyward-keys.
    let leaf = root.leaf(|_| {});
    let weak = root.resign(&leaf, |tbs| {
        let place = tbs.windows(4).position(|window| window == [3, 0x42, 0, 4]).unwrap();
        tbs[place + 3] = 2;
    });
    let error = both(&[weak], &root.bundle()).unwrap_err();
    assert_eq!(error.to_string(), "the key of the certificate is not accepted");
    assert_eq!(error.kind(), ErrorKind::Malformed);
}

#[test]
fn chains_have_limits() {
    let root = Ca::root(|_| {});
    let leaf = root.leaf(|_| {});
    assert_eq!(both(&[], &root.bundle()), Err(Error::Empty));
    assert!(both(&vec![leaf.clone(); 16], &root.bundle()).is_ok());
    let long = both(&vec![leaf.clone(); 17], &root.bundle());
    assert_eq!(long, Err(Error::ChainLength { length: 17, limit: 16 }));
    let large = CertificateDer::from(vec![0; 65_536]);
    let length = 65_536 + leaf.len();
    let refused = both(&[leaf, large], &root.bundle());
    assert_eq!(refused, Err(Error::TooLarge { length, limit: 65_536 }));
}
