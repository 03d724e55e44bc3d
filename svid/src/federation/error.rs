//! What is wrong with an endpoint, or with what it answered.

use keyward_keys::ErrorKind;
use keyward_spiffe_id::{SpiffeId, TrustDomain};

use super::MAX_REDIRECTS;
use crate::bundle;
use crate::refresh::RefreshError;
use crate::url::UrlError;

/// Why a relationship cannot be, or an answer was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The SPIFFE ID of the endpoint is that of a signing authority.
    #[error("the SPIFFE ID of a bundle endpoint must be that of a workload")]
    EndpointId(#[source] keyward_spiffe_id::Error),
    /// The endpoint serves the bundle of its own trust domain, so that a first bundle is needed to verify it with.
    #[error("a bundle to begin with is missing: nothing verifies `{endpoint_id}` before the first one is fetched")]
    BootstrapMissing {
        /// The SPIFFE ID of the endpoint.
        endpoint_id: SpiffeId,
    },
    /// The endpoint is in another trust domain, whose bundle comes from elsewhere.
    #[error("a bundle to begin with is of no use: `{endpoint_id}` is verified by the bundle of its own trust domain")]
    BootstrapUnused {
        /// The SPIFFE ID of the endpoint.
        endpoint_id: SpiffeId,
    },
    /// The bundle to begin with has no X.509 authority.
    #[error("the bundle to begin with has no X.509 authority to verify the endpoint with")]
    BootstrapEmpty,
    /// The bundle to begin with belongs to another trust domain.
    #[error("the bundle to begin with belongs to trust domain `{found}`, not to `{expected}`")]
    BootstrapTrustDomain {
        /// The trust domain of the relationship.
        expected: TrustDomain,
        /// The one of the bundle.
        found: TrustDomain,
    },
    /// The times of fetching contradict themselves, or the stored record is not one to go on from.
    #[error(transparent)]
    Refresh(RefreshError),
    /// An answer is neither a bundle nor one of the redirects of RFC 9110 §15.4 that name another place.
    #[error("status {status} is not a redirect to follow")]
    RedirectStatus {
        /// The status.
        status: u16,
    },
    /// A redirect says nothing of where to.
    #[error("the redirect has no location")]
    RedirectLocation,
    /// A redirect leads to what is no URL of a bundle endpoint (SPIFFE Federation §5.2.1.4, §5.2.2.4).
    #[error("the redirect leads to no URL of a bundle endpoint")]
    RedirectTarget(#[source] UrlError),
    /// One redirect led to another too often.
    #[error("more than {MAX_REDIRECTS} redirects follow each other")]
    TooManyRedirects,
    /// What was fetched is no bundle, or an older one than the one held.
    #[error(transparent)]
    Bundle(bundle::Error),
    /// The answer belongs to a fetch that was given up, or to an endpoint that was configured before.
    #[error("the answer came too late")]
    Late,
}

impl Error {
    /// Whether somebody misconfigured something, or the answer was malformed or refused.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Bundle(error) => error.kind(),
            Self::Refresh(error) => error.kind(),
            Self::RedirectTarget(error) => error.kind(),
            Self::RedirectLocation => ErrorKind::Malformed,
            Self::RedirectStatus { .. } | Self::TooManyRedirects | Self::Late => ErrorKind::Refused,
            Self::EndpointId(_)
            | Self::BootstrapMissing { .. }
            | Self::BootstrapUnused { .. }
            | Self::BootstrapEmpty
            | Self::BootstrapTrustDomain { .. } => ErrorKind::Misconfigured,
        }
    }
}
