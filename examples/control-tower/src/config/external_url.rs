//! The URL by which others reach the tower: its host is the default trust domain, the URL begins every OIDC issuer.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use serde::Deserialize;

/// `https://host` or `https://host:port`, in lower case and without anything behind it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ExternalUrl {
    text: String,
    host: String,
    port: Option<u16>,
}

/// Why a URL is not one of the tower.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExternalUrlError {
    /// Verifiers accept issuers over HTTPS alone (OpenID Connect Discovery 1.0, section 3).
    #[error("`{given}` does not begin with `https://`")]
    NotHttps {
        /// What was given.
        given: String,
    },
    /// More than host and port.
    #[error("`{given}` holds more than `https://HOST` or `https://HOST:PORT`")]
    TooMuch {
        /// What was given.
        given: String,
    },
    /// Neither a DNS name nor an address.
    #[error("`{given}` has no valid host: a DNS name, an IPv4 address or an IPv6 address in brackets")]
    Host {
        /// What was given.
        given: String,
    },
    /// Not a port.
    #[error("`{given}` has no valid port: a number from 1 to 65535")]
    Port {
        /// What was given.
        given: String,
    },
}

impl ExternalUrl {
    /// The URL of a tower that only this machine reaches.
    #[must_use]
    pub fn localhost(port: u16) -> Self {
        Self { text: format!("https://localhost:{port}"), host: "localhost".to_owned(), port: Some(port) }
    }

    /// The URL, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host: a DNS name or an address, an IPv6 one without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The host, if it is an address.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// The port, unless it is the default one of HTTPS.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether only this machine can reach it, so that no cloud can verify what the tower issues.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.host == "localhost"
            || self.host.ends_with(".localhost")
            || self.address().is_some_and(|address| address.is_loopback())
    }
}

impl FromStr for ExternalUrl {
    type Err = ExternalUrlError;

    fn from_str(text: &str) -> Result<Self, ExternalUrlError> {
        let given = || text.to_owned();
        let lower = text.to_ascii_lowercase();
        let rest = lower.strip_prefix("https://").ok_or_else(|| ExternalUrlError::NotHttps { given: given() })?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#', '@', '\\']) {
            return Err(ExternalUrlError::TooMuch { given: given() });
        }
        let (host, port) = split_port(authority);
        let host = host_of(host).ok_or_else(|| ExternalUrlError::Host { given: given() })?;
        let port = match port {
            None => None,
            // `u16` would take a sign.
            Some(port) if !port.bytes().all(|byte| byte.is_ascii_digit()) => {
                return Err(ExternalUrlError::Port { given: given() });
            }
            Some(port) => match port.parse() {
                Ok(0) | Err(_) => return Err(ExternalUrlError::Port { given: given() }),
                // An issuer is compared as text: one form only.
                Ok(443) => None,
                Ok(port) => Some(port),
            },
        };
        let bracketed = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let text = match port {
            Some(port) => format!("https://{bracketed}:{port}"),
            None => format!("https://{bracketed}"),
        };
        Ok(Self { text, host, port })
    }
}

/// The colon of a port follows the bracket of an IPv6 address.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    let after_address = authority.rfind(']').map_or(0, |end| end + 1);
    match authority.get(after_address..).and_then(|tail| tail.rfind(':')) {
        Some(colon) => {
            (authority.get(..after_address + colon).unwrap_or(""), authority.get(after_address + colon + 1..))
        }
        None => (authority, None),
    }
}

fn host_of(text: &str) -> Option<String> {
    if let Some(inner) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().ok().map(|address| address.to_string());
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Some(address.to_string());
    }
    // RFC 1123, section 2.1; the last label of a name is not a number, or it would be taken for an address.
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let numeric = text.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    (text.len() <= 253 && !numeric && text.split('.').all(label)).then(|| text.to_owned())
}

impl fmt::Display for ExternalUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for ExternalUrl {
    type Error = ExternalUrlError;

    fn try_from(text: String) -> Result<Self, ExternalUrlError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_only() {
        for (given, text, host) in [
            ("https://Tower.Example.com/", "https://tower.example.com", "tower.example.com"),
            ("https://tower.example.com:443", "https://tower.example.com", "tower.example.com"),
            ("HTTPS://10.0.0.1:8443", "https://10.0.0.1:8443", "10.0.0.1"),
            ("https://[2001:DB8:0::1]:4646", "https://[2001:db8::1]:4646", "2001:db8::1"),
            ("https://[::1]", "https://[::1]", "::1"),
        ] {
            let url: ExternalUrl = given.parse().unwrap();
            assert_eq!((url.as_str(), url.host()), (text, host));
            assert_eq!(text.parse::<ExternalUrl>().unwrap(), url);
        }
        assert!(ExternalUrl::localhost(4646).is_local());
        assert_eq!("https://localhost:4646".parse(), Ok(ExternalUrl::localhost(4646)));
        assert!(!"https://tower.example.com".parse::<ExternalUrl>().unwrap().is_local());
    }

    #[test]
    fn refusals_say_why() {
        for (given, expected) in [
            ("http://tower", "`http://tower` does not begin with `https://`"),
            ("https://tower/base", "`https://tower/base` holds more than `https://HOST` or `https://HOST:PORT`"),
            ("https://me@tower", "`https://me@tower` holds more than `https://HOST` or `https://HOST:PORT`"),
            ("https://tower:0", "`https://tower:0` has no valid port: a number from 1 to 65535"),
            ("https://tower:+1", "`https://tower:+1` has no valid port: a number from 1 to 65535"),
        ] {
            assert_eq!(given.parse::<ExternalUrl>().unwrap_err().to_string(), expected);
        }
        for host in [
            "",
            "-a",
            "a..b",
            "a_b",
            "1.2.3.4.5",
            "256.1.1.1",
            "[::1",
            "[1.2.3.4]",
            "::1",
            "bücher",
            "a b",
            &"a".repeat(64),
        ] {
            assert!(format!("https://{host}").parse::<ExternalUrl>().is_err(), "{host}");
        }
    }
}
