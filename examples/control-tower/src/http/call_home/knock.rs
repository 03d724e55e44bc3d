//! Where hosts call home: a listener for nothing else.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use keyward_callhome_cert::{
    CALL_HOME_PATH, CallHomeAnswer, CallHomeRequest, HEADER, HostHash, Presentation, Refusal, Waiting,
};
use keyward_keys::ErrorKind;
use keyward_svid::pki_types::CertificateDer;
use serde_json::json;

use crate::{
    app::{Actor, App},
    call_home::{self, Admission, Admitted},
    http::{
        body,
        error::{Answer, ApiError},
        limits, operations,
        peer::Peer,
    },
    rate_limit::Verdict,
    server::{ClientChain, SocketPeer},
};

/// The longest body: a certificate request of the greatest length in PEM, and what is around it.
const LONGEST: usize = 64 << 10;

/// After how many seconds a host that waits should ask again.
const RETRY_AFTER: u64 = 10;

/// How much of the reason of a refusal is recorded, in characters.
const REASON: usize = 500;

/// Calling home, and what load balancers ask. Nothing else is here.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route(CALL_HOME_PATH, post(call_home))
        .route("/live", get(operations::live))
        .route("/ready", get(operations::ready))
        .fallback(operations::nothing_here)
        .method_not_allowed_fallback(operations::wrong_method)
        .layer(DefaultBodyLimit::max(LONGEST))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), limits::around))
        .with_state(app)
}

/// Why a host is not let in, as it is told.
impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let status = match (&refusal, refusal.kind()) {
            (Refusal::Duplicate, _) => StatusCode::CONFLICT,
            (Refusal::SvidExpired { .. }, _) => StatusCode::UNAUTHORIZED,
            (Refusal::WrongListener { .. }, _) => StatusCode::MISDIRECTED_REQUEST,
            (_, ErrorKind::Malformed) => StatusCode::BAD_REQUEST,
            _ => StatusCode::FORBIDDEN,
        };
        Self::new(status, refusal.to_string()).with_info(json!({"code": refusal.code()}))
    }
}

/// `POST /v1/call-home` at the API, where nobody calls home: says where to.
///
/// # Errors
/// Always: 421 (RFC 9110 §15.5.20), or 422 where there is no such place.
pub async fn elsewhere(State(app): State<Arc<App>>, Peer(source): Peer) -> Answer {
    let (call_home, _) = call_home::place(&app, &*call_home::settings(&app).await?)?;
    let refusal = Refusal::WrongListener { call_home };
    // It is not looked at who calls; and whoever does not hear it once does not hear it the next time.
    if app.limiter.is_reported(source, refusal.code(), app.clock.uptime()) {
        let record = Actor::stranger(&app, source).refused("call-home", refusal.code(), app.clock.now());
        app.refuse(record.with("why", refusal.to_string()));
    }
    Err(refusal.into())
}

/// `POST /v1/call-home {host-id, csr, host-name?, agent-version?}`.
async fn call_home(
    State(app): State<Arc<App>>,
    Peer(source): Peer,
    SocketPeer(peer): SocketPeer,
    ClientChain(chain): ClientChain,
    request: Request,
) -> Answer {
    let headers = request.headers().clone();
    let bytes = body::read_up_to(LONGEST, request, &()).await?;
    let request = body::parse::<body::Exact, CallHomeRequest>(&bytes)?;
    drop(bytes);
    let host = HostHash::of(&request.host_id);
    let actor = Actor::stranger(&app, source);
    // The host is who asks, whatever key it has.
    let login = app.limiter.login(source, ("call-home", host.as_str()), (host.as_str(), &request.csr));
    if let Verdict::Refused(wait) = app.limiter.decide_login(&login, app.clock.uptime()) {
        return Err(ApiError::too_many("too many refused calls home; try again later", wait));
    }
    let socket = peer.unwrap_or(source);
    let chain = chain.as_deref().unwrap_or_default();
    let answer = try_call_home(&app, &request, &host, (source, socket), chain, &headers, &actor).await?;
    app.limiter.note_login(&login, answer.is_ok(), app.clock.uptime());
    app.metrics.login("call-home", answer.is_ok());
    answer.map_err(|refusal| {
        // A duplicate is on record with what is stored of it.
        if refusal != Refusal::Duplicate {
            let why: String = refusal.to_string().chars().take(REASON).collect();
            let record = actor.refused("call-home", refusal.code(), app.clock.now());
            app.refuse(record.with("host", host.as_str()).with("why", why));
        }
        refusal.into()
    })
}

async fn try_call_home(
    app: &App,
    request: &CallHomeRequest,
    host: &HostHash,
    (source, socket): (IpAddr, IpAddr),
    chain: &[CertificateDer<'static>],
    headers: &HeaderMap,
    actor: &Actor,
) -> Answer<Result<Response, Refusal>> {
    let csr = match request.certificate_request() {
        Ok(csr) => csr,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let headers: Vec<&[u8]> = headers.get_all(HEADER).iter().map(HeaderValue::as_bytes).collect();
    let admission = Admission {
        host,
        key: csr.public_key(),
        address: source,
        presentation: Presentation { peer: socket, tls: chain, headers: &headers },
        host_name: request.host_name.as_ref(),
        agent_version: request.agent_version.as_ref(),
    };
    let admitted = call_home::admit(app, &admission, actor).await?;
    Ok(admitted.map(|admitted| match admitted {
        Admitted::Waits => waiting(),
        Admitted::Claimed(identity) => {
            ([(header::CACHE_CONTROL, "no-store")], Json(CallHomeAnswer::Claimed(identity))).into_response()
        }
    }))
}

fn waiting() -> Response {
    let headers = [(header::CACHE_CONTROL, "no-store".to_owned()), (header::RETRY_AFTER, RETRY_AFTER.to_string())];
    let answer = CallHomeAnswer::Unclaimed(Waiting::seconds(RETRY_AFTER));
    (StatusCode::ACCEPTED, headers, Json(answer)).into_response()
}
