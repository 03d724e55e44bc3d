//! Certificate authorities: their state, and rotation on request.

use std::sync::Arc;

use axum::{Json, extract::State, response::IntoResponse as _};
use keyward_config_values::Name;
use keyward_svid::x509::authority::{AuthorityRing, AuthorityVersion, CaConfig, Error, Subject, SubjectField};
use keyward_transit::Phase;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{
    body::JsonBody,
    caller::Caller,
    error::{Answer, ApiError, Status},
    params::Path,
    rotation::{self, RotateBody},
};
use crate::{app::App, authorities, db::Stored, documents, gate::Gate, layout, moment, rings, tls};

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
    if is_of_api(&app, &caller, &name) {
        let pem = gate(&app).and_then(|gate| gate.ca_pem()).ok_or_else(not_own)?;
        return Ok(Json(json!({"name": name, "certificate": pem})).into_response());
    }
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
    if is_of_api(&app, &caller, &name) {
        return replace_api(&app, &caller).await;
    }
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

/// Whether it is the authority of the API's certificates, which is one at a time.
fn is_of_api(app: &App, caller: &Caller, name: &str) -> bool {
    app.is_operators(caller.tenant()) && name == tls::AUTHORITY
}

fn gate(app: &App) -> Option<Arc<Gate>> {
    app.gate.get().and_then(std::sync::Weak::upgrade)
}

fn not_own() -> ApiError {
    ApiError::inapplicable(
        "the API is served with a certificate of the operator's, not with one of an authority of its own",
    )
}

/// Another authority for the API, with the subject that the document `system/ca/api` has by now.
async fn replace_api(app: &App, caller: &Caller) -> Answer {
    let document = layout::document(&app.operators, &format!("{}/{}", documents::AUTHORITIES, tls::AUTHORITY));
    let config = app.db.load(&document, |bytes| serde_json::from_slice::<CaConfig>(bytes)).await?;
    let subject = config.map_or_else(|| Ok(Subject::default()), |stored| subject_of(&stored.value))?;
    let record = caller.actor().did("authority-rotate", app.clock.now()).with("authority", tls::AUTHORITY);
    let gate = gate(app).ok_or_else(not_own)?;
    let pem = gate.replace_authority(app, &subject, record).await?.ok_or_else(not_own)?;
    Ok(Json(json!({"name": tls::AUTHORITY, "certificate": pem, "warning": CLIENTS_CANNOT_FOLLOW})).into_response())
}

/// Whoever trusted the former authority does not know the new one.
const CLIENTS_CANNOT_FOLLOW: &str = "clients that trust the former certificate refuse the API from now on: give them this one, which `ca.pem` has by now";

/// The fields that a document gives, and no others.
fn subject_of(config: &CaConfig) -> Answer<Subject> {
    let fields = [
        (SubjectField::Country, &config.subject_country),
        (SubjectField::Province, &config.subject_province),
        (SubjectField::Locality, &config.subject_locality),
        (SubjectField::Organization, &config.subject_organization),
        (SubjectField::OrganizationalUnit, &config.subject_organizational_unit),
        (SubjectField::CommonName, &config.subject_common_name),
    ];
    let mut subject = Subject::default();
    for (field, value) in fields {
        if let Some(value) = value {
            subject = subject.with(field, value)?;
        }
    }
    Ok(subject)
}

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
        "next-change": ring.next_deadline(now).map(moment::text),
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
        "created": moment::text(version.created),
        "activates": moment::text(version.activates),
        "retires": version.retires.map(moment::text),
        "leaves": version.leaves.map(moment::text),
        "not-after": moment::text(version.not_after),
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
