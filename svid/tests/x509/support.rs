//! A small PKI of rcgen's, with every detail open to change.

use keyward_svid::pki_types::CertificateDer;
use keyward_svid::x509::{Error, X509Bundle, X509Mode, X509Svid, X509Verifier, X509VerifyOptions};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, SigningKey as _,
};
use time::{Duration, OffsetDateTime};

pub(crate) const ID: &str = "spiffe://td.example/web";

pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
}

pub(crate) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

/// A signing certificate and its key.
pub(crate) struct Ca {
    params: CertificateParams,
    key: KeyPair,
    pub(crate) der: CertificateDer<'static>,
}

pub(crate) fn name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn ca_params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(common_name);
    params.not_before = now() - Duration::DAY;
    params.not_after = now() + Duration::days(30);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.subject_alt_names = vec![uri("spiffe://td.example")];
    params
}

pub(crate) fn leaf_params(id: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name("leaf");
    params.not_before = now() - Duration::minutes(1);
    params.not_after = now() + Duration::HOUR;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.subject_alt_names = vec![uri(id)];
    params
}

impl Ca {
    pub(crate) fn root(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = ca_params("root");
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().clone();
        Self { params, key, der }
    }

    pub(crate) fn intermediate(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        self.intermediate_with(name, KeyPair::generate().unwrap(), change)
    }

    pub(crate) fn intermediate_with(
        &self,
        name: &str,
        key: KeyPair,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let mut params = ca_params(name);
        change(&mut params);
        let der = self.sign(&params, &key);
        Self { params, key, der }
    }

    pub(crate) fn sign(&self, params: &CertificateParams, key: &KeyPair) -> CertificateDer<'static> {
        params.signed_by(key, &Issuer::from_params(&self.params, &self.key)).unwrap().der().clone()
    }

    pub(crate) fn leaf(&self, change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
        let mut params = leaf_params(ID);
        change(&mut params);
        self.sign(&params, &KeyPair::generate().unwrap())
    }

    /// A certificate of this CA with its signed part changed and signed again.
    pub(crate) fn resign(
        &self,
        certificate: &CertificateDer<'_>,
        change: impl FnOnce(&mut Vec<u8>),
    ) -> CertificateDer<'static> {
        let (certificate, _) = split(certificate);
        let (tbs, after) = split(certificate);
        let mut tbs = tbs.to_vec();
        change(&mut tbs);
        let tbs = element(0x30, &tbs);
        let algorithm = element(0x30, split(after).0);
        let signature = element(3, &[&[0][..], &self.key.sign(&tbs).unwrap()].concat());
        element(0x30, &[tbs, algorithm, signature].concat()).into()
    }

    pub(crate) fn bundle(&self) -> X509Bundle {
        bundle([self.der.clone()])
    }
}

/// The certificate with another signature algorithm inside and outside, signed by `sign`.
pub(crate) fn resign(
    certificate: &CertificateDer<'_>,
    algorithm: &[u8],
    sign: impl FnOnce(&[u8]) -> Vec<u8>,
) -> CertificateDer<'static> {
    let (certificate, _) = split(certificate);
    let (tbs, _) = split(certificate);
    let (_version, after) = split(tbs);
    let (_serial, after) = split(after);
    let head = &tbs[..tbs.len() - after.len()];
    let (_algorithm, tail) = split(after);
    let algorithm = element(0x30, algorithm);
    let tbs = element(0x30, &[head, &algorithm, tail].concat());
    let signature = element(3, &[&[0][..], &sign(&tbs)].concat());
    element(0x30, &[tbs, algorithm, signature].concat()).into()
}

pub(crate) fn bundle(authorities: impl IntoIterator<Item = CertificateDer<'static>>) -> X509Bundle {
    X509Bundle::new("td.example".parse().unwrap(), authorities).unwrap()
}

/// Content of the first element, and what follows it.
fn split(der: &[u8]) -> (&[u8], &[u8]) {
    let (header, length) = header(der);
    der[header..].split_at(length)
}

fn header(der: &[u8]) -> (usize, usize) {
    match der[1] {
        short @ 0..=0x7f => (2, usize::from(short)),
        0x81 => (3, usize::from(der[2])),
        0x82 => (4, usize::from(u16::from_be_bytes([der[2], der[3]]))),
        _ => panic!("too long"),
    }
}

/// One element.
pub(crate) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let header = match content.len() {
        0..=0x7f => vec![tag, length[1]],
        0x80..=0xff => vec![tag, 0x81, length[1]],
        _ => vec![tag, 0x82, length[0], length[1]],
    };
    [header, content.to_vec()].concat()
}

pub(crate) const KEY_USAGE: [u64; 4] = [2, 5, 29, 15];
pub(crate) const SUBJECT_ALT_NAME: [u64; 4] = [2, 5, 29, 17];
pub(crate) const BASIC_CONSTRAINTS: [u64; 4] = [2, 5, 29, 19];
pub(crate) const NAME_CONSTRAINTS: [u64; 4] = [2, 5, 29, 30];
pub(crate) const EXTENDED_KEY_USAGE: [u64; 4] = [2, 5, 29, 37];

pub(crate) fn extension(oid: [u64; 4], critical: bool, value: &[u8]) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(&oid, value.to_vec());
    extension.set_criticality(critical);
    extension
}

pub(crate) fn strict(chain: &[CertificateDer<'_>], bundle: &X509Bundle) -> Result<X509Svid, Error> {
    X509Verifier::default().verify(chain, bundle, now())
}

pub(crate) fn standard(chain: &[CertificateDer<'_>], bundle: &X509Bundle) -> Result<X509Svid, Error> {
    let mut options = X509VerifyOptions::default();
    options.mode = X509Mode::Standard;
    X509Verifier::new(options).verify(chain, bundle, now())
}

/// The verdict of both modes, which is one.
pub(crate) fn both(chain: &[CertificateDer<'_>], bundle: &X509Bundle) -> Result<X509Svid, Error> {
    let (strict, standard) = (strict(chain, bundle), standard(chain, bundle));
    assert_eq!(strict, standard);
    strict
}

/// A NameConstraints extension: names that are permitted and excluded, each with the number of its form.
pub(crate) fn name_constraints(permitted: &[(u8, &[u8])], excluded: &[(u8, &[u8])]) -> CustomExtension {
    let list = |tag, names: &[(u8, &[u8])]| {
        let subtrees: Vec<u8> =
            names.iter().flat_map(|(form, name)| element(0x30, &element(0x80 | form, name))).collect();
        if names.is_empty() { Vec::new() } else { element(tag, &subtrees) }
    };
    extension(NAME_CONSTRAINTS, true, &element(0x30, &[list(0xa0, permitted), list(0xa1, excluded)].concat()))
}

impl Ca {
    /// An intermediate that may sign for these IDs only.
    pub(crate) fn delegate(&self, name: &str, patterns: &[&str]) -> Self {
        let value: Vec<u8> = patterns.iter().flat_map(|pattern| element(0x0c, pattern.as_bytes())).collect();
        self.delegate_raw(name, &element(0x30, &value))
    }

    pub(crate) fn delegate_raw(&self, name: &str, value: &[u8]) -> Self {
        let parts = keyward_svid::x509::delegation::OBJECT_IDENTIFIER.split('.').map(|part| part.parse().unwrap());
        let extension = CustomExtension::from_oid_content(&parts.collect::<Vec<u64>>(), value.to_vec());
        self.intermediate(name, |params| params.custom_extensions.push(extension))
    }
}
