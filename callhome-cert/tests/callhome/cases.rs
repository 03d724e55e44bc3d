//! Wrong certificates as data: what is changed of a good one, and what it is refused for. The tower's tests present them, too.
#![allow(dead_code, reason = "not everybody uses all of it")]

use keyward_callhome_cert::Refusal;
use keyward_svid::pki_types::CertificateDer;
use keyward_svid::x509::{self, LeafProblem};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose as Eku, IsCa, Issuer,
    KeyPair, KeyUsagePurpose as Ku, SanType, SigningKey,
};
use time::{Duration, OffsetDateTime};

/// Who can judge a case besides us.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Foreign {
    /// It is RFC 5280's matter, and both refuse.
    Both,
    /// webpki refuses it, OpenSSL lets it pass.
    Webpki,
    /// OpenSSL refuses it, webpki lets it pass.
    Openssl,
    /// It is a rule of calling home, which they do not know: both accept.
    None,
}

/// What takes a case: what it is called, what is changed of a good certificate, what that is refused for, and who else refuses it.
pub(crate) type Take<'t> = dyn FnMut(&'static str, &dyn Fn(&mut CertificateParams), Refusal, Foreign) + 't;

pub(crate) fn uri(text: &str) -> SanType {
    SanType::URI(Ia5String::try_from(text).unwrap())
}

/// A good certificate but for what is changed, with the key that was made for it.
pub(crate) fn leaf_of(
    issuer: &Issuer<'_, impl SigningKey>,
    trust_domain: &str,
    now: OffsetDateTime,
    change: impl FnOnce(&mut CertificateParams),
) -> (CertificateDer<'static>, KeyPair) {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "host");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![Ku::DigitalSignature];
    params.extended_key_usages = vec![Eku::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params.subject_alt_names = vec![uri(&format!("spiffe://{trust_domain}/call-home"))];
    (params.not_before, params.not_after) = (now - Duration::MINUTE, now + Duration::DAY);
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, issuer).unwrap().der().clone(), key)
}

pub(crate) fn leaf(problem: LeafProblem) -> Refusal {
    Refusal::NotForCallHome(x509::Error::Leaf { problem })
}

pub(crate) fn no_path(trust_domain: &str) -> Refusal {
    let id = format!("spiffe://{trust_domain}").parse::<keyward_spiffe_id::SpiffeId>().unwrap();
    Refusal::NotForCallHome(x509::Error::Id(id.workload_path().unwrap_err()))
}

/// Wrong certificates of the right authority, presented `now`; `host` is the path of some host's own ID.
pub(crate) fn leaves(trust_domain: &str, host: &str, now: OffsetDateTime, add: &mut Take<'_>) {
    let ours = |path: &str| vec![uri(&format!("spiffe://{trust_domain}{path}"))];
    let count = |found| Refusal::NotForCallHome(x509::Error::UriCount { found });
    add("no ExtendedKeyUsage", &|p| p.extended_key_usages.clear(), leaf(LeafProblem::Purpose), Foreign::Webpki);
    add("any purpose", &|p| p.extended_key_usages = vec![Eku::Any], leaf(LeafProblem::Purpose), Foreign::Both);
    add("any purpose besides", &|p| p.extended_key_usages.push(Eku::Any), leaf(LeafProblem::Purpose), Foreign::None);
    add("a server's", &|p| p.extended_key_usages = vec![Eku::ServerAuth], leaf(LeafProblem::Purpose), Foreign::Both);
    add(
        "a server's besides",
        &|p| p.extended_key_usages.push(Eku::ServerAuth),
        leaf(LeafProblem::Purpose),
        Foreign::None,
    );
    add(
        "code signing besides",
        &|p| p.extended_key_usages.push(Eku::CodeSigning),
        leaf(LeafProblem::Purpose),
        Foreign::None,
    );
    add("CA:TRUE", &|p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained), leaf(LeafProblem::Ca), Foreign::Webpki);
    add("keyCertSign", &|p| p.key_usages.push(Ku::KeyCertSign), leaf(LeafProblem::KeyCertSign), Foreign::Openssl);
    add("cRLSign", &|p| p.key_usages.push(Ku::CrlSign), leaf(LeafProblem::CrlSign), Foreign::None);
    add("no KeyUsage", &|p| p.key_usages.clear(), leaf(LeafProblem::KeyUsage), Foreign::None);
    add(
        "no digitalSignature",
        &|p| p.key_usages = vec![Ku::KeyAgreement],
        leaf(LeafProblem::DigitalSignature),
        Foreign::None,
    );
    add(
        "only keyEncipherment",
        &|p| p.key_usages = vec![Ku::KeyEncipherment],
        leaf(LeafProblem::DigitalSignature),
        Foreign::Openssl,
    );
    add(
        "no issuer's key identifier",
        &|p| p.use_authority_key_identifier_extension = false,
        leaf(LeafProblem::KeyIdentifiers),
        Foreign::Openssl,
    );
    add("no key identifier", &|p| p.is_ca = IsCa::NoCa, leaf(LeafProblem::KeyIdentifiers), Foreign::None);
    add("no URI", &|p| p.subject_alt_names.clear(), count(0), Foreign::None);
    add(
        "two URIs",
        &|p| p.subject_alt_names = [ours("/call-home"), ours("/call-home/site/a")].concat(),
        count(2),
        Foreign::None,
    );
    add("an SVID's ID", &|p| p.subject_alt_names = ours("/approle/a"), Refusal::NoScope, Foreign::None);
    add("a host's own ID", &|p| p.subject_alt_names = ours(host), Refusal::NoScope, Foreign::None);
    add("no site", &|p| p.subject_alt_names = ours("/call-home/site"), Refusal::NoScope, Foreign::None);
    add("a host-id in clear", &|p| p.subject_alt_names = ours("/call-home/host/h1"), Refusal::NoScope, Foreign::None);
    add(
        "another trust domain",
        &|p| p.subject_alt_names = vec![uri("spiffe://other.example/call-home")],
        Refusal::UnknownAuthority,
        Foreign::None,
    );
    add("the trust domain itself", &|p| p.subject_alt_names = ours(""), no_path(trust_domain), Foreign::None);
    add(
        "an unknown critical extension",
        &|p| {
            let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
            extension.set_criticality(true);
            p.custom_extensions.push(extension);
        },
        leaf(LeafProblem::UnknownExtension),
        Foreign::Both,
    );
    let not_before = now + Duration::hours(2);
    add("not yet", &|p| p.not_before = not_before, Refusal::NotYetValid { not_before }, Foreign::Both);
    add(
        "expired a second ago",
        &|p| p.not_after = now - Duration::SECOND,
        Refusal::Expired { not_after: now - Duration::SECOND },
        Foreign::Both,
    );
}
