//! Key sets of the crate `jsonwebtoken`.

use jsonwebtoken::jwk;
use keyward_keys::Algorithm;

use super::{JwkSet, JwksError, KeyUse};

impl JwkSet {
    /// The set as `jsonwebtoken` has it. That crate knows no ES512: such a key goes over without its `alg`, which its
    /// curve implies.
    ///
    /// # Errors
    /// [`JwksError::Json`], should that crate not read what this one wrote.
    pub fn to_jsonwebtoken(&self) -> Result<jwk::JwkSet, JwksError> {
        let mut set: jwk::JwkSet = serde_json::from_str(&self.to_json())
            .map_err(|error| JwksError::Json { line: error.line(), column: error.column() })?;
        for (theirs, ours) in set.keys.iter_mut().zip(&self.keys) {
            if ours.algorithm() == Some(Algorithm::Es512) {
                theirs.common.key_algorithm = None;
            }
        }
        Ok(set)
    }

    /// Reads a set of `jsonwebtoken`, by the same rules as [`from_json`](Self::from_json).
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json).
    pub fn from_jsonwebtoken(set: &jwk::JwkSet, key_use: KeyUse) -> Result<Self, JwksError> {
        // A struct of strings always becomes JSON.
        Self::from_json(&serde_json::to_vec(set).unwrap_or_default(), key_use)
    }
}

#[cfg(test)]
mod tests {
    use keyward_keys::{KeyType, PrivateKey};

    use super::*;
    use crate::jwks::VerificationKey;

    #[test]
    fn there_and_back() {
        let key = |key_type: KeyType, kid: &str| {
            let key = PrivateKey::generate(key_type).unwrap();
            VerificationKey::new(key.public_key().clone(), Algorithm::default_for(key_type), kid).unwrap()
        };
        let keys = [key(KeyType::Rsa2048, "r"), key(KeyType::EcdsaP256, "p"), key(KeyType::EcdsaP521, "q")];
        let ours = JwkSet::new(KeyUse::Signature, keys);
        let theirs = ours.to_jsonwebtoken().unwrap();
        assert!(theirs.find("r").unwrap().is_supported());
        assert_eq!(theirs.find("q").unwrap().common.key_algorithm, None);

        let back = JwkSet::from_jsonwebtoken(&theirs, KeyUse::Signature).unwrap();
        assert_eq!(back.keys()[..2], ours.keys()[..2]);
        assert_eq!(back.keys()[2].public_key(), ours.keys()[2].public_key());
        assert!(back.keys()[2].fits(Algorithm::Es512));
        assert!(back.skipped().is_empty());

        let bundle = JwkSet::new(KeyUse::JwtSvid, ours.keys().to_vec());
        let back = JwkSet::from_jsonwebtoken(&bundle.to_jsonwebtoken().unwrap(), KeyUse::JwtSvid).unwrap();
        assert_eq!(back.keys().len(), 3);
        assert!(JwkSet::from_jsonwebtoken(&theirs, KeyUse::JwtSvid).unwrap().keys().is_empty());
    }
}
