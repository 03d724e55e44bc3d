//! The signature algorithms of path validation, all of them verified by `keyward-keys`.

use keyward_keys::X509Algorithm;
use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};

use super::der::{NotDer, Reader, tag};

/// One algorithm with the identifiers by which certificates name it.
#[derive(Debug)]
pub(super) struct Verification {
    algorithm: X509Algorithm,
    key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
}

/// The more usual ones first: they are looked through in this order.
pub(super) static ALL: [Verification; 16] = [
    of(X509Algorithm::EcdsaP256Sha256, alg_id::ECDSA_P256, alg_id::ECDSA_SHA256),
    of(X509Algorithm::EcdsaP384Sha384, alg_id::ECDSA_P384, alg_id::ECDSA_SHA384),
    of(X509Algorithm::RsaPkcs1Sha256, alg_id::RSA_ENCRYPTION, alg_id::RSA_PKCS1_SHA256),
    of(X509Algorithm::Ed25519, alg_id::ED25519, alg_id::ED25519),
    of(X509Algorithm::EcdsaP521Sha512, alg_id::ECDSA_P521, alg_id::ECDSA_SHA512),
    of(X509Algorithm::RsaPkcs1Sha384, alg_id::RSA_ENCRYPTION, alg_id::RSA_PKCS1_SHA384),
    of(X509Algorithm::RsaPkcs1Sha512, alg_id::RSA_ENCRYPTION, alg_id::RSA_PKCS1_SHA512),
    of(X509Algorithm::RsaPssSha256, alg_id::RSA_ENCRYPTION, alg_id::RSA_PSS_SHA256),
    of(X509Algorithm::RsaPssSha384, alg_id::RSA_ENCRYPTION, alg_id::RSA_PSS_SHA384),
    of(X509Algorithm::RsaPssSha512, alg_id::RSA_ENCRYPTION, alg_id::RSA_PSS_SHA512),
    of(X509Algorithm::EcdsaP256Sha384, alg_id::ECDSA_P256, alg_id::ECDSA_SHA384),
    of(X509Algorithm::EcdsaP256Sha512, alg_id::ECDSA_P256, alg_id::ECDSA_SHA512),
    of(X509Algorithm::EcdsaP384Sha256, alg_id::ECDSA_P384, alg_id::ECDSA_SHA256),
    of(X509Algorithm::EcdsaP384Sha512, alg_id::ECDSA_P384, alg_id::ECDSA_SHA512),
    of(X509Algorithm::EcdsaP521Sha256, alg_id::ECDSA_P521, alg_id::ECDSA_SHA256),
    of(X509Algorithm::EcdsaP521Sha384, alg_id::ECDSA_P521, alg_id::ECDSA_SHA384),
];

const fn of(algorithm: X509Algorithm, key: AlgorithmIdentifier, signature: AlgorithmIdentifier) -> Verification {
    Verification { algorithm, key, signature }
}

impl SignatureVerificationAlgorithm for Verification {
    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }

    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        self.algorithm.verify(public_key, message, signature).map_err(|_| InvalidSignature)
    }
}

/// Whether the signature is one of the key in this `SubjectPublicKeyInfo`, by the algorithm with this identifier's content.
pub(super) fn verify(algorithm: &[u8], spki: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Ok((key, public_key)) = key_of(spki) else { return false };
    let found = ALL.iter().find(|one| *one.signature == *algorithm && *one.key == *key);
    found.is_some_and(|one| one.algorithm.verify(public_key, message, signature).is_ok())
}

/// The content of the identifier and of the bit string of a `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7).
pub(super) fn key_of(spki: &[u8]) -> Result<(&[u8], &[u8]), NotDer> {
    let mut reader = Reader::new(spki);
    let mut fields = reader.inside(tag::SEQUENCE)?;
    reader.finish()?;
    let parts = (fields.expect(tag::SEQUENCE)?, fields.bit_string()?);
    fields.finish()?;
    Ok(parts)
}

/// The same algorithm over certificates of which some were changed for path validation: their signatures are verified
/// over what was signed.
#[derive(Debug)]
pub(super) struct Unmasked<'a> {
    pub(super) verification: &'static Verification,
    pub(super) changed: &'a [Changed<'a>],
}

/// A `tbsCertificate` that was changed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Changed<'a> {
    /// Where path validation finds it.
    pub(super) view: &'a [u8],
    /// As it was signed.
    pub(super) signed: &'a [u8],
}

impl SignatureVerificationAlgorithm for Unmasked<'_> {
    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.verification.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.verification.signature_alg_id()
    }

    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        // The place counts, not the bytes: somebody might have sent a certificate that looks like a changed one.
        let changed = self.changed.iter().find(|changed| std::ptr::eq(changed.view, message));
        let message = changed.map_or(message, |changed| changed.signed);
        self.verification.verify_signature(public_key, message, signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_is_there_once() {
        for algorithm in X509Algorithm::ALL {
            assert_eq!(ALL.iter().filter(|verification| verification.algorithm == algorithm).count(), 1);
        }
        for (index, one) in ALL.iter().enumerate() {
            assert!(!ALL.iter().skip(index + 1).any(|other| (one.key, one.signature) == (other.key, other.signature)));
        }
    }
}
