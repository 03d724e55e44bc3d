//! Which tower, and which CA vouches for it.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use keyward_base::bounded;
use reqwest::{Certificate, Url};

use crate::error::Error;

/// No file of certificates is longer.
const LONGEST: u64 = 1 << 20;

/// The URL of a tower: scheme, host and port. Plain HTTP is taken for loopback addresses alone, because passwords and
/// tokens go this way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TowerUrl(Url);

impl TowerUrl {
    /// Where a tower without configuration listens.
    pub(crate) const DEFAULT: &'static str = "https://localhost:4646";

    /// Reads it; `host:port` alone means HTTPS.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let refused =
            |why: &str| Error::usage(format!("tower URL `{text}`: {why}"), format!("write it as {}", Self::DEFAULT));
        let full = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let url = Url::parse(&full).map_err(|error| refused(&error.to_string()))?;
        match (url.scheme(), url.host_str()) {
            ("https", Some(_)) => {}
            ("http", Some(_)) if is_loopback(&url) => {}
            ("http", Some(_)) => return Err(refused("plain HTTP would show passwords and tokens to the network")),
            _ => return Err(refused("only https:// is understood")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::usage("the tower URL holds a user or a password", "log in with `supctl login`"));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(refused("it has a path, a query or a fragment"));
        }
        Ok(Self(url))
    }

    /// The URL of a request.
    pub(crate) fn join(&self, target: &str) -> Result<Url, Error> {
        self.0.join(target).map_err(|error| Error::usage(format!("path `{target}`: {error}"), "check the path"))
    }

    /// Whether it is on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }

    /// Host and port, for messages.
    pub(crate) fn authority(&self) -> &str {
        self.0.authority()
    }
}

impl fmt::Display for TowerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.ends_with(".localhost")
        || address.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// The CA that vouches for a tower.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ca {
    /// A PEM file, read anew for each command
    File(PathBuf),
    /// The PEM text itself
    Pem(String),
}

impl Ca {
    /// Reads what `--ca`, `KEYWARD_CA` or the session says: PEM text, or a path.
    pub(crate) fn from_text(text: &str) -> Self {
        if text.trim_start().starts_with("-----BEGIN") {
            Self::Pem(text.to_owned())
        } else {
            Self::File(PathBuf::from(text))
        }
    }

    /// The same for later commands, which may be started in another directory.
    pub(crate) fn absolute(self) -> Result<Self, Error> {
        match self {
            Self::File(path) => fs::canonicalize(&path).map(Self::File).map_err(Error::file("read", path)),
            Self::Pem(text) => Ok(Self::Pem(text)),
        }
    }

    /// The certificates in it, at least one.
    pub(crate) fn certificates(&self) -> Result<Vec<Certificate>, Error> {
        let pem = match self {
            Self::File(path) => bounded::file(path, LONGEST).map_err(Error::file("read", path))?,
            Self::Pem(text) => text.clone().into_bytes(),
        };
        let certificates = Certificate::from_pem_bundle(&pem).unwrap_or_default();
        if certificates.is_empty() {
            return Err(Error::usage(
                format!("{self} holds no PEM certificate"),
                "pass the tower's CA, for example `--ca tower-data/ca.pem`",
            ));
        }
        Ok(certificates)
    }

    /// As it is saved.
    pub(crate) fn to_text(&self) -> Option<&str> {
        match self {
            Self::File(path) => path.to_str(),
            Self::Pem(text) => Some(text),
        }
    }

    /// The file, when it is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Pem(_) => None,
        }
    }
}

impl fmt::Display for Ca {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path() {
            Some(path) => write!(f, "CA `{}`", path.display()),
            None => f.write_str("the CA"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (text, canonical) in [
            ("https://localhost:4646", "https://localhost:4646"),
            ("https://Tower.Example.com/", "https://tower.example.com"),
            ("tower.example.com:8443", "https://tower.example.com:8443"),
            ("http://127.0.0.1:1", "http://127.0.0.1:1"),
            ("http://[::1]:1", "http://[::1]:1"),
        ] {
            let url = TowerUrl::parse(text).unwrap();
            assert_eq!(url.to_string(), canonical);
            assert_eq!(TowerUrl::parse(canonical).unwrap(), url);
        }
    }

    #[test]
    fn refused_urls() {
        for (text, why) in [
            ("http://tower.example.com", "plain HTTP would show passwords and tokens to the network"),
            ("http://127.0.0.1.example.com", "plain HTTP would show passwords and tokens to the network"),
            ("ftp://tower", "only https:// is understood"),
            ("https://tower/v1", "it has a path, a query or a fragment"),
            ("https://", "empty host"),
        ] {
            assert_eq!(TowerUrl::parse(text).unwrap_err().to_string(), format!("tower URL `{text}`: {why}"));
        }
        assert_eq!(
            TowerUrl::parse("https://ops:hunter2@tower").unwrap_err().to_string(),
            "the tower URL holds a user or a password"
        );
    }

    #[test]
    fn a_ca_is_a_path_or_pem() {
        assert_eq!(Ca::from_text("tower-data/ca.pem"), Ca::File("tower-data/ca.pem".into()));
        assert!(matches!(Ca::from_text("-----BEGIN CERTIFICATE-----\n"), Ca::Pem(_)));
        let error = Ca::from_text("-----BEGIN CERTIFICATE-----\nx").certificates().err().unwrap();
        assert_eq!(error.to_string(), "the CA holds no PEM certificate");
        let error = Ca::from_text("/nonexistent/ca.pem").certificates().err().unwrap();
        assert_eq!(error.to_string(), "cannot read `/nonexistent/ca.pem`: No such file or directory (os error 2)");
    }
}
