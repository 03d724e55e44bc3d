//! The listener: connections over TLS, bounded in number and patience, and their end within ten seconds.

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{Request, Response, StatusCode, header},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use tokio::{
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use self::{
    front::Ended,
    places::{Place, Places},
};

mod client_chain;
mod forwarded;
mod front;
mod places;
mod rest;
mod tls_source;

pub use self::{
    client_chain::ClientChain,
    front::{Front, Rules, SocketPeer},
    tls_source::TlsSource,
};

/// By which it is recorded that a client has as many connections as one may have.
pub const TOO_MANY: &str = "too-many-connections";

/// How much a client may ask for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Connections at the same time; the next ones wait in the system's queue.
    pub connections: usize,
    /// Of these of one address, or of IPv6 one /64; the next ones are closed. Those of this machine and of proxies are not counted.
    pub connections_of_one: usize,
    /// Time for a TLS handshake.
    pub handshake: Duration,
    /// Time for the head of a request, and how long a connection may be idle.
    pub head: Duration,
    /// Bytes of the head of a request.
    pub head_bytes: usize,
    /// Time for a request: its body, its handling and the head of its answer.
    pub request: Duration,
    /// Time that running requests get at the end.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_of_one: 256,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(60),
            // More than the longest credential that is read at all, so that a handler says what is wrong with it.
            head_bytes: 128 << 10,
            request: Duration::from_secs(30),
            // The rest of ten seconds is for what is still to be written.
            drain: Duration::from_secs(8),
        }
    }
}

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drain {
    /// Every request that had begun was answered.
    Complete,
    /// Time ran out; so many connections were cut off.
    CutOff(usize),
}

impl Drain {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Complete, other) => other,
            (one, Self::Complete) => one,
            (Self::CutOff(some), Self::CutOff(more)) => Self::CutOff(some + more),
        }
    }
}

/// What every connection needs.
#[derive(Clone)]
struct Service {
    router: Router,
    limits: Limits,
    front: Front,
    places: Places,
}

/// Resolves on SIGTERM or SIGINT. Listens from now on, not only once it is awaited.
///
/// # Errors
/// The system refuses.
pub fn shutdown_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Serves until `shutdown` resolves, then lets the running requests finish. Handlers find the client's address in the
/// extension [`ConnectInfo<SocketAddr>`]: the peer's, or what a proxy says that `front` trusts; that of the socket in
/// [`SocketPeer`]; and the certificate that the client presented, if `tls` asks for one, in the extension [`ClientChain`].
pub async fn serve(
    listener: TcpListener,
    tls: impl Into<TlsSource>,
    router: Router,
    limits: Limits,
    front: impl Into<Front>,
    shutdown: impl Future<Output = ()>,
) -> Drain {
    let tls = tls.into();
    let slots = Arc::new(Semaphore::new(limits.connections));
    let places = Places::new(limits.connections_of_one);
    let service = Service { router, limits, front: front.into(), places };
    let graceful = GracefulShutdown::new();
    let (closing, is_closing) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            (stream, peer, slot) = accept(&listener, &slots) => {
                let watcher = graceful.watcher();
                let acceptor = TlsAcceptor::from(tls.current());
                let (service, is_closing) = (service.clone(), is_closing.clone());
                connections.spawn(connection(stream, peer, slot, acceptor, service, watcher, is_closing));
            }
        }
    }
    drop(listener);
    drop(closing);
    let drained = timeout(service.limits.drain, graceful.shutdown()).await.is_ok();
    while connections.try_join_next().is_some() {}
    let left = connections.len();
    connections.shutdown().await;
    if drained || left == 0 { Drain::Complete } else { Drain::CutOff(left) }
}

/// The next connection, once there is a slot for it. Cancelling loses none.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed, so there is always a permit.
    let slot = Arc::clone(slots).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, slot),
            // Gone before it was accepted, or no file descriptor is free: the latter passes only with time.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(
    mut stream: TcpStream,
    peer: SocketAddr,
    slot: Option<OwnedSemaphorePermit>,
    acceptor: TlsAcceptor,
    service: Service,
    watcher: Watcher,
    mut is_closing: watch::Receiver<()>,
) {
    let _slot = slot;
    // Answers are small, and waiting to fill a packet would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "no delay");
    }
    let rules = service.front.rules();
    let is_trusted = rules.trusted.iter().any(|network| network.contains(peer.ip().to_canonical()));
    // Whoever is refused is taken down before they can notice: with this, their connection ends.
    let refused = |ended| service.refused(peer, ended);
    let begin = async {
        let placed = async {
            let client = front::source(&mut stream, peer, &rules).await?;
            let place = match is_trusted && client == peer {
                true => Place::uncounted(),
                false => service.places.take(client.ip()).ok_or(Ended::TooMany(client))?,
            };
            Ok((client, place))
        };
        let (client, place) = placed.await.map_err(refused).ok()?;
        match acceptor.accept(stream).into_fallible().await {
            Ok(stream) => Some((client, place, stream)),
            Err((error, _stream)) => {
                refused(Ended::of_handshake(client, error));
                None
            }
        }
    };
    let (client, _place, stream) = tokio::select! {
        begun = timeout(service.limits.handshake, begin) => match begun {
            Ok(Some(begun)) => begun,
            Ok(None) => return,
            Err(_) => return tracing::debug!(%peer, "no TLS handshake in time"),
        },
        _ = is_closing.changed() => return,
    };
    let limits = service.limits.clone();
    let chain = match is_trusted && !rules.shows_chain {
        true => ClientChain::default(),
        false => ClientChain::of(stream.get_ref().1),
    };
    let seen = Seen { peer, client, rules, chain };
    let respond = service_fn(move |request| service.clone().respond(request, seen.clone()));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(limits.head_bytes)
        .serve_connection(TokioIo::new(stream), respond);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%peer, %error, "connection");
    }
}

/// What a connection showed.
#[derive(Clone)]
struct Seen {
    /// The other end of the socket.
    peer: SocketAddr,
    /// Who is behind it, as a PROXY header says.
    client: SocketAddr,
    rules: Rules,
    chain: ClientChain,
}

impl Service {
    /// Takes down why there is no connection.
    fn refused(&self, peer: SocketAddr, ended: Ended) {
        match ended {
            Ended::Refused(error) => {
                tracing::debug!(%peer, %error, "no connection");
                self.front.refuse(peer, error.code(), error.to_string());
            }
            Ended::Untrusted(client, code, why) => {
                tracing::debug!(%client, why, "no TLS handshake");
                self.front.refuse(client, code, why);
            }
            Ended::TooMany(client) => {
                tracing::debug!(%client, "no connection: there are too many");
                let most = self.limits.connections_of_one;
                let why = format!(
                    "there are {most} connections of this address: raise `--connections-per-address` if it is many clients'"
                );
                self.front.refuse(client, TOO_MANY, why);
            }
            Ended::Broken(error) => tracing::debug!(%peer, %error, "no TLS handshake"),
        }
    }

    async fn respond(self, request: Request<Incoming>, seen: Seen) -> Result<Response<Body>, Infallible> {
        let client = forwarded::client(seen.client, request.headers(), &seen.rules.trusted);
        let waits = request.headers().contains_key(header::EXPECT);
        let (parts, body) = request.into_parts();
        let (body, rest) = rest::share(body, waits);
        let mut request = Request::from_parts(parts, Body::new(body));
        request.extensions_mut().insert(ConnectInfo(client));
        request.extensions_mut().insert(SocketPeer(Some(seen.peer.ip().to_canonical())));
        request.extensions_mut().insert(seen.chain);
        match timeout(self.limits.request, self.router.oneshot(request)).await {
            Ok(response) => {
                rest.forget().await;
                response
            }
            Err(_) => Ok(too_slow()),
        }
    }
}

fn too_slow() -> Response<Body> {
    let mut response =
        Response::new(Body::from(r#"{"errors":[{"error-message":"the request took too long","error-info":{}}]}"#));
    *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    // Part of the body may still be under way.
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    response
}
