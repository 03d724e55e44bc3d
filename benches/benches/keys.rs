//! Signing, verifying and sealing: ours beside the raw primitive, its key kept parsed, and beside `jsonwebtoken`'s.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, ParsedPublicKey, RsaKeyPair, VerificationAlgorithm,
};
use criterion::{Criterion, criterion_group, criterion_main};
use keyward_keys::{AeadKey, Algorithm, KeyType, PrivateKey, PublicKey};

/// About the size of a JWT-SVID's signing input.
const MESSAGE: &[u8] = &[b'm'; 300];

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// One algorithm: our key, the same key in the raw library, the same key in `jsonwebtoken`.
struct Subject {
    algorithm: Algorithm,
    key: PrivateKey,
    sign: Sign,
    verify: ParsedPublicKey,
    encoding: jsonwebtoken::EncodingKey,
    decoding: jsonwebtoken::DecodingKey,
}

fn subject(key_type: KeyType) -> Subject {
    let key = PrivateKey::generate(key_type).unwrap();
    let algorithm = Algorithm::default_for(key_type);
    let der = key.to_pkcs8_der().unwrap();
    let rng = SystemRandom::new();
    let raw: &'static dyn VerificationAlgorithm;
    let public: Vec<u8>;
    let (encoding, decoding);
    let sign: Sign = match algorithm {
        Algorithm::Es256 => {
            let pair = EcdsaKeyPair::from_pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, &der).unwrap();
            raw = &signature::ECDSA_P256_SHA256_FIXED;
            public = pair.public_key().as_ref().to_vec();
            encoding = jsonwebtoken::EncodingKey::from_ec_der(&der);
            decoding = jsonwebtoken::DecodingKey::from_ec_der(&public);
            Box::new(move |message| pair.sign(&rng, message).unwrap().as_ref().to_vec())
        }
        Algorithm::EdDsa => {
            let pair = Ed25519KeyPair::from_pkcs8(&der).unwrap();
            raw = &signature::ED25519;
            public = pair.public_key().as_ref().to_vec();
            encoding = jsonwebtoken::EncodingKey::from_ed_der(&der);
            decoding = jsonwebtoken::DecodingKey::from_ed_der(&public);
            Box::new(move |message| pair.sign(message).as_ref().to_vec())
        }
        _ => {
            let pair = RsaKeyPair::from_pkcs8(&der).unwrap();
            raw = &signature::RSA_PKCS1_2048_8192_SHA256;
            public = pair.public_key().as_ref().to_vec();
            // PKCS#1, which stands behind 26 bytes of PKCS#8.
            encoding = jsonwebtoken::EncodingKey::from_rsa_der(der.get(26..).unwrap());
            decoding = jsonwebtoken::DecodingKey::from_rsa_der(&public);
            Box::new(move |message| {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&signature::RSA_PKCS1_SHA256, &rng, message, &mut signature).unwrap();
                signature
            })
        }
    };
    Subject { algorithm, key, sign, verify: ParsedPublicKey::new(raw, public).unwrap(), encoding, decoding }
}

fn keys(c: &mut Criterion) {
    for key_type in [KeyType::EcdsaP256, KeyType::Rsa2048, KeyType::Ed25519] {
        let Subject { algorithm, key, sign, verify, encoding, decoding } = subject(key_type);
        let public: &PublicKey = key.public_key();
        let theirs: jsonwebtoken::Algorithm = algorithm.as_str().parse().unwrap();

        let mut group = c.benchmark_group(format!("sign/{algorithm}"));
        group.bench_function("raw aws-lc-rs", |b| b.iter(|| sign(black_box(MESSAGE))));
        group.bench_function("keyward", |b| b.iter(|| key.sign(algorithm, black_box(MESSAGE)).unwrap()));
        group.bench_function("jsonwebtoken", |b| {
            b.iter(|| jsonwebtoken::crypto::sign(black_box(MESSAGE), &encoding, theirs).unwrap());
        });
        group.finish();

        let signature = key.sign(algorithm, MESSAGE).unwrap();
        let text = jsonwebtoken::crypto::sign(MESSAGE, &encoding, theirs).unwrap();
        let mut group = c.benchmark_group(format!("verify/{algorithm}"));
        group.bench_function("raw aws-lc-rs", |b| {
            b.iter(|| verify.verify_sig(black_box(MESSAGE), black_box(&signature)).unwrap());
        });
        group.bench_function("keyward", |b| {
            b.iter(|| public.verify(algorithm, black_box(MESSAGE), black_box(&signature)).unwrap());
        });
        group.bench_function("jsonwebtoken", |b| {
            b.iter(|| {
                assert!(jsonwebtoken::crypto::verify(&text, black_box(MESSAGE), &decoding, theirs).unwrap());
            });
        });
        group.finish();

        let jwk = public.to_jwk();
        let mut group = c.benchmark_group(format!("public key/{algorithm}"));
        group.bench_function("from_jwk", |b| b.iter(|| PublicKey::from_jwk(black_box(&jwk)).unwrap()));
        group.bench_function("thumbprint", |b| b.iter(|| black_box(public).thumbprint()));
        group.finish();
    }
}

fn sealing(c: &mut Criterion) {
    use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
    let raw = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[1; 32]).unwrap());
    let ours = AeadKey::from_bytes(&[1; 32]).unwrap();
    let plaintext = [7; 1024];
    let mut group = c.benchmark_group("seal/1 KiB");
    group.bench_function("raw aws-lc-rs", |b| {
        b.iter(|| {
            let mut buffer = Vec::with_capacity(plaintext.len() + 16);
            buffer.extend_from_slice(black_box(&plaintext));
            raw.seal_in_place_append_tag(Nonce::assume_unique_for_key([2; 12]), Aad::from(b"aad"), &mut buffer)
                .unwrap();
            buffer
        });
    });
    group.bench_function("keyward", |b| b.iter(|| ours.seal(&[2; 12], b"aad", black_box(&plaintext)).unwrap()));
    group.finish();

    let sealed = ours.seal(&[2; 12], b"aad", &plaintext).unwrap();
    let mut group = c.benchmark_group("open/1 KiB");
    group.bench_function("raw aws-lc-rs", |b| {
        b.iter(|| {
            let mut buffer = black_box(&sealed).clone();
            let length =
                raw.open_in_place(Nonce::assume_unique_for_key([2; 12]), Aad::from(b"aad"), &mut buffer).unwrap().len();
            buffer.truncate(length);
            buffer
        });
    });
    group.bench_function("keyward", |b| b.iter(|| ours.open(&[2; 12], b"aad", black_box(&sealed)).unwrap()));
    group.finish();
}

criterion_group!(benches, keys, sealing);
criterion_main!(benches);
