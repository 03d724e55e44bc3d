//! The tenants, for the administrators of the tenant `default`.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State, response::IntoResponse as _};
use keyward_config_values::Name;
use serde_json::{Value, json};

use super::{
    caller::Caller,
    error::{Answer, ApiError},
    listing::{self, Page},
    params::{Path, Query},
    token,
};
use crate::{
    app::{App, Commit, Draft, NewAdministrator, RESET},
    audit::{AuditOutcome, AuditRecord},
    db::Stored,
    federation, layout, moment,
    tenant::{self, COLLECTION, Tenant, removal::Removal},
};

/// The most of anything that is counted: nothing is listed to its end.
const COUNTED: usize = 1000;

/// `GET /v1/state/tenants`: the tenants, a page at a time (`?limit=&after=`, and `Link` to the next), and with the first page those that
/// are on their way out.
///
/// # Errors
/// Those of [`listing::names`].
pub async fn all(State(app): State<Arc<App>>, Query(page): Query<Page>) -> Answer {
    let removals = if page.after().is_empty() { Removal::all(&app.db).await? } else { Vec::new() };
    let removals: Vec<Value> = removals.iter().map(|removal| progress(&removal.value)).collect();
    let listed = listing::names(&app, layout::TENANTS, page).await?;
    let mut tenants = Vec::with_capacity(listed.names.len());
    for name in &listed.names {
        // One that went meanwhile is left out.
        if let Some(tenant) = Tenant::by_name(&app.db, &name.parse().map_err(ApiError::internal)?).await? {
            tenants.push(summary(&app, &tenant.value).await?);
        }
    }
    listed.linked("/v1/state/tenants", Json(json!({ "tenants": tenants, "removals": removals })))
}

/// `GET /v1/state/tenants/<name>`: a tenant and how much it has; its former namesakes as long as something is left of them.
///
/// # Errors
/// 404.
pub async fn one(State(app): State<Arc<App>>, Path(name): Path<String>) -> Answer {
    let removals = Removal::all(&app.db).await?;
    let removals: Vec<Value> = removals
        .iter()
        .filter(|removal| removal.value.name.as_str() == name)
        .map(|removal| progress(&removal.value))
        .collect();
    let mut state = match (named(&app, &name).await, removals.is_empty()) {
        (Ok(tenant), _) => {
            let mut state = summary(&app, &tenant).await?;
            if let Some(state) = state.as_object_mut() {
                state.insert("contents".to_owned(), contents(&app, &tenant.id).await?);
            }
            state
        }
        (Err(_), false) => json!({ "name": name, "state": "removed" }),
        (Err(error), true) => return Err(error),
    };
    if let Some(state) = state.as_object_mut() {
        state.insert("removals".to_owned(), removals.into());
    }
    Ok(Json(state).into_response())
}

/// `POST /v1/state/tenants/<name>/reset-admin`: gives the tenant's administrator, made if there is none, a new password, which is
/// answered this once. All tokens that were had with the former password end.
///
/// # Errors
/// 404; 422 for the tenant `default`.
pub async fn reset_admin(State(app): State<Arc<App>>, caller: Caller, Path(name): Path<String>) -> Answer {
    if name == tenant::DEFAULT {
        // Whoever may look after tenants is not thereby the master of the tower.
        return Err(ApiError::inapplicable(
            "the administrator of `default` is reset on the machine itself: stop the tower and run `control-tower reset-admin`",
        ));
    }
    let missing = || ApiError::not_found(format_args!("the tenant `{name}`"));
    let parsed: Name = name.parse().map_err(|_| missing())?;
    let now = app.clock.now();
    let stored = Tenant::by_name(&app.db, &parsed).await?.ok_or_else(missing)?;
    let tenant = &stored.value;
    let former = NewAdministrator::former(&app.db, &tenant.id).await?;
    let mut guards = vec![stored.guard()];
    guards.extend(former.as_ref().map(Stored::guard));
    let former = former.map(|former| former.value);
    let Draft { job, password } = Draft::new(app.realm.secret()).map_err(ApiError::internal)?;
    let hashed = app.compute(move || job.run()).await?.map_err(ApiError::internal)?;
    let new = NewAdministrator::make(former.as_deref(), tenant, &hashed, password, now).map_err(ApiError::internal)?;
    let writes = new.writes(&app.db, &tenant.id)?;
    // The tenant sees in its own log that this was done to it, and not by whom.
    let told = AuditRecord::new(tenant.id.to_string(), RESET, AuditOutcome::Success, "operators", "", now);
    let audit = caller.actor().did(RESET, now).with("name", name.as_str()).with("tenant-id", tenant.id.as_str());
    let audit = audit.telling(told);
    match app.commit(guards, writes, audit).await? {
        Commit::Done(_) => {}
        Commit::Conflict => {
            return Err(ApiError::conflict(
                "the tenant or its administrator was changed meanwhile; look before you repeat it",
            ));
        }
    }
    let credentials = new.credentials(tenant);
    Ok(token::answer(&json!({
        "tenant": credentials.tenant,
        "tenant-id": credentials.tenant_id,
        "username": credentials.username,
        "password": credentials.password.as_str(),
    })))
}

async fn named(app: &App, name: &str) -> Answer<Tenant> {
    let missing = || ApiError::not_found(format_args!("the tenant `{name}`"));
    let name: Name = name.parse().map_err(|_| missing())?;
    Ok(Tenant::clone(&Tenant::by_name(&app.db, &name).await?.ok_or_else(missing)?.value))
}

async fn summary(app: &App, tenant: &Tenant) -> Answer<Value> {
    let trust_domain = federation::own_trust_domain(app, &tenant.id).await?;
    let config = layout::document(&app.operators, &format!("{COLLECTION}/{}", tenant.name));
    let description: Option<Value> = match app.db.get(&config).await? {
        Some(stored) => serde_json::from_slice::<Value>(&stored.value)
            .ok()
            .and_then(|mut document| document.as_object_mut().and_then(|document| document.remove("description"))),
        None => None,
    };
    Ok(json!({
        "name": tenant.name,
        "id": tenant.id,
        "state": "active",
        "description": description,
        "trust-domain": trust_domain.as_ref().map(keyward_spiffe_id::TrustDomain::as_str),
        "issuer": crate::identity::own_issuer(app, &tenant.id)?.as_str(),
    }))
}

/// How much there is, as far as it is counted.
async fn contents(app: &App, id: &Name) -> Answer<Value> {
    let store = app.db.store();
    let prefix = layout::documents(id);
    let entries = store.range(&prefix, None, COUNTED, None).await?;
    let mut complete = entries.len() < COUNTED;
    let mut documents: BTreeMap<String, usize> = BTreeMap::new();
    for entry in entries {
        let path = entry.key.strip_prefix(&prefix).unwrap_or_default();
        let collection = path.rsplit_once('/').map_or(path, |(collection, _)| collection);
        *documents.entry(collection.to_owned()).or_default() += 1;
    }
    let mut counts = serde_json::Map::new();
    counts.insert("documents".to_owned(), json!(documents));
    for (name, prefix) in [("tokens", layout::token_accessors(id)), ("secret-ids", layout::secret_ids(id))] {
        let count = store.range(&prefix, None, COUNTED, None).await?.len();
        complete &= count < COUNTED;
        counts.insert(name.to_owned(), count.into());
    }
    // Where not, there is at least as much.
    counts.insert("complete".to_owned(), complete.into());
    Ok(counts.into())
}

fn progress(removal: &Removal) -> Value {
    json!({
        "name": removal.name,
        "id": removal.id,
        "since": moment::text(removal.since),
        "destroyed": removal.destroyed,
        "emptied": removal.emptied.map(moment::text),
    })
}
