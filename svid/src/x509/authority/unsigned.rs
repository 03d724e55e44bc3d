//! Signing in two steps, for keys that cannot be called from here.

use std::fmt;

use keyward_keys::{Algorithm, Signer};
use rustls_pki_types::CertificateDer;

use super::{Error, algorithm};
use crate::x509::der::{Writer, tag};

/// A certificate that waits for its signature: of an authority, or inside an [`UnsignedSvid`](super::UnsignedSvid).
#[must_use = "an unsigned certificate is of no use without its signature"]
pub struct UnsignedCertificate {
    tbs: Vec<u8>,
    algorithm: Algorithm,
}

impl UnsignedCertificate {
    pub(super) fn new(tbs: Vec<u8>, algorithm: Algorithm) -> Self {
        Self { tbs, algorithm }
    }

    /// The bytes to sign: the DER `TBSCertificate` (RFC 5280 §4.1.1.3). A device that wants a digest gets theirs.
    pub fn as_bytes(&self) -> &[u8] {
        &self.tbs
    }

    /// The algorithm to sign with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Completes the certificate with a signature in the form of JWS, as a [`Signer`] makes it: for ECDSA r then s,
    /// each of fixed width. The signature is not verified here.
    ///
    /// # Errors
    /// [`Error::Keys`] when the algorithm cannot have produced it.
    pub fn attach(self, signature: &[u8]) -> Result<CertificateDer<'static>, Error> {
        let asn1 = self.algorithm.signature_to_asn1(signature)?;
        self.complete(&asn1)
    }

    /// Completes the certificate with a signature in the form of X.509, which for ECDSA is DER: what KMS and PKCS #11
    /// wrappers answer. For others it is the same as [`attach`](Self::attach).
    ///
    /// # Errors
    /// As [`attach`](Self::attach).
    pub fn attach_der(self, signature: &[u8]) -> Result<CertificateDer<'static>, Error> {
        self.algorithm.signature_from_asn1(signature)?;
        self.complete(signature)
    }

    /// Signs and completes.
    pub(super) fn sign(self, signer: &impl Signer) -> Result<CertificateDer<'static>, Error> {
        let found = signer.algorithm();
        if found != self.algorithm {
            return Err(Error::SignerChanged { expected: self.algorithm, found });
        }
        let signature = signer.sign(&self.tbs)?;
        self.attach(&signature)
    }

    fn complete(self, signature: &[u8]) -> Result<CertificateDer<'static>, Error> {
        let signed = signed(&self.tbs, self.algorithm, signature)?;
        Ok(CertificateDer::from(signed))
    }
}

impl fmt::Debug for UnsignedCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnsignedCertificate").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// `SEQUENCE { content, AlgorithmIdentifier, BIT STRING }`: a certificate or a request.
pub(super) fn signed(content: &[u8], algorithm: Algorithm, signature: &[u8]) -> Result<Vec<u8>, Error> {
    let identifier = identifier(algorithm)?;
    let mut der = Writer::with_capacity(content.len() + identifier.len() + signature.len() + 16);
    der.sequence(|der| {
        der.raw(content).element(tag::SEQUENCE, identifier).bit_string(signature);
    });
    Ok(der.into_bytes())
}

/// The algorithm's identifier. All of ours have one.
pub(super) fn identifier(algorithm: Algorithm) -> Result<&'static [u8], Error> {
    algorithm::identifier(algorithm)
        .ok_or(Error::Certificate { problem: "X.509 has no identifier for the signer's algorithm" })
}
