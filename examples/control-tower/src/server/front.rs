//! What stands before a listener: proxies that say who the client is, in a header of HTTP or before the connection begins.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{extract::FromRequestParts, http::request::Parts};
use keyward_callhome_cert::{ClientCertificates, ProxyError, missing_proxy_bytes, proxied_source};
use keyward_config_values::Cidr;
use tokio::{io::AsyncReadExt as _, net::TcpStream};

/// What holds for a connection.
#[derive(Clone, Default)]
pub struct Rules {
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted: Arc<[Cidr]>,
    /// Whether a PROXY header comes first, and from whom; without it nobody looks for one.
    pub proxied: Option<Arc<ClientCertificates>>,
    /// Whether the certificate of a trusted proxy's connection is looked at as well.
    pub shows_chain: bool,
}

/// Asked for each connection, so that what changes holds from the next one on.
#[derive(Clone)]
pub struct Front {
    rules: Arc<dyn Fn() -> Rules + Send + Sync>,
    refused: Arc<dyn Fn(IpAddr, &'static str, String) + Send + Sync>,
}

impl Front {
    /// From a function that answers at once, and one that takes down who was refused, by which code, and why.
    pub fn new(
        rules: impl Fn() -> Rules + Send + Sync + 'static,
        refused: impl Fn(IpAddr, &'static str, String) + Send + Sync + 'static,
    ) -> Self {
        Self { rules: Arc::new(rules), refused: Arc::new(refused) }
    }

    pub(super) fn rules(&self) -> Rules {
        (self.rules)()
    }

    pub(super) fn refuse(&self, peer: SocketAddr, code: &'static str, why: String) {
        (self.refused)(peer.ip().to_canonical(), code, why);
    }
}

/// Always the same proxies.
impl From<Vec<Cidr>> for Front {
    fn from(trusted: Vec<Cidr>) -> Self {
        let rules = Rules { trusted: trusted.into(), ..Rules::default() };
        Self::new(move || rules.clone(), |_, _, _| ())
    }
}

/// Why a connection ended before it began.
pub(super) enum Ended {
    /// It broke the rules.
    Refused(ProxyError),
    /// TLS itself refused this client's certificate, or that there is none.
    Untrusted(SocketAddr, &'static str, String),
    /// Its client has as many connections as one may have.
    TooMany(SocketAddr),
    /// It broke.
    Broken(std::io::Error),
}

impl Ended {
    /// Why there is no handshake with a client: it is told by an alert alone, so that somebody else has to be told more.
    pub(super) fn of_handshake(client: SocketAddr, error: std::io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::NoCertificatesPresented) => {
                let why = "TLS failed: a client certificate is required (`handshake`), and there was none";
                Self::Untrusted(client, "missing", why.to_owned())
            }
            Some(inner @ rustls::Error::InvalidCertificate(_)) => {
                Self::Untrusted(client, "malformed", format!("TLS failed: {inner}"))
            }
            _ => Self::Broken(error),
        }
    }
}

/// Whose connection it is: what comes before TLS is read, and nothing of what follows it.
pub(super) async fn source(stream: &mut TcpStream, peer: SocketAddr, rules: &Rules) -> Result<SocketAddr, Ended> {
    let Some(settings) = &rules.proxied else { return Ok(peer) };
    let mut beginning = Vec::new();
    loop {
        match proxied_source(settings, peer.ip().to_canonical(), &beginning).map_err(Ended::Refused)? {
            Some((_, 0)) => {
                // None may come. TLS would end such a connection, too, and not say why.
                let mut first = [0; 16];
                let length = stream.peek(&mut first).await.map_err(Ended::Broken)?;
                let first = first.get(..length).unwrap_or_default();
                proxied_source(settings, peer.ip().to_canonical(), first).map_err(Ended::Refused)?;
                return Ok(peer);
            }
            Some((source, _)) if source == peer.ip().to_canonical() => return Ok(peer),
            Some((source, _)) => return Ok(SocketAddr::new(source, 0)),
            None => {
                let more = missing_proxy_bytes(&beginning);
                let at = beginning.len();
                beginning.resize(at + more, 0);
                let rest = beginning.get_mut(at..).unwrap_or_default();
                stream.read_exact(rest).await.map_err(Ended::Broken)?;
            }
        }
    }
}

/// The other end of the socket, where that is a load balancer that passes a client's request on.
#[derive(Clone, Copy, Debug)]
pub struct SocketPeer(pub Option<IpAddr>);

impl<S: Send + Sync> FromRequestParts<S> for SocketPeer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().copied().unwrap_or(Self(None)))
    }
}
