//! The OIDC discovery document by which clouds find the keys (OpenID Connect Discovery 1.0).

mod error;
mod issuer;

use keyward_keys::Algorithm;
use serde::{Deserialize, Deserializer, Serialize};

pub use error::OidcError;
pub use issuer::Issuer;

use crate::jwt::JWT_SVID_ALGORITHMS;

/// What `/.well-known/openid-configuration` answers (OpenID Connect Discovery 1.0 §3).
///
/// The members are those that relying parties look for; a JWT-SVID issuer has no login of its own, so
/// `authorization_endpoint` is a valid URL, because client libraries demand one, and nothing lives there.
///
/// ```
/// use keyward_svid::oidc::Discovery;
/// use keyward_keys::Algorithm;
///
/// let discovery = Discovery::new("https://tower.example.org/1f0e".parse()?, [Algorithm::Rs256])?;
/// assert_eq!(discovery.jwks_uri, "https://tower.example.org/1f0e/jwks");
/// assert_eq!(
///     discovery.issuer.discovery_url(),
///     "https://tower.example.org/1f0e/.well-known/openid-configuration"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Discovery {
    /// The issuer, byte for byte what tokens carry as `iss`.
    pub issuer: Issuer,
    /// Where the key set is: the one with `use` `sig`, not the SPIFFE bundle.
    pub jwks_uri: String,
    /// Where a login would begin.
    #[serde(default)]
    pub authorization_endpoint: String,
    /// `id_token`.
    pub response_types_supported: Vec<String>,
    /// `public`.
    pub subject_types_supported: Vec<String>,
    /// The algorithms of the tokens. In reading, those that JWT-SVID does not allow are left out.
    #[serde(deserialize_with = "known_algorithms")]
    pub id_token_signing_alg_values_supported: Vec<Algorithm>,
    /// The claims of the tokens.
    #[serde(default)]
    pub claims_supported: Vec<String>,
}

impl Discovery {
    /// The document of an issuer whose keys are at `<issuer>/jwks`, with the algorithms of its published keys.
    ///
    /// # Errors
    /// [`OidcError::Algorithms`] when there is none, or one that JWT-SVID §2.1 does not allow.
    pub fn new(issuer: Issuer, algorithms: impl IntoIterator<Item = Algorithm>) -> Result<Self, OidcError> {
        let mut supported: Vec<Algorithm> = algorithms.into_iter().collect();
        supported.sort_unstable();
        supported.dedup();
        if supported.is_empty() || !supported.iter().all(|algorithm| JWT_SVID_ALGORITHMS.contains(algorithm)) {
            return Err(OidcError::Algorithms { found: supported });
        }
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
        Ok(Self {
            jwks_uri: issuer.join("jwks"),
            authorization_endpoint: issuer.join("authorize"),
            response_types_supported: names(&["id_token"]),
            subject_types_supported: names(&["public"]),
            id_token_signing_alg_values_supported: supported,
            claims_supported: names(&["aud", "exp", "iat", "iss", "jti", "nbf", "sub"]),
            issuer,
        })
    }

    /// Writes the document as JSON.
    pub fn to_json(&self) -> String {
        // Strings and lists of strings always become JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn known_algorithms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Algorithm>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    let known = |name: &String| JWT_SVID_ALGORITHMS.into_iter().find(|algorithm| algorithm.as_str() == name);
    Ok(names.iter().filter_map(known).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer() -> Issuer {
        "https://tower.example/t".parse().unwrap()
    }

    #[test]
    fn the_document() {
        let algorithms = [Algorithm::Es256, Algorithm::Rs256, Algorithm::Es256];
        let document = Discovery::new(issuer(), algorithms).unwrap();
        assert_eq!(
            document.to_json(),
            concat!(
                r#"{"issuer":"https://tower.example/t","jwks_uri":"https://tower.example/t/jwks","#,
                r#""authorization_endpoint":"https://tower.example/t/authorize","#,
                r#""response_types_supported":["id_token"],"subject_types_supported":["public"],"#,
                r#""id_token_signing_alg_values_supported":["RS256","ES256"],"#,
                r#""claims_supported":["aud","exp","iat","iss","jti","nbf","sub"]}"#
            )
        );
        assert_eq!(serde_json::from_str::<Discovery>(&document.to_json()).unwrap(), document);
    }

    #[test]
    fn algorithms_that_jwt_svid_lacks() {
        let error = Discovery::new(issuer(), [Algorithm::EdDsa]).unwrap_err();
        assert_eq!(error.to_string(), "a discovery document needs algorithms that JWT-SVID allows, not `EdDSA`");
        let error = Discovery::new(issuer(), []).unwrap_err();
        assert_eq!(error.to_string(), "a discovery document needs algorithms that JWT-SVID allows, not none");
    }

    #[test]
    fn foreign_documents_may_know_more() {
        let json = r#"{"issuer":"https://i.example","jwks_uri":"https://k.example/keys","response_types_supported":["code"],
            "subject_types_supported":["pairwise"],"id_token_signing_alg_values_supported":["HS256","ML-DSA-44","PS256"],"x":1}"#;
        let document: Discovery = serde_json::from_str(json).unwrap();
        assert_eq!(document.id_token_signing_alg_values_supported, [Algorithm::Ps256]);
        assert!(serde_json::from_str::<Discovery>(&json.replace("https://i", "ftp://i")).is_err());
        assert!(serde_json::from_str::<Discovery>(&json.replace("jwks_uri", "jwks")).is_err());
    }
}
