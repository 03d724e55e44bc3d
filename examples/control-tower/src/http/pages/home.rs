//! The overview, and the way out.

use std::sync::Arc;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use keyward_approle::Operation;
use keyward_config_values::Name;
use keyward_svid::relying_party::RelyingParty;
use serde_json::Value;
use time::OffsetDateTime;

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
    moment,
    pages::{
        component::{Tone, listed},
        home::{First, Key, Overview, Part, Refusal, Role, Todo},
        layout::Viewer,
        problem::sentence,
        timeline::Life,
    },
    standing::Standing,
};

/// The most keys and roles that the overview shows.
const MOST: i64 = 12;
/// The most refusals.
const REFUSALS: usize = 10;
/// What needs doing first.
const NOTHING_ISSUED: &str = "No identities are issued yet: configure `strongbox/authentication/spiffe-settings`.";
/// What the first steps make.
const FIRST: [&str; 3] = [
    "strongbox/transit-keys/identities",
    "strongbox/authentication/spiffe-settings",
    "strongbox/authentication/approles/web",
];
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
    let viewer = viewer(&app, &session).await?;
    let first = first(&app, &viewer, &session, &standing, (&keys, &roles))?;
    for todo in todos.iter_mut().filter(|todo| first.is_some() && todo.text == NOTHING_ISSUED) {
        "Nobody gets an identity here yet: take the first steps below.".clone_into(&mut todo.text);
    }
    let overview = Overview {
        first,
        keys,
        roles,
        refusals: refusals(&app, &session.tenant, &standing).await?,
        issuer,
        todos: operators(&app, &session, todos),
    };
    Ok(overview.page(&viewer, now).into_response())
}

/// Where the first steps lead, for whoever may take them and has not.
fn first(
    app: &App,
    viewer: &Viewer,
    session: &Session,
    standing: &Standing<'_>,
    (keys, roles): (&Part<Key>, &Part<Role>),
) -> Answer<Option<First>> {
    let is_new =
        matches!((keys, roles), (Part::Shown(keys, _), Part::Shown(roles, _)) if keys.is_empty() && roles.is_empty());
    let mut may_all = true;
    for path in FIRST {
        may_all &= may(standing, Operation::Create, &format!("/v1/config/{path}"))?;
    }
    // Who names none logs in to that of the operators.
    let tenant = Some(&viewer.tenant).filter(|_| !app.is_operators(&session.tenant)).cloned();
    Ok((is_new && may_all).then(|| First { url: app.external_url.to_string(), tenant }))
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
            todos.push(Todo { tone: Tone::Info, text: NOTHING_ISSUED.to_owned() });
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let said: Vec<Said> = list(&state, "warnings").map(Said::of).collect();
    todos.extend(told(&said).into_iter().map(|text| Todo { tone: Tone::Warn, text: sentence(&text) }));
    Ok(text(&state, "trust-domain").zip(text(&state, "issuer")))
}

/// A warning of the interface.
struct Said {
    party: Option<RelyingParty>,
    code: String,
    text: String,
}

impl Said {
    fn of(warning: &Value) -> Self {
        let field = |name: &str| text(warning, name).unwrap_or_default();
        let named = field("relying-party");
        let party = RelyingParty::ALL.into_iter().find(|party| party.as_str() == named);
        Self { party, code: field("code"), text: field("warning") }
    }
}

/// What the overview says of warnings. Those who cannot reach an issuer on this machine are named in one line, and what else they would
/// refuse in that URL is left for when there is another one.
fn told(said: &[Said]) -> Vec<String> {
    let is_local = |one: &&Said| one.code == "issuer-local";
    let parties: Vec<String> = said.iter().filter(is_local).filter_map(|one| Some(one.party?.to_string())).collect();
    let local = said.iter().find(is_local).map(|one| {
        let first = parties.first().map_or("", String::as_str);
        let rest = one.text.strip_prefix(first).unwrap_or(&one.text);
        format!("{}{rest}", listed(parties.iter().map(String::as_str)))
    });
    let is_moot = |one: &&Said| is_local(one) || (local.is_some() && one.code == "issuer-port");
    let others = said.iter().filter(|one| !is_moot(one)).map(|one| one.text.clone());
    local.iter().cloned().chain(others).collect()
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
                let since = moment::text(status.last_run);
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

#[cfg(test)]
mod tests {
    use keyward_keys::Algorithm;
    use keyward_svid::relying_party::{TokenShape, check};

    use super::*;

    fn said(issuer: &str) -> Vec<String> {
        let mut shape = TokenShape::default();
        (shape.algorithm, shape.issuer, shape.discovery_issuer) = (Some(Algorithm::Es256), Some(issuer), Some(issuer));
        let of = |party| check(party, &shape).iter().map(|one| Said::of(&crate::http::spiffe::told(one))).collect();
        told(&RelyingParty::ALL.into_iter().flat_map::<Vec<Said>, _>(of).collect::<Vec<_>>())
    }

    #[test]
    fn that_an_issuer_is_on_this_machine_is_said_once() {
        let all = said("https://localhost:4646/t");
        let local = "AWS STS, Azure and Google Cloud cannot fetch the keys from `localhost`: use an issuer with a public host name";
        assert_eq!(all.first().map(String::as_str), Some(local), "{all:?}");
        assert_eq!(all.iter().filter(|one| one.contains("localhost")).count(), 1, "{all:?}");
        assert!(!all.iter().any(|one| one.contains("4646")), "{all:?}");
        assert!(all.iter().any(|one| one.starts_with("Azure accepts RS256 only")), "{all:?}");
        let public = said("https://tower.example:4646/t");
        assert!(public.iter().any(|one| one.contains("`:4646`")), "{public:?}");
    }
}
