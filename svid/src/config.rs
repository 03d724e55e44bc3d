//! The configuration document of SPIFFE issuing.

use keyward_config_values::{Distribute, Name};
use keyward_spiffe_id::TrustDomain;
use serde::{Deserialize, Serialize};

use crate::oidc::Issuer;

/// Which key signs identities, and in whose name.
///
/// ```
/// # use keyward_svid::SpiffeSettings;
/// let settings: SpiffeSettings = serde_json::from_str(
///     r#"{"jwt-signing-key": "spiffe-jwt", "jwt-issuer": "https://tower.example.org/1f0e"}"#,
/// )?;
/// assert_eq!(settings.jwt_signing_key, "spiffe-jwt");
/// assert_eq!(settings.trust_domain, None);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct SpiffeSettings {
    /// The key ring whose active version signs JWT-SVIDs.
    pub jwt_signing_key: Name,
    /// The certificate authority that signs X.509-SVIDs; without it the tenant's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuing_ca: Option<Name>,
    /// `iss` of the tokens; without it the issuer is where the program serves discovery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt_issuer: Option<Issuer>,
    /// The trust domain of the identities; without it the program chooses one for the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_domain: Option<TrustDomain>,
    /// Where the settings go besides the tower.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribute: Option<Distribute>,
}

impl SpiffeSettings {
    /// The settings with nothing but a signing key.
    pub fn new(jwt_signing_key: Name) -> Self {
        Self { jwt_signing_key, issuing_ca: None, jwt_issuer: None, trust_domain: None, distribute: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_document() {
        let json = r#"{"jwt-signing-key":"spiffe-jwt","issuing-ca":"edge","jwt-issuer":"https://i.example/t","trust-domain":"td.example","distribute":{"to":"all"}}"#;
        let settings: SpiffeSettings = serde_json::from_str(json).unwrap();
        assert_eq!(settings.trust_domain.as_ref().unwrap().as_str(), "td.example");
        assert_eq!(serde_json::to_string(&settings).unwrap(), json);
    }

    #[test]
    fn only_the_key_is_required() {
        let settings: SpiffeSettings = serde_json::from_str(r#"{"jwt-signing-key":"k"}"#).unwrap();
        assert_eq!(settings, SpiffeSettings::new("k".parse().unwrap()));
        assert_eq!(serde_json::to_string(&settings).unwrap(), r#"{"jwt-signing-key":"k"}"#);
        let error = serde_json::from_str::<SpiffeSettings>("{}").unwrap_err();
        assert!(error.to_string().contains("jwt-signing-key"), "{error}");
    }

    #[test]
    fn values_are_valid_or_refused() {
        for (field, value) in [
            ("jwt-signing-key", "\"Not A Name\""),
            ("issuing-ca", "\"-\""),
            ("jwt-issuer", "\"http://a.example\""),
            ("trust-domain", "\"TD\""),
            ("distribute", "{\"to\":\"moon\"}"),
        ] {
            let json = format!(r#"{{"jwt-signing-key":"k","{field}":{value}}}"#)
                .replace(r#""jwt-signing-key":"k","jwt-signing-key""#, r#""jwt-signing-key""#);
            assert!(serde_json::from_str::<SpiffeSettings>(&json).is_err(), "{json}");
        }
    }
}
