//! The overview, and the way out.

use std::sync::Arc;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use keyward_approle::Operation;
use keyward_config_values::Name;
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Posted, Reader, Shown, may, see_other, viewer};
use crate::{
    app::App,
    audit::{AuditOutcome, Since, StoredRecord},
    http::{
        error::{Answer, ApiError},
        hidden, listing, spiffe,
    },
    identity, layout,
    login::{Cookie, Session, account::Account, browser::SESSION},
    pages::{
        component::Tone,
        home::{Key, Overview, Part, Refusal, Role, Todo},
        timeline::Life,
    },
    standing::Standing,
};

/// The most keys and roles that the overview shows.
const MOST: i64 = 12;
/// The most refusals.
const REFUSALS: usize = 10;
/// How many of the latest records of the log are looked at for them.
const RECENT: u64 = 400;

/// `GET /`.
///
/// # Errors
/// Those of the store.
pub async fn show(State(app): State<Arc<App>>, Reader(session): Reader) -> Shown {
    let now = app.clock.now();
    let standing = session.caller.standing(&app).await?;
    let mut todos = Vec::new();
    let keys = keys(&app, &session.tenant, &standing, &mut todos, now).await?;
    let issuer = issuer(&app, &session, &standing, &mut todos).await?;
    let trust_domain = issuer.as_ref().map(|(trust_domain, _)| trust_domain.as_str());
    let roles = roles(&app, &session.tenant, &standing, trust_domain).await?;
    let overview = Overview {
        keys,
        roles,
        refusals: refusals(&app, &session.tenant, &standing).await?,
        issuer,
        todos: operators(&app, &session, todos),
    };
    Ok(overview.page(&viewer(&app, &session).await?, now).into_response())
}

async fn keys(
    app: &App,
    tenant: &Name,
    standing: &Standing<'_>,
    todos: &mut Vec<Todo>,
    now: OffsetDateTime,
) -> Answer<Part<Key>> {
    if !may(standing, Operation::Read, "/v1/config/strongbox/transit-keys")? {
        return Ok(Part::NotPermitted);
    }
    let listed = listing::names(app, &layout::rings(tenant), listing::Page::first(MOST)).await?;
    let mut keys = Vec::new();
    for name in &listed.names {
        let path = format!("/v1/state/strongbox/transit-keys/{name}");
        // What is hidden of one is not worth a drawing of the rest.
        if !may(standing, Operation::Read, &path)? || standing.hidden(Operation::Read, &path)?.is_some() {
            continue;
        }
        let Ok(parsed) = name.parse() else { continue };
        let Some(ring) = identity::ring(&app.db, tenant, &parsed).await? else { continue };
        let view = ring.value.view(now);
        if view.next_rotation.is_some_and(|due| due + time::Duration::MINUTE < now) {
            let text = format!("The next version of the key `{name}` is overdue; the tower's log says why.");
            todos.push(Todo { tone: Tone::Danger, text });
        }
        if view.active_version.is_none() {
            todos.push(Todo { tone: Tone::Info, text: format!("The key `{name}` has no version in use yet.") });
        }
        let lives: Vec<Life> = view.versions.iter().map(Life::from).collect();
        let (over, lives): (Vec<Life>, Vec<Life>) =
            lives.into_iter().partition(|life| life.phase == keyward_transit::Phase::Invalid);
        keys.push(Key {
            name: name.clone(),
            cipher: view.cipher.to_string(),
            signs_tokens: view.signs_jwts,
            next_rotation: view.next_rotation,
            lives,
            over: over.len(),
        });
    }
    Ok(Part::Shown(keys, listed.next.is_some()))
}

async fn issuer(
    app: &Arc<App>,
    session: &Session,
    standing: &Standing<'_>,
    todos: &mut Vec<Todo>,
) -> Answer<Option<(String, String)>> {
    const PATH: &str = "/v1/state/strongbox/authentication/spiffe-settings";
    if !may(standing, Operation::Read, PATH)? {
        return Ok(None);
    }
    let state = match spiffe::state(State(Arc::clone(app)), session.caller.clone()).await {
        Ok(answer) => json(standing, PATH, answer).await?,
        Err(error) if error.status() == StatusCode::NOT_FOUND => {
            let text = "No identities are issued yet: configure `strongbox/authentication/spiffe-settings`.";
            todos.push(Todo { tone: Tone::Info, text: text.to_owned() });
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    for warning in list(&state, "warnings") {
        // It names who would refuse what.
        let said = text(warning, "warning").unwrap_or_default();
        todos.push(Todo { tone: Tone::Warn, text: crate::pages::problem::sentence(&said) });
    }
    Ok(text(&state, "trust-domain").zip(text(&state, "issuer")))
}

pub(super) fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

/// What an answer of the interface holds, without what is hidden from the reader.
pub(super) async fn json(standing: &Standing<'_>, path: &str, answer: Response) -> Answer<Value> {
    let answer = match standing.hidden(Operation::Read, path)? {
        Some(hidden) => hidden::in_answer(answer, &hidden).await?,
        None => answer,
    };
    // It was made here, in memory.
    let bytes = axum::body::to_bytes(answer.into_body(), usize::MAX).await.map_err(ApiError::internal)?;
    serde_json::from_slice(&bytes).map_err(ApiError::internal)
}

async fn roles(app: &App, tenant: &Name, standing: &Standing<'_>, trust_domain: Option<&str>) -> Answer<Part<Role>> {
    const PATH: &str = "/v1/config/strongbox/authentication/approles";
    if !may(standing, Operation::Read, PATH)? {
        return Ok(Part::NotPermitted);
    }
    let listed = listing::names(app, &layout::roles(tenant), listing::Page::first(MOST)).await?;
    let mut roles = Vec::new();
    for name in &listed.names {
        let path = format!("{PATH}/{name}");
        if !may(standing, Operation::Read, &path)? || standing.hidden(Operation::Read, &path)?.is_some() {
            continue;
        }
        let document = layout::document(tenant, &format!("strongbox/authentication/approles/{name}"));
        let Some(stored) = app.db.get(&document).await? else { continue };
        let role: Value = serde_json::from_slice(&stored.value).map_err(ApiError::internal)?;
        let gives = ["token-spiffe-jwt", "token-spiffe-x509"]
            .iter()
            .any(|name| role.get(name).is_some_and(|one| !one.is_null()));
        roles.push(Role {
            name: name.clone(),
            policies: list(&role, "token-policies").filter_map(Value::as_str).map(str::to_owned).collect(),
            spiffe_id: trust_domain.filter(|_| gives).map(|domain| format!("spiffe://{domain}/approle/{name}")),
        });
    }
    Ok(Part::Shown(roles, listed.next.is_some()))
}

/// What was refused lately, the latest first; `None` where the reader may not see it.
pub(super) async fn refused(
    app: &App,
    tenant: &Name,
    standing: &Standing<'_>,
) -> Answer<Option<impl Iterator<Item = StoredRecord> + use<>>> {
    const PATH: &str = "/v1/state/audit";
    if !may(standing, Operation::Read, PATH)? || standing.hidden(Operation::Read, PATH)?.is_some() {
        return Ok(None);
    }
    let failed = |error: crate::audit::AuditError| {
        tracing::error!(%error, "audit");
        ApiError::unavailable("the audit log cannot be read now")
    };
    app.relay_audit().await.map_err(failed)?;
    let since = Since::Seq(app.audit.stats().last_seq.saturating_sub(RECENT));
    let most = usize::try_from(RECENT).unwrap_or(usize::MAX);
    let records = app.audit.read(since, Some(tenant.to_string()), most).await.map_err(failed)?;
    Ok(Some(records.into_iter().rev().filter(|record| record.outcome == AuditOutcome::Refused)))
}

async fn refusals(app: &App, tenant: &Name, standing: &Standing<'_>) -> Answer<Part<Refusal>> {
    let Some(refused) = refused(app, tenant, standing).await? else { return Ok(Part::NotPermitted) };
    let mut refusals: Vec<Refusal> = refused
        .take(REFUSALS + 1)
        .map(|record| Refusal {
            time: record.time,
            reason: record.detail.get("reason").and_then(Value::as_str).unwrap_or_default().to_owned(),
            event: record.event,
            subject: record.subject,
            source: record.source,
        })
        .collect();
    let more = refusals.len() > REFUSALS;
    refusals.truncate(REFUSALS);
    Ok(Part::Shown(refusals, more))
}

/// What those who run the tower are told besides.
fn operators(app: &App, session: &Session, mut todos: Vec<Todo>) -> Vec<Todo> {
    if app.is_operators(&session.tenant) {
        for (name, status) in app.tasks.status() {
            if let Some(error) = status.error {
                let since = status.last_run.format(&Rfc3339).unwrap_or_default();
                let text = format!("The background task `{name}` fails since {since}: {error}");
                todos.insert(0, Todo { tone: Tone::Danger, text });
            }
        }
    }
    todos
}

/// `POST /logout`: ends the session.
///
/// # Errors
/// 403 for a form of elsewhere; those of the store.
pub async fn log_out(State(app): State<Arc<App>>, posted: Posted) -> Shown {
    let Some(session) = posted.session(&app, "/logout").await? else {
        return Ok(see_other("/login", &[Cookie::dropped(SESSION)]));
    };
    let changed = Account::from(session).log_out(&app).await?;
    Ok(see_other("/login", &changed.cookies))
}
