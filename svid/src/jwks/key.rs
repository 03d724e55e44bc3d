//! One key of a set.

use keyward_keys::{Algorithm, Jwk, PublicKey};

use super::{JwksError, KeyUse};
use crate::jwt::JWT_SVID_ALGORITHMS;

/// A public key with its name and, where it is bound to one, its algorithm. Cloning is cheap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationKey {
    key: PublicKey,
    kid: Option<String>,
    algorithm: Option<Algorithm>,
}

impl VerificationKey {
    /// A key to publish, bound to the algorithm it is used with.
    ///
    /// # Errors
    /// [`JwksError::Algorithm`] when JWT-SVID §2.1 does not allow the algorithm, as with Ed25519, or the key does not fit
    /// it; [`JwksError::KeyId`] when `kid` is empty.
    pub fn new(key: PublicKey, algorithm: Algorithm, kid: impl Into<String>) -> Result<Self, JwksError> {
        if !JWT_SVID_ALGORITHMS.contains(&algorithm) || !algorithm.fits(&key) {
            return Err(JwksError::Algorithm { algorithm, kty: key.kty() });
        }
        let kid = kid.into();
        if kid.is_empty() {
            return Err(JwksError::KeyId);
        }
        Ok(Self { key, kid: Some(kid), algorithm: Some(algorithm) })
    }

    /// A key to publish, as its owner describes it: with `kid`, and bound to its `alg` where it has one. Its `use` does
    /// not count.
    ///
    /// ```
    /// # use keyward_svid::VerificationKey;
    /// # use keyward_keys::{Algorithm, KeyType, PrivateKey};
    /// let key = PrivateKey::generate(KeyType::EcdsaP256)?;
    /// let jwk = key.public_key().to_jwk().with_alg(Algorithm::Es256).with_kid("2027-01");
    /// assert_eq!(VerificationKey::from_jwk(&jwk)?.algorithm(), Some(Algorithm::Es256));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`JwksError::Key`] when the values are no key or `alg` is unknown, and as [`new`](Self::new).
    pub fn from_jwk(jwk: &Jwk) -> Result<Self, JwksError> {
        let key = PublicKey::from_jwk(jwk).map_err(JwksError::Key)?;
        let algorithm = jwk.alg().map(str::parse::<Algorithm>).transpose().map_err(JwksError::Key)?;
        let kid = jwk.kid().unwrap_or_default();
        match algorithm {
            Some(algorithm) => Self::new(key, algorithm, kid),
            None => {
                let first = JWT_SVID_ALGORITHMS.into_iter().find(|algorithm| algorithm.fits(&key));
                Self::new(key, first.unwrap_or(Algorithm::EdDsa), kid).map(|key| Self { algorithm: None, ..key })
            }
        }
    }

    /// For the reader, which has made the same checks on what is present.
    pub(super) fn from_parts(key: PublicKey, kid: Option<String>, algorithm: Option<Algorithm>) -> Self {
        Self { key, kid, algorithm }
    }

    /// The key.
    pub fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// Its `kid`; the OIDC document may lack it.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The one algorithm it is bound to (RFC 7517 §4.4); without one, every algorithm of its key type.
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    /// Whether a token may be signed with this key under this algorithm.
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        self.algorithm.is_none_or(|bound| bound == algorithm) && algorithm.fits(&self.key)
    }

    /// The key as an entry of a set: its values, `use`, and `alg` and `kid` where it has them.
    pub fn to_jwk(&self, key_use: KeyUse) -> Jwk {
        let mut jwk = self.key.to_jwk().with_use(key_use.as_str());
        if let Some(algorithm) = self.algorithm {
            jwk = jwk.with_alg(algorithm);
        }
        if let Some(kid) = &self.kid {
            jwk = jwk.with_kid(kid);
        }
        jwk
    }
}
