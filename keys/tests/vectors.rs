//! Published vectors, and signatures made by OpenSSL, on whichever backend serves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keyward_keys::{
    AeadAlgorithm, AeadKey, Algorithm, HashFunction, HmacKey, Jwk, KeyType, PrivateKey, PublicKey, hkdf_sha256,
};

const RFC7515_PAYLOAD: &str =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

const A2_JWK: &str = r#"{"kty":"RSA",
  "n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
  "e":"AQAB"}"#;
const A2_SIGNATURE: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

const A3_JWK: &str = r#"{"kty":"EC","crv":"P-256",
  "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
const A3_SIGNATURE: &str = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

const A4_JWK: &str = r#"{"kty":"EC","crv":"P-521",
  "x":"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
  "y":"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"}"#;
const A4_SIGNATURE: &str = "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";

const RFC8037_JWK: &str = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
const RFC8037_SIGNATURE: &str =
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

const A2_PEM: &str = include_str!("data/rfc7515-a2-rs256.pem");
const A3_PEM: &str = include_str!("data/rfc7515-a3-es256.pem");
const A4_PEM: &str = include_str!("data/rfc7515-a4-es512.pem");
const P384_PEM: &str = include_str!("data/rfc6979-a2-6-p384.pem");
const RFC8037_PEM: &str = include_str!("data/rfc8037-a1-ed25519.pem");

fn public(jwk: &str) -> PublicKey {
    PublicKey::from_jwk(&serde_json::from_str(jwk).unwrap()).unwrap()
}

fn verify_jws(jwk: &str, algorithm: Algorithm, signing_input: &str, signature: &str) {
    let key = public(jwk);
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    key.verify(algorithm, signing_input.as_bytes(), &signature).unwrap();
    let error = key.verify(algorithm, &signing_input.as_bytes()[1..], &signature).unwrap_err();
    assert_eq!(error.to_string(), "the signature does not verify");
}

#[test]
fn rfc7515_a2_rs256() {
    let input = format!("eyJhbGciOiJSUzI1NiJ9.{RFC7515_PAYLOAD}");
    verify_jws(A2_JWK, Algorithm::Rs256, &input, A2_SIGNATURE);
    // Deterministic: we make the same signature.
    let key = PrivateKey::from_pkcs8_pem(A2_PEM).unwrap();
    let signature = key.sign(Algorithm::Rs256, input.as_bytes()).unwrap();
    assert_eq!(URL_SAFE_NO_PAD.encode(signature), A2_SIGNATURE);
}

#[test]
fn rfc7515_a3_es256() {
    verify_jws(A3_JWK, Algorithm::Es256, &format!("eyJhbGciOiJFUzI1NiJ9.{RFC7515_PAYLOAD}"), A3_SIGNATURE);
}

#[test]
fn rfc7515_a4_es512() {
    verify_jws(A4_JWK, Algorithm::Es512, "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA", A4_SIGNATURE);
}

#[test]
fn rfc8037_a4_ed25519() {
    let input = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    verify_jws(RFC8037_JWK, Algorithm::EdDsa, input, RFC8037_SIGNATURE);
    let key = PrivateKey::from_pkcs8_pem(RFC8037_PEM).unwrap();
    let signature = key.sign(Algorithm::EdDsa, input.as_bytes()).unwrap();
    assert_eq!(URL_SAFE_NO_PAD.encode(signature), RFC8037_SIGNATURE);
}

#[test]
fn private_and_public_vectors_are_one_key() {
    let cases = [
        (A2_PEM, A2_JWK, KeyType::Rsa2048),
        (A3_PEM, A3_JWK, KeyType::EcdsaP256),
        (A4_PEM, A4_JWK, KeyType::EcdsaP521),
        (RFC8037_PEM, RFC8037_JWK, KeyType::Ed25519),
    ];
    for (pem, jwk, key_type) in cases {
        let private = PrivateKey::from_pkcs8_pem(pem).unwrap();
        assert_eq!(private.public_key(), &public(jwk));
        assert_eq!(private.key_type(), key_type);
        let again: Jwk = serde_json::from_str(jwk).unwrap();
        assert_eq!(private.public_key().to_jwk(), again);
    }
}

#[test]
fn thumbprints() {
    // RFC 7638 §3.1; `alg` and `kid` do not count.
    let rsa = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#;
    assert_eq!(public(rsa).thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    // RFC 8037 appendix A.3.
    assert_eq!(public(RFC8037_JWK).thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    // Computed apart for the key of RFC 7515 appendix A.3.
    assert_eq!(public(A3_JWK).thumbprint(), "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
}

#[test]
fn openssl_signatures_verify() {
    let mut seen = Vec::new();
    for line in include_str!("data/openssl-signatures.txt").lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split(' ').collect();
        let pem = match fields[0] {
            "rfc7515-a2-rs256" => A2_PEM,
            "rfc7515-a3-es256" => A3_PEM,
            "rfc6979-a2-6-p384" => P384_PEM,
            "rfc7515-a4-es512" => A4_PEM,
            "rfc8037-a1-ed25519" => RFC8037_PEM,
            other => panic!("{other}"),
        };
        let algorithm: Algorithm = fields[1].parse().unwrap();
        let key = PrivateKey::from_pkcs8_pem(pem).unwrap().public_key().clone();
        let (fixed, asn1) = (STANDARD.decode(fields[2]).unwrap(), STANDARD.decode(fields[3]).unwrap());
        key.verify(algorithm, b"keyward", &fixed).unwrap();
        key.verify_asn1(algorithm, b"keyward", &asn1).unwrap();
        if fixed != asn1 {
            key.verify(algorithm, b"keyward", &asn1).unwrap_err();
            key.verify_asn1(algorithm, b"keyward", &fixed).unwrap_err();
        }
        seen.push(algorithm);
    }
    seen.sort();
    assert_eq!(seen, Algorithm::ALL);
}

/// RFC 7518 §3.5: the salt is as long as the digest.
#[test]
fn pss_with_another_salt_length_is_refused() {
    let signature = STANDARD.decode(include_str!("data/refused-ps256-salt-20.b64").trim()).unwrap();
    let error = public(A2_JWK).verify(Algorithm::Ps256, b"keyward", &signature).unwrap_err();
    assert_eq!(error.to_string(), "the signature does not verify");
}

#[test]
fn openssl_spki_is_ours() {
    let cases = [
        (A2_PEM, include_str!("data/rfc7515-a2-rs256.pub.pem")),
        (A3_PEM, include_str!("data/rfc7515-a3-es256.pub.pem")),
        (P384_PEM, include_str!("data/rfc6979-a2-6-p384.pub.pem")),
        (A4_PEM, include_str!("data/rfc7515-a4-es512.pub.pem")),
        (RFC8037_PEM, include_str!("data/rfc8037-a1-ed25519.pub.pem")),
    ];
    for (private, public) in cases {
        let spki: String = public.lines().filter(|line| !line.starts_with('-')).collect();
        let spki = STANDARD.decode(spki).unwrap();
        let key = PublicKey::from_spki_der(&spki).unwrap();
        assert_eq!(key.to_spki_der(), spki);
        assert_eq!(PrivateKey::from_pkcs8_pem(private).unwrap().public_key(), &key);
    }
}

/// As `openssl pkey -traditional` writes them.
#[test]
fn private_keys_in_their_former_forms() {
    for (key, expected) in [
        (include_str!("data/rfc7515-a2-rs256.pem"), include_str!("data/rfc7515-a2-rs256.traditional.pem")),
        (include_str!("data/rfc7515-a3-es256.pem"), include_str!("data/rfc7515-a3-es256.traditional.pem")),
        (include_str!("data/rfc7515-a4-es512.pem"), include_str!("data/rfc7515-a4-es512.traditional.pem")),
    ] {
        assert_eq!(PrivateKey::from_pkcs8_pem(key).unwrap().to_traditional_pem().unwrap().as_str(), expected);
    }
    let ed25519 = PrivateKey::from_pkcs8_pem(include_str!("data/rfc8037-a1-ed25519.pem")).unwrap();
    let error = ed25519.to_traditional_pem().unwrap_err();
    assert_eq!(error.to_string(), "a key of type `Ed25519` cannot be written but as PKCS#8");
}

/// The GCM specification's test cases 13 to 16, AES-256 with nonces of 96 bits.
#[test]
fn gcm_specification() {
    let key = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
    let text = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255";
    let sealed = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad";
    let zero = "0".repeat(64);
    let cases = [
        (zero.as_str(), "0".repeat(24), "", String::new(), String::new(), "530f8afbc74536b9a963b4f1c4cb738b"),
        (
            &zero,
            "0".repeat(24),
            "",
            "0".repeat(32),
            "cea7403d4d606b6e074ec5d3baf39d18".into(),
            "d0d1c8a799996bf0265b98b5d48ab919",
        ),
        (key, "cafebabefacedbaddecaf888".into(), "", text.into(), sealed.into(), "b094dac5d93471bdec1a502270e3cc6c"),
        (
            key,
            "cafebabefacedbaddecaf888".into(),
            "feedfacedeadbeeffeedfacedeadbeefabaddad2",
            text[..120].into(),
            sealed[..120].into(),
            "76fc6ece0f4e1768cddf8853bb2d551b",
        ),
    ];
    for (key, nonce, aad, plaintext, ciphertext, tag) in cases {
        let key = AeadKey::from_bytes(&hex(key).try_into().unwrap()).unwrap();
        let nonce: [u8; 12] = hex(&nonce).try_into().unwrap();
        let sealed = key.seal(&nonce, &hex(aad), &hex(&plaintext)).unwrap();
        assert_eq!(sealed, hex(&format!("{ciphertext}{tag}")));
        assert_eq!(*key.open(&nonce, &hex(aad), &sealed).unwrap(), hex(&plaintext));
    }
}

#[test]
fn rfc_8439_section_2_8_2() {
    let key: Vec<u8> = (0x80..0xa0).collect();
    let nonce = hex("070000004041424344454647").try_into().unwrap();
    let plaintext = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
                      sunscreen would be it.";
    let sealed = "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b\
                  1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc\
                  3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691";
    let key = AeadKey::new(AeadAlgorithm::ChaCha20Poly1305, &key).unwrap();
    let found = key.seal(&nonce, &hex("50515253c0c1c2c3c4c5c6c7"), plaintext).unwrap();
    assert_eq!(found, hex(sealed));
}

#[test]
fn rfc_4231_section_4_2() {
    let key = HmacKey::from_bytes(&[0x0b; 20]);
    let sha256 = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";
    let sha512 = "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4\
                  be9d914eeb61f1702e696c203a126854";
    assert_eq!(key.sign(HashFunction::Sha2_256, b"Hi There"), hex(sha256));
    assert_eq!(key.sign(HashFunction::Sha2_512, b"Hi There"), hex(sha512));
}

#[test]
fn rfc_5869_appendix_a_1() {
    let mut key = [0; 42];
    hkdf_sha256(&hex("000102030405060708090a0b0c"), &[0x0b; 22], &hex("f0f1f2f3f4f5f6f7f8f9"), &mut key).unwrap();
    let expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
    assert_eq!(key, hex(expected).as_slice());
}

fn hex(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}
