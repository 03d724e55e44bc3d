//! Signatures on certificates, verified with a key as the issuer's certificate holds it.

use crate::encoding::ecdsa::Form;
use crate::encoding::spki;
use crate::parts::{Curve, Parts};
use crate::{Algorithm, Error, HashFunction, backend};

/// A signature algorithm together with the type of its key: what a certificate's `signatureAlgorithm` (RFC 5280 §4.1.1.2)
/// and the key of its issuer say between them.
///
/// Unlike the algorithms of JOSE it does not tie a curve to one digest: CAs of one curve sign with any of SHA-2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum X509Algorithm {
    /// ECDSA on P-256 with SHA-256 (RFC 5758 §3.2).
    EcdsaP256Sha256,
    /// ECDSA on P-256 with SHA-384.
    EcdsaP256Sha384,
    /// ECDSA on P-256 with SHA-512.
    EcdsaP256Sha512,
    /// ECDSA on P-384 with SHA-256.
    EcdsaP384Sha256,
    /// ECDSA on P-384 with SHA-384.
    EcdsaP384Sha384,
    /// ECDSA on P-384 with SHA-512.
    EcdsaP384Sha512,
    /// ECDSA on P-521 with SHA-256.
    EcdsaP521Sha256,
    /// ECDSA on P-521 with SHA-384.
    EcdsaP521Sha384,
    /// ECDSA on P-521 with SHA-512.
    EcdsaP521Sha512,
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 4055 §5).
    RsaPkcs1Sha256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RsaPkcs1Sha384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RsaPkcs1Sha512,
    /// RSASSA-PSS with SHA-256 in both places and a salt of 32 bytes (RFC 4055 §3.1), by a plain RSA key.
    RsaPssSha256,
    /// RSASSA-PSS with SHA-384 in both places and a salt of 48 bytes.
    RsaPssSha384,
    /// RSASSA-PSS with SHA-512 in both places and a salt of 64 bytes.
    RsaPssSha512,
    /// Ed25519 (RFC 8410).
    Ed25519,
}

impl X509Algorithm {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::EcdsaP256Sha256,
        Self::EcdsaP256Sha384,
        Self::EcdsaP256Sha512,
        Self::EcdsaP384Sha256,
        Self::EcdsaP384Sha384,
        Self::EcdsaP384Sha512,
        Self::EcdsaP521Sha256,
        Self::EcdsaP521Sha384,
        Self::EcdsaP521Sha512,
        Self::RsaPkcs1Sha256,
        Self::RsaPkcs1Sha384,
        Self::RsaPkcs1Sha512,
        Self::RsaPssSha256,
        Self::RsaPssSha384,
        Self::RsaPssSha512,
        Self::Ed25519,
    ];

    /// Verifies a signature with the content of the issuer's `subjectPublicKey` bit string. The key is parsed for this
    /// one signature; what makes a key acceptable is what [`PublicKey`](crate::PublicKey) says.
    ///
    /// ```
    /// use keyward_keys::{Algorithm, KeyType, PrivateKey, X509Algorithm};
    ///
    /// let key = PrivateKey::generate(KeyType::EcdsaP256)?;
    /// let signature = key.sign_asn1(Algorithm::Es256, b"to be signed")?;
    /// let spki = key.public_key().to_spki_der();
    /// let point = &spki[spki.len() - 65..];
    /// X509Algorithm::EcdsaP256Sha256.verify(point, b"to be signed", &signature)?;
    /// assert!(X509Algorithm::EcdsaP256Sha384.verify(point, b"to be signed", &signature).is_err());
    /// # Ok::<(), keyward_keys::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the key is none of this algorithm's, and [`Error::BadSignature`].
    pub fn verify(self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), Error> {
        let (algorithm, hash) = self.split();
        let key = backend::VerifyingKey::new(&parts(algorithm, public_key)?)?;
        let verified = match hash {
            Some(hash) => {
                let digest = hash.digest(message);
                key.verify_digest(algorithm, Form::Asn1, &algorithm.fit_digest(&digest)?, signature)
            }
            None => key.verify(algorithm, Form::Asn1, message, signature),
        };
        if verified { Ok(()) } else { Err(Error::BadSignature) }
    }

    /// The algorithm of JOSE with the same key and form, and the hash function where it is another.
    fn split(self) -> (Algorithm, Option<HashFunction>) {
        use HashFunction::{Sha2_256, Sha2_384, Sha2_512};
        match self {
            Self::EcdsaP256Sha256 => (Algorithm::Es256, None),
            Self::EcdsaP256Sha384 => (Algorithm::Es256, Some(Sha2_384)),
            Self::EcdsaP256Sha512 => (Algorithm::Es256, Some(Sha2_512)),
            Self::EcdsaP384Sha256 => (Algorithm::Es384, Some(Sha2_256)),
            Self::EcdsaP384Sha384 => (Algorithm::Es384, None),
            Self::EcdsaP384Sha512 => (Algorithm::Es384, Some(Sha2_512)),
            Self::EcdsaP521Sha256 => (Algorithm::Es512, Some(Sha2_256)),
            Self::EcdsaP521Sha384 => (Algorithm::Es512, Some(Sha2_384)),
            Self::EcdsaP521Sha512 => (Algorithm::Es512, None),
            Self::RsaPkcs1Sha256 => (Algorithm::Rs256, None),
            Self::RsaPkcs1Sha384 => (Algorithm::Rs384, None),
            Self::RsaPkcs1Sha512 => (Algorithm::Rs512, None),
            Self::RsaPssSha256 => (Algorithm::Ps256, None),
            Self::RsaPssSha384 => (Algorithm::Ps384, None),
            Self::RsaPssSha512 => (Algorithm::Ps512, None),
            Self::Ed25519 => (Algorithm::EdDsa, None),
        }
    }
}

/// The key in the bit string.
fn parts(algorithm: Algorithm, key: &[u8]) -> Result<Parts, Error> {
    let point =
        |curve| Parts::ec_point(curve, key).ok_or(Error::Encoding { what: "uncompressed point of the curve's width" });
    match algorithm {
        Algorithm::Es256 => point(Curve::P256),
        Algorithm::Es384 => point(Curve::P384),
        Algorithm::Es512 => point(Curve::P521),
        Algorithm::EdDsa => Parts::ed25519(key.try_into().map_err(|_| Error::Encoding { what: "Ed25519 public key" })?),
        _ => spki::decode_rsa(key),
    }
}

#[cfg(test)]
mod tests {
    use pkcs8::der::Decode as _;
    use pkcs8::spki::SubjectPublicKeyInfoRef;

    use super::*;
    use crate::{KeyType, PrivateKey};

    fn bit_string(key: &PrivateKey) -> Vec<u8> {
        let spki = key.public_key().to_spki_der();
        SubjectPublicKeyInfoRef::from_der(&spki).unwrap().subject_public_key.as_bytes().unwrap().to_vec()
    }

    /// Each JOSE algorithm is one of X.509's, and verifies as that one alone.
    #[test]
    fn exactly_the_right_algorithm_verifies() {
        let cases = [
            (KeyType::EcdsaP256, Algorithm::Es256, X509Algorithm::EcdsaP256Sha256),
            (KeyType::EcdsaP384, Algorithm::Es384, X509Algorithm::EcdsaP384Sha384),
            (KeyType::EcdsaP521, Algorithm::Es512, X509Algorithm::EcdsaP521Sha512),
            (KeyType::Ed25519, Algorithm::EdDsa, X509Algorithm::Ed25519),
        ];
        for (key_type, signed, expected) in cases {
            check(&PrivateKey::generate(key_type).unwrap(), signed, expected);
        }
        let rsa = PrivateKey::generate(KeyType::Rsa2048).unwrap();
        for (signed, expected) in [
            (Algorithm::Rs256, X509Algorithm::RsaPkcs1Sha256),
            (Algorithm::Rs384, X509Algorithm::RsaPkcs1Sha384),
            (Algorithm::Rs512, X509Algorithm::RsaPkcs1Sha512),
            (Algorithm::Ps256, X509Algorithm::RsaPssSha256),
            (Algorithm::Ps384, X509Algorithm::RsaPssSha384),
            (Algorithm::Ps512, X509Algorithm::RsaPssSha512),
        ] {
            check(&rsa, signed, expected);
        }
    }

    fn check(key: &PrivateKey, signed: Algorithm, expected: X509Algorithm) {
        let (public, signature) = (bit_string(key), key.sign_asn1(signed, b"message").unwrap());
        for algorithm in X509Algorithm::ALL {
            let verified = algorithm.verify(&public, b"message", &signature);
            assert_eq!(verified.is_ok(), algorithm == expected, "{signed} as {algorithm:?}: {verified:?}");
            assert!(algorithm.verify(&public, b"massage", &signature).is_err());
        }
    }

    /// FIPS 186-5 §6.4: a digest longer than the order is cut, a shorter one is a smaller number.
    #[test]
    fn a_curve_goes_with_every_digest() {
        use X509Algorithm as X;
        for (key_type, algorithm, fitting) in [
            (KeyType::EcdsaP256, Algorithm::Es256, [X::EcdsaP256Sha256, X::EcdsaP256Sha384, X::EcdsaP256Sha512]),
            (KeyType::EcdsaP384, Algorithm::Es384, [X::EcdsaP384Sha256, X::EcdsaP384Sha384, X::EcdsaP384Sha512]),
            (KeyType::EcdsaP521, Algorithm::Es512, [X::EcdsaP521Sha256, X::EcdsaP521Sha384, X::EcdsaP521Sha512]),
        ] {
            let key = PrivateKey::generate(key_type).unwrap();
            let hashes = [HashFunction::Sha2_256, HashFunction::Sha2_384, HashFunction::Sha2_512];
            for (hash, expected) in hashes.into_iter().zip(fitting) {
                let signature = key.sign_digest_asn1(algorithm, &hash.digest(b"message")).unwrap();
                let verified =
                    X::ALL.iter().filter(|x509| x509.verify(&bit_string(&key), b"message", &signature).is_ok());
                assert_eq!(verified.collect::<Vec<_>>(), [&expected]);
            }
        }
    }

    #[test]
    fn keys_are_judged_as_everywhere() {
        let point = X509Algorithm::EcdsaP256Sha256.verify(&[2; 33], b"", b"");
        assert_eq!(point, Err(Error::Encoding { what: "uncompressed point of the curve's width" }));
        let small = X509Algorithm::Ed25519.verify(&[0; 32], b"", &[0; 64]);
        assert_eq!(small, Err(Error::Unusable { key: "Ed25519", reason: "the point has a small order" }));
        let short = X509Algorithm::Ed25519.verify(&[0; 31], b"", b"");
        assert_eq!(short, Err(Error::Encoding { what: "Ed25519 public key" }));
        let rsa = X509Algorithm::RsaPssSha256.verify(&[0x30, 0x06, 2, 1, 0x7f, 2, 1, 3], b"", b"");
        assert_eq!(rsa, Err(Error::RsaSize { bits: 7, accepted: "2048 to 8192" }));
    }
}
