//! Minting and verifying a JWT-SVID: ours beside the raw primitive, its key kept parsed, and beside `jsonwebtoken` and
//! the crate `spiffe`. Every verification finds its key among four; the raw one has only the signature to check.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use std::hint::black_box;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, EcdsaKeyPair, KeyPair as _, ParsedPublicKey, RsaKeyPair, VerificationAlgorithm};
use criterion::{Criterion, criterion_group, criterion_main};
use keyward_keys::{Algorithm, KeySigner, KeyType, PrivateKey};
use keyward_svid::{
    JwkSet, JwtBundle, KeyUse, MintRequest, Minter, UnverifiedJwtSvid, VerificationKey, Verifier, VerifyOptions, mint,
};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

const AUDIENCE: &str = "sts.amazonaws.com";
const SUBJECT: &str = "spiffe://tower.example.org/approle/payments";
const ISSUER: &str = "https://tower.example.org/6f2d1c5e-1f0e-4b5e-9a57-0d6f3c1b2a90";

/// The raw primitive with its key inside.
type RawSign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// One algorithm: one key in each library, and four published ones of which it is the last.
struct Subject {
    signer: KeySigner,
    published: JwkSet,
    raw_sign: RawSign,
    raw_verify: ParsedPublicKey,
    encoding: jsonwebtoken::EncodingKey,
}

fn subject(key_type: KeyType) -> Subject {
    let algorithm = Algorithm::default_for(key_type);
    let key = PrivateKey::generate(key_type).unwrap();
    let der = key.to_pkcs8_der().unwrap();
    let rng = SystemRandom::new();
    let raw: &'static dyn VerificationAlgorithm;
    let public: Vec<u8>;
    let encoding;
    let raw_sign: RawSign = if algorithm == Algorithm::Es256 {
        let pair = EcdsaKeyPair::from_pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, &der).unwrap();
        raw = &signature::ECDSA_P256_SHA256_FIXED;
        public = pair.public_key().as_ref().to_vec();
        encoding = jsonwebtoken::EncodingKey::from_ec_der(&der);
        Box::new(move |message| pair.sign(&rng, message).unwrap().as_ref().to_vec())
    } else {
        let pair = RsaKeyPair::from_pkcs8(&der).unwrap();
        raw = &signature::RSA_PKCS1_2048_8192_SHA256;
        public = pair.public_key().as_ref().to_vec();
        // PKCS#1, which stands behind 26 bytes of PKCS#8.
        encoding = jsonwebtoken::EncodingKey::from_rsa_der(&der[26..]);
        Box::new(move |message| {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(&signature::RSA_PKCS1_SHA256, &rng, message, &mut signature).unwrap();
            signature
        })
    };
    let others = (0..3).map(|_| PrivateKey::generate(key_type).unwrap().public_key().clone());
    let keys = others.chain([key.public_key().clone()]);
    let keys = keys.map(|key| VerificationKey::new(key.clone(), algorithm, key.thumbprint()).unwrap());
    Subject {
        published: JwkSet::new(KeyUse::Signature, keys),
        raw_verify: ParsedPublicKey::new(raw, public).unwrap(),
        signer: KeySigner::new(key, algorithm, None).unwrap(),
        raw_sign,
        encoding,
    }
}

#[allow(clippy::disallowed_methods, reason = "`spiffe` and `jsonwebtoken` compare with the real clock")]
fn real_now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

fn request() -> MintRequest {
    MintRequest::new(SUBJECT.parse().unwrap(), [AUDIENCE], Duration::HOUR).unwrap().with_issuer(ISSUER)
}

fn minting(c: &mut Criterion) {
    for key_type in [KeyType::EcdsaP256, KeyType::Rsa2048] {
        let Subject { signer, raw_sign, encoding, .. } = subject(key_type);
        let (algorithm, now, request) = (Algorithm::default_for(key_type), real_now(), request());
        let minter = Minter::new(&signer).unwrap();
        let message = minter.mint(&request, now).unwrap();
        let message = message.as_str().rsplit_once('.').unwrap().0;

        let mut header = jsonwebtoken::Header::new(algorithm.as_str().parse().unwrap());
        header.kid = Some(signer.public_key().thumbprint());
        let claims = |now: OffsetDateTime| {
            let now = now.unix_timestamp();
            json!({"iss": ISSUER, "sub": SUBJECT, "aud": AUDIENCE, "exp": now + 3600, "iat": now, "nbf": now - 10})
        };

        let mut group = c.benchmark_group(format!("jwt_svid/mint/{algorithm}"));
        group.measurement_time(std::time::Duration::from_secs(8));
        group.bench_function("raw aws-lc-rs", |b| b.iter(|| raw_sign(black_box(message.as_bytes()))));
        group.bench_function("keyward", |b| b.iter(|| minter.mint(black_box(&request), now).unwrap()));
        group.bench_function("keyward, new header each time", |b| {
            b.iter(|| mint(&signer, black_box(&request), now).unwrap());
        });
        group.bench_function("jsonwebtoken", |b| {
            b.iter(|| jsonwebtoken::encode(&header, &claims(black_box(now)), &encoding).unwrap());
        });
        group.finish();
    }
}

fn verifying(c: &mut Criterion) {
    for key_type in [KeyType::EcdsaP256, KeyType::Rsa2048] {
        let Subject { signer, published, raw_verify, .. } = subject(key_type);
        let (algorithm, now) = (Algorithm::default_for(key_type), real_now());
        let token = mint(&signer, &request(), now).unwrap();
        let token = token.as_str();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let signature = {
            let mut decoded = Vec::new();
            decode(signature, &mut decoded);
            decoded
        };

        let theirs: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&published.to_json()).unwrap();
        let their_keys: Vec<_> = theirs
            .keys
            .iter()
            .map(|jwk| (jwk.common.key_id.clone().unwrap(), jsonwebtoken::DecodingKey::from_jwk(jwk).unwrap()))
            .collect();
        let mut validation = jsonwebtoken::Validation::new(algorithm.as_str().parse().unwrap());
        validation.validate_nbf = true;
        validation.set_audience(&[AUDIENCE]);

        let trust_domain = spiffe::TrustDomain::new("tower.example.org").unwrap();
        let spiffe_bundle =
            spiffe::JwtBundle::from_jwt_authorities(trust_domain, published.to_json().as_bytes()).unwrap();
        let mut spiffe_bundles = spiffe::JwtBundleSet::new();
        spiffe_bundles.add_bundle(spiffe_bundle);

        let bundle = JwtBundle::new("tower.example.org".parse().unwrap(), published);
        let verifier = Verifier::new([AUDIENCE], VerifyOptions::default()).unwrap();

        let mut group = c.benchmark_group(format!("jwt_svid/verify/{algorithm}"));
        group.measurement_time(std::time::Duration::from_secs(8));
        group.bench_function("raw aws-lc-rs", |b| {
            b.iter(|| raw_verify.verify_sig(black_box(message.as_bytes()), black_box(&signature)).unwrap());
        });
        group.bench_function("keyward", |b| {
            b.iter(|| verifier.verify(black_box(token), &bundle, now).unwrap());
        });
        group.bench_function("keyward, reading alone", |b| {
            b.iter(|| UnverifiedJwtSvid::parse(black_box(token)).unwrap());
        });
        group.bench_function("jsonwebtoken", |b| {
            b.iter(|| {
                let kid = jsonwebtoken::decode_header(black_box(token)).unwrap().kid.unwrap();
                let (_, key) = their_keys.iter().find(|(known, _)| *known == kid).unwrap();
                jsonwebtoken::decode::<Value>(black_box(token), key, &validation).unwrap()
            });
        });
        group.bench_function("spiffe", |b| {
            b.iter(|| spiffe::JwtSvid::parse_and_validate(black_box(token), &spiffe_bundles, &[AUDIENCE]).unwrap());
        });
        group.finish();
    }
}

/// base64url, to hand the raw primitive what it wants.
fn decode(text: &str, out: &mut Vec<u8>) {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'-' => 62,
        _ => 63,
    };
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.bytes() {
        bits = bits << 6 | u32::from(digit(byte));
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
}

criterion_group!(benches, minting, verifying);
criterion_main!(benches);
