//! The certificate chain that a client presented on its connection.

use std::sync::Arc;

use axum::{extract::FromRequestParts, http::request::Parts};
use rustls::pki_types::CertificateDer;

/// The chain that the client at the other end of the connection presented, leaf first. The handshake proved that it holds the
/// leaf's key, and nothing else: who signed it, for whom and until when is for the handler to find out. `None` when there is
/// none, or when the other end is a trusted proxy, which would present its own for everybody.
#[derive(Clone, Debug, Default)]
pub struct ClientChain(pub Option<Arc<[CertificateDer<'static>]>>);

impl ClientChain {
    /// What a connection has presented.
    pub(super) fn of(connection: &rustls::ServerConnection) -> Self {
        Self(connection.peer_certificates().map(|chain| chain.iter().map(|one| one.clone().into_owned()).collect()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ClientChain {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}
