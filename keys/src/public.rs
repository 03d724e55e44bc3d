//! Public keys.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::encoding::ecdsa::Form;
use crate::encoding::spki;
use crate::parts::{Parts, coordinates};
use crate::{Algorithm, Error, HashFunction, Jwk, KeyType, backend, pss, sha256};

/// A public key: checked and parsed once, kept ready for verification. Cloning is cheap.
///
/// Accepted are RSA moduli of 2048 to 8192 bits with an odd exponent from 3 to 33 bits, points on P-256, P-384 and
/// P-521, and Ed25519. Two keys are equal when their values are, whatever encoding they came in.
///
/// ```
/// use keyward_keys::{Algorithm, KeyType, PrivateKey, PublicKey};
///
/// let private = PrivateKey::generate(KeyType::Ed25519)?;
/// let signature = private.sign(Algorithm::EdDsa, b"message")?;
///
/// let public = PublicKey::from_jwk(&private.public_key().to_jwk())?;
/// public.verify(Algorithm::EdDsa, b"message", &signature)?;
/// assert!(public.verify(Algorithm::EdDsa, b"massage", &signature).is_err());
/// # Ok::<(), keyward_keys::Error>(())
/// ```
#[derive(Clone)]
pub struct PublicKey(Arc<Prepared>);

struct Prepared {
    parts: Parts,
    spki: Vec<u8>,
    key: backend::VerifyingKey,
}

impl PublicKey {
    pub(crate) fn new(parts: Parts) -> Result<Self, Error> {
        let key = backend::VerifyingKey::new(&parts)?;
        let spki = spki::encode(&parts).map_err(|_| Error::Backend { operation: "key encoding" })?;
        Ok(Self(Arc::new(Prepared { parts, spki, key })))
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.0.parts
    }

    /// Reads a DER `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7), as certificates hold it.
    ///
    /// # Errors
    /// When the bytes are not exactly that, when type or curve is not supported, when an RSA key has a size or
    /// exponent that is not accepted, when an elliptic-curve point is compressed (RFC 5480 §2.2) or not on its curve.
    pub fn from_spki_der(spki: &[u8]) -> Result<Self, Error> {
        Self::new(spki::decode(spki)?)
    }

    /// Writes the DER `SubjectPublicKeyInfo`.
    pub fn to_spki_der(&self) -> Vec<u8> {
        self.0.spki.clone()
    }

    /// The DER `SubjectPublicKeyInfo`, where it is kept.
    pub fn as_spki_der(&self) -> &[u8] {
        &self.0.spki
    }

    /// Reads the key of a JWK. Its `alg`, `use` and `key_ops` are not looked at: they are for the caller to check.
    ///
    /// # Errors
    /// When a member is missing, not canonical base64url, of the wrong length, or the key is not acceptable (see
    /// [`from_spki_der`](Self::from_spki_der)).
    pub fn from_jwk(jwk: &Jwk) -> Result<Self, Error> {
        Self::new(jwk.parts()?)
    }

    /// The key as a JWK with nothing but its values.
    pub fn to_jwk(&self) -> Jwk {
        Jwk::from_parts(self.parts())
    }

    /// The JWK thumbprint: SHA-256 over the required members, base64url without padding (RFC 7638 §3, RFC 8037
    /// appendix A.3).
    pub fn thumbprint(&self) -> String {
        let base64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let members = match self.parts() {
            Parts::Rsa { modulus, exponent } => {
                format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, base64(exponent), base64(modulus))
            }
            Parts::Ec { curve, point } => {
                let (x, y) = coordinates(*curve, point);
                format!(r#"{{"crv":"{}","kty":"EC","x":"{}","y":"{}"}}"#, curve.name(), base64(x), base64(y))
            }
            Parts::Ed25519(key) => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, base64(key)),
        };
        base64(&sha256(members.as_bytes()))
    }

    /// Verifies a signature in the form of JWS: for ECDSA the two numbers, fixed width, r then s (RFC 7518 §3.4).
    ///
    /// # Errors
    /// [`Error::AlgorithmMismatch`] when the algorithm does not fit the key, [`Error::BadSignature`] otherwise.
    pub fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        self.verify_form(algorithm, Form::Fixed, message, signature)
    }

    /// Verifies a signature in the form of X.509: for ECDSA a DER `SEQUENCE` (RFC 3279 §2.2.3). For RSA and Ed25519
    /// the same as [`verify`](Self::verify).
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn verify_asn1(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        self.verify_form(algorithm, Form::Asn1, message, signature)
    }

    fn verify_form(&self, algorithm: Algorithm, form: Form, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        self.demand_fit(algorithm)?;
        if self.0.key.verify(algorithm, form, message, signature) { Ok(()) } else { Err(Error::BadSignature) }
    }

    /// Verifies a signature over a digest that was made elsewhere, in the form of JWS: see
    /// [`PrivateKey::sign_digest`](crate::PrivateKey::sign_digest).
    ///
    /// # Errors
    /// [`Error::AlgorithmMismatch`] when the algorithm does not fit the key, [`Error::Length`] when the digest does not
    /// fit the algorithm, [`Error::CannotDo`] for Ed25519, [`Error::BadSignature`] otherwise.
    pub fn verify_digest(&self, algorithm: Algorithm, digest: &[u8], signature: &[u8]) -> Result<(), Error> {
        self.verify_digest_form(algorithm, Form::Fixed, digest, signature)
    }

    /// Verifies a signature over a digest that was made elsewhere, in the form of X.509.
    ///
    /// # Errors
    /// As [`verify_digest`](Self::verify_digest).
    pub fn verify_digest_asn1(&self, algorithm: Algorithm, digest: &[u8], signature: &[u8]) -> Result<(), Error> {
        self.verify_digest_form(algorithm, Form::Asn1, digest, signature)
    }

    fn verify_digest_form(
        &self,
        algorithm: Algorithm,
        form: Form,
        digest: &[u8],
        signature: &[u8],
    ) -> Result<(), Error> {
        self.demand_fit(algorithm)?;
        let digest = algorithm.fit_digest(digest)?;
        if self.0.key.verify_digest(algorithm, form, &digest, signature) { Ok(()) } else { Err(Error::BadSignature) }
    }

    /// Verifies an RSASSA-PSS signature (RFC 8017 §8.1) whose salt has any length, or `salt` bytes, over a digest. JOSE
    /// and this crate's own signatures have salts as long as the digest; others make them as long as the key allows.
    ///
    /// # Errors
    /// [`Error::CannotDo`] when the key is not RSA, [`Error::Length`] when the digest is not one of the hash function,
    /// [`Error::BadSignature`] otherwise.
    pub fn verify_pss(
        &self,
        hash: HashFunction,
        salt: Option<usize>,
        digest: &[u8],
        signature: &[u8],
    ) -> Result<(), Error> {
        let Parts::Rsa { modulus, exponent } = self.parts() else {
            return Err(Error::CannotDo { key: self.crv().unwrap_or(self.kty()), operation: "verify PSS" });
        };
        hash.demand_length(digest)?;
        if pss::verify(modulus, exponent, hash, digest, salt, signature) { Ok(()) } else { Err(Error::BadSignature) }
    }

    /// Encrypts with RSA-OAEP (RFC 8017 §7.1) without a label, `hash` serving for both of its hash functions.
    ///
    /// # Errors
    /// [`Error::PlaintextTooLong`] beyond the modulus less two digests and two bytes, [`Error::CannotDo`] when the key
    /// is not RSA, [`Error::HashMismatch`] for hash functions other than SHA-256, SHA-384 and SHA-512,
    /// [`Error::Backend`] when the backend fails.
    pub fn encrypt_oaep(&self, hash: HashFunction, plaintext: &[u8]) -> Result<Vec<u8>, Error> {
        let bytes = self.demand_oaep("encrypt", hash)?;
        // RFC 8017 §7.1.1, step 1b.
        let longest = bytes.saturating_sub(2 * hash.length() + 2);
        if plaintext.len() > longest {
            return Err(Error::PlaintextTooLong { found: plaintext.len(), longest });
        }
        self.0.key.encrypt_oaep(hash, &self.0.spki, plaintext)
    }

    /// An error unless the key is RSA and the hash function one of OAEP's; the bytes of the modulus.
    pub(crate) fn demand_oaep(&self, operation: &'static str, hash: HashFunction) -> Result<usize, Error> {
        let cannot = Error::CannotDo { key: self.crv().unwrap_or(self.kty()), operation };
        let bytes = self.rsa_bits().ok_or(cannot)?.div_ceil(8);
        match hash {
            HashFunction::Sha2_256 | HashFunction::Sha2_384 | HashFunction::Sha2_512 => Ok(bytes),
            _ => Err(Error::HashMismatch { hash, with: "RSA-OAEP" }),
        }
    }

    /// An error unless the algorithm fits.
    pub(crate) fn demand_fit(&self, algorithm: Algorithm) -> Result<(), Error> {
        if algorithm.fits(self) {
            return Ok(());
        }
        Err(Error::AlgorithmMismatch { algorithm, key: self.crv().unwrap_or(self.kty()) })
    }

    /// The key type; `None` for an RSA modulus of a size other than 2048, 3072 or 4096 bits.
    pub fn key_type(&self) -> Option<KeyType> {
        self.parts().key_type()
    }

    /// The JWK `kty`: `RSA`, `EC` or `OKP`.
    pub fn kty(&self) -> &'static str {
        self.parts().kty()
    }

    /// The JWK `crv`: `P-256`, `P-384`, `P-521` or `Ed25519`; `None` for RSA.
    pub fn crv(&self) -> Option<&'static str> {
        self.parts().crv()
    }

    /// The key as RFC 8032 §5.1.5 encodes it; `None` unless the key is Ed25519.
    pub fn ed25519_bytes(&self) -> Option<&[u8; 32]> {
        match self.parts() {
            Parts::Ed25519(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Bits of the modulus; `None` unless the key is RSA.
    pub fn rsa_bits(&self) -> Option<usize> {
        self.parts().rsa_bits()
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for PublicKey {}

impl Hash for PublicKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("PublicKey");
        debug.field("kty", &self.kty());
        if let Some(crv) = self.crv() {
            debug.field("crv", &crv);
        }
        if let Some(bits) = self.rsa_bits() {
            debug.field("bits", &bits);
        }
        debug.field("thumbprint", &self.thumbprint()).finish()
    }
}
