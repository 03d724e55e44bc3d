//! Whatever signs.

use std::fmt;
use std::sync::Arc;

use crate::{Algorithm, Error, PrivateKey, PublicKey};

/// Whatever signs: a key in memory, a key ring, a device.
///
/// Signatures have the form of JWS: an ECDSA signature is r‖s of fixed width (RFC 7518 §3.4). An implementation
/// outside this crate reports a failure as [`Error::SignerFailed`].
pub trait Signer {
    /// The algorithm of the signatures.
    fn algorithm(&self) -> Algorithm;

    /// The key ID that verifiers look the public key up by; not empty.
    fn kid(&self) -> &str;

    /// Signs.
    ///
    /// # Errors
    /// When the signer cannot sign now.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error>;
}

impl<S: Signer + ?Sized> Signer for &S {
    fn algorithm(&self) -> Algorithm {
        (**self).algorithm()
    }

    fn kid(&self) -> &str {
        (**self).kid()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        (**self).sign(message)
    }
}

impl<S: Signer + ?Sized> Signer for Arc<S> {
    fn algorithm(&self) -> Algorithm {
        (**self).algorithm()
    }

    fn kid(&self) -> &str {
        (**self).kid()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        (**self).sign(message)
    }
}

/// A [`Signer`] over a private key in memory.
///
/// ```
/// use keyward_keys::{Algorithm, KeySigner, KeyType, PrivateKey, Signer};
///
/// let signer = KeySigner::new(PrivateKey::generate(KeyType::EcdsaP256)?, Algorithm::Es256, None)?;
/// assert_eq!(signer.kid(), signer.public_key().thumbprint());
/// let signature = signer.sign(b"message")?;
/// signer.public_key().verify(signer.algorithm(), b"message", &signature)?;
/// # Ok::<(), keyward_keys::Error>(())
/// ```
pub struct KeySigner {
    key: PrivateKey,
    algorithm: Algorithm,
    kid: String,
}

impl KeySigner {
    /// A signer for one key and algorithm. Without a `kid` it is the public key's thumbprint (RFC 7638).
    ///
    /// # Errors
    /// [`Error::AlgorithmMismatch`] when the algorithm does not fit the key, [`Error::EmptyKeyId`] for an empty `kid`.
    pub fn new(key: PrivateKey, algorithm: Algorithm, kid: Option<String>) -> Result<Self, Error> {
        key.public_key().demand_fit(algorithm)?;
        let kid = kid.unwrap_or_else(|| key.public_key().thumbprint());
        if kid.is_empty() {
            return Err(Error::EmptyKeyId);
        }
        Ok(Self { key, algorithm, kid })
    }

    /// The public half of the key.
    pub fn public_key(&self) -> &PublicKey {
        self.key.public_key()
    }

    /// The key itself.
    pub fn private_key(&self) -> &PrivateKey {
        &self.key
    }
}

impl Signer for KeySigner {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn kid(&self) -> &str {
        &self.kid
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.key.sign(self.algorithm, message)
    }
}

impl fmt::Debug for KeySigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySigner").field("algorithm", &self.algorithm).field("kid", &self.kid).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyType;

    #[test]
    fn the_kid_is_the_thumbprint_unless_given() {
        let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
        let thumbprint = key.public_key().thumbprint();
        let signer = KeySigner::new(key, Algorithm::Es256, None).unwrap();
        assert_eq!(signer.kid(), thumbprint);
        assert_eq!(format!("{signer:?}"), format!("KeySigner {{ algorithm: Es256, kid: {thumbprint:?}, .. }}"));

        let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
        let signer = KeySigner::new(key, Algorithm::Es256, Some("mine".into())).unwrap();
        assert_eq!(signer.kid(), "mine");

        fn sizes(signer: impl Signer) -> (usize, Algorithm, usize) {
            (signer.sign(b"message").unwrap().len(), signer.algorithm(), signer.kid().len())
        }
        let shared: Arc<dyn Signer + Send + Sync> = Arc::new(signer);
        assert_eq!(sizes(&*shared), (64, Algorithm::Es256, 4));
        assert_eq!(sizes(shared), (64, Algorithm::Es256, 4));
    }

    #[test]
    fn what_cannot_sign_is_no_signer() {
        let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
        let error = KeySigner::new(key, Algorithm::Es384, None).unwrap_err();
        assert_eq!(error.to_string(), "algorithm `ES384` does not fit a key of type `P-256`");
        let key = PrivateKey::generate(KeyType::Ed25519).unwrap();
        assert_eq!(KeySigner::new(key, Algorithm::EdDsa, Some(String::new())).unwrap_err(), Error::EmptyKeyId);
    }
}
