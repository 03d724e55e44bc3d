//! RustCrypto: pure Rust, no C compiler. RSA private-key operations are blinded but not constant time
//! (RUSTSEC-2023-0071), which the crate's documentation says.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a backend draws its own randomness")]

use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{Aead as _, Payload};
use aes_gcm::aes::Aes192;
use aes_gcm::{Aes128Gcm, Aes256Gcm, AesGcm, KeyInit as _};
use aes_kw::{KwpAes128, KwpAes256};
use chacha20poly1305::ChaCha20Poly1305;
use ed25519_dalek::Signer as _;
use getrandom::SysRng;
use hmac::{Hmac, Mac as _};
use pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, PrivateKeyInfoRef};
use rand_core::UnwrapErr;
use rsa::pkcs1::EncodeRsaPrivateKey as _;
use rsa::signature::hazmat::{PrehashVerifier, RandomizedPrehashSigner};
use rsa::signature::{RandomizedSigner, SignatureEncoding, Verifier};
use rsa::traits::PublicKeyParts as _;
use rsa::{BoxedUint, Oaep, Pkcs1v15Sign, Pss, RsaPrivateKey, RsaPublicKey};
use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};
use sha3::{Sha3_256, Sha3_384, Sha3_512};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::encoding::ecdsa::{self, Form};
use crate::encoding::pkcs8::Content;
use crate::parts::{Curve, Parts};
use crate::{AeadAlgorithm, Algorithm, Error, HashFunction, KeyType};

const GENERATE: Error = Error::Backend { operation: "key generation" };
const SIGN: Error = Error::Backend { operation: "signing" };
const EXPORT: Error = Error::Backend { operation: "key export" };
const ENCRYPT: Error = Error::Backend { operation: "encryption" };

/// A public key, parsed.
pub(crate) enum VerifyingKey {
    Rsa(RsaPublicKey),
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
    P521(p521::ecdsa::VerifyingKey),
    /// `None` for bytes that encode no point: no signature verifies.
    Ed25519(Option<ed25519_dalek::VerifyingKey>),
}

impl VerifyingKey {
    pub(crate) fn new(parts: &Parts) -> Result<Self, Error> {
        match parts {
            Parts::Rsa { modulus, exponent } => {
                let (n, e) = (BoxedUint::from_be_slice_vartime(modulus), BoxedUint::from_be_slice_vartime(exponent));
                RsaPublicKey::new(n, e)
                    .map(Self::Rsa)
                    .map_err(|_| Error::Unusable { key: "RSA", reason: "the backend rejects it" })
            }
            Parts::Ec { curve, point } => match curve {
                Curve::P256 => p256::ecdsa::VerifyingKey::from_sec1_bytes(point).map(Self::P256),
                Curve::P384 => p384::ecdsa::VerifyingKey::from_sec1_bytes(point).map(Self::P384),
                Curve::P521 => p521::ecdsa::VerifyingKey::from_sec1_bytes(point).map(Self::P521),
            }
            .map_err(|_| Error::NotOnCurve { curve: curve.name() }),
            Parts::Ed25519(key) => Ok(Self::Ed25519(ed25519_dalek::VerifyingKey::from_bytes(key).ok())),
        }
    }

    pub(crate) fn verify(&self, algorithm: Algorithm, form: Form, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rsa(key) => digest_of(algorithm, message).is_some_and(|d| verify_rsa(key, algorithm, &d, signature)),
            Self::P256(key) => verify_ecdsa::<p256::ecdsa::Signature, _>(key, Curve::P256, form, message, signature),
            Self::P384(key) => verify_ecdsa::<p384::ecdsa::Signature, _>(key, Curve::P384, form, message, signature),
            Self::P521(key) => verify_ecdsa::<p521::ecdsa::Signature, _>(key, Curve::P521, form, message, signature),
            Self::Ed25519(key) => match (key, ed25519_dalek::Signature::from_slice(signature)) {
                (Some(key), Ok(signature)) => key.verify(message, &signature).is_ok(),
                _ => false,
            },
        }
    }

    pub(crate) fn verify_digest(&self, algorithm: Algorithm, form: Form, digest: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rsa(key) => verify_rsa(key, algorithm, digest, signature),
            Self::P256(key) => verify_prehash::<p256::ecdsa::Signature, _>(key, Curve::P256, form, digest, signature),
            Self::P384(key) => verify_prehash::<p384::ecdsa::Signature, _>(key, Curve::P384, form, digest, signature),
            Self::P521(key) => verify_prehash::<p521::ecdsa::Signature, _>(key, Curve::P521, form, digest, signature),
            Self::Ed25519(_) => false,
        }
    }

    pub(crate) fn encrypt_oaep(&self, hash: HashFunction, _spki: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, Error> {
        let Self::Rsa(key) = self else { return Err(ENCRYPT) };
        // See `generate`.
        getrandom::u32().map_err(|_| ENCRYPT)?;
        let rng = &mut UnwrapErr(SysRng);
        match hash {
            HashFunction::Sha2_256 => key.encrypt(rng, Oaep::<Sha256>::new(), plaintext),
            HashFunction::Sha2_384 => key.encrypt(rng, Oaep::<Sha384>::new(), plaintext),
            HashFunction::Sha2_512 => key.encrypt(rng, Oaep::<Sha512>::new(), plaintext),
            _ => return Err(ENCRYPT),
        }
        .map_err(|_| ENCRYPT)
    }
}

fn digest_of(algorithm: Algorithm, message: &[u8]) -> Option<Vec<u8>> {
    algorithm.hash().map(|hash| digest(hash, message))
}

fn verify_rsa(key: &RsaPublicKey, algorithm: Algorithm, digest: &[u8], signature: &[u8]) -> bool {
    // RFC 8017 §8.1.2 and §8.2.2, step 1; the library accepts shorter ones.
    if signature.len() != key.size() {
        return false;
    }
    match algorithm {
        Algorithm::Rs256 => key.verify(Pkcs1v15Sign::new::<Sha256>(), digest, signature),
        Algorithm::Rs384 => key.verify(Pkcs1v15Sign::new::<Sha384>(), digest, signature),
        Algorithm::Rs512 => key.verify(Pkcs1v15Sign::new::<Sha512>(), digest, signature),
        Algorithm::Ps256 => key.verify(Pss::<Sha256>::new_with_salt(32), digest, signature),
        Algorithm::Ps384 => key.verify(Pss::<Sha384>::new_with_salt(48), digest, signature),
        Algorithm::Ps512 => key.verify(Pss::<Sha512>::new_with_salt(64), digest, signature),
        _ => return false,
    }
    .is_ok()
}

fn verify_ecdsa<S, K>(key: &K, curve: Curve, form: Form, message: &[u8], signature: &[u8]) -> bool
where
    S: for<'a> TryFrom<&'a [u8]>,
    K: Verifier<S>,
{
    let verify = |fixed: &[u8]| S::try_from(fixed).is_ok_and(|signature| key.verify(message, &signature).is_ok());
    match form {
        Form::Fixed => verify(signature),
        Form::Asn1 => ecdsa::to_fixed(signature, curve.width()).is_some_and(|fixed| verify(&fixed)),
    }
}

fn verify_prehash<S, K>(key: &K, curve: Curve, form: Form, digest: &[u8], signature: &[u8]) -> bool
where
    S: for<'a> TryFrom<&'a [u8]>,
    K: PrehashVerifier<S>,
{
    let verify =
        |fixed: &[u8]| S::try_from(fixed).is_ok_and(|signature| key.verify_prehash(digest, &signature).is_ok());
    match form {
        Form::Fixed => verify(signature),
        Form::Asn1 => ecdsa::to_fixed(signature, curve.width()).is_some_and(|fixed| verify(&fixed)),
    }
}

/// A key pair, parsed. Every one of these types clears its memory when dropped.
pub(crate) enum SigningKey {
    Rsa(Box<RsaPrivateKey>),
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    P521(p521::ecdsa::SigningKey),
    Ed25519(ed25519_dalek::SigningKey),
}

impl SigningKey {
    pub(crate) fn generate(key_type: KeyType) -> Result<Self, Error> {
        use p256::elliptic_curve::Generate;
        let rsa = |bits| {
            // The library panics where randomness fails half-way: ask the system once before.
            getrandom::u32().map_err(|_| GENERATE)?;
            RsaPrivateKey::new(&mut UnwrapErr(SysRng), bits).map(|key| Self::Rsa(Box::new(key))).map_err(|_| GENERATE)
        };
        match key_type {
            KeyType::Rsa2048 => rsa(2048),
            KeyType::Rsa3072 => rsa(3072),
            KeyType::Rsa4096 => rsa(4096),
            KeyType::EcdsaP256 => Generate::try_generate_from_rng(&mut SysRng).map(Self::P256).map_err(|_| GENERATE),
            KeyType::EcdsaP384 => Generate::try_generate_from_rng(&mut SysRng).map(Self::P384).map_err(|_| GENERATE),
            KeyType::EcdsaP521 => Generate::try_generate_from_rng(&mut SysRng).map(Self::P521).map_err(|_| GENERATE),
            KeyType::Ed25519 => {
                let mut seed = Zeroizing::new([0; 32]);
                getrandom::fill(seed.as_mut_slice()).map_err(|_| GENERATE)?;
                Ok(Self::Ed25519(ed25519_dalek::SigningKey::from_bytes(&seed)))
            }
        }
    }

    pub(crate) fn from_pkcs8(content: &Content<'_>, document: &[u8]) -> Result<Self, Error> {
        const INVALID: Error = Error::InvalidPrivateKey;
        match content {
            Content::Rsa => {
                let given = PrivateKeyInfoRef::try_from(document).map_err(|_| INVALID)?.private_key;
                let key = RsaPrivateKey::from_pkcs8_der(document).map_err(|_| INVALID)?;
                // The library computes the CRT values anew and does not look at those given.
                let computed = key.to_pkcs1_der().map_err(|_| INVALID)?;
                if computed.as_bytes() != given.as_bytes() {
                    return Err(INVALID);
                }
                Ok(Self::Rsa(Box::new(key)))
            }
            Content::Ec(Curve::P256) => {
                p256::ecdsa::SigningKey::from_pkcs8_der(document).map(Self::P256).map_err(|_| INVALID)
            }
            Content::Ec(Curve::P384) => {
                p384::ecdsa::SigningKey::from_pkcs8_der(document).map(Self::P384).map_err(|_| INVALID)
            }
            Content::Ec(Curve::P521) => {
                p521::ecdsa::SigningKey::from_pkcs8_der(document).map(Self::P521).map_err(|_| INVALID)
            }
            Content::Ed25519 { seed, public } => {
                let key = ed25519_dalek::SigningKey::from_bytes(seed);
                if public.is_some_and(|public| public != key.verifying_key().as_bytes()) {
                    return Err(INVALID);
                }
                Ok(Self::Ed25519(key))
            }
        }
    }

    pub(crate) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let document = match self {
            Self::Rsa(key) => key.to_pkcs8_der(),
            Self::P256(key) => key.to_pkcs8_der(),
            Self::P384(key) => key.to_pkcs8_der(),
            Self::P521(key) => key.to_pkcs8_der(),
            Self::Ed25519(key) => return crate::encoding::pkcs8::encode_ed25519(key.as_bytes()).map_err(|_| EXPORT),
        };
        Ok(document.map_err(|_| EXPORT)?.to_bytes())
    }

    pub(crate) fn parts(&self) -> Result<Parts, Error> {
        let point = |curve, point: &[u8]| Parts::ec_point(curve, point).ok_or(EXPORT);
        match self {
            Self::Rsa(key) => {
                let key = key.as_public_key();
                Parts::rsa(&key.n_bytes(), &key.e_bytes())
            }
            Self::P256(key) => point(Curve::P256, key.verifying_key().to_sec1_point(false).as_bytes()),
            Self::P384(key) => point(Curve::P384, key.verifying_key().to_sec1_point(false).as_bytes()),
            Self::P521(key) => point(Curve::P521, key.verifying_key().to_sec1_point(false).as_bytes()),
            Self::Ed25519(key) => Ok(Parts::Ed25519(key.verifying_key().to_bytes())),
        }
    }

    pub(crate) fn sign(&self, algorithm: Algorithm, form: Form, message: &[u8]) -> Result<Vec<u8>, Error> {
        match self {
            Self::Rsa(key) => sign_rsa(key, algorithm, &digest_of(algorithm, message).ok_or(SIGN)?),
            Self::P256(key) => sign_ecdsa::<p256::ecdsa::Signature, _>(key, Curve::P256, form, message),
            Self::P384(key) => sign_ecdsa::<p384::ecdsa::Signature, _>(key, Curve::P384, form, message),
            Self::P521(key) => sign_ecdsa::<p521::ecdsa::Signature, _>(key, Curve::P521, form, message),
            Self::Ed25519(key) => Ok(key.try_sign(message).map_err(|_| SIGN)?.to_vec()),
        }
    }

    pub(crate) fn sign_digest(&self, algorithm: Algorithm, form: Form, digest: &[u8]) -> Result<Vec<u8>, Error> {
        match self {
            Self::Rsa(key) => sign_rsa(key, algorithm, digest),
            Self::P256(key) => sign_prehash::<p256::ecdsa::Signature, _>(key, Curve::P256, form, digest),
            Self::P384(key) => sign_prehash::<p384::ecdsa::Signature, _>(key, Curve::P384, form, digest),
            Self::P521(key) => sign_prehash::<p521::ecdsa::Signature, _>(key, Curve::P521, form, digest),
            Self::Ed25519(_) => Err(SIGN),
        }
    }

    pub(crate) fn decrypt_oaep(&self, hash: HashFunction, ciphertext: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let Self::Rsa(key) = self else { return None };
        // See `generate`.
        getrandom::u32().ok()?;
        let rng = &mut UnwrapErr(SysRng);
        match hash {
            HashFunction::Sha2_256 => key.decrypt_blinded(rng, Oaep::<Sha256>::new(), ciphertext),
            HashFunction::Sha2_384 => key.decrypt_blinded(rng, Oaep::<Sha384>::new(), ciphertext),
            HashFunction::Sha2_512 => key.decrypt_blinded(rng, Oaep::<Sha512>::new(), ciphertext),
            _ => return None,
        }
        .ok()
        .map(Zeroizing::new)
    }
}

fn sign_rsa(key: &RsaPrivateKey, algorithm: Algorithm, digest: &[u8]) -> Result<Vec<u8>, Error> {
    // See `generate`.
    getrandom::u32().map_err(|_| SIGN)?;
    let rng = &mut UnwrapErr(SysRng);
    match algorithm {
        Algorithm::Rs256 => key.sign_with_rng(rng, Pkcs1v15Sign::new::<Sha256>(), digest),
        Algorithm::Rs384 => key.sign_with_rng(rng, Pkcs1v15Sign::new::<Sha384>(), digest),
        Algorithm::Rs512 => key.sign_with_rng(rng, Pkcs1v15Sign::new::<Sha512>(), digest),
        Algorithm::Ps256 => key.sign_with_rng(rng, Pss::<Sha256>::new_with_salt(32), digest),
        Algorithm::Ps384 => key.sign_with_rng(rng, Pss::<Sha384>::new_with_salt(48), digest),
        Algorithm::Ps512 => key.sign_with_rng(rng, Pss::<Sha512>::new_with_salt(64), digest),
        _ => return Err(SIGN),
    }
    .map_err(|_| SIGN)
}

/// Hedged: the ephemeral number depends on key, message and fresh randomness (RFC 6979 §3.6).
fn sign_ecdsa<S, K>(key: &K, curve: Curve, form: Form, message: &[u8]) -> Result<Vec<u8>, Error>
where
    S: SignatureEncoding,
    K: RandomizedSigner<S>,
{
    let fixed = key.try_sign_with_rng(&mut SysRng, message).map_err(|_| SIGN)?.to_vec();
    match form {
        Form::Fixed => Ok(fixed),
        Form::Asn1 => ecdsa::to_asn1(&fixed, curve.width()).ok_or(SIGN),
    }
}

/// As [`sign_ecdsa`], over a digest.
fn sign_prehash<S, K>(key: &K, curve: Curve, form: Form, digest: &[u8]) -> Result<Vec<u8>, Error>
where
    S: SignatureEncoding,
    K: RandomizedPrehashSigner<S>,
{
    let fixed = key.sign_prehash_with_rng(&mut SysRng, digest).map_err(|_| SIGN)?.to_vec();
    match form {
        Form::Fixed => Ok(fixed),
        Form::Asn1 => ecdsa::to_asn1(&fixed, curve.width()).ok_or(SIGN),
    }
}

/// A cipher with an expanded key.
pub(crate) enum Aead {
    Aes128(Box<Aes128Gcm>),
    Aes192(Box<AesGcm<Aes192, U12>>),
    Aes256(Box<Aes256Gcm>),
    ChaCha20(Box<ChaCha20Poly1305>),
}

impl Aead {
    pub(crate) fn new(algorithm: AeadAlgorithm, key: &[u8]) -> Result<Self, Error> {
        Ok(match algorithm {
            AeadAlgorithm::Aes128Gcm => Self::Aes128(Box::new(Aes128Gcm::new_from_slice(key).map_err(|_| ENCRYPT)?)),
            AeadAlgorithm::Aes192Gcm => Self::Aes192(Box::new(AesGcm::new_from_slice(key).map_err(|_| ENCRYPT)?)),
            AeadAlgorithm::Aes256Gcm => Self::Aes256(Box::new(Aes256Gcm::new_from_slice(key).map_err(|_| ENCRYPT)?)),
            AeadAlgorithm::ChaCha20Poly1305 => {
                Self::ChaCha20(Box::new(ChaCha20Poly1305::new_from_slice(key).map_err(|_| ENCRYPT)?))
            }
        })
    }

    pub(crate) fn seal(&self, nonce: &[u8; 12], aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, Error> {
        let payload = Payload { msg: plaintext, aad };
        match self {
            Self::Aes128(cipher) => cipher.encrypt(nonce.into(), payload),
            Self::Aes192(cipher) => cipher.encrypt(nonce.into(), payload),
            Self::Aes256(cipher) => cipher.encrypt(nonce.into(), payload),
            Self::ChaCha20(cipher) => cipher.encrypt(nonce.into(), payload),
        }
        .map_err(|_| ENCRYPT)
    }

    pub(crate) fn open(&self, nonce: &[u8; 12], aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let payload = Payload { msg: sealed, aad };
        match self {
            Self::Aes128(cipher) => cipher.decrypt(nonce.into(), payload),
            Self::Aes192(cipher) => cipher.decrypt(nonce.into(), payload),
            Self::Aes256(cipher) => cipher.decrypt(nonce.into(), payload),
            Self::ChaCha20(cipher) => cipher.decrypt(nonce.into(), payload),
        }
        .map(Zeroizing::new)
        .ok()
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

pub(crate) fn digest(hash: HashFunction, bytes: &[u8]) -> Vec<u8> {
    match hash {
        HashFunction::Sha2_224 => Sha224::digest(bytes).to_vec(),
        HashFunction::Sha2_256 => Sha256::digest(bytes).to_vec(),
        HashFunction::Sha2_384 => Sha384::digest(bytes).to_vec(),
        HashFunction::Sha2_512 => Sha512::digest(bytes).to_vec(),
        HashFunction::Sha3_256 => Sha3_256::digest(bytes).to_vec(),
        HashFunction::Sha3_384 => Sha3_384::digest(bytes).to_vec(),
        HashFunction::Sha3_512 => Sha3_512::digest(bytes).to_vec(),
    }
}

pub(crate) fn hmac(hash: HashFunction, key: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    Some(match hash {
        HashFunction::Sha2_224 => {
            Hmac::<Sha224>::new_from_slice(key).ok()?.chain_update(message).finalize().as_bytes().to_vec()
        }
        HashFunction::Sha2_256 => {
            Hmac::<Sha256>::new_from_slice(key).ok()?.chain_update(message).finalize().as_bytes().to_vec()
        }
        HashFunction::Sha2_384 => {
            Hmac::<Sha384>::new_from_slice(key).ok()?.chain_update(message).finalize().as_bytes().to_vec()
        }
        HashFunction::Sha2_512 => {
            Hmac::<Sha512>::new_from_slice(key).ok()?.chain_update(message).finalize().as_bytes().to_vec()
        }
        HashFunction::Sha3_256 | HashFunction::Sha3_384 | HashFunction::Sha3_512 => return None,
    })
}

pub(crate) fn wrap_key(kek: &[u8], material: &[u8]) -> Result<Vec<u8>, Error> {
    let mut wrapped = vec![0; material.len().next_multiple_of(8) + 8];
    let length = if kek.len() == 16 {
        KwpAes128::new_from_slice(kek)
            .map_err(|_| ENCRYPT)?
            .wrap_key(material, &mut wrapped)
            .map_err(|_| ENCRYPT)?
            .len()
    } else {
        KwpAes256::new_from_slice(kek)
            .map_err(|_| ENCRYPT)?
            .wrap_key(material, &mut wrapped)
            .map_err(|_| ENCRYPT)?
            .len()
    };
    wrapped.truncate(length);
    Ok(wrapped)
}

pub(crate) fn unwrap_key(kek: &[u8], wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut material = Zeroizing::new(vec![0; wrapped.len()]);
    let length = if kek.len() == 16 {
        KwpAes128::new_from_slice(kek).ok()?.unwrap_key(wrapped, &mut material).ok()?.len()
    } else {
        KwpAes256::new_from_slice(kek).ok()?.unwrap_key(wrapped, &mut material).ok()?.len()
    };
    material.truncate(length);
    Some(material)
}

pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    bool::from(a.ct_eq(b))
}
