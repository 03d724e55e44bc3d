//! aws-lc-rs: constant time, assembly where the platform has it. Keys stay in its parsed form.

use std::sync::OnceLock;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::key_wrap::{AES_128, AES_256, AesKek, KeyWrapPadded as _};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{
    OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OAEP_SHA512_MGF1SHA512, OaepAlgorithm, OaepPrivateDecryptingKey,
    OaepPublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey,
};
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm, Ed25519KeyPair, KeyPair, ParsedPublicKey,
    RsaKeyPair, RsaParameters, RsaSignatureEncoding,
};
use aws_lc_rs::{aead, constant_time, digest, hmac, rsa};
use zeroize::Zeroizing;

use crate::encoding::ecdsa::{self, Form};
use crate::encoding::pkcs8::Content;
use crate::encoding::spki;
use crate::parts::{Curve, Parts};
use crate::{AeadAlgorithm, Algorithm, Error, HashFunction, KeyType};

const GENERATE: Error = Error::Backend { operation: "key generation" };
const SIGN: Error = Error::Backend { operation: "signing" };
const EXPORT: Error = Error::Backend { operation: "key export" };
const ENCRYPT: Error = Error::Backend { operation: "encryption" };

/// A public key, parsed.
pub(crate) enum VerifyingKey {
    Rsa(Box<RsaVerifyingKey>),
    /// Signatures are ASN.1 here; fixed ones are converted, which is cheaper than the library's own conversion.
    Ec(Curve, ParsedPublicKey),
    Ed25519(ParsedPublicKey),
}

/// aws-lc-rs binds a parsed RSA key to one padding and digest: each is parsed when first used, then kept.
pub(crate) struct RsaVerifyingKey {
    der: Vec<u8>,
    parsed: [OnceLock<ParsedPublicKey>; 6],
    encrypting: OnceLock<OaepPublicEncryptingKey>,
}

impl VerifyingKey {
    pub(crate) fn new(parts: &Parts) -> Result<Self, Error> {
        match parts {
            Parts::Rsa { modulus, exponent } => {
                let unusable = Error::Unusable { key: "RSA", reason: "the backend rejects it" };
                let der = spki::encode_rsa(modulus, exponent).map_err(|_| unusable.clone())?;
                let key = RsaVerifyingKey { der, parsed: Default::default(), encrypting: OnceLock::new() };
                match key.parsed(Algorithm::Rs256) {
                    Some(_) => Ok(Self::Rsa(Box::new(key))),
                    None => Err(unusable),
                }
            }
            Parts::Ec { curve, point } => {
                let parsed = ParsedPublicKey::new(ecdsa_verification(*curve), point);
                parsed.map(|key| Self::Ec(*curve, key)).map_err(|_| Error::NotOnCurve { curve: curve.name() })
            }
            Parts::Ed25519(key) => {
                let parsed = ParsedPublicKey::new(&signature::ED25519, key);
                parsed.map(Self::Ed25519).map_err(|_| Error::NotOnCurve { curve: "Ed25519" })
            }
        }
    }

    pub(crate) fn verify(&self, algorithm: Algorithm, form: Form, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rsa(key) => key.parsed(algorithm).is_some_and(|key| key.verify_sig(message, signature).is_ok()),
            Self::Ec(curve, key) => match form {
                Form::Asn1 => key.verify_sig(message, signature).is_ok(),
                Form::Fixed => {
                    ecdsa::to_asn1(signature, curve.width()).is_some_and(|asn1| key.verify_sig(message, &asn1).is_ok())
                }
            },
            Self::Ed25519(key) => key.verify_sig(message, signature).is_ok(),
        }
    }

    pub(crate) fn verify_digest(&self, algorithm: Algorithm, form: Form, digest: &[u8], signature: &[u8]) -> bool {
        let Some(digest) = import(algorithm, digest) else { return false };
        match self {
            Self::Rsa(key) => {
                key.parsed(algorithm).is_some_and(|key| key.verify_digest_sig(&digest, signature).is_ok())
            }
            Self::Ec(curve, key) => match form {
                Form::Asn1 => key.verify_digest_sig(&digest, signature).is_ok(),
                Form::Fixed => ecdsa::to_asn1(signature, curve.width())
                    .is_some_and(|asn1| key.verify_digest_sig(&digest, &asn1).is_ok()),
            },
            Self::Ed25519(_) => false,
        }
    }

    pub(crate) fn encrypt_oaep(&self, hash: HashFunction, spki: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, Error> {
        let Self::Rsa(key) = self else { return Err(ENCRYPT) };
        let key = key.encrypting(spki).ok_or(ENCRYPT)?;
        let mut ciphertext = vec![0; key.ciphertext_size()];
        key.encrypt(oaep(hash).ok_or(ENCRYPT)?, plaintext, &mut ciphertext, None).map_err(|_| ENCRYPT)?;
        Ok(ciphertext)
    }
}

/// A digest made elsewhere, under the hash function that the algorithm names.
fn import(algorithm: Algorithm, bytes: &[u8]) -> Option<digest::Digest> {
    let function = match algorithm {
        Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::Es256 => &digest::SHA256,
        Algorithm::Rs384 | Algorithm::Ps384 | Algorithm::Es384 => &digest::SHA384,
        Algorithm::Rs512 | Algorithm::Ps512 | Algorithm::Es512 => &digest::SHA512,
        Algorithm::EdDsa => return None,
    };
    digest::Digest::import_less_safe(bytes, function).ok()
}

/// RSA-OAEP with one hash function for both uses and no label.
fn oaep(hash: HashFunction) -> Option<&'static OaepAlgorithm> {
    match hash {
        HashFunction::Sha2_256 => Some(&OAEP_SHA256_MGF1SHA256),
        HashFunction::Sha2_384 => Some(&OAEP_SHA384_MGF1SHA384),
        HashFunction::Sha2_512 => Some(&OAEP_SHA512_MGF1SHA512),
        _ => None,
    }
}

impl RsaVerifyingKey {
    fn parsed(&self, algorithm: Algorithm) -> Option<&ParsedPublicKey> {
        let (slot, parameters) = rsa_verification(algorithm)?;
        let cell = self.parsed.get(slot)?;
        if let Some(key) = cell.get() {
            return Some(key);
        }
        let key = ParsedPublicKey::new(parameters, &self.der).ok()?;
        Some(cell.get_or_init(|| key))
    }

    fn encrypting(&self, spki: &[u8]) -> Option<&OaepPublicEncryptingKey> {
        if let Some(key) = self.encrypting.get() {
            return Some(key);
        }
        let key = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(spki).ok()?).ok()?;
        Some(self.encrypting.get_or_init(|| key))
    }
}

/// A key pair, parsed.
pub(crate) enum SigningKey {
    /// Parsed for decryption when first used for it, then kept.
    Rsa(RsaKeyPair, OnceLock<OaepPrivateDecryptingKey>),
    Ec(Curve, EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    pub(crate) fn generate(key_type: KeyType) -> Result<Self, Error> {
        let rsa = |size| RsaKeyPair::generate(size).map(Self::rsa).map_err(|_| GENERATE);
        let ec =
            |curve| EcdsaKeyPair::generate(ecdsa_signing(curve)).map(|key| Self::Ec(curve, key)).map_err(|_| GENERATE);
        match key_type {
            KeyType::Rsa2048 => rsa(rsa::KeySize::Rsa2048),
            KeyType::Rsa3072 => rsa(rsa::KeySize::Rsa3072),
            KeyType::Rsa4096 => rsa(rsa::KeySize::Rsa4096),
            KeyType::EcdsaP256 => ec(Curve::P256),
            KeyType::EcdsaP384 => ec(Curve::P384),
            KeyType::EcdsaP521 => ec(Curve::P521),
            KeyType::Ed25519 => Ed25519KeyPair::generate().map(Self::Ed25519).map_err(|_| GENERATE),
        }
    }

    pub(crate) fn from_pkcs8(content: &Content<'_>, document: &[u8]) -> Result<Self, Error> {
        let key = match content {
            Content::Rsa => RsaKeyPair::from_pkcs8(document).map(Self::rsa),
            Content::Ec(curve) => {
                EcdsaKeyPair::from_pkcs8(ecdsa_signing(*curve), document).map(|key| Self::Ec(*curve, key))
            }
            Content::Ed25519 { seed, public: None } => Ed25519KeyPair::from_seed_unchecked(*seed).map(Self::Ed25519),
            Content::Ed25519 { seed, public: Some(public) } => {
                Ed25519KeyPair::from_seed_and_public_key(*seed, public).map(Self::Ed25519)
            }
        };
        key.map_err(|_| Error::InvalidPrivateKey)
    }

    pub(crate) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        // Version 1 throughout: the form that every reader knows. The library clears its buffers.
        let bytes = match self {
            Self::Rsa(key, _) => key.as_der().map_err(|_| EXPORT)?.as_ref().to_vec(),
            Self::Ec(_, key) => key.to_pkcs8v1().map_err(|_| EXPORT)?.as_ref().to_vec(),
            Self::Ed25519(key) => key.to_pkcs8v1().map_err(|_| EXPORT)?.as_ref().to_vec(),
        };
        Ok(Zeroizing::new(bytes))
    }

    pub(crate) fn parts(&self) -> Result<Parts, Error> {
        match self {
            Self::Rsa(key, _) => spki::decode_rsa(key.public_key().as_ref()),
            Self::Ec(curve, key) => Parts::ec_point(*curve, key.public_key().as_ref()).ok_or(EXPORT),
            Self::Ed25519(key) => key.public_key().as_ref().try_into().map(Parts::Ed25519).map_err(|_| EXPORT),
        }
    }

    pub(crate) fn sign(&self, algorithm: Algorithm, form: Form, message: &[u8]) -> Result<Vec<u8>, Error> {
        // The library ignores the generator it is handed and uses its own.
        let rng = SystemRandom::new();
        match self {
            Self::Rsa(key, _) => {
                let mut signature = vec![0; key.public_modulus_len()];
                let encoding = rsa_signing(algorithm).ok_or(SIGN)?;
                key.sign(encoding, &rng, message, &mut signature).map_err(|_| SIGN)?;
                Ok(signature)
            }
            Self::Ec(curve, key) => {
                let asn1 = key.sign(&rng, message).map_err(|_| SIGN)?;
                match form {
                    Form::Asn1 => Ok(asn1.as_ref().to_vec()),
                    Form::Fixed => ecdsa::to_fixed(asn1.as_ref(), curve.width()).ok_or(SIGN),
                }
            }
            Self::Ed25519(key) => Ok(key.try_sign(message).map_err(|_| SIGN)?.as_ref().to_vec()),
        }
    }

    pub(crate) fn sign_digest(&self, algorithm: Algorithm, form: Form, digest: &[u8]) -> Result<Vec<u8>, Error> {
        let digest = import(algorithm, digest).ok_or(SIGN)?;
        match self {
            Self::Rsa(key, _) => {
                let mut signature = vec![0; key.public_modulus_len()];
                let encoding = rsa_signing(algorithm).ok_or(SIGN)?;
                key.sign_digest(encoding, &digest, &mut signature).map_err(|_| SIGN)?;
                Ok(signature)
            }
            Self::Ec(curve, key) => {
                let asn1 = key.sign_digest(&digest).map_err(|_| SIGN)?;
                match form {
                    Form::Asn1 => Ok(asn1.as_ref().to_vec()),
                    Form::Fixed => ecdsa::to_fixed(asn1.as_ref(), curve.width()).ok_or(SIGN),
                }
            }
            Self::Ed25519(_) => Err(SIGN),
        }
    }

    pub(crate) fn decrypt_oaep(&self, hash: HashFunction, ciphertext: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let Self::Rsa(pair, cell) = self else { return None };
        let key = match cell.get() {
            Some(key) => key,
            None => {
                let document = Zeroizing::new(pair.as_der().ok()?.as_ref().to_vec());
                let key = OaepPrivateDecryptingKey::new(PrivateDecryptingKey::from_pkcs8(&document).ok()?).ok()?;
                cell.get_or_init(|| key)
            }
        };
        let mut opened = Zeroizing::new(vec![0; key.min_output_size()]);
        let length = key.decrypt(oaep(hash)?, ciphertext, &mut opened, None).ok()?.len();
        opened.truncate(length);
        Some(opened)
    }

    fn rsa(pair: RsaKeyPair) -> Self {
        Self::Rsa(pair, OnceLock::new())
    }
}

fn ecdsa_verification(curve: Curve) -> &'static EcdsaVerificationAlgorithm {
    match curve {
        Curve::P256 => &signature::ECDSA_P256_SHA256_ASN1,
        Curve::P384 => &signature::ECDSA_P384_SHA384_ASN1,
        Curve::P521 => &signature::ECDSA_P521_SHA512_ASN1,
    }
}

fn ecdsa_signing(curve: Curve) -> &'static EcdsaSigningAlgorithm {
    match curve {
        Curve::P256 => &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
        Curve::P384 => &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
        Curve::P521 => &signature::ECDSA_P521_SHA512_ASN1_SIGNING,
    }
}

/// Slot and parameters of an RSA algorithm; salts are as long as the digest (RFC 7518 §3.5).
fn rsa_verification(algorithm: Algorithm) -> Option<(usize, &'static RsaParameters)> {
    match algorithm {
        Algorithm::Rs256 => Some((0, &signature::RSA_PKCS1_2048_8192_SHA256)),
        Algorithm::Rs384 => Some((1, &signature::RSA_PKCS1_2048_8192_SHA384)),
        Algorithm::Rs512 => Some((2, &signature::RSA_PKCS1_2048_8192_SHA512)),
        Algorithm::Ps256 => Some((3, &signature::RSA_PSS_2048_8192_SHA256)),
        Algorithm::Ps384 => Some((4, &signature::RSA_PSS_2048_8192_SHA384)),
        Algorithm::Ps512 => Some((5, &signature::RSA_PSS_2048_8192_SHA512)),
        _ => None,
    }
}

/// Padding and digest of an RSA algorithm; salts are as long as the digest (RFC 7518 §3.5).
fn rsa_signing(algorithm: Algorithm) -> Option<&'static RsaSignatureEncoding> {
    match algorithm {
        Algorithm::Rs256 => Some(&signature::RSA_PKCS1_SHA256),
        Algorithm::Rs384 => Some(&signature::RSA_PKCS1_SHA384),
        Algorithm::Rs512 => Some(&signature::RSA_PKCS1_SHA512),
        Algorithm::Ps256 => Some(&signature::RSA_PSS_SHA256),
        Algorithm::Ps384 => Some(&signature::RSA_PSS_SHA384),
        Algorithm::Ps512 => Some(&signature::RSA_PSS_SHA512),
        _ => None,
    }
}

/// A cipher with an expanded key.
pub(crate) struct Aead(aead::LessSafeKey);

impl Aead {
    pub(crate) fn new(algorithm: AeadAlgorithm, key: &[u8]) -> Result<Self, Error> {
        let algorithm = match algorithm {
            AeadAlgorithm::Aes128Gcm => &aead::AES_128_GCM,
            AeadAlgorithm::Aes192Gcm => &aead::AES_192_GCM,
            AeadAlgorithm::Aes256Gcm => &aead::AES_256_GCM,
            AeadAlgorithm::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
        };
        let key = aead::UnboundKey::new(algorithm, key).map_err(|_| ENCRYPT)?;
        Ok(Self(aead::LessSafeKey::new(key)))
    }

    pub(crate) fn seal(&self, nonce: &[u8; 12], aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, Error> {
        let nonce = aead::Nonce::assume_unique_for_key(*nonce);
        // Of the final size from the start: growing would leave plaintext behind.
        let mut sealed = Vec::with_capacity(plaintext.len() + self.0.algorithm().tag_len());
        sealed.extend_from_slice(plaintext);
        self.0.seal_in_place_append_tag(nonce, aead::Aad::from(aad), &mut sealed).map_err(|_| ENCRYPT)?;
        Ok(sealed)
    }

    pub(crate) fn open(&self, nonce: &[u8; 12], aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let nonce = aead::Nonce::assume_unique_for_key(*nonce);
        let mut opened = Zeroizing::new(sealed.to_vec());
        let length = self.0.open_in_place(nonce, aead::Aad::from(aad), &mut opened).ok()?.len();
        opened.truncate(length);
        Some(opened)
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, bytes);
    let mut out = [0; 32];
    out.copy_from_slice(digest.as_ref());
    out
}

pub(crate) fn digest(hash: HashFunction, bytes: &[u8]) -> Vec<u8> {
    let function = match hash {
        HashFunction::Sha2_224 => &digest::SHA224,
        HashFunction::Sha2_256 => &digest::SHA256,
        HashFunction::Sha2_384 => &digest::SHA384,
        HashFunction::Sha2_512 => &digest::SHA512,
        HashFunction::Sha3_256 => &digest::SHA3_256,
        HashFunction::Sha3_384 => &digest::SHA3_384,
        HashFunction::Sha3_512 => &digest::SHA3_512,
    };
    digest::digest(function, bytes).as_ref().to_vec()
}

pub(crate) fn hmac(hash: HashFunction, key: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    let algorithm = match hash {
        HashFunction::Sha2_224 => hmac::HMAC_SHA224,
        HashFunction::Sha2_256 => hmac::HMAC_SHA256,
        HashFunction::Sha2_384 => hmac::HMAC_SHA384,
        HashFunction::Sha2_512 => hmac::HMAC_SHA512,
        HashFunction::Sha3_256 | HashFunction::Sha3_384 | HashFunction::Sha3_512 => return None,
    };
    Some(hmac::sign(&hmac::Key::new(algorithm, key), message).as_ref().to_vec())
}

fn aes_kek(kek: &[u8]) -> Option<AesKek> {
    let cipher = if kek.len() == 16 { &AES_128 } else { &AES_256 };
    AesKek::new(cipher, kek).ok()
}

pub(crate) fn wrap_key(kek: &[u8], material: &[u8]) -> Result<Vec<u8>, Error> {
    let mut wrapped = vec![0; material.len().next_multiple_of(8) + 8];
    let kek = aes_kek(kek).ok_or(ENCRYPT)?;
    let length = kek.wrap_with_padding(material, &mut wrapped).map_err(|_| ENCRYPT)?.len();
    wrapped.truncate(length);
    Ok(wrapped)
}

pub(crate) fn unwrap_key(kek: &[u8], wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut material = Zeroizing::new(vec![0; wrapped.len()]);
    let length = aes_kek(kek)?.unwrap_with_padding(wrapped, &mut material).ok()?.len();
    material.truncate(length);
    Some(material)
}

pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}
