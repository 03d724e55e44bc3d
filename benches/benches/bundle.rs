//! Reading and writing a bundle of a hundred keys: half of it X.509 authorities, half of it keys for JWT-SVIDs, all on
//! P-256. Beside it the raw work that nobody is spared: reading the JSON, and making a hundred public keys of it.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use keyward_keys::{Algorithm, Jwk, KeySigner, KeyType, PrivateKey, PublicKey};
use keyward_svid::bundle::{Bundle, BundleSet};
use keyward_svid::x509::authority::{Authority, AuthorityRequest, Subject, SubjectField};
use keyward_svid::{JwkSet, KeyUse, VerificationKey};
use rand_core::UnwrapErr;
use serde_json::Value;
use time::{Duration, OffsetDateTime};

const HALF: usize = 50;

fn bundle(name: &str) -> Bundle {
    let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
    let authorities = (0..HALF).map(|_| {
        let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
        let public = key.public_key().clone();
        let signer = KeySigner::new(key, Algorithm::Es256, None).unwrap();
        let subject = Subject::default().with(SubjectField::Organization, "Example").unwrap();
        let request = AuthorityRequest::new(name.parse().unwrap(), subject, now + Duration::days(90));
        let authority =
            Authority::self_signed(signer, &public, &request, &mut UnwrapErr(getrandom::SysRng), now).unwrap();
        authority.certificate().clone()
    });
    let keys = (0..HALF).map(|_| {
        let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap().public_key().clone();
        let kid = key.thumbprint();
        VerificationKey::new(key, Algorithm::Es256, kid).unwrap()
    });
    Bundle::new(name.parse().unwrap(), authorities, keys).unwrap().with_sequence(1).with_refresh_hint(300)
}

fn benches(criterion: &mut Criterion) {
    let whole = bundle("td.example");
    let json = whole.to_json();
    let jwt = JwkSet::new(KeyUse::JwtSvid, whole.jwt().keys().keys().to_vec()).to_json();
    let entries: Vec<Jwk> =
        serde_json::from_value(serde_json::from_str::<Value>(&json).unwrap()["keys"].take()).unwrap();

    let mut group = criterion.benchmark_group("bundle of 100 keys");
    group.bench_function("read", |b| {
        b.iter(|| Bundle::from_json("td.example".parse().unwrap(), black_box(json.as_bytes())).unwrap());
    });
    group.bench_function("raw: read the JSON", |b| {
        b.iter(|| serde_json::from_slice::<Value>(black_box(json.as_bytes())).unwrap());
    });
    group.bench_function("raw: make the public keys", |b| {
        b.iter(|| entries.iter().map(|jwk| PublicKey::from_jwk(black_box(jwk)).unwrap()).collect::<Vec<_>>());
    });
    group.bench_function("write", |b| b.iter(|| black_box(&whole).to_json()));
    let again = Bundle::from_json("td.example".parse().unwrap(), json.as_bytes()).unwrap();
    group.bench_function("compare with the one held", |b| {
        b.iter(|| black_box(&whole).change_to(black_box(&again)).unwrap());
    });
    group.finish();

    let mut group = criterion.benchmark_group("JWT half, 50 keys");
    group.bench_function("read", |b| {
        b.iter(|| JwkSet::from_json(black_box(jwt.as_bytes()), KeyUse::JwtSvid).unwrap());
    });
    group.bench_function("spiffe", |b| {
        let trust_domain = spiffe::TrustDomain::new("td.example").unwrap();
        b.iter(|| spiffe::JwtBundle::from_jwt_authorities(trust_domain.clone(), black_box(jwt.as_bytes())).unwrap());
    });
    group.finish();

    let set: BundleSet = (0..10).map(|n| bundle(&format!("td{n}.example"))).collect();
    let map = set.to_json();
    let mut group = criterion.benchmark_group("map of 10 bundles of 100 keys");
    group.sample_size(20);
    group.bench_function("read", |b| b.iter(|| BundleSet::from_json(black_box(map.as_bytes())).unwrap()));
    let last: keyward_spiffe_id::TrustDomain = "td9.example".parse().unwrap();
    group.bench_function("find a bundle", |b| b.iter(|| set.get(black_box(&last)).unwrap().x509().is_empty()));
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
