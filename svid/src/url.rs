//! URLs that documents are fetched from.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use keyward_keys::ErrorKind;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::json::excerpt;

/// The longest URL that is accepted, in bytes.
pub(crate) const MAX_URL_BYTES: usize = 2048;

const HTTPS: &str = "https://";

/// A URL that a document is fetched from: scheme `https`, no user name or password, a host; port, path, query and
/// fragment as RFC 3986 §3 has them (SPIFFE Federation §5.2.1.1, §5.2.2.1). It is kept exactly as given.
///
/// ```
/// use keyward_svid::HttpsUrl;
///
/// let url: HttpsUrl = "https://host.example.com/trust_domain".parse()?;
/// assert_eq!(url.host(), "host.example.com");
/// assert!("http://host.example.com/trust_domain".parse::<HttpsUrl>().is_err());
/// # Ok::<(), keyward_svid::UrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HttpsUrl(String);

/// Why a text is no [`HttpsUrl`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// It is longer than the limit.
    #[error("a URL of {length} bytes is longer than the limit of {limit}")]
    TooLong {
        /// Bytes of the URL.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The scheme is not `https`.
    #[error("URL `{url}` does not begin with `https://`")]
    Scheme {
        /// The URL, shortened and escaped.
        url: String,
    },
    /// There is a user name or password in front of the host. Neither is repeated here.
    #[error("a URL to fetch from holds no user name or password")]
    UserInfo,
    /// The host is not a DNS name, an IPv4 address or an IPv6 address in brackets.
    #[error("`{host}` is not a host name or an address")]
    Host {
        /// The host, shortened and escaped.
        host: String,
    },
    /// The port is not a number from 1 to 65535.
    #[error("`{port}` is not a port")]
    Port {
        /// The port, shortened and escaped.
        port: String,
    },
    /// Path, query or fragment hold something that RFC 3986 §3.3 to §3.5 do not allow.
    #[error("`{rest}` is not a path with a query: what is not ASCII, and `%`, must be percent-encoded")]
    Rest {
        /// Path, query and fragment, shortened and escaped.
        rest: String,
    },
}

impl UrlError {
    /// Always [`ErrorKind::Malformed`].
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Malformed
    }
}

impl HttpsUrl {
    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host; an IPv6 address with its brackets.
    pub fn host(&self) -> &str {
        split_port(self.split().0).0
    }

    /// The port, if the URL names one.
    pub fn port(&self) -> Option<u16> {
        split_port(self.split().0).1?.parse().ok()
    }

    /// What a reference found at this URL points to (RFC 3986 §5.2), such as `Location` of a redirect (RFC 9110
    /// §10.2.2).
    ///
    /// # Errors
    /// When that is no such URL; a reference to another scheme is [`UrlError::Scheme`].
    pub fn resolve(&self, reference: &str) -> Result<Self, UrlError> {
        let (authority, rest) = self.split();
        let (path, _) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
        // RFC 3986 §4.2: a colon in the first segment would make that a scheme.
        let first = reference.find(['/', '?', '#']).unwrap_or(reference.len());
        if reference.get(..first).is_some_and(|first| first.contains(':')) {
            return reference.parse();
        }
        if reference.starts_with("//") {
            return format!("https:{reference}").parse();
        }
        let (found, tail) = reference.split_at(reference.find(['?', '#']).unwrap_or(reference.len()));
        if found.is_empty() {
            let query = match rest.find(['?', '#']).and_then(|at| rest.get(at..)) {
                // Only an empty reference, or one that is a fragment, keeps the query.
                Some(query) if !tail.starts_with('?') => query.split('#').next().unwrap_or_default(),
                _ => "",
            };
            return format!("{HTTPS}{authority}{path}{query}{tail}").parse();
        }
        let merged = if found.starts_with('/') {
            found.to_owned()
        } else {
            let directory = path.rfind('/').and_then(|slash| path.get(..slash)).unwrap_or_default();
            format!("{directory}/{found}")
        };
        format!("{HTTPS}{authority}{}{tail}", without_dots(&merged)).parse()
    }

    /// The authority, and what follows it.
    fn split(&self) -> (&str, &str) {
        split_authority(self.0.get(HTTPS.len()..).unwrap_or_default())
    }
}

impl FromStr for HttpsUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if text.len() > MAX_URL_BYTES {
            return Err(UrlError::TooLong { length: text.len(), limit: MAX_URL_BYTES });
        }
        let rest = text.strip_prefix(HTTPS).ok_or_else(|| UrlError::Scheme { url: without_user_info(text) })?;
        let (authority, rest) = split_authority(rest);
        if authority.contains('@') {
            return Err(UrlError::UserInfo);
        }
        let (host, port) = split_port(authority);
        if !is_host(&host.to_ascii_lowercase()) {
            return Err(UrlError::Host { host: excerpt(host) });
        }
        if port.is_some_and(|port| !is_port(port)) {
            return Err(UrlError::Port { port: excerpt(port.unwrap_or_default()) });
        }
        let fragments = rest.bytes().filter(|byte| *byte == b'#').count();
        if fragments > 1 || !is_percent_encoded(rest, b"/-._~!$&'()*+,;=:@?#") {
            return Err(UrlError::Rest { rest: excerpt(rest) });
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<&str> for HttpsUrl {
    type Error = UrlError;

    fn try_from(text: &str) -> Result<Self, UrlError> {
        text.parse()
    }
}

impl From<HttpsUrl> for String {
    fn from(url: HttpsUrl) -> Self {
        url.0
    }
}

impl AsRef<str> for HttpsUrl {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HttpsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for HttpsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for HttpsUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for HttpsUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A text that is no URL of ours, for an error: a password in it is not repeated.
fn without_user_info(text: &str) -> String {
    match text.rfind('@') {
        Some(at) => format!("…{}", excerpt(text.get(at..).unwrap_or_default())),
        None => excerpt(text),
    }
}

/// Authority, and path with query and fragment (RFC 3986 §3.2), of what follows `https://`.
fn split_authority(rest: &str) -> (&str, &str) {
    rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()))
}

/// Host, and port where there is a colon (RFC 3986 §3.2).
pub(crate) fn split_port(authority: &str) -> (&str, Option<&str>) {
    // The colons of an IPv6 address are inside its brackets.
    let after_address = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    match authority.get(after_address..).and_then(|rest| rest.find(':')) {
        Some(colon) => {
            let (host, port) = authority.split_at(after_address + colon);
            (host, port.strip_prefix(':'))
        }
        None => (authority, None),
    }
}

/// A number from 1 to 65535 in its shortest form.
pub(crate) fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0') && text.parse::<u16>().is_ok()
}

/// A DNS name in lower case, an IPv4 address, or an IPv6 address in brackets.
pub(crate) fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[') {
        return address.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
    };
    // A name whose last label is a number is an IPv4 address to every URL parser, however it is written.
    let numeric = host.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    host.len() <= 253 && host.split('.').all(label) && (!numeric || host.parse::<Ipv4Addr>().is_ok())
}

/// Letters, digits, these other bytes, and `%` with two hexadecimal digits (RFC 3986 §2.1).
pub(crate) fn is_percent_encoded(text: &str, others: &[u8]) -> bool {
    let mut bytes = text.bytes();
    let hex = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_hexdigit());
    while let Some(byte) = bytes.next() {
        let fits = match byte {
            b'%' => hex(bytes.next()) && hex(bytes.next()),
            byte => byte.is_ascii_alphanumeric() || others.contains(&byte),
        };
        if !fits {
            return false;
        }
    }
    true
}

/// RFC 3986 §5.2.4, for a path that begins with a slash.
fn without_dots(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    // A path that ends in dots is a directory.
    if matches!(path.rsplit('/').next(), Some("." | "..")) {
        segments.push("");
    }
    format!("/{}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<HttpsUrl, UrlError> {
        text.parse()
    }

    #[test]
    fn what_is_a_url_to_fetch_from() {
        for (text, host, port) in [
            ("https://a.example", "a.example", None),
            ("https://A.Example:8443/x?y=%20#z", "A.Example", Some(8443)),
            ("https://[2001:db8::1]:443/?q", "[2001:db8::1]", Some(443)),
            ("https://192.0.2.1?q=a@b", "192.0.2.1", None),
            ("https://host.example.com/trust_domain", "host.example.com", None),
        ] {
            let url = parse(text).unwrap();
            assert_eq!((url.host(), url.port(), url.as_str()), (host, port, text));
            let json = serde_json::to_string(&url).unwrap();
            assert_eq!(serde_json::from_str::<HttpsUrl>(&json).unwrap(), url);
        }
    }

    #[test]
    fn what_is_not() {
        for (text, message) in [
            ("", "URL `` does not begin with `https://`"),
            ("http://a.example/b", "URL `http://a.example/b` does not begin with `https://`"),
            ("http://u:secret@a.example/b", "URL `…@a.example/b` does not begin with `https://`"),
            ("https://u:secret@a.example/b", "a URL to fetch from holds no user name or password"),
            ("https://", "`` is not a host name or an address"),
            ("https:///b", "`` is not a host name or an address"),
            ("https://a b", "`a b` is not a host name or an address"),
            ("https://ä.example", "`ä.example` is not a host name or an address"),
            ("https://a.example:", "`` is not a port"),
            ("https://a.example:0443", "`0443` is not a port"),
            ("https://a.example:65536", "`65536` is not a port"),
            (
                "https://a.example/\r\nx",
                "`/\\r\\nx` is not a path with a query: what is not ASCII, and `%`, must be percent-encoded",
            ),
            (
                "https://a.example/#a#b",
                "`/#a#b` is not a path with a query: what is not ASCII, and `%`, must be percent-encoded",
            ),
            (
                "https://a.example/%2",
                "`/%2` is not a path with a query: what is not ASCII, and `%`, must be percent-encoded",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.to_string(), message, "{text}");
            assert_eq!(error.kind(), ErrorKind::Malformed);
        }
        let long = format!("https://a.example/{}", "x".repeat(MAX_URL_BYTES));
        assert_eq!(parse(&long), Err(UrlError::TooLong { length: long.len(), limit: MAX_URL_BYTES }));
    }

    #[test]
    fn references_are_resolved() {
        let base = parse("https://a.example:1/b/c/d?q#f").unwrap();
        for (reference, target) in [
            ("https://o.example/x", "https://o.example/x"),
            ("//o.example/x", "https://o.example/x"),
            ("/x", "https://a.example:1/x"),
            ("x", "https://a.example:1/b/c/x"),
            ("./x/", "https://a.example:1/b/c/x/"),
            ("../../../../x?y", "https://a.example:1/x?y"),
            ("..", "https://a.example:1/b/"),
            ("x:y", ""),
            ("./x:y", "https://a.example:1/b/c/x:y"),
            ("?y", "https://a.example:1/b/c/d?y"),
            ("#s", "https://a.example:1/b/c/d?q#s"),
            ("", "https://a.example:1/b/c/d?q"),
            ("http://a.example:1/b", ""),
            ("file:///etc/passwd", ""),
            ("//u@a.example/", ""),
        ] {
            match base.resolve(reference) {
                Ok(url) => assert_eq!(url.as_str(), target, "{reference}"),
                Err(_) => assert_eq!(target, "", "{reference}"),
            }
        }
        let root = parse("https://a.example").unwrap();
        assert_eq!(root.resolve("x").unwrap().as_str(), "https://a.example/x");
    }
}
