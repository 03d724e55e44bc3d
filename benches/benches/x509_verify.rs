//! Verifying an X.509-SVID of a leaf and an intermediate, ECDSA on P-256 throughout: ours beside webpki with aws-lc-rs,
//! which asks for nothing of SPIFFE, and beside the two signatures alone. The limit is 1.05 times webpki.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use std::hint::black_box;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use criterion::{Criterion, criterion_group, criterion_main};
use keyward_svid::pki_types::{CertificateDer, UnixTime};
use keyward_svid::x509::{X509Bundle, X509Verifier, peek_id};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType, SigningKey as _};
use time::{Duration, OffsetDateTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

const NOW: i64 = 1_800_000_000;

fn params(name: &str, id: &str) -> CertificateParams {
    let now = OffsetDateTime::from_unix_timestamp(NOW).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.not_before = now - Duration::MINUTE;
    params.not_after = now + Duration::HOUR;
    params.subject_alt_names = vec![SanType::URI(id.try_into().unwrap())];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params
}

fn ca(name: &str) -> CertificateParams {
    let mut params = params(name, "spiffe://td.example");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn verifying(c: &mut Criterion) {
    let [root_key, middle_key, leaf_key] = [(); 3].map(|()| KeyPair::generate().unwrap());
    let (root, middle) = (ca("root"), ca("middle"));
    let root_certificate = root.self_signed(&root_key).unwrap().der().clone();
    let middle_certificate = middle.signed_by(&middle_key, &Issuer::from_params(&root, &root_key)).unwrap();
    let mut leaf = params("leaf", "spiffe://td.example/ns/payments/sa/checkout");
    leaf.extended_key_usages =
        vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth, rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let leaf = leaf.signed_by(&leaf_key, &Issuer::from_params(&middle, &middle_key)).unwrap();
    let chain: Vec<CertificateDer<'static>> = vec![leaf.der().clone(), middle_certificate.der().clone()];

    let now = OffsetDateTime::from_unix_timestamp(NOW).unwrap();
    let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(u64::try_from(NOW).unwrap()));
    let bundle = X509Bundle::new("td.example".parse().unwrap(), [root_certificate.clone()]).unwrap();
    let verifier = X509Verifier::default();
    let anchors = [anchor_from_trusted_cert(&root_certificate).unwrap()];
    let message = &chain[0][..chain[0].len() - 75];
    let signed = [&root_key, &middle_key].map(|key| (key.public_key_raw(), key.sign(message).unwrap()));

    let mut group = c.benchmark_group("x509_svid/verify/leaf and intermediate");
    group.measurement_time(std::time::Duration::from_secs(8));
    group.bench_function("two signatures, raw aws-lc-rs", |b| {
        b.iter(|| {
            for (key, signature) in &signed {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key).verify(black_box(message), signature).unwrap();
            }
        });
    });
    group.bench_function("webpki with aws-lc-rs", |b| {
        b.iter(|| {
            let (leaf, intermediates) = black_box(&chain).split_first().unwrap();
            let leaf = EndEntityCert::try_from(leaf).unwrap();
            let path = leaf.verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                &anchors,
                intermediates,
                time,
                KeyUsage::client_auth(),
                None,
                None,
            );
            path.map(drop).unwrap();
        });
    });
    group.bench_function("keyward", |b| b.iter(|| verifier.verify(black_box(&chain), &bundle, now).unwrap()));
    group.finish();

    let mut group = c.benchmark_group("x509_svid/read");
    group.bench_function("webpki, leaf", |b| b.iter(|| EndEntityCert::try_from(black_box(&chain[0])).is_ok()));
    group.bench_function("keyward, ID of a leaf", |b| b.iter(|| peek_id(black_box(&chain[0])).unwrap()));
    group.finish();
}

criterion_group!(benches, verifying);
criterion_main!(benches);
