//! The URL that names an issuer.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::OidcError;
use crate::json::excerpt;
use crate::url::{MAX_URL_BYTES, is_host, is_percent_encoded, is_port, split_port};

/// An issuer's URL: `https`, a host, perhaps a port and a path, no query and no fragment (OpenID Connect
/// Discovery 1.0 §3). `http` is accepted for this machine only, to try things out.
///
/// Relying parties compare issuers byte by byte, so a text is kept exactly as given, and one that a client
/// could rewrite, with upper-case host or `..` segments, is refused.
///
/// ```
/// use keyward_svid::oidc::Issuer;
///
/// let issuer: Issuer = "https://tower.example.org/1f0e".parse()?;
/// assert_eq!(issuer.host(), "tower.example.org");
/// assert!("https://tower.example.org/?tenant=1f0e".parse::<Issuer>().is_err());
/// # Ok::<(), keyward_svid::oidc::OidcError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Issuer {
    text: String,
    host: (usize, usize),
    port: Option<u16>,
}

impl Issuer {
    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the scheme is `https`; otherwise it is `http`.
    pub fn is_https(&self) -> bool {
        self.text.starts_with("https:")
    }

    /// The host; an IPv6 address with its brackets.
    pub fn host(&self) -> &str {
        let (start, end) = self.host;
        self.text.get(start..end).unwrap_or_default()
    }

    /// The port, if the URL names one.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether the host is this very machine, so that nobody else can fetch anything from there.
    pub fn is_local(&self) -> bool {
        is_local(self.host())
    }

    /// Where the discovery document is (OpenID Connect Discovery 1.0 §4.1).
    pub fn discovery_url(&self) -> String {
        self.join(".well-known/openid-configuration")
    }

    /// The URL of something below the issuer.
    pub fn join(&self, relative: &str) -> String {
        format!("{}/{relative}", self.text.strip_suffix('/').unwrap_or(&self.text))
    }
}

impl FromStr for Issuer {
    type Err = OidcError;

    fn from_str(text: &str) -> Result<Self, OidcError> {
        if text.len() > MAX_URL_BYTES {
            return Err(OidcError::TooLong { length: text.len(), limit: MAX_URL_BYTES });
        }
        let scheme = || OidcError::Scheme { issuer: excerpt(text) };
        let (start, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (8, rest),
            (_, Some(rest)) => (7, rest),
            _ => return Err(scheme()),
        };
        if let Some(from) = rest.chars().find(|character| matches!(character, '?' | '#')) {
            return Err(OidcError::QueryOrFragment { from });
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(OidcError::UserInfo);
        }
        let (host, port) = split_port(authority);
        if !is_host(host) {
            return Err(OidcError::Host { host: excerpt(host) });
        }
        let port = port.map(parse_port).transpose()?;
        if !is_path(path) {
            return Err(OidcError::Path { path: excerpt(path) });
        }
        if start == 7 && !is_local(host) {
            return Err(scheme());
        }
        Ok(Self { text: text.to_owned(), host: (start, start + host.len()), port })
    }
}

fn parse_port(text: &str) -> Result<u16, OidcError> {
    text.parse().ok().filter(|_| is_port(text)).ok_or_else(|| OidcError::Port { port: excerpt(text) })
}

fn is_local(host: &str) -> bool {
    let v6 = |host: &str| host.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || v6(host).is_some_and(|address| address.is_loopback())
}

/// RFC 3986 §3.3, without the segments that §5.2.4 removes.
fn is_path(path: &str) -> bool {
    is_percent_encoded(path, b"/-._~!$&'()*+,;=:@") && !path.split('/').any(|segment| matches!(segment, "." | ".."))
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl From<Issuer> for String {
    fn from(issuer: Issuer) -> Self {
        issuer.text
    }
}

impl From<&Issuer> for String {
    fn from(issuer: &Issuer) -> Self {
        issuer.text.clone()
    }
}

impl AsRef<str> for Issuer {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl Serialize for Issuer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Issuer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyward_keys::ErrorKind;

    fn parse(text: &str) -> Result<Issuer, OidcError> {
        text.parse()
    }

    #[test]
    fn what_is_an_issuer() {
        for (text, host, port, local) in [
            ("https://a.example", "a.example", None, false),
            ("https://a.example/", "a.example", None, false),
            ("https://a-b.example:8443/x/y~z/%7Ev", "a-b.example", Some(8443), false),
            ("https://[2001:db8::1]:4646/t", "[2001:db8::1]", Some(4646), false),
            ("https://192.0.2.1", "192.0.2.1", None, false),
            ("https://localhost:4646/t", "localhost", Some(4646), true),
            ("http://localhost", "localhost", None, true),
            ("http://127.0.0.1:80/t", "127.0.0.1", Some(80), true),
            ("http://[::1]/t", "[::1]", None, true),
        ] {
            let issuer = parse(text).unwrap();
            assert_eq!((issuer.host(), issuer.port(), issuer.is_local()), (host, port, local), "{text}");
            assert_eq!(issuer.to_string(), text);
            assert_eq!(issuer.is_https(), text.starts_with("https"));
            let json = serde_json::to_string(&issuer).unwrap();
            assert_eq!(serde_json::from_str::<Issuer>(&json).unwrap(), issuer);
        }
    }

    #[test]
    fn what_is_not() {
        for (text, message) in [
            ("", "issuer `` does not begin with `https://`; `http://` is for localhost only"),
            ("a.example", "issuer `a.example` does not begin with `https://`; `http://` is for localhost only"),
            (
                "HTTPS://a.example",
                "issuer `HTTPS://a.example` does not begin with `https://`; `http://` is for localhost only",
            ),
            (
                "http://a.example",
                "issuer `http://a.example` does not begin with `https://`; `http://` is for localhost only",
            ),
            ("https://", "`` is not a host name in lower case or an address"),
            ("https:///t", "`` is not a host name in lower case or an address"),
            ("https://A.example", "`A.example` is not a host name in lower case or an address"),
            ("https://a..example", "`a..example` is not a host name in lower case or an address"),
            ("https://a b", "`a b` is not a host name in lower case or an address"),
            ("https://1.2.3", "`1.2.3` is not a host name in lower case or an address"),
            ("https://127.0.0.01", "`127.0.0.01` is not a host name in lower case or an address"),
            ("https://[::1", "`[` is not a host name in lower case or an address"),
            ("https://[::1]x", "`[::1]x` is not a host name in lower case or an address"),
            ("https://[1.2.3.4]", "`[1.2.3.4]` is not a host name in lower case or an address"),
            ("https://a:b@c.example", "an issuer holds no user name or password"),
            ("https://a.example:", "`` is not a port"),
            ("https://a.example:0", "`0` is not a port"),
            ("https://a.example:+80", "`+80` is not a port"),
            ("https://a.example:65536", "`65536` is not a port"),
            ("https://a.example/ü", "`/ü` is not a path that every client leaves as it is"),
            ("https://a.example/%4", "`/%4` is not a path that every client leaves as it is"),
            ("https://a.example/a/../b", "`/a/../b` is not a path that every client leaves as it is"),
            ("https://a.example/\n", "`/\\n` is not a path that every client leaves as it is"),
            ("https://a.example?x", "an issuer has no query and no fragment, remove everything from `?` on"),
            ("https://a.example/#", "an issuer has no query and no fragment, remove everything from `#` on"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.to_string(), message, "{text}");
            assert_eq!(error.kind(), ErrorKind::Malformed);
        }
        let long = format!("https://a.example/{}", "x".repeat(2048));
        assert_eq!(parse(&long).unwrap_err(), OidcError::TooLong { length: long.len(), limit: 2048 });
    }

    #[test]
    fn a_trailing_slash_is_not_doubled() {
        let issuer = parse("https://a.example/t/").unwrap();
        assert_eq!(issuer.discovery_url(), "https://a.example/t/.well-known/openid-configuration");
    }
}
