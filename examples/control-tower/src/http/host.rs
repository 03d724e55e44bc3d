//! What hosts do with their identities at the API.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::IntoResponse as _,
};
use keyward_callhome_cert::{CallHomeAnswer, Refusal, RenewRequest};
use serde_json::json;

use super::{
    body::JsonBody,
    error::{Answer, ApiError},
    oidc,
    peer::Peer,
};
use crate::{
    app::{Actor, App},
    call_home::{self, NoHost, Registered},
    firewall,
    server::ClientChain,
};

/// How much of the reason of a refusal is recorded, in characters.
const REASON: usize = 500;

/// A host that showed its SVID on the connection, is registered, and was neither released nor removed.
pub struct Host {
    /// Which one.
    pub registered: Registered,
    /// Where it is.
    pub source: IpAddr,
}

impl Host {
    /// For the audit log.
    pub fn actor(&self, app: &App) -> Actor {
        Actor {
            tenant: app.operators.to_string(),
            subject: format!("host/{}", self.registered.path.host()),
            spiffe_id: Some(self.registered.id.clone()),
            source: Some(self.source),
        }
    }
}

impl FromRequestParts<Arc<App>> for Host {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let Peer(source) = Peer::from_request_parts(parts, app).await?;
        let ClientChain(chain) = parts.extensions.get::<ClientChain>().cloned().unwrap_or_default();
        let Some(chain) = chain else {
            let text = "there is no SVID: present the host's X.509-SVID on the connection";
            return Err(ApiError::unauthenticated(text).with_info(json!({"code": "no-svid"})));
        };
        let refused = |code: &str, why: &str| {
            let record = Actor::stranger(app, source).refused("host", code, app.clock.now());
            app.refuse(record.with("why", why.chars().take(REASON).collect::<String>()));
        };
        match call_home::identify(app, &chain).await? {
            Ok(registered) => Ok(Self { registered, source }),
            Err(NoHost::Svid(why)) => {
                refused("bad-svid", &why);
                let text = "the connection's certificate is no SVID of a host of this tower";
                Err(ApiError::unauthenticated(text).with_info(json!({"code": "bad-svid"})))
            }
            Err(NoHost::Host(refusal)) => {
                refused(refusal.code(), &refusal.to_string());
                Err(refusal.into())
            }
        }
    }
}

/// `POST /v1/host/renew {csr}`, with the host's X.509-SVID on the connection: a fresh one for the same key.
///
/// # Errors
/// 401 and 403 with a code.
pub async fn renew(State(app): State<Arc<App>>, host: Host, JsonBody(body): JsonBody<RenewRequest>) -> Answer {
    let actor = host.actor(&app);
    let refuse = |refusal: Refusal| {
        app.refuse(actor.refused("host-renew", refusal.code(), app.clock.now()).with("why", refusal.to_string()));
        ApiError::from(refusal)
    };
    let csr = body.certificate_request().map_err(refuse)?;
    let identity = call_home::renew(&app, &host.registered.path, csr.public_key(), &actor).await?;
    let identity = identity.map_err(refuse)?;
    let answer = CallHomeAnswer::Claimed(Box::new(identity));
    Ok((StatusCode::OK, [(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// `GET /v1/host/firewall`, with the host's X.509-SVID on the connection: what a host of its site loads, with an entity tag, so that
/// it is sent again only when it is another one.
///
/// # Errors
/// 401 and 403 with a code; 404 where the site is gone.
pub async fn firewall(State(app): State<Arc<App>>, host: Host, headers: HeaderMap) -> Answer {
    let site = host.registered.path.site();
    let document = firewall::of_site(&app, site).await?;
    let document = document.ok_or_else(|| ApiError::not_found(format_args!("the site `{site}`")))?;
    Ok(oidc::tagged(document.to_string(), "private, no-cache", &headers))
}
