//! Issuing an X.509-SVID for a key that the caller brought: ours beside the raw signature over as many bytes, and beside
//! `rcgen`, both with their signing key kept parsed and with the same extensions. Ours draws its serial number from the
//! system at each certificate; `rcgen` is given one.

#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_types)]

use std::hint::black_box;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use criterion::{Criterion, criterion_group, criterion_main};
use keyward_keys::{Algorithm, KeySigner, KeyType, PrivateKey};
use keyward_svid::x509::authority::{
    Authority, AuthorityRequest, CertificateRequest, IntermediateRequest, LeafRequest, Subject,
};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber, SubjectPublicKeyInfo,
};
use time::{Duration, OffsetDateTime};

const ID: &str = "spiffe://tower.example.org/approle/payments";
const DNS_NAME: &str = "payments.example.org";

fn signer(key_type: KeyType) -> KeySigner {
    KeySigner::new(PrivateKey::generate(key_type).unwrap(), Algorithm::default_for(key_type), None).unwrap()
}

fn root(now: OffsetDateTime) -> Authority<KeySigner> {
    let signer = signer(KeyType::EcdsaP256);
    let public_key = signer.public_key().clone();
    let request =
        AuthorityRequest::new("tower.example.org".parse().unwrap(), Subject::default(), now + Duration::days(90));
    Authority::self_signed(signer, &public_key, &request, &mut rand_core::UnwrapErr(getrandom::SysRng), now).unwrap()
}

/// What `rcgen` issues for this key, when asked.
fn rcgen(public_key: &keyward_keys::PublicKey, now: OffsetDateTime) -> impl Fn() -> Vec<u8> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key).unwrap();
    let issuer = Issuer::from_ca_cert_der(certificate.der(), key).unwrap();

    let leaf_key = SubjectPublicKeyInfo::from_der(&public_key.to_spki_der()).unwrap();
    move || {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names =
            vec![SanType::URI(ID.try_into().unwrap()), SanType::DnsName(DNS_NAME.try_into().unwrap())];
        params.serial_number = Some(SerialNumber::from_slice(&[0x41; 16]));
        (params.not_before, params.not_after) = (now - Duration::seconds(10), now + Duration::HOUR);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        params.signed_by(&leaf_key, &issuer).unwrap().der().to_vec()
    }
}

fn x509_issue(c: &mut Criterion) {
    let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let workload = signer(KeyType::EcdsaP256);
    let id = ID.parse().unwrap();
    let csr = CertificateRequest::sign(&workload, workload.public_key(), Some(&id), [DNS_NAME]).unwrap();
    let request = LeafRequest::new(id, csr.public_key(), Duration::HOUR).unwrap().with_dns_names([DNS_NAME]).unwrap();
    let root = root(now);
    let site_signer = signer(KeyType::EcdsaP256);
    let permitted = ["spiffe://tower.example.org/**".parse().unwrap()];
    let delegation = IntermediateRequest::new(site_signer.public_key(), Duration::DAY, permitted).unwrap();
    let site = Authority::from_parts(site_signer, root.delegate(&delegation, &mut rng, now).unwrap()).unwrap();

    let mut group = c.benchmark_group("x509_issue");
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let tbs = root.issuer().prepare(&request, &mut rng, now).unwrap().certificate().as_bytes().to_vec();
    let system = SystemRandom::new();
    group.bench_function("raw signature", |b| b.iter(|| pair.sign(&system, black_box(&tbs)).unwrap()));
    group.bench_function("keyward root", |b| b.iter(|| root.issue(black_box(&request), &mut rng, now).unwrap()));
    group.bench_function("keyward site", |b| b.iter(|| site.issue(black_box(&request), &mut rng, now).unwrap()));
    let rcgen = rcgen(csr.public_key(), now);
    group.bench_function("rcgen", |b| b.iter(&rcgen));
    group.bench_function("keyward without signature", |b| {
        b.iter(|| root.issuer().prepare(black_box(&request), &mut rng, now).unwrap())
    });
    group.finish();

    // A request comes with a signature of its own, which is verified.
    let mut group = c.benchmark_group("x509_request");
    let (info, signature) = (&tbs, workload.private_key().sign_asn1(Algorithm::Es256, &tbs).unwrap());
    group.bench_function("raw verification", |b| {
        b.iter(|| workload.public_key().verify_asn1(Algorithm::Es256, black_box(info), &signature).unwrap())
    });
    group.bench_function("keyward", |b| b.iter(|| CertificateRequest::from_der(black_box(csr.to_der())).unwrap()));
    group.bench_function("rcgen", |b| {
        let der = csr.to_der().to_vec().into();
        b.iter(|| {
            rcgen::CertificateSigningRequestParams::from_der(black_box(&der)).unwrap().public_key.der_bytes().len()
        })
    });
    group.finish();
}

criterion_group!(benches, x509_issue);
criterion_main!(benches);
