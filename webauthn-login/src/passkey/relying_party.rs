//! Who asks for passkeys: a domain, and the origins of its pages.

use core::fmt;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use url::{Host, Url};
use webauthn_rs_core::WebauthnCore;

use crate::Error;
use crate::readable::is_readable;

/// The relying party: its identifier is a domain that tower and sites share, so that a passkey works at all of them; its
/// origins are exactly those of the pages that may ask.
pub struct RelyingParty {
    pub(crate) core: WebauthnCore,
    id: String,
    name: String,
}

impl RelyingParty {
    /// A relying party. `id` is a domain, `name` what people read, `origins` such as `https://tower.example.com`.
    ///
    /// # Errors
    ///
    /// [`Error::RelyingParty`] when browsers would refuse it: an address in place of a domain, an origin outside the domain,
    /// or one without TLS that is not `localhost`.
    ///
    /// ```
    /// # use keyward_webauthn_login::RelyingParty;
    /// assert!(RelyingParty::new("example.com", "Example", &["https://tower.example.com"]).is_ok());
    /// assert_eq!(
    ///     RelyingParty::new("example.com", "Example", &["https://example.org"]).unwrap_err().to_string(),
    ///     "relying party `example.com`: an origin is outside the domain; serve pages on the domain or below it",
    /// );
    /// ```
    pub fn new(id: &str, name: &str, origins: &[&str]) -> Result<Self, Error> {
        let refuse = |problem| Error::RelyingParty { rp_id: id.to_owned(), problem };
        let canonical = Uts46::new()
            .to_ascii(id.as_bytes(), AsciiDenyList::STD3, Hyphens::Check, DnsLength::Verify)
            .map_err(|_| refuse("it is no domain; write one such as `example.com`"))?;
        if canonical != id {
            return Err(refuse("write the domain in lower case and ASCII"));
        }
        if Host::parse(id).is_ok_and(|host| !matches!(host, Host::Domain(_))) {
            return Err(refuse("browsers take no address; use a domain, or `localhost`"));
        }
        if !is_readable(name, 128) {
            return Err(refuse("its name does not read as what it is, or is longer than 128 characters"));
        }
        if origins.is_empty() {
            return Err(refuse("there is no origin; give that of the pages"));
        }
        let mut parsed = Vec::with_capacity(origins.len());
        for origin in origins {
            let url = Url::parse(origin).map_err(|_| refuse("an origin is no URL"))?;
            if url.origin().ascii_serialization() != *origin {
                return Err(refuse("an origin is scheme, host and port alone, such as `https://tower.example.com`"));
            }
            let Some(Host::Domain(host)) = url.host() else {
                return Err(refuse("browsers take no address; use a domain, or `localhost`"));
            };
            if host != id && !host.strip_suffix(id).is_some_and(|left| left.ends_with('.')) {
                return Err(refuse("an origin is outside the domain; serve pages on the domain or below it"));
            }
            if url.scheme() != "https" && !(url.scheme() == "http" && host == "localhost") {
                return Err(refuse("an origin is without TLS; use `https`"));
            }
            parsed.push(url);
        }
        // Five minutes (W3C WebAuthn §15.1); our own time limit is the login's.
        let timeout = core::time::Duration::from_secs(300);
        let core = WebauthnCore::new_unsafe_experts_only(name, id, parsed, timeout, Some(false), Some(false));
        Ok(Self { core, id: id.to_owned(), name: name.to_owned() })
    }

    /// The identifier.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What people read.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for RelyingParty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelyingParty").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_browsers_would_refuse() {
        let make = |id: &str, origin: &str| RelyingParty::new(id, "Example", &[origin]);
        assert!(make("localhost", "http://localhost:8443").is_ok());
        assert!(make("example.com", "https://example.com").is_ok());
        assert!(make("example.com", "https://site-1.edge.example.com:4647").is_ok());
        for (id, origin) in [
            ("Example.com", "https://example.com"),
            ("127.0.0.1", "https://127.0.0.1"),
            ("192.0.2.1", "https://192.0.2.1"),
            ("", "https://example.com"),
            ("example.com", "http://example.com"),
            ("example.com", "https://notexample.com"),
            ("example.com", "https://example.com/"),
            ("example.com", "https://example.com/login"),
            ("example.com", "https://user@example.com"),
            ("example.com", "https://example.com:443"),
            ("example.com", "example.com"),
        ] {
            assert!(make(id, origin).is_err(), "{id} {origin}");
        }
        assert!(RelyingParty::new("example.com", "", &["https://example.com"]).is_err());
        assert!(RelyingParty::new("example.com", "E", &[]).is_err());
    }
}
