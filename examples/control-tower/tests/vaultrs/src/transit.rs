//! Keys, and what they are asked to do.

use aws_lc_rs::{
    encoding::{AsDer as _, PublicKeyX509Der},
    key_wrap::{AES_256, AesKek, KeyWrapPadded as _},
    rsa::{
        OAEP_SHA256_MGF1SHA256, OAEP_SHA512_MGF1SHA512, OaepAlgorithm, OaepPublicEncryptingKey, PublicEncryptingKey,
    },
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use vaultrs::{
    api::transit::{
        HashAlgorithm, HashFunction, KeyType, MarshalingAlgorithm, OutputFormat, SignatureAlgorithm,
        requests::{
            CreateKeyRequest, DataKeyType, DecryptDataRequest, EncryptDataRequest, ExportKeyType, ExportVersion,
            GenerateDataKeyRequest, GenerateHmacRequest, GenerateRandomBytesRequest, HashDataRequest, ImportKeyRequest,
            ImportKeyVersionRequest, RandomBytesSource, RestoreKeyRequest, RewrapDataRequest, SignDataRequest,
            UpdateKeyConfigurationRequest, VerifySignedDataRequest,
        },
        responses::ReadKeyData,
    },
    client::VaultClient,
    transit,
};

use crate::{Outcome, calls::Calls, calls::same, refused, served, unknown};

const MOUNT: &str = "transit";

fn b64(text: &str) -> String {
    STANDARD.encode(text)
}

/// Makes, reads, changes and deletes keys of every type.
pub async fn keys(c: &VaultClient, calls: &mut Calls) -> Outcome {
    for (name, kind) in [
        ("aes128", KeyType::Aes128Gcm96),
        ("aes", KeyType::Aes256Gcm96),
        ("chacha", KeyType::Chacha20Poly1305),
        ("ed", KeyType::Ed25519),
        ("p256", KeyType::EcdsaP256),
        ("p384", KeyType::EcdsaP384),
        ("p521", KeyType::EcdsaP521),
        ("rsa", KeyType::Rsa2048),
    ] {
        served!(calls, transit::key::create(c, MOUNT, name, Some(CreateKeyRequest::builder().key_type(kind))));
        let read = served!(calls, transit::key::read(c, MOUNT, name));
        same("name and lowest version", (read.name.as_str(), read.min_decryption_version), (name, 1))?;
        same("public keys", matches!(read.keys, ReadKeyData::Asymmetric(_)), read.supports_signing)?;
    }
    served!(calls, transit::key::create(c, MOUNT, "plain", None));
    same("keys", served!(calls, transit::key::list(c, MOUNT)).keys.len(), 9)?;
    refused!(calls, 404, transit::key::read(c, MOUNT, "none"));

    served!(calls, transit::key::rotate(c, MOUNT, "aes"));
    let mut lowest = UpdateKeyConfigurationRequest::builder();
    lowest.min_decryption_version(2u64).min_encryption_version(2u64);
    served!(calls, transit::key::update(c, MOUNT, "aes", Some(&mut lowest)));
    same("lowest", served!(calls, transit::key::read(c, MOUNT, "aes")).min_encryption_version, 2)?;
    served!(calls, transit::key::trim(c, MOUNT, "aes", 2));
    refused!(calls, 400, transit::key::trim(c, MOUNT, "aes", 3));
    refused!(calls, 400, transit::key::delete(c, MOUNT, "aes"));
    let mut deletable = UpdateKeyConfigurationRequest::builder();
    served!(calls, transit::key::update(c, MOUNT, "aes", Some(deletable.deletion_allowed(true))));
    served!(calls, transit::key::delete(c, MOUNT, "aes"));
    refused!(calls, 404, transit::key::read(c, MOUNT, "aes"));

    unknown!(calls, transit::cache::read(c, MOUNT));
    unknown!(calls, transit::cache::configure(c, MOUNT, None));
    Ok(())
}

/// Exports, backs up, restores and imports keys.
pub async fn out_and_in(c: &VaultClient, calls: &mut Calls) -> Outcome {
    let mut open = CreateKeyRequest::builder();
    open.exportable(true).allow_plaintext_backup(true);
    served!(calls, transit::key::create(c, MOUNT, "open", Some(&mut open)));
    served!(calls, transit::key::rotate(c, MOUNT, "open"));
    for (kind, version, keys) in [
        (ExportKeyType::EncryptionKey, ExportVersion::All, 2),
        (ExportKeyType::EncryptionKey, ExportVersion::Latest, 1),
        (ExportKeyType::HmacKey, ExportVersion::Version(1), 1),
    ] {
        same("exported", served!(calls, transit::key::export(c, MOUNT, "open", kind, version)).keys.len(), keys)?;
    }
    refused!(calls, 400, transit::key::export(c, MOUNT, "open", ExportKeyType::SigningKey, ExportVersion::All));

    let sealed = served!(calls, transit::data::encrypt(c, MOUNT, "open", &b64("hello"), None)).ciphertext;
    let backup = served!(calls, transit::key::backup(c, MOUNT, "open")).backup;
    refused!(calls, 400, transit::key::restore(c, MOUNT, &backup, None));
    served!(calls, transit::key::restore(c, MOUNT, &backup, Some(RestoreKeyRequest::builder().force(true))));
    served!(calls, transit::key::restore(c, MOUNT, &backup, Some(RestoreKeyRequest::builder().name("again"))));
    let opened = served!(calls, transit::data::decrypt(c, MOUNT, "again", &sealed, None)).plaintext;
    same("by the key restored", opened, b64("hello"))?;

    let wrapping = served!(calls, transit::wrapping_key::get(c, MOUNT)).public_key;
    let mut own = ImportKeyRequest::builder();
    own.key_type(KeyType::Aes256Gcm96).exportable(true);
    own.ciphertext(wrapped(&wrapping, &OAEP_SHA256_MGF1SHA256, &[7; 32])?);
    served!(calls, transit::key::import(c, MOUNT, "own", Some(&mut own)));
    let mut next = ImportKeyVersionRequest::builder();
    next.ciphertext(wrapped(&wrapping, &OAEP_SHA512_MGF1SHA512, &[8; 32])?).hash_function(HashFunction::Sha512);
    served!(calls, transit::key::import_version(c, MOUNT, "own", Some(&mut next)));
    let (kind, version) = (ExportKeyType::EncryptionKey, ExportVersion::All);
    let mut exported: Vec<_> =
        served!(calls, transit::key::export(c, MOUNT, "own", kind, version)).keys.into_values().collect();
    exported.sort();
    same("imported", exported, vec![STANDARD.encode([7; 32]), STANDARD.encode([8; 32])])?;
    refused!(calls, 400, transit::key::rotate(c, MOUNT, "own"));
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?;
    let der: PublicKeyX509Der = pair.public_key().as_der()?;
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der.as_ref()));
    let mut half = ImportKeyRequest::builder();
    half.key_type(KeyType::EcdsaP256).public_key(pem);
    served!(calls, transit::key::import(c, MOUNT, "half", Some(&mut half)));
    Ok(())
}

/// A key as `import` wants it: a key of AES by OAEP, and under that the key itself (RFC 5649).
fn wrapped(pem: &str, oaep: &'static OaepAlgorithm, key: &[u8]) -> Outcome<String> {
    let der = STANDARD.decode(pem.lines().filter(|line| !line.starts_with('-')).collect::<String>())?;
    let to = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(&der)?)?;
    let mut head = vec![0; to.ciphertext_size()];
    let head = to.encrypt(oaep, &[5; 32], &mut head, None)?;
    let mut tail = vec![0; key.len() + 15];
    let tail = AesKek::new(&AES_256, &[5; 32])?.wrap_with_padding(key, &mut tail)?;
    Ok(STANDARD.encode([head, tail].concat()))
}

/// Encrypts, rewraps, signs and verifies.
pub async fn use_of_keys(c: &VaultClient, calls: &mut Calls) -> Outcome {
    served!(calls, transit::key::create(c, MOUNT, "aes", None));
    for (name, kind) in [("ec", KeyType::EcdsaP256), ("signer", KeyType::Rsa2048)] {
        served!(calls, transit::key::create(c, MOUNT, name, Some(CreateKeyRequest::builder().key_type(kind))));
    }
    served!(calls, transit::key::create(c, MOUNT, "people", Some(CreateKeyRequest::builder().derived(true))));

    let (input, row, context) = (b64("hello"), b64("row 7"), b64("user 1"));
    let mut of_row = EncryptDataRequest::builder();
    of_row.associated_data(&row);
    let sealed = served!(calls, transit::data::encrypt(c, MOUNT, "aes", &input, Some(&mut of_row))).ciphertext;
    let mut of_row = DecryptDataRequest::builder();
    of_row.associated_data(&row);
    let opened = served!(calls, transit::data::decrypt(c, MOUNT, "aes", &sealed, Some(&mut of_row))).plaintext;
    same("decrypted", &opened, &input)?;
    refused!(calls, 400, transit::data::decrypt(c, MOUNT, "aes", &sealed, None));
    let mut bound = EncryptDataRequest::builder();
    bound.context(&context);
    let sealed = served!(calls, transit::data::encrypt(c, MOUNT, "people", &input, Some(&mut bound))).ciphertext;
    served!(calls, transit::key::rotate(c, MOUNT, "people"));
    let mut bound = RewrapDataRequest::builder();
    bound.context(&context);
    let again = served!(calls, transit::data::rewrap(c, MOUNT, "people", &sealed, Some(&mut bound))).ciphertext;
    same("rewrapped", again.starts_with("vault:v2:"), true)?;

    for (name, marshaling) in
        [("ec", MarshalingAlgorithm::Jws), ("ec", MarshalingAlgorithm::Asn1), ("signer", MarshalingAlgorithm::Asn1)]
    {
        let mut how = SignDataRequest::builder();
        how.hash_algorithm(HashAlgorithm::Sha2_512).marshaling_algorithm(marshaling);
        how.signature_algorithm(SignatureAlgorithm::Pss);
        let signature = served!(calls, transit::data::sign(c, MOUNT, name, &input, Some(&mut how))).signature;
        for (input, valid) in [(&input, true), (&b64("hullo"), false)] {
            let mut how = VerifySignedDataRequest::builder();
            how.hash_algorithm(HashAlgorithm::Sha2_512).marshaling_algorithm(marshaling);
            how.signature_algorithm(SignatureAlgorithm::Pss).signature(&signature);
            let verdict = served!(calls, transit::data::verify(c, MOUNT, name, input, Some(&mut how))).valid;
            same("a signature's verdict", verdict, valid)?;
        }
    }
    let mut how = GenerateHmacRequest::builder();
    how.algorithm(HashAlgorithm::Sha3_512);
    let hmac = served!(calls, transit::generate::hmac(c, MOUNT, "aes", &input, Some(&mut how))).hmac;
    for (input, valid) in [(&input, true), (&b64("hullo"), false)] {
        let mut how = VerifySignedDataRequest::builder();
        how.hash_algorithm(HashAlgorithm::Sha3_512).hmac(&hmac);
        let verdict = served!(calls, transit::data::verify(c, MOUNT, "aes", input, Some(&mut how))).valid;
        same("an HMAC's verdict", verdict, valid)?;
    }
    Ok(())
}

/// Keys for others, random bytes and digests.
pub async fn generated(c: &VaultClient, calls: &mut Calls) -> Outcome {
    for (kind, shown) in [(DataKeyType::Plaintext, true), (DataKeyType::Wrapped, false)] {
        let mut size = GenerateDataKeyRequest::builder();
        size.bits(128u16);
        let made = served!(calls, transit::generate::data_key(c, MOUNT, "aes", kind, Some(&mut size)));
        let opened = served!(calls, transit::data::decrypt(c, MOUNT, "aes", &made.ciphertext, None)).plaintext;
        same("a data key's length", STANDARD.decode(&opened)?.len(), 16)?;
        same("a data key", made.plaintext, shown.then_some(opened))?;
    }
    let mut size = GenerateRandomBytesRequest::builder();
    size.bytes(8u32);
    let (format, source) = (OutputFormat::Hex, RandomBytesSource::Platform);
    let bytes = served!(calls, transit::generate::random_bytes(c, MOUNT, format, source, Some(&mut size)));
    same("random bytes", bytes.random_bytes.len(), 16)?;
    let mut how = HashDataRequest::builder();
    how.algorithm(HashAlgorithm::Sha2_256).format(OutputFormat::Hex);
    let sum = served!(calls, transit::generate::hash(c, MOUNT, &b64("hello"), Some(&mut how))).sum;
    same("a digest", sum.as_str(), "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")
}
