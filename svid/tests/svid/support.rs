//! Keys, tokens and bundles for the tests.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyward_keys::{Algorithm, KeySigner, KeyType, PrivateKey, Signer as _};
use keyward_svid::{JwkSet, JwtBundle, KeyUse, VerificationKey, Verifier, VerifyOptions};
use time::OffsetDateTime;

pub(crate) const AUDIENCE: &str = "sts.amazonaws.com";
pub(crate) const TRUST_DOMAIN: &str = "td.example";
pub(crate) const NOW: i64 = 1_800_000_000;

/// The nine algorithms, each with a key type that it fits.
pub(crate) const NINE: [(Algorithm, KeyType); 9] = [
    (Algorithm::Rs256, KeyType::Rsa2048),
    (Algorithm::Rs384, KeyType::Rsa2048),
    (Algorithm::Rs512, KeyType::Rsa2048),
    (Algorithm::Ps256, KeyType::Rsa2048),
    (Algorithm::Ps384, KeyType::Rsa2048),
    (Algorithm::Ps512, KeyType::Rsa2048),
    (Algorithm::Es256, KeyType::EcdsaP256),
    (Algorithm::Es384, KeyType::EcdsaP384),
    (Algorithm::Es512, KeyType::EcdsaP521),
];

pub(crate) fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap()
}

/// The one key of a type that the tests of this run share, as PKCS#8.
pub(crate) fn pkcs8(key_type: KeyType) -> &'static [u8] {
    type Lazy = LazyLock<Vec<u8>>;
    fn generate(key_type: KeyType) -> Vec<u8> {
        PrivateKey::generate(key_type).unwrap().to_pkcs8_der().unwrap().to_vec()
    }
    static RSA: Lazy = Lazy::new(|| generate(KeyType::Rsa2048));
    static P256: Lazy = Lazy::new(|| generate(KeyType::EcdsaP256));
    static P384: Lazy = Lazy::new(|| generate(KeyType::EcdsaP384));
    static P521: Lazy = Lazy::new(|| generate(KeyType::EcdsaP521));
    static ED25519: Lazy = Lazy::new(|| generate(KeyType::Ed25519));
    match key_type {
        KeyType::Rsa2048 => &RSA,
        KeyType::EcdsaP256 => &P256,
        KeyType::EcdsaP384 => &P384,
        KeyType::EcdsaP521 => &P521,
        KeyType::Ed25519 => &ED25519,
        other => panic!("no test key of type {other}"),
    }
}

pub(crate) fn private_key(key_type: KeyType) -> PrivateKey {
    PrivateKey::from_pkcs8_der(pkcs8(key_type)).unwrap()
}

/// A signer whose `kid` is the algorithm's name.
pub(crate) fn signer(algorithm: Algorithm) -> KeySigner {
    let key_type = NINE.iter().find(|(known, _)| *known == algorithm).unwrap().1;
    KeySigner::new(private_key(key_type), algorithm, Some(algorithm.to_string())).unwrap()
}

pub(crate) fn verification_key(algorithm: Algorithm) -> VerificationKey {
    VerificationKey::new(signer(algorithm).public_key().clone(), algorithm, algorithm.as_str()).unwrap()
}

/// The keys of all nine algorithms, each under the algorithm's name.
pub(crate) fn bundle() -> JwtBundle {
    let keys = NINE.map(|(algorithm, _)| verification_key(algorithm));
    JwtBundle::new(TRUST_DOMAIN.parse().unwrap(), JwkSet::new(KeyUse::Signature, keys))
}

pub(crate) fn bundle_of(jwks: &str) -> JwtBundle {
    JwtBundle::new(TRUST_DOMAIN.parse().unwrap(), JwkSet::from_json(jwks.as_bytes(), KeyUse::Signature).unwrap())
}

pub(crate) fn verifier() -> Verifier {
    Verifier::new([AUDIENCE], VerifyOptions::default()).unwrap()
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(feature = "wit")]
pub(crate) fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// A token with exactly these header and claims, signed as the algorithm says.
pub(crate) fn sign(header: &str, claims: &str, algorithm: Algorithm) -> String {
    let signed = format!("{}.{}", encode(header), encode(claims));
    let signature = signer(algorithm).sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", encode(signature))
}

/// A token signed with ES256, as most rules do not depend on the algorithm.
pub(crate) fn es256(header: &str, claims: &str) -> String {
    sign(header, claims, Algorithm::Es256)
}

pub(crate) const HEADER: &str = r#"{"alg":"ES256","kid":"ES256","typ":"JWT"}"#;

/// Claims with one second before and after the verification.
pub(crate) fn claims() -> String {
    format!(
        r#"{{"sub":"spiffe://{TRUST_DOMAIN}/w","aud":"{AUDIENCE}","exp":{},"iat":{},"nbf":{}}}"#,
        NOW + 1,
        NOW - 1,
        NOW
    )
}
