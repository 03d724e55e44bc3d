//! For whom a certificate is, and how narrow it has to be.

use std::fmt;
use std::str::FromStr;

use keyward_config_values::Name;
use keyward_spiffe_id::{SpiffeId, TrustDomainRef};
use serde::{Deserialize, Serialize};

use crate::verify::CallHomeCertificate;
use crate::{Error, HostHash, Refusal};

const CALL_HOME: &str = "call-home";

/// Whom a certificate lets in. It stands in the certificate as its one URI:
///
/// ```
/// use keyward_callhome_cert::{HostHash, Scope};
///
/// let id = |scope: Scope| scope.to_id("example.org".parse::<keyward_spiffe_id::TrustDomain>().unwrap().borrowed());
/// assert_eq!(id(Scope::Any)?.as_str(), "spiffe://example.org/call-home");
/// assert_eq!(id(Scope::Site("oslo-7".parse()?))?.as_str(), "spiffe://example.org/call-home/site/oslo-7");
/// let host = HostHash::of(&"4c4c4544".parse()?);
/// assert!(id(Scope::Host(host))?.as_str().starts_with("spiffe://example.org/call-home/host/"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Scope {
    /// Any host of the tower.
    Any,
    /// Hosts that belong to this site.
    Site(Name),
    /// The host with the id of which this is the hash.
    Host(HostHash),
}

impl Scope {
    /// The granularity that it has.
    pub fn granularity(&self) -> Granularity {
        match self {
            Self::Any => Granularity::CertificateOnly,
            Self::Site(_) => Granularity::Site,
            Self::Host(_) => Granularity::HostId,
        }
    }

    /// The site, of one that has one.
    pub fn site(&self) -> Option<&Name> {
        match self {
            Self::Site(site) => Some(site),
            _ => None,
        }
    }

    /// The scope as the ID that stands in the certificate.
    ///
    /// # Errors
    /// [`Error::Id`] when it would be too long.
    pub fn to_id(&self, trust_domain: TrustDomainRef<'_>) -> Result<SpiffeId, Error> {
        let segments = match self {
            Self::Any => vec![CALL_HOME],
            Self::Site(site) => vec![CALL_HOME, "site", site.as_str()],
            Self::Host(host) => vec![CALL_HOME, "host", host.as_str()],
        };
        Ok(SpiffeId::from_segments(trust_domain, segments)?)
    }

    /// The scope that an ID says.
    pub(crate) fn from_id(id: &SpiffeId) -> Option<Self> {
        let mut segments = id.segments();
        if segments.next()? != CALL_HOME {
            return None;
        }
        let scope = match (segments.next(), segments.next()) {
            (None, _) => Self::Any,
            (Some("site"), Some(site)) => Self::Site(site.parse().ok()?),
            (Some("host"), Some(host)) => Self::Host(host.parse().ok()?),
            _ => return None,
        };
        segments.next().is_none().then_some(scope)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any host"),
            Self::Site(site) => write!(f, "hosts of site `{site}`"),
            Self::Host(host) => write!(f, "the host with the hash `{host}`"),
        }
    }
}

/// How narrow a certificate has to be: each is narrower than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Granularity {
    /// The host-id alone lets a host call home, and a certificate is refused.
    Never,
    /// A certificate of any scope.
    #[default]
    CertificateOnly,
    /// A certificate for the site or for the host.
    Site,
    /// A certificate for the host.
    HostId,
}

impl Granularity {
    /// Every value, from the broadest.
    pub const ALL: [Self; 4] = [Self::Never, Self::CertificateOnly, Self::Site, Self::HostId];

    /// The granularity as configuration has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::CertificateOnly => "certificate-only",
            Self::Site => "site",
            Self::HostId => "host-id",
        }
    }

    /// Whether certificates of this scope are of any use: a tower does not issue what it would refuse.
    ///
    /// # Errors
    /// [`Error::Order`] with what to say instead.
    pub fn check_order(self, scope: &Scope) -> Result<(), Error> {
        let problem = match self {
            _ if self != Self::Never && scope.granularity() >= self => return Ok(()),
            Self::Never => {
                "the tower takes no call-home certificates (`client-certificate.verify` is `never`): the host-id alone lets hosts in"
            }
            Self::HostId => "the tower asks for a certificate for each host: say `host-id`",
            _ => "the tower asks for a certificate for each site: say `site` or `host-id`",
        };
        Err(Error::Order { problem })
    }

    /// Whether a host with this certificate, or without, may call home: the certificate is there where one is asked for, it is
    /// not broader, and it is not another host's.
    ///
    /// # Errors
    /// [`Refusal::Missing`], [`Refusal::Unwanted`], [`Refusal::TooBroad`], [`Refusal::WrongHost`].
    pub fn admit(self, presented: Option<&CallHomeCertificate>, host: &HostHash) -> Result<(), Refusal> {
        self.admit_scope(presented.map(CallHomeCertificate::scope), host)
    }

    /// The same by the scope of a certificate.
    pub(crate) fn admit_scope(self, scope: Option<&Scope>, host: &HostHash) -> Result<(), Refusal> {
        let scope = match (self, scope) {
            (Self::Never, None) => return Ok(()),
            (Self::Never, Some(_)) => return Err(Refusal::Unwanted),
            (_, None) => return Err(Refusal::Missing { wanted: self }),
            (_, Some(scope)) => scope,
        };
        let found = scope.granularity();
        if found < self {
            return Err(Refusal::TooBroad { found, wanted: self });
        }
        match scope {
            Scope::Host(own) if own != host => Err(Refusal::WrongHost),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Granularity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Granularity {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or_else(|| Error::granularity(text))
    }
}

#[cfg(test)]
mod tests {
    use keyward_spiffe_id::TrustDomain;

    use super::*;

    #[test]
    fn scopes_are_read_as_they_are_written() {
        let td: TrustDomain = "td.example".parse().unwrap();
        let host = HostHash::of(&"a".parse().unwrap());
        for scope in [Scope::Any, Scope::Site("oslo".parse().unwrap()), Scope::Host(host)] {
            assert_eq!(Scope::from_id(&scope.to_id(td.borrowed()).unwrap()), Some(scope));
        }
    }

    #[test]
    fn other_ids_are_no_scopes() {
        let hash = "0".repeat(64);
        for path in [
            "/approle/call-home",
            "/call-home/site",
            "/call-home/host",
            "/call-home/site/a/b",
            "/call-home/site/A",
            "/call-home/host/abc",
            &format!("/call-home/host/{}", hash.replace('0', "A")),
            &format!("/call-home/host/{hash}/more"),
            "/call-homes",
            "/call-home/sites/a",
        ] {
            assert_eq!(Scope::from_id(&format!("spiffe://td{path}").parse().unwrap()), None, "{path}");
        }
    }

    #[test]
    fn granularities_are_ordered_and_named() {
        assert!(Granularity::ALL.is_sorted());
        for one in Granularity::ALL {
            assert_eq!(one.as_str().parse(), Ok(one));
            assert_eq!(serde_json::to_value(one).unwrap(), one.as_str());
        }
        assert_eq!(
            "none".parse::<Granularity>().unwrap_err().to_string(),
            "`none` is no granularity: write `never`, `certificate-only`, `site` or `host-id`"
        );
    }
}
