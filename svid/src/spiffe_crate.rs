//! Types of the crate `spiffe`. IDs and trust domains are converted by `keyward-spiffe-id`.

use keyward_keys::ErrorKind;
use serde_json::Value;
use spiffe::bundle::jwt::JwtBundleError;
use spiffe::{JwtSvidError, TrustDomain};

use crate::jwks::{JwkSet, KeyUse};
use crate::jwt::{EncodedJwtSvid, JwtBundle};

/// Keys without `kid` are left out: that crate finds keys by it only.
impl TryFrom<&JwtBundle> for spiffe::JwtBundle {
    type Error = BundleError;

    fn try_from(bundle: &JwtBundle) -> Result<Self, BundleError> {
        let mut theirs = Self::new(TrustDomain::try_from(bundle.trust_domain()).map_err(BundleError::TrustDomain)?);
        for key in bundle.keys().keys().iter().filter(|key| key.kid().is_some()) {
            let jwk = key.to_jwk(bundle.keys().key_use());
            theirs
                .add_jwk_authority_json(&serde_json::to_vec(&jwk).unwrap_or_default())
                .map_err(BundleError::Authority)?;
        }
        Ok(theirs)
    }
}

/// Reads the keys by the rules of [`JwkSet::from_json`]. The bundles of that crate come from the Workload API, where
/// every key is one for JWT-SVIDs: `use` may be `jwt-svid`, `sig` or absent.
impl TryFrom<&spiffe::JwtBundle> for JwtBundle {
    type Error = BundleError;

    fn try_from(theirs: &spiffe::JwtBundle) -> Result<Self, BundleError> {
        let mut keys: Vec<Value> = theirs
            .jwt_authorities()
            .filter_map(|authority| serde_json::from_slice(authority.jwk_json()).ok())
            .collect();
        for jwk in keys.iter_mut().filter_map(Value::as_object_mut) {
            if jwk.get("use").is_some_and(|found| found == KeyUse::JwtSvid.as_str()) {
                jwk.remove("use");
            }
        }
        let document = serde_json::json!({ "keys": keys }).to_string();
        let keys = JwkSet::from_json(document.as_bytes(), KeyUse::Signature).map_err(BundleError::Keys)?;
        let trust_domain = theirs.trust_domain().try_into().map_err(BundleError::Id)?;
        Ok(Self::new(trust_domain, keys))
    }
}

/// A token that was just minted, for clients written for that crate.
impl TryFrom<&EncodedJwtSvid> for spiffe::JwtSvid {
    type Error = JwtSvidError;

    fn try_from(token: &EncodedJwtSvid) -> Result<Self, JwtSvidError> {
        Self::from_workload_api_token(token.as_str())
    }
}

/// Why a bundle does not go over to the other crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The crate `spiffe` does not accept the trust domain.
    #[error("the trust domain is not accepted")]
    TrustDomain(#[source] spiffe::SpiffeIdError),
    /// The crate `spiffe` does not accept a key.
    #[error("a key is not accepted")]
    Authority(#[source] JwtBundleError),
    /// This crate does not accept the trust domain.
    #[error("the trust domain is not one of a SPIFFE ID")]
    Id(#[source] keyward_spiffe_id::Error),
    /// This crate does not accept the key set.
    #[error("the key set is not accepted")]
    Keys(#[source] crate::jwks::JwksError),
}

impl BundleError {
    /// Whose fault it is; what the other crate refuses counts as malformed.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TrustDomain(_) | Self::Authority(_) | Self::Id(_) => ErrorKind::Malformed,
            Self::Keys(error) => error.kind(),
        }
    }
}

#[cfg(test)]
mod tests {
    use keyward_keys::{Algorithm, KeySigner, KeyType, PrivateKey};
    use time::{Duration, OffsetDateTime};

    use super::*;
    use crate::{MintRequest, VerificationKey, mint};

    #[test]
    fn bundles_there_and_back() {
        let key = |kid: &str| {
            let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
            VerificationKey::new(key.public_key().clone(), Algorithm::Es256, kid).unwrap()
        };
        for key_use in [KeyUse::Signature, KeyUse::JwtSvid] {
            let ours = JwtBundle::new("td.example".parse().unwrap(), JwkSet::new(key_use, [key("a"), key("b")]));
            let theirs = spiffe::JwtBundle::try_from(&ours).unwrap();
            assert_eq!(theirs.trust_domain().as_str(), "td.example");
            assert!(theirs.find_jwt_authority("a").is_some());

            let back = JwtBundle::try_from(&theirs).unwrap();
            assert_eq!(back.trust_domain(), ours.trust_domain());
            let (mut back, mut ours) = (back.keys().keys().to_vec(), ours.keys().keys().to_vec());
            back.sort_by(|a, b| a.kid().cmp(&b.kid()));
            ours.sort_by(|a, b| a.kid().cmp(&b.kid()));
            assert_eq!(back, ours);
        }
    }

    #[test]
    fn a_token_goes_over() {
        let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
        let signer = KeySigner::new(key, Algorithm::Es256, None).unwrap();
        let request = MintRequest::new("spiffe://td.example/w".parse().unwrap(), ["a"], Duration::MINUTE).unwrap();
        let token = mint(&signer, &request, OffsetDateTime::UNIX_EPOCH).unwrap();
        let theirs = spiffe::JwtSvid::try_from(&token).unwrap();
        assert_eq!(theirs.spiffe_id().to_string(), "spiffe://td.example/w");
        assert_eq!(theirs.token(), token.as_str());
        assert_eq!(theirs.expiry(), token.expires());
    }
}
