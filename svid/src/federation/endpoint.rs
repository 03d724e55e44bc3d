//! Where a trust domain's bundle is, and whom to believe there.

use keyward_spiffe_id::{SpiffeId, TrustDomain};

use super::Error;
use crate::bundle::Bundle;
use crate::url::HttpsUrl;

/// A bundle endpoint: URL, profile and trust domain, all three explicit, since none can be told from another securely
/// (SPIFFE Federation §5.1, §7.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    trust_domain: TrustDomain,
    url: HttpsUrl,
    profile: Profile,
}

/// How the endpoint is authenticated (SPIFFE Federation §5.2). There is no falling back from one to the other.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Profile {
    /// `https_web`: by a certificate of a public authority for the host of the URL.
    HttpsWeb,
    /// `https_spiffe`: by an X.509-SVID.
    #[non_exhaustive]
    HttpsSpiffe {
        /// The one identity that it must have.
        endpoint_id: SpiffeId,
        /// Verifies it the first time, where the endpoint is in the trust domain whose bundle it serves.
        bootstrap: Option<Bundle>,
    },
}

impl Endpoint {
    /// An endpoint of profile `https_web`.
    pub fn web(trust_domain: TrustDomain, url: HttpsUrl) -> Self {
        Self { trust_domain, url, profile: Profile::HttpsWeb }
    }

    /// An endpoint of profile `https_spiffe`, which must prove to be `endpoint_id`.
    ///
    /// Where that is in `trust_domain` itself, the endpoint is self-serving: `bootstrap` verifies the first connection,
    /// the latest bundle that was fetched any other. Otherwise the bundle of the endpoint's own trust domain verifies it,
    /// which comes from elsewhere, such as another relationship; there is nothing to bootstrap (SPIFFE Federation
    /// §5.2.2.2).
    ///
    /// # Errors
    /// [`Error::EndpointId`] when that is no workload's, [`Error::BootstrapMissing`], [`Error::BootstrapUnused`],
    /// [`Error::BootstrapTrustDomain`], [`Error::BootstrapEmpty`] when it has no X.509 authority.
    pub fn spiffe(
        trust_domain: TrustDomain,
        url: HttpsUrl,
        endpoint_id: SpiffeId,
        bootstrap: Option<Bundle>,
    ) -> Result<Self, Error> {
        // X509-SVID §5.2: no other ID authenticates.
        endpoint_id.workload_path().map_err(Error::EndpointId)?;
        match (&bootstrap, endpoint_id.is_member_of(&trust_domain)) {
            (None, true) => return Err(Error::BootstrapMissing { endpoint_id }),
            (Some(_), false) => return Err(Error::BootstrapUnused { endpoint_id }),
            (Some(bundle), true) if bundle.trust_domain() != &trust_domain => {
                let found = bundle.trust_domain().clone();
                return Err(Error::BootstrapTrustDomain { expected: trust_domain, found });
            }
            (Some(bundle), true) if bundle.x509().is_empty() => return Err(Error::BootstrapEmpty),
            _ => {}
        }
        Ok(Self { trust_domain, url, profile: Profile::HttpsSpiffe { endpoint_id, bootstrap } })
    }

    /// Whose bundle it serves.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// Where it is.
    pub fn url(&self) -> &HttpsUrl {
        &self.url
    }

    /// How it is authenticated.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The bundle to begin with.
    pub(super) fn bootstrap(&self) -> Option<&Bundle> {
        match &self.profile {
            Profile::HttpsSpiffe { bootstrap, .. } => bootstrap.as_ref(),
            Profile::HttpsWeb => None,
        }
    }
}

impl Profile {
    /// Its name in the standard: `https_web` or `https_spiffe`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::HttpsWeb => "https_web",
            Self::HttpsSpiffe { .. } => "https_spiffe",
        }
    }
}
