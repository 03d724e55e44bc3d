//! A change of the configuration: planned on what is there, authorized document by document, turned into what the store has
//! to write, and committed as one.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use keyward_approle::{Operation as Permission, TOKEN_REFUSED};
use keyward_config_tree::{Bulk, Effect, IfMatch, Item, Operation, Path, Plan, Revision, plan_hiding};
use keyward_config_values::Name;
use keyward_spiffe_id::TrustDomain;
use keyward_transit::Ring;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::{
    app::{App, Commit},
    call_home,
    documents::{self, KEYS, POLICIES, SITES, VARIABLES},
    federation,
    http::{
        caller::Caller,
        config::Mode,
        error::{Answer, ApiError},
        vault,
    },
    identity::SETTINGS,
    inbound, layout,
    store::{Guard, Write},
};

mod authority_set;
mod current;
mod effects;
mod firewall;
mod having;
mod hidden;
mod ring_set;
mod site_set;
mod tenants;
mod told;
mod users;
mod variables;

use current::Current;
use firewall::Firewalls;
use hidden::Masks;
use told::applied;
pub use told::{Applied, DocumentResult};

/// How often a change is planned again because another one came first.
const TRIES: usize = 16;
/// How much of a refusal's text is recorded, in characters.
const REASON: usize = 500;

/// What a client relies on.
#[derive(Clone)]
pub struct Precondition {
    /// Where the document stands.
    pub key: String,
    /// What it must be.
    pub condition: Condition,
}

/// A condition of RFC 9110 §13.1.
#[derive(Clone)]
pub enum Condition {
    /// `If-Match`: it is what the client last saw.
    Match(IfMatch),
    /// `If-None-Match: *`: there is none.
    Absent,
}

impl Condition {
    fn allows(&self, current: Option<Revision>) -> bool {
        match self {
            Self::Match(condition) => condition.allows(current),
            Self::Absent => current.is_none(),
        }
    }
}

/// Plans and commits a change, or only plans it. A refusal is recorded, unless nothing was to be changed.
///
/// # Errors
/// The first mistake; nothing was changed then.
pub async fn apply(
    app: &App,
    caller: &Caller,
    bulk: &Bulk,
    precondition: Option<Precondition>,
    mode: Mode,
) -> Answer<Applied> {
    let asked = Asked { bulk, precondition, mode, permitted: Permitted::Here, brought: None };
    let result = try_apply(app, caller, asked).await;
    if !mode.is_dry_run()
        && let Err(error) = &result
    {
        note_refusal(app, caller, error);
    }
    result
}

/// Commits a change that another path asked for, on which the policies decided.
///
/// # Errors
/// As [`apply`].
pub async fn apply_as_asked(app: &App, caller: &Caller, bulk: &Bulk) -> Answer<Applied> {
    let mode = Mode::default();
    let asked = Asked { bulk, precondition: None, mode, permitted: Permitted::Before, brought: None };
    let result = try_apply(app, caller, asked).await;
    result.inspect_err(|error| note_refusal(app, caller, error))
}

/// As [`apply_as_asked`], where the client relies on what it has read.
///
/// # Errors
/// 412 when that has changed; as [`apply`].
pub async fn apply_as_asked_if(app: &App, caller: &Caller, bulk: &Bulk, precondition: Precondition) -> Answer<Applied> {
    let permitted = Permitted::Before;
    let asked = Asked { bulk, precondition: Some(precondition), mode: Mode::default(), permitted, brought: None };
    let result = try_apply(app, caller, asked).await;
    result.inspect_err(|error| {
        if error.status() != StatusCode::PRECONDITION_FAILED {
            note_refusal(app, caller, error);
        }
    })
}

/// A ring that comes with its document, as from a backup, instead of being made for it.
pub struct Brought {
    /// As it is to be stored.
    pub ring: Ring,
    /// What the audit log calls it.
    pub event: &'static str,
    /// Whether it may stand in for one of its name.
    pub replaces: bool,
    /// Where the policies decide on its document.
    pub permitted: Permitted,
}

impl Brought {
    /// 409: there is one of its name.
    fn exists(&self) -> ApiError {
        let name = self.ring.name();
        ApiError::conflict(format!(
            "the key `{name}` exists; take another name, or `force=true` to replace it, whatever is lost with it"
        ))
    }
}

/// Commits a ring and its document as one.
///
/// # Errors
/// 409 where there is one of its name that it must not replace, or that verifiers still need; as [`apply`].
pub async fn bring(app: &App, caller: &Caller, brought: &Brought) -> Answer<Applied> {
    let path = format!("{KEYS}/{}", brought.ring.name());
    let path: Path =
        path.parse().map_err(|error: keyward_config_tree::PathError| ApiError::invalid(error.to_string()))?;
    let document = serde_json::to_vec(brought.ring.config()).map_err(ApiError::internal)?;
    let operation = if brought.replaces { Operation::Replace } else { Operation::Create };
    let bulk = Bulk::from(Item::from_json(path, operation, &document)?);
    let permitted = brought.permitted;
    let asked = Asked { bulk: &bulk, precondition: None, mode: Mode::default(), permitted, brought: Some(brought) };
    let result = try_apply(app, caller, asked).await.map_err(|error| match error.reason() {
        Some("exists") => brought.exists(),
        _ => error,
    });
    result.inspect_err(|error| note_refusal(app, caller, error))
}

/// What is asked for, and how.
struct Asked<'a> {
    bulk: &'a Bulk,
    precondition: Option<Precondition>,
    mode: Mode,
    permitted: Permitted,
    brought: Option<&'a Brought>,
}

/// Where the policies decide on a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permitted {
    /// Here, document by document.
    Here,
    /// On the path that was asked for, before. Nothing that it shows may be hidden.
    Before,
}

/// Records that a change was refused, and why. Such texts hold no values of fields that may be secrets.
pub fn note_refusal(app: &App, caller: &Caller, error: &ApiError) {
    // A denial is on record already.
    if error.status().is_client_error() && error.status() != StatusCode::FORBIDDEN {
        let reason: String = error.message().chars().take(REASON).collect();
        app.refuse(caller.actor().refused("config", &reason, app.clock.now()));
    }
}

async fn try_apply(app: &App, caller: &Caller, asked: Asked<'_>) -> Answer<Applied> {
    let Asked { bulk, precondition, mode, permitted, brought } = asked;
    let bulk = &*call_home::hashed(bulk);
    let dry_run = mode.is_dry_run();
    // Before the plan, whose errors tell what exists.
    for item in bulk.items() {
        if permitted == Permitted::Before {
            // By another path than its own nothing of a document is kept for who does not see it.
            vault::sees_all(app, caller, item.path()).await?;
            continue;
        }
        let path = format!("/v1/config/{}", item.path());
        match item.operation() {
            Operation::Replace => {
                if let Err(denied) = caller.permit(app, Permission::Update, &path).await {
                    caller.permit(app, Permission::Create, &path).await.map_err(|_| denied)?;
                }
            }
            operation => caller.permit(app, permission(operation, Effect::Unchanged), &path).await?,
        }
    }
    let elsewhere = |item: &&Item| documents::is_for_operators(item.path()) && !app.is_operators(caller.tenant());
    if let Some(item) = bulk.items().iter().find(elsewhere) {
        return Err(ApiError::not_found(format_args!("`{}`", item.path())));
    }
    let removes = |item: &Item| tenants::named(item.path()).is_some() && item.operation() == Operation::Delete;
    if mode.is_forced() && !bulk.items().iter().any(removes) {
        return Err(ApiError::invalid("`force` is for the removal of a tenant, and there is none here"));
    }
    let _turn = if dry_run { None } else { Some(app.turns.take(layout::config_head(caller.tenant())).await) };
    for _ in 0..TRIES {
        let masks = match permitted {
            Permitted::Here => Masks::of(app, caller, bulk).await?,
            Permitted::Before => Masks::default(),
        };
        let prepared = prepare(app, caller, bulk, precondition.as_ref(), &masks).await?;
        let Some((mut changes, plan)) = prepared else { continue };
        changes.force = mode.is_forced();
        for outcome in plan.outcomes().iter().filter(|_| permitted == Permitted::Here) {
            let needed = permission(outcome.operation(), outcome.effect());
            caller.permit(app, needed, &format!("/v1/config/{}", outcome.path())).await?;
        }
        if plan.is_unchanged() && brought.is_none() {
            let firewalls = match dry_run {
                true => changes.firewalls(&plan).await.map_err(|error| masks.veil_effect(error))?,
                false => Firewalls::default(),
            };
            return applied(app, caller, &plan, &masks, firewalls, dry_run, None).await;
        }
        for change in plan.changes() {
            changes.document(change)?;
        }
        changes.brought = brought;
        changes.effects(plan.changes(), dry_run).await.map_err(|error| masks.veil_effect(error))?;
        let firewalls = changes.firewalls(&plan).await.map_err(|error| masks.veil_effect(error))?;
        if dry_run {
            return applied(app, caller, &plan, &masks, firewalls, true, None).await;
        }
        let paths: Vec<Value> = plan
            .outcomes()
            .iter()
            .map(|outcome| json!({"path": outcome.path().as_str(), "effect": outcome.effect().as_str()}))
            .collect();
        let event = brought.map_or("config", |brought| brought.event);
        let mut audit = caller.actor().did(event, changes.now).with("documents", paths);
        if let Some(Brought { ring, .. }) = brought {
            let versions: Vec<u32> = ring.view(changes.now).versions.iter().map(|version| version.version).collect();
            audit = audit.with("key", ring.name().as_str()).with("versions", versions);
        }
        let Changes { guards, writes, removed, .. } = changes;
        if let Commit::Done(revision) = app.commit(guards, writes, audit).await? {
            after_change(app, &plan, &removed).await;
            return applied(app, caller, &plan, &masks, firewalls, false, Some(revision)).await;
        }
    }
    Err(ApiError::unavailable("the configuration is being changed by others all the time; try again"))
}

/// Makes what was changed hold at once, where a task would find it a little later.
async fn after_change(app: &App, plan: &Plan, removed: &[Name]) {
    for tenant in removed {
        app.forget_tenant(tenant);
    }
    let touches =
        |collection: &str| plan.outcomes().iter().any(|outcome| outcome.path().as_str().starts_with(collection));
    if touches(federation::COLLECTION) || !removed.is_empty() {
        app.federation.changed();
    }
    if ([federation::COLLECTION, inbound::COLLECTION, "system/ca"].into_iter().any(touches) || !removed.is_empty())
        && let Err(error) = app.client_issuers.refresh(app).await
    {
        tracing::warn!(error = error.message(), "whose certificates are asked for is found out later");
    }
    // Whoever waited for one that was deleted has left its place.
    let gone = |collection: &str| {
        let mut outcomes = plan.outcomes().iter().filter(|outcome| outcome.effect() == Effect::Deleted);
        outcomes.any(|outcome| outcome.path().as_str().starts_with(collection))
    };
    if gone(SITES) {
        app.call_home.unclaimed.forget();
    }
    if [call_home::SETTINGS, "system/ca"].into_iter().any(touches)
        && let Err(error) = app.call_home.serving.refresh(app).await
    {
        tracing::warn!(error = error.message(), "the call-home listener goes by the new settings later");
    }
}

/// The permission that an operation with this effect needs.
fn permission(operation: Operation, effect: Effect) -> Permission {
    match (effect, operation) {
        (Effect::Created, _) | (Effect::Unchanged, Operation::Create) => Permission::Create,
        (Effect::Deleted, _) | (Effect::Unchanged, Operation::Delete) => Permission::Delete,
        _ => Permission::Update,
    }
}

/// What a change needs to know, and what it comes to.
struct Changes<'a> {
    app: &'a App,
    bulk: &'a Bulk,
    tenant: Name,
    /// The user who asks, where it is one.
    user: Option<String>,
    now: OffsetDateTime,
    /// The documents as they were.
    current: Current,
    brought: Option<&'a Brought>,
    /// Whether a tenant that is not empty may be removed.
    force: bool,
    /// The ids of the tenants that are removed.
    removed: Vec<Name>,
    /// The trust domains that are claimed, and for whom.
    claimed: BTreeMap<TrustDomain, Name>,
    guards: Vec<Guard>,
    writes: Vec<Write>,
}

/// Plans the change; nothing when another one came in between.
async fn prepare<'a>(
    app: &'a App,
    caller: &Caller,
    bulk: &'a Bulk,
    precondition: Option<&Precondition>,
    masks: &Masks,
) -> Answer<Option<(Changes<'a>, Plan)>> {
    let tenant = caller.tenant().clone();
    // The head is read first: a change between the two makes the commit fail, not slip through.
    let head_key = layout::config_head(&tenant);
    let head = app.db.store().get(&head_key).await?;
    let mut guards = vec![Guard::seen(&head_key, head.as_ref())];
    let living = app.living(&tenant).await?.ok_or_else(|| ApiError::unauthenticated(TOKEN_REFUSED))?;
    guards.extend(living);
    if let Some(Precondition { key, condition }) = precondition {
        let entry = app.db.store().get(key).await?;
        if !condition.allows(entry.as_ref().map(|entry| Revision::new(entry.revision))) {
            let message = match condition {
                Condition::Match(_) => {
                    "the document was changed meanwhile: read it again and repeat the change on what it is now"
                }
                Condition::Absent => "the document exists already",
            };
            return Err(ApiError::new(StatusCode::PRECONDITION_FAILED, message));
        }
        guards.push(Guard::seen(key, entry.as_ref()));
    }
    let schema = app.schema(&tenant);
    let paths = bulk.items().iter().map(|item| item.path().clone());
    let settings = SETTINGS.parse::<Path>().ok();
    let mut current = Current::open(app, &tenant, head.as_ref(), paths).await?;
    current.prefetch(settings);
    let plan = loop {
        current.load(app, &tenant).await?;
        let plan = plan_hiding(&current, bulk, schema, &|path, way| masks.hides(path, way));
        // What was decided without something that it asked for counts for nothing.
        if current.is_complete() {
            break plan;
        }
    };
    let plan = match plan {
        Ok(plan) => plan,
        Err(error) => {
            // A refusal is of one moment, too: the commit that would find out is not made.
            let now = app.db.store().get(&head_key).await?;
            return match now.map(|entry| entry.revision) == head.map(|entry| entry.revision) {
                true => Err(masks.veil(error, bulk, schema)),
                false => Ok(None),
            };
        }
    };
    let index_key = layout::config_index(&tenant, &current::form(&app.limits));
    let mut writes = vec![Write::Put(head_key, Vec::new()), Write::Put(index_key, Vec::new())];
    let (come, go) = current.index_writes(app, &tenant, plan.changes());
    writes.extend(come.into_iter().map(|key| Write::Put(key, Vec::new())));
    writes.extend(go.into_iter().map(Write::Delete));
    let decides = [POLICIES, VARIABLES, SITES];
    if plan.changes().iter().any(|change| decides.iter().any(|of| change.path().as_str().starts_with(of))) {
        writes.push(Write::Put(layout::policies_head(&tenant), Vec::new()));
    }
    let changes = Changes {
        app,
        bulk,
        tenant,
        user: caller.user().map(str::to_owned),
        now: app.clock.now(),
        current,
        brought: None,
        force: false,
        removed: Vec::new(),
        claimed: BTreeMap::new(),
        guards,
        writes,
    };
    Ok(Some((changes, plan)))
}

/// The name of a document in a collection.
fn name_in(path: &Path, collection: &str) -> Option<Name> {
    path.as_str().strip_prefix(collection)?.strip_prefix('/')?.parse().ok()
}
