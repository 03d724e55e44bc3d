//! Keys of a real OpenBao server: what it made with them is read here, and what is not random is made the same.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyward_keys::{ErrorKind, HashFunction, PrivateKey};
use keyward_transit::operation::{Decrypt, Encrypt, Hmac, Input, RsaPadding, SaltLength, Sign, Verify, VerifyHmac};
use keyward_transit::{
    Cipher, Error, Export, FirstActivation, Marshaling, Material, Ring, RingConfig, SignOptions, VaultFormat,
};
use rand_core::UnwrapErr;
use serde::Deserialize;
use std::collections::BTreeMap;
use time::OffsetDateTime;
use time::macros::datetime;

const NOW: OffsetDateTime = datetime!(2026-03-01 00:00 UTC);

#[allow(clippy::disallowed_types, reason = "nothing in a test depends on what is drawn")]
fn rng() -> UnwrapErr<getrandom::SysRng> {
    UnwrapErr(getrandom::SysRng)
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Vectors {
    message: String,
    associated_data: String,
    context: String,
    rings: Vec<Exported>,
    wrapped: Vec<Wrapped>,
    exported: Vec<Texts>,
}

#[derive(Deserialize)]
struct Exported {
    name: String,
    r#type: Cipher,
    derived: bool,
    convergent: bool,
    keys: BTreeMap<u32, String>,
    #[serde(default)]
    ciphertexts: Vec<Ciphertext>,
    #[serde(default)]
    signatures: Vec<Signature>,
    #[serde(default)]
    hmacs: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Ciphertext {
    ciphertext: String,
    associated_data: bool,
}

#[derive(Deserialize)]
struct Signature {
    hash: HashFunction,
    marshaling: String,
    padding: Option<String>,
    salt: Option<String>,
    #[serde(default)]
    prehashed: bool,
    signature: String,
}

#[derive(Deserialize)]
struct Tag {
    hash: HashFunction,
    hmac: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Wrapped {
    ring: String,
    hash: String,
    version_1: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Texts {
    ring: String,
    signing_key: String,
    public_key: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("data/openbao.json")).unwrap()
}

fn decode(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap()
}

impl Exported {
    /// The ring with every version imported.
    fn ring(&self) -> Ring {
        let mut config = RingConfig::new(self.name.parse().unwrap());
        config.cipher = self.r#type;
        config.derived = self.derived;
        config.convergent_encryption = self.convergent;
        config.exportable = true;
        let mut ring = Ring::new(config, FirstActivation::AtOnce, NOW).unwrap();
        for key in self.keys.values() {
            let material = if self.r#type.signs() {
                Material::from_private_key(PrivateKey::from_pkcs8_pem(key).unwrap())
            } else {
                Material::from_bytes(self.r#type, &decode(key)).unwrap()
            };
            ring.import(material, NOW).unwrap();
        }
        ring
    }
}

#[test]
fn ciphertexts_are_opened() {
    let vectors = vectors();
    let (message, data, context) =
        (decode(&vectors.message), decode(&vectors.associated_data), decode(&vectors.context));
    let mut opened = 0;
    for exported in &vectors.rings {
        let ring = exported.ring();
        for case in &exported.ciphertexts {
            let data = if case.associated_data { data.as_slice() } else { &[] };
            let context = if exported.derived { context.as_slice() } else { &[] };
            let decrypt = Decrypt::new(&case.ciphertext).with_associated_data(data).with_context(context);
            let plaintext = ring.perform(&decrypt, &mut rng(), NOW).unwrap();
            assert_eq!(plaintext.as_slice(), message, "{}", exported.name);
            if exported.derived {
                let other = ring.perform(&decrypt.with_context(b"user 4"), &mut rng(), NOW);
                assert_eq!(other, Err(Error::DecryptionFailed));
            }
            opened += 1;
        }
    }
    assert_eq!(opened, 9 * 4 + 2 * 2);
}

/// Equal without associated data. With it the nonce is another one, because OpenBao's gives the authentication key away.
#[test]
fn convergent_ciphertexts_are_equal() {
    let vectors = vectors();
    let (message, data, context) =
        (decode(&vectors.message), decode(&vectors.associated_data), decode(&vectors.context));
    let nonce = |text: &str| decode(text.splitn(3, ':').last().unwrap())[..12].to_vec();
    let mut compared = 0;
    for exported in vectors.rings.iter().filter(|ring| ring.convergent) {
        let ring = exported.ring();
        for case in &exported.ciphertexts {
            let version = keyward_transit::operation::version_of(&case.ciphertext).unwrap();
            let encrypt = Encrypt::new(&message).with_context(&context).with_version(version);
            if case.associated_data {
                let ours = ring.perform(&encrypt.with_associated_data(&data), &mut rng(), NOW).unwrap();
                assert_ne!(nonce(&ours), nonce(&case.ciphertext));
            } else {
                assert_eq!(ring.perform(&encrypt, &mut rng(), NOW).unwrap(), case.ciphertext, "{}", exported.name);
            }
            compared += 1;
        }
    }
    assert_eq!(compared, 12);
}

#[test]
fn signatures_verify() {
    let vectors = vectors();
    let (message, context) = (decode(&vectors.message), decode(&vectors.context));
    let (mut verified, mut salted) = (0, 0);
    for exported in &vectors.rings {
        let ring = exported.ring();
        let context = if exported.derived { context.as_slice() } else { &[] };
        for case in &exported.signatures {
            let padding = case.padding.as_deref().map_or(RsaPadding::Pss, |padding| padding.parse().unwrap());
            let marshaling: Marshaling = case.marshaling.parse().unwrap();
            let salt: SaltLength = case.salt.as_deref().unwrap_or("hash").parse().unwrap();
            let options = SignOptions::with_hash(exported.r#type, case.hash, padding, marshaling).unwrap();
            let digest = case.hash.digest(&message);
            // Whoever hashed, it is a signature of the same digest.
            let mut inputs = vec![Input::Message(&message)];
            if exported.r#type != Cipher::Ed25519 {
                inputs.push(Input::Digest(&digest));
            }
            for input in inputs {
                let verify = Verify::new(input, &case.signature, options).with_context(context);
                let result = ring.perform(&verify, &mut rng(), NOW);
                if salt == SaltLength::Any {
                    // A salt as long as it can be, which has to be allowed.
                    assert_eq!(result, Err(Error::SignatureRefused));
                    let most = if exported.r#type == Cipher::Rsa2048 { 256 } else { 384 } - 2 - case.hash.length();
                    for salt in [SaltLength::Any, SaltLength::Bytes(most)] {
                        let verify = Verify::new(input, &case.signature, options.with_salt(salt));
                        ring.perform(&verify, &mut rng(), NOW).unwrap();
                    }
                    let verify = Verify::new(input, &case.signature, options.with_salt(SaltLength::Bytes(most - 1)));
                    assert_eq!(ring.perform(&verify, &mut rng(), NOW), Err(Error::SignatureRefused));
                    let sign = Sign::new(input, options.with_salt(SaltLength::Bytes(most)));
                    let error = Error::SaltLength { found: most, possible: case.hash.length() };
                    assert_eq!(ring.perform(&sign, &mut rng(), NOW), Err(error));
                    salted += 1;
                } else {
                    result.unwrap_or_else(|error| panic!("{} {}: {error}", exported.name, case.hash));
                    verified += 1;
                }
                let again = ring.perform(&Sign::new(input, options).with_context(context), &mut rng(), NOW).unwrap();
                let deterministic = exported.r#type == Cipher::Ed25519 || padding == RsaPadding::Pkcs1v15;
                if deterministic {
                    let older = Sign::new(input, options).with_context(context).with_version(1);
                    assert_eq!(ring.perform(&older, &mut rng(), NOW).unwrap(), case.signature);
                }
                ring.perform(&Verify::new(input, &again, options).with_context(context), &mut rng(), NOW).unwrap();
            }
            assert!(!case.prehashed || exported.r#type != Cipher::Ed25519);
        }
    }
    assert_eq!((verified, salted), (3 * 42 + 2 + 2 + 2 * 30, 2 * 12));
}

#[test]
fn hmacs_are_equal() {
    let vectors = vectors();
    let message = decode(&vectors.message);
    let mut compared = 0;
    for exported in &vectors.rings {
        let ring = exported.ring();
        for case in &exported.hmacs {
            let version = keyward_transit::operation::version_of(&case.hmac).unwrap();
            let ours = ring.perform(&Hmac::new(&message, case.hash).with_version(version), &mut rng(), NOW).unwrap();
            assert_eq!(ours, case.hmac);
            ring.perform(&VerifyHmac::new(&message, &case.hmac, case.hash), &mut rng(), NOW).unwrap();
            compared += 1;
        }
    }
    assert_eq!(compared, 14);
}

#[test]
fn wrapped_keys_are_imported() {
    let vectors = vectors();
    let wrapping = PrivateKey::from_pkcs8_pem(include_str!("../../keys/tests/data/rsa-4096.pem")).unwrap();
    for case in &vectors.wrapped {
        let exported = vectors.rings.iter().find(|ring| ring.name == case.ring).unwrap();
        let hash = match case.hash.as_str() {
            "SHA256" => HashFunction::Sha2_256,
            "SHA384" => HashFunction::Sha2_384,
            _ => HashFunction::Sha2_512,
        };
        let wrapped = decode(&case.version_1);
        let material = Material::from_wrapped(exported.r#type, &wrapping, hash, &wrapped).unwrap();
        let mut config = RingConfig::new("imported".parse().unwrap());
        config.cipher = exported.r#type;
        let mut ring = Ring::new(config, FirstActivation::AtOnce, NOW).unwrap();
        ring.import(material, NOW).unwrap();

        // It is the same key: what the server made with it is read.
        if let Some(case) = exported.ciphertexts.iter().find(|case| !case.associated_data) {
            assert_eq!(ring.decrypt(&case.ciphertext, b"").unwrap().as_slice(), decode(&vectors.message));
        }
        let same = exported.ring();
        assert_eq!(
            ring.view(NOW).versions[0].kid,
            same.view(NOW).versions[0].kid,
            "the key of a signature is told by its ID"
        );
        let tag = Hmac::new(b"message", HashFunction::Sha2_256);
        assert_eq!(
            ring.perform(&tag, &mut rng(), NOW).unwrap(),
            same.perform(&tag.with_version(1), &mut rng(), NOW).unwrap(),
            "the key for HMACs is that of the ring or made of it"
        );

        let refused = |cipher, hash, wrapped: &[u8]| Material::from_wrapped(cipher, &wrapping, hash, wrapped).err();
        let expected = Some(Error::ImportRefused { cipher: exported.r#type });
        for index in [0, 511, 512, wrapped.len() - 1] {
            let mut bad = wrapped.clone();
            bad[index] ^= 1;
            assert_eq!(refused(exported.r#type, hash, &bad), expected, "byte {index}");
        }
        assert_eq!(refused(exported.r#type, hash, &wrapped[..512]), expected);
        assert_eq!(refused(exported.r#type, hash, &wrapped[..300]), expected);
        let other = if exported.r#type == Cipher::EcdsaP384 { Cipher::EcdsaP521 } else { Cipher::EcdsaP384 };
        assert_eq!(refused(other, hash, &wrapped), Some(Error::ImportRefused { cipher: other }));
    }
    assert_eq!(vectors.wrapped.len(), 9);
}

#[test]
fn what_is_exported_is_what_was_imported() {
    for exported in &vectors().rings {
        let ring = exported.ring();
        let export = match exported.r#type {
            Cipher::Hmac => Export::HmacKey,
            cipher if cipher.signs() => Export::SigningKey,
            _ => Export::EncryptionKey,
        };
        let again = ring.export(export, None).unwrap();
        assert_eq!(again.len(), exported.keys.len());
        for key in again {
            let (text, given) = (key.key.to_text(), &exported.keys[&key.version]);
            let written = |format: &str| key.key.to_vault_text(format.parse().unwrap()).map(|text| text.to_string());
            if exported.r#type.signs() {
                let (ours, theirs) = (PrivateKey::from_pkcs8_pem(&text), PrivateKey::from_pkcs8_pem(given));
                assert_eq!(ours.unwrap().public_key(), theirs.unwrap().public_key());
                assert_eq!(written("pem").as_ref(), Ok(given));
                let body: String = given.lines().filter(|line| !line.starts_with('-')).collect();
                assert_eq!(written("der"), Ok(body));
                match exported.r#type {
                    Cipher::Ed25519 => assert_eq!(written("raw"), written("")),
                    _ => {
                        let refused = written("raw").unwrap_err();
                        assert_eq!(refused.kind(), ErrorKind::Malformed);
                        assert_eq!(refused.to_string(), "`raw` is no format of such a key, only `der` and `pem`");
                    }
                }
            } else {
                assert_eq!(text.as_str(), given);
                assert_eq!((written("").as_ref(), written("raw").as_ref()), (Ok(given), Ok(given)));
                for format in ["der", "pem"] {
                    let refused = written(format).unwrap_err().to_string();
                    assert_eq!(refused, format!("`{format}` is no format of such a key, only `raw`"));
                }
            }
        }
    }
    let refused = "PEM".parse::<VaultFormat>().unwrap_err().to_string();
    assert_eq!(refused, "`PEM` is no format, only `raw`, `der` and `pem`");
}

/// The texts of keys as its clients know them.
#[test]
fn exported_keys_have_the_same_text() {
    let vectors = vectors();
    for texts in &vectors.exported {
        let exported = vectors.rings.iter().find(|ring| ring.name == texts.ring).unwrap();
        let ring = exported.ring();
        let key = ring.export(Export::SigningKey, Some(1)).unwrap();
        assert_eq!(key[0].key.to_vault_text(VaultFormat::Usual).unwrap().as_str(), texts.signing_key, "{}", texts.ring);
        if !exported.derived {
            let key = ring.export(Export::PublicKey, Some(1)).unwrap();
            assert_eq!(
                key[0].key.to_vault_text(VaultFormat::Usual).unwrap().as_str(),
                texts.public_key,
                "{}",
                texts.ring
            );
        }
    }
    assert_eq!(vectors.exported.len(), 7);
}
