//! The configuration document of an authority.

use keyward_config_values::{Distribute, Duration, Name};
use keyward_keys::KeyType;
use serde::{Deserialize, Serialize};

use super::Error;
use super::subject::{Subject, SubjectField};

/// The configuration document of a certificate authority.
///
/// ```
/// use keyward_svid::x509::authority::CaConfig;
///
/// let config: CaConfig = serde_json::from_str(
///     r#"{"name": "edge", "ttl": "90d", "subject-country": "DE", "subject-organization": "Example GmbH"}"#,
/// )?;
/// assert_eq!(config.validate()?.to_string(), "C=DE, O=Example GmbH, CN=edge");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct CaConfig {
    /// The name of the authority.
    pub name: Name,
    /// What its keys are; cannot change later. Default `ecdsa-p256`.
    #[serde(default = "default_key_type")]
    pub key_type: KeyType,
    /// How long each of its certificates lives: 12d to 3650d, 90d by default. The next one is made six days before the end.
    #[serde(default = "default_ttl")]
    pub ttl: Duration,
    /// `C` of the subject: exactly two letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_country: Option<String>,
    /// `O` of the subject: at most 64 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_organization: Option<String>,
    /// `OU` of the subject: at most 64 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_organizational_unit: Option<String>,
    /// `L` of the subject: at most 128 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_locality: Option<String>,
    /// `ST` of the subject: at most 128 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_province: Option<String>,
    /// `CN` of the subject: at most 64 characters. By default the name, as far as it fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_common_name: Option<String>,
    /// Where the authority goes besides the tower.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribute: Option<Distribute>,
}

impl CaConfig {
    /// The shortest `ttl`.
    pub const MIN_TTL: Duration = Duration::DAY.saturating_mul(12);
    /// The longest `ttl`.
    pub const MAX_TTL: Duration = Duration::DAY.saturating_mul(3650);

    /// The configuration of an authority of which only the name is given.
    pub fn new(name: Name) -> Self {
        Self {
            name,
            key_type: default_key_type(),
            ttl: default_ttl(),
            subject_country: None,
            subject_organization: None,
            subject_organizational_unit: None,
            subject_locality: None,
            subject_province: None,
            subject_common_name: None,
            distribute: None,
        }
    }

    /// Checks all that the types do not, and answers the subject of the certificates.
    ///
    /// # Errors
    /// [`Error::AuthorityTtl`] and [`Error::Subject`], whose [`field`](Error::field) names what to change.
    pub fn validate(&self) -> Result<Subject, Error> {
        if !(Self::MIN_TTL..=Self::MAX_TTL).contains(&self.ttl) {
            return Err(Error::AuthorityTtl { found: self.ttl, least: Self::MIN_TTL, most: Self::MAX_TTL });
        }
        self.subject()
    }

    fn subject(&self) -> Result<Subject, Error> {
        let fields = [
            (SubjectField::Country, &self.subject_country),
            (SubjectField::Organization, &self.subject_organization),
            (SubjectField::OrganizationalUnit, &self.subject_organizational_unit),
            (SubjectField::Locality, &self.subject_locality),
            (SubjectField::Province, &self.subject_province),
            (SubjectField::CommonName, &self.subject_common_name),
        ];
        let name = self.name.as_str();
        let default = Subject::default().with(SubjectField::CommonName, name.get(..64).unwrap_or(name))?;
        let mut given = fields.into_iter().filter_map(|(field, value)| Some((field, value.as_deref()?)));
        given.try_fold(default, |subject, (field, value)| subject.with(field, value))
    }
}

fn default_key_type() -> KeyType {
    KeyType::EcdsaP256
}

fn default_ttl() -> Duration {
    Duration::DAY.saturating_mul(90)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(fields: &str) -> CaConfig {
        serde_json::from_str(&format!(r#"{{"name":"edge"{fields}}}"#)).unwrap()
    }

    #[test]
    fn only_the_name_is_required() {
        assert_eq!(config(""), CaConfig::new("edge".parse().unwrap()));
        assert_eq!(
            serde_json::to_string(&config("")).unwrap(),
            r#"{"name":"edge","key-type":"ecdsa-p256","ttl":"90d"}"#
        );
        assert_eq!(config("").validate().unwrap().to_string(), "CN=edge");
        let long = CaConfig::new("a".repeat(255).parse().unwrap());
        assert_eq!(long.validate().unwrap().get(SubjectField::CommonName).unwrap().len(), 64);
    }

    #[test]
    fn the_whole_document() {
        let json = concat!(
            r#"{"name":"edge","key-type":"rsa-2048","ttl":"365d","subject-country":"DE","subject-organization":"O","#,
            r#""subject-organizational-unit":"OU","subject-locality":"L","subject-province":"P","#,
            r#""subject-common-name":"CN","distribute":{"to":"all"}}"#
        );
        let config: CaConfig = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&config).unwrap(), json);
        assert_eq!(config.validate().unwrap().to_string(), "C=DE, ST=P, L=L, O=O, OU=OU, CN=CN");
    }

    #[test]
    fn what_is_out_of_bounds_is_named() {
        for (fields, field, text) in [
            (r#","ttl":"11d""#, "ttl", "`ttl` is 11d, but 12d to 3650d are allowed"),
            (r#","ttl":"3651d""#, "ttl", "`ttl` is 3651d, but 12d to 3650d are allowed"),
            (
                r#","subject-country":"Germany""#,
                "subject-country",
                "`subject-country` is not a country code of two letters, such as `DE`",
            ),
            (r#","subject-locality":"""#, "subject-locality", "`subject-locality` is empty: leave it out"),
        ] {
            let error = config(fields).validate().unwrap_err();
            assert_eq!((error.to_string().as_str(), error.field()), (text, Some(field)));
            assert_eq!(error.kind(), keyward_keys::ErrorKind::Misconfigured);
        }
        assert!(config(r#","ttl":"12d""#).validate().is_ok());
    }
}
