//! What is wrong with an issuer or a discovery document.

use std::fmt;

use keyward_keys::{Algorithm, ErrorKind};

/// Why a text is not an issuer, or a discovery document cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OidcError {
    /// The issuer is longer than the limit.
    #[error("an issuer of {length} bytes is longer than the limit of {limit}")]
    TooLong {
        /// Bytes of the issuer.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The scheme is not `https`, and not `http` on this machine (OpenID Connect Discovery 1.0 §3).
    #[error("issuer `{issuer}` does not begin with `https://`; `http://` is for localhost only")]
    Scheme {
        /// The issuer, shortened and escaped.
        issuer: String,
    },
    /// There is a user name or password in front of the host.
    #[error("an issuer holds no user name or password")]
    UserInfo,
    /// The host is not a lower-case DNS name, an IPv4 address or an IPv6 address in brackets.
    #[error("`{host}` is not a host name in lower case or an address")]
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
    /// The path holds a character that needs percent-encoding, or a `.` or `..` segment, which clients remove.
    #[error("`{path}` is not a path that every client leaves as it is")]
    Path {
        /// The path, shortened and escaped.
        path: String,
    },
    /// There is a query or a fragment (OpenID Connect Discovery 1.0 §3).
    #[error("an issuer has no query and no fragment, remove everything from `{from}` on")]
    QueryOrFragment {
        /// The character that begins it.
        from: char,
    },
    /// The algorithms are none, or not those of JWT-SVID §2.1.
    #[error("a discovery document needs algorithms that JWT-SVID allows, not {}", Names(.found))]
    Algorithms {
        /// The algorithms given.
        found: Vec<Algorithm>,
    },
}

impl OidcError {
    /// Malformed for an issuer, misconfigured for algorithms.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Algorithms { .. } => ErrorKind::Misconfigured,
            _ => ErrorKind::Malformed,
        }
    }
}

struct Names<'a>(&'a [Algorithm]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (index, algorithm) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}`{algorithm}`")?;
        }
        Ok(())
    }
}
