//! Wrong presentations, each with its reason, beside webpki and OpenSSL where they can judge.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "openssl is a program that reads files")]

use std::process::Command;

use keyward_callhome_cert::{CallHomeVerifier, Granularity, Order, Refusal};
use keyward_svid::X509Bundle;
use keyward_svid::pki_types::{CertificateDer, UnixTime};
use keyward_svid::x509::{self, CertificateProblem, LeafProblem, chain_to_pem};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose as Eku, IsCa, Issuer, KeyPair,
    KeyUsagePurpose as Ku, SanType,
};
use time::{Duration, OffsetDateTime};

use crate::cases::{Foreign, leaf, leaf_of, leaves, no_path, uri};
use crate::support::{self, NOW, TRUST_DOMAIN, any, host, issue, one, site};

/// An authority of strangers' making, which signs whatever one likes.
struct Maker {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Maker {
    fn new(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "call-home");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![Ku::KeyCertSign, Ku::CrlSign];
        params.extended_key_usages = vec![Eku::ClientAuth];
        params.subject_alt_names = vec![uri(&format!("spiffe://{TRUST_DOMAIN}"))];
        (params.not_before, params.not_after) = (NOW - Duration::DAY, NOW + Duration::days(90));
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    fn leaf(&self, change: impl FnOnce(&mut CertificateParams)) -> Vec<CertificateDer<'static>> {
        vec![leaf_of(&self.issuer, TRUST_DOMAIN, NOW, change).0]
    }
}

fn ours(path: &str) -> Vec<SanType> {
    vec![uri(&format!("spiffe://{TRUST_DOMAIN}{path}"))]
}

fn verify(
    chain: &[CertificateDer<'static>],
    root: &CertificateDer<'static>,
    now: OffsetDateTime,
) -> Result<(), Refusal> {
    let bundle = X509Bundle::new(TRUST_DOMAIN.parse().unwrap(), [root.clone()]).unwrap();
    let verifier = CallHomeVerifier::new(bundle);
    let found = verifier.verify(chain, now);
    assert_eq!(verifier.verify(chain, now), found, "what is remembered is the same");
    found.map(drop)
}

fn webpki(
    chain: &[CertificateDer<'static>],
    root: &CertificateDer<'static>,
    now: OffsetDateTime,
) -> Result<(), webpki::Error> {
    let anchor = webpki::anchor_from_trusted_cert(root)?;
    let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now.unix_timestamp().try_into().unwrap()));
    let leaf = webpki::EndEntityCert::try_from(&chain[0])?;
    let usage = webpki::KeyUsage::required(&[0x2b, 6, 1, 5, 5, 7, 3, 2]);
    leaf.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &[anchor], &chain[1..], time, usage, None, None).map(drop)
}

fn openssl(
    chain: &[CertificateDer<'static>],
    root: &CertificateDer<'static>,
    now: OffsetDateTime,
) -> Result<(), String> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("root.pem"), chain_to_pem([root])).unwrap();
    std::fs::write(directory.path().join("leaf.pem"), chain_to_pem(chain)).unwrap();
    let at = now.unix_timestamp().to_string();
    let args = ["verify", "-x509_strict", "-purpose", "sslclient", "-attime", &at, "-CAfile", "root.pem", "leaf.pem"];
    let output =
        Command::new("openssl").args(args).current_dir(directory.path()).output().expect("`openssl` is installed");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(text) }
}

struct Case {
    name: &'static str,
    chain: Vec<CertificateDer<'static>>,
    root: CertificateDer<'static>,
    now: OffsetDateTime,
    refusal: Refusal,
    foreign: Foreign,
}

fn cases() -> Vec<Case> {
    let maker = Maker::new(|_| ());
    let other = Maker::new(|_| ());
    let mut cases = Vec::new();
    let own = format!("/site/a/host/{}", host("h1"));
    leaves(TRUST_DOMAIN, &own, NOW, &mut |name, change, refusal, foreign| {
        let (chain, root) = (maker.leaf(change), maker.certificate.clone());
        cases.push(Case { name, chain, root, now: NOW, refusal, foreign });
    });

    let not_after = NOW + Duration::DAY;
    let good = || maker.leaf(|_| ());
    let mut case = |name, chain, root: &CertificateDer<'static>, now, refusal, foreign| {
        cases.push(Case { name, chain, root: root.clone(), now, refusal, foreign });
    };
    let root = &maker.certificate;
    case("expired", good(), root, not_after + Duration::SECOND, Refusal::Expired { not_after }, Foreign::Both);
    case(
        "of another authority of the same name",
        other.leaf(|_| ()),
        root,
        NOW,
        Refusal::UnknownAuthority,
        Foreign::Both,
    );
    case("nothing", Vec::new(), root, NOW, Refusal::Malformed(x509::Error::Empty), Foreign::None);
    case(
        "no certificate",
        vec![CertificateDer::from(vec![0x30, 0])],
        root,
        NOW,
        Refusal::Malformed(x509::Error::Certificate { position: 1, problem: CertificateProblem::NotDer }),
        Foreign::Both,
    );
    let mut changed = good()[0].to_vec();
    *changed.last_mut().unwrap() ^= 1;
    case("a changed signature", vec![changed.into()], root, NOW, Refusal::UnknownAuthority, Foreign::Both);
    case("the authority itself", vec![root.clone()], root, NOW, no_path(TRUST_DOMAIN), Foreign::Both);

    // Below an authority that the authority made, which it may not (its path length is 0).
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "below");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![Ku::KeyCertSign];
    params.subject_alt_names = ours("");
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = (NOW - Duration::HOUR, NOW + Duration::DAY);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &maker.issuer).unwrap().der().clone();
    let below = Maker { issuer: Issuer::new(params, key), certificate: certificate.clone() };
    let chain = vec![below.leaf(|_| ()).remove(0), certificate];
    let refusal = Refusal::NotForCallHome(x509::Error::PathLength);
    case("below an intermediate", chain, root, NOW, refusal, Foreign::Both);

    let expired = Maker::new(|p| p.not_after = NOW - Duration::HOUR);
    let refusal = Refusal::Expired { not_after: NOW - Duration::HOUR };
    // webpki does not look at the life of an anchor.
    case("of an authority that is over", expired.leaf(|_| ()), &expired.certificate, NOW, refusal, Foreign::Openssl);
    cases
}

#[test]
fn wrong_certificates_are_refused_with_the_right_reason_and_strangers_agree() {
    let maker = Maker::new(|_| ());
    let good = maker.leaf(|_| ());
    assert_eq!(verify(&good, &maker.certificate, NOW), Ok(()));
    assert_eq!(webpki(&good, &maker.certificate, NOW), Ok(()));
    let cases = cases();
    assert!(cases.len() >= 30, "{}", cases.len());
    for Case { name, chain, root, now, refusal, foreign } in cases {
        assert_eq!(verify(&chain, &root, now), Err(refusal), "{name}");
        if !chain.is_empty() {
            let refused = webpki(&chain, &root, now);
            assert_eq!(
                refused.is_err(),
                matches!(foreign, Foreign::Both | Foreign::Webpki),
                "{name}: webpki {refused:?}"
            );
        }
    }
}

#[test]
#[ignore = "needs openssl: run by .ci/run"]
fn openssl_agrees_where_it_can_judge() {
    let maker = Maker::new(|_| ());
    let chain = maker.leaf(|_| ());
    assert_eq!(openssl(&chain, &maker.certificate, NOW), Ok(()));
    let authority = support::authority();
    for scope in [any(), site("oslo"), one("h1")] {
        let (chain, _) = issue(&authority, &Order::new(scope));
        assert_eq!(openssl(&chain, authority.certificate(), NOW), Ok(()));
        assert_eq!(webpki(&chain, authority.certificate(), NOW), Ok(()));
        assert_eq!(verify(&chain, authority.certificate(), NOW), Ok(()));
    }
    let mut wrong = Vec::new();
    for Case { name, chain, root, now, foreign, .. } in cases().into_iter().filter(|case| case.chain.len() == 1) {
        let refused = openssl(&chain, &root, now);
        if refused.is_err() != matches!(foreign, Foreign::Both | Foreign::Openssl) {
            wrong.push(format!("{name}: {refused:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_is_asked_for_is_what_is_needed() {
    let authority = support::authority();
    let certificate = |scope| support::verified(&authority, scope).0;
    let (any, site, one) = (certificate(any()), certificate(site("oslo")), certificate(one("h1")));
    let (own, other) = (host("h1"), host("h2"));
    use Granularity::{CertificateOnly, HostId, Never, Site};
    let broad = |found, wanted| Err(Refusal::TooBroad { found, wanted });
    for (granularity, presented, host, expected) in [
        (Never, None, &own, Ok(())),
        (Never, Some(&any), &own, Err(Refusal::Unwanted)),
        (Never, Some(&one), &own, Err(Refusal::Unwanted)),
        (CertificateOnly, None, &own, Err(Refusal::Missing { wanted: CertificateOnly })),
        (CertificateOnly, Some(&any), &own, Ok(())),
        (CertificateOnly, Some(&site), &own, Ok(())),
        (CertificateOnly, Some(&one), &own, Ok(())),
        (CertificateOnly, Some(&one), &other, Err(Refusal::WrongHost)),
        (Site, None, &own, Err(Refusal::Missing { wanted: Site })),
        (Site, Some(&any), &own, broad(CertificateOnly, Site)),
        (Site, Some(&site), &own, Ok(())),
        (Site, Some(&one), &own, Ok(())),
        (Site, Some(&one), &other, Err(Refusal::WrongHost)),
        (HostId, None, &own, Err(Refusal::Missing { wanted: HostId })),
        (HostId, Some(&any), &own, broad(CertificateOnly, HostId)),
        (HostId, Some(&site), &own, broad(Site, HostId)),
        (HostId, Some(&one), &own, Ok(())),
        (HostId, Some(&one), &other, Err(Refusal::WrongHost)),
    ] {
        assert_eq!(granularity.admit(presented, host), expected, "{granularity} {presented:?}");
    }
}

#[test]
fn another_towers_clock_may_be_ahead_by_a_minute() {
    let authority = support::authority();
    let bundle = support::bundle(&authority);
    let (chain, _) = issue(&authority, &Order::new(any()));
    let verify = |now| CallHomeVerifier::new(bundle.clone()).verify(&chain, now).map(drop);
    // The authority is as old as the certificate.
    let not_before = NOW - Duration::seconds(10);
    assert_eq!(verify(not_before - Duration::MINUTE), Ok(()));
    assert_eq!(verify(not_before - Duration::seconds(61)), Err(Refusal::NotYetValid { not_before }));
    assert_eq!(verify(NOW + Duration::DAY), Ok(()));
    let not_after = NOW + Duration::DAY;
    assert_eq!(verify(not_after + Duration::SECOND), Err(Refusal::Expired { not_after }));
}

#[test]
fn what_was_good_once_is_not_good_for_ever() {
    let authority = support::authority();
    let (chain, _) = issue(&authority, &Order::new(any()));
    let verifier = CallHomeVerifier::new(support::bundle(&authority));
    let verify = |now| verifier.verify(&chain, now).map(drop);
    let (not_before, not_after) = (NOW - Duration::seconds(10), NOW + Duration::DAY);
    let first = verifier.verify(&chain, NOW).unwrap();
    // Until its end, for the same chain, by the same authorities; and it says nothing of the time before.
    assert_eq!(verifier.verify(&chain, not_after), Ok(first));
    assert_eq!(verify(not_after + Duration::SECOND), Err(Refusal::Expired { not_after }));
    assert_eq!(verify(not_before - Duration::seconds(61)), Err(Refusal::NotYetValid { not_before }));
    let mut altered = chain.clone();
    let mut bytes = altered[0].to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    altered[0] = bytes.into();
    assert_eq!(verifier.verify(&altered, NOW), Err(Refusal::UnknownAuthority));
    assert!(verifier.verify(&[], NOW).is_err());
    let other = CallHomeVerifier::new(support::bundle(&support::authority()));
    assert_eq!(other.verify(&chain, NOW), Err(Refusal::UnknownAuthority));
}

#[test]
fn reasons_are_for_people() {
    let text = |refusal: Refusal| (refusal.code(), refusal.to_string());
    let not_after = NOW;
    assert_eq!(
        text(Refusal::Expired { not_after }),
        ("expired", "the call-home certificate expired at 2026-03-01T00:00:00Z: issue a new one".to_owned())
    );
    assert_eq!(
        text(Refusal::Missing { wanted: Granularity::Site }),
        (
            "missing",
            "a call-home certificate is needed (granularity `site`): issue one and run its install script".to_owned()
        )
    );
    assert_eq!(
        text(leaf(LeafProblem::Purpose)),
        (
            "not-for-call-home",
            "this is no call-home certificate: the certificate is not one to authenticate with: its ExtendedKeyUsage is not clientAuth alone"
                .to_owned()
        )
    );
}
