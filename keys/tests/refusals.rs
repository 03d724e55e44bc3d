//! What is refused, and in which words.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyward_keys::{AeadKey, Algorithm, Error, ErrorKind, Jwk, PrivateKey, PublicKey};

const ED25519: &str = include_str!("data/rfc8037-a1-ed25519.pem");
const P256: &str = include_str!("data/rfc7515-a3-es256.pem");
const P384: &str = include_str!("data/rfc6979-a2-6-p384.pem");
const P521: &str = include_str!("data/rfc7515-a4-es512.pem");
const RSA: &str = include_str!("data/rfc7515-a2-rs256.pem");

fn private(pem: &str) -> PrivateKey {
    PrivateKey::from_pkcs8_pem(pem).unwrap()
}

fn jwk(json: &str) -> Result<Jwk, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

/// The error of reading the key from a JWK that reads as such.
fn key_error(json: &str) -> Error {
    PublicKey::from_jwk(&jwk(json).unwrap()).unwrap_err()
}

#[test]
fn private_keys() {
    let cases = [
        (include_str!("data/refused-rsa-1024.pem"), "an RSA modulus of 1024 bits is not accepted, only 2048 to 8192"),
        (
            include_str!("data/refused-rsa-2560.pem"),
            "an RSA modulus of 2560 bits is not accepted, only 2048, 3072 or 4096 for a private key",
        ),
        (include_str!("data/refused-secp256k1.pem"), "curve `1.3.132.0.10` is not supported"),
        (include_str!("data/refused-p224.pem"), "curve `1.3.132.0.33` is not supported"),
        (include_str!("data/refused-ed448.pem"), "private key algorithm `1.3.101.113` is not supported"),
        (include_str!("data/refused-x25519.pem"), "private key algorithm `1.3.101.110` is not supported"),
        (include_str!("data/refused-rsa-pss.pem"), "private key algorithm `1.2.840.113549.1.1.10` is not supported"),
        (include_str!("data/refused-explicit-curve.pem"), "not a valid PKCS#8 private key"),
        (include_str!("data/refused-encrypted.pem"), "not a valid PEM `PRIVATE KEY`"),
        (include_str!("data/refused-sec1.pem"), "not a valid PEM `PRIVATE KEY`"),
        (include_str!("data/refused-pkcs1.pem"), "not a valid PEM `PRIVATE KEY`"),
        ("", "not a valid PEM `PRIVATE KEY`"),
        ("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n", "not a valid PEM `PRIVATE KEY`"),
    ];
    for (pem, text) in cases {
        assert_eq!(PrivateKey::from_pkcs8_pem(pem).unwrap_err().to_string(), text);
    }
}

/// Parts that do not belong together.
#[test]
fn inconsistent_private_keys() {
    for pem in [RSA, P256, P384, P521] {
        let mut document = private(pem).to_pkcs8_der().unwrap();
        *document.last_mut().unwrap() ^= 1;
        let error = PrivateKey::from_pkcs8_der(&document).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.kind()), ("the private key is not valid", ErrorKind::Malformed));
    }
}

#[test]
fn trailing_and_missing_bytes() {
    for pem in [RSA, P256, P384, P521, ED25519] {
        let document = private(pem).to_pkcs8_der().unwrap();
        let longer = [document.as_slice(), &[0]].concat();
        assert!(PrivateKey::from_pkcs8_der(&longer).is_err());
        assert!(PrivateKey::from_pkcs8_der(&document[..document.len() - 1]).is_err());
        let spki = private(pem).public_key().to_spki_der();
        let longer = [spki.as_slice(), &[0]].concat();
        for bad in [&longer[..], &spki[..spki.len() - 1], &[], &[0x30, 0x00]] {
            let error = PublicKey::from_spki_der(bad).unwrap_err();
            assert_eq!(error.to_string(), "not a valid DER `SubjectPublicKeyInfo`");
            assert_eq!(error.kind(), ErrorKind::Malformed);
        }
    }
}

#[test]
fn spki_of_other_shapes() {
    let spki = private(P256).public_key().to_spki_der();
    // The point begins behind the header; 02 or 03 would compress it, another value is nonsense.
    let point = spki.len() - 65;
    for form in [0x02, 0x03, 0x05, 0x06] {
        let mut bad = spki.clone();
        bad[point] = form;
        let error = PublicKey::from_spki_der(&bad).unwrap_err();
        assert_eq!(error.to_string(), "not a valid uncompressed point of the curve's width");
    }
    let mut off = spki.clone();
    *off.last_mut().unwrap() ^= 1;
    assert_eq!(PublicKey::from_spki_der(&off).unwrap_err().to_string(), "the point is not on curve `P-256`");
    // Unused bits in the bit string.
    let mut bits = spki;
    bits[point - 1] = 1;
    assert!(PublicKey::from_spki_der(&bits).is_err());
}

#[test]
fn algorithms_that_do_not_fit() {
    let cases = [(RSA, "RSA"), (P256, "P-256"), (P384, "P-384"), (P521, "P-521"), (ED25519, "Ed25519")];
    let mut fitting = 0;
    for (pem, shown) in cases {
        let key = private(pem);
        for algorithm in Algorithm::ALL {
            let signed = key.sign(*algorithm, b"message");
            assert_eq!(signed.is_ok(), algorithm.fits(key.public_key()));
            match signed {
                Ok(signature) => {
                    fitting += 1;
                    key.public_key().verify(*algorithm, b"message", &signature).unwrap();
                }
                Err(error) => {
                    let text = format!("algorithm `{algorithm}` does not fit a key of type `{shown}`");
                    assert_eq!(error.to_string(), text);
                    assert_eq!(error.kind(), ErrorKind::Refused);
                    assert_eq!(key.sign_asn1(*algorithm, b"message").unwrap_err(), error);
                    assert_eq!(key.public_key().verify(*algorithm, b"message", &[0; 64]).unwrap_err(), error);
                    assert_eq!(key.public_key().verify_asn1(*algorithm, b"message", &[0; 64]).unwrap_err(), error);
                }
            }
        }
    }
    assert_eq!(fitting, Algorithm::ALL.len());
}

#[test]
fn a_signature_of_another_algorithm_or_key() {
    let key = private(RSA);
    let signature = key.sign(Algorithm::Rs256, b"message").unwrap();
    for algorithm in [Algorithm::Rs384, Algorithm::Rs512, Algorithm::Ps256, Algorithm::Ps384, Algorithm::Ps512] {
        let error = key.public_key().verify(algorithm, b"message", &signature).unwrap_err();
        assert_eq!((error.clone(), error.kind()), (Error::BadSignature, ErrorKind::Refused));
    }
    let other = PrivateKey::generate(keyward_keys::KeyType::EcdsaP256).unwrap();
    let signature = other.sign(Algorithm::Es256, b"message").unwrap();
    let error = private(P256).public_key().verify(Algorithm::Es256, b"message", &signature).unwrap_err();
    assert_eq!(error, Error::BadSignature);
}

#[test]
fn jwk_private_members_are_refused_and_never_shown() {
    let secret = "SECRETSECRETSECRET";
    for member in ["d", "p", "q", "dp", "dq", "qi", "k", "priv"] {
        for json in [
            format!(r#"{{"kty":"EC","{member}":"{secret}"}}"#),
            format!(r#"{{"{member}":"{secret}","kty":"EC"}}"#),
            format!(r#"{{"kty":"EC","{member}":{{"a":["{secret}"]}}}}"#),
        ] {
            let error = jwk(&json).unwrap_err();
            assert!(error.starts_with(&format!("the JWK holds the private member `{member}`")), "{error}");
            assert!(!error.contains(secret));
        }
    }
    assert!(jwk(r#"{"kty":"RSA","oth":[]}"#).unwrap_err().contains("`oth`"));
}

#[test]
fn jwk_members_of_the_wrong_type_or_twice() {
    let cases = [
        (r#"{}"#, "the JWK has no member `kty`"),
        (r#"{"crv":"P-256"}"#, "the JWK has no member `kty`"),
        (r#"{"kty":"EC","kty":"EC"}"#, "JWK member `kty` stands twice"),
        (r#"{"kty":"EC","other":1,"other":2}"#, "JWK member `other` stands twice"),
        (r#"{"kty":"EC","\u0063rv":"P-256","crv":"P-384"}"#, "JWK member `crv` stands twice"),
        (r#"{"kty":"EC","key_ops":["verify","verify"]}"#, "JWK member `key_ops` names an operation twice"),
        (r#"{"kty":1}"#, "invalid type: integer `1`, expected a string"),
        (r#"{"kty":null}"#, "invalid type: null, expected a string"),
        (r#"{"kty":"EC","kid":7}"#, "invalid type: integer `7`, expected a string"),
        (r#"{"kty":"EC","alg":null}"#, "invalid type: null, expected a string"),
        (r#"{"kty":"EC","use":["sig"]}"#, "invalid type: sequence, expected a string"),
        (r#"{"kty":"EC","key_ops":"verify"}"#, "invalid type: string \"verify\", expected a sequence"),
        (r#"{"kty":"EC","x5c":"MIIB"}"#, "invalid type: string \"MIIB\", expected a sequence"),
        (r#"["EC"]"#, "invalid type: sequence, expected a public JSON Web Key"),
        (r#""EC""#, "invalid type: string \"EC\", expected a public JSON Web Key"),
    ];
    for (json, text) in cases {
        let error = jwk(json).unwrap_err();
        assert!(error.starts_with(text), "{json}: {error}");
    }
}

#[test]
fn jwk_unknown_members_and_types_are_kept_out_or_left_alone() {
    let read = jwk(r#"{"kty":"AKP","alg":"ML-DSA-44","kid":"new","pub":"AAAA","deep":{"d":[1,{"k":null}]}}"#).unwrap();
    assert_eq!((read.kty(), read.alg(), read.kid()), ("AKP", Some("ML-DSA-44"), Some("new")));
    assert_eq!(serde_json::to_string(&read).unwrap(), r#"{"kty":"AKP","alg":"ML-DSA-44","kid":"new"}"#);
    let error = PublicKey::from_jwk(&read).unwrap_err();
    assert_eq!(error.to_string(), "JWK key type `AKP` is not supported");
    assert_eq!(error.kind(), ErrorKind::Malformed);
}

#[test]
fn jwk_values() {
    let p256 = private(P256).public_key().to_jwk();
    let (x, y) = (p256.x().unwrap(), p256.y().unwrap());
    let rsa = private(RSA).public_key().to_jwk();
    let n = rsa.n().unwrap();
    let n_with_zero = URL_SAFE_NO_PAD.encode([&[0], URL_SAFE_NO_PAD.decode(n).unwrap().as_slice()].concat());
    let short = URL_SAFE_NO_PAD.encode([0xff; 128]);
    let narrow = URL_SAFE_NO_PAD.encode([1; 31]);
    let wide = URL_SAFE_NO_PAD.encode([&[0], URL_SAFE_NO_PAD.decode(x).unwrap().as_slice()].concat());
    // The last character of 32 bytes has four unused bits.
    let loose = format!("{}V", &x[..x.len() - 1]);
    let width = "does not have the width of the curve";
    let base64 = "is not base64url without padding";
    let cases = [
        (format!(r#"{{"kty":"EC","x":"{x}","y":"{y}"}}"#), "the JWK has no member `crv`".into()),
        (format!(r#"{{"kty":"EC","crv":"P-256","y":"{y}"}}"#), "the JWK has no member `x`".into()),
        (format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}"}}"#), "the JWK has no member `y`".into()),
        (format!(r#"{{"kty":"EC","crv":"P-256K","x":"{x}","y":"{y}"}}"#), "curve `P-256K` is not supported".into()),
        (format!(r#"{{"kty":"EC","crv":"p-256","x":"{x}","y":"{y}"}}"#), "curve `p-256` is not supported".into()),
        (format!(r#"{{"kty":"EC","crv":"P-384","x":"{x}","y":"{y}"}}"#), format!("JWK member `x` {width}")),
        (format!(r#"{{"kty":"EC","crv":"P-256","x":"{wide}","y":"{y}"}}"#), format!("JWK member `x` {width}")),
        (format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{narrow}"}}"#), format!("JWK member `y` {width}")),
        (format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":""}}"#), format!("JWK member `y` {width}")),
        (format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}=","y":"{y}"}}"#), format!("JWK member `x` {base64}")),
        (format!(r#"{{"kty":"EC","crv":"P-256","x":"{loose}","y":"{y}"}}"#), format!("JWK member `x` {base64}")),
        (format!(r#"{{"kty":"EC","crv":"P-256","x":"{y}","y":"{x}"}}"#), "the point is not on curve `P-256`".into()),
        (format!(r#"{{"kty":"ec","crv":"P-256","x":"{x}","y":"{y}"}}"#), "JWK key type `ec` is not supported".into()),
        (format!(r#"{{"kty":"RSA","n":"{n}"}}"#), "the JWK has no member `e`".into()),
        (r#"{"kty":"RSA","e":"AQAB"}"#.into(), "the JWK has no member `n`".into()),
        (format!(r#"{{"kty":"RSA","e":"AQAB","n":"{n_with_zero}"}}"#), "JWK member `n` has a leading zero byte".into()),
        (format!(r#"{{"kty":"RSA","e":"AAEAAQ","n":"{n}"}}"#), "JWK member `e` has a leading zero byte".into()),
        (
            format!(r#"{{"kty":"RSA","e":"AQAB","n":"{short}"}}"#),
            "an RSA modulus of 1024 bits is not accepted, only 2048 to 8192".into(),
        ),
        (
            format!(r#"{{"kty":"RSA","e":"AQ","n":"{n}"}}"#),
            "the RSA public key is not usable: the exponent is 1".into(),
        ),
        (format!(r#"{{"kty":"OKP","crv":"X25519","x":"{x}"}}"#), "curve `X25519` is not supported".into()),
        (format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{narrow}"}}"#), format!("JWK member `x` {width}")),
        (
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, URL_SAFE_NO_PAD.encode([0; 32])),
            "the Ed25519 public key is not usable: the point has a small order".into(),
        ),
        (
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, URL_SAFE_NO_PAD.encode([0xff; 32])),
            "the Ed25519 public key is not usable: the encoding is not canonical".into(),
        ),
    ];
    for (json, text) in cases {
        assert_eq!(key_error(&json).to_string(), text, "{json}");
    }
}

#[test]
fn what_cannot_be_opened() {
    let key = AeadKey::from_bytes(&[1; 32]).unwrap();
    let sealed = key.seal(&[2; 12], b"aad", b"plaintext").unwrap();
    let other = AeadKey::from_bytes(&[3; 32]).unwrap();
    let failures = [
        other.open(&[2; 12], b"aad", &sealed),
        key.open(&[3; 12], b"aad", &sealed),
        key.open(&[2; 12], b"aaD", &sealed),
        key.open(&[2; 12], b"aad", &sealed[1..]),
        key.open(&[2; 12], b"aad", &sealed[..15]),
        key.open(&[2; 12], b"aad", &[]),
    ];
    for failure in failures {
        let error = failure.unwrap_err();
        assert_eq!((error.to_string().as_str(), error.kind()), ("decryption failed", ErrorKind::Refused));
    }
}

#[test]
fn secrets_do_not_show() {
    let key = AeadKey::from_bytes(&[0xab; 32]).unwrap();
    assert_eq!(format!("{key:?} {key:#?}"), "AeadKey(..) AeadKey(..)");
    assert_eq!(format!("{:?}", private(P256)), "PrivateKey(..)");
    assert_eq!(
        format!("{:?}", private(ED25519).public_key()),
        r#"PublicKey { kty: "OKP", crv: "Ed25519", thumbprint: "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" }"#
    );
    // A private key given for a public one is not quoted.
    let document = private(P256).to_pkcs8_der().unwrap();
    let error = PublicKey::from_spki_der(&document).unwrap_err();
    assert_eq!(error.to_string(), "not a valid DER `SubjectPublicKeyInfo`");
}
