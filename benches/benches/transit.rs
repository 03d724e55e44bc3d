//! A ring beside the raw primitives, their keys kept parsed: signing, with the version found and the key ID at hand, and
//! encrypting 1 KiB, with nonce, base64 and prefix. The raw encryption has its nonce given and encodes nothing.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use std::hint::black_box;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use aws_lc_rs::signature::{self, EcdsaKeyPair, RsaKeyPair};
use base64::Engine as _;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use keyward_keys::{AeadKey, HashFunction, KeyType, PrivateKey, Signer};
use keyward_transit::operation::{Encrypt, Hmac};
use keyward_transit::{Cipher, FirstActivation, Kek, KekSet, Material, Ring, RingConfig, open, seal};
use rand_core::UnwrapErr;
use time::OffsetDateTime;
use time::macros::datetime;

const NOW: OffsetDateTime = datetime!(2026-03-01 00:00 UTC);

fn ring(cipher: Cipher, material: Material) -> Ring {
    let mut config = RingConfig::new("bench".parse().unwrap());
    config.cipher = cipher;
    let mut ring = Ring::new(config, FirstActivation::AtOnce, NOW).unwrap();
    ring.install(1, material, NOW).unwrap();
    ring
}

fn signing(c: &mut Criterion) {
    let message = [b'x'; 400];
    let rng = SystemRandom::new();

    let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
    let raw =
        EcdsaKeyPair::from_pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, &key.to_pkcs8_der().unwrap()).unwrap();
    let p256 = ring(Cipher::EcdsaP256, Material::from_private_key(key));
    let mut group = c.benchmark_group("ring signs ES256");
    group.bench_function("raw aws-lc-rs", |b| b.iter(|| raw.sign(&rng, black_box(&message)).unwrap()));
    group.bench_function("keyward", |b| b.iter(|| p256.signer(NOW).unwrap().sign(black_box(&message)).unwrap()));
    group.finish();

    let key = PrivateKey::generate(KeyType::Rsa2048).unwrap();
    let raw = RsaKeyPair::from_pkcs8(&key.to_pkcs8_der().unwrap()).unwrap();
    let rsa = ring(Cipher::Rsa2048, Material::from_private_key(key));
    let mut group = c.benchmark_group("ring signs RS256");
    group.bench_function("raw aws-lc-rs", |b| {
        let mut signature = vec![0; raw.public_modulus_len()];
        b.iter(|| raw.sign(&signature::RSA_PKCS1_SHA256, &rng, black_box(&message), &mut signature).unwrap());
    });
    group.bench_function("keyward", |b| b.iter(|| rsa.signer(NOW).unwrap().sign(black_box(&message)).unwrap()));
    group.finish();
}

/// Randomness as a server buffers it: the operating system is asked once per 4 KiB.
struct Buffered {
    bytes: Vec<u8>,
    used: usize,
}

impl rand_core::TryRng for Buffered {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, wanted: &mut [u8]) -> Result<(), Self::Error> {
        if self.used + wanted.len() > self.bytes.len() {
            rand_core::Rng::fill_bytes(&mut UnwrapErr(getrandom::SysRng), &mut self.bytes);
            self.used = 0;
        }
        wanted.copy_from_slice(&self.bytes[self.used..self.used + wanted.len()]);
        self.used += wanted.len();
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Buffered {}

fn buffered() -> Buffered {
    Buffered { bytes: vec![0; 4096], used: 4096 }
}

fn encrypting(c: &mut Criterion) {
    let plaintext = [b'x'; 1024];
    let aead = || Material::from_aead_key(AeadKey::from_bytes(&[7; 32]).unwrap());
    let ring = ring(Cipher::Aes256Gcm96, aead());
    let raw = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap());

    let mut group = c.benchmark_group("encrypt 1 KiB");
    group.throughput(Throughput::Bytes(1024));
    group.bench_function("raw aws-lc-rs", |b| {
        b.iter(|| {
            let mut buffer = black_box(&plaintext).to_vec();
            let nonce = Nonce::assume_unique_for_key([1; 12]);
            raw.seal_in_place_append_tag(nonce, Aad::from(b"context"), &mut buffer).unwrap();
            buffer
        });
    });
    group.bench_function("raw aws-lc-rs and base64", |b| {
        b.iter(|| {
            let mut buffer = black_box(&plaintext).to_vec();
            let nonce = Nonce::assume_unique_for_key([1; 12]);
            raw.seal_in_place_append_tag(nonce, Aad::from(b"context"), &mut buffer).unwrap();
            base64::engine::general_purpose::STANDARD.encode(buffer)
        });
    });
    group.bench_function("keyward", |b| {
        let mut rng = buffered();
        b.iter(|| ring.encrypt(black_box(&plaintext), b"context", &mut rng, NOW).unwrap());
    });
    group.finish();

    let mut group = c.benchmark_group("decrypt 1 KiB");
    group.throughput(Throughput::Bytes(1024));
    let mut sealed = plaintext.to_vec();
    raw.seal_in_place_append_tag(Nonce::assume_unique_for_key([1; 12]), Aad::from(b"context"), &mut sealed).unwrap();
    group.bench_function("raw aws-lc-rs", |b| {
        b.iter(|| {
            let mut buffer = black_box(&sealed).clone();
            let nonce = Nonce::assume_unique_for_key([1; 12]);
            raw.open_in_place(nonce, Aad::from(b"context"), &mut buffer).unwrap();
            buffer
        });
    });
    let text = ring.encrypt(&plaintext, b"context", &mut buffered(), NOW).unwrap();
    group.bench_function("keyward", |b| b.iter(|| ring.decrypt(black_box(&text), b"context").unwrap()));
    group.finish();
}

/// Each cipher beside the raw one: what the ring adds is version, nonce, base64 and, where it is derived, HKDF and a fresh
/// key schedule.
fn ciphers(c: &mut Criterion) {
    let plaintext = [b'x'; 1024];
    for (cipher, raw) in [
        (Cipher::Aes128Gcm96, &AES_128_GCM),
        (Cipher::Aes256Gcm96, &AES_256_GCM),
        (Cipher::ChaCha20Poly1305, &CHACHA20_POLY1305),
    ] {
        let key = vec![7; raw.key_len()];
        let keyed = |derived, convergent| {
            let mut config = RingConfig::new("bench".parse().unwrap());
            (config.cipher, config.derived, config.convergent_encryption) = (cipher, derived, convergent);
            let mut ring = Ring::new(config, FirstActivation::AtOnce, NOW).unwrap();
            ring.import(Material::from_bytes(cipher, &key).unwrap(), NOW).unwrap();
            ring
        };
        let (plain, derived, convergent) = (keyed(false, false), keyed(true, false), keyed(true, true));
        let raw = LessSafeKey::new(UnboundKey::new(raw, &key).unwrap());
        let mut group = c.benchmark_group(format!("encrypt 1 KiB with {cipher}"));
        group.throughput(Throughput::Bytes(1024));
        group.bench_function("raw aws-lc-rs and base64", |b| {
            b.iter(|| {
                let mut buffer = black_box(&plaintext).to_vec();
                let nonce = Nonce::assume_unique_for_key([1; 12]);
                raw.seal_in_place_append_tag(nonce, Aad::from(b"data"), &mut buffer).unwrap();
                base64::engine::general_purpose::STANDARD.encode(buffer)
            });
        });
        for (name, ring, context) in [
            ("keyward", &plain, &b""[..]),
            ("keyward, derived", &derived, b"user 1"),
            ("keyward, convergent", &convergent, b"user 1"),
        ] {
            let mut rng = buffered();
            group.bench_function(name, |b| {
                b.iter(|| {
                    let encrypt = Encrypt::new(black_box(&plaintext)).with_associated_data(b"data");
                    ring.perform(&encrypt.with_context(context), &mut rng, NOW).unwrap()
                });
            });
        }
        group.finish();
    }
}

fn hmacs(c: &mut Criterion) {
    let message = [b'x'; 400];
    let raw = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
    let ring = ring(Cipher::Hmac, Material::from_bytes(Cipher::Hmac, &[7; 32]).unwrap());
    let mut group = c.benchmark_group("HMAC-SHA256 of 400 bytes");
    group.bench_function("raw aws-lc-rs", |b| b.iter(|| hmac::sign(&raw, black_box(&message))));
    let sha = HashFunction::Sha2_256;
    let mut rng = buffered();
    group.bench_function("keyward", |b| {
        b.iter(|| ring.perform(&Hmac::new(black_box(&message), sha), &mut rng, NOW).unwrap());
    });
    group.finish();
}

fn rsa(c: &mut Criterion) {
    let key = PrivateKey::generate(KeyType::Rsa2048).unwrap();
    let raw =
        OaepPrivateDecryptingKey::new(PrivateDecryptingKey::from_pkcs8(&key.to_pkcs8_der().unwrap()).unwrap()).unwrap();
    let ring = ring(Cipher::Rsa2048, Material::from_private_key(key));
    let text = ring.encrypt(b"secret", b"", &mut buffered(), NOW).unwrap();
    let body = base64::engine::general_purpose::STANDARD.decode(text.strip_prefix("vault:v1:").unwrap()).unwrap();
    let mut group = c.benchmark_group("decrypt RSA-2048 OAEP");
    group.bench_function("raw aws-lc-rs", |b| {
        let mut opened = vec![0; raw.min_output_size()];
        b.iter(|| raw.decrypt(&OAEP_SHA256_MGF1SHA256, black_box(&body), &mut opened, None).unwrap().len());
    });
    group.bench_function("keyward", |b| b.iter(|| ring.decrypt(black_box(&text), b"").unwrap()));
    group.finish();
}

fn batches(c: &mut Criterion) {
    let plaintext = [b'x'; 64];
    let ring = ring(Cipher::Aes256Gcm96, Material::from_bytes(Cipher::Aes256Gcm96, &[7; 32]).unwrap());
    let mut group = c.benchmark_group("encrypt 64 bytes");
    let mut rng = buffered();
    group.throughput(Throughput::Elements(1));
    group.bench_function("one", |b| {
        b.iter(|| ring.encrypt(black_box(&plaintext), b"", &mut rng, NOW).unwrap());
    });
    group.throughput(Throughput::Elements(100));
    group.bench_function("a batch of 100", |b| {
        b.iter(|| ring.batch((0..100).map(|_| Encrypt::new(black_box(&plaintext))), &mut rng, NOW));
    });
    group.finish();
}

fn sealing(c: &mut Criterion) {
    let keks = KekSet::new(Kek::from_bytes(1, &[7; 32]).unwrap());
    let record = seal(keks.current(), "path", &[7; 200], &mut buffered()).unwrap();
    let mut group = c.benchmark_group("record of 200 bytes");
    group.bench_function("seal", |b| {
        let mut rng = buffered();
        b.iter(|| seal(keks.current(), "path", black_box(&[7; 200]), &mut rng).unwrap());
    });
    group.bench_function("open", |b| b.iter(|| open(&keks, "path", black_box(&record)).unwrap()));
    group.finish();
}

criterion_group!(benches, signing, encrypting, ciphers, hmacs, rsa, batches, sealing);
criterion_main!(benches);
