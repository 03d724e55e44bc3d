//! Certificate authorities: their state, and rotation on request.

use std::sync::Arc;

use axum::{Json, extract::State, response::IntoResponse as _};
use keyward_config_values::Name;
use keyward_svid::x509::authority::{AuthorityRing, AuthorityVersion, Error};
use keyward_transit::Phase;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    body::JsonBody,
    caller::Caller,
    error::{Answer, ApiError, Status},
    params::Path,
    rotation::{self, RotateBody},
};
use crate::{app::App, authorities, db::Stored, rings};

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match error {
            Error::Ring(error) => error.into(),
            error => Self::new(Status::from(error.kind()).0, error.to_string()),
        }
    }
}

/// `GET /v1/state/system/ca/<name>`.
///
/// # Errors
/// 404.
pub async fn state(State(app): State<Arc<App>>, caller: Caller, Path(name): Path<String>) -> Answer {
    let ring = named(&app, &caller, &name).await?.value;
    Ok(Json(view(&app, &caller, &ring, app.clock.now()).await?).into_response())
}

/// `POST /v1/state/system/ca/<name>/rotate {compromised?}`. With `compromised` the active version, with every SVID that it
/// issued, is in no bundle any more by the commit that makes its successor; the answer says until when verifiers may still hold
/// a bundle from before.
///
/// # Errors
/// 404; 409 while a version is prepared, unless the active one is compromised.
pub async fn rotate(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<Option<RotateBody>>,
) -> Answer {
    let ring = named(&app, &caller, &name).await?;
    let rotation = body.unwrap_or_default().rotation();
    let rotated = rings::rotate(&app, caller.tenant(), ring, rotation, &caller.actor()).await?;
    let now = app.clock.now();
    let mut state = view(&app, &caller, &rotated.kept, now).await?;
    let shown = app.federation.endpoint.get().is_some() && *caller.tenant() == app.operators;
    if let (true, Some(fields)) = (shown && rotated.replaced.is_some(), state.as_object_mut()) {
        fields.insert("warning".to_owned(), json!(PEERS_CANNOT_FOLLOW));
    }
    rotation::answer(state, &rotated, now)
}

/// A new authority that no former one vouches for is known to nobody who learns of authorities by connections that these vouch for
/// (SPIFFE Federation §5.2.2).
const PEERS_CANNOT_FOLLOW: &str = "peers that fetch the bundle by https_spiffe cannot verify this tower any more, and accept what the \
    dropped version signed until their `max-age`: give each the present bundle as `bootstrap-bundle` of its federation document";

async fn named(app: &App, caller: &Caller, name: &str) -> Answer<Stored<Arc<AuthorityRing>>> {
    let missing = || ApiError::not_found(format_args!("the authority `{name}`"));
    let parsed: Name = name.parse().map_err(|_| missing())?;
    rings::load(&app.db, caller.tenant(), &parsed).await?.ok_or_else(missing)
}

async fn view(app: &App, caller: &Caller, ring: &AuthorityRing, now: OffsetDateTime) -> Answer<Value> {
    let issuing = authorities::issuing(&app.db, caller.tenant()).await?;
    let issues = issuing.as_ref().and_then(|issuing| issuing.value.issuing(now)) == Some(ring.name());
    let versions = ring.versions(now).into_iter().map(version).collect::<Answer<Vec<Value>>>()?;
    Ok(without_nulls(json!({
        "name": ring.name(),
        "trust-domain": ring.trust_domain().as_str(),
        "key-type": ring.config().key_type,
        "ttl": ring.config().ttl,
        "issues": issues,
        "next-change": ring.next_deadline(now).map(text).transpose()?,
        "versions": versions,
    })))
}

fn version(version: AuthorityVersion) -> Answer<Value> {
    let phase = match version.phase {
        Phase::Pending => "prepared",
        Phase::Active => "active",
        Phase::Invalid => "over",
        _ => "retired",
    };
    Ok(without_nulls(json!({
        "version": version.version,
        "phase": phase,
        "subject": version.subject.to_string(),
        "serial-number": version.serial_number,
        "fingerprint": version.fingerprint,
        "created": text(version.created)?,
        "activates": text(version.activates)?,
        "retires": version.retires.map(text).transpose()?,
        "leaves": version.leaves.map(text).transpose()?,
        "not-after": text(version.not_after)?,
        "destroyed": version.destroyed,
        "certificate": version.to_pem(),
    })))
}

/// What is not known is not there.
fn without_nulls(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    value
}

fn text(time: OffsetDateTime) -> Answer<String> {
    time.format(&Rfc3339).map_err(ApiError::internal)
}
