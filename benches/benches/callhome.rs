//! Calling home: issuing a certificate with its key, beside what cannot be done without (a new key and one signature), and
//! deciding on one that is presented, beside the two verifications in it.

#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_types)]

use std::hint::black_box;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use criterion::{Criterion, criterion_group, criterion_main};
use keyward_callhome_cert::{CallHomeSettings, CallHomeVerifier, HostHash, Knock, OnRecord, Order, Scope, decide};
use keyward_keys::{Algorithm, KeySigner, KeyType, PrivateKey, Signer as _};
use keyward_svid::X509Bundle;
use keyward_svid::x509::Purpose;
use keyward_svid::x509::authority::{Authority, AuthorityRequest, Subject};
use time::{Duration, OffsetDateTime};

fn callhome(criterion: &mut Criterion) {
    let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let signer = KeySigner::new(PrivateKey::generate(KeyType::EcdsaP256).unwrap(), Algorithm::Es256, None).unwrap();
    let public_key = signer.public_key().clone();
    let mut request =
        AuthorityRequest::new("tower.example.org".parse().unwrap(), Subject::default(), now + Duration::days(90));
    (request.purpose, request.path_len) = (Purpose::Client, Some(0));
    let authority = Authority::self_signed(signer, &public_key, &request, &mut rng, now).unwrap();
    let host = HostHash::of(&"4c4c4544-0051-3510-8052-b4c04f4a3132".parse().unwrap());
    let order = Order::new(Scope::Host(host.clone()));
    let (certificate, entry) = order.issue_with_key(&authority, &mut rng, now).unwrap();
    let tbs = certificate.svid().chain().first().unwrap().to_vec();

    let mut group = criterion.benchmark_group("callhome/issue");
    let random = SystemRandom::new();
    let raw = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    group.bench_function("raw key and signature", |bencher| {
        bencher.iter(|| {
            black_box(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap());
            raw.sign(&random, black_box(&tbs)).unwrap()
        });
    });
    group.bench_function("keyward", |bencher| {
        bencher.iter(|| black_box(&order).issue_with_key(&authority, &mut rng, now).unwrap());
    });
    group.finish();

    let bundle = X509Bundle::new("tower.example.org".parse().unwrap(), [authority.certificate().clone()]).unwrap();
    let verifier = CallHomeVerifier::new(&bundle);
    let settings = CallHomeSettings::default();
    let signature = authority.signer().sign(&tbs).unwrap();
    let mut group = criterion.benchmark_group("callhome/admit");
    group.bench_function("raw verification", |bencher| {
        bencher.iter(|| public_key.verify(Algorithm::Es256, black_box(&tbs), black_box(&signature)).unwrap());
    });
    group.bench_function("keyward", |bencher| {
        bencher.iter(|| {
            let presented = verifier.verify(black_box(certificate.svid().chain()), now).unwrap();
            let address = [192, 0, 2, 7].into();
            let knock = Knock { certificate: Some(&presented), ..Knock::new(&host, "thumbprint", address) };
            decide(&settings, &knock, OnRecord { entry: Some(entry.clone()), ..OnRecord::default() }, now).unwrap()
        });
    });
    group.finish();
}

criterion_group!(benches, callhome);
criterion_main!(benches);
