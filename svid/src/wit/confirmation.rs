//! The key that a WIT-SVID is bound to (`cnf`, RFC 7800).

use keyward_keys::{Algorithm, PublicKey};
use serde_json::Value;

use super::error::{ConfirmationProblem, MintError, VerifyError};
use crate::jwks::{Entry, KeyUse};
use crate::jwt::JWT_SVID_ALGORITHMS;

/// A public key and the one algorithm that proofs are made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    key: PublicKey,
    algorithm: Algorithm,
}

impl Confirmation {
    pub(super) fn new(key: PublicKey, algorithm: Algorithm) -> Result<Self, MintError> {
        if !JWT_SVID_ALGORITHMS.contains(&algorithm) {
            return Err(MintError::Algorithm { algorithm });
        }
        if !algorithm.fits(&key) {
            return Err(MintError::ConfirmationAlgorithm { algorithm, kty: key.kty() });
        }
        Ok(Self { key, algorithm })
    }

    /// Reads the value of `cnf`.
    pub(super) fn read(cnf: Value) -> Result<Self, VerifyError> {
        let bad = |problem| VerifyError::Confirmation { problem };
        let Value::Object(mut members) = cnf else { return Err(bad(ConfirmationProblem::NoKey)) };
        let jwk = members.remove("jwk").ok_or_else(|| bad(ConfirmationProblem::NoKey))?;
        // RFC 7800 §3.1: at most one of the three. Other members are ignored.
        if members.contains_key("jwe") || members.contains_key("jku") {
            return Err(bad(ConfirmationProblem::SeveralKeys));
        }
        let key = Entry::new(jwk)
            .verification_key(KeyUse::Signature)
            .map_err(|reason| bad(ConfirmationProblem::Key(reason)))?;
        let algorithm = key.algorithm().ok_or_else(|| bad(ConfirmationProblem::NoAlgorithm))?;
        Ok(Self { key: key.public_key().clone(), algorithm })
    }

    /// The public key of the holder.
    pub fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// The algorithm that the holder's proofs are made with, and no other.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Continues an object with `cnf`.
    pub(super) fn push_claim(&self, json: &mut String) {
        let jwk = self.key.to_jwk().with_alg(self.algorithm);
        json.push_str(",\"cnf\":{\"jwk\":");
        // Strings always become JSON.
        json.push_str(&serde_json::to_string(&jwk).unwrap_or_default());
        json.push('}');
    }
}
