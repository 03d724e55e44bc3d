//! One fetch of a bundle.

use keyward_spiffe_id::{SpiffeId, TrustDomain};

use super::Error;
use crate::refresh::Ticket;
use crate::url::HttpsUrl;
use crate::x509::X509Bundle;

/// The largest number of redirects that one fetch follows.
pub const MAX_REDIRECTS: u8 = 5;

/// A bundle to fetch with GET, without authentication of the caller (SPIFFE Federation §5.2.1.4, §5.2.2.4), in at most
/// [`RefreshOptions::timeout`](crate::refresh::RefreshOptions::timeout) and
/// [`MAX_JWKS_BYTES`](crate::jwks::MAX_JWKS_BYTES).
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetch {
    /// For [`Relationship::fetched`](super::Relationship::fetched) or
    /// [`Relationship::failed`](super::Relationship::failed).
    pub ticket: Ticket,
    /// From there.
    pub url: HttpsUrl,
    /// Whom to believe to be there. The same for the target of a redirect.
    pub authentication: Authentication,
    redirects: u8,
}

/// How to authenticate a bundle endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Authentication {
    /// By a certificate of a public authority for the host of the URL (RFC 6125).
    WebPki,
    /// By an X.509-SVID with exactly this ID, whatever the host is.
    Spiffe {
        /// The ID.
        endpoint_id: SpiffeId,
        /// What verifies it.
        anchors: Anchors,
    },
}

/// The authorities that verify the X.509-SVID of a bundle endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Anchors {
    /// These: of the latest bundle, or of the one to begin with.
    Bundle(X509Bundle),
    /// The latest ones of this other trust domain, wherever its bundle comes from. Without them the fetch has failed.
    Of(TrustDomain),
}

impl Fetch {
    pub(super) fn new(ticket: Ticket, url: HttpsUrl, authentication: Authentication) -> Self {
        Self { ticket, url, authentication, redirects: 0 }
    }

    /// The answer was a redirect: [`url`](Self::url) is where to go on. Whatever its status says, it holds for this
    /// fetch alone; the next one begins at the configured URL again (SPIFFE Federation §7.5.1).
    ///
    /// # Errors
    /// When the status is not 301, 302, 303, 307 or 308, the location is missing or no URL of a bundle endpoint, or
    /// there were [`MAX_REDIRECTS`] before. The fetch has failed then.
    pub fn redirected(&mut self, status: u16, location: Option<&str>) -> Result<(), Error> {
        if !matches!(status, 301 | 302 | 303 | 307 | 308) {
            return Err(Error::RedirectStatus { status });
        }
        if self.redirects == MAX_REDIRECTS {
            return Err(Error::TooManyRedirects);
        }
        let location = location.ok_or(Error::RedirectLocation)?;
        self.url = self.url.resolve(location).map_err(Error::RedirectTarget)?;
        self.redirects += 1;
        Ok(())
    }
}
