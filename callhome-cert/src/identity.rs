//! The identity that a host gets, and whether it still counts.

use keyward_config_values::Name;
use keyward_spiffe_id::{SpiffeId, TrustDomainRef};
use time::Duration;

use crate::{Error, HostHash, HostRecord, HostState, Refusal};

/// How long the SVID of a host lives. It renews it at half of that.
pub const HOST_TTL: Duration = Duration::DAY;

const SITE: &str = "site";
const HOST: &str = "host";

/// Which host an ID is of: the path `/site/<site>/host/<hash of the host-id>`.
///
/// ```
/// use keyward_callhome_cert::{HostHash, HostPath};
///
/// let path = HostPath::new("oslo".parse()?, HostHash::of(&"4c4c4544-0051".parse()?));
/// let id = path.to_id("example.org".parse::<keyward_spiffe_id::TrustDomain>()?.borrowed())?;
/// assert!(id.as_str().starts_with("spiffe://example.org/site/oslo/host/"));
/// assert_eq!(HostPath::of(&id), Some(path));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPath {
    site: Name,
    host: HostHash,
}

impl HostPath {
    /// A host at a site.
    pub fn new(site: Name, host: HostHash) -> Self {
        Self { site, host }
    }

    /// The host that an ID is of; `None` for the IDs of others. Its trust domain is for the caller to look at.
    pub fn of(id: &SpiffeId) -> Option<Self> {
        let mut segments = id.segments();
        let path = match (segments.next()?, segments.next()?, segments.next()?, segments.next()?) {
            (SITE, site, HOST, host) => Self { site: site.parse().ok()?, host: host.parse().ok()? },
            _ => return None,
        };
        segments.next().is_none().then_some(path)
    }

    /// The site.
    pub fn site(&self) -> &Name {
        &self.site
    }

    /// The hash of its host-id.
    pub fn host(&self) -> &HostHash {
        &self.host
    }

    /// The ID.
    ///
    /// # Errors
    /// [`Error::Id`] when it would be too long.
    pub fn to_id(&self, trust_domain: TrustDomainRef<'_>) -> Result<SpiffeId, Error> {
        Ok(SpiffeId::from_segments(trust_domain, [SITE, self.site.as_str(), HOST, self.host.as_str()])?)
    }

    /// Whether an SVID with this path, for the key with this RFC 7638 thumbprint, still counts: `known` is the record that is
    /// stored of the host. SVIDs outlive a removal and a release; what they are used for does not.
    ///
    /// # Errors
    /// [`Refusal::NotRegistered`], [`Refusal::Removed`], [`Refusal::OtherSite`], [`Refusal::OtherKey`].
    pub fn check(&self, known: Option<&HostRecord>, key: &str) -> Result<(), Refusal> {
        let record = known.filter(|record| *record.host() == self.host).ok_or(Refusal::NotRegistered)?;
        match record.state() {
            HostState::Removed => Err(Refusal::Removed),
            HostState::Unclaimed => Err(Refusal::NotRegistered),
            HostState::Claimed { site } if *site != self.site => Err(Refusal::OtherSite),
            HostState::Claimed { .. } if record.key() != key => Err(Refusal::OtherKey),
            HostState::Claimed { .. } => Ok(()),
        }
    }
}
