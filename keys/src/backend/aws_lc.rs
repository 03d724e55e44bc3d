//! aws-lc-rs: constant time, assembly where the platform has it. Keys stay in its parsed form.

use std::sync::OnceLock;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm, Ed25519KeyPair, KeyPair, ParsedPublicKey,
    RsaKeyPair, RsaParameters, RsaSignatureEncoding,
};
use aws_lc_rs::{aead, digest, rsa};
use zeroize::Zeroizing;

use crate::encoding::ecdsa::{self, Form};
use crate::encoding::pkcs8::Content;
use crate::encoding::spki;
use crate::parts::{Curve, Parts};
use crate::{Algorithm, Error, KeyType};

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
}

impl VerifyingKey {
    pub(crate) fn new(parts: &Parts) -> Result<Self, Error> {
        match parts {
            Parts::Rsa { modulus, exponent } => {
                let unusable = Error::Unusable { key: "RSA", reason: "the backend rejects it" };
                let der = spki::encode_rsa(modulus, exponent).map_err(|_| unusable.clone())?;
                let key = RsaVerifyingKey { der, parsed: Default::default() };
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
}

/// A key pair, parsed.
pub(crate) enum SigningKey {
    Rsa(RsaKeyPair),
    Ec(Curve, EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    pub(crate) fn generate(key_type: KeyType) -> Result<Self, Error> {
        let rsa = |size| RsaKeyPair::generate(size).map(Self::Rsa).map_err(|_| GENERATE);
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
            Content::Rsa => RsaKeyPair::from_pkcs8(document).map(Self::Rsa),
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
            Self::Rsa(key) => key.as_der().map_err(|_| EXPORT)?.as_ref().to_vec(),
            Self::Ec(_, key) => key.to_pkcs8v1().map_err(|_| EXPORT)?.as_ref().to_vec(),
            Self::Ed25519(key) => key.to_pkcs8v1().map_err(|_| EXPORT)?.as_ref().to_vec(),
        };
        Ok(Zeroizing::new(bytes))
    }

    pub(crate) fn parts(&self) -> Result<Parts, Error> {
        match self {
            Self::Rsa(key) => spki::decode_rsa(key.public_key().as_ref()),
            Self::Ec(curve, key) => Parts::ec_point(*curve, key.public_key().as_ref()).ok_or(EXPORT),
            Self::Ed25519(key) => key.public_key().as_ref().try_into().map(Parts::Ed25519).map_err(|_| EXPORT),
        }
    }

    pub(crate) fn sign(&self, algorithm: Algorithm, form: Form, message: &[u8]) -> Result<Vec<u8>, Error> {
        // The library ignores the generator it is handed and uses its own.
        let rng = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
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

/// AES-256-GCM with an expanded key.
pub(crate) struct Aead(aead::LessSafeKey);

impl Aead {
    pub(crate) fn new(key: &[u8; 32]) -> Result<Self, Error> {
        let key = aead::UnboundKey::new(&aead::AES_256_GCM, key).map_err(|_| ENCRYPT)?;
        Ok(Self(aead::LessSafeKey::new(key)))
    }

    pub(crate) fn seal(&self, nonce: &[u8; 12], aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, Error> {
        let nonce = aead::Nonce::assume_unique_for_key(*nonce);
        // Of the final size from the start: growing would leave plaintext behind.
        let mut sealed = Vec::with_capacity(plaintext.len() + aead::AES_256_GCM.tag_len());
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
